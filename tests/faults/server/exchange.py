# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request and what becomes of it: what a fault gets to play with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answer import Answer
from .api import queried
from .kinds import Kind
from .log import Entry
from .peer import Peer

if TYPE_CHECKING:
    from .registry import FaultRegistry

_PIECE = 64 * 1024


class Exchange:
    """A request whose header has come. The body is read when somebody asks for it, so that an answer may come first."""

    def __init__(self, server: FaultRegistry, entry: Entry, headers: dict[str, str], peer: Peer) -> None:
        self.server = server
        self.entry = entry
        self.peer = peer
        #: By lower-case name, credentials included; the last of equal ones.
        self.headers = headers
        self.query = queried(entry.target)
        self.length = int(headers.get("content-length", "0"))
        #: What has come of the body.
        self.arrived = b""
        self._read = False
        self.answered = False

    @property
    def kind(self) -> Kind:
        """What it asks for."""
        return self.entry.kind

    @property
    def repository(self) -> str:
        """Of which repository; "" for none."""
        return self.entry.repository

    @property
    def reference(self) -> str:
        """Which tag, digest or upload."""
        return self.entry.reference

    @property
    def origin(self) -> str:
        """The address that was spoken to."""
        return self.entry.origin

    def body(self, limit: int | None = None) -> bytes | None:
        """The body; None where the client ended it early. ``limit``: read no more than that of it, and give what came."""
        wanted = self.length - len(self.arrived) if limit is None else min(limit, self.length - len(self.arrived))
        pieces = [self.arrived]
        while wanted > 0:
            piece = self.peer.read(min(wanted, _PIECE))
            if not piece:
                break
            wanted -= len(piece)
            pieces.append(piece)
            self.entry.received += len(piece)
        self.arrived = b"".join(pieces)
        if limit is None and len(self.arrived) < self.length:
            self.peer.close()
            return None
        return self.arrived

    def usual(self) -> Answer:
        """What the registry does and says where nothing is played: log-in, redirects of the scenario, and the API."""
        return self.server.usual(self)

    def give(self, answer: Answer) -> None:
        """Send an answer, whole. A body that nobody has read ends the connection."""
        if len(self.arrived) < self.length:
            answer.last = True
        self.begin(answer)
        if self.entry.method != "HEAD":
            self.send(answer.body)
        if answer.last or not answer.framed:
            self.peer.close()

    def begin(self, answer: Answer) -> None:
        """Send the head of an answer alone."""
        self.answered = True
        self.entry.status = answer.status
        self.peer.send(answer.head())

    def send(self, data: bytes) -> None:
        """Send some of the body."""
        self.peer.send(data)
        self.entry.sent += len(data)
