# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line to a server that counts what passes, and that breaks or stalls where a test wants it to.

    with Wire(registry.port, faults=[Fault(DOWN, 2_000_000)]) as wire:
        ...                       # use wire.host in place of registry.host
    wire.bytes(DOWN)

A connection that has carried so many bytes in that direction meets the first fault that is left, and uses it up.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

#: From the server to the client, and from the client to the server.
DOWN, UP = "down", "up"
RESET, CLOSE, STALL = "reset", "close", "stall"

_PIECE = 16 * 1024
# Small, so that what is counted is what the other side has taken, not what waits here.
_BUFFER = 4 * 1024


class Fault(NamedTuple):
    """What becomes of a connection after ``after`` bytes in ``direction``: `RESET` and `CLOSE` end it, after `STALL`
    nothing more passes in that direction. The server sees its side end as after a client that died."""

    direction: str
    after: int
    how: str = RESET


class Wire:
    """The line to ``127.0.0.1:port``. ``every`` is met by all connections once ``faults`` are used up."""

    def __init__(self, port: int, faults: Iterable[Fault] = (), every: Fault | None = None) -> None:
        self._upstream = port
        #: Those that are left; more may be added.
        self.faults = list(faults)
        self._every = every
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(128)
        self.port: int = self._server.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        #: (moment, direction, bytes) of everything that passed.
        self.passed: list[tuple[float, str, int]] = []
        #: Faults that were met.
        self.met: list[Fault] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            left = list(self._sockets)
        for one in left:
            _end(one)
        self._thread.join(5)

    def bytes(self, direction: str) -> int:
        """How many have passed in a direction."""
        return sum(count for unused, way, count in self.passed if way == direction)

    def _accept(self) -> None:
        while True:
            try:
                client, unused = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.connections += 1
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets.update((client, server))
            for source, sink, direction in ((client, server, UP), (server, client, DOWN)):
                threading.Thread(target=self._pump, args=(source, sink, client, direction), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket, direction: str) -> None:
        count = 0
        stalled = False
        with contextlib.suppress(OSError):
            while True:
                fault = self._next(direction)
                room = fault.after - count if fault is not None else _PIECE
                if fault is not None and room <= 0 and not stalled and self._meets(fault):
                    if fault.how != STALL:
                        self._break(fault, client, server=sink if direction == UP else source)
                        return
                    stalled = True
                data = source.recv(max(1, min(_PIECE, room)))
                if not data:
                    break
                if stalled:
                    continue
                sink.sendall(data)
                count += len(data)
                self.passed.append((time.monotonic(), direction, len(data)))
        _end(sink)
        _end(source)

    def _next(self, direction: str) -> Fault | None:
        with self._lock:
            fault = self.faults[0] if self.faults else self._every
        return fault if fault is not None and fault.direction == direction else None

    def _meets(self, fault: Fault) -> bool:
        with self._lock:
            if self.faults and self.faults[0] is fault:
                self.faults.pop(0)
            elif fault is not self._every:
                return False
            self.met.append(fault)
            return True

    @staticmethod
    def _break(fault: Fault, client: socket.socket, server: socket.socket) -> None:
        _end(server)
        if fault.how == RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # A socket that another thread reads is reset only when that thread has let go of it.
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RD)
            client.close()
        else:
            _end(client)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
