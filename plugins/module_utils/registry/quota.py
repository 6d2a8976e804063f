# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of pulls that a registry still allows, as Docker Hub tells it, and what is done when none is left (R1.75).

Docker Hub counts each GET of a manifest; a HEAD costs nothing and tells how many are left. It says so in headers of the
form ``ratelimit-remaining: 76;w=21600``: 76 pulls in a window of 21600 seconds. Other registries send headers of these
names without a window and mean something else by them, so that only those with one count here.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..model.errors import Cancelled, RateLimited

WAIT, STOP, IGNORE = "wait", "stop", "ignore"
POLICIES = (WAIT, STOP, IGNORE)

_VALUE = re.compile(r"\s*([0-9]{1,12})\s*;\s*w=([0-9]{1,9})\s*")
#: Seconds between two looks at whether pulls are allowed again.
_SHORTEST, _LONGEST = 0.5, 60.0


class Quota:
    """The pulls of one registry. Thread-safe.

    ``warn`` is told when it begins to wait, ``waited`` each time how many seconds it took. ``counts``: the registry is known
    to count before it has said so.
    """

    def __init__(
        self,
        host: str,
        policy: str,
        stop: threading.Event,
        warn: Callable[[str], None],
        waited: Callable[[float], None],
        counts: bool = False,
    ) -> None:
        self._host = host
        self._policy = policy
        self._stop = stop
        self._warn = warn
        self._waited = waited
        self._counts = counts
        self._lock = threading.Lock()
        #: Held by whoever asks first, or looks whether pulls are allowed again: the others learn from the answer.
        self._asking = threading.Lock()
        self._settled = False
        self._limit = 0
        self._window = 0
        self._remaining: int | None = None
        #: Pulls that are under way, and that were ever begun.
        self._open = 0
        self._begun = 0

    @property
    def is_metered(self) -> bool:
        """Whether the registry counts pulls, or has yet to say so: a HEAD is worth its round trip then."""
        return self._counts or self._remaining is not None or not self._settled

    @property
    def _is_unknown(self) -> bool:
        return self._remaining is None and not self._settled

    def moment(self) -> int | None:
        """Taken before a request, for `told`: the number of pulls so far, None while one is under way."""
        return None if self._open else self._begun

    def told(self, limit: str | None, remaining: str | None, moment: int | None) -> None:
        """Take in the ``ratelimit-limit`` and ``ratelimit-remaining`` of an answer, None for those it did not have."""
        stated = _VALUE.fullmatch(limit) if limit else None
        left = _VALUE.fullmatch(remaining) if remaining else None
        with self._lock:
            if stated is not None:
                self._limit = int(stated.group(1))
            if left is not None:
                self._window = int(left.group(2))
                count = int(left.group(1))
                # Answers overtake each other: if a pull was under way since the request, it may not be counted in there.
                quiet = moment == self._begun and not self._open
                known = self._remaining
                self._remaining = count if known is None or quiet else min(known, count)

    def settled(self) -> None:
        """A request for a manifest was answered: if the registry counts pulls, it has said so by now."""
        self._settled = True

    @contextmanager
    def pull(self, look: Callable[[], None]) -> Iterator[None]:
        """Around a request that counts. ``look`` sends one that does not, whose answer tells how many are left.

        Raises RateLimited where none is left and the policy is to stop, Cancelled when the task is told to stop.
        """
        if self._policy == IGNORE:
            yield
            return
        if self._counts and self._is_unknown:
            with self._asking:
                if self._is_unknown:
                    look()
                    self._settled = True
        if self._is_unknown:
            # One at a time until the registry has said whether it counts.
            with self._asking:
                if self._is_unknown:
                    with self._counted():
                        yield
                    return
        self._wait_for_one(look)
        with self._counted():
            yield

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._open += 1
            self._begun += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    def _take(self) -> bool:
        with self._lock:
            if self._remaining is None:
                return True
            if self._remaining > 0:
                self._remaining -= 1
                return True
            return False

    def _wait_for_one(self, look: Callable[[], None]) -> None:
        if self._take():
            return
        begun = time.monotonic()
        with self._asking:
            # What was told may be old, and another task of the same account may have given some back.
            while not self._take():
                look()
                if self._take():
                    break
                if self._policy == STOP:
                    raise RateLimited(
                        f"{self._words()} and none is left; nothing more was asked for. Set rate_limit to wait, log in"
                        " with an account that is allowed more, or run the task again later",
                        retry_after=self._window,
                    )
                self._warn(f"{self._words()} and none was left: the task waited for more (rate_limit: wait)")
                if self._stop.wait(self._pause()):
                    raise Cancelled("the task was told to stop")
        self._waited(time.monotonic() - begun)

    def _pause(self) -> float:
        # One pull comes back about every window / limit seconds.
        return min(_LONGEST, max(_SHORTEST, self._window / max(1, self._limit)))

    def _words(self) -> str:
        hours = self._window / 3600
        span = f"{hours:g} hours" if hours >= 1 else f"{self._window} seconds"
        return f"{self._host} allows {self._limit or 'a limited number of'} pulls in {span}"
