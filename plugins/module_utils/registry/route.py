# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to one origin: its idle connections, its gate, and one request sent over it and answered."""

from __future__ import annotations

import functools
import http.client
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, Union

from ..model.digest import CHUNK
from ..model.errors import Cancelled, InvalidInput, NetworkError, OciError, SizeMismatch
from ..model.streams import BlobStream
from ..model.text import shown
from .connection import MINIMUM_RATE, RATE_WINDOW, Connection
from .dial import Proxy, dial
from .failures import network_error
from .response import Response
from .retry import Gate
from .settings import CONNECT_TIMEOUT, USER_AGENT

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .destination import Origin
    from .meter import Meter
    from .pace import Pace

#: Seconds a request may still take when the task has been told to stop (R1.35).
HASTE = 2.0
#: Seconds to wait for the answer of a server that has stopped taking the request (R1.38).
LAST_WORDS = 5.0
#: Bodies up to this size travel in one write with their headers.
_TOGETHER = 64 * 1024

_TARGET = re.compile(r"/[\x21-\x7e]*")
_FIELD = re.compile(r"[A-Za-z0-9-]+: [\x20-\x7e\t]*")
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_COMMON = f"User-Agent: {USER_AGENT}\r\nAccept-Encoding: identity\r\n"


class SourceFailed(Exception):
    """Reading a body failed with ``error``: neither the connection nor the server it was for is to blame."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Body(Protocol):
    """A body too large for memory. ``open`` gives it anew from its first byte, for every try."""

    @property
    def length(self) -> int:
        """Bytes it has."""

    def open(self) -> BlobStream:
        """It, from its first byte."""


Payload = Union[bytes, Body, None]
_Read = TypeVar("_Read")


class Route:
    """Connections to ``origin``, shared by all threads. ``name`` is how messages call it."""

    def __init__(
        self,
        origin: Origin,
        name: str,
        *,
        proxy: Proxy | None,
        context: ssl.SSLContext | None,
        proxy_context: Callable[[], ssl.SSLContext],
        check_peer: Callable[[str], None] | None,
        timeout: float,
        keep: int,
        meter: Meter,
        bandwidth: Bandwidth | None,
        stop: threading.Event,
        pace: Pace | None = None,
    ) -> None:
        self.origin = origin
        self.name = name
        self.gate = Gate(stop)
        self.proxy = proxy
        self._context = context
        self._proxy_context = proxy_context
        self._check_peer = check_peer
        self._timeout = timeout
        self._keep = keep
        self._meter = meter
        self._bandwidth = bandwidth
        self._stop = stop
        self._pace = pace
        # list.append and list.pop are atomic: no lock is needed, and the connection used last is the likeliest alive.
        self._idle: list[Connection] = []
        # The peer has closed a connection under a request that cannot be sent twice: such requests get one of their own.
        self._abrupt = False
        #: Below this rate over this many seconds a transfer counts as stalled.
        self.minimum_rate = MINIMUM_RATE
        self.rate_window = RATE_WINDOW
        forwarded = proxy is not None and not proxy.is_socks and origin.scheme == "http"
        self._prefix = origin.url if forwarded else ""
        common = f"Host: {origin.url.partition('://')[2]}\r\n{_COMMON}"
        if forwarded and proxy is not None and proxy.authorization:
            common += f"Proxy-Authorization: {proxy.authorization}\r\n"
        self._common = common

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        authorization: str | None = None,
        payload: Payload = None,
        repeatable: bool = False,
        sending: Callable[[], None] | None = None,
    ) -> Response:
        """Send one request, exactly ``target`` (R1.30), and give its answer with the body unread.

        A connection that the server closed while it was idle is replaced once, without the caller's notice, if the
        request is ``repeatable``; once one that is not has met that, its like go out on new connections. ``sending`` is
        called before the first byte goes out. Raises NetworkError; SourceFailed for what the source of a body raises.
        """
        head = self._head(method, target, headers, authorization, payload)
        if isinstance(payload, bytes) and len(payload) <= _TOGETHER:
            head += payload
        fresh = self._abrupt and not repeatable
        self.gate.pass_through()
        if self._pace is not None and not self._stop.is_set():
            self._pace.take(self._stop)
        self._pay(len(head))
        while True:
            connection = (None if fresh else self._idle_connection()) or self._open()
            if self._stop.is_set():
                connection.hasten(HASTE)
            if sending is not None:
                sending()
            try:
                early = self._send(connection, head, payload)
                answer = connection.receive(method)
                if self._bandwidth is not None:
                    self._bandwidth.charge(sum(len(name) + len(value) + 4 for name, value in answer.headers.items()))
            except (OSError, http.client.HTTPException, NetworkError) as exc:
                connection.close()
                idled = connection.used and not connection.answered and isinstance(exc, _CLOSED)
                if idled and repeatable and not fresh:
                    fresh = True
                    continue
                self._abrupt = self._abrupt or idled
                raise network_error(exc, self.name) from exc
            except BaseException:
                connection.close()
                raise
            if early and answer.status < 300:
                connection.close()
                raise NetworkError(f"{self.name} answered HTTP {answer.status} before it had the whole body")
            return Response(
                answer,
                self.origin.url + target,
                self.name,
                functools.partial(self._release, connection, early),
                self._meter,
                self._bandwidth,
                self._stop,
                connection.wait_at_most,
            )

    def _head(
        self, method: str, target: str, headers: Mapping[str, str], authorization: str | None, payload: Payload
    ) -> bytes:
        if _TARGET.fullmatch(target) is None:
            raise InvalidInput(f"'{shown(target, 200)}' cannot be asked for: a URL has visible ASCII characters only")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if authorization is not None:
            lines.append(f"Authorization: {authorization}")
        if payload is not None:
            lines.append(f"Content-Length: {len(payload) if isinstance(payload, bytes) else payload.length}")
        elif method in ("POST", "PUT", "PATCH"):
            lines.append("Content-Length: 0")
        for line in lines:
            if _FIELD.fullmatch(line) is None:
                name = shown(line.partition(":")[0], 40)
                raise InvalidInput(f"the header {name} has characters that no header can carry")
        lines.append("\r\n")
        fields = "\r\n".join(lines)
        return f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._common}{fields}".encode("ascii")

    def _send(self, connection: Connection, head: bytes, payload: Payload) -> bool:
        # True if the answer came before the request was complete, so that the connection cannot be used again.
        connection.answered = False
        try:
            connection.send(head)
            if payload is None or (isinstance(payload, bytes) and len(payload) <= _TOGETHER):
                if payload:
                    self._meter.sent(len(payload))
                return False
            if not isinstance(payload, bytes):
                return self._send_body(connection, payload)
            self._pay(len(payload))
            connection.send(payload)
            self._meter.sent(len(payload))
            return False
        except _CLOSED:
            # It may have answered before it closed: that answer says why (R1.38).
            connection.wait_at_most(LAST_WORDS)
            if connection.used and payload is None:
                raise
            if not connection.has_words():
                raise
            return True

    def _send_body(self, connection: Connection, body: Body) -> bool:
        bandwidth = self._bandwidth
        chunk = CHUNK if bandwidth is None else bandwidth.chunk
        left = body.length
        if left == 0:
            return False
        source = _read(body.open)
        try:
            while left:
                data = _read(functools.partial(source.read, min(chunk, left)))
                if not data:
                    raise SizeMismatch(f"the source ended {left} bytes before the {body.length} bytes it was to give")
                if self._stop.is_set():
                    raise Cancelled("the task was told to stop")
                if bandwidth is not None:
                    bandwidth.take(len(data), self._stop)
                if connection.answers_early():
                    return True
                connection.send(data)
                self._meter.sent(len(data))
                left -= len(data)
        finally:
            source.close()
        return False

    def _pay(self, count: int) -> None:
        # Many small blobs are more headers than content, so these count, too. What ends a task is not held back.
        if self._bandwidth is None:
            return
        if self._stop.is_set():
            self._bandwidth.charge(count)
        else:
            self._bandwidth.take(count, self._stop)

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_alive():
                return connection
            connection.close()
        return None

    def _open(self) -> Connection:
        timeout = HASTE if self._stop.is_set() else min(CONNECT_TIMEOUT, self._timeout)
        try:
            window = self._bandwidth.window if self._bandwidth is not None else None
            sock = dial(self.origin, self.proxy, self._context, self._proxy_context, timeout, self._check_peer, window)
        except OciError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise network_error(exc, self.name, "during the handshake" if self._context else "") from exc
        return Connection(sock, self.name, self._timeout, self.minimum_rate, self.rate_window, self._stop)

    def _release(self, connection: Connection, spent: bool, reusable: bool) -> None:
        if reusable and not spent and len(self._idle) < self._keep:
            connection.wait_at_most(self._timeout)
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return


def _read(what: Callable[[], _Read]) -> _Read:
    # What goes wrong with the other end of a copy must not pass for a fault of this one.
    try:
        return what()
    except Exception as exc:
        raise SourceFailed(exc) from exc
