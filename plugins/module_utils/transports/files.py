# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local files, written whole or not at all and read without following links (rules S13, S21)."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK
from ..model.errors import ArchiveError, NotFound, SizeMismatch, StorageError
from ..model.streams import BlobStream, Readable
from ..model.text import sanitise, size_words

#: Every temporary file of ours begins like this.
PREFIX = ".longshore-"
#: A temporary file that nobody wrote to for so long (in seconds) belongs to a run that was killed.
STALE = 24 * 3600
_LOCK_PATIENCE = 120.0
_MASK: list[int] = []
_MASK_LOCK = threading.Lock()

_WORDS = {
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the file system or the limits of the process allow",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "no such file or directory",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ELOOP: "too many symbolic links",
    errno.EIO: "the device reports an error",
    errno.ENOLCK: "the file system cannot lock files",
    errno.ENOTSUP: "the file system does not support it",
    errno.ETXTBSY: "the file is being executed",
}


def failure(exc: OSError, verb: str, path: str) -> StorageError:
    """``exc`` as one sentence: ``cannot <verb> <path>: <why>``."""
    why = _WORDS.get(exc.errno or 0) or sanitise(exc.strerror or type(exc).__name__, 120)
    return StorageError(f"cannot {verb} {sanitise(path, 300)}: {why}")


@contextmanager
def explained(verb: str, path: str) -> Iterator[None]:
    """Turn every OSError of the block into the StorageError that `failure` makes."""
    try:
        yield
    except OSError as exc:
        raise failure(exc, verb, path) from exc


def open_regular(path: str, what: str) -> tuple[int, int]:
    """A descriptor for reading the regular file ``path``, and its size in bytes.

    Raises NotFound if there is none, ArchiveError for a symbolic link, a device and so on (S13), StorageError.
    """
    try:
        # O_NONBLOCK: a FIFO put there by someone must not hold us up; it means nothing for regular files.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFound(f"{what} does not exist: there is no file {sanitise(path, 300)}") from None
    except OSError as exc:
        if exc.errno == errno.ELOOP and os.path.islink(path):
            raise ArchiveError(f"{what} is a symbolic link, which is not followed: {sanitise(path, 300)}") from None
        if exc.errno in (errno.ENXIO, errno.ENODEV):
            raise ArchiveError(f"{what} is not a regular file: {sanitise(path, 300)}") from None
        raise failure(exc, "read", path) from exc
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ArchiveError(f"{what} is not a regular file: {sanitise(path, 300)}")
    return handle, status.st_size


