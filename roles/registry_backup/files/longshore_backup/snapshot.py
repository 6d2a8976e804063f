# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage copied while a registry writes to it, so that every tag of the copy is whole.

A push writes blobs, then the repository's links to them, then the link to the manifest, then the tag. The copy goes the
other way: tags, then links, then blobs. What a copied tag needs was there before the tag was read, and so before its links
and blobs are listed. No blob goes away meanwhile: only garbage collection removes one, and the lock keeps it out. Deleting
through the registry removes links, so at last every tag is walked, and one that is not whole is taken once more.
"""

from __future__ import annotations

import os
import shutil
import time

from . import walk
from .copier import Copier
from .layout import Storage, entries

_ROUNDS = 6


class Snapshot:
    """One copy, pass by pass."""

    def __init__(self, copier: Copier) -> None:
        self.copier = copier
        self.source, self.target = copier.source, copier.target
        self.repositories = self.tags = 0

    def copy_tags(self) -> None:
        """First of all: where the tags point."""
        for repository in self.source.repositories():
            for name in ("_layers", "_manifests"):
                relative = f"{Storage.REPOSITORIES}/{repository}/{name}"
                # An empty one counts as well: by them a registry knows a repository.
                if os.path.isdir(self.source.path(relative)):
                    os.makedirs(self.target.path(relative), mode=0o700, exist_ok=True)
            self._tree(self.source.tag_directory(repository))

    def copy_links(self) -> None:
        """Then which manifests and blobs belong to which repository."""
        for repository in self.source.repositories():
            self._tree(self.source.revisions(repository))
            self._tree(self.source.layers(repository))

    def copy_blobs(self) -> None:
        """Then the bytes."""
        os.makedirs(self.target.path(Storage.REPOSITORIES), mode=0o700, exist_ok=True)
        os.makedirs(self.target.path(Storage.BLOBS), mode=0o700, exist_ok=True)
        for digest in self.source.blobs():
            self.copier.blob(digest)

    def settle(self) -> dict[str, str]:
        """Walk every tag of the copy, and take once more those that are not whole.

        Returns:
            The tags that are broken in the registry itself, each with what is wrong.
        """
        broken: dict[str, str] = {}
        for repository in self.target.repositories():
            self.repositories += 1
            suspects = []
            for tag in self.target.tags(repository):
                self.tags += 1
                if walk.faults(self.target, repository, tag):
                    suspects.append(tag)
            for tag in suspects:
                fault = self._again(repository, tag)
                if fault:
                    broken[f"{repository}:{tag}"] = fault
        return broken

    def _again(self, repository: str, tag: str) -> str:
        found: list[str] = []
        for attempt in range(_ROUNDS):
            if not os.path.isdir(self.source.path(self.source.tag_directory(repository, tag))):
                # Removed since the tags were copied: then it is not in the backup either.
                shutil.rmtree(self.target.path(self.target.tag_directory(repository, tag)))
                self.tags -= 1
                return ""
            for kind, what in walk.closure(self.source, repository, tag):
                if kind == "blob":
                    self.copier.blob(what)
                elif what != self.source.current(repository, tag):
                    self.copier.small(what)
            self._tree(self.source.tag_directory(repository, tag))
            found = walk.faults(self.target, repository, tag)
            if not found:
                return ""
            time.sleep(0.05 * 2**attempt)
        return found[0]

    def _tree(self, relative: str) -> None:
        for entry in entries(self.source.path(relative)):
            below = f"{relative}/{entry.name}"
            if entry.is_dir():
                self._tree(below)
            else:
                self.copier.small(below)
