# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects and absolute URLs: resolved to the byte, limited, and never followed with credentials (R1.30, R1.37, R1.71, S4-S7)."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    RefusedTarget,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.redirects import resolve
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.authority import Authority
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, by_path, in_turn, reply

BASE = "https://h:5000/v2/a/blobs/uploads/?x=1"


def session(fake: Fake, **options: Any) -> Session:
    return Session(fake.host, Settings(plain_http=True, timeout=5, retries=0, username="u", password="p", **options), Meter())


def to(url: str, status: int = 307) -> Any:
    return reply(status, b"moved", {"Location": url})


def guarded(answer: Any) -> Any:
    """Asks for Basic credentials first."""
    return in_turn(reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'}), answer)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("https://o/p?a%2Fb%2bc%3D&e=~%7E", "https://o/p?a%2Fb%2bc%3D&e=~%7E"),
        ("HTTPS://o/p", "HTTPS://o/p"),
        ("//o/p", "https://o/p"),
        ("/p/../q?r=/../", "https://h:5000/p/../q?r=/../"),
        ("uuid?_state=a%2b:b", "https://h:5000/v2/a/blobs/uploads/uuid?_state=a%2b:b"),
        ("../uuid?s=a/../b", "https://h:5000/v2/a/blobs/uuid?s=a/../b"),
        ("?y=2", "https://h:5000/v2/a/blobs/uploads/?y=2"),
        ("", BASE),
        ("/a b\u00e4#f", "https://h:5000/a%20b%E4"),
    ],
)
def test_r1_30_resolve(reference: str, url: str) -> None:
    assert resolve(BASE, reference) == url


@pytest.mark.parametrize("reference", ["file:///etc/passwd", "ftp://h/", "/a\r\nX: y", "/" + "a" * 9000, "javascript:1"])
def test_resolve_refuses(reference: str) -> None:
    with pytest.raises(RefusedTarget):
        resolve(BASE, reference)


def test_storage_gets_no_credentials_and_is_asked_for_by_the_registry_each_time() -> None:
    """R1.71, R1.72."""
    with Fake(reply(200, b"blob"), address="127.0.0.2") as storage, Fake() as fake:
        url = f"{storage.url}/blob?sig=a%2Fb%2bc"
        fake.answer = guarded(to(url))
        one = session(fake)
        for unused in range(2):
            response = one.request("GET", "/v2/a/blobs/b", headers={"Range": "bytes=1-"})
            assert (response.body, response.url) == (b"blob", url)
        assert "authorization" in fake.log[1].headers
        assert [request.target for request in storage.log] == ["/blob?sig=a%2Fb%2bc"] * 2
        assert all("authorization" not in request.headers for request in storage.log)
        assert storage.log[0].headers["range"] == "bytes=1-"
        assert storage.log[0].headers["host"] == storage.host
        assert len(fake.log) == 3


def test_s6_same_host_other_port_is_another_origin() -> None:
    with Fake(reply(200)) as other, Fake() as fake:
        fake.answer = guarded(to(f"{other.url}/x"))
        session(fake).request("GET", "/v2/")
        assert "authorization" not in other.log[0].headers


def test_s6_credentials_do_not_come_back() -> None:
    with Fake(address="127.0.0.2") as other, Fake() as fake:
        other.answer = to(f"{fake.url}/back")
        fake.answer = by_path({"/v2/": guarded(to(f"{other.url}/x")), "/back": reply(200)})
        session(fake).request("GET", "/v2/")
        assert fake.paths() == ["GET /v2/", "GET /v2/", "GET /back"]
        assert "authorization" in fake.log[1].headers
        assert "authorization" not in fake.log[2].headers


def test_same_origin_keeps_credentials() -> None:
    with Fake() as fake:
        fake.answer = by_path({"/v2/": guarded(to("/v2/x")), "/v2/x": reply(200)})
        session(fake).request("GET", "/v2/")
        assert "authorization" in fake.log[2].headers


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="http://127.0.0.2/t"'])
def test_s7_challenge_after_a_redirect_is_final(challenge: str) -> None:
    denied = reply(401, b"", {"WWW-Authenticate": challenge})
    with Fake(denied, address="127.0.0.2") as other, Fake() as fake:
        fake.answer = guarded(to(f"{other.url}/x"))
        with pytest.raises(AccessDenied):
            session(fake).request("GET", "/v2/")
        assert len(other.log) == 1
        assert "authorization" not in other.log[0].headers


