# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file after another from a storage into a backup; what an earlier backup has is linked and not copied again."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence

from . import files
from .layout import LINK, Storage, is_digest

_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP)
_ATTEMPTS = 20
_PAUSE = 0.1
_FRESH_SECONDS = 60.0
_SHOWN = 100


class Copier:
    """Copies from ``source`` to ``target``.

    A blob's bytes never change, so one of the same size in one of the ``earlier`` storages is linked; in one of the
    ``unproven``, which a run that did not end has left, its bytes are hashed first, for they may never have reached the disk.
    Links of the registry are rewritten in place, so one of those has to have the same bytes and the same time.
    """

    def __init__(self, source: Storage, target: Storage, earlier: Sequence[Storage], unproven: Sequence[Storage] = ()) -> None:
        self.source, self.target, self.earlier, self.unproven = source, target, list(earlier), list(unproven)
        self.copied = {"blobs": 0, "bytes": 0}
        self.linked = {"blobs": 0, "bytes": 0}
        self.unlinkable = 0
        #: Blobs of the registry whose bytes are not those of their digest: some of them, and how many there are.
        self.damaged: list[str] = []
        self.damaged_count = 0

    def small(self, relative: str) -> bool:
        """Take over a link, or another small file; False if it is gone."""
        try:
            data, status = self._read(relative)
        except (FileNotFoundError, NotADirectoryError):
            return False
        for storage in self.earlier:
            path = storage.path(relative)
            try:
                before = os.stat(path)
                if (before.st_size, before.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
                    continue
                with open(path, "rb") as file:
                    same = file.read() == data
            except (FileNotFoundError, NotADirectoryError):
                continue
            if same and self._link(path, relative):
                return True
        target = self._place(relative)
        with open(f"{target}.new", "wb") as file:
            file.write(data)
        os.utime(f"{target}.new", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.chmod(f"{target}.new", status.st_mode & 0o7777)
        # Never written in place: the file may be one with that of an earlier backup.
        os.rename(f"{target}.new", target)
        return True

    def blob(self, digest: str) -> bool:
        """Take over a blob; False if it is not there or damaged. One that is there already is left alone."""
        relative = self.source.blob(digest)
        if os.path.exists(self.target.path(relative)):
            return True
        for attempt in range(_ATTEMPTS):
            try:
                status = os.stat(self.source.path(relative))
                if self._link_blob(relative, digest, status.st_size):
                    return True
                size = files.copy(self.source.path(relative), self._place(relative), digest)
            except (FileNotFoundError, NotADirectoryError):
                return False
            except files.Mismatch:
                if time.time() - status.st_mtime > _FRESH_SECONDS or attempt == _ATTEMPTS - 1:
                    break
                time.sleep(_PAUSE)  # a manifest that is being written this moment
                continue
            self.copied["blobs"] += 1
            self.copied["bytes"] += size
            return True
        self.damaged_count += 1
        if len(self.damaged) < _SHOWN and digest not in self.damaged:
            self.damaged.append(digest)
        return False

    def needed(self) -> tuple[int, int]:
        """How many blobs no earlier backup has, and their size in bytes."""
        blobs = size = 0
        for digest in self.source.blobs():
            relative = self.source.blob(digest)
            here = _size(self.source.path(relative))
            if here >= 0 and all(_size(one.path(relative)) != here for one in (*self.earlier, *self.unproven)):
                blobs += 1
                size += here
        return blobs, size

    def _read(self, relative: str) -> tuple[bytes, os.stat_result]:
        path = self.source.path(relative)
        for attempt in range(_ATTEMPTS):
            with open(path, "rb") as file:
                data, status = file.read(), os.fstat(file.fileno())
            if not relative.endswith(f"/{LINK}") or is_digest(data.decode("ascii", "replace")):
                break
            # distribution empties a link before it writes the new one: look again, unless it has been so for long.
            if time.time() - status.st_mtime > _FRESH_SECONDS or attempt == _ATTEMPTS - 1:
                break
            time.sleep(_PAUSE)
        return data, status

    def _link_blob(self, relative: str, digest: str, size: int) -> bool:
        for storage in (*self.earlier, *self.unproven):
            path = storage.path(relative)
            if _size(path) != size:
                continue
            if storage in self.unproven and files.digest_of(path, digest.partition(":")[0]) != digest:
                continue
            if self._link(path, relative):
                self.linked["blobs"] += 1
                self.linked["bytes"] += size
                return True
        return False

    def _link(self, path: str, relative: str) -> bool:
        target = self._place(relative)
        try:
            try:
                os.link(path, target)
            except FileExistsError:
                os.unlink(target)
                os.link(path, target)
        except OSError as exc:
            if exc.errno not in _CANNOT_LINK:
                raise
            self.unlinkable += 1
            return False
        return True

    def _place(self, relative: str) -> str:
        target = self.target.path(relative)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        return target


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return -1
