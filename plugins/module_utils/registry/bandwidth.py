# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One limit on the bytes a second that all threads and sessions of a task move together."""

from __future__ import annotations

import threading
import time

from ..model.digest import CHUNK
from ..model.errors import Cancelled

#: Seconds of the limit that may pass at once after a pause.
BURST = 0.1
#: Bytes that move at once at most, under a limit.
LARGEST_PIECE = 64 * 1024
#: What Linux lets come over a connection from the beginning.
SYSTEM_WINDOW = 128 * 1024


class Bandwidth:
    """Every byte has its moment on one time line; `take` waits for it. ``None`` as the limit means free."""

    def __init__(self, limit_bytes_per_second: int | None = None) -> None:
        self.limit = limit_bytes_per_second or None
        #: How much to move at once: little, so that many threads share a small limit evenly, and so that the kernel, whose
        #: receive window grows with what is read at once, has not let in seconds' worth before it is asked for.
        self.chunk = CHUNK if self.limit is None else max(1024, min(LARGEST_PIECE, self.limit // 128))
        window = max(16 * 1024, (self.limit or 0) // 16)
        #: What may come over one connection before it is asked for. Only a small limit needs it smaller than it begins.
        self.window = window if self.limit is not None and window < SYSTEM_WINDOW else None
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self, count: int, stop: threading.Event | None = None) -> None:
        """Wait until ``count`` bytes may move. Raises Cancelled when ``stop`` is set meanwhile."""
        if self.limit is None:
            return
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - BURST) + count / self.limit
            wait = self._next - now
        if wait <= 0:
            return
        if stop is None:
            time.sleep(wait)
        elif stop.wait(wait):
            raise Cancelled("the task was told to stop")

    def charge(self, count: int) -> None:
        """``count`` bytes have moved without asking, or move although the task is told to stop: the next ones wait."""
        if self.limit is not None:
            with self._lock:
                self._next = max(self._next, time.monotonic() - BURST) + count / self.limit

    def give_back(self, count: int) -> None:
        """``count`` of the bytes taken did not move after all."""
        if self.limit is not None and count:
            with self._lock:
                self._next -= count / self.limit
