# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a backup back: beside what is there, verified, and then into its place in one step."""

from __future__ import annotations

import errno
import os
import time
from typing import Any

from . import cache, configuration, files, record, service
from .destination import CONFIGURATION, Destination
from .errors import BackupFailed
from .interlude import Interlude
from .layout import LINK, TOP, Storage, entries, is_digest
from .locks import held
from .record import Record
from .verify import Faults, verify_storage

_DIRECTORY_MODE = 0o750
_STAGE, _KEPT = ".longshore-restore-", ".longshore-before-"


class Restore:
    """One restore of ``name``: of the storage, and with ``config`` of users, certificates and secrets."""

    def __init__(
        self,
        record: Record,
        destination: Destination,
        interlude: Interlude,
        name: str,
        *,
        wait: float,
        stop: bool,
        config: bool,
        keep_old: bool,
    ) -> None:
        self.record, self.destination, self.interlude, self.name = record, destination, interlude, name
        self.wait, self.stop, self.config, self.keep_old = wait, stop, config, keep_old
        self.summary = destination.summary(name)
        self.rows: list[dict[str, Any]] = self.summary["configuration"]
        self.saved = f"{destination.place(name)}/{CONFIGURATION}"

    def plan(self) -> dict[str, Any]:
        """What `run` would do, from reads alone. Raises `BackupFailed` where `run` would refuse."""
        self._refuse()
        result = self._result()
        if not self.summary["config_only"]:
            root = self.record.require_storage()
            result["replaces"] = f"{root}/{TOP}" if os.path.exists(f"{root}/{TOP}") else None
        if self.config:
            result["configuration"] = configuration.differing(self.record, self.saved, self.rows)
        return result

    def run(self) -> dict[str, Any]:
        """Restore. Raises `BackupFailed`; then everything is as it was, or the message says what is not."""
        self._refuse()
        begun = time.monotonic()
        with held(self.destination.lock, self.destination.path, self.wait, shared=True):
            with held(self.record.lock, f"the storage of instance {self.record.name}", self.wait):
                self.interlude.recover()
                result = self._result()
                staged = None if self.summary["config_only"] else self._stage()
                changed = configuration.differing(self.record, self.saved, self.rows) if self.config else []
                result.update(self._put(staged, bool(changed)))
                result["configuration"] = changed
        return {**result, "seconds": round(time.monotonic() - begun, 3), "stopped_seconds": round(self.interlude.seconds, 3)}

    def _result(self) -> dict[str, Any]:
        names = ("repositories", "tags", "blobs", "bytes", "finished")
        found = {name: self.summary[name] for name in names if name in self.summary}
        return {"changed": True, "backup": self.name, "path": self.destination.place(self.name), **found}

    def _refuse(self) -> None:
        if self.summary["config_only"] and not self.config:
            raise BackupFailed(f"the backup {self.name} holds no images: ask for its users, certificates and secrets")
        for one in record.on_one_storage(self.record):
            if not (self.stop and one.control) and service.runs(one):
                how = "allow the restore to stop it" if one.control else "stop it"
                raise BackupFailed(f"instance {one.name} runs, and a restore would replace its storage: {how}")

    def _stage(self) -> str:
        """Copy the storage of the backup beside the registry's, and verify it; what an earlier try copied is kept."""
        root = self.record.require_storage()
        staged = f"{root}/{_STAGE}{self.name}"
        for entry in entries(root):
            if entry.name.startswith(_STAGE) and entry.path != staged:
                files.remove_tree(entry.path)
        source, target = self.destination.storage(self.name), Storage(staged)
        files.remove_tree(target.path(Storage.REPOSITORIES))
        try:
            _copy_tree(source.path(TOP), target.path(TOP), self.record)
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            files.remove_tree(staged)
            raise BackupFailed(f"no space left in {root}: the backup has {self.summary['bytes']} bytes") from None
        faults = Faults()
        verify_storage(target, self.summary, False, faults)
        if faults.count:
            raise BackupFailed(f"what was copied is not what the backup says, so nothing is replaced: {faults.shown[0]}")
        files.sync_file_system(staged)
        return staged

    def _put(self, staged: str | None, config: bool) -> dict[str, Any]:
        result: dict[str, Any] = {}
        kept = files.dated(f"{self.record.root}/{_KEPT}") if staged else ""
        note = {"missing": f"{self.record.root}/{TOP}", "kept": kept} if staged else {}
        back = False
        try:
            with self.interlude.stopped(self.record, **note):
                back = bool(staged) and _swap(f"{staged}/{TOP}", f"{self.record.root}/{TOP}", kept)
                if config:
                    result["kept_configuration"] = configuration.restore(self.record, self.saved, self.rows)
                cache.forget_blobs(self.record)
        except BaseException:
            if back:
                with self.interlude.stopped(self.record):
                    _swap(kept, f"{self.record.root}/{TOP}", f"{staged}/{TOP}")
            raise
        if staged:
            files.remove_tree(staged)
        if back and self.keep_old:
            result["kept"] = kept
        elif back:
            files.remove_tree(kept)
        return result


def _swap(new: str, place: str, kept: str) -> bool:
    """Put ``new`` into its place; what was there is at ``kept`` afterwards. False if nothing was there."""
    parent = os.path.dirname(place)
    if not os.path.exists(place):
        os.rename(new, place)
        files.sync_directory(parent)
        return False
    os.rename(new, kept)
    if not files.exchange(kept, place):
        # In two steps: after a crash between them the note of the interlude tells what goes where.
        os.rename(kept, new)
        os.rename(place, kept)
        os.rename(new, place)
    files.sync_directory(parent)
    return True


def _copy_tree(source: str, target: str, record: Record) -> None:
    os.makedirs(target, mode=_DIRECTORY_MODE, exist_ok=True)
    os.chmod(target, _DIRECTORY_MODE)
    files.own(target, record.uid, record.gid)
    for entry in entries(source):
        place = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            _copy_tree(entry.path, place, record)
            continue
        digest = _digest_of_place(entry.path)
        if digest and os.path.isfile(place) and files.digest_of(place, digest.partition(":")[0]) == digest:
            continue
        try:
            files.copy(entry.path, place, digest)
        except files.Mismatch:
            raise BackupFailed(f"the blob {digest} of the backup is damaged, so nothing is replaced") from None
        files.own(place, record.uid, record.gid)


def _digest_of_place(path: str) -> str | None:
    """The digest of a blob's bytes, which its path tells; None for what is no blob."""
    parts = path.split("/")
    if parts[-1] == LINK or len(parts) < 4 or parts[-1] != "data":
        return None
    digest = f"{parts[-4]}:{parts[-2]}"
    return digest if is_digest(digest) else None
