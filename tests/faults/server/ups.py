# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that break off, that are carried out and not answered, or that the registry forgets."""

from __future__ import annotations

from .answer import error
from .exchange import Exchange
from .fault import RESET, Fault, end


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
        end(exchange, how)

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
        end(exchange, how)

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
