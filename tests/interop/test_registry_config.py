# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of settings, and the real registry: it starts with that, and the trial finds what it does not start with."""

from __future__ import annotations

import base64
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations.registry_config import Rendered, render
from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.process import Child, free_port, run, wait_until

PROGRAMS = pathlib.Path(__file__).parents[2] / "roles" / "registry" / "files"
BINARY = "docker-registry"


def settings(directory: pathlib.Path, **more: Any) -> dict[str, Any]:
    (directory / "htpasswd").touch()
    storage = {"path": str(directory / "storage")}
    return {"listen": "127.0.0.1:0", "htpasswd": str(directory / "htpasswd"), "storage": storage, **more}


def write(directory: pathlib.Path, rendered: Rendered, variables: Mapping[str, str] | None = None) -> list[str]:
    """Put a configuration and its environment into files; JSON is YAML. Returns the arguments of the trial for them."""
    (directory / "config.yml").write_text(json.dumps(rendered.config))
    lines = {"REGISTRY_HTTP_SECRET": "keep-this", **rendered.environment, **(variables or {})}
    (directory / "secrets.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return [str(directory / "config.yml"), "--environment", str(directory / "secrets.env")]


def trial(arguments: list[str], command: str = BINARY) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(PROGRAMS / "registry_trial.py"), *arguments, "--", command]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "more",
    [
        {"anonymous": True, "cache": "none"},
        {"metrics": True, "log_format": "json", "log_level": "error", "access_log": False},
        {"readonly": True, "headers": {"X-Frame-Options": ["DENY"]}, "external_url": "https://r.example.com"},
        {"cache": "redis", "redis": {"address": "127.0.0.1:1", "password": "hunter2", "db": 3}},
        {
            "storage": {
                **{"driver": "s3", "bucket": "b", "region": "eu", "regionendpoint": "http://127.0.0.1:1", "secure": False},
                **{"accesskey": "AKIA0", "secretkey": "0123 \\'\"x", "rootdirectory": "/team", "chunksize": 5242880},
            }
        },
        {"notifications": [{"name": "n", "url": "http://127.0.0.1:1/", "headers": {"Authorization": ["Bearer it's"]}}]},
        {"config_extra": {"storage": {"filesystem": {"maxthreads": 50}}, "compatibility": {"schema1": {"enabled": True}}}},
        {"config_extra": {"health": {"tcp": [{"addr": "127.0.0.1:1", "timeout": "1s", "interval": "10s", "threshold": 3}]}}},
    ],
    ids="-".join,
)  # fmt: skip
def test_the_registry_starts_with_what_is_made(tmp_path: pathlib.Path, more: dict[str, Any]) -> None:
    done = trial(write(tmp_path, render(settings(tmp_path, **more), "2.8")))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "storage" / "docker").exists()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"config_extra": {"http": {"tls": {"certificate": "/nowhere.crt", "key": "/nowhere.key"}}}}, "/nowhere.crt"),
        ({"config_extra": {"storage": {"filesystem": None, "oss": {"bucket": "b", "region": "r"}}}}, "oss"),
        ({"proxy": {"url": "http://127.0.0.1:1"}}, "127.0.0.1:1"),
    ],
)
def test_the_trial_says_what_the_registry_does_not_start_with(tmp_path: pathlib.Path, more: dict[str, Any], word: str) -> None:
    done = trial(write(tmp_path, render(settings(tmp_path, **more), "2.8")))
    assert done.returncode == 1
    assert word in done.stderr and "keep-this" not in done.stderr
    assert len(done.stderr.splitlines()) < 10


def test_the_trial_shows_no_secret_and_finds_a_binary_that_is_not_there(tmp_path: pathlib.Path) -> None:
    arguments = write(tmp_path, render(settings(tmp_path), "2.8"))
    leaks = tmp_path / "leaks"
    leaks.write_text('#!/bin/sh\necho "panic: $REGISTRY_HTTP_SECRET is wrong" >&2\nexit 2\n')
    leaks.chmod(0o755)
    done = trial(arguments, str(leaks))
    assert done.returncode == 1 and "panic: ... is wrong" in done.stderr
    missing = trial(arguments, str(tmp_path / "missing"))
    assert missing.returncode == 1 and "cannot be started: No such file" in missing.stderr
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    done = trial([*arguments, "--seconds", "1"], str(silent))
    assert done.returncode == 1 and "does not listen after 1 s" in done.stderr


