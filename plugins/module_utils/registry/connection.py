# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP/1.1 connection: bytes out exactly as given, an answer in, and no way to hang.

http.client parses the answers; everything else is done here, because the request target must go out byte for byte
(R1.30), an early answer must be seen while a body is being sent (R1.38), a peer that drips must be noticed without a
second thread, and every byte must be counted in the same way on every version of every library.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from ..model.errors import Cancelled, NetworkError

#: A peer that moves fewer bytes a second than this, over so many seconds of waiting for it, counts as stalled.
MINIMUM_RATE = 1024
RATE_WINDOW = 60.0
#: Seconds after which a wait for the peer looks up to see whether the task has been told to stop.
LOOK_UP = 1.0
#: More interim answers than anybody has a use for.
INTERIM_LIMIT = 16

_Given = TypeVar("_Given")
_Moved = TypeVar("_Moved")


class Socket(Protocol):
    """What is used of sockets: plain ones, TLS ones, and TLS inside of TLS."""

    def send(self, data: Any, /) -> int:
        """Send some of ``data``; how much."""

    def recv(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""

    def recv_into(self, buffer: Any, /) -> int:
        """Fill ``buffer`` as far as bytes are there; how far."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long each call may take."""

    def fileno(self) -> int:
        """The descriptor."""

    def close(self) -> None:
        """Close it."""


class Pace:
    """Adds up what one transfer has moved and how long it has waited for the peer; raises when that is hopeless."""

    def __init__(self, minimum: int, window: float, name: str) -> None:
        self._minimum = minimum
        self._window = window
        self._name = name
        self._count = 0
        self._waited = 0.0

    def note(self, count: int, waited: float) -> None:
        """``count`` bytes came after ``waited`` seconds. Raises NetworkError below the minimum rate."""
        self._count += count
        self._waited += waited
        if self._waited >= self._window:
            if self._count < self._minimum * self._window:
                raise NetworkError(
                    f"{self._name} is too slow: {self._count} bytes in {self._waited:.0f} s, given up"
                )
            self._count = 0
            self._waited = 0.0


class Connection:
    """An open connection. Not thread-safe: one request at a time. Errors of the socket come out as they are."""

    def __init__(
        self,
        sock: Socket,
        name: str,
        timeout: float,
        minimum: int = MINIMUM_RATE,
        window: float = RATE_WINDOW,
        stop: threading.Event | None = None,
    ) -> None:
        self._sock = sock
        self._name = name
        self._timeout = timeout
        self._stop = stop
        # TLS inside of TLS cannot be asked again after a timeout: what it was sending may be half sent.
        self._look_up = LOOK_UP if isinstance(sock, socket.socket) else float("inf")
        self._minimum = minimum
        self._window = window
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._early = b""
        #: Whether an answer has come over this connection before, so that a close may be one for idleness.
        self.used = False
        #: Whether a byte of the current answer has come.
        self.answered = False
        sock.settimeout(min(timeout, self._look_up))

    def is_alive(self) -> bool:
        """Whether the idle connection may be used: a server that closed it, or sent what nobody asked for, shows."""
        return not self._poll.poll(0)

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises OSError; NetworkError when the peer takes it too slowly."""
        count = self._patiently(self._sock.send, data)
        if count == len(data):
            return
        view = memoryview(data)[count:]
        pace = Pace(self._minimum, self._window, self._name)
        while view:
            began = time.monotonic()
            count = self._patiently(self._sock.send, view)
            pace.note(count, time.monotonic() - began)
            view = view[count:]

    def answers_early(self) -> bool:
        """Whether the answer has begun though the request is not complete (R1.38). Costs one system call."""
        if not self._poll.poll(0):
            return False
        # With TLS this may be a session ticket only; what is read is kept for `receive`.
        self._sock.settimeout(0)
        try:
            self._early = self._sock.recv(16384)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True
        finally:
            self._sock.settimeout(min(self._timeout, self._look_up))
        return True

    def has_words(self) -> bool:
        """Whether a peer that closed its receiving side has left an answer; waits for it as long as for any read.

        Raises ssl.SSLError for an alert: that is how a server says that it wants another client certificate.
        """
        try:
            self._early = self._early or self._patiently(self._sock.recv, 16384)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return False
        except ssl.SSLError:
            raise
        except OSError:
            return False
        return bool(self._early)

    def receive(self, method: str) -> http.client.HTTPResponse:
        """The answer, its body unread. Raises OSError, http.client.HTTPException, NetworkError."""
        self.answered = bool(self._early)
        pace = Pace(self._minimum, self._window, self._name)
        incoming = _Incoming(self, pace, self._early)
        stream: Any = io.BufferedReader(incoming, 16384)
        self._early = b""
        for unused in range(INTERIM_LIMIT):
            answer: Any = http.client.HTTPResponse(_Opened(stream), method=method)  # type: ignore[arg-type]
            try:
                answer.begin()
                if incoming.ended:
                    # http.client takes the end of the connection for the end of the header, and a "Content-Length: 12"
                    # that was to become 12345 for what it says.
                    raise http.client.IncompleteRead(b"")
            except http.client.BadStatusLine as exc:
                answer.close()
                if incoming.ended and str(exc).startswith("HTTP/1."[: len(str(exc))]):
                    raise http.client.IncompleteRead(b"") from exc
                raise
            except BaseException:
                answer.close()
                raise
            if answer.status >= 200:
                self.used = True
                return cast(http.client.HTTPResponse, answer)
            # An interim answer (102, 103): the real one follows in the same stream, which must not close with this.
            answer.fp = None
        raise NetworkError(f"{self._name} sends interim answers without end", transient=False)

    def wait_at_most(self, seconds: float) -> None:
        """Let no read or send wait longer than ``seconds``, from now on."""
        if seconds != self._timeout:
            self._timeout = seconds
            self._sock.settimeout(min(seconds, self._look_up))

    def hasten(self, seconds: float) -> None:
        """`wait_at_most`, for what is still to be done when the task has been told to stop already."""
        self._stop = None
        self.wait_at_most(seconds)

    def _patiently(self, move: Callable[[_Given], _Moved], what: _Given) -> _Moved:
        # A wait for the peer as long as the timeout, cut short when the task is told to stop. Neither plain sockets nor
        # those with TLS have moved a byte when they time out, and both may be asked again.
        waited = 0.0
        while True:
            try:
                return move(what)
            except socket.timeout:
                waited += self._look_up
                if self._stop is not None and self._stop.is_set():
                    raise Cancelled("the task was told to stop") from None
                if waited >= self._timeout:
                    raise

    def receive_into(self, buffer: Any) -> int:
        """The next bytes from the peer, as many as are there; 0 at the end."""
        return self._patiently(self._sock.recv_into, buffer)

    def close(self) -> None:
        """Close it at once; whatever is under way is lost."""
        try:
            self._sock.close()
        except OSError:
            return


class _Opened:
    # What http.client.HTTPResponse wants of a socket.

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> Any:
        return self._stream


class _Incoming(io.RawIOBase):
    """The receiving side of one answer. Every read of the socket passes here, so that a drip is noticed anywhere."""

    def __init__(self, connection: Connection, pace: Pace, early: bytes) -> None:
        super().__init__()
        self._connection = connection
        self._pace = pace
        self._early = early
        #: Whether the connection has ended.
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._early:
            count = min(len(buffer), len(self._early))
            buffer[:count] = self._early[:count]
            self._early = self._early[count:]
            return count
        if not self._connection.answered:
            # Waiting for the first byte is waiting for work the registry does; only the timeout limits that.
            count = self._connection.receive_into(buffer)
            self._connection.answered = count > 0
            self.ended = not count
            return count
        began = time.monotonic()
        count = self._connection.receive_into(buffer)
        self._pace.note(count, time.monotonic() - began)
        self.ended = not count
        return count
