# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that end with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from .errors import BackupFailed


@contextlib.contextmanager
def held(path: str, what: str, wait: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file, waiting for at most ``wait`` seconds. Raises `BackupFailed`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        if exc.errno != errno.EROFS or not shared:
            raise
        yield  # what nobody can write to needs no lock to be read
        return
    try:
        end = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise BackupFailed(
                        f"{what} is in use by another process, and was so for {wait:.0f} s: {path} is locked. "
                        "Garbage collection, a backup or a restore is running; try again later."
                    ) from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)
