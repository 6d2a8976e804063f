# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bearer tokens in memory: bounded, expiring, one request for all threads that want the same (R1.63, R1.65, R1.66)."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from typing import Callable, NamedTuple

from ..model.errors import OciError

#: Tokens kept at most: each repository has its own.
KEPT = 1000

#: Realm, service, sorted scopes, user.
Key = tuple[str, str, tuple[str, ...], str]


class Token(NamedTuple):
    """A token and, on the monotonic clock, when it came and until when it is to be used."""

    value: str
    received: float
    until: float

    def lives(self, now: float, spare: float) -> bool:
        """Whether it may still be used, and for ``spare`` seconds more."""
        # A token that never lived as long as ``spare`` is good for half its life: else each upload would ask for one.
        return now + min(spare, (self.until - self.received) / 2) < self.until


class _Flight:
    # One request for a token, and those who wait for it.

    def __init__(self) -> None:
        self.done = threading.Event()
        self.token: Token | None = None
        self.error: OciError | None = None


class TokenCache:
    """Tokens by realm, service, scopes and user (R1.66): bounded, one request for all threads that want the same."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._lock = threading.Lock()
        self._tokens: OrderedDict[Key, Token] = OrderedDict()
        self._flights: dict[Key, _Flight] = {}

    def get(self, key: Key, spare: float, fetch: Callable[[], Token]) -> str:
        """The token for ``key`` with ``spare`` seconds of life, else one from ``fetch``. Raises what that raises."""
        with self._lock:
            token = self._find(key, spare)
            if token:
                return token.value
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if mine:
            return self._fly(key, flight, fetch).value
        flight.done.wait()
        if flight.token:
            return flight.token.value
        # A copy, for each thread puts its own subject into the message.
        raise copy.copy(flight.error or OciError("the request for a token was broken off"))

    def drop(self, value: str) -> None:
        """Forget a token that was refused. A newer one that took its place stays."""
        with self._lock:
            for key in [key for key, token in self._tokens.items() if token.value == value]:
                del self._tokens[key]

    def _fly(self, key: Key, flight: _Flight, fetch: Callable[[], Token]) -> Token:
        try:
            token = flight.token = fetch()
            return token
        except OciError as exc:
            flight.error = copy.copy(exc)
            raise
        finally:
            with self._lock:
                del self._flights[key]
                if flight.token:
                    self._store(key, flight.token)
            flight.done.set()

    def _store(self, key: Key, token: Token) -> None:
        self._tokens[key] = token
        self._tokens.move_to_end(key)
        if len(self._tokens) > self._kept:
            now = self._clock()
            for old in [old for old, one in self._tokens.items() if not one.lives(now, 0)]:
                del self._tokens[old]
        while len(self._tokens) > self._kept:
            self._tokens.popitem(last=False)

    def _find(self, key: Key, spare: float) -> Token | None:
        now = self._clock()
        token = self._tokens.get(key)
        if token and token.lives(now, spare):
            self._tokens.move_to_end(key)
            return token
        return None
