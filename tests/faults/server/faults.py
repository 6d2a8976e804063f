# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with one exchange. Each is made once and played as often as a rule says; none keeps anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from .answer import Answer, error
from .exchange import Exchange

#: How a connection ends.
RESET, FIN = "reset", "fin"
_PIECE = 64 * 1024


class Fault:
    """``play`` takes the place of the usual answer. ``name`` is how the log calls it."""

    def __init__(self, name: str, play: Callable[[Exchange], None]) -> None:
        self.name = name
        self.play = play

    def __repr__(self) -> str:
        return f"Fault({self.name})"


# -- answers -----------------------------------------------------------------------------------------------------


def refused(
    status: int, code: str = "", message: str = "", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Fault:
    """An error in place of the answer, after the request was read; nothing has been done.

    ``headers`` may have the names that `FaultRegistry.expand` knows. ``body``: in place of the specification's form.
    """

    def play(exchange: Exchange) -> None:
        exchange.body()
        answer = error(status, code, message)
        answer.headers.update((name, exchange.server.expand(text, exchange)) for name, text in (headers or {}).items())
        if body is not None:
            answer.body = body
        exchange.give(answer)

    return Fault(f"{status} {code}".strip(), play)


def early(status: int, after: int = 0, code: str = "") -> Fault:
    """An error when so many bytes of the body have come, and the end of the connection: what a proxy does (R1.38)."""

    def play(exchange: Exchange) -> None:
        exchange.body(after)
        answer = error(status, code)
        answer.last = True
        exchange.give(answer)
        # Until the client has seen it, nothing else is taken; a reset at once would tear the answer away.
        exchange.peer.stall(5)

    return Fault(f"early {status}", play)


def page(body: bytes = b"<!DOCTYPE html><title>Checking your browser</title>", status: int = 200) -> Fault:
    """A web page, as bot walls and captive portals send."""

    def play(exchange: Exchange) -> None:
        exchange.body()
        exchange.give(Answer(status, body, {"Content-Type": "text/html; charset=utf-8"}))

    return Fault(f"page {status}", play)


def changed(change: Callable[[Answer, Exchange], Answer | None], name: str = "changed") -> Fault:
    """The usual answer, made something else of: ``change`` alters it or gives another."""

    def play(exchange: Exchange) -> None:
        answer = exchange.usual()
        exchange.give(change(answer, exchange) or answer)

    return Fault(name, play)


def with_headers(status: int | None = None, **headers: str | None) -> Fault:
    """The usual answer with other headers (``_`` for ``-``; None takes one away), and another status if one is given."""

    def change(answer: Answer, exchange: Exchange) -> None:
        for name, value in headers.items():
            field = name.replace("_", "-").title()
            answer.headers = {key: one for key, one in answer.headers.items() if key.lower() != field.lower()}
            if value is not None:
                answer.headers[field] = exchange.server.expand(value, exchange)
        answer.status = status or answer.status

    return changed(change, f"other {', '.join(headers) or status}")


def with_body(body: bytes | Callable[[bytes], bytes]) -> Fault:
    """The usual headers with another body, whose length they tell."""

    def change(answer: Answer, exchange: Exchange) -> None:
        answer.body = body(answer.body) if callable(body) else body

    return changed(change, "other body")


def spoilt(data: bytes) -> bytes:
    """As many bytes, of which one is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def redirect(place: str, status: int = 307) -> Fault:
    """A redirect; ``place`` may have the names that `FaultRegistry.expand` knows."""

    def play(exchange: Exchange) -> None:
        exchange.body()
        exchange.give(Answer(status, b"", {"Location": exchange.server.expand(place, exchange)}))

    return Fault(f"redirect {place}", play)


# -- connections -------------------------------------------------------------------------------------------------


def _end(exchange: Exchange, how: str) -> None:
    if how == RESET:
        exchange.peer.reset()
    else:
        exchange.peer.close()


def cut(share: float = 0.5, how: str = RESET, at: int | None = None, ranges: bool = True) -> Fault:
    """The usual answer, of which so much of the body goes out: a share, or ``at`` bytes; then the connection ends.

    ``ranges``: whether Range is heeded.
    """

    def play(exchange: Exchange) -> None:
        if not ranges:
            exchange.headers.pop("range", None)
        answer = exchange.usual()
        exchange.begin(answer)
        exchange.send(answer.body[: int(len(answer.body) * share) if at is None else at])
        _end(exchange, how)

    return Fault(f"{how} at {share if at is None else at}", play)


def unframed(share: float = 0.5) -> Fault:
    """A share of the body without Content-Length, then FIN: nothing on the wire says that it is not all."""

    def play(exchange: Exchange) -> None:
        answer = exchange.usual()
        answer.framed = False
        exchange.begin(answer)
        exchange.send(answer.body[: int(len(answer.body) * share)])
        exchange.peer.close()

    return Fault("no length, cut", play)


def chunked(share: float = 0.5, complete: bool = False) -> Fault:
    """A share of the body in chunks, with or without the one that ends them."""

    def play(exchange: Exchange) -> None:
        answer = exchange.usual()
        answer.headers["Transfer-Encoding"] = "chunked"
        exchange.begin(answer)
        data = answer.body[: int(len(answer.body) * share)]
        exchange.peer.send(b"%x\r\n" % len(data))
        exchange.send(data)
        exchange.peer.send(b"\r\n")
        if complete:
            exchange.peer.send(b"0\r\n\r\n")
        exchange.peer.close()

    return Fault("chunks, cut", play)


def short_length(share: float = 0.5) -> Fault:
    """A Content-Length that is too small, and so much of the body."""

    def change(answer: Answer, exchange: Exchange) -> None:
        answer.body = answer.body[: int(len(answer.body) * share)]

    return changed(change, "short length")


def endless(limit: int = 64 * 1024 * 1024, framed: bool = False, lead: bytes | None = None, status: int | None = None) -> Fault:
    """The usual body and then bytes without end, or as far as ``limit``; ``framed``: in chunks. ``lead``: another
    beginning, ``status``: another status."""

    def play(exchange: Exchange) -> None:
        answer = exchange.usual()
        answer.status = status or answer.status
        answer.framed = False
        if framed:
            answer.headers["Transfer-Encoding"] = "chunked"
        exchange.begin(answer)
        data = answer.body if lead is None else lead
        while exchange.entry.sent < limit:
            if framed:
                exchange.peer.send(b"%x\r\n" % len(data))
            exchange.send(data)
            if framed:
                exchange.peer.send(b"\r\n")
            data = b" " * _PIECE
        exchange.peer.close()

    return Fault("endless", play)


def drip(pause: float = 0.05, share: float = 0.0, limit: float = 60.0) -> Fault:
    """A share of the body at once, then a byte every ``pause`` seconds, for ``limit`` seconds at most."""

    def play(exchange: Exchange) -> None:
        answer = exchange.usual()
        exchange.begin(answer)
        at = int(len(answer.body) * share)
        exchange.send(answer.body[:at])
        end = time.monotonic() + limit
        while at < len(answer.body) and time.monotonic() < end and not exchange.peer.wait(pause):
            exchange.send(answer.body[at : at + 1])
            at += 1
        exchange.peer.close()

    return Fault("drip", play)


def stall(share: float | None = 0.5, seconds: float = 60.0) -> Fault:
    """A share of the body, then nothing; None: not even a status."""

    def play(exchange: Exchange) -> None:
        if share is not None:
            answer = exchange.usual()
            exchange.begin(answer)
            exchange.send(answer.body[: int(len(answer.body) * share)])
        exchange.peer.stall(seconds)

    return Fault("stall", play)


def late(seconds: float = 0.5) -> Fault:
    """Half of the request's body, a pause, the other half; the usual answer with a pause before it and in its middle."""

    def play(exchange: Exchange) -> None:
        exchange.body(exchange.length // 2)
        exchange.peer.wait(seconds)
        answer = exchange.usual()
        exchange.peer.wait(seconds)
        if exchange.entry.method == "HEAD":
            exchange.give(answer)
            return
        exchange.begin(answer)
        half = len(answer.body) // 2
        exchange.send(answer.body[:half])
        exchange.peer.wait(seconds if half else 0)
        exchange.send(answer.body[half:])

    return Fault("late", play)


def broken(share: float = 0.5, how: str = RESET) -> Fault:
    """The connection ends when a share of the request's body has come; the registry keeps nothing of it."""

    def play(exchange: Exchange) -> None:
        exchange.body(int(exchange.length * share))
        _end(exchange, how)

    return Fault(f"{how} in the request", play)


def kept_and_broken(share: float = 0.5) -> Fault:
    """As `broken`, but what came is kept, as distribution 3 does."""

    def play(exchange: Exchange) -> None:
        arrived = exchange.body(int(exchange.length * share)) or b""
        repository = exchange.server.storage[exchange.repository]
        with exchange.server.storage.lock:
            upload = repository.uploads.get(exchange.reference)
            if upload is not None:
                upload += arrived
        exchange.peer.reset()

    return Fault("reset in the request, part kept", play)


def stalled(share: float = 0.5, seconds: float = 60.0) -> Fault:
    """Nothing more is taken once a share of the request's body has come."""

    def play(exchange: Exchange) -> None:
        exchange.body(int(exchange.length * share))
        exchange.entry.status = 100
        exchange.peer.wait(seconds)
        exchange.peer.close()

    return Fault("stall in the request", play)


def lost(how: str = RESET) -> Fault:
    """The request is carried out, its answer is never sent."""

    def play(exchange: Exchange) -> None:
        exchange.entry.status = exchange.usual().status
        _end(exchange, how)

    return Fault("answer lost", play)


def hung_up() -> Fault:
    """The usual answer, and then an end of the connection that was not announced."""

    def play(exchange: Exchange) -> None:
        exchange.give(exchange.usual())
        exchange.peer.close()

    return Fault("closed when idle", play)


def done_then(status: int, code: str = "", message: str = "") -> Fault:
    """The request is carried out, and answered with an error all the same."""

    def play(exchange: Exchange) -> None:
        exchange.usual()
        exchange.give(error(status, code, message))

    return Fault(f"done, yet {status}", play)


# -- the registry ------------------------------------------------------------------------------------------------


def session_lost() -> Fault:
    """The upload is not known any more."""

    def play(exchange: Exchange) -> None:
        exchange.body()
        exchange.server.storage[exchange.repository].uploads.pop(exchange.reference, None)
        exchange.give(error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown"))

    return Fault("upload lost", play)


def expired() -> Fault:
    """Every token so far is worth nothing: the answer is 401, to be asked again with another."""

    def play(exchange: Exchange) -> None:
        exchange.server.forget_tokens()
        exchange.give(exchange.usual())

    return Fault("token expired", play)


def moment_in(seconds: float) -> str:
    """An HTTP-date so many seconds from now."""
    return formatdate(time.time() + seconds, usegmt=True)
