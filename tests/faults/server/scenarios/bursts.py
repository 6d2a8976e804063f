# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that is busy for a moment, or for a day, and what it says of when to come again."""

from __future__ import annotations

from ..faults import drip, endless, moment_in, page, refused, stall
from ..kinds import READS, WRITES, Kind
from ..rules import Scenario, on

#: Statuses that pass (section 4.1 of the rules).
PASSING = (408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524)
#: Statuses that asking again does not change.
LASTING = (400, 403, 409, 410, 411, 412, 413, 414, 415, 422, 431, 451, 501, 507)

_GETS = (Kind.GET_MANIFEST, Kind.GET_BLOB)
#: Retry-After as servers write it, and whether there is anything to wait for.
RETRY_AFTER = {"zero": "0", "one": "1", "past": moment_in(-3600), "nonsense": "soon", "negative": "-5", "fraction": "0.5"}

SCENARIOS = (
    *(Scenario(f"burst{status}", (on(_GETS, refused(status), 2),)) for status in PASSING),
    *(Scenario(f"lasting{status}", (on(Kind.GET_MANIFEST, refused(status, "DENIED", "no")),)) for status in LASTING),
    *(
        Scenario(f"after{status}{name}", (on(Kind.GET_BLOB, refused(status, headers={"Retry-After": value}), 2),))
        for name, value in RETRY_AFTER.items()
        for status in (429, 503)
    ),
    Scenario("afterdate", (on(Kind.GET_MANIFEST, refused(429, headers={"Retry-After": moment_in(86400)})),)),
    Scenario("afterday", (on(READS, refused(429, "TOOMANYREQUESTS", "slow down", {"Retry-After": "86400"})),)),
    Scenario("afterday503", (on(READS, refused(503, headers={"Retry-After": "86400"})),)),
    Scenario("afterever", (on(READS, refused(429, headers={"Retry-After": "9" * 400})),)),
    Scenario("down", (on(READS, refused(503)),)),
    Scenario("busy", (on((*READS, *WRITES), refused(429, body=b"<html>slow down</html>")),)),
    Scenario("slowman", (on(Kind.GET_MANIFEST, drip()),)),
    Scenario("stallman", (on(Kind.GET_MANIFEST, stall()),)),
    Scenario("proxydenied", (on(READS, refused(407, body=b"Proxy Authentication Required")),)),
    Scenario("silent", (on(READS, stall(None)),)),
    Scenario("badgateway", (on(READS, page(b"<html><h1>Bad Gateway</h1></html>", 502)),)),
    Scenario("infman", (on(Kind.GET_MANIFEST, endless()),)),
    Scenario("infheader", (on(Kind.GET_MANIFEST, refused(200, headers={f"X-{n}": "x" * 8000 for n in range(400)})),)),
    Scenario("inferror", (on(Kind.GET_MANIFEST, endless(status=403, lead=b'{"errors": [{"code": "DENIED", "message": "')),)),
    Scenario("infmanchunks", (on(Kind.GET_MANIFEST, endless(framed=True)),)),
    Scenario("hugeman", (on(Kind.GET_MANIFEST, refused(200, headers={"Content-Length": str(64 * 1024 * 1024)})),)),
)
