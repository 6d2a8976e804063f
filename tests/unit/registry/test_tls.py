# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: what is trusted, who we say we are, and what a failure tells the user (4.3, S12, S17)."""

from __future__ import annotations

import io
import pathlib
import socket
import threading
import time
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NetworkError, RegistryError, TlsError
from ansible_collections.longshore.oci.plugins.module_utils.registry import retry, tls
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.authority import Authority
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, Peer, Request, reply, reset


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def session(host: str, **options: Any) -> Session:
    return Session(host, Settings(retries=1, timeout=5, **options), Meter())


def test_trusted_by_ca_path_and_the_connection_is_kept(authority: Authority) -> None:
    with Fake(reply(200, b"ok"), context=authority.server()) as fake:
        one = session(fake.host, ca_path=str(authority.path))
        assert one.base == fake.url
        for unused in range(3):
            assert one.request("GET", "/v2/").body == b"ok"
        assert fake.connections == 1


def test_ca_path_may_be_a_directory(authority: Authority, tmp_path: pathlib.Path) -> None:
    (tmp_path / "one.pem").write_bytes(authority.path.read_bytes())
    (tmp_path / "README").write_text("not a certificate")
    with Fake(context=authority.server()) as fake:
        session(fake.host, ca_path=str(tmp_path)).request("GET", "/v2/")


def test_ca_path_may_be_the_certificate_itself(authority: Authority) -> None:
    with Fake(context=authority.server("itself")) as fake:
        session(fake.host, ca_path=str(authority.folder / "itself.cert")).request("GET", "/v2/")


def test_large_bodies_through_tls(authority: Authority) -> None:
    data = bytes(range(256)) * 8192

    class Body:
        length = len(data)

        def open(self) -> io.BytesIO:
            return io.BytesIO(data)

    with Fake(reply(200, data), context=authority.server()) as fake:
        one = session(fake.host, ca_path=str(authority.path))
        response = one.request("PUT", "/v2/x", body=Body(), max_body=len(data))
        assert response.body == data
        assert fake.log[0].body == data


def test_r1_38_early_413_through_tls(authority: Authority) -> None:
    def early(request: Request, peer: Peer) -> bool:
        reply(413, b"too large", {"Connection": "close"})(request, peer)
        time.sleep(1)
        peer.close()
        return True

    class Body:
        length = 100_000_000

        def open(self) -> io.BytesIO:
            return io.BytesIO(bytes(self.length))

    with Fake(early=early, context=authority.server()) as fake:
        one = session(fake.host, ca_path=str(authority.path))
        with pytest.raises(RegistryError, match="too large") as caught:
            one.request("PUT", "/v2/x", body=Body(), accept_status=(201,))
        assert caught.value.status_code == 413
        assert one.meter.bytes_sent < 50_000_000


def test_connection_closed_while_idle_is_replaced(authority: Authority) -> None:
    with Fake(context=authority.server()) as fake:
        one = session(fake.host, ca_path=str(authority.path))
        one.request("GET", "/v2/")
        fake.drop_connections()
        time.sleep(0.05)
        one.request("GET", "/v2/")
        assert fake.connections == 2


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({}, "is not trusted .* 'ca_path'"),
        ({"host": "registry.example"}, "is for another name"),
        ({"start": -3, "end": -1}, "has expired"),
        ({"start": 1, "end": 3}, "is not valid yet"),
    ],
)
def test_wrong_certificate_is_told_and_not_tried_again(made: dict[str, Any], words: str, authority: Authority) -> None:
    trust = {"ca_path": str(authority.path)} if made else {}
    with Fake(context=authority.server("wrong", **made)) as fake:
        with pytest.raises(TlsError, match=words) as caught:
            session(fake.host, **trust).request("GET", "/v2/", what="an image")
        assert not caught.value.transient
        assert fake.host in caught.value.message
        assert fake.connections == 1
        assert fake.log == []


def test_s12_unverified_is_for_one_session_only(authority: Authority) -> None:
    with Fake(context=authority.server("loose", host="registry.example")) as fake:
        session(fake.host, validate_certs=False).request("GET", "/v2/")
        with pytest.raises(TlsError):
            session(fake.host).request("GET", "/v2/")


def test_client_certificate(authority: Authority, tmp_path: pathlib.Path) -> None:
    certificate, key = authority.issue("client")
    trust: dict[str, Any] = {"ca_path": str(authority.path)}
    with Fake(reply(200, b"ok"), context=authority.server(clients=authority)) as fake:
        one = session(fake.host, client_cert=str(certificate), client_key=str(key), **trust)
        assert one.request("GET", "/v2/").body == b"ok"
        with pytest.raises(TlsError, match="'client_cert'"):
            session(fake.host, **trust).request("GET", "/v2/")
        stranger, strange_key = Authority(tmp_path / "other", "other").issue("stranger")
        with pytest.raises(TlsError, match="'client_cert'"):
            session(fake.host, client_cert=str(stranger), client_key=str(strange_key), **trust).request("GET", "/v2/")


