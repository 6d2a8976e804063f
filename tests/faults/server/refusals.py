# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers other than the usual one: errors, pages, redirects, changed headers and bodies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from .answer import Answer, error
from .exchange import Exchange
from .fault import Fault


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


def moment_in(seconds: float) -> str:
    """An HTTP-date so many seconds from now."""
    return formatdate(time.time() + seconds, usegmt=True)
