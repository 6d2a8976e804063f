# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through proxies (4.3)."""

from __future__ import annotations

import pathlib
import socket
import sys
import threading
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, MissingRequirement, NetworkError
from ansible_collections.longshore.oci.plugins.module_utils.registry import retry
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.authority import Authority
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, Peer, Request, reply


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def session(host: str, **options: Any) -> Session:
    return Session(host, Settings(retries=1, timeout=5, **options), Meter())


def tunnel(request: Request, peer: Peer) -> None:
    """What a proxy does with CONNECT."""
    host, unused, port = request.target.rpartition(":")
    upstream = socket.create_connection((host, int(port)))
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    def copy(source: Any, target: Any) -> None:
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    back = threading.Thread(target=copy, args=(upstream, peer.sock), daemon=True)
    back.start()
    copy(peer.sock, upstream)
    upstream.close()
    peer.close()


def test_plain_http_is_forwarded_in_absolute_form() -> None:
    with Fake(reply(200, b"ok")) as proxy:
        one = session("registry.example:5000", plain_http=True, proxy=f"http://us%40er:pass@{proxy.host}")
        response = one.request("GET", "/v2/a%2bb")
        assert response.body == b"ok"
        assert response.url == "http://registry.example:5000/v2/a%2bb"
        assert proxy.log[0].target == "http://registry.example:5000/v2/a%2bb"
        assert proxy.log[0].headers["host"] == "registry.example:5000"
        assert proxy.log[0].headers["proxy-authorization"] == "Basic dXNAZXI6cGFzcw=="


@pytest.mark.parametrize("secure", [False, True])
def test_https_goes_through_a_tunnel(secure: bool, tmp_path: pathlib.Path) -> None:
    """Also with TLS to the proxy, where one handshake happens inside the other."""
    authority = Authority(tmp_path)
    data = bytes(range(256)) * 4096
    with Fake(reply(200, data), context=authority.server()) as fake:
        with Fake(tunnel, context=authority.server("proxy") if secure else None) as proxy:
            url = proxy.url.replace("://", "://u:p@")
            one = session(fake.host, ca_path=str(authority.path), proxy=url)
            for unused in range(2):
                response = one.request("PUT", "/v2/", body=data, max_body=len(data))
                assert response.body == data
            assert fake.log[0].body == data
            assert "proxy-authorization" not in fake.log[0].headers
            assert proxy.paths() == [f"CONNECT {fake.host}"]
            assert proxy.log[0].headers["proxy-authorization"] == "Basic dTpw"
            one.close()


def test_environment_counts_and_no_proxy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with Fake(reply(200, b"fake")) as fake, Fake(reply(200, b"proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert session(fake.host, plain_http=True).request("GET", "/v2/").body == b"proxy"
        assert session(fake.host, plain_http=True, proxy="").request("GET", "/v2/").body == b"fake"
        monkeypatch.setenv("no_proxy", "127.0.0.0/8")
        assert session(fake.host, plain_http=True).request("GET", "/v2/").body == b"fake"


@pytest.mark.parametrize(
    ("status", "words", "tries"),
    [(407, ".* HTTP 407 .* user and password", 1), (403, ".* HTTP 403", 1), (503, ".* HTTP 503", 2)],
)
def test_refusing_proxy_is_named(status: int, words: str, tries: int) -> None:
    with Fake(reply(status, b"<html>")) as proxy:
        with pytest.raises(NetworkError, match=f"the proxy http://{proxy.host} refused the way to {words}"):
            session("registry.example", proxy=f"http://u:secret@{proxy.host}").request("GET", "/v2/")
        assert len(proxy.log) == tries


def test_unreachable_proxy_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NetworkError, match=f"the proxy http://127.0.0.1:{port} cannot be reached: Connection refused") as caught:
        session("registry.example", proxy=f"http://u:secret@127.0.0.1:{port}").request("GET", "/v2/")
    assert "secret" not in caught.value.message


def test_invalid_proxy_is_refused() -> None:
    with pytest.raises(InvalidInput, match="proxy"):
        session("registry.example", proxy="gopher://h").request("GET", "/v2/")


def test_socks_needs_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(MissingRequirement, match="PySocks"):
        session("registry.example", proxy="socks5h://127.0.0.1:1").request("GET", "/v2/")


def test_proxy_may_do_the_lookup_of_a_redirect() -> None:
    def answer(request: Request, peer: Peer) -> None:
        if "registry.example" in request.target:
            reply(307, headers={"Location": "http://storage.example/x?s=%2f"})(request, peer)
        else:
            reply(200, b"blob")(request, peer)

    with Fake(answer) as proxy:
        assert session("registry.example", plain_http=True, proxy=proxy.url).request("GET", "/v2/b").body == b"blob"
        assert proxy.log[1].target == "http://storage.example/x?s=%2f"
