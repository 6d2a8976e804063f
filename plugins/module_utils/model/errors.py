# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception tree. Each error is one clear sentence for the user, plus the facts a playbook may test."""

from __future__ import annotations

from typing import Any


class OciError(Exception):
    """What a user, a file or a registry can cause. ``message`` names the thing and, where there is one, the way out."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        #: Plain values for the module's result: ``status_code``, ``error_code``, ``attempts``, ``url``, ...
        self.facts: dict[str, Any] = {key: value for key, value in facts.items() if value is not None}

    def about(self, subject: str) -> OciError:
        """The same error with ``subject`` (an image, a file) in front of its message, unless it is named already."""
        if subject not in self.message:
            self.message = f"{subject}: {self.message}"
            self.args = (self.message,)
        return self


class InvalidInput(OciError):
    """What the user wrote cannot be meant: a reference, a location, an option."""


class InvalidReference(InvalidInput):
    """A name, tag or digest outside the grammar (R1.1-R1.9)."""


class InvalidDigest(InvalidReference):
    """A digest with an unknown algorithm or the wrong number of characters."""


class MissingRequirement(OciError):
    """A Python library or program that this one task needs is not installed."""


class ContentError(OciError):
    """Bytes that are not what they claim to be. Never retried against the same bytes."""


class InvalidManifest(ContentError):
    """A manifest, index or config that is no valid document (R1.12-R1.14, R1.19, R1.20)."""


class DigestMismatch(ContentError):
    """The bytes have another digest than the one that named them; the message names both."""


class SizeMismatch(ContentError):
    """More or fewer bytes than the descriptor promises."""


class NetworkError(OciError):
    """No answer, or half of one. ``transient`` says whether asking again can help."""

    def __init__(self, message: str, transient: bool = True, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.transient = transient


class TlsError(NetworkError):
    """The certificate or the TLS handshake was refused."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, transient=False, **facts)


class RefusedTarget(OciError):
    """A realm, Location, Link or redirect that the destination rule forbids (section 3.2)."""


class RegistryError(OciError):
    """The registry answered, and the answer is an error."""

    def __init__(self, message: str, status_code: int = 0, error_code: str | None = None, **facts: Any) -> None:
        super().__init__(message, status_code=status_code, error_code=error_code, **facts)
        self.status_code = status_code
        self.error_code = error_code


class NotFound(RegistryError):
    """404: no such repository, tag, manifest or blob."""


class BlobUnknown(RegistryError):
    """A manifest was refused because the registry lacks a blob or child of it, whatever it said before (R1.27)."""


class TagDeleteUnsupported(RegistryError):
    """The registry can delete manifests by digest only: a tag cannot be taken away by itself (R1.52)."""


class AccessDenied(RegistryError):
    """401 or 403: no credentials, wrong ones, or not enough rights."""


class RateLimited(RegistryError):
    """429, with a wait longer than we are allowed to sit out."""


class StorageError(OciError):
    """The local file system: full, read-only, not permitted, not there."""


class ArchiveError(ContentError):
    """A file or directory that is no image archive, or a broken one."""


class Cancelled(OciError):
    """The task was told to stop; what was begun has been undone."""
