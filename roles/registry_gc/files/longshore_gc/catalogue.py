# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry holds, however it is found out."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .manifests import References


class Repository(NamedTuple):
    """A repository: ``tags`` to digests; ``revisions`` are its manifests' digests with the time they came.

    ``tags`` is None if the repository has no place for tags, which is not the same as having none.
    """

    name: str
    tags: dict[str, str] | None
    revisions: dict[str, float]


class Catalogue(Protocol):
    """Reads of a storage."""

    def repositories(self) -> list[Repository]:
        """All repositories that hold manifests."""

    def manifest(self, repository: str, digest: str) -> References | None:
        """What a manifest of a repository names; None if it is not there, `Refused` if it cannot be read."""

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob can be pulled from a repository."""

    def sizes(self, digests: set[str]) -> dict[str, int]:
        """Sizes in bytes of those blobs whose size can be found out."""

    def total_bytes(self) -> int | None:
        """All blobs' size, or None if it cannot be found out."""
