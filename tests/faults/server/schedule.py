# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random faults over a whole task, the same for the same seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .faults import (
    FIN,
    Fault,
    broken,
    chunked,
    cut,
    done_then,
    hung_up,
    kept_and_broken,
    lost,
    page,
    refused,
    session_lost,
    spoilt,
    unframed,
    with_body,
    with_headers,
)
from .kinds import UPLOADS, Kind

if TYPE_CHECKING:
    from .exchange import Exchange

_WAIT = {"Retry-After": "0"}
_EVERYWHERE = (
    *(refused(status) for status in (408, 429, 500, 502, 503, 504)),
    refused(429, headers=_WAIT),
    refused(503, headers=_WAIT),
    lost(),
    lost(FIN),
    hung_up(),
    page(status=502),
)
_BROKEN = (
    cut(0.5),
    cut(0.1, FIN),
    cut(0.9),
    cut(0.5, ranges=False),
    cut(at=1000),
    unframed(),
    chunked(),
)
_LIES = (
    with_body(spoilt),
    with_body(lambda data: data + b"more"),
    with_headers(docker_content_digest="sha256:" + "0" * 64),
)
_UPLOADS = (broken(0.3), broken(0.9, FIN), kept_and_broken(), session_lost(), done_then(500), done_then(404, "BLOB_UPLOAD_UNKNOWN"))

#: What may happen to what, without a lie about the content: all of it passes.
PASSING: Mapping[Kind, Sequence[Fault]] = {
    **{kind: _EVERYWHERE for kind in Kind if kind not in (Kind.OTHER, Kind.TOKEN)},
    Kind.GET_MANIFEST: (*_EVERYWHERE, *_BROKEN),
    Kind.GET_BLOB: (*_EVERYWHERE, *_BROKEN),
    Kind.STORAGE: (*_EVERYWHERE, *_BROKEN),
    Kind.PATCH_UPLOAD: (*_EVERYWHERE, *_UPLOADS),
    Kind.PUT_UPLOAD: (*_EVERYWHERE, *_UPLOADS, refused(400, "DIGEST_INVALID")),
    Kind.PUT_MANIFEST: (*_EVERYWHERE, broken(0.5), done_then(500), refused(400, "MANIFEST_BLOB_UNKNOWN")),
}
#: And with lies.
MENU: Mapping[Kind, Sequence[Fault]] = {
    **PASSING,
    **{kind: (*PASSING[kind], *_LIES) for kind in (Kind.GET_MANIFEST, Kind.GET_BLOB, Kind.STORAGE)},
}


class Met(NamedTuple):
    """A fault that was played, and on what."""

    fault: Fault
    method: str
    path: str


class Schedule:
    """Which request meets which fault: it follows from the seed, the request's method and path, and how often it came.

    So it does not depend on the order in which requests that run side by side arrive. Uploads have other paths each time
    and are counted for their repository.
    """

    def __init__(self, seed: int, rate: float, most: int, menu: Mapping[Kind, Sequence[Fault]] = MENU) -> None:
        self.seed = seed
        self._menu = menu
        self._rate = rate
        self._most = most
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}
        self._in_a_row: dict[str, int] = {}
        #: What was played, in order.
        self.met: list[Met] = []

    def fault(self, exchange: Exchange) -> Fault | None:
        """What this request meets; None for nothing."""
        menu = self._menu.get(exchange.kind)
        if not menu:
            return None
        upload = exchange.kind in UPLOADS
        key = f"{exchange.entry.method} {exchange.repository if upload else exchange.entry.path}"
        with self._lock:
            count = self._asked[key] = self._asked.get(key, 0) + 1
            dice = random.Random(f"{self.seed} {key} {count}")
            if dice.random() >= self._rate or self._in_a_row.get(key, 0) >= self._most:
                self._in_a_row[key] = 0
                return None
            self._in_a_row[key] = self._in_a_row.get(key, 0) + 1
            fault = dice.choice(menu)
            self.met.append(Met(fault, exchange.entry.method, exchange.entry.path))
        return fault
