# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of tags: that go round in circles, lead elsewhere, or hold what no tag can be called."""

from __future__ import annotations

import itertools
import json

from ..answer import Answer, document
from ..exchange import Exchange
from ..faults import Fault, changed, refused, with_body
from ..kinds import Kind
from ..rules import Scenario, on

_numbers = itertools.count(1)


def _linked(link: str) -> Fault:
    def change(answer: Answer, exchange: Exchange) -> None:
        answer.headers["Link"] = f'<{exchange.server.expand(link, exchange)}>; rel="next"'

    return changed(change, f"Link {link}")


def _growing(answer: Answer, exchange: Exchange) -> Answer:
    number = int(exchange.query.get("last", "t0")[1:]) + 1
    link = f'</v2/{exchange.repository}/tags/list?n=1&last=t{number}>; rel="next"'
    return document({"name": exchange.repository, "tags": [f"t{number}"]}, headers={"Link": link})


def _circling(answer: Answer, exchange: Exchange) -> None:
    # Always another URL, never another tag.
    answer.headers["Link"] = f'</v2/{exchange.repository}/tags/list?n=1000&cursor={next(_numbers)}>; rel="next"'


#: Names that are no tags, as registries have sent them (R1.50) or might.
NO_TAGS = [None, "sha256:" + "0" * 64, "../../etc/passwd", "x\x1b[31mred", "c\u202ed", "a b", "", "t" * 129, 7, {"a": 1}]

_MIXED = json.dumps({"name": "x", "tags": ["1", *NO_TAGS, "2"]}).encode()

SCENARIOS = (
    Scenario("linkloop", (on(Kind.TAGS, _linked("{target}")),)),
    Scenario("linkcircle", (on(Kind.TAGS, changed(_circling, "Link to another page with the same")),)),
    Scenario("linkendless", (on(Kind.TAGS, changed(_growing, "a page more each time")),)),
    Scenario("linkother", (on(Kind.TAGS, _linked("{other}/v2/{repository}/tags/list?n=1&last=1"), 1, together=True),)),
    Scenario("linkmetadata", (on(Kind.TAGS, _linked("http://169.254.169.254/latest/meta-data/"), 1, together=True),)),
    Scenario("linknexus", (on(Kind.TAGS, _linked("/repository/inner/v2/{repository}/tags/list?n=1&last=1"), 1, together=True),)),
    Scenario("mixedtags", (on(Kind.TAGS, with_body(_MIXED)),)),
    Scenario("nulltags", (on(Kind.TAGS, with_body(b'{"name": "x", "tags": null}')),)),
    Scenario("notags", (on(Kind.TAGS, refused(404, "NAME_UNKNOWN")),)),
)
