# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a storage: whoever changes the storage or its read-only state holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator

from .errors import Busy


@contextlib.contextmanager
def held(path: pathlib.Path, wait_seconds: float) -> Iterator[int]:
    """Hold the lock; gives its descriptor, which children that touch the storage inherit.

    So the lock outlives a killed parent for as long as its collector runs, and no repair makes the registry writable
    beside it. `Busy` if somebody else has it for longer than ``wait_seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(handle, path, wait_seconds)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def respected(path: pathlib.Path) -> Iterator[None]:
    """Share the lock without making its file, for reading only; `Busy` if somebody changes the storage now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        _take(handle, path, 0, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: pathlib.Path, wait_seconds: float, kind: int = fcntl.LOCK_EX) -> None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() >= end:
            raise Busy(f"{path} is held by somebody else who works on this storage: try again when that has ended")
        time.sleep(0.1)
