# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which manifests of a repository something keeps: tags, indexes, referrers."""

from __future__ import annotations

from collections.abc import Iterable

from .catalogue import Catalogue, Repository


def reachable(catalogue: Catalogue, repository: Repository, roots: Iterable[str]) -> set[str]:
    """The revisions of ``repository`` that ``roots`` reach.

    From an index to its children, however deep, and from a manifest to those whose ``subject`` it is. The fallback tags
    of referrers and cosign's tags are tags, so what they name is reached as everything tagged is. A child that this
    repository lost is not followed: here it cannot be pulled anyway.
    """
    reached: set[str] = set()
    referrers = _referrers(catalogue, repository)
    todo = [digest for digest in roots if digest in repository.revisions]
    while todo:
        digest = todo.pop()
        if digest in reached:
            continue
        reached.add(digest)
        found = catalogue.manifest(repository.name, digest)
        if found is not None:
            todo += [child for child in found.children if child in repository.revisions]
        todo += referrers.get(digest, ())
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


def _referrers(catalogue: Catalogue, repository: Repository) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for digest in repository.revisions:
        references = catalogue.manifest(repository.name, digest)
        if references is not None and references.subject is not None:
            found.setdefault(references.subject, []).append(digest)
    return found
