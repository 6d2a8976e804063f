# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers and images that other tests stand on do what they say."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import urllib.parse

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import (
    CREDENTIALS,
    PASSWORD,
    READER,
    READER_CREDENTIALS,
    USER,
)
from ansible_collections.longshore.oci.tests.servers import access_log, background, images, process, runnable
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo, layout
from ansible_collections.longshore.oci.tests.servers.tokens import TokenServer

# Without it distribution takes an OCI manifest for one that the client does not want: 404.
ACCEPT = {"Accept": images.MEDIA_TYPES[images.OCI]["manifest"]}
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def busybox_cache(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("busybox")


@pytest.mark.parametrize("kind", [images.OCI, images.DOCKER])
@pytest.mark.parametrize("platforms", [["linux/amd64"], ["linux/amd64", "linux/arm64/v8"]], ids=["one", "many"])
def test_pushed_images_are_what_skopeo_pulls(
    registry: Registry, repository: str, skopeo: Skopeo, tmp_path: pathlib.Path, kind: str, platforms: list[str]
) -> None:
    content = images.sample(platforms, kind=kind)
    digest = images.push(registry, repository, content, ["1.0", "latest"])
    name = f"docker://{registry.host}/{repository}"
    assert skopeo.digest(f"{name}:1.0") == digest == skopeo.digest(f"{name}:latest")
    assert sorted(skopeo.tags(name)) == ["1.0", "latest"]
    assert skopeo.manifest(f"{name}:1.0")["mediaType"] == images.MEDIA_TYPES[kind]["index" if platforms[1:] else "manifest"]
    # skopeo verifies every digest that it reads.
    skopeo.copy(f"{name}:1.0", f"dir:{tmp_path / 'copy'}")
    assert (tmp_path / "copy" / "manifest.json").read_bytes() == content.top.data


def test_layouts_are_the_same_every_time_and_skopeo_reads_them(
    registry: Registry, repository: str, skopeo: Skopeo, tmp_path: pathlib.Path
) -> None:
    digests = images.make_layout(tmp_path / "one", tags=["1", "2"])
    assert digests == images.make_layout(tmp_path / "two", tags=["1", "2"])
    assert len(set(digests.values())) == 2
    # Written down, so that a change of the builder, or of what it rests on, is seen.
    assert digests["1"] == images.sample(seed=0).digest
    target = f"docker://{registry.host}/{repository}:2"
    skopeo.copy(layout(tmp_path / "one", "2"), target)
    assert skopeo.digest(target) == digests["2"]


def test_a_layer_holds_what_was_asked_for() -> None:
    one = images.layer({"etc/motd": b"hello\n"}, links={"bin/sh": "busybox"}, compressed=False)
    assert one.diff_id == f"sha256:{hashlib.sha256(one.data).hexdigest()}"
    listed = subprocess.run(["tar", "-tf", "-"], input=one.data, capture_output=True, check=True).stdout.decode().split()
    assert listed == ["bin/", "etc/", "etc/motd", "bin/sh"]


def test_access_log_tells_reads_from_writes(registry: Registry, repository: str) -> None:
    mark = registry.mark()
    assert registry.requests_since(mark) == []
    content = images.sample(["linux/amd64"])
    digest = images.push(registry, repository, content, ["1"])
    tag = f"/v2/{repository}/manifests/1"
    assert registry.request("HEAD", tag, headers={**ACCEPT, "User-Agent": "tester/1"})[0] == 200
    answers = {(one.method, one.path, one.status) for one in registry.requests_since(mark)}
    assert ("PUT", tag, 201) in answers
    writes = registry.writes_since(mark)
    assert [one.method for one in writes] == ["POST", "PUT"] * 3 + ["PUT"]
    assert {one.agent for one in registry.requests_since(mark) if one.method == "HEAD" and "/manifests/" in one.target} == {
        "tester/1"
    }
    later = registry.mark()
    status, fields, body = registry.request("GET", tag, headers=ACCEPT)
    assert (status, fields["docker-content-digest"]) == (200, digest)
    (only,) = registry.requests_since(later)
    assert (only.method, only.size) == ("GET", len(body))
    assert registry.writes_since(later) == []


def test_lines_of_other_kinds_are_no_requests(tmp_path: pathlib.Path) -> None:
    good = '127.0.0.1 - bob [20/Nov/2026:10:00:00 +0000] "GET /v2/?a=b HTTP/1.1" 200 2 "" "agent/1 (x)"\n'
    log = tmp_path / "log"
    log.write_text(f"something else\n{good}{good[:-20]}", encoding="utf-8")
    assert access_log.read(log) == [access_log.Request("GET", "/v2/?a=b", 200, 2, "agent/1 (x)")]


def test_tls_registry_with_users(registry_tls: Registry, repository: str, skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    digests = images.make_layout(tmp_path / "layout")
    name = f"docker://{registry_tls.host}/{repository}:latest"
    with pytest.raises(process.ServerFailed, match="unauthorized|authentication required"):
        skopeo.copy(layout(tmp_path / "layout", "latest"), name)
    mark = registry_tls.mark()
    skopeo.copy(layout(tmp_path / "layout", "latest"), name, destination_credentials=CREDENTIALS)
    assert registry_tls.writes_since(mark)
    assert skopeo.digest(name, CREDENTIALS) == digests["latest"]
    # Its certificate is good for those who know the authority, and for nobody else.
    with pytest.raises(ssl.SSLCertVerificationError):
        connection = http.client.HTTPSConnection("127.0.0.1", registry_tls.port, context=ssl.create_default_context())
        connection.request("GET", "/v2/")
    assert registry_tls.request("GET", "/v2/")[0] == 401


def test_client_certificates(tmp_path: pathlib.Path) -> None:
    with Registry(tls=True) as first, Registry(tls=True, client_ca=first.ca) as guarded:
        context = ssl.create_default_context(cafile=str(guarded.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", guarded.port, context=context, timeout=10)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connection.request("GET", "/v2/")
            connection.getresponse()
        pair = first.authority.client("tester")
        context.load_cert_chain(pair.certificate, pair.key)
        connection = http.client.HTTPSConnection("127.0.0.1", guarded.port, context=context, timeout=10)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200
        connection.close()


def test_token_registry(
    registry_token: Registry, token_server: TokenServer, repository: str, skopeo: Skopeo, tmp_path: pathlib.Path
) -> None:
    digests = images.make_layout(tmp_path / "layout")
    name = f"docker://{registry_token.host}/{repository}:latest"
    before = len(token_server.requests)
    skopeo.copy(layout(tmp_path / "layout", "latest"), name, destination_credentials=CREDENTIALS)
    assert skopeo.digest(name, READER_CREDENTIALS) == digests["latest"]
    asked = token_server.requests[before:]
    assert {one.user for one in asked} == {USER, READER}
    assert {one.status for one in asked} == {200}
    with pytest.raises(process.ServerFailed):
        skopeo.copy(layout(tmp_path / "layout", "latest"), f"{name}-2", destination_credentials=READER_CREDENTIALS)
    with pytest.raises(process.ServerFailed):
        skopeo.digest(name)
    with pytest.raises(process.ServerFailed):
        skopeo.digest(name, f"{USER}:wrong")
    assert token_server.requests[-1].status == 401


def _token(server: TokenServer, form: dict[str, str]) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/token", urllib.parse.urlencode(form), headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_refresh_tokens(registry_token: Registry, token_server: TokenServer, repository: str) -> None:
    scope = f"repository:{repository}:pull,push"
    common = {"service": token_server.service, "client_id": "tester", "scope": scope}
    password = {**common, "grant_type": "password", "username": USER, "password": PASSWORD, "access_type": "offline"}
    status, answer = _token(token_server, password)
    assert status == 200
    refresh = {**common, "grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    status, answer = _token(token_server, refresh)
    assert (status, answer["scope"]) == (200, scope)
    bearer = f"Bearer {answer['access_token']}"
    content = images.sample(["linux/amd64"])
    images.push(registry_token, repository, content, ["1"], authorization=bearer)
    token_server.revoke_refresh_tokens()
    assert _token(token_server, refresh)[0] == 401
    assert _token(token_server, {**password, "password": "wrong"})[0] == 401


def test_expired_tokens_are_refused(registry_token: Registry, token_server: TokenServer, repository: str) -> None:
    # Distribution allows a minute for clocks that differ.
    for life, status in ((60, 404), (-120, 401)):
        token = token_server.issue(USER, [f"repository:{repository}:pull"], expires_in=life)
        headers = {"Authorization": f"Bearer {token}"}
        assert registry_token.request("GET", f"/v2/{repository}/manifests/none", headers=headers)[0] == status


def test_token_server_with_tls() -> None:
    with TokenServer(users={USER: PASSWORD}, tls=True) as server:
        assert server.realm.startswith("https://")
        context = ssl.create_default_context(cafile=str(server.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
        basic = base64.b64encode(CREDENTIALS.encode()).decode()
        connection.request("GET", "/token?service=x&offline_token=true", headers={"Authorization": f"Basic {basic}"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert set(answer) == {"token", "expires_in", "issued_at", "refresh_token"}


def test_readonly_registry_serves_anothers_storage(registry: Registry, repository: str) -> None:
    digest = images.push(registry, repository, images.sample(["linux/amd64"]), ["1"])
    with Registry(readonly=True, storage=registry.storage) as twin:
        dummy, fields, unused = twin.request("HEAD", f"/v2/{repository}/manifests/1", headers=ACCEPT)
        assert fields["docker-content-digest"] == digest
        assert twin.request("POST", f"/v2/{repository}/blobs/uploads/", b"")[0] == 405


@pytest.mark.parametrize(("delete", "status"), [(True, 202), (False, 405)])
def test_delete_can_be_forbidden(delete: bool, status: int) -> None:
    with Registry(delete=delete) as one:
        digest = images.push(one, "app", images.sample(["linux/amd64"]), ["1"])
        assert one.request("DELETE", f"/v2/app/manifests/{digest}")[0] == status


@pytest.mark.parametrize("relative", [True, False])
def test_upload_locations(relative: bool) -> None:
    with Registry(relative_urls=relative) as one:
        location = one.request("POST", "/v2/app/blobs/uploads/", b"")[1]["location"]
        assert location.startswith("/v2/app/" if relative else f"{one.url}/v2/app/")


def test_settings_and_restart(tmp_path: pathlib.Path) -> None:
    with Registry(tmp_path / "kept", config={"http": {"headers": {"X-Tester": ["yes"]}}}) as one:
        digest = images.push(one, "app", images.sample(["linux/amd64"]), ["1"])
        first = one.pid
        one.restart()
        assert one.pid != first
        status, fields, body = one.request("GET", f"/v2/app/manifests/{digest}", headers=ACCEPT)
        assert (status, fields["x-tester"]) == (200, "yes")
        assert images.sha256(body) == digest
    assert (tmp_path / "kept" / "storage").is_dir()
    assert not background.alive(first)


def test_a_registry_that_cannot_start_says_why() -> None:
    with pytest.raises(process.ServerFailed, match="nonsense"), Registry(config={"storage": {"nonsense": {}}}):
        raise AssertionError("started")


@pytest.mark.parametrize("kind", [images.OCI, images.DOCKER])
def test_engines_pull_and_run(
    registry: Registry,
    repository: str,
    dockerd: Dockerd,
    podman: Podman,
    busybox_cache: pathlib.Path,
    kind: str,
) -> None:
    content = runnable.runnable(busybox_cache, ["amd64", "arm64"], kind=kind, greeting=f"hello {kind}")
    digest = images.push(registry, repository, content, ["1"])
    name = f"{registry.host}/{repository}"
    dockerd.run("pull", "--quiet", f"{name}:1")
    assert dockerd.inspect(f"{name}:1")["RepoDigests"] == [f"{name}@{digest}"]
    assert dockerd.run_container(f"{name}:1") == f"hello {kind}"
    podman.run("pull", "--quiet", "--tls-verify=false", f"{name}:1")
    assert f"{name}@{digest}" in podman.inspect(f"{name}:1")["RepoDigests"]
    assert podman.run_container(f"{name}:1") == f"hello {kind}"
    assert podman.run_container(f"{name}:1", "/bin/sh", "-c", "echo $((6 * 7))") == "42"


def test_a_daemon_leaves_nothing(registry: Registry, repository: str, busybox_cache: pathlib.Path) -> None:
    images.push(registry, repository, runnable.runnable(busybox_cache, ["amd64"]), ["1"])
    with Dockerd() as daemon:
        # The host's network is what a daemon does not unmount by itself.
        assert daemon.run_container(f"{registry.host}/{repository}:1", network="host") == runnable.GREETING
        directory = daemon.directory
    assert not directory.exists()
    assert not background.alive(daemon.pid)


def test_busybox_is_of_its_architecture(busybox_cache: pathlib.Path) -> None:
    # e_machine of the ELF header: 62 is x86-64, 183 AArch64.
    for architecture, machine in (("amd64", 62), ("arm64", 183)):
        binary = runnable.busybox(architecture, busybox_cache)
        assert binary[:4] == b"\x7fELF"
        assert int.from_bytes(binary[18:20], "little") == machine


def test_skopeo_sees_podmans_storage(registry: Registry, repository: str, podman: Podman, skopeo: Skopeo) -> None:
    # An image of its own: podman keeps the manifest with which it first got to know one.
    content = images.sample(["linux/amd64"], seed=285)
    images.push(registry, repository, content, ["1"])
    target = f"containers-storage:{podman.storage}localhost/{repository}:1"
    skopeo.copy(f"docker://{registry.host}/{repository}:1", target, all_platforms=False)
    assert skopeo.digest(target) == content.digest
    assert podman.inspect(f"localhost/{repository}:1")["Digest"] == content.digest


def test_command_line(tmp_path: pathlib.Path) -> None:
    def servers(*arguments: str) -> str:
        command = [sys.executable, "-m", "tests.servers", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    state = tmp_path / "state.json"
    specification = [
        {"kind": "tokens", "users": {USER: PASSWORD}},
        {"kind": "registry", "name": "guarded", "token": "tokens"},
        {"kind": "registry", "name": "safe", "tls": True, "users": {USER: PASSWORD}},
    ]
    started = json.loads(servers("start", "--state", str(state), json.dumps(specification)))
    try:
        assert started == json.loads(state.read_text(encoding="utf-8"))
        assert set(started["servers"]) == {"tokens", "guarded", "safe"}
        safe = started["servers"]["safe"]
        context = ssl.create_default_context(cafile=safe["ca"])
        connection = http.client.HTTPSConnection("127.0.0.1", safe["port"], context=context, timeout=10)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 401
        connection.close()
    finally:
        servers("stop", "--state", str(state))
    assert not state.exists()
    for pid in (started["pid"], safe["pid"]):
        assert not background.alive(pid)
    servers("stop", "--state", str(state))
    digests = json.loads(servers("layout", str(tmp_path / "layout"), "--tag", "1", "--platform", "linux/amd64"))
    assert digests == {"1": images.sample(["linux/amd64"]).digest}


def test_a_failing_start_leaves_nothing(tmp_path: pathlib.Path) -> None:
    state = tmp_path / "state.json"
    specification = [{"kind": "registry"}, {"kind": "registry", "config": {"storage": {"nonsense": {}}}}]
    command = [sys.executable, "-m", "tests.servers", "start", "--state", str(state), json.dumps(specification)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert not state.exists()
