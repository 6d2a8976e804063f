# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which manifests of a repository something keeps: tags, indexes, referrers."""

from __future__ import annotations

from collections.abc import Iterable

from .catalogue import Catalogue, Repository


class Reach:
    """What can be reached in one repository."""

    def __init__(self, catalogue: Catalogue, repository: Repository) -> None:
        self._catalogue = catalogue
        self._repository = repository
        self._referrers: dict[str, list[str]] = {}
        for digest in repository.revisions:
            references = catalogue.manifest(repository.name, digest)
            if references is not None and references.subject is not None:
                self._referrers.setdefault(references.subject, []).append(digest)

    def of(self, roots: Iterable[str]) -> set[str]:
        """The repository's manifests that ``roots`` reach, with those of ``roots`` that are there.

        From an index to its children, however deep, and from a manifest to those whose ``subject`` it is. The fallback
        tags of referrers and cosign's tags are tags, so what they name is reached as everything tagged is. A child that
        this repository lost is not followed: here it cannot be pulled anyway.
        """
        revisions = self._repository.revisions
        reached: set[str] = set()
        todo = [digest for digest in roots if digest in revisions]
        while todo:
            digest = todo.pop()
            if digest in reached:
                continue
            reached.add(digest)
            found = self._catalogue.manifest(self._repository.name, digest)
            if found is not None:
                todo += [child for child in found.children if child in revisions]
            todo += self._referrers.get(digest, ())
        return reached


def needed_blobs(catalogue: Catalogue, repository: Repository, manifests: Iterable[str]) -> set[str]:
    """The digests, of manifests and blobs, without which one of ``manifests`` could not be pulled."""
    needed = set()
    for digest in manifests:
        found = catalogue.manifest(repository.name, digest)
        if found is not None:
            needed.add(digest)
            needed.update(found.blobs)
    return needed
