# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Session: requests on the wire, answers counted, tries repeated (R1.21-R1.38, R1.71-R1.75, 4.1)."""

from __future__ import annotations

import dataclasses
import io
import threading
import time
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    Cancelled,
    ContentError,
    DigestMismatch,
    InvalidInput,
    NetworkError,
    NotFound,
    RateLimited,
    RegistryError,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import retry
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import USER_AGENT, Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake import (
    Fake,
    Peer,
    Request,
    by_path,
    drip,
    head,
    in_turn,
    raw,
    reply,
    reset,
    stall,
    then_closed,
)

PLAIN = Settings(plain_http=True, retries=2, timeout=5)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


def session(fake: Fake, **options: Any) -> Session:
    return Session(fake.host, dataclasses.replace(PLAIN, **options), Meter())


class Blob:
    """A body of ``length`` zeros; ``opened`` counts the tries."""

    def __init__(self, length: int, actual: int | None = None) -> None:
        self.length = length
        self._actual = length if actual is None else actual
        self.opened = 0

    def open(self) -> io.BytesIO:
        self.opened += 1
        return io.BytesIO(bytes(self._actual))


# -- the request on the wire ---------------------------------------------------------------------------------------


def test_headers_are_ours_and_no_more() -> None:
    with Fake(reply(200, b"{}")) as fake:
        response = session(fake).request("GET", "/v2/a/manifests/b", headers={"Accept": "x/y"})
        assert response.body == b"{}"
        assert response.status == 200
        assert response.url == f"{fake.url}/v2/a/manifests/b"
        assert fake.log[0].headers == {
            "host": fake.host,
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            "accept": "x/y",
        }


def test_r1_30_target_goes_out_byte_for_byte() -> None:
    target = "/v2/../a//b/a%2Fb%2bc%3D?e=~%7E&_state=x+y:%3a[]|'{}&q==&"
    with Fake() as fake:
        one = session(fake)
        one.request("GET", target)
        one.request("PUT", fake.url + target, body=b"x")
        assert [request.target for request in fake.log] == [target, target]


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\x00", "/\u00e4"])
def test_target_with_other_characters_is_refused(target: str) -> None:
    with Fake() as fake:
        with pytest.raises(InvalidInput, match="visible ASCII"):
            session(fake).request("GET", target)
        assert fake.log == []


def test_header_injection_is_refused() -> None:
    with Fake() as fake:
        with pytest.raises(InvalidInput, match="header Accept"):
            session(fake).request("GET", "/", headers={"Accept": "a\r\nX: y"})
        assert fake.log == []


