# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the manifests of one task are written where images share some of them.

Distribution 2.8 writes the link of a manifest anew with every PUT of it, and refuses an index whose child has an empty link
at that moment. So nothing writes a manifest while an index that lists it is written, and the other way round. Two indexes
that share children do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model.digest import Digest
from ..transports.base import ImageDestination
from .scheduler import Job

_Key = tuple[int, Digest]


class Order:
    """Used by one thread, the one that adds the jobs; each waits only for jobs that were added before it."""

    def __init__(self) -> None:
        self._writers: dict[_Key, Job] = {}
        self._readers: dict[_Key, list[Job]] = {}
        self._written: set[_Key] = set()

    def before(self, destination: ImageDestination, digest: Digest, listed: Iterable[Digest]) -> list[Job]:
        """The jobs that have to be over, however they end, before the manifest is written that lists ``listed``."""
        key = (id(destination), digest)
        found = [self._writers.get(key), *self._readers.get(key, ())]
        found += [self._writers.get((id(destination), one)) for one in listed]
        return [job for job in dict.fromkeys(found) if job is not None and not job.finished]

    def note(self, destination: ImageDestination, digest: Digest, listed: Iterable[Digest], job: Job) -> None:
        """``job`` writes the manifest, after `before`."""
        key = (id(destination), digest)
        self._writers[key] = job
        self._readers.pop(key, None)
        for one in listed:
            self._readers.setdefault((id(destination), one), []).append(job)

    def forget_finished(self) -> None:
        """Let go of jobs that nobody has to wait for any more."""
        self._writers = {key: job for key, job in self._writers.items() if not job.finished}
        open_readers = ((key, [job for job in jobs if not job.finished]) for key, jobs in self._readers.items())
        self._readers = {key: jobs for key, jobs in open_readers if jobs}

    def arrived(self, destination: ImageDestination, digest: Digest) -> None:
        """The manifest was written. Called by any thread."""
        self._written.add((id(destination), digest))

    def has_arrived(self, destination: ImageDestination, digest: Digest) -> bool:
        """Whether this task has written the manifest already."""
        return (id(destination), digest) in self._written
