# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to servers that are no registries: nobody logs in, queries stay hidden, refusals say what to do."""

from __future__ import annotations

import dataclasses
import io
import threading
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    Cancelled,
    DigestMismatch,
    NetworkError,
    NotFound,
    RefusedTarget,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import retry
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.plugins.module_utils.registry.web import Web
from ansible_collections.longshore.oci.tests.unit.registry.fake import Answer, Fake, by_path, in_turn, raw, reply, reset

QUERY = "X-Amz-Signature=2f0cb81e5a9d44d7"
PLAIN = Settings(retries=2, timeout=5, username="robot", password="secret", token=None)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


def web(**options: Any) -> Web:
    return Web(dataclasses.replace(PLAIN, **options), Meter())


class Body:
    """``opened`` counts the tries."""

    def __init__(self, data: bytes = b"x" * 300_000) -> None:
        self._data = data
        self.length = len(data)
        self.opened = 0

    def open(self) -> io.BytesIO:
        self.opened += 1
        return io.BytesIO(self._data)


def put(fake: Fake, body: Body | None = None, path: str = "/a.tar", **options: Any) -> None:
    web(**options).request("PUT", f"http://{fake.host}{path}?{QUERY}", body=body or Body(), accept_status=(200, 201)).close()


def test_the_target_goes_out_as_it_is_and_no_credentials_with_it() -> None:
    with Fake(reply(200, b"abc")) as fake:
        response = web().request("GET", f"http://{fake.host}/dir/a%2Fb.tar?{QUERY}&x=%7E#never/sent:1")
        assert response.read_all(10) == b"abc"
        response.close()
    assert fake.log[0].target == f"/dir/a%2Fb.tar?{QUERY}&x=%7E"
    assert "authorization" not in fake.log[0].headers


@pytest.mark.parametrize("first", [reply(503), reply(500), reset(), reply(429, headers={"Retry-After": "0"})])
def test_a_body_is_sent_again_after_what_may_pass(first: Answer) -> None:
    body = Body()
    with Fake(in_turn(first, reply(200))) as fake:
        put(fake, body)
    assert body.opened == 2 and len(fake.log[-1].body) == body.length
    assert fake.log[-1].headers["content-length"] == str(body.length)


def test_not_for_ever() -> None:
    with Fake(reply(503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")) as fake:
        with pytest.raises(RegistryError, match=r"writing http://\S+/a.tar\?\.\.\. was refused: HTTP 503 SlowDown, Reduce") as info:
            put(fake)
    assert len(fake.log) == 3 and info.value.facts["attempts"] == 3
    assert QUERY not in str(info.value.facts)


@pytest.mark.parametrize(
    ("method", "status", "code", "kind", "words"),
    [
        ("PUT", 403, "AccessDenied", AccessDenied, "may not be meant for PUT"),
        ("PUT", 400, "ExpiredToken", RegistryError, "may have expired"),
        ("PUT", 400, "EntityTooLarge", RegistryError, "write to s3://"),
        ("PUT", 404, "NoSuchBucket", NotFound, "no such bucket"),
        ("PUT", 405, "", RegistryError, "takes no PUT"),
        ("PUT", 411, "", RegistryError, "Content-Length"),
        ("PUT", 412, "", RegistryError, "another state"),
        ("PUT", 413, "", RegistryError, "raise its limit"),
        ("PUT", 507, "", RegistryError, "storage is full"),
        ("GET", 401, "", AccessDenied, "signed for reading"),
        ("GET", 403, "SignatureDoesNotMatch", AccessDenied, "make a new one"),
    ],
)
def test_a_refusal_says_what_to_do(method: str, status: int, code: str, kind: type[RegistryError], words: str) -> None:
    said = f"<?xml version='1.0'?><Error><Code>{code}</Code><StringToSign>{QUERY}</StringToSign></Error>" if code else ""
    with Fake(reply(status, said.encode())) as fake, pytest.raises(kind, match=words) as info:
        web().request(method, f"http://{fake.host}/a.tar?{QUERY}", body=Body(b"x") if method == "PUT" else None)
    assert len(fake.log) == 1
    assert info.value.status_code == status and info.value.error_code == (code or None)
    assert "2f0cb81e" not in info.value.message + str(info.value.facts) and "\n" not in info.value.message


def test_what_is_wrong_with_the_source_is_no_fault_of_the_server() -> None:
    class Broken(Body):
        def open(self) -> Any:
            self.opened += 1
            raise DigestMismatch("wrong bytes")

    body = Broken()
    with Fake(reply(200)) as fake, pytest.raises(DigestMismatch):
        put(fake, body)
    assert body.opened == 1


def test_a_put_follows_redirects_that_keep_its_body() -> None:
    body = Body()
    with Fake(reply(201)) as second:
        with Fake(reply(307, headers={"Location": f"http://{second.host}/b.tar?{QUERY}"})) as first:
            put(first, body)
        assert body.opened >= 1 and len(second.log[0].body) == body.length
        with Fake(reply(302, headers={"Location": f"http://{second.host}/b.tar?{QUERY}"})) as first:
            with pytest.raises(RegistryError, match="redirect that may not be followed"):
                put(first)
        assert len(second.log) == 1


def test_a_get_follows_redirects_and_notices_circles() -> None:
    with Fake(by_path({"/one": reply(302, headers={"Location": "/two"}), "/two": reply(200, b"there")})) as fake:
        response = web().request("GET", f"http://{fake.host}/one")
        assert response.read_all(10) == b"there"
    with Fake(reply(302, headers={"Location": "/one"})) as fake, pytest.raises(RegistryError, match="in a circle"):
        web().request("GET", f"http://{fake.host}/one")
    with Fake(reply(302, headers={"Location": "http://169.254.169.254/latest"})) as fake:
        with pytest.raises(RefusedTarget, match="the server .* link-local"):
            web().request("GET", f"http://{fake.host}/one")


def test_a_url_that_speaks_another_protocol() -> None:
    with Fake(raw(b"\x15\x03\x01\x00\x02\x02F")) as fake, pytest.raises(NetworkError) as info:
        web(retries=0).request("GET", f"http://{fake.host}/a")
    assert "https://" in info.value.message and "plain_http" not in info.value.message
    with Fake(reply(400)) as fake, pytest.raises(NetworkError) as info:
        web(retries=0).request("GET", f"https://{fake.host}/a")
    assert "http://" in info.value.message and "plain_http" not in info.value.message


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1/a", "http://", "http://h:0/a", "http://h/\u00e4"])
def test_a_url_that_nobody_can_mean(url: str) -> None:
    with pytest.raises(RefusedTarget) as info:
        web().request("GET", url)
    assert "secret" not in info.value.message


def test_told_to_stop_it_asks_nothing() -> None:
    stop = threading.Event()
    stop.set()
    with Fake(reply(200)) as fake, pytest.raises(Cancelled):
        Web(PLAIN, Meter(), None, stop).request("GET", f"http://{fake.host}/a")
    assert fake.log == []
