# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Challenges answered, tokens fetched and shared (R1.28, R1.60-R1.70, section 3.2; S4, S18, S22)."""

from __future__ import annotations

import base64
import json
import pathlib
import threading
import time
from collections.abc import Mapping
from typing import Any, Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    InvalidInput,
    NetworkError,
    RateLimited,
    RefusedTarget,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.credentials import CredentialStore
from ansible_collections.longshore.oci.plugins.module_utils.registry.destination import Origin
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.plugins.module_utils.registry.token_cache import Token, TokenCache
from ansible_collections.longshore.oci.plugins.module_utils.registry.tokens import Authenticator, scope_repository

PULL = ["repository:a/b:pull"]
BEARER = 'Bearer realm="https://r.example/token",service="svc"'
INSUFFICIENT = BEARER + ',error="insufficient_scope"'


class Reply:
    """An answer of the token server."""

    def __init__(self, status: int = 200, body: Any = None, **headers: str) -> None:
        self.status = status
        self.body: bytes = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Asked:
    """One request that the token server got."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
        self.method = method
        self.url = url
        self.query = parse_qs(urlsplit(url).query)
        self.form = parse_qs(body.decode()) if body else {}
        self.basic = None
        if "Authorization" in headers:
            self.basic = base64.b64decode(headers["Authorization"].split(" ")[1]).decode("utf-8")


class TokenServer:
    """Gives T1, T2, ... unless ``answer`` says otherwise; a send() for an Authenticator."""

    def __init__(self, answer: Callable[[Asked], Reply | None] | None = None, delay: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        self.delay = delay
        self._lock = threading.Lock()

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        asked = Asked(method, url, headers, body)
        with self._lock:
            self.asked.append(asked)
            number = len(self.asked)
        time.sleep(self.delay)
        return (self.answer(asked) if self.answer else None) or Reply(200, {"token": f"T{number}", "expires_in": 300})


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(
    server: TokenServer | None = None,
    *,
    url: str = "https://r.example",
    host: str = "r.example",
    auths: dict[str, str] | None = None,
    tmp_path: pathlib.Path | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> Authenticator:
    store = None
    if auths is not None and tmp_path is not None:
        entries = {key: {"auth": base64.b64encode(pair.encode()).decode()} for key, pair in auths.items()}
        path = tmp_path / "auth.json"
        path.write_text(json.dumps({"auths": entries}))
        store = CredentialStore(str(path), environ={})
    settings = Settings(**options)
    return Authenticator(Origin.of(url), host, settings, store, server or TokenServer(), clock=clock or Clock(), environ={})


def logged_in(server: TokenServer | None = None, challenge: str = BEARER, **options: Any) -> Authenticator:
    """An authenticator that has seen ``challenge`` from the registry."""
    authenticator = make(server, **options)
    authenticator.rejected(None, [challenge], (), 401)
    return authenticator


# --- before and without tokens


def test_nothing_is_sent_before_a_challenge() -> None:
    server = TokenServer()
    assert make(server, username="u", password="p").authorization(PULL) is None
    assert server.asked == []


def test_a_given_token_is_sent_at_once_and_is_final() -> None:
    authenticator = make(token="tok.en")
    assert authenticator.authorization(PULL) == "Bearer tok.en"
    assert authenticator.rejected("Bearer tok.en", [BEARER], PULL, 401) is False
    assert "refused the token that was given" in authenticator.explain()
    assert "tok.en" not in authenticator.explain()


def test_r1_68_basic_in_utf_8_once_asked_for() -> None:
    authenticator = make(username="\u7528\u6237", password="p\u00e4:ss")
    assert authenticator.rejected(None, ['Basic realm="x"'], PULL, 401) is True
    header = authenticator.authorization(PULL)
    assert header is not None
    assert base64.b64decode(header.split(" ")[1]).decode("utf-8") == "\u7528\u6237:p\u00e4:ss"
    assert authenticator.rejected(header, ['Basic realm="x"'], PULL, 401) is False
    assert "rejected the credentials of username and password as given" in authenticator.explain()


def test_basic_without_credentials_is_final_and_says_what_to_do(tmp_path: pathlib.Path) -> None:
    authenticator = make(auths={"other.example": "u:p"}, tmp_path=tmp_path)
    assert authenticator.rejected(None, ["Basic"], PULL, 401) is False
    assert authenticator.authorization(PULL) is None
    explained = authenticator.explain()
    for words in ("a/b is unknown at r.example or is private", "username and password", "auth.json"):
        assert words in explained


@pytest.mark.parametrize(
    "options",
    [
        {"username": "a:b", "password": "p"},
        {"username": "a\r\nb", "password": "p"},
        {"username": "a", "password": "\x00"},
        {"password": "p"},
        {"token": "a b"},
        {"token": "a\r\nHost: x"},
        {"token": "t\u00f6ken"},
    ],
)
def test_r1_68_credentials_that_no_header_can_carry(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        make(**options)


# --- the token request


def test_r1_62_token_request_by_get() -> None:
    server = TokenServer()
    challenge = 'Bearer realm="https://r.example/token?account_type=robot#x",service="a b&c"'
    authenticator = logged_in(server, challenge, username="u", password="p")
    scopes = ["repository:a/b:pull,push", "repository:c/d:pull"]
    assert authenticator.authorization(scopes) == "Bearer T1"
    asked = server.asked[0]
    assert asked.method == "GET"
    assert asked.url.startswith("https://r.example/token?account_type=robot&service=a%20b%26c&scope=")
    assert asked.query["service"] == ["a b&c"]
    assert asked.query["scope"] == scopes
    assert asked.query["account"] == ["u"]
    assert "offline_token" not in asked.query
    assert asked.basic == "u:p"


def test_without_credentials_the_token_is_anonymous() -> None:
    server = TokenServer()
    assert logged_in(server).authorization(PULL) == "Bearer T1"
    assert server.asked[0].basic is None
    assert "account" not in server.asked[0].query


def test_a_relative_realm_is_the_registrys_own() -> None:
    server = TokenServer()
    logged_in(server, 'Bearer realm="/v2/token",service="x"').authorization(PULL)
    assert server.asked[0].url.startswith("https://r.example/v2/token?")


@pytest.mark.parametrize("username", ["<token>", "00000000-0000-0000-0000-000000000000"])
def test_r1_62_refresh_tokens_go_by_post(username: str) -> None:
    server = TokenServer(lambda asked: Reply(200, {"access_token": "A1"}))
    authenticator = logged_in(server, username=username, password="rt")
    assert authenticator.authorization(["repository:a/b:pull", "repository:c:pull"]) == "Bearer A1"
    asked = server.asked[0]
    assert (asked.method, asked.basic, asked.url) == ("POST", None, "https://r.example/token")
    assert asked.form["grant_type"] == ["refresh_token"]
    assert asked.form["refresh_token"] == ["rt"]
    assert asked.form["service"] == ["svc"]
    assert asked.form["scope"] == ["repository:a/b:pull repository:c:pull"]
    assert "client_id" in asked.form


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_r1_62_post_falls_back_to_get(status: int) -> None:
    server = TokenServer(lambda asked: Reply(status) if asked.method == "POST" else None)
    authenticator = logged_in(server, username="<token>", password="rt")
    assert authenticator.authorization(PULL) == "Bearer T2"
    assert [asked.method for asked in server.asked] == ["POST", "GET"]
    assert server.asked[1].basic == "<token>:rt"


def test_r1_62_post_does_not_fall_back_when_the_server_is_ill() -> None:
    server = TokenServer(lambda asked: Reply(500))
    with pytest.raises(RegistryError):
        logged_in(server, username="<token>", password="rt").authorization(PULL)
    assert [asked.method for asked in server.asked] == ["POST"]


@pytest.mark.parametrize(
    ("answer", "token"),
    [
        ({"token": "a"}, "a"),
        ({"access_token": "b"}, "b"),
        ({"token": "a", "access_token": "b"}, "a"),
        ({"token": "", "access_token": "b"}, "b"),
        ({"token": "a", "expires_in": "soon", "issued_at": 7}, "a"),
    ],
)
def test_r1_63_token_or_access_token(answer: dict[str, Any], token: str) -> None:
    assert logged_in(TokenServer(lambda asked: Reply(200, answer))).authorization(PULL) == f"Bearer {token}"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nb"}', b'{"token": "a b"}', b'{"token": "\\u00e4"}']
    + [json.dumps({"token": "x" * 65537}).encode()],
)
def test_r1_63_an_answer_without_a_token_is_an_error(body: bytes) -> None:
    with pytest.raises(RegistryError, match=r"token server https://r\.example"):
        logged_in(TokenServer(lambda asked: Reply(200, body))).authorization(PULL)


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(300, 270), (None, 50), (5, 50), (-1, 50), (True, 50), ("300", 50), (100, 90), (10**9, 77760), (120.5, 108)],
)
def test_r1_63_life_by_our_own_clock(expires_in: Any, good_for: float) -> None:
    clock = Clock()
    issued = {"token": "t", "expires_in": expires_in, "issued_at": "2001-01-01T00:00:00Z"}
    server = TokenServer(lambda asked: Reply(200, issued))
    authenticator = logged_in(server, clock=clock)
    authenticator.authorization(PULL)
    clock.now += good_for - 1
    authenticator.authorization(PULL)
    assert len(server.asked) == 1
    clock.now += 2
    authenticator.authorization(PULL)
    assert len(server.asked) == 2


def test_r1_65_a_token_with_little_life_left_is_renewed_before_an_upload() -> None:
    clock = Clock()
    server = TokenServer()
    authenticator = logged_in(server, clock=clock)
    authenticator.authorization(PULL)
    clock.now += 215
    assert authenticator.authorization(PULL) == "Bearer T1"
    assert authenticator.authorization(PULL, spare=60) == "Bearer T2"
    assert authenticator.authorization(PULL, spare=60) == "Bearer T2"


def test_r1_65_a_token_that_never_lives_that_long_is_not_renewed_each_time() -> None:
    clock = Clock()
    server = TokenServer(lambda asked: Reply(200, {"token": "t", "expires_in": 60}))
    authenticator = logged_in(server, clock=clock)
    for unused in range(3):
        authenticator.authorization(PULL, spare=60)
    assert len(server.asked) == 1
    clock.now += 26
    authenticator.authorization(PULL, spare=60)
    assert len(server.asked) == 2


# --- errors of the token server


def test_rejected_credentials_are_an_error_that_names_their_source() -> None:
    server = TokenServer(lambda asked: Reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "bad \x1b[31mpassword"}]}))
    with pytest.raises(AccessDenied) as caught:
        logged_in(server, username="u", password="hunter2").authorization(PULL)
    assert "rejected the credentials of username and password as given" in caught.value.message
    assert "password" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.status_code == 401
    # Never again without them: that would look like an unknown repository.
    assert all(asked.basic for asked in server.asked)


def test_r1_70_an_anonymous_refusal_says_unknown_or_private() -> None:
    server = TokenServer(lambda asked: Reply(403, {"details": "no"}))
    with pytest.raises(AccessDenied, match="a/b without credentials: it is unknown or private"):
        logged_in(server).authorization(PULL)


def test_token_server_that_limits_us() -> None:
    server = TokenServer(lambda asked: Reply(429, b"<html>slow down</html>", **{"retry_after": "77"}))
    with pytest.raises(RateLimited) as caught:
        logged_in(server).authorization(["repository:a:pull", "repository:b:pull"])
    assert caught.value.facts["retry_after"] == 77
    assert len(server.asked) == 1


def test_r1_28_a_mount_scope_that_the_token_server_refuses_is_left_out() -> None:
    scopes = ["repository:dest:pull,push", "repository:gone:pull"]
    server = TokenServer(lambda asked: Reply(401) if len(asked.query["scope"]) > 1 else None)
    authenticator = logged_in(server, username="u", password="p")
    assert authenticator.authorization(scopes) == "Bearer T2"
    assert server.asked[1].query["scope"] == ["repository:dest:pull,push"]
    assert authenticator.authorization(scopes) == "Bearer T2"
    assert len(server.asked) == 2


def test_r1_28_one_scope_is_not_asked_for_twice() -> None:
    server = TokenServer(lambda asked: Reply(401))
    with pytest.raises(AccessDenied):
        logged_in(server, username="u", password="p").authorization(PULL)
    assert len(server.asked) == 1


# --- 401 and 403


def test_r1_60_bearer_comes_before_basic_and_others_are_ignored() -> None:
    server = TokenServer()
    authenticator = make(server, username="u", password="p")
    assert authenticator.rejected(None, ["Negotiate, Basic realm=x", BEARER], PULL, 401) is True
    assert authenticator.authorization(PULL) == "Bearer T1"


def test_r1_60_only_unknown_schemes_or_a_malformed_header() -> None:
    for header, words in (("Negotiate", "negotiate"), ('Bearer realm="x', "malformed"), ("Bearer", "bearer")):
        authenticator = make(username="u", password="p")
        assert authenticator.rejected(None, [header], PULL, 401) is False
        assert words in authenticator.explain()


def test_r1_60_a_401_without_challenge_uses_the_known_one() -> None:
    authenticator = logged_in()
    assert authenticator.rejected(None, [], PULL, 401) is True
    fresh = make(username="u", password="p")
    assert fresh.rejected(None, [], PULL, 401) is False
    assert "without saying how to log in" in fresh.explain()


def test_r1_64_a_refused_token_is_dropped_and_fetched_anew() -> None:
    server = TokenServer()
    authenticator = logged_in(server)
    assert authenticator.authorization(PULL) == "Bearer T1"
    assert authenticator.rejected("Bearer T1", [BEARER], PULL, 401) is True
    assert authenticator.authorization(PULL) == "Bearer T2"
    # A late 401 to the old token costs nothing more.
    assert authenticator.rejected("Bearer T1", [BEARER], PULL, 401) is True
    assert authenticator.authorization(PULL) == "Bearer T2"


def test_r1_64_the_explanation_tells_denied_from_rejected() -> None:
    authenticator = logged_in(username="u", password="p")
    header = authenticator.authorization(PULL)
    authenticator.rejected(header, [BEARER], PULL, 401)
    assert "accepted the credentials of username and password as given but denies access: a/b" in authenticator.explain()
    anonymous = logged_in()
    anonymous.rejected(anonymous.authorization(PULL), [BEARER], PULL, 401)
    assert "unknown at r.example or is private" in anonymous.explain()


def test_r1_64_insufficient_scope_asks_for_the_registrys_scope_first() -> None:
    server = TokenServer()
    authenticator = logged_in(server)
    header = authenticator.authorization(PULL)
    challenge = INSUFFICIENT + ',scope="repository:a/b:pull,push repository:x:*"'
    assert authenticator.rejected(header, [challenge], PULL, 403) is True
    assert authenticator.authorization(PULL) == "Bearer T2"
    assert server.asked[1].query["scope"] == ["repository:a/b:pull,push", "repository:x:*", "repository:a/b:pull"]
    # What was learnt is for these scopes only.
    authenticator.authorization(["repository:c:pull"])
    assert server.asked[2].query["scope"] == ["repository:c:pull"]


def test_s22_no_more_scope_than_needed_at_the_first_challenge() -> None:
    server = TokenServer()
    authenticator = make(server)
    assert authenticator.rejected(None, [BEARER + ',scope="repository:a/b:pull,push"'], PULL, 401) is True
    authenticator.authorization(PULL)
    assert server.asked[0].query["scope"] == PULL


def test_a_registry_that_names_the_repository_differently_gets_its_name() -> None:
    server = TokenServer()
    authenticator = make(server)
    authenticator.rejected(None, [BEARER + ',scope="repository:r.example:5000/a/b:pull"'], PULL, 401)
    authenticator.authorization(PULL)
    assert server.asked[0].query["scope"] == ["repository:r.example:5000/a/b:pull", *PULL]


def test_a_request_without_scopes_takes_those_of_the_challenge() -> None:
    server = TokenServer()
    authenticator = make(server)
    assert authenticator.rejected(None, [BEARER + ',scope="registry:catalog:*"'], (), 401) is True
    authenticator.authorization(())
    assert server.asked[0].query["scope"] == ["registry:catalog:*"]


def test_403_is_final_but_for_insufficient_scope() -> None:
    authenticator = logged_in(username="u", password="p")
    header = authenticator.authorization(PULL)
    assert authenticator.rejected(header, [], PULL, 403) is False
    assert authenticator.rejected(header, [BEARER], PULL, 403) is False
    assert authenticator.rejected(header, [INSUFFICIENT], PULL, 403) is True
    # R1.61: a registry may ask with 403.
    assert make().rejected(None, [BEARER], (), 403) is True
    assert make().rejected(None, [], (), 403) is False
    assert logged_in().rejected(None, [], PULL, 403) is False


def test_explain_knows_the_request_of_its_own_thread() -> None:
    authenticator = logged_in()
    seen: list[str] = []

    def ask(name: str) -> None:
        authenticator.rejected(authenticator.authorization([name]), [BEARER], [name], 401)
        barrier.wait()
        seen.append(authenticator.explain())

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=ask, args=(f"repository:{name}:pull",)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(text.split(" ")[0] for text in seen) == ["one", "two"]


# --- whose credentials


def test_r1_67_scopes_are_split_from_both_ends() -> None:
    assert scope_repository("repository:a/b:pull,push") == "a/b"
    assert scope_repository("repository:host:5000/a/b:pull") == "host:5000/a/b"
    assert scope_repository("repository(plugin):a/b:pull") == "a/b"
    assert scope_repository("registry:catalog:*") == ""
    assert scope_repository("nonsense") == ""


def test_r1_67_each_repository_with_its_own_credentials(tmp_path: pathlib.Path) -> None:
    server = TokenServer()
    auths = {"r.example": "all:1", "r.example/team": "team:2"}
    authenticator = logged_in(server, auths=auths, tmp_path=tmp_path)
    authenticator.authorization(["repository:other/x:pull"])
    authenticator.authorization(["repository:team/x:pull,push", "repository:other/x:pull"])
    authenticator.authorization(["registry:catalog:*"])
    assert [asked.basic for asked in server.asked] == ["all:1", "team:2", "all:1"]


def test_given_credentials_come_before_files(tmp_path: pathlib.Path) -> None:
    server = TokenServer()
    authenticator = logged_in(server, auths={"r.example": "file:1"}, tmp_path=tmp_path, username="given", password="2")
    authenticator.authorization(PULL)
    assert server.asked[0].basic == "given:2"


def test_r1_66_each_set_of_scopes_has_its_own_token_whatever_their_order() -> None:
    server = TokenServer()
    authenticator = logged_in(server)
    assert authenticator.authorization(["repository:a:pull"]) == "Bearer T1"
    assert authenticator.authorization(["repository:a:pull,push"]) == "Bearer T2"
    assert authenticator.authorization(["repository:a:pull", "repository:b:pull"]) == "Bearer T3"
    assert authenticator.authorization(["repository:b:pull", "repository:a:pull"]) == "Bearer T3"
    assert authenticator.authorization(["repository:a:pull"]) == "Bearer T1"


# --- where credentials go


def test_s4_credentials_reach_another_realm_only_as_the_policy_says() -> None:
    challenge = 'Bearer realm="https://93.184.216.34/token"'
    server = TokenServer()
    assert logged_in(server, challenge, url="https://93.184.216.99", username="u", password="p").authorization(PULL)
    assert server.asked[0].basic == "u:p"
    for options in ({"realm_policy": "strict"}, {"validate_certs": False}):
        server = TokenServer()
        authenticator = logged_in(server, challenge, url="https://93.184.216.99", username="u", password="p", **options)
        with pytest.raises(RefusedTarget, match=r"list 93\.184\.216\.34 in trusted_realms"):
            authenticator.authorization(PULL)
        assert server.asked == []
        anonymous = logged_in(server, challenge, url="https://93.184.216.99", **options)
        assert anonymous.authorization(PULL) == "Bearer T1"


def test_s4_a_second_realm_gets_no_credentials() -> None:
    server = TokenServer()
    authenticator = logged_in(
        server, 'Bearer realm="https://93.184.216.34/t"', url="https://93.184.216.99", username="u", password="p"
    )
    header = authenticator.authorization(PULL)
    assert authenticator.rejected(header, ['Bearer realm="https://93.184.216.35/t"'], PULL, 401) is True
    with pytest.raises(RefusedTarget, match=r"93\.184\.216\.35"):
        authenticator.authorization(PULL)
    assert len(server.asked) == 1


def test_s4_plain_http_keeps_credentials_at_its_own_host() -> None:
    server = TokenServer()
    challenge = 'Bearer realm="http://127.0.0.2:5001/token"'
    options = {"url": "http://127.0.0.1:5000", "username": "u", "password": "p"}
    with pytest.raises(RefusedTarget):
        logged_in(server, challenge, **options).authorization(PULL)
    assert server.asked == []
    assert logged_in(server, challenge, trusted_realms=("127.0.0.2:5001",), **options).authorization(PULL)
    assert logged_in(server, 'Bearer realm="http://127.0.0.1:5001/t"', **options).authorization(PULL)


@pytest.mark.parametrize(
    "realm",
    [
        "http://r.example/token",
        "https://169.254.169.254/",
        "https://0.0.0.0:9999/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://127\u30020\u30020\u30021/",
        "file:///etc/passwd",
        "https://u:p@r.example/",
    ],
)
def test_s4_realms_that_are_never_asked(realm: str) -> None:
    server = TokenServer()
    for options in ({}, {"username": "u", "password": "p", "realm_policy": "any"}):
        with pytest.raises(RefusedTarget):
            logged_in(server, f'Bearer realm="{realm}"', url="https://93.184.216.99", host="r.example", **options).authorization(
                PULL
            )
    assert server.asked == []


# --- many threads


def together(count: int, work: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except Exception as exc:
            results.append(exc)

    threads = [threading.Thread(target=run) for unused in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_r1_66_threads_share_one_token_request() -> None:
    server = TokenServer(delay=0.1)
    authenticator = make(server)

    def ask() -> str | None:
        assert authenticator.rejected(None, [BEARER], PULL, 401)
        return authenticator.authorization(PULL)

    assert together(32, ask) == ["Bearer T1"] * 32
    assert len(server.asked) == 1


def test_r1_64_one_new_token_when_32_threads_get_401_at_once() -> None:
    server = TokenServer(delay=0.05)
    authenticator = logged_in(server)
    used = authenticator.authorization(PULL)

    def again() -> str | None:
        assert authenticator.rejected(used, [BEARER], PULL, 401)
        return authenticator.authorization(PULL)

    assert together(32, again) == ["Bearer T2"] * 32
    assert len(server.asked) == 2


def test_an_error_of_the_token_server_reaches_all_who_wait_each_with_its_own() -> None:
    server = TokenServer(lambda asked: Reply(401, {"message": "no"}), delay=0.1)
    authenticator = logged_in(server, username="u", password="p")
    errors = together(8, lambda: authenticator.authorization(PULL))
    assert all(isinstance(error, AccessDenied) and error.status_code == 401 for error in errors)
    assert len({id(error) for error in errors}) == 8
    errors[0].about("one image")
    assert "one image" not in errors[1].message
    assert len(server.asked) == 1
    # The failure is not kept.
    server.answer = None
    assert authenticator.authorization(PULL) == "Bearer T2"


def test_a_network_error_reaches_all_who_wait_and_nobody_hangs() -> None:
    def broken(*unused: Any) -> Reply:
        time.sleep(0.1)
        raise NetworkError("connection reset", transient=True)

    authenticator = Authenticator(Origin.of("https://r.example"), "r.example", Settings(), None, broken, environ={})
    authenticator.rejected(None, [BEARER], (), 401)
    errors = together(4, lambda: authenticator.authorization(PULL))
    assert [type(error) for error in errors] == [NetworkError] * 4
    assert all(error.transient for error in errors)


def test_different_repositories_do_not_wait_for_each_other() -> None:
    server = TokenServer(delay=1)
    authenticator = logged_in(server)
    names = iter(range(8))
    started = time.monotonic()
    together(8, lambda: authenticator.authorization([f"repository:r{next(names)}:pull"]))
    assert time.monotonic() - started < 7
    assert len(server.asked) == 8


def test_the_cache_is_bounded_and_drops_what_expired_first() -> None:
    clock = Clock()
    cache = TokenCache(clock, kept=10)
    fetched: list[str] = []

    def get(name: str, life: float) -> str:
        def fetch() -> Token:
            fetched.append(name)
            return Token(name, clock.now, clock.now + life)

        return cache.get(("realm", "", (name,), ""), 0, fetch)

    get("long", 1000)
    for number in range(9):
        get(f"short{number}", 10)
    clock.now += 20
    get("new", 1000)
    fetched.clear()
    get("long", 1000)
    assert fetched == []
    for number in range(9):
        get(f"more{number}", 1000)
    fetched.clear()
    get("long", 1000)
    get("new", 1000)
    assert fetched == ["new"]
