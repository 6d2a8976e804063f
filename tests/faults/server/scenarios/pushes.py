# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests on their way up: answers that are lost, or that are not true."""

from __future__ import annotations

from ..answer import Answer
from ..exchange import Exchange
from ..faults import changed, lost, page, refused, with_headers
from ..kinds import Kind
from ..rules import Scenario, on

_PUT = Kind.PUT_MANIFEST
_ZEROS = "sha256:" + "0" * 64


def _there(answer: Answer, exchange: Exchange) -> Answer:
    """Every blob is there, the registry says."""
    return Answer(200, b"", {"Content-Length": str(exchange.server.storage.size_of(exchange.reference))})


def _forgets(answer: Answer, exchange: Exchange) -> None:
    """The tag that was just set is not."""
    exchange.server.storage[exchange.repository].tags.pop(exchange.reference, None)
    answer.status = 200


SCENARIOS = (
    *(Scenario(f"man{status}", (on(_PUT, refused(status), 1),)) for status in (429, 500, 502, 503, 504)),
    Scenario("pushmanreset", (on(_PUT, lost(), 1),)),
    Scenario("pushman200", (on(_PUT, with_headers(200)),)),
    Scenario("pushman200page", (on(_PUT, page()),)),
    Scenario("pushman200nothing", (on(_PUT, changed(_forgets, "200, and nothing kept")),)),
    Scenario("pushmanlies", (on(_PUT, with_headers(docker_content_digest=_ZEROS)),)),
    Scenario("headlies", (on(Kind.HEAD_BLOB, changed(_there, "HEAD 200 for what is not there"), 1),)),
    Scenario("headliesalways", (on(Kind.HEAD_BLOB, changed(_there, "HEAD 200 for what is not there")),)),
)
