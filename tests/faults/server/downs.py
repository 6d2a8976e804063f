# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that break off, lie about their length, never end, or come too slowly."""

from __future__ import annotations

import time

from .answer import Answer
from .exchange import Exchange
from .fault import RESET, Fault, end
from .refusals import changed

_PIECE = 64 * 1024


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
        end(exchange, how)

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
