# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Challenges and token servers: the usual ones, the wrong ones, and those that are after credentials."""

from __future__ import annotations

from ..faults import endless, expired, page, refused, with_body
from ..kinds import READS, Kind
from ..rules import Login, Scenario, on

_USER = {"user": "secret-of-the-user"}
_ALL = (*READS, Kind.POST_UPLOAD, Kind.PUT_MANIFEST)

#: Realms that nobody may be sent to with credentials, by a name for the scenario.
REALMS = {
    "metadata": "http://169.254.169.254/token",
    "unspecified": "http://0.0.0.0:9999/token",
    "unspecified6": "http://[::]:9999/token",
    "mapped": "http://[::ffff:169.254.169.254]/token",
    "decimal": "http://2130706433/token",
    "fullwidth": "http://127\uff610\uff610\uff611/token",
    "file": "file:///etc/passwd",
    "userinfo": "http://u:p@127.0.0.1/token",
}

_EXPIRED = on(Kind.GET_BLOB, expired(), 1, after=1, together=True)

SCENARIOS = (
    Scenario("login", login=Login(users=_USER)),
    Scenario("basic", login=Login("basic", users=_USER)),
    Scenario("anonymous", login=Login()),
    Scenario("tokenexp", (_EXPIRED,), Login(users=_USER)),
    Scenario("tokenalways", (on(Kind.GET_BLOB, expired()),), Login(users=_USER)),
    Scenario("realmother", login=Login(realm="{other}/token", users=_USER)),
    Scenario("realmrelative", login=Login(realm="/token", users=_USER)),
    Scenario("realmquery", login=Login(realm="{home}/token?tenant=a%2Fb", users=_USER)),
    Scenario("realmplain", login=Login(realm="{plain}/token", users=_USER)),
    Scenario("realmnone", login=Login(challenge='Bearer service="faulty"', users=_USER)),
    *(Scenario(f"realm-{name}", login=Login(realm=realm, users=_USER)) for name, realm in REALMS.items()),
    Scenario("tokenlong", (on(Kind.TOKEN, with_body(b'{"token": "' + b"x" * 2_000_000 + b'"}')),), Login(users=_USER)),
    Scenario("tokenendless", (on(Kind.TOKEN, endless()),), Login(users=_USER)),
    Scenario("tokenpage", (on(Kind.TOKEN, page()),), Login(users=_USER)),
    Scenario("tokendown", (on(Kind.TOKEN, refused(503), 2),), Login(users=_USER)),
    Scenario(
        "tokenskewed",
        (on(Kind.TOKEN, with_body(lambda data: data[:-1] + b', "issued_at": "2001-01-01T00:00:00Z"}')),),
        Login(users=_USER),
    ),
    Scenario(
        "tokenearly",
        (on(Kind.TOKEN, with_body(lambda data: data[:-1] + b', "issued_at": "2099-01-01T00:00:00Z"}')),),
        Login(users=_USER),
    ),
    Scenario("tokencontrol", (on(Kind.TOKEN, with_body(b'{"token": "a\\r\\nX-Injected: 1"}')),), Login(users=_USER)),
    Scenario("denied", (on(_ALL, refused(403, "DENIED", "requested access to the resource is denied")),)),
    Scenario("nochallenge", (on(_ALL, refused(401, "UNAUTHORIZED")),)),
)
