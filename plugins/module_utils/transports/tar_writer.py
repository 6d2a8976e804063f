# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tar archive that several threads write at once, and that takes its place whole or not at all (S19, S21)."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..model.digest import CHUNK
from ..model.errors import StorageError
from ..model.text import sanitise
from . import files, tar_headers

# So many bytes of a file are handed to the disk at once while the rest still comes, so that little is left to wait
# for at the end.
_WRITE_BACK = 8 * 1024 * 1024
# copy_file_range copies less than 2 GiB at once, and should come back now and then.
_COPY_AT_ONCE = 64 * 1024 * 1024
_CANNOT_COPY = frozenset(
    {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ETXTBSY, errno.EBADF}
)


@dataclass(frozen=True)
class Slot:
    """The place of one file's data in the archive."""

    name: str
    offset: int
    size: int


class TarWriter:
    """Writes the archive ``path``. Nothing exists before the first `reserve`; then a temporary file beside ``path``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._shown = sanitise(path, 300)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._handle: int | None = None
        self._temporary = ""
        self._end = 0
        self._closed = False
        self._using = 0

    @property
    def is_begun(self) -> bool:
        """Whether anything was reserved."""
        return bool(self._end)

    def reserve(self, name: str, size: int) -> Slot:
        """A place for the file ``name`` of ``size`` bytes, its header written. Raises StorageError."""
        head = tar_headers.encode(name, size)
        with self._lock:
            if self._handle is None:
                self._begin()
            start = self._end
            # What lies between the data and the next header is never written: a hole reads as zeros.
            self._end += len(head) + tar_headers.padded(size)
        self._put(head, start)
        return Slot(name, start + len(head), size)

    def add(self, name: str, data: bytes) -> Slot:
        """Write a small file. Raises StorageError."""
        slot = self.reserve(name, len(data))
        self._put(data, slot.offset)
        return slot

    def write(self, slot: Slot, position: int, data: bytes) -> None:
        """Write ``data`` at ``position`` of the file in ``slot``. Raises StorageError."""
        if position + len(data) > slot.size:
            raise StorageError(f"cannot write {self._shown}: {slot.name} is longer than the place it has")
        self._put(data, slot.offset + position)
        after = position + len(data)
        if position // _WRITE_BACK != after // _WRITE_BACK:
            begin = position // _WRITE_BACK * _WRITE_BACK
            self._start_write_back(slot.offset + begin, after - begin)

    def copy(self, slot: Slot, source: int, offset: int) -> None:
        """Fill ``slot`` from ``offset`` of the open file ``source``, in the kernel if it can. Raises StorageError."""
        copied = 0
        in_kernel = hasattr(os, "copy_file_range")
        with self._writing() as handle:
            while copied < slot.size:
                size = min(_COPY_AT_ONCE if in_kernel else CHUNK, slot.size - copied)
                if in_kernel:
                    try:
                        done = os.copy_file_range(source, handle, size, offset + copied, slot.offset + copied)
                    except OSError as exc:
                        if exc.errno not in _CANNOT_COPY:
                            raise
                        in_kernel = False
                        continue
                else:
                    data = os.pread(source, size, offset + copied)
                    done = len(data)
                    _write_all(handle, data, slot.offset + copied)
                if not done:
                    raise StorageError(f"cannot write {self._shown}: the archive it takes files from became shorter")
                copied += done

    def read(self, slot: Slot) -> bytes:
        """What was written into ``slot``. Raises StorageError."""
        with self._writing() as handle:
            data = os.pread(handle, slot.size, slot.offset)
        if len(data) != slot.size:
            raise StorageError(f"cannot read back {slot.name} of {self._shown}")
        return data

    def finish(self) -> None:
        """Put the archive in the place of what has its name, its bytes on the disk before. Raises StorageError."""
        with self._writing() as handle:
            _write_all(handle, tar_headers.END, self._end)
            self._take_over(handle)
            # What a network file system kept for itself until now is an error before the rename.
            os.fsync(handle)
            os.replace(self._temporary, self.path)
            self._temporary = ""
        self.abort()
        files.sync_directory(os.path.dirname(self.path) or ".")

    def abort(self) -> None:
        """Remove the temporary file. May be called twice, and while others write: what they write goes nowhere."""
        with self._lock:
            self._closed = True
            temporary, self._temporary = self._temporary, ""
            if temporary:
                files.remove(temporary)
            while self._using:
                self._idle.wait()
            handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _begin(self) -> None:
        directory = os.path.dirname(self.path) or "."
        if self._closed:
            raise self._gone()
        files.remove_stale(directory)
        temporary = os.path.join(directory, files.PREFIX + secrets.token_hex(8))
        with files.explained("write", self.path):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._handle = os.open(temporary, flags, 0o600)
        self._temporary = temporary

    def _gone(self) -> StorageError:
        return StorageError(f"cannot write {self._shown}: it was given up")

    @contextmanager
    def _writing(self) -> Iterator[int]:
        # The descriptor stays open as long as anyone uses it: closed, its number could be another file's.
        with self._lock:
            if self._closed or self._handle is None:
                raise self._gone()
            self._using += 1
            handle = self._handle
        try:
            with files.explained("write", self.path):
                yield handle
        finally:
            with self._lock:
                self._using -= 1
                self._idle.notify_all()

    def _put(self, data: bytes, offset: int) -> None:
        with self._writing() as handle:
            _write_all(handle, data, offset)

    def _start_write_back(self, offset: int, size: int) -> None:
        if hasattr(os, "posix_fadvise"):
            with self._writing() as handle:
                # Linux begins to write what it is told nobody will need, and drops what is written already.
                os.posix_fadvise(handle, offset, size, os.POSIX_FADV_DONTNEED)

    def _take_over(self, handle: int) -> None:
        """Give the new file the mode and, where that is permitted, the owner of the one it replaces."""
        mode = 0o644 & ~files.umask()
        try:
            old = os.lstat(self.path)
        except FileNotFoundError:
            old = None
        if old is not None and stat.S_ISREG(old.st_mode):
            mode = stat.S_IMODE(old.st_mode) & 0o777
            own = os.fstat(handle)
            if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
                try:
                    os.fchown(handle, old.st_uid, old.st_gid)
                except PermissionError:
                    # Only root may give files away. The new one is ours then, and its group another one.
                    mode &= ~0o070
        os.fchmod(handle, mode)


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, offset)
        view = view[done:]
        offset += done
