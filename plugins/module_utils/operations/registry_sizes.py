# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a registry holds: what its tags reach, each blob counted once (only manifests are read)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.digest import Digest
from ..model.errors import AccessDenied, ContentError, NotFound
from ..model.manifest import AnyManifest, Index
from .concurrently import each

if TYPE_CHECKING:
    from ..registry.client import RegistryClient

#: Repositories, and manifests, that are asked for before what was learnt of them is added up.
_GROUP = 64
_BATCH = 512
#: Indexes within indexes.
_DEPTH = 8

Thing = TypeVar("Thing")


@dataclass
class RepositorySize:
    """One repository. ``size`` in bytes: manifests, configs and layers that its tags reach, each once."""

    name: str
    tags: int = 0
    manifests: int = 0
    size: int = 0
    #: What could not be read is not in the numbers.
    complete: bool = True
    _seen: set[bytes] = field(default_factory=set, repr=False)

    @property
    def result(self) -> dict[str, Any]:
        """As plain values."""
        names = ("tags", "manifests", "size", "complete")
        return {"repository": self.name, **{name: getattr(self, name) for name in names}}


@dataclass
class Sizes:
    """``total``: bytes of all repositories, what they share counted once. ``missing``: those that do not exist."""

    total: int = 0
    repositories: list[RepositorySize] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def measure(
    client: RegistryClient,
    repositories: Sequence[str],
    parallel: int,
    stop: threading.Event | None = None,
    warn: Callable[[str], None] | None = None,
) -> Sizes:
    """The sizes of ``repositories``, ``parallel`` requests at once.

    One HEAD for each tag and one GET for each manifest. Memory grows by some hundred bytes for each blob of the registry,
    and by nothing else. What cannot be read is left out with a warning. Raises RegistryError, NetworkError, Cancelled.
    """
    walk = _Walk(client, parallel, stop, warn)
    for group in _in(repositories, _GROUP):
        walk.group(group)
    return walk.sizes


class _Walk:
    def __init__(
        self,
        client: RegistryClient,
        parallel: int,
        stop: threading.Event | None,
        warn: Callable[[str], None] | None,
    ) -> None:
        self.sizes = Sizes()
        self._client = client
        self._parallel = parallel
        self._stop = stop
        self._tell = warn
        self._seen: set[bytes] = set()

    def group(self, names: Sequence[str]) -> None:
        found: list[tuple[RepositorySize, str]] = []
        sizes = []
        for name, tags in zip(names, each(self._tags, names, self._parallel, self._stop)):
            if tags is None:
                self.sizes.missing.append(name)
                continue
            one = RepositorySize(name, tags=len(tags[0]), complete=tags[1])
            sizes.append(one)
            found += [(one, tag) for tag in tags[0]]
        self._follow(self._heads(found), 0)
        for one in sizes:
            # Which blobs are whose is of no use any more; that they were counted is, in self._seen.
            one._seen.clear()
        self.sizes.repositories += sizes

    def _tags(self, name: str) -> tuple[list[str], bool] | None:
        # The tags and whether these are all; None for a repository that does not exist.
        try:
            return self._client.tags(name), True
        except NotFound:
            return None
        except AccessDenied as exc:
            self._warn(exc.message)
            return [], False

    def _heads(self, found: Iterable[tuple[RepositorySize, str]]) -> Iterator[tuple[RepositorySize, Digest]]:
        # What the tags stand for, each manifest of a repository once. A tag may have gone since it was listed.
        for batch in _in(list(found), _BATCH):
            heads = each(lambda row: self._client.head_manifest(row[0].name, row[1]), batch, self._parallel, self._stop)
            for (repository, unused), head in zip(batch, heads):
                if head is not None and self._is_new(repository, head.digest):
                    yield repository, head.digest

    def _follow(self, wanted: Iterable[tuple[RepositorySize, Digest]], depth: int) -> None:
        for batch in _in(wanted, _BATCH):
            # The children of a batch before the next one, so that no more than these wait.
            children: list[tuple[RepositorySize, Digest]] = []
            for (repository, digest), manifest in zip(batch, each(self._read, batch, self._parallel, self._stop)):
                if manifest is None:
                    continue
                repository.manifests += 1
                self._count(repository, digest, manifest.size)
                if isinstance(manifest, Index):
                    children += [(repository, one.digest) for one in manifest.manifests if self._is_new(repository, one.digest)]
                    continue
                for blob in manifest.blobs():
                    if self._is_new(repository, blob.digest):
                        self._count(repository, blob.digest, blob.size)
            if depth < _DEPTH:
                self._follow(children, depth + 1)
                continue
            for repository, unused in children:
                repository.complete = False
                self._warn(f"{self._client.host}/{repository.name} has indexes of more than {_DEPTH} levels")

    def _read(self, row: tuple[RepositorySize, Digest]) -> AnyManifest | None:
        repository, digest = row
        try:
            return self._client.get_manifest(repository.name, digest)
        except NotFound:
            # Deleted meanwhile, or one of those that a sparse index lists and does not have.
            return None
        except ContentError as exc:
            repository.complete = False
            self._warn(exc.message)
            return None

    def _is_new(self, repository: RepositorySize, digest: Digest) -> bool:
        key = _key(digest)
        new = key not in repository._seen
        repository._seen.add(key)
        return new

    def _count(self, repository: RepositorySize, digest: Digest, size: int) -> None:
        repository.size += size
        key = _key(digest)
        if key not in self._seen:
            self._seen.add(key)
            self.sizes.total += size

    def _warn(self, text: str) -> None:
        if self._tell is not None:
            self._tell(f"not counted: {text}")


def _key(digest: Digest) -> bytes:
    # A third of what the text takes; the algorithms that there are differ in length.
    return bytes.fromhex(digest.hex)


def _in(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """``things`` in lists of at most ``size``."""
    batch: list[Thing] = []
    for thing in things:
        batch.append(thing)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
