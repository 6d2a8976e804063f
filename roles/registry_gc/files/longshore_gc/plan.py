# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collection would delete, found out from reads alone, and whether that may go."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import commands, private, seen, untagged, uploads
from .catalogue import Catalogue, Repository
from .errors import CollectError, Empty, RailHit, Refused
from .files import Files
from .output import Collection, parse
from .reach import needed_blobs
from .record import Instance
from .remote import Remote
from .settings import Settings
from .untagged import Candidate
from .uploads import Upload

_NOTHING = re.compile(r"Path not found: \S*/docker/registry/v2/(repositories|blobs)$")


class Plan(NamedTuple):
    """What would go: ``blobs`` with what ``untagged`` manifests alone hold, and how the storage looks.

    ``sizes`` has those blobs whose size is known, ``total_bytes`` is None where nothing tells it.
    """

    repositories: list[Repository]
    marked: int
    blobs: frozenset[str]
    sizes: dict[str, int]
    total_bytes: int | None
    untagged: list[Candidate]
    links: int
    uploads: list[Upload]

    @property
    def empty(self) -> bool:
        """Whether nothing would go."""
        return not (self.blobs or self.untagged or self.uploads)

    @property
    def promised(self) -> int:
        """The bytes of the blobs that would go, as far as they are known."""
        return sum(self.sizes.values())


@contextlib.contextmanager
def looking(
    instance: Instance, settings: Settings, lock: int | None, announce: private.Announce
) -> Iterator[tuple[Catalogue, Collection]]:
    """The storage, and what the collector says of it."""
    collection = dry_run(instance, lock)
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(reading(instance, settings, announce, collection.revisions)), collection


@contextlib.contextmanager
def reading(
    instance: Instance, settings: Settings, announce: private.Announce, revisions: dict[str, list[str]]
) -> Iterator[Catalogue]:
    """The storage. ``revisions`` tells of one that cannot be walked what manifests there are."""
    if instance.root is not None:
        yield Files(instance.root)
        return
    sightings = seen.read(settings, instance)
    with private.serving(instance, announce, delete=False, seconds=settings.start_timeout_seconds) as endpoint:
        yield Remote(endpoint, revisions, sightings, time.time())


def make(catalogue: Catalogue, collection: Collection, instance: Instance, settings: Settings, *, live: bool) -> Plan:
    """Put together what would go; `Refused` if a manifest that stays needs it.

    While the registry is ``live``, that is no error but a push that ended after the collector had looked.
    """
    repositories = catalogue.repositories()
    gone = []
    if settings.untagged:
        gone = untagged.candidates(catalogue, repositories, time.time() - settings.untagged_age_hours * 3600)
    kept = untagged.without(repositories, gone)
    marks = {blob for one in kept for blob in _marks(catalogue, one)}
    leaving: dict[str, set[str]] = {}
    for candidate in gone:
        leaving.setdefault(candidate.repository, set()).add(candidate.digest)
    released = {blob for one in repositories for blob in _marks(catalogue, one, leaving.get(one.name, set()))}
    blobs = collection.blobs | (released - marks)
    sizes = catalogue.sizes(set(blobs))
    if instance.root is not None:
        # What a manifest names need not be there.
        blobs = frozenset(sizes)
    if live:
        blobs -= {blob for one in kept for blob in needed_blobs(catalogue, one, one.revisions)}
        sizes = {digest: size for digest, size in sizes.items() if digest in blobs}
    _refuse_needed(catalogue, kept, blobs)
    return Plan(
        repositories,
        collection.marked,
        frozenset(blobs),
        sizes,
        catalogue.total_bytes(),
        gone,
        collection.links,
        uploads.abandoned(catalogue, settings.uploads_age_hours) if isinstance(catalogue, Files) else [],
    )


def dry_run(instance: Instance, lock: int | None) -> Collection:
    """What ``garbage-collect`` would delete now; `Empty` if there is no repository or no blob, which it takes for an error."""
    try:
        return commands.run(instance, ["garbage-collect", "--dry-run", str(instance.readwrite)], lock, parse)
    except CollectError as error:
        if _NOTHING.search(str(error)):
            raise Empty("the registry is empty") from error
        raise


def sweep(instance: Instance, lock: int) -> Collection:
    """Let ``garbage-collect`` delete. Plain: it takes what no manifest names, and never a manifest."""
    return commands.run(instance, ["garbage-collect", str(instance.readwrite)], lock, parse)


def respect_rails(plan: Plan, settings: Settings) -> None:
    """`RailHit` if more would go than is allowed."""
    hit = []
    if settings.max_manifests is not None and len(plan.untagged) > settings.max_manifests:
        hit.append(f"{len(plan.untagged)} manifests (registry_gc_max_manifests is {settings.max_manifests})")
    if settings.max_bytes is not None and plan.promised > settings.max_bytes:
        hit.append(f"{plan.promised} bytes (registry_gc_max_bytes is {settings.max_bytes})")
    percent = share(plan)
    if settings.max_percent is not None and percent > settings.max_percent:
        hit.append(f"{percent:.1f} % of the registry (registry_gc_max_percent is {settings.max_percent})")
    if hit:
        what = " and ".join(hit)
        raise RailHit(f"nothing was deleted, as {what} would go: look at the dry run, and raise the limit if that is right")


def share(plan: Plan) -> float:
    """How many percent of the bytes would go; of the blobs, where bytes are not known."""
    if plan.total_bytes is not None:
        return 100 * plan.promised / plan.total_bytes if plan.total_bytes else 0.0
    count = plan.marked + len(plan.blobs)
    return 100 * len(plan.blobs) / count if count else 0.0


def _marks(catalogue: Catalogue, repository: Repository, only: set[str] | None = None) -> Iterator[str]:
    """The digests that a repository's manifests keep: their own, and those they name."""
    for digest in repository.revisions if only is None else only:
        yield digest
        found = catalogue.manifest(repository.name, digest)
        if found is not None:
            yield from found.blobs
            yield from found.children


def _refuse_needed(catalogue: Catalogue, kept: list[Repository], blobs: frozenset[str]) -> None:
    for repository in kept:
        lost = needed_blobs(catalogue, repository, repository.revisions) & blobs
        if lost:
            raise Refused(
                f"the collector would delete {len(lost)} blobs that manifests of {repository.name} need, such as {min(lost)}: "
                "it overlooks a part of the storage; nothing was deleted"
            )
