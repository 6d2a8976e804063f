# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task has used of the network, counted over all its sessions and threads."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable

from ..model.text import sanitise

#: Characters of warning texts kept from one response (R1.73).
WARNING_LIMIT = 4096

# warn-code 299, warn-agent "-", one quoted-string, no date (distribution-spec, "Warnings").
_WARNING = re.compile(r'\s*299\s+-\s+"((?:[^"\\]|\\.)*)"\s*')
_ESCAPED = re.compile(r"\\(.)")
_RATE_LIMIT = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?")


_CURRENT = threading.local()


class Tally:
    """What one of many things of a task has cost: the requests that were sent for it, and the seconds from the first work
    on it to the last. Threads may work on it at once."""

    __slots__ = ("_begun", "_ended", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self._begun: float | None = None
        self._ended = 0.0

    @property
    def seconds(self) -> float:
        """How long it took, what was done for other things meanwhile included."""
        return 0.0 if self._begun is None else self._ended - self._begun

    def run(self, step: Callable[[], None]) -> None:
        """Call ``step`` and count what this thread asks for meanwhile."""
        outer = getattr(_CURRENT, "tally", None)
        _CURRENT.tally = self
        if self._begun is None:
            self._begun = time.monotonic()
        try:
            step()
        finally:
            self._ended = time.monotonic()
            _CURRENT.tally = outer


class Meter:
    """Thread-safe counters. ``bytes_*`` are bytes of bodies, ``writes`` are requests that could change a registry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.writes = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        #: What registries wanted the user to know, each text once (R1.73).
        self.warnings: list[str] = []
        #: Limits as last stated: ``limit``, ``remaining`` (requests), ``window`` (seconds), ``source`` (R1.75);
        #: ``waited``: seconds that the task waited for more.
        self.rate_limit: dict[str, int | str] = {}

    def asked(self, write: bool) -> None:
        """One request goes out."""
        with self._lock:
            self.requests += 1
            tally = getattr(_CURRENT, "tally", None)
            if tally is not None:
                tally.requests += 1
            if write:
                self.writes += 1

    def sent(self, count: int) -> None:
        with self._lock:
            self.bytes_sent += count

    def received(self, count: int) -> None:
        with self._lock:
            self.bytes_received += count

    def warn(self, text: str) -> None:
        """Remember ``text`` for the user, once."""
        with self._lock:
            if text not in self.warnings and len(self.warnings) < 100:
                self.warnings.append(text)

    def waited(self, seconds: float) -> None:
        """A request waited ``seconds`` for a registry to allow more pulls; many wait at once, the longest counts."""
        with self._lock:
            self.rate_limit["waited"] = max(int(self.rate_limit.get("waited", 0)), round(seconds))

    def note_warnings(self, host: str, values: Iterable[str]) -> None:
        """Take in the ``Warning`` headers of one response from ``host`` (R1.73)."""
        budget = WARNING_LIMIT
        for value in values:
            for text in warning_texts(value):
                if len(text) > budget:
                    return
                budget -= len(text)
                self.warn(f"{host}: {text}")

    def note_rate_limit(self, limit: str | None, remaining: str | None, source: str | None) -> None:
        """Take in the ``ratelimit-*`` headers of one response (R1.75)."""
        noted: dict[str, int | str] = {}
        for name, value in (("limit", limit), ("remaining", remaining)):
            match = _RATE_LIMIT.match(value) if value else None
            if match:
                noted[name] = int(match.group(1))
                if match.group(2):
                    noted["window"] = int(match.group(2))
        if source:
            noted["source"] = sanitise(source, 64)
        with self._lock:
            self.rate_limit.update(noted)


def warning_texts(value: str) -> list[str]:
    """The texts of one ``Warning`` header: code 299, agent ``-``, no date; anything else is left out (R1.73)."""
    texts = []
    position = 0
    while position < len(value):
        match = _WARNING.match(value, position)
        if match is None or (match.end() < len(value) and value[match.end()] != ","):
            break
        text = sanitise(_ESCAPED.sub(r"\1", match.group(1)), WARNING_LIMIT)
        if text:
            texts.append(text)
        position = match.end() + 1
    return texts