def regular_size(path: str) -> int | None:
    """The size in bytes of the regular file ``path``; None if there is none. Raises StorageError."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise failure(exc, "read", path) from exc
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def read_file(path: str, limit: int, what: str) -> bytes:
    """The whole of a small file. Raises as `open_regular`, and ArchiveError if it has more than ``limit`` bytes."""
    handle, size = open_regular(path, what)
    try:
        if size > limit:
            raise ArchiveError(f"{what} has {size} bytes, more than the {limit} allowed: {sanitise(path, 300)}")
        with explained("read", path), os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(handle)
    if len(data) > limit:
        raise ArchiveError(f"{what} grew while it was read: {sanitise(path, 300)}")
    return data


class FileStream:
    """A BlobStream over a regular file, from ``offset``; ``size`` is of the whole file. Raises as `open_regular`."""

    def __init__(self, path: str, what: str, offset: int = 0) -> None:
        self._path = path
        self._handle: int | None
        self._handle, self.size = open_regular(path, what)
        if offset:
            os.lseek(self._handle, offset, os.SEEK_SET)

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end of the file. Raises StorageError."""
        if self._handle is None:
            raise StorageError(f"cannot read {sanitise(self._path, 300)}: it was closed")
        with explained("read", self._path):
            return os.read(self._handle, size)

    def close(self) -> None:
        """Close the file. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def open_blob(path: str, descriptor: Descriptor, place: str, offset: int = 0) -> BlobStream:
    """The blob in the file ``path`` of ``place`` from ``offset``, or what its descriptor has of it. Raises as `open_regular`,
    and SizeMismatch."""
    what = f"blob {descriptor.digest} of {place}"
    try:
        stream = FileStream(path, what, offset)
    except NotFound:
        if descriptor.data is None:
            raise
        return io.BytesIO(descriptor.data[offset:])
    if stream.size != descriptor.size:
        stream.close()
        raise SizeMismatch(f"{what} has {stream.size} bytes, its descriptor says {descriptor.size}")
    return stream


class NewFile:
    """A file that appears under its name whole: written beside it with mode 0600, then renamed (S21).

    Used as ``with NewFile(path) as file: file.write(...); file.keep()``. Without `keep` nothing is left of it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary = os.path.join(os.path.dirname(path), PREFIX + secrets.token_hex(8))
        self._handle: int | None = None

    def __enter__(self) -> NewFile:
        with explained("write", self.path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._handle = os.open(self._temporary, flags, 0o600)
        return self

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises StorageError."""
        with explained("write", self.path):
            view = memoryview(data)
            while view:
                view = view[os.write(self._open(), view) :]

    def keep(self, durable: bool = True, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
        """Put the file in place of whatever has its name. ``durable``: its bytes are on the disk before.

        ``owner``: user and group it shall belong to.
        """
        handle = self._open()
        with explained("write", self.path):
            if owner is not None:
                os.fchown(handle, *owner)
            os.fchmod(handle, mode & ~umask())
            if durable:
                _flush(handle)
            self._handle = None
            # An error that the file system kept until now must be seen before the rename.
            os.close(handle)
            os.replace(self._temporary, self.path)
        self._temporary = ""

    def __exit__(self, *unused: object) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
        if self._temporary:
            remove(self._temporary)

    def _open(self) -> int:
        if self._handle is None:
            raise StorageError(f"cannot write {sanitise(self.path, 300)}: it is not open")
        return self._handle


def write_file(path: str, data: bytes, durable: bool = True) -> None:
    """Make ``path`` hold ``data``: the whole of it or what it held before."""
    with NewFile(path) as file:
        file.write(data)
        file.keep(durable)


def write_stream(path: str, stream: Readable, durable: bool = True) -> None:
    """Make ``path`` hold all that ``stream`` gives. What ``stream`` raises leaves nothing behind."""
    with NewFile(path) as file:
        while True:
            data = stream.read(CHUNK)
            if not data:
                break
            file.write(data)
        file.keep(durable)


def remove(path: str) -> None:
    """Remove the file ``path``; it may be gone already. Raises StorageError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise failure(exc, "remove", path) from exc


def make_directories(path: str) -> list[str]:
    """Create the directory and those above it. The ones that were not there, outermost first. Raises StorageError."""
    if os.path.isdir(path):
        return []
    parent = os.path.dirname(path.rstrip("/"))
    made = make_directories(parent) if parent and parent != path else []
    try:
        os.mkdir(path)
    except FileExistsError:
        if os.path.isdir(path):
            return made
        raise StorageError(f"cannot create the directory {sanitise(path, 300)}: a file has that name") from None
    except OSError as exc:
        raise failure(exc, "create the directory", path) from exc
    return [*made, path]


def remove_empty(path: str) -> bool:
    """Remove the directory ``path`` if nothing is in it; False if something is. It may be gone. Raises StorageError."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise failure(exc, "remove", path) from exc
    return True


def sync_directory(path: str) -> None:
    """Make the renames in ``path`` last. Raises StorageError."""
    with explained("write", path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError as exc:
            # Some network file systems cannot do this for directories; their renames are synchronous.
            if exc.errno != errno.EINVAL:
                raise
        finally:
            os.close(handle)


def listed(path: str) -> list[str]:
    """The names in the directory ``path`` without our temporary files; none if there is no directory."""
    try:
        return [name for name in os.listdir(path) if not name.startswith(PREFIX)]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise failure(exc, "read", path) from exc


def remove_stale(path: str) -> None:
    """Remove what killed runs left in the directory ``path``: temporary files of ours older than `STALE`."""
    limit = time.time() - STALE
    with explained("read", path), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_mtime < limit:
                    remove(entry.path)


def need(path: str, size: int) -> None:
    """Raise StorageError unless ``size`` bytes and 5 % fit where ``path`` is, or will be."""
    place = os.path.abspath(path)
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    with explained("read", place):
        status = os.statvfs(place)
    free = status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)
    wanted = size * 105 // 100
    # File systems without a fixed size report no blocks at all.
    if status.f_blocks and wanted > free:
        raise StorageError(
            f"not enough space on {sanitise(place, 300)}: {size_words(wanted)} needed, {size_words(free)} free"
        )


@contextmanager
def locked(path: str, patience: float = _LOCK_PATIENCE) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``, created if needed, against threads and processes alike.

    Waits ``patience`` seconds at most, then raises StorageError.
    """
    handle = _lock(path, patience)
    try:
        yield
    finally:
        os.close(handle)


def _lock(path: str, patience: float) -> int:
    deadline = time.monotonic() + patience
    pause = 0.002
    while True:
        with explained("lock", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed the file with the directory.
            if _same_file(handle, path):
                return handle
            os.close(handle)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() > deadline:
                raise StorageError(f"another process has held the lock {sanitise(path, 300)} for too long") from None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        except OSError as exc:
            os.close(handle)
            raise failure(exc, "lock", path) from exc


def _same_file(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def umask() -> int:
    """The mask of the process as it was when first asked for.

    It can only be read by setting it: once, and for that moment to the one that permits least.
    """
    with _MASK_LOCK:
        if not _MASK:
            _MASK.append(os.umask(0o077))
            os.umask(_MASK[0])
    return _MASK[0]


def _flush(handle: int) -> None:
    # fdatasync leaves out the times, which nobody needs; macOS does not have it.
    getattr(os, "fdatasync", os.fsync)(handle)
