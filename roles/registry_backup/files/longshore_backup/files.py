# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there at all, and directories that change places in one step."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import time
from typing import Any

_BUFFER = 1024 * 1024
_AT_FDCWD = -100
_EXCHANGE = 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class Mismatch(Exception):
    """The bytes of a file are not those that its name promises."""


def copy(source: str, target: str, digest: str | None = None) -> int:
    """Copy a file with its mode and times, under another name until it is whole; returns its size in bytes.

    With ``digest`` the bytes are hashed on the way. Raises `Mismatch`, and leaves nothing then.
    """
    new = f"{target}.new"
    algorithm = hashlib.new(digest.partition(":")[0]) if digest else None
    size = 0
    buffer = memoryview(bytearray(_BUFFER))
    try:
        with open(source, "rb", buffering=0) as reader, open(new, "wb", buffering=0) as writer:
            while True:
                count = reader.readinto(buffer)
                if not count:
                    break
                if algorithm:
                    algorithm.update(buffer[:count])
                written = 0
                while written < count:
                    written += writer.write(buffer[written:count]) or 0
                size += count
            status = os.fstat(reader.fileno())
            os.fchmod(writer.fileno(), status.st_mode & 0o7777)
            os.utime(writer.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        if digest and algorithm and algorithm.hexdigest() != digest.partition(":")[2]:
            raise Mismatch(digest)
        os.rename(new, target)
    except BaseException:
        remove(new)
        raise
    return size


def digest_of(path: str, name: str = "sha256") -> str:
    """The digest of a file's bytes."""
    algorithm = hashlib.new(name)
    buffer = memoryview(bytearray(_BUFFER))
    with open(path, "rb", buffering=0) as reader:
        while True:
            count = reader.readinto(buffer)
            if not count:
                return f"{name}:{algorithm.hexdigest()}"
            algorithm.update(buffer[:count])


def write(path: str, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` into a file in one step: after a crash it holds what it held before, or all of this."""
    new = f"{path}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        remove(new)
        raise
    sync_directory(os.path.dirname(path))


def write_json(path: str, value: Any, mode: int = 0o600) -> None:
    """`write` a value as JSON."""
    write(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode(), mode)


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def dated(prefix: str, *suffixes: str) -> str:
    """A path that begins with ``prefix``, ends with the time, and is not there: two in one second get different ones.

    With ``suffixes`` none of the paths that end in one of them is there either.
    """
    path = stamped = f"{prefix}{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}"
    number = 1
    while any(os.path.lexists(path + suffix) for suffix in ("", *suffixes)):
        number += 1
        path = f"{stamped}-{number}"
    return path


def remove_tree(path: str) -> None:
    """Remove a directory and all in it, if it is there."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def sync_directory(path: str) -> None:
    """Have a directory's names on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: str) -> None:
    """Have all that was written to the file system of ``path`` on the disk: one call for any number of files."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        os.sync()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if library.syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


def exchange(first: str, second: str) -> bool:
    """Have two directories change places in one step; False where the system cannot do that."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    if library.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _EXCHANGE):
        code = ctypes.get_errno()
        if code in _NO_EXCHANGE:
            return False
        raise OSError(code, os.strerror(code), first)
    return True


def own(path: str, uid: int, gid: int) -> None:
    """Give a path to somebody, as far as it is not his already."""
    status = os.lstat(path)
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid, follow_symlinks=False)