def test_no_cookie_and_no_netrc(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Fake(reply(200, headers={"Set-Cookie": "a=b"})) as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        one.request("GET", "/v2/")
        assert not {"cookie", "authorization"} & set(fake.log[1].headers)


def test_connections_are_kept_and_shared() -> None:
    with Fake() as fake:
        one = session(fake)
        for unused in range(5):
            one.request("HEAD", "/v2/")
        assert fake.connections == 1
        threads = [threading.Thread(target=one.request, args=("HEAD", "/v2/")) for unused in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert fake.connections <= 5
        assert len(fake.log) == 9
        assert one.meter.requests == 9


def test_zero_length_post_says_so() -> None:
    with Fake(reply(202)) as fake:
        session(fake).request("POST", "/v2/a/blobs/uploads/", accept_status=(202,))
        assert fake.log[0].headers["content-length"] == "0"


# -- idle connections ----------------------------------------------------------------------------------------------


def test_connection_closed_while_idle_is_replaced() -> None:
    with Fake() as fake:
        one = session(fake, retries=0)
        one.request("GET", "/v2/")
        fake.drop_connections()
        time.sleep(0.05)
        assert one.request("PUT", "/v2/x", body=b"abc", accept_status=(200,)).status == 200
        assert fake.connections == 2
        assert fake.log[1].body == b"abc"


def test_connection_closed_as_the_request_arrives_is_replaced() -> None:
    def answer(request: Request, peer: Peer) -> None:
        if request.connection == 1 and len(fake.log) == 2:
            peer.close()
        else:
            reply(200, b"ok")(request, peer)

    with Fake(answer) as fake:
        one = session(fake, retries=0)
        one.request("GET", "/v2/")
        assert one.request("GET", "/v2/").body == b"ok"
        assert fake.connections == 2


def test_post_is_not_repeated_behind_our_back() -> None:
    def answer(request: Request, peer: Peer) -> None:
        if len(fake.log) == 2:
            peer.close()
        else:
            reply(200)(request, peer)

    with Fake(answer) as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        with pytest.raises(NetworkError) as caught:
            one.request("POST", "/v2/x")
        assert caught.value.transient
        assert len(fake.log) == 2


def test_a_peer_that_hangs_up_gets_a_new_connection_for_what_cannot_be_repeated() -> None:
    met: set[int] = set()

    def answer(request: Request, peer: Peer) -> None:
        # One answer a connection; the request is on its way before that can be seen.
        if request.connection in met:
            peer.close()
        else:
            met.add(request.connection)
            reply(200)(request, peer)

    with Fake(answer) as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        with pytest.raises(NetworkError, match="without an answer"):
            one.request("POST", "/v2/x")
        for dummy in range(3):
            one.request("POST", "/v2/x")
        assert fake.connections == 4


# -- the answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_truncated_body_is_an_error(stream: bool) -> None:
    """urllib3 1.26 takes it for complete; we count."""
    with Fake(reply(200, b"x" * 1000, length=2000)) as fake:
        one = session(fake, retries=1)
        with pytest.raises(NetworkError, match="1000 of 2000 bytes") as caught:
            response = one.request("GET", "/v2/", stream=stream)
            while response.read(100):
                continue
        assert caught.value.transient
        assert len(fake.log) == (1 if stream else 2)


def test_truncated_header_is_an_error_wherever_it_ends() -> None:
    """http.client takes what there is: no length, or the first digits of it."""
    whole = head(200, {"Content-Type": "text/plain", "Content-Length": "12"}) + b"hello, world"
    for end in range(1, len(whole)):
        with Fake(in_turn(raw(whole[:end]), reply(200, b"again"))) as fake:
            assert session(fake).request("GET", "/v2/").body == b"again", whole[:end]
            assert len(fake.log) == 2


def test_truncated_chunks_are_an_error() -> None:
    answer = raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n5\r\nwo")
    with Fake(answer) as fake, pytest.raises(NetworkError, match="closed the connection"):
        session(fake, retries=0).request("GET", "/v2/")


def test_chunks_arrive_and_the_connection_is_kept() -> None:
    answer = raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", close=False)
    with Fake(answer) as fake:
        one = session(fake)
        assert one.request("GET", "/v2/").body == b"hello world"
        assert one.request("GET", "/v2/").body == b"hello world"
        assert fake.connections == 1


def test_body_until_close() -> None:
    with Fake(raw(head(200, {}) + b"abc")) as fake:
        one = session(fake)
        assert one.request("GET", "/v2/").body == b"abc"
        assert one.meter.bytes_received == 3


def test_stream_is_read_piece_by_piece_and_the_connection_is_kept() -> None:
    data = bytes(range(256)) * 4096
    with Fake(reply(200, data)) as fake:
        one = session(fake)
        for unused in range(2):
            response = one.request("GET", "/v2/", stream=True)
            assert response.length == len(data)
            pieces = []
            while True:
                piece = response.read(100_000)
                if not piece:
                    break
                assert len(piece) <= 100_000
                pieces.append(piece)
            assert b"".join(pieces) == data
            response.close()
        assert fake.connections == 1
        assert one.meter.bytes_received == 2 * len(data)


def test_stream_closed_early_gives_up_the_connection() -> None:
    with Fake(reply(200, bytes(1 << 20))) as fake:
        one = session(fake)
        response = one.request("GET", "/v2/", stream=True)
        response.read(10)
        response.close()
        response.close()
        with pytest.raises(NetworkError, match="closed after"):
            response.read(10)
        one.request("HEAD", "/v2/")
        assert fake.connections == 2


def test_body_over_the_cap_is_refused() -> None:
    with Fake(reply(200, bytes(5000))) as fake, pytest.raises(ContentError, match="5000 bytes where at most 4096"):
        session(fake).request("GET", "/v2/", max_body=4096)
    endless = head(200, {}) + bytes(100_000)
    with Fake(raw(endless)) as fake, pytest.raises(ContentError, match="more than the 4096"):
        session(fake).request("GET", "/v2/", max_body=4096)


def test_s11_content_encoding_is_refused() -> None:
    with Fake(reply(200, b"\x1f\x8b", {"Content-Encoding": "gzip, gzip"})) as fake:
        with pytest.raises(ContentError, match="encoded as 'gzip, gzip'"):
            session(fake).request("GET", "/v2/")
        with pytest.raises(ContentError, match="encoded as"):
            session(fake).request("GET", "/v2/", stream=True).read(10)


@pytest.mark.parametrize(
    "headers",
    ["Content-Length: 3\r\nContent-Length: 4", "Content-Length: x", "Content-Length: -1", f"Content-Length: {'9' * 5000}"],
)
def test_contradicting_length_is_refused(headers: str) -> None:
    with Fake(raw(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\nabcd".encode())) as fake:
        with pytest.raises(NetworkError, match="invalid Content-Length"):
            session(fake).request("GET", "/v2/")
        assert len(fake.log) == 1


def test_interim_answers_are_skipped() -> None:
    hints = head(103, {"Link": "</x>"}) + head(100, {})
    with Fake(raw(hints + head(200, {"Content-Length": "2"}) + b"ok")) as fake:
        assert session(fake).request("GET", "/v2/").body == b"ok"


def test_unanswered_head_of_a_head_request() -> None:
    with Fake(reply(200, b"", {"Content-Length": "1234"})) as fake:
        one = session(fake)
        response = one.request("HEAD", "/v2/")
        assert response.headers.get("Content-Length") == "1234"
        assert response.body == b""
        one.request("HEAD", "/v2/")
        assert fake.connections == 1


# -- slowness ------------------------------------------------------------------------------------------------------


def test_stall_before_and_in_the_answer() -> None:
    with Fake(stall(3)) as fake, pytest.raises(NetworkError, match="did not answer in time") as caught:
        session(fake, timeout=0.3, retries=0).request("GET", "/v2/")
    assert caught.value.transient
    with Fake(stall(3, head(200, {"Content-Length": "9"}) + b"abc")) as fake:
        with pytest.raises(NetworkError, match="after 3 of 9 bytes"):
            session(fake, timeout=0.3, retries=0).request("GET", "/v2/")


@pytest.mark.parametrize("first", [b"", head(200, {"Content-Length": "1000"})])
def test_drip_is_noticed_in_headers_and_in_the_body(first: bytes) -> None:
    dripped = b"x" * 1000 if first else b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000
    with Fake(drip(dripped, 0.02, first)) as fake:
        one = session(fake, retries=0)
        route = one._route(one.origin)
        route.rate_window = 0.3
        began = time.monotonic()
        with pytest.raises(NetworkError, match="too slow"):
            one.request("GET", "/v2/")
        assert time.monotonic() - began < 15


def test_read_gives_control_back_while_it_drips() -> None:
    with Fake(drip(b"abc", 0.2, head(200, {"Content-Length": "3"}))) as fake:
        response = session(fake).request("GET", "/v2/", stream=True)
        assert response.read(1 << 18) == b"a"
        response.close()


# -- bodies --------------------------------------------------------------------------------------------------------


def test_body_is_streamed_and_counted() -> None:
    blob = Blob(1_000_000)
    with Fake(reply(201)) as fake:
        one = session(fake)
        one.request("PUT", "/v2/x", body=blob, accept_status=(201,))
        assert fake.log[0].body == bytes(1_000_000)
        assert fake.log[0].headers["content-length"] == "1000000"
        assert (one.meter.bytes_sent, one.meter.writes, blob.opened) == (1_000_000, 1, 1)


def test_r1_36_empty_body() -> None:
    with Fake(reply(201)) as fake:
        session(fake).request("PUT", "/v2/x", body=Blob(0), accept_status=(201,))
        assert fake.log[0].headers["content-length"] == "0"
        assert "transfer-encoding" not in fake.log[0].headers


def test_error_of_the_source_is_the_error() -> None:
    class Broken(Blob):
        def open(self) -> Any:
            class Stream:
                def read(self, size: int) -> bytes:
                    raise DigestMismatch("the source is wrong")

                def close(self) -> None:
                    closed.append(True)

            return Stream()

    closed: list[bool] = []
    with Fake(reply(201)) as fake:
        one = session(fake)
        with pytest.raises(DigestMismatch, match="the source is wrong"):
            one.request("PUT", "/v2/x", body=Broken(10), accept_status=(201,))
        assert closed == [True]
        assert fake.log == [] or fake.log[0].body == b""


def test_short_source_never_completes_a_request() -> None:
    with Fake(reply(201)) as fake, pytest.raises(SizeMismatch, match="ended 400 bytes before"):
        session(fake).request("PUT", "/v2/x", body=Blob(1000, 600), accept_status=(201,))


@pytest.mark.parametrize("linger", [True, False])
def test_r1_38_early_413_is_read_while_sending(linger: bool) -> None:
    def early(request: Request, peer: Peer) -> bool:
        reply(413, b"<html>too large</html>", {"Connection": "close", "Content-Type": "text/html"})(request, peer)
        if linger:
            time.sleep(1)
        peer.close()
        return True

    blob = Blob(200_000_000)
    with Fake(early=early) as fake:
        one = session(fake)
        began = time.monotonic()
        with pytest.raises(RegistryError, match="limits the size of request bodies") as caught:
            one.request("PUT", "/v2/x", body=blob, accept_status=(201,), what="blob")
        assert caught.value.status_code == 413
        assert time.monotonic() - began < 20
        assert blob.opened == 1
        assert one.meter.bytes_sent < 100_000_000


def test_success_before_the_body_was_sent_is_none() -> None:
    def early(request: Request, peer: Peer) -> bool:
        reply(201)(request, peer)
        time.sleep(0.5)
        peer.close()
        return True

    with Fake(early=early) as fake, pytest.raises(NetworkError, match="before it had the whole body"):
        session(fake).request("PUT", "/v2/x", body=Blob(100_000_000), accept_status=(201,))


def test_body_is_not_sent_again_after_a_failure() -> None:
    blob = Blob(1000)
    with Fake(reply(500)) as fake:
        with pytest.raises(RegistryError):
            session(fake).request("PUT", "/v2/x", body=blob, accept_status=(201,))
        assert blob.opened == 1
    with Fake(reset()) as fake:
        with pytest.raises(NetworkError):
            session(fake).request("PUT", "/v2/x", body=blob, accept_status=(201,))
        assert blob.opened == 2


@pytest.mark.parametrize("status", [429, 503])
def test_body_is_opened_again_when_asked_to_come_later(status: int) -> None:
    blob = Blob(1000)
    with Fake(in_turn(reply(status, headers={"Retry-After": "0"}), reply(201))) as fake:
        session(fake).request("PUT", "/v2/x", body=blob, accept_status=(201,))
        assert blob.opened == 2
        assert fake.log[1].body == bytes(1000)


# -- tries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 502, 503, 504, 520, 524])
def test_transient_status_is_asked_again(status: int) -> None:
    with Fake(in_turn(reply(status), reply(status), reply(200, b"ok"))) as fake:
        response = session(fake).request("GET", "/v2/")
        assert (response.body, response.attempts, len(fake.log)) == (b"ok", 3, 3)


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 422, 501, 507])
def test_permanent_status_is_not(status: int) -> None:
    with Fake(reply(status)) as fake:
        with pytest.raises(RegistryError) as caught:
            session(fake).request("GET", "/v2/")
        assert (caught.value.status_code, caught.value.facts["attempts"], len(fake.log)) == (status, 1, 1)


def test_reset_is_asked_again_and_then_told() -> None:
    with Fake(in_turn(reset(), reset(b"HTTP/1.1 2"), reply(200))) as fake:
        assert session(fake).request("GET", "/v2/").attempts == 3
    with Fake(reset()) as fake:
        with pytest.raises(NetworkError, match=r"a manifest: registry .* \(tried 3 times\)") as caught:
            session(fake).request("GET", "/v2/", what="a manifest")
        assert caught.value.facts["attempts"] == 3
        assert len(fake.log) == 3


def test_post_is_asked_again_only_if_it_was_refused() -> None:
    with Fake(in_turn(reply(503), reply(429), reply(202))) as fake:
        session(fake).request("POST", "/v2/", accept_status=(202,))
        assert len(fake.log) == 3
    with Fake(reply(500)) as fake:
        with pytest.raises(RegistryError):
            session(fake).request("POST", "/v2/", accept_status=(202,))
        assert len(fake.log) == 1
    with Fake(in_turn(reply(500), reply(202))) as fake:
        session(fake).request("POST", "/v2/", accept_status=(202,), idempotent=True)


def test_r1_74_retry_after_is_waited_for() -> None:
    with Fake(in_turn(reply(429, headers={"Retry-After": "1"}), reply(200))) as fake:
        session(fake).request("GET", "/v2/")
        assert 1 <= fake.log[1].moment - fake.log[0].moment < 2


def test_r1_74_retry_after_stops_all_workers() -> None:
    with Fake(in_turn(reply(429, headers={"Retry-After": "1"}), reply(200))) as fake:
        one = session(fake)
        first = threading.Thread(target=one.request, args=("GET", "/v2/first"))
        first.start()
        while len(fake.log) < 1:
            time.sleep(0.01)
        time.sleep(0.1)
        one.request("GET", "/v2/second")
        first.join()
        assert all(request.moment - fake.log[0].moment >= 1 for request in fake.log[1:])


def test_r1_74_too_long_a_wait_fails_at_once() -> None:
    body = b"<html>slow down</html>"
    with Fake(reply(429, body, {"Retry-After": "86400"})) as fake:
        with pytest.raises(RateLimited, match="wait 24 h") as caught:
            session(fake).request("GET", "/v2/")
        assert caught.value.facts["retry_after"] == 86400
        assert len(fake.log) == 1
    with Fake(reply(503, body, {"Retry-After": "86400"})) as fake, pytest.raises(RegistryError, match="wait 24 h"):
        session(fake).request("GET", "/v2/")


def test_stop_ends_a_wait() -> None:
    stop = threading.Event()
    with Fake(reply(429, headers={"Retry-After": "60"})) as fake:
        one = Session(fake.host, PLAIN, Meter(), stop=stop)
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            one.request("GET", "/v2/")
        assert time.monotonic() - began < 20
        with pytest.raises(Cancelled):
            one.request("GET", "/v2/")


def test_r1_35_an_upload_can_be_cancelled_after_stop() -> None:
    stop = threading.Event()
    stop.set()
    with Fake(reply(204)) as fake:
        Session(fake.host, PLAIN, Meter(), stop=stop).request("DELETE", "/v2/x", accept_status=(204,))
        assert fake.paths() == ["DELETE /v2/x"]
    with Fake(stall(10)) as fake:
        began = time.monotonic()
        with pytest.raises((NetworkError, Cancelled)):
            Session(fake.host, PLAIN, Meter(), stop=stop).request("DELETE", "/v2/x", accept_status=(204,))
        assert time.monotonic() - began < 8


def test_stop_ends_transfers() -> None:
    stop = threading.Event()
    with Fake(reply(200, bytes(1 << 20))) as fake:
        response = Session(fake.host, PLAIN, Meter(), stop=stop).request("GET", "/v2/", stream=True)
        response.read(1000)
        stop.set()
        with pytest.raises(Cancelled):
            response.read(1000)


# -- errors --------------------------------------------------------------------------------------------------------


def test_statuses_become_errors() -> None:
    body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown\\u001b[31m"}]}'
    with Fake(reply(404, body)) as fake:
        with pytest.raises(NotFound) as caught:
            session(fake).request("GET", "/v2/a/manifests/b?sig=secret", what="docker://a:b")
        assert caught.value.message == "docker://a:b: manifest unknown [31m (HTTP 404 MANIFEST_UNKNOWN)"
        assert caught.value.facts == {
            "status_code": 404,
            "error_code": "MANIFEST_UNKNOWN",
            "attempts": 1,
            "url": f"{fake.url}/v2/a/manifests/b?...",
        }
    with Fake(reply(403, b'{"errors":[{"code":"DENIED","message":"requested access is denied"}]}')) as fake:
        with pytest.raises(AccessDenied, match="requested access is denied"):
            session(fake).request("GET", "/v2/")


def test_r1_24_error_body_shorter_than_announced_does_not_hang() -> None:
    with Fake(raw(head(416, {"Content-Length": "5000000"}) + b"no such range")) as fake:
        with pytest.raises(RegistryError, match="no such range"):
            session(fake).request("GET", "/v2/")


def test_accepted_error_status_is_an_answer() -> None:
    with Fake(reply(404, b"x")) as fake:
        assert session(fake).request("GET", "/v2/", accept_status=(200, 404)).status == 404


def test_ping_once() -> None:
    with Fake(reply(200, b"{}")) as fake:
        one = session(fake)
        one.ping()
        one.ping()
        assert fake.paths() == ["GET /v2/"]
    with Fake(reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})) as fake:
        session(fake).ping()


@pytest.mark.parametrize(
    "answer",
    [
        reply(404),
        reply(200, b"<!doctype html>", {"Content-Type": "text/html"}),
        reply(200, b"  <html>".strip()),
    ],
)
def test_r1_61_ping_of_something_else(answer: Any) -> None:
    with Fake(answer) as fake, pytest.raises(RegistryError, match="is not a registry"):
        session(fake).ping()


def test_warnings_and_limits_are_noted() -> None:
    headers = {
        "Warning": '299 - "this is \\"old\\"", 199 - "no", 299 - "never"',
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "76;w=21600",
        "Docker-RateLimit-Source": "192.0.2.1",
    }
    with Fake(reply(200, headers=headers)) as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        one.request("GET", "/v2/")
        assert one.meter.warnings == [f'{fake.host}: this is "old"']
        assert one.meter.rate_limit == {"limit": 100, "remaining": 76, "window": 21600, "source": "192.0.2.1"}


# -- credentials ---------------------------------------------------------------------------------------------------


def test_r1_64_basic_after_a_challenge() -> None:
    def answer(request: Request, peer: Peer) -> None:
        if request.headers.get("authorization") == "Basic dTpw":
            reply(200, b"in")(request, peer)
        else:
            reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})(request, peer)

    with Fake(answer) as fake:
        one = session(fake, username="u", password="p")
        assert one.request("GET", "/v2/").body == b"in"
        blob = Blob(1000)
        one.request("PUT", "/v2/", body=blob, accept_status=(200,))
        assert blob.opened == 1
        assert len(fake.log) == 3
        with pytest.raises(AccessDenied, match="rejected the credentials"):
            session(fake, username="u", password="wrong").request("GET", "/v2/")


