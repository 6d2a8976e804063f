# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that break off, are forgotten, are refused, or are pointed elsewhere."""

from __future__ import annotations

from ..answer import Answer
from ..exchange import Exchange
from ..faults import (
    Fault,
    broken,
    changed,
    done_then,
    early,
    expired,
    hung_up,
    kept_and_broken,
    lost,
    refused,
    session_lost,
    stalled,
    with_headers,
)
from ..kinds import UPLOADS, Kind
from ..rules import Login, Scenario, on

_POST, _PATCH, _PUT, _MANIFEST = Kind.POST_UPLOAD, Kind.PATCH_UPLOAD, Kind.PUT_UPLOAD, Kind.PUT_MANIFEST
_BODY = (_PATCH, _PUT)
_SERVER_SAYS = "the words of the server"


def _has_body(exchange: Exchange) -> bool:
    return exchange.length > 0


def _location(form: str) -> Fault:
    """The usual answer with its Location in another form: ``<path>`` is the whole of it, ``<name>`` the last part of its
    path, ``<query>`` its query."""

    def change(answer: Answer, exchange: Exchange) -> None:
        place = answer.headers.get("Location", "")
        path, unused, query = place.partition("?")
        text = form.replace("<path>", place).replace("<name>", path.rpartition("/")[2]).replace("<query>", query)
        answer.headers["Location"] = exchange.server.expand(text, exchange)

    return changed(change, f"Location {form}")


#: Refusals that asking again does not change: what is answered, to what.
LASTING: dict[str, Fault] = {
    "readonly": refused(405, "UNSUPPORTED", _SERVER_SAYS),
    "readonlytext": refused(405, body=b"Method not allowed\n"),
    "quota": refused(403, "DENIED", f"{_SERVER_SAYS}: adding 4.1 GiB of storage resource exceeds the quota"),
    "harbor": refused(403, "DENIED", f"{_SERVER_SAYS}: the system is in read only mode"),
    "toolarge": refused(413, "DENIED", _SERVER_SAYS),
    "full": refused(507, "UNKNOWN", _SERVER_SAYS),
    "immutable": refused(412, "PRECONDITION", f"{_SERVER_SAYS}: the tag is immutable"),
}

#: A proxy that takes no larger requests.
_LIMITED = on(_BODY, early(413), when=lambda exchange: exchange.length > 2 * 1024 * 1024)

SCENARIOS = (
    Scenario("pushreset", (on(_PUT, broken(), 1, together=True, when=_has_body),)),
    Scenario("pushresetkept", (on(_PUT, kept_and_broken(), 1, together=True, when=_has_body),)),
    Scenario("pushresetalways", (on(_BODY, broken(), when=_has_body),)),
    Scenario("pushsess", (on(_PUT, session_lost(), 1, together=True),)),
    Scenario("pushsessstored", (on(_PUT, done_then(404, "BLOB_UPLOAD_UNKNOWN"), 1, together=True),)),
    Scenario("pushlost", (on(_PUT, lost(), 1, together=True),)),
    Scenario("pushsessalways", (on(_PUT, session_lost()),)),
    *(Scenario(f"put{status}", (on(_PUT, refused(status), 1, together=True),)) for status in (500, 502, 503, 504)),
    Scenario("smallbodies", (_LIMITED,)),
    *(Scenario(f"patch{status}", (_LIMITED, on(_PATCH, refused(status), 1, together=True))) for status in (500, 503)),
    *(Scenario(f"post{status}", (on(_POST, refused(status), 2, together=True),)) for status in (429, 503)),
    Scenario("postafter", (on(_POST, refused(429, headers={"Retry-After": "1"}), 1, together=True),)),
    Scenario("garbledonce", (on(_PUT, refused(400, "DIGEST_INVALID"), 1, together=True),)),
    Scenario("garbled", (on(_PUT, refused(400, "DIGEST_INVALID", "provided digest did not match")),)),
    Scenario("pushearly413", (on(_BODY, early(413, 64 * 1024), when=_has_body),)),
    Scenario(
        "pushtokenexp",
        (on(_PUT, expired(), 1, together=True),),
        Login(users={"user": "secret-of-the-user"}),
    ),
    *(Scenario(f"refuses-{name}", (on(UPLOADS, fault),)) for name, fault in LASTING.items()),
    *(Scenario(f"refuses-tag-{name}", (on(_MANIFEST, fault),)) for name, fault in LASTING.items()),
    Scenario("stallput", (on(_PUT, stalled(), 1, together=True, when=lambda exchange: exchange.length > 1000),)),
    Scenario("hungup", (on(Kind, hung_up()),)),
    Scenario("locnone", (on(_POST, with_headers(location=None)),)),
    Scenario("locabsolute", (on(UPLOADS, _location("{home}<path>")),)),
    Scenario("locrelative", (on(UPLOADS, _location("<path>")),)),
    Scenario("locslashes", (on(UPLOADS, _location("//{host}<path>")),)),
    Scenario("locbare", (on(_POST, _location("<name>?<query>")),)),
    Scenario("locquery", (on(_POST, _location("<path>&a=a%2Fb%2bc%3D&e=~%7E")),)),
    Scenario("locopen", (on(_POST, _location("{other}<path>")),)),
    Scenario("locother", (on(_POST, _location("{other}<path>")),), Login(users={"user": "secret-of-the-user"})),
    Scenario("locotherplain", (on(_POST, _location("{other_plain}<path>")),), Login(users={"user": "secret-of-the-user"})),
    Scenario("locdowngrade", (on(_POST, _location("http://{host}<path>")),)),
    Scenario("locmetadata", (on(_POST, _location("http://169.254.169.254<path>")),)),
    Scenario("locmetadatatls", (on(_POST, _location("https://169.254.169.254<path>")),)),
    Scenario("locfile", (on(_POST, _location("file:///etc/passwd")),)),
    Scenario("mountdenied", (on(_POST, refused(401, "UNAUTHORIZED", "project not found"), when=lambda one: "mount" in one.query),)),
)
