# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage in the file system, read by walking it. The layout is the same for distribution 2.8 and 3.x."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator

from .catalogue import Repository
from .errors import Refused
from .manifests import References, parse


class Files:
    """`Catalogue` of the storage below ``root``."""

    def __init__(self, root: pathlib.Path) -> None:
        self.base = root / "docker" / "registry" / "v2"
        self._parsed: dict[str, References] = {}

    def repositories(self) -> list[Repository]:
        """All repositories that hold manifests."""
        found = []
        for name, path, parts in self.places():
            if "_manifests" in parts:
                found.append(Repository(name, self._tags(path), self._revisions(path)))
        return found

    def places(self) -> Iterator[tuple[str, pathlib.Path, set[str]]]:
        """Every directory with something of a repository in it: name, path, which of ``_manifests`` etc. there are."""
        top = self.base / "repositories"
        todo = [top]
        while todo:
            path = todo.pop()
            parts = set()
            for entry in _entries(path):
                if not entry.is_dir(follow_symlinks=False):
                    continue
                if entry.name in ("_manifests", "_layers", "_uploads"):
                    parts.add(entry.name)
                else:
                    todo.append(pathlib.Path(entry.path))
            if parts:
                yield path.relative_to(top).as_posix(), path, parts

    def manifest(self, repository: str, digest: str) -> References | None:
        """What a manifest names; `Refused` if its bytes are no manifest."""
        if digest not in self._parsed:
            path = self.blob(digest)
            try:
                self._parsed[digest] = parse(path.read_bytes())
            except FileNotFoundError:
                return None
            except (json.JSONDecodeError, UnicodeDecodeError, ValueError) as error:
                raise Refused(f"{repository}@{digest} is no manifest ({error}): push that image again, or delete it") from error
        return self._parsed[digest]

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the blob and the repository's link to it are there."""
        algorithm, encoded = digest.split(":", 1)
        link = self.base / "repositories" / repository / "_layers" / algorithm / encoded / "link"
        return link.is_file() and self.blob(digest).is_file()

    def sizes(self, digests: set[str]) -> dict[str, int]:
        """Sizes of those that are there."""
        found = {}
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                found[digest] = self.blob(digest).stat().st_size
        return found

    def total_bytes(self) -> int:
        """The size of all blobs."""
        total = 0
        for algorithm in _entries(self.base / "blobs"):
            for prefix in _entries(algorithm.path):
                for entry in _entries(prefix.path):
                    with contextlib.suppress(FileNotFoundError):
                        total += os.stat(os.path.join(entry.path, "data")).st_size
        return total

    def blob(self, digest: str) -> pathlib.Path:
        """The file of a blob."""
        algorithm, encoded = digest.split(":", 1)
        return self.base / "blobs" / algorithm / encoded[:2] / encoded / "data"

    def _tags(self, path: pathlib.Path) -> dict[str, str] | None:
        top = path / "_manifests" / "tags"
        if not top.is_dir():
            return None
        found = {}
        for entry in _entries(top):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found[entry.name] = pathlib.Path(entry.path, "current", "link").read_text(encoding="ascii").strip()
        return found

    def _revisions(self, path: pathlib.Path) -> dict[str, float]:
        found: dict[str, float] = {}
        for algorithm in _entries(path / "_manifests" / "revisions"):
            for entry in _entries(algorithm.path):
                # A deleted manifest leaves the directory without its link.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    found[f"{algorithm.name}:{entry.name}"] = os.stat(os.path.join(entry.path, "link")).st_mtime
        return found


def _entries(path: str | pathlib.Path) -> list[os.DirEntry[str]]:
    """A directory's entries in a fixed order; none if it is not there or no directory, which a live registry may cause."""
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