def test_headers_from_the_environment_reach_the_endpoint(tmp_path: pathlib.Path) -> None:
    """Through the very file that systemd and docker read, at a registry that is told so by nothing else."""
    heard: list[str | None] = []

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *unused: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    endpoint = {
        **{"name": "n", "url": f"http://127.0.0.1:{server.server_port}/", "timeout": "5s", "threshold": 3, "backoff": "1s"},
        "headers": {"Authorization": ["Bearer it's \\ \"mine\""]},
    }
    more = {"anonymous": True, "listen": f"127.0.0.1:{port}", "notifications": [endpoint]}
    rendered = render(settings(tmp_path, **more), "2.8")
    write(tmp_path, rendered)
    # As systemd reads it, and as docker does.
    script = 'while IFS= read -r line; do export "$line"; done <"$1"; exec docker-registry serve "$2"'
    child = Child(
        ["sh", "-c", script, "sh", str(tmp_path / "secrets.env"), str(tmp_path / "config.yml")], tmp_path, "registry"
    )
    try:
        child.wait_ready(lambda: _answers(port))
        digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        place = _request(port, "POST", "/v2/app/blobs/uploads/").headers["Location"]
        separator = "&" if "?" in place else "?"
        _request(port, "PUT", f"{place}{separator}digest={digest}", b"{}", "application/octet-stream")
        kind = "application/vnd.oci.image.manifest.v1+json"
        descriptor = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": descriptor, "layers": []}
        _request(port, "PUT", "/v2/app/manifests/1", json.dumps(manifest).encode(), kind)
        wait_until(lambda: bool(heard), "the notification")
    finally:
        child.stop()
        server.shutdown()
        server.server_close()
    assert heard[0] == "Bearer it's \\ \"mine\""


def _answers(port: int) -> bool:
    try:
        return bool(_request(port, "GET", "/v2/").status == 200)
    except OSError:
        return False


def _request(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
    url = path if path.startswith("http") else f"http://127.0.0.1:{port}{path}"
    headers = {"Content-Type": kind} if kind else {}
    return urllib.request.urlopen(urllib.request.Request(url, body or None, headers, method=method), timeout=30)


def test_the_probe_asks_as_clients_do(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("server", ["DNS:registry.example.com"])
    port = free_port()
    tls = {"certificate": str(pair.certificate), "key": str(pair.key), "listen": f"127.0.0.1:{port}"}
    binary = base64.b64encode(b"it's binary").decode()
    write(tmp_path, render(settings(tmp_path, **tls), "2.8"), {"REGISTRY_EXAMPLE": f"!!binary {binary}"})
    probe = {"host": "127.0.0.1", "port": port, "tls": True, "server_name": "registry.example.com"}
    probe["ca"] = str(authority.certificate)
    record = {"probe": probe, "environment_file": str(tmp_path / "secrets.env")}

    def asked(**changes: Any) -> subprocess.CompletedProcess[str]:
        (tmp_path / "instance.json").write_text(json.dumps({**record, "probe": {**probe, **changes}}))
        line = [sys.executable, str(PROGRAMS / "registry_probe.py"), str(tmp_path / "instance.json"), "--seconds", "0"]
        # As a registry does with notifications when it starts.
        endpoint = "msg=\"configuring endpoint audit, headers=map[Authorization:[Bearer of-audit]]\""
        line += ["--logs", "printf", "%s\\n", endpoint, "the secrets keep-this and it's binary are in the log"]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)

    done = asked()
    assert done.returncode == 1 and f"does not answer at 127.0.0.1:{port}: ConnectionRefusedError" in done.stderr
    assert "the secrets ... and ... are in the log" in done.stderr and "of-audit" not in done.stderr
    child = Child([BINARY, "serve", str(tmp_path / "config.yml")], tmp_path, "registry")
    try:
        child.wait_ready(lambda: asked().returncode == 0)
        assert "certificate is not valid for 'other.example.com'" in asked(server_name="other.example.com").stderr
        assert "CERTIFICATE_VERIFY_FAILED" in asked(ca=None).stderr
        assert "answered with 400" in asked(tls=False).stderr
    finally:
        child.stop()


def test_the_link_waits_for_whoever_holds_the_lock(tmp_path: pathlib.Path) -> None:
    link, lock = tmp_path / "config.yml", tmp_path / "lock"

    def pointed(target: str, *options: str) -> str:
        program = str(PROGRAMS / "registry_link.py")
        return run([sys.executable, program, str(link), target, str(lock), *options]).decode().strip()

    assert pointed("readwrite.yml", "--check") == "changed" and not link.is_symlink() and not lock.exists()
    assert pointed("readwrite.yml") == "changed" and link.readlink() == pathlib.Path("readwrite.yml")
    assert pointed("readwrite.yml") == "unchanged"
    pipe = subprocess.PIPE
    with subprocess.Popen(["flock", str(lock), "sh", "-c", "echo held; cat"], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert pointed("readonly.yml") == "held" and pointed("readonly.yml", "--check") == "held"
        assert link.readlink() == pathlib.Path("readwrite.yml")
    assert pointed("readonly.yml", "--check") == "changed" and link.readlink() == pathlib.Path("readwrite.yml")
    assert pointed("readonly.yml") == "changed" and link.readlink() == pathlib.Path("readonly.yml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yml", "lock"]
