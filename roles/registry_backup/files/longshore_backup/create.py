# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup of a registry that runs."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from typing import Any

from . import configuration, files
from .copier import Copier
from .destination import CONFIGURATION, STORAGE, Destination
from .errors import BackupFailed
from .interlude import Interlude
from .layout import Storage
from .locks import held
from .record import Record
from .snapshot import Snapshot

_SPARE = 16 * 1024 * 1024
#: Of runs that did not end, the newest few are of use.
_LEFTOVERS = 2


class Create:
    """One backup: the storage (unless ``config_only``) and the configuration of an instance."""

    def __init__(
        self,
        record: Record,
        destination: Destination,
        interlude: Interlude,
        *,
        keep: int,
        wait: float,
        readonly: bool,
        config_only: bool,
        further: Sequence[str],
    ) -> None:
        self.record, self.destination, self.interlude = record, destination, interlude
        self.keep, self.wait = keep, wait
        self.readonly, self.config_only, self.further = readonly, config_only, further
        self.warnings: list[str] = []

    def plan(self) -> dict[str, Any]:
        """What `run` would do, from reads alone."""
        result: dict[str, Any] = {"changed": True, "removed": self.destination.surplus(self.keep, new=1)}
        if not self.config_only:
            source = Storage(self.record.require_storage())
            blobs, size = self._copier(source, "plan").needed()
            result["copied"] = {"blobs": blobs, "bytes": size}
        return result

    def run(self) -> dict[str, Any]:
        """Make it, and remove what is more than ``keep``. Raises `BackupFailed`."""
        begun = time.time()
        if not self.config_only:
            self.record.require_storage()
        self.destination.prepare()
        with held(self.destination.lock, self.destination.path, self.wait):
            with held(self.record.lock, f"the storage of instance {self.record.name}", self.wait):
                self.interlude.recover()
                for leftover in self.destination.partials()[_LEFTOVERS:]:
                    self.destination.retire(leftover)
                name = self.destination.begin()
                partial = self.destination.partial(name)
                try:
                    summary = self._fill(name, partial, begun)
                    self.destination.complete(name, summary)
                except OSError as exc:
                    if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    # What is half done would keep the disk full.
                    files.remove_tree(self.destination.place(partial))
                    raise BackupFailed(
                        f"no space left in {self.destination.path}: free some, or keep fewer backups. Earlier backups are whole."
                    ) from None
            for leftover in self.destination.partials():
                self.destination.retire(leftover)
            removed = self.destination.surplus(self.keep)
            for old in removed:
                self.destination.retire(old)
        return {**summary, "changed": True, "backup": name, "path": self.destination.place(name), "removed": removed}

    def _fill(self, name: str, partial: str, begun: float) -> dict[str, Any]:
        place = self.destination.place(partial)
        summary: dict[str, Any] = {
            "version": 1,
            "instance": self.record.name,
            "url": self.record.url,
            "storage": self.record.storage,
            "config_only": self.config_only,
            "started": _time(begun),
        }
        rows = configuration.save(self.record, self.further, f"{place}/{CONFIGURATION}")
        summary["configuration"] = rows
        if not self.config_only:
            summary.update(self._copy_storage(partial))
        summary.update(
            finished=_time(time.time()),
            finished_seconds=int(time.time()),
            seconds=round(time.time() - begun, 3),
            readonly_seconds=round(self.interlude.seconds, 3),
            warnings=self.warnings,
        )
        return summary

    def _copier(self, source: Storage, partial: str) -> Copier:
        previous = self.destination.newest_with_storage()
        earlier = [self.destination.storage(previous)] if previous else []
        leftovers = self.destination.partials() if os.path.isdir(self.destination.path) else []
        unproven = [self.destination.storage(one) for one in leftovers if one != partial]
        return Copier(source, self.destination.storage(partial), earlier, unproven)

    def _copy_storage(self, partial: str) -> dict[str, Any]:
        source = Storage(self.record.require_storage())
        copier = self._copier(source, partial)
        blobs, size = copier.needed()
        free = os.statvfs(self.destination.path)
        if size + _SPARE > free.f_bavail * free.f_frsize:
            raise OSError(errno.ENOSPC, f"{blobs} blobs of {size} bytes are to be copied")
        os.makedirs(f"{self.destination.place(partial)}/{STORAGE}", mode=0o700)
        snapshot = Snapshot(copier)
        with self.interlude.readonly(self.record) if self.readonly else contextlib.nullcontext():
            snapshot.copy_tags()
            snapshot.copy_links()
        snapshot.copy_blobs()
        broken = snapshot.settle()
        counted = count(copier.target)
        if copier.unlinkable:
            self.warnings.append(
                f"{self.destination.path} cannot hold the same file twice (hard links), so everything was copied again"
            )
        if broken:
            self.warnings.append(f"{len(broken)} tags are broken in the registry itself, and so in the backup")
        if copier.damaged_count:
            self.warnings.append(f"{copier.damaged_count} blobs are damaged in the registry itself, and are not in the backup")
        return {
            "repositories": snapshot.repositories,
            "tags": snapshot.tags,
            **counted,
            "copied": copier.copied,
            "linked": copier.linked,
            "broken_in_registry": broken,
            "damaged_in_registry": copier.damaged,
        }


def count(storage: Storage) -> dict[str, int]:
    """How many blobs a storage has, and their size in bytes."""
    blobs = size = 0
    for digest in storage.blobs():
        blobs += 1
        size += os.stat(storage.path(storage.blob(digest))).st_size
    return {"blobs": blobs, "bytes": size}


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
