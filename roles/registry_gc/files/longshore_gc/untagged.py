# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests that nothing reaches, and their removal."""

from __future__ import annotations

from typing import NamedTuple

from .catalogue import Catalogue, Repository
from .errors import CollectError
from .probe import Endpoint
from .reach import Reach


class Candidate(NamedTuple):
    """A manifest of a repository that may go."""

    repository: str
    digest: str


def candidates(catalogue: Catalogue, repositories: list[Repository], younger_than: float) -> list[Candidate]:
    """The manifests that no tag, kept index or referrer reaches and that did not come after ``younger_than`` (a time).

    This is never left to ``garbage-collect --delete-untagged``, which takes children of tagged indexes along. A
    repository without a place for tags keeps everything, since it cannot be told from one that lost it. What came
    recently keeps what it names: its push may still be going on.
    """
    found = []
    for repository in repositories:
        if repository.tags is None:
            continue
        young = [digest for digest, came in repository.revisions.items() if came > younger_than]
        kept = Reach(catalogue, repository).of([*repository.tags.values(), *young])
        found += [Candidate(repository.name, digest) for digest in sorted(repository.revisions) if digest not in kept]
    return found


def without(repositories: list[Repository], gone: list[Candidate]) -> list[Repository]:
    """The repositories as they are once ``gone`` has gone."""
    removed = set(gone)
    return [
        one._replace(
            revisions={digest: came for digest, came in one.revisions.items() if Candidate(one.name, digest) not in removed}
        )
        for one in repositories
    ]


def remove(endpoint: Endpoint, gone: list[Candidate]) -> None:
    """Delete the manifests through a private registry."""
    for one in gone:
        answer = endpoint.request("DELETE", f"/v2/{one.repository}/manifests/{one.digest}")
        if answer.status not in (202, 404):
            said = answer.body[:300].decode(errors="replace")
            raise CollectError(f"deleting {one.repository}@{one.digest} was answered with {answer.status}: {said}")
