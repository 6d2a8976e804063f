# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects: to storage, in circles, to other hosts, down from TLS, to where nobody may go."""

from __future__ import annotations

from ..faults import cut, redirect, refused
from ..kinds import Kind
from ..rules import Login, Scenario, on

_BLOB, _STORAGE = Kind.GET_BLOB, Kind.STORAGE
_USER = {"user": "secret-of-the-user"}
_PLACE = "/storage/{repository}/blobs/{reference}"


#: Where no registry may send anybody (section 3.2), by a name for the scenario.
FORBIDDEN = {
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "unspecified": "http://0.0.0.0:9999/",
    "unspecified6": "http://[::]:9999/",
    "decimal": "http://2130706433/",
    "fullwidth": "http://127\uff610\uff610\uff611/",
    "multicast": "http://224.0.0.1/",
    "linklocal6": "http://[fe80::1]/",
    "awsmetadata6": "http://[fd00:ec2::254]/",
    "azure": "http://168.63.129.16/",
    "mapped": "http://[::ffff:169.254.169.254]/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1/",
    "userinfo": "http://user:password@127.0.0.1/",
    "port": "http://127.0.0.1:0/",
    "long": "http://127.0.0.1/" + "a" * 9000,
}

SCENARIOS = (
    Scenario("redirloop", (on(_BLOB, redirect("{target}")),)),
    Scenario(
        "redirpong",
        (
            on(_BLOB, redirect("{other}{target}"), when=lambda one: "127.0.0.1" in one.origin),
            on(_BLOB, redirect("{plain}{target}")),
        ),
    ),
    Scenario("redirlong", (on((_BLOB, _STORAGE), redirect("/storage/{repository}/blobs/{reference}?{target}")),)),
    Scenario("redirect", (on(_BLOB, redirect("{home}" + _PLACE)),), Login(users=_USER)),
    Scenario("redirother", (on(_BLOB, redirect("{other}" + _PLACE + "?X-Amz-Signature=0123456789abcdef")),), Login(users=_USER)),
    Scenario(
        "redirback",
        (
            on(_BLOB, redirect("{other}/storage/{repository}/blobs/{reference}"), 1),
            on(_STORAGE, redirect("{plain}/v2/{repository}/blobs/{reference}?again"), 1),
        ),
        Login(users=_USER),
    ),
    Scenario("redirdown", (on(_BLOB, redirect("{other_plain}" + _PLACE)),)),
    Scenario("redirdownsame", (on(_BLOB, redirect("http://{host}" + _PLACE)),)),
    Scenario(
        "redirbasic",
        (
            on(_BLOB, redirect("{other}" + _PLACE)),
            on(_STORAGE, refused(401, headers={"WWW-Authenticate": 'Basic realm="storage"'})),
        ),
        Login(users=_USER),
    ),
    Scenario(
        "redirbearer",
        (
            on(_BLOB, redirect("{other}" + _PLACE)),
            on(_STORAGE, refused(401, headers={"WWW-Authenticate": 'Bearer realm="{other}/token"'})),
        ),
        Login(users=_USER),
    ),
    Scenario("redircut", (on(_BLOB, redirect("{other}" + _PLACE + "?signature={reference}")), on(_STORAGE, cut(), 1))),
    *(Scenario(f"redirto-{name}", (on(_BLOB, redirect(place)),)) for name, place in FORBIDDEN.items()),
    *(Scenario(f"redirput-{status}", (on(Kind.PUT_UPLOAD, redirect("{other}{target}", status)),)) for status in (301, 302, 303)),
    *(
        Scenario(
            f"redirput-{status}",
            (on(Kind.PUT_UPLOAD, redirect("{other}{target}", status), when=lambda one: "127.0.0.1" in one.origin),),
        )
        for status in (307, 308)
    ),
)
