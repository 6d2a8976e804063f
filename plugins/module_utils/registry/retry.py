# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When to ask again: which answers pass, how long to wait, and a gate a host that all workers respect (section 4.1)."""

from __future__ import annotations

import random
import threading
import time
from email.utils import parsedate_to_datetime

from ..model.errors import Cancelled

#: Answers that may be another a moment later.
TRANSIENT = frozenset((408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524))
#: Answers by which a server says that it did not act on the request at all.
REFUSED_FOR_NOW = frozenset((429, 503))

BASE = 0.5
CAP = 30.0
#: Seconds over which workers that waited for the same gate spread.
SPREAD = 0.25


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds a ``Retry-After`` header asks for; None if it is missing, in the past or nonsense (R1.74).

    ``now``: seconds since the epoch, to compare an HTTP-date with.
    """
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    wait = moment - (time.time() if now is None else now)
    return wait if wait > 0 else None


class Backoff:
    """The waits of one request: full jitter below a ceiling that doubles, never shorter than the one before."""

    def __init__(self, base: float = BASE, cap: float = CAP) -> None:
        self._ceiling = base
        self._cap = cap
        self._last = 0.0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        self._last = max(self._last, random.uniform(0, self._ceiling))
        self._ceiling = min(self._ceiling * 2, self._cap)
        return self._last


class Gate:
    """What a host has said about being asked: no worker goes through before the moment it named (R1.74)."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._opens = 0.0

    def close_for(self, seconds: float) -> None:
        """Nobody asks for the next ``seconds``. A later moment that was named before stays."""
        self._opens = max(self._opens, time.monotonic() + seconds)

    def pass_through(self) -> None:
        """Wait until the gate is open. Raises Cancelled when the task is told to stop meanwhile."""
        wait = self._opens - time.monotonic()
        while wait > 0:
            # Workers that wake together would be refused together.
            self.sleep(wait + random.uniform(0, min(SPREAD, wait)))
            wait = self._opens - time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Cancelled when the task is told to stop meanwhile."""
        if self._stop.wait(seconds):
            raise Cancelled("the task was told to stop")