@pytest.mark.parametrize("nested", [False, True])
def test_cert_dir(nested: bool, authority: Authority, tmp_path: pathlib.Path) -> None:
    certificate, key = authority.issue("client")
    with Fake(reply(200, b"ok"), context=authority.server(clients=authority)) as fake:
        folder = tmp_path / fake.host if nested else tmp_path
        folder.mkdir(exist_ok=True)
        (folder / "ca.crt").write_bytes(authority.path.read_bytes())
        (folder / "client.cert").write_bytes(certificate.read_bytes())
        with pytest.raises(InvalidInput, match=r"client.key' is missing"):
            session(fake.host, cert_dir=str(tmp_path)).request("GET", "/v2/")
        (folder / "client.key").write_bytes(key.read_bytes())
        assert session(fake.host, cert_dir=str(tmp_path)).request("GET", "/v2/").body == b"ok"


def test_client_certificate_is_for_the_registry_alone(authority: Authority) -> None:
    certificate, key = authority.issue("client")
    settings = Settings(client_cert=str(certificate), client_key=str(key))
    assert tls.registry_context(settings, "a") is not tls.other_context(settings, "a")
    assert tls.other_context(settings, "a") is tls.other_context(Settings(), "a")


def test_files_that_do_not_work_are_named(tmp_path: pathlib.Path, authority: Authority) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    certificate, unused = authority.issue("one")
    unused, key = authority.issue("two")
    for options, words in (
        ({"ca_path": str(tmp_path / "missing")}, "missing' cannot be read: No such file"),
        ({"ca_path": str(empty)}, "empty.pem' holds no certificate"),
        ({"cert_dir": str(tmp_path / "missing")}, "cert_dir .*missing' cannot be read"),
        ({"client_cert": str(certificate), "client_key": str(key)}, "do not belong together"),
        ({"client_cert": str(empty)}, "PEM form"),
        ({"client_key": str(key)}, "without client_cert"),
    ):
        with pytest.raises(InvalidInput, match=words):
            session("registry.example", **options).request("GET", "/v2/")


def test_s17_plain_port_is_told_and_never_spoken_to() -> None:
    with Fake() as fake:
        with pytest.raises(TlsError, match="does not speak TLS .* 'plain_http: true'"):
            session(fake.host).request("GET", "/v2/")
        assert fake.log == []


def test_tls_port_spoken_to_in_plain_http(authority: Authority) -> None:
    with Fake(context=authority.server()) as fake, pytest.raises(NetworkError, match=fake.host):
        session(fake.host, plain_http=True).request("GET", "/v2/")
    go = reply(400, b"Client sent an HTTP request to an HTTPS server.\n")
    with Fake(go) as fake:
        with pytest.raises(NetworkError, match="speaks HTTPS, .* leave out 'plain_http'") as caught:
            session(fake.host, plain_http=True).request("GET", "/v2/")
        assert not caught.value.transient
        with pytest.raises(NetworkError, match="speaks HTTPS"):
            session(fake.host, plain_http=True).ping()


def test_refused_connection_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NetworkError, match="refused the connection; check the port") as caught:
        session(f"127.0.0.1:{port}").request("GET", "/v2/")
    assert caught.value.transient
    assert caught.value.facts["attempts"] == 2


@pytest.mark.parametrize(("code", "transient"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_unknown_host(code: int, transient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def lookup(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(NetworkError, match=r"registry registry\.example") as caught:
        session("registry.example").request("GET", "/v2/")
    assert caught.value.transient is transient
    assert len(asked) == (2 if transient else 1)


def test_reset_during_the_handshake_is_transient() -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for unused in range(2):
            sock, unused_address = server.accept()
            sock.recv(100)
            sock.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(NetworkError, match="closed the") as caught:
        session(f"127.0.0.1:{server.getsockname()[1]}").request("GET", "/v2/")
    thread.join(5)
    server.close()
    assert caught.value.transient


def test_reset_in_the_body_through_tls(authority: Authority) -> None:
    cut = reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    with Fake(cut, context=authority.server()) as fake, pytest.raises(NetworkError, match="after 3 of 10 bytes|closed"):
        session(fake.host, ca_path=str(authority.path)).request("GET", "/v2/")
