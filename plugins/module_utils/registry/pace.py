# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One limit on the requests a second that a task sends to each host, whatever thread, end or session sends them."""

from __future__ import annotations

import threading
import time

from ..model.errors import Cancelled


class Pace:
    """Requests to one host: a bucket of one token that fills at ``rate`` a second, so that they go out evenly."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self, stop: threading.Event) -> None:
        """Wait until the next request may go out. Raises Cancelled when ``stop`` is set meanwhile.

        Every request gets its moment at once, so that waiting threads do not wake for each other.
        """
        with self._lock:
            now = time.monotonic()
            moment = max(self._next, now)
            self._next = moment + self._gap
        if moment > now and stop.wait(moment - now):
            raise Cancelled("the task was told to stop")


class Paces:
    """The pace of every host that a task meets. ``rate`` None means free."""

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._paces: dict[tuple[str, int], Pace] = {}

    def of(self, host: str, port: int) -> Pace | None:
        """What requests to ``host`` have to ask; None where they need not. Both ends of a task share it."""
        if self.rate is None:
            return None
        with self._lock:
            pace = self._paces.get((host, port))
            if pace is None:
                pace = self._paces[host, port] = Pace(self.rate)
            return pace
