# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is every tag as complete as it was? Asked of the storage, with nothing that remembers in between."""

from __future__ import annotations

from .catalogue import Catalogue, Repository
from .reach import Reach

Tag = tuple[str, str]


def choose(repositories: list[Repository], limit: int) -> list[Tag]:
    """The tags to look at: all of them, or ``limit`` spread over all."""
    tags = [(one.name, tag) for one in repositories for tag in sorted(one.tags or ())]
    if limit and len(tags) > limit:
        return [tags[number * len(tags) // limit] for number in range(limit)]
    return tags


def completeness(catalogue: Catalogue, repositories: list[Repository], tags: list[Tag]) -> dict[Tag, bool]:
    """For each of ``tags`` that is there, whether everything that it reaches can be pulled."""
    found: dict[Tag, bool] = {}
    known: dict[Tag, bool] = {}
    wanted: dict[str, list[str]] = {}
    for repository, tag in tags:
        wanted.setdefault(repository, []).append(tag)
    for one in repositories:
        reach = Reach(catalogue, one) if one.name in wanted else None
        for tag in wanted.get(one.name, ()):
            digest = (one.tags or {}).get(tag)
            if reach is not None and digest is not None:
                found[one.name, tag] = _complete(catalogue, one.name, reach.of([digest]), known)
    return found


def lost(before: dict[Tag, bool], after: dict[Tag, bool]) -> list[str]:
    """The tags that were complete and are not."""
    return [f"{repository}:{tag}" for (repository, tag), whole in before.items() if whole and not after.get((repository, tag))]


def _complete(catalogue: Catalogue, repository: str, reached: set[str], known: dict[Tag, bool]) -> bool:
    """Whether all of ``reached`` is there, which is at least one manifest."""
    for digest in reached:
        if (repository, digest) not in known:
            found = catalogue.manifest(repository, digest)
            known[repository, digest] = found is not None and all(catalogue.has_blob(repository, blob) for blob in found.blobs)
        if not known[repository, digest]:
            return False
    return bool(reached)
