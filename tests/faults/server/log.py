# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault registry was asked: each request with its origin, its header's names, and bytes both ways."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .kinds import Kind


def fingerprint(value: str) -> str:
    """What the log keeps of a secret: enough to see whether two are the same."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


@dataclass
class Entry:
    """One request. It is in the log once its header has come; the rest is filled in while it is answered."""

    #: From 1, in the order in which the headers came.
    number: int
    #: ``time.monotonic()`` then.
    moment: float
    #: ``http://127.0.0.2:4711``: which of our addresses was spoken to.
    origin: str
    #: The Host header.
    host: str
    method: str
    #: As it stood on the wire.
    target: str
    kind: Kind
    repository: str
    reference: str
    #: By lower-case name; of credentials only the `fingerprint`.
    headers: dict[str, str]
    #: ``basic`` or ``bearer``; None without credentials.
    scheme: str | None = None
    #: `fingerprint` of the whole Authorization value.
    credential: str | None = None
    #: Bytes of the body that came, and of the answer's body that went.
    received: int = 0
    sent: int = 0
    #: Of the answer; 0 while there is none, or where none was given.
    status: int = 0
    #: What was played, in words.
    faults: list[str] = field(default_factory=list)
    #: Number of the connection, from 1.
    connection: int = 0
    #: Whether it was asked for as a proxy is, by a whole URL.
    proxied: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def writes(self) -> bool:
        """Whether it is of a kind that changes something."""
        return self.method not in ("GET", "HEAD")

    def __str__(self) -> str:
        fault = f"  [{', '.join(self.faults)}]" if self.faults else ""
        return f"{self.origin} {self.method} {self.target} {self.status} {self.received}>{self.sent}{fault}"


class Log:
    """Entries in order. Iterating and filtering look at a copy, so that it may be done while requests come."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Append one."""
        with self._lock:
            self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def of(self, repository: str, *kinds: Kind) -> Log:
        """Those about a repository, of these kinds if any are given."""
        return Log(one for one in self if one.repository == repository and (not kinds or one.kind in kinds))

    def kind(self, *kinds: Kind) -> Log:
        """Those of these kinds."""
        return Log(one for one in self if one.kind in kinds)

    def at(self, origin: str) -> Log:
        """Those that came to one origin."""
        return Log(one for one in self if one.origin == origin)

    def since(self, mark: int) -> Log:
        """Those after the first ``mark`` (``len(log)`` of then)."""
        return Log(one for one in self if one.number > mark)

    @property
    def writes(self) -> Log:
        """Those that would change something."""
        return Log(one for one in self if one.writes)

    @property
    def with_credentials(self) -> Log:
        """Those that said who asks."""
        return Log(one for one in self if one.credential is not None)