def test_r1_64_token_that_expired_is_replaced_once_and_the_body_sent_again() -> None:
    tokens = iter(range(100))

    def answer(request: Request, peer: Peer) -> None:
        if request.target.startswith("/token"):
            reply(200, b'{"token":"t%d"}' % next(tokens))(request, peer)
        elif request.headers.get("authorization") == "Bearer t1":
            reply(201)(request, peer)
        else:
            challenge = f'Bearer realm="{fake.url}/token",service="s"'
            reply(401, headers={"WWW-Authenticate": challenge})(request, peer)

    with Fake(answer) as fake:
        blob = Blob(1000)
        session(fake).request("PUT", "/v2/x", body=blob, scopes=["repository:x:push"], accept_status=(201,))
        assert [path.partition("?")[0] for path in fake.paths()] == [
            "PUT /v2/x",
            "GET /token",
            "PUT /v2/x",
            "GET /token",
            "PUT /v2/x",
        ]
        assert fake.log[-1].body == bytes(1000)


def test_r1_64_second_refusal_is_final() -> None:
    with Fake(None) as fake:
        challenge = f'Bearer realm="{fake.url}/token",service="s"'
        fake.answer = by_path({
            "/token": reply(200, b'{"token":"t"}'),
            "/v2/x": reply(401, headers={"WWW-Authenticate": challenge}),
        })
        with pytest.raises(AccessDenied):
            session(fake).request("GET", "/v2/x")
        assert len([path for path in fake.paths() if path == "GET /v2/x"]) == 3


def test_r1_60_challenge_is_asked_for_at_the_base_if_missing() -> None:
    def answer(request: Request, peer: Peer) -> None:
        if request.headers.get("authorization"):
            reply(200)(request, peer)
        elif request.target == "/v2/":
            reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})(request, peer)
        else:
            reply(401)(request, peer)

    with Fake(answer) as fake:
        session(fake, username="u", password="p").request("GET", "/v2/x")
        assert fake.paths() == ["GET /v2/x", "GET /v2/", "GET /v2/x"]


def test_close_lets_go_of_connections() -> None:
    with Fake() as fake:
        one = session(fake)
        one.request("GET", "/v2/")
        one.close()
        one.request("GET", "/v2/")
        assert fake.connections == 2


def test_unannounced_close_after_an_answer() -> None:
    with Fake(then_closed(reply(200, b"ok"))) as fake:
        one = session(fake, retries=0)
        for unused in range(3):
            assert one.request("GET", "/v2/").body == b"ok"


def test_s18_settings_show_no_secret() -> None:
    secret = Settings(username="u", password="secret", token="secret", proxy="http://u:secret@proxy")
    assert "secret" not in repr(secret)
