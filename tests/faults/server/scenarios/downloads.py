# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs that break off, are others than they claim, never end or never come."""

from __future__ import annotations

from ..answer import Answer
from ..exchange import Exchange
from ..faults import (
    FIN,
    changed,
    chunked,
    cut,
    drip,
    endless,
    late,
    page,
    refused,
    short_length,
    spoilt,
    stall,
    unframed,
    with_body,
    with_headers,
)
from ..kinds import Kind
from ..rules import Scenario, on

_BLOB = Kind.GET_BLOB


def _ranged(exchange: Exchange) -> bool:
    return "range" in exchange.headers


def _is_json(exchange: Exchange) -> bool:
    return exchange.server.storage[exchange.repository].blobs.get(exchange.reference, b"").startswith(b"{")


def _is_layer(exchange: Exchange) -> bool:
    return not _is_json(exchange)


def _is_large(exchange: Exchange) -> bool:
    blobs = exchange.server.storage[exchange.repository].blobs
    return exchange.length > 100_000 or len(blobs.get(exchange.reference, b"")) > 100_000


def _off_by_one(answer: Answer, exchange: Exchange) -> None:
    # Says that it begins a byte later than was asked for, and does.
    if answer.status == 206:
        start, unused, rest = answer.headers["Content-Range"].removeprefix("bytes ").partition("-")
        answer.headers["Content-Range"] = f"bytes {int(start) + 1}-{rest}"
        answer.body = answer.body[1:]


def _not_there(answer: Answer, exchange: Exchange) -> None:
    answer.headers["Content-Length"] = str(len(answer.body) + 1000)
    answer.last = True


SCENARIOS = (
    Scenario("resetonce", (on(_BLOB, cut(), 1),)),
    Scenario("resetnorange", (on(_BLOB, cut(), 1), on(_BLOB, cut(1.0, FIN, ranges=False)))),
    Scenario("resetbadrange", (on(_BLOB, cut(), 1), on(_BLOB, changed(_off_by_one, "206 with another offset"), when=_ranged))),
    Scenario("resetbadtail", (on(_BLOB, cut(), 1, when=_is_layer), on(_BLOB, with_body(spoilt), 1, when=_ranged))),
    Scenario("resetbadtails", (on(_BLOB, cut(), 1, when=_is_layer), on(_BLOB, with_body(spoilt), when=_is_layer))),
    Scenario("reset500", (on(_BLOB, cut(), 1), on(_BLOB, refused(500), 1))),
    Scenario("reset416", (on(_BLOB, cut(), 1), on(_BLOB, refused(416), 1, when=_ranged))),
    Scenario("resetalways", (on(_BLOB, cut(at=1000)),)),
    Scenario("trunc", (on(_BLOB, cut(how=FIN, ranges=False)),)),
    Scenario("trunconce", (on(_BLOB, cut(how=FIN), 1),)),
    Scenario("trunceof", (on(_BLOB, unframed()),)),
    Scenario("truncchunk", (on(_BLOB, chunked()),)),
    Scenario("trunclie", (on(_BLOB, short_length()),)),
    Scenario("trunclies", (on(_BLOB, chunked(complete=True)),)),
    Scenario("wrongblob", (on(_BLOB, with_body(spoilt), when=_is_layer),)),
    Scenario("wrongconfig", (on(_BLOB, with_body(spoilt), when=_is_json),)),
    Scenario("longblob", (on(_BLOB, changed(_not_there, "a longer length")),)),
    Scenario("infblob", (on(_BLOB, endless()),)),
    Scenario("infblobchunks", (on(_BLOB, endless(framed=True)),)),
    Scenario("slowblob", (on(_BLOB, drip(), when=_is_layer),)),
    Scenario("stallblob", (on(_BLOB, stall()),)),
    Scenario("late", (on((Kind.GET_BLOB, Kind.PUT_UPLOAD), late(), when=_is_large),)),
    Scenario("stallonce", (on(_BLOB, stall(), 1),)),
    Scenario("gzipped", (on(_BLOB, with_headers(content_encoding="gzip")),)),
    Scenario("pageblob", (on(_BLOB, page()),)),
)
