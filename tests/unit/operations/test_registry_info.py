# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry says of itself, over a real session and a scripted server."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    InvalidInput,
    InvalidReference,
    NetworkError,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations import registry_info
from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_info import Wish, host_of, look
from ansible_collections.longshore.oci.plugins.module_utils.registry.client import RegistryClient
from ansible_collections.longshore.oci.plugins.module_utils.registry.credentials import CredentialStore
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, by_path, reply

OK = reply(200, b"{}", {"Content-Type": "application/json"})
BASIC = {"WWW-Authenticate": 'Basic realm="ours"'}


def client_of(fake, **options):
    settings = Settings(plain_http=True, retries=0, timeout=5, **options)
    store = CredentialStore(options.get("auth_file"), environ={}, home="/nonexistent")
    return RegistryClient(Session(fake.host, settings, Meter(), credentials=store))


def asking(password):
    """A registry that wants this password."""

    def answer(request, peer):
        good = request.headers.get("authorization", "").startswith("Basic ") and password in _decoded(request)
        (OK if good else reply(401, b"{}", BASIC))(request, peer)

    return answer


def _decoded(request):
    import base64

    return base64.b64decode(request.headers["authorization"].partition(" ")[2]).decode()


def document(value):
    return reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("registry.example.com", "registry.example.com"),
        ("registry.example.com/", "registry.example.com"),
        ("localhost", "localhost"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("registry:5000", "registry:5000"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_hosts(text, host):
    assert host_of(text) == host


@pytest.mark.parametrize(
    "text", ["", "/", "registry", "https://registry.example.com", "registry.example.com/team", "a b.c", "u:p@r.example:1"]
)
def test_what_is_no_host(text):
    with pytest.raises(InvalidInput, match="invalid registry"):
        host_of(text)


def test_repositories():
    names = ["a/b", "r.example:5/a/b", "r.example:5/c"]
    assert registry_info.repositories_of(names, "r.example:5") == ["a/b", "c"]
    assert registry_info.repositories_of(["nginx"], "docker.io") == ["library/nginx"]
    with pytest.raises(InvalidReference):
        registry_info.repositories_of(["a/b:tag"], "r.example:5")


def test_one_request_for_an_open_registry():
    headers = {"Docker-Distribution-Api-Version": "registry/2.0", "Server": "some\x1bthing", "Content-Type": "application/json"}
    with Fake(reply(200, b"{}", headers)) as fake:
        found = look(client_of(fake), Wish(), 4)
        assert fake.paths() == ["GET /v2/"]
    assert found["ping"]["status"] == 200
    assert 0 <= found["ping"]["seconds"] < 5
    assert (found["api_version"], found["server"], found["url"]) == ("registry/2.0", "some thing", fake.url)
    assert found["auth"] == {"kind": "none", "realm": None, "service": None}
    assert found["login"] is None
    assert found["software"] is None
    assert "features" not in found and "repositories" not in found


def test_credentials_that_nobody_looks_at():
    with Fake(OK) as fake:
        login = look(client_of(fake, username="u", password="secret"), Wish(), 4)["login"]
        assert fake.paths() == ["GET /v2/"]
    assert login["accepted"] is None
    assert "asks nobody" in login["message"]


@pytest.mark.parametrize(("password", "accepted"), [("right", True), ("wrong", False)])
def test_basic(password, accepted):
    with Fake(asking("right")) as fake:
        found = look(client_of(fake, username="u", password=password), Wish(), 4)
        assert [request.headers.get("authorization") is not None for request in fake.log][0] is False
    assert found["auth"] == {"kind": "basic", "realm": "ours", "service": None}
    assert found["login"]["accepted"] is accepted
    assert found["login"]["source"] == "username and password as given"
    assert ("rejected" in found["login"]["message"]) is not accepted
    assert "wrong" not in str(found)


def test_a_registry_that_lets_nobody_in_is_no_failure():
    with Fake(asking("right")) as fake:
        warnings = []
        found = look(client_of(fake), Wish(catalog=True, sizes=True, features=True), 4, warn=warnings.append)
    assert found["ping"]["status"] == 401
    assert found["login"] is None
    assert (found["repositories"], found["sizes"], found["total_size"]) == (None, None, None)
    assert found["features"]["catalog"] is False
    assert found["features"]["read_only"] is found["features"]["delete"] is None
    assert any("cannot be listed" in text for text in warnings)
    assert any("does not tell about delete" in text for text in warnings)


@pytest.mark.parametrize(
    ("line", "auth"),
    [
        (
            'Basic realm="b", Bearer realm="https://auth.example/token?secret=1",service="s"',
            {"kind": "bearer", "realm": "https://auth.example/token?...", "service": "s"},
        ),
        ("Negotiate", {"kind": "negotiate", "realm": None, "service": None}),
        ('Basic realm="unclosed', {"kind": "unknown", "realm": None, "service": None}),
    ],
)
def test_kinds_of_login(line, auth):
    with Fake(reply(401, b"{}", {"WWW-Authenticate": line})) as fake:
        assert look(client_of(fake), Wish(), 4)["auth"] == auth


def test_what_is_no_registry():
    with Fake(reply(200, b"<html>", {"Content-Type": "text/html"})) as fake:
        with pytest.raises(RegistryError, match="is not a registry"):
            look(client_of(fake), Wish(), 4)
    with pytest.raises(NetworkError):
        look(client_of(fake), Wish(), 4)


def test_software():
    gitlab = reply(200, b"{}", {"Gitlab-Container-Registry-Version": "4.1.0"})
    with Fake(gitlab) as fake:
        assert look(client_of(fake), Wish(), 4)["software"] == {"name": "gitlab", "version": "4.1.0"}
    zot = {"/v2/": OK, "/v2/_oci/ext/discover": document({"extensions": [{"name": "_zot"}, {"name": 1}, 7]})}
    with Fake(by_path(zot)) as fake:
        found = look(client_of(fake), Wish(features=True), 4)
        assert found["software"] == {"name": "zot", "version": ""}
        assert found["features"]["extensions"] == ["_zot"]
        assert "GET /api/v2.0/systeminfo" not in fake.paths()
    harbor = {"/v2/": OK, "/api/v2.0/systeminfo": document({"harbor_version": "v2.11.0"})}
    with Fake(by_path(harbor)) as fake:
        assert look(client_of(fake), Wish(features=True), 4)["software"] == {"name": "harbor", "version": "v2.11.0"}
        assert look(client_of(fake), Wish(), 4)["software"] is None


def test_check_mode_sends_nothing_that_could_write():
    answers = {"/v2/": OK, "/v2/_catalog": document({"repositories": ["team/app"]})}
    for act in (False, True):
        with Fake(by_path(answers)) as fake:
            found = look(client_of(fake), Wish(features=True, probe_uploads=True, act=act), 4)
            methods = {request.method for request in fake.log}
        assert methods == {"GET", "OPTIONS"} | ({"DELETE", "POST"} if act else set())
        assert found["features"]["uploads"] is None
        assert any("/v2/team/app/" in request.target for request in fake.log)


def test_a_pull_through_cache_is_told_by_an_upload():
    answers = {
        "/v2/": OK,
        "OPTIONS /v2/a/manifests/latest": reply(200, b"", {"Allow": "DELETE, GET, HEAD, PUT"}),
        "POST /v2/a/blobs/uploads/": reply(405, b'{"errors":[{"code":"UNSUPPORTED"}]}'),
    }
    for probe, read_only in ((False, False), (True, True)):
        with Fake(by_path(answers)) as fake:
            features = look(client_of(fake), Wish(repositories=["a"], features=True, probe_uploads=probe), 4)["features"]
        assert features["read_only"] is read_only
        assert features["uploads"] is (False if probe else None)


def test_an_upload_that_could_not_be_cancelled():
    answers = {"/v2/": OK, "POST /v2/a/blobs/uploads/": reply(202, b"", {"Location": "/v2/a/blobs/uploads/1"})}
    warnings = []
    with Fake(by_path(answers)) as fake:
        features = look(client_of(fake), Wish(repositories=["a"], probe_uploads=True), 4, warn=warnings.append)["features"]
        assert fake.paths()[-1] == "DELETE /v2/a/blobs/uploads/1"
    assert features["uploads"] is True
    assert any("expires by itself" in text for text in warnings)


@pytest.mark.parametrize("status", [200, 429, 401])
def test_docker_hub_is_asked_for_its_limit(status, monkeypatch):
    limits = {
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "76;w=21600",
        "Content-Type": "application/vnd.oci.image.index.v1+json",
        "Docker-Content-Digest": "sha256:" + "a" * 64,
        "Content-Length": "10",
    }
    head = "HEAD /v2/ratelimitpreview/test/manifests/latest"
    warnings = []
    with Fake(by_path({"/v2/": OK, head: reply(status, b"", limits)})) as fake:
        monkeypatch.setattr(registry_info, "api_host", lambda host: "registry-1.docker.io")
        client = client_of(fake)
        look(client, Wish(), 4, warn=warnings.append)
        assert fake.paths() == ["GET /v2/", head]
    assert client.session.meter.rate_limit == {"limit": 100, "remaining": 76, "window": 21600}
    assert bool(warnings) == (status != 200)


def test_no_other_registry_is_asked_for_it():
    with Fake(by_path({"/v2/": OK})) as fake:
        look(client_of(fake), Wish(), 4)
        assert fake.paths() == ["GET /v2/"]