def test_circle_and_chain_end() -> None:
    with Fake(to("/v2/")) as fake:
        with pytest.raises(RegistryError, match="in a circle"):
            session(fake).request("GET", "/v2/")
        assert len(fake.log) <= 6
    with Fake() as fake:
        fake.answer = by_path({f"/{number}": to(f"/{number + 1}") for number in range(20)})
        with pytest.raises(RegistryError, match="more than 5 times"):
            session(fake).request("GET", "/0")
        assert len(fake.log) == 6


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://0.0.0.0:1/", "http://u:p@127.0.0.1/", "file:///etc/passwd", "http://2130706433/"]
)
def test_destination_rule_holds_for_redirects_and_locations(url: str) -> None:
    with Fake(to(url)) as fake:
        with pytest.raises(RefusedTarget):
            session(fake).request("GET", "/v2/")
        with pytest.raises(RefusedTarget):
            session(fake).request("PUT", url, body=b"x")
        assert len(fake.log) == 1


def test_s5_upload_location_elsewhere_gets_no_credentials() -> None:
    with Fake(reply(201), address="127.0.0.2") as other, Fake(guarded(reply(200))) as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        one.request("PUT", f"{other.url}/up?a%2bb", body=b"x", accept_status=(201,))
        assert "authorization" not in other.log[0].headers
        assert other.log[0].target == "/up?a%2bb"


class Blob:
    length = 1000

    def __init__(self) -> None:
        self.opened = 0

    def open(self) -> io.BytesIO:
        self.opened += 1
        return io.BytesIO(bytes(self.length))


@pytest.mark.parametrize("status", [307, 308])
def test_r1_37_body_goes_along(status: int) -> None:
    with Fake() as fake:
        fake.answer = by_path({"/v2/a": to("/v2/b", status), "/v2/b": reply(201)})
        blob = Blob()
        session(fake).request("PUT", "/v2/a", body=blob, accept_status=(201,))
        assert fake.paths() == ["PUT /v2/a", "PUT /v2/b"]
        assert fake.log[1].body == bytes(1000)
        assert blob.opened == 2


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_r1_37_write_is_not_turned_into_a_read(method: str, status: int) -> None:
    with Fake() as fake:
        fake.answer = by_path({"/v2/a": to("/v2/b", status), "/v2/b": reply(201)})
        with pytest.raises(RegistryError, match="redirect") as caught:
            session(fake).request(method, "/v2/a", accept_status=(201,))
        assert caught.value.status_code == status
        assert len(fake.log) == 1


def test_s4_token_server_cannot_pass_credentials_on() -> None:
    with Fake(reply(200, b'{"token":"t"}'), address="127.0.0.2") as other, Fake() as fake:
        challenge = f'Bearer realm="{fake.url}/token",service="s"'
        fake.answer = by_path({
            "/v2/": in_turn(reply(401, headers={"WWW-Authenticate": challenge}), reply(200)),
            "/token": to(f"{other.url}/token"),
        })
        session(fake).request("GET", "/v2/")
        assert fake.log[1].headers["authorization"].startswith("Basic ")
        assert "authorization" not in other.log[0].headers


def test_https_registry_never_leads_to_http(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    with Fake(reply(200)) as plain, Fake(context=authority.server()) as fake:
        fake.answer = to(plain.url + "/x")
        one = Session(fake.host, Settings(ca_path=str(authority.path), retries=0), Meter())
        with pytest.raises(RefusedTarget, match="plain HTTP"):
            one.request("GET", "/v2/")
        assert plain.log == []


def test_http_location_of_the_registry_itself_becomes_https(tmp_path: pathlib.Path) -> None:
    """Harbor behind a TLS proxy; S5."""
    authority = Authority(tmp_path)
    with Fake(reply(201), context=authority.server()) as fake:
        one = Session(fake.host, Settings(ca_path=str(authority.path), retries=0), Meter())
        one.request("PUT", f"http://{fake.host}/v2/x?a%2bb", body=b"x", accept_status=(201,))
        assert fake.paths() == ["PUT /v2/x?a%2bb"]
        assert "points to itself by plain HTTP" in one.meter.warnings[0]
