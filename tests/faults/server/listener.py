# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address that is listened at: connections, TLS, and the headers of requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from .peer import Peer

#: (origin, who asks, method, target, header) to whether another request may follow on the connection.
Answering = Callable[[str, Peer, str, str, "dict[str, str]"], bool]


class Listener:
    """Begun at once, ended by `close`. With ``context`` it speaks TLS. ``answer`` is called in a thread for each connection,
    ``number`` gives each its number, ``ended`` is set when the server stops."""

    def __init__(
        self,
        address: str,
        context: ssl.SSLContext | None,
        answer: Answering,
        number: Callable[[], int],
        ended: threading.Event,
    ) -> None:
        self._context = context
        self._answer = answer
        self._number = number
        self._ended = ended
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._server = socket.create_server((address, 0), backlog=256)
        self.port: int = self._server.getsockname()[1]
        #: ``scheme://address:port``.
        self.origin = f"{'http' if context is None else 'https'}://{address}:{self.port}"
        self._thread = threading.Thread(target=self._accept, name="faulty-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and end what is open."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.drop()
        self._thread.join(5)

    def drop(self) -> None:
        """End every open connection."""
        with self._lock:
            left = list(self._sockets)
        for one in left:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, unused = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.add(sock)
            threading.Thread(target=self._serve, args=(sock,), name="faulty-serve", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = None
        try:
            if self._context is not None:
                sock = self._wrapped(sock, self._context)
            peer = Peer(sock, self._number(), self._ended)
            if self._context is None and peer.speaks_tls():
                # As web servers do. It is no request.
                peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                return
            while peer.open and self._one(peer):
                continue
        except (OSError, ValueError):
            return  # the client went away, or does not speak HTTP: both are what some test wants
        finally:
            with self._lock:
                self._sockets.discard(sock)
            if peer is not None:
                peer.end()
            sock.close()

    def _wrapped(self, sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        with self._lock:
            self._sockets.discard(sock)
        sock.settimeout(30)
        wrapped = context.wrap_socket(sock, server_side=True)
        with self._lock:
            self._sockets.add(wrapped)
        return wrapped

    def _one(self, peer: Peer) -> bool:
        line = peer.line()
        if not line:
            return False
        method, target, unused = line.split(" ")
        headers: dict[str, str] = {}
        while True:
            line = peer.line()
            if not line:
                break
            name, unused, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return self._answer(self.origin, peer, method, target, headers)
