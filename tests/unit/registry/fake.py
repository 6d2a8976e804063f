# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted HTTP server on the loopback: says byte for byte what a test wants, and remembers what it was asked.

    with Fake(reply(200, b"{}")) as fake: ...            # always the same answer
    with Fake(in_turn(reply(503), reply(200))) as fake:  # one after the other, the last one for ever
    with Fake(by_path({"/v2/": reply(401)})) as fake:    # 404 for other paths
    fake.log[0].headers["accept"]
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What came in. ``target`` as it stood on the wire; names of ``headers`` in lower case, the last of equal ones."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    #: Number of the connection it came over, from 1.
    connection: int
    moment: float


class Peer:
    """The client's side of one connection, for an answer to misuse."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.open = True

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        """Send what is pending, then FIN."""
        self.open = False

    def reset(self) -> None:
        """RST: whatever was not delivered is lost."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False


Answer = Callable[[Request, Peer], None]


def reply(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, length: int | None = None) -> Answer:
    """A whole answer. ``length`` lies about the length of the body; the connection is closed then."""

    def answer(request: Request, peer: Peer) -> None:
        peer.send(head(status, {"Content-Length": str(len(body) if length is None else length), **(headers or {})}))
        if request.method != "HEAD":
            peer.send(body)
        if length is not None:
            peer.close()

    return answer


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """A status line and headers as bytes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Because\r\n{lines}\r\n".encode("latin-1")


def raw(data: bytes, close: bool = True) -> Answer:
    """Just these bytes."""

    def answer(request: Request, peer: Peer) -> None:
        peer.send(data)
        if close:
            peer.close()

    return answer


def reset(data: bytes = b"") -> Answer:
    """These bytes, then RST."""

    def answer(request: Request, peer: Peer) -> None:
        peer.send(data)
        time.sleep(0.05)
        peer.reset()

    return answer


def then_closed(answer: Answer) -> Answer:
    """``answer``, then a close that was not announced."""

    def closing(request: Request, peer: Peer) -> None:
        answer(request, peer)
        peer.close()

    return closing


def drip(data: bytes, pause: float, first: bytes = b"") -> Answer:
    """``first`` at once, then a byte every ``pause`` seconds."""

    def answer(request: Request, peer: Peer) -> None:
        peer.send(first)
        for byte in data:
            peer.send(bytes([byte]))
            time.sleep(pause)

    return answer


def stall(seconds: float, first: bytes = b"") -> Answer:
    """``first`` at once, then nothing."""

    def answer(request: Request, peer: Peer) -> None:
        peer.send(first)
        time.sleep(seconds)
        peer.close()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last one for ever."""
    left = list(answers)
    lock = threading.Lock()

    def answer(request: Request, peer: Peer) -> None:
        with lock:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(request, peer)

    return answer


def by_path(answers: Mapping[str, Answer]) -> Answer:
    """The answer of the path without its query, or of ``METHOD path``; 404 for others."""

    def answer(request: Request, peer: Peer) -> None:
        path = request.target.partition("?")[0]
        chosen = answers.get(f"{request.method} {path}") or answers.get(path) or reply(404)
        chosen(request, peer)

    return answer


class Fake:
    """The server. ``answer`` says what each request gets; ``early`` may answer after the headers, before the body."""

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        address: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        early: Callable[[Request, Peer], bool] | None = None,
    ) -> None:
        self.answer: Answer = answer or reply()
        self.early = early
        self.log: list[Request] = []
        self.connections = 0
        self._context = context
        self._server = socket.create_server((address, 0), backlog=128)
        self.address = address
        self.port: int = self._server.getsockname()[1]
        self.host = f"{address}:{self.port}"
        self.url = f"{'https' if context else 'http'}://{self.host}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Fake:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.drop_connections()
        self._thread.join(5)

    def paths(self) -> list[str]:
        """``METHOD target`` of every request."""
        return [f"{one.method} {one.target}" for one in self.log]

    def drop_connections(self) -> None:
        """Close every open connection, as a server does that is tired of idle ones."""
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _accept(self) -> None:
        while True:
            try:
                sock, unused = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(sock)
        try:
            if self._context is not None:
                with self._lock:
                    self._open.discard(sock)
                sock = self._context.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.add(sock)
            if self._context is None and sock.recv(1, socket.MSG_PEEK) == b"\x16":
                # A TLS handshake: what servers say to that, and what must not count as a request.
                sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                return
            stream = sock.makefile("rb")
            peer = Peer(sock)
            while peer.open and self._one(stream, peer, number):
                continue
        except (OSError, ValueError):
            return  # the client went away, or did not speak HTTP: both are what some test wants
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _one(self, stream: Any, peer: Peer, number: int) -> bool:
        line = stream.readline(65536).decode("latin-1")
        if not line:
            return False
        method, target, unused = line.split(" ")
        headers: dict[str, str] = {}
        while True:
            line = stream.readline(65536).decode("latin-1").rstrip("\r\n")
            if not line:
                break
            name, unused, value = line.partition(":")
            headers[name.lower()] = value.strip()
        request = Request(method, target, headers, b"", number, time.monotonic())
        if self.early is not None and self.early(request, peer):
            self.log.append(request)
            return True
        body = stream.read(int(headers.get("content-length", "0")))
        request = request._replace(body=body)
        self.log.append(request)
        self.answer(request, peer)
        return True
