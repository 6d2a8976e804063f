# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference client."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from .process import run


class Skopeo:
    """Runs skopeo; certificates are not verified and plain HTTP is spoken where a registry does.

    ``credentials`` below are ``NAME:PASSWORD``.
    """

    def run(self, *arguments: str) -> bytes:
        """``skopeo ARGUMENTS``: its output. `process.ServerFailed` if it fails."""
        return run(["skopeo", *arguments])

    def copy(
        self,
        source: str,
        destination: str,
        *,
        all_platforms: bool = True,
        source_credentials: str | None = None,
        destination_credentials: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Copy from one transport's name to another's, byte for byte where the destination can hold it."""
        arguments = ["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", *options]
        if all_platforms:
            arguments.append("--all")
        if source_credentials is not None:
            arguments += ["--src-creds", source_credentials]
        if destination_credentials is not None:
            arguments += ["--dest-creds", destination_credentials]
        self.run(*arguments, source, destination)

    def raw(self, name: str, credentials: str | None = None) -> bytes:
        """The manifest's or index's bytes."""
        return self._inspect(name, credentials, "--raw")

    def digest(self, name: str, credentials: str | None = None) -> str:
        """The digest of those bytes."""
        return f"sha256:{hashlib.sha256(self.raw(name, credentials)).hexdigest()}"

    def manifest(self, name: str, credentials: str | None = None) -> dict[str, Any]:
        """The manifest or index."""
        answer: dict[str, Any] = json.loads(self.raw(name, credentials))
        return answer

    def inspect(self, name: str, credentials: str | None = None, *options: str) -> dict[str, Any]:
        """What ``skopeo inspect`` tells; ``options`` such as ``--config``."""
        answer: dict[str, Any] = json.loads(self._inspect(name, credentials, *options))
        return answer

    def tags(self, repository: str, credentials: str | None = None) -> list[str]:
        """The tags of ``docker://HOST/NAME``."""
        arguments = ["list-tags", "--tls-verify=false", *_credentials(credentials), repository]
        answer: list[str] = json.loads(self.run(*arguments))["Tags"]
        return answer

    def _inspect(self, name: str, credentials: str | None, *options: str) -> bytes:
        return self.run("inspect", "--tls-verify=false", *options, *_credentials(credentials), name)


def _credentials(credentials: str | None) -> list[str]:
    return [] if credentials is None else ["--creds", credentials]


def layout(path: str | os.PathLike[str], tag: str) -> str:
    """The name of a tag in an OCI layout."""
    return f"oci:{os.fspath(path)}:{tag}"
