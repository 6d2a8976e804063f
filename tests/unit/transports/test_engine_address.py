# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a container engine is: option, environment, usual places; and what TLS is made of."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, MissingRequirement
from ansible_collections.longshore.oci.plugins.module_utils.transports import engine_address
from ansible_collections.longshore.oci.plugins.module_utils.transports.engine_address import Address, Tls, find
from ansible_collections.longshore.oci.plugins.module_utils.transports.engine_settings import EngineSettings

DOCKER, PODMAN = "docker-daemon", "containers-storage"


@pytest.fixture
def folder(tmp_path):
    """A directory as DOCKER_CERT_PATH names one."""
    for name in ("ca", "cert", "key"):
        (tmp_path / f"{name}.pem").write_text(name)
    return tmp_path


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "podman").mkdir()
    return tmp_path


def docker(host=None, environment=None, **settings):
    return find(DOCKER, EngineSettings(host=host, **settings), environment or {})


def test_the_option_comes_before_the_environment_and_that_before_the_usual_place(monkeypatch):
    environment = {"DOCKER_HOST": "unix:///from/environment.sock"}
    assert docker("unix:///given.sock", environment) == Address("unix:///given.sock")
    assert docker(None, environment) == Address("unix:///from/environment.sock")
    monkeypatch.setattr("os.path.exists", lambda path: False)
    assert docker() == Address("unix:///var/run/docker.sock")
    monkeypatch.setattr("os.path.exists", lambda path: path == "/run/user/7/docker.sock")
    assert docker(None, {"XDG_RUNTIME_DIR": "/run/user/7"}) == Address("unix:///run/user/7/docker.sock")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("tcp://build.example.com", Address("tcp://build.example.com:2375")),
        ("tcp://build.example.com:2375", Address("tcp://build.example.com:2375")),
        ("tcp://build.example.com:2376", Address("tcp://build.example.com:2376", Tls())),
        ("https://build.example.com", Address("tcp://build.example.com:2376", Tls())),
        ("https://[::1]:99/", Address("tcp://[::1]:99", Tls())),
        ("http://build.example.com:2376", Address("tcp://build.example.com:2376")),
        ("ssh://me@build.example.com", Address("ssh://me@build.example.com")),
        ("ssh://build.example.com:22/", Address("ssh://build.example.com:22")),
    ],
)
def test_hosts(host, address):
    assert docker(host) == address


@pytest.mark.parametrize(
    "host",
    [
        *("/run/docker.sock", "unix://relative", "docker", "tcp://", "tcp://a:b", "tcp://user:secret@host:1", "fd://3"),
        *("ssh://me:secret@host", "ssh://host/path", "ssh://-oProxyCommand=evil", "ssh://-v", "ftp://host", "unix:/a", "tcp://a/b"),
    ],
)
def test_hosts_that_are_none(host):
    with pytest.raises(InvalidInput, match="is written unix://") as caught:
        docker(host)
    assert "secret" not in caught.value.message


def test_tls_of_the_options(folder):
    files = {"ca_path": str(folder / "ca.pem"), "client_cert": str(folder / "cert.pem")}
    found = docker("tcp://host:2375", **files, client_key=str(folder / "key.pem"))
    assert found.tls == Tls(True, files["ca_path"], (files["client_cert"], str(folder / "key.pem")))
    # One file for both, and no verification.
    assert docker("https://host", **files, validate_certs=False).tls == Tls(False, files["ca_path"], (files["client_cert"],) * 2)
    assert docker("http://host", **files).tls is None
    with pytest.raises(InvalidInput, match="none.pem does not exist"):
        docker("https://host", ca_path=str(folder / "none.pem"))


def test_tls_of_dockers_environment(folder, monkeypatch):
    usual = Tls(True, str(folder / "ca.pem"), (str(folder / "cert.pem"), str(folder / "key.pem")))
    environment = {"DOCKER_HOST": "tcp://host:99", "DOCKER_CERT_PATH": str(folder)}
    assert docker(None, environment).tls == usual
    assert docker(None, {"DOCKER_HOST": "tcp://host:99", "DOCKER_TLS_VERIFY": "1"}) == Address("tcp://host:99", Tls())
    (folder / "cert.pem").unlink()
    assert docker(None, environment).tls == Tls(True, str(folder / "ca.pem"), None)
    home = folder / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "ca.pem").write_text("ca")
    monkeypatch.setenv("HOME", str(home))
    found = docker(None, {"DOCKER_HOST": "tcp://host:99", "DOCKER_TLS_VERIFY": "1"})
    assert found.tls == Tls(True, str(home / ".docker" / "ca.pem"))


def test_podman_where_it_runs_and_where_it_does_not(runtime, monkeypatch):
    started = []

    def start():
        started.append(True)
        return "unix:///started.sock"

    settings = EngineSettings(start_podman=start)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    environment = {"XDG_RUNTIME_DIR": str(runtime)}
    path = str(runtime / "podman" / "podman.sock")
    assert find(PODMAN, settings, environment) == Address("unix:///started.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert find(PODMAN, settings, environment) == Address(f"unix://{path}")
    # The file stays when whatever listened has ended.
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert find(PODMAN, settings, environment) == Address("unix:///started.sock")
    assert len(started) == 2
    assert find(PODMAN, settings, {"CONTAINER_HOST": "unix:///other.sock"}) == Address("unix:///other.sock")
    assert find(PODMAN, EngineSettings(host="tcp://host:1"), {}) == Address("tcp://host:1")
    with pytest.raises(InvalidInput, match="not reached over ssh"):
        find(PODMAN, settings, {"CONTAINER_HOST": "ssh://root@host/run/podman/podman.sock"})
    with pytest.raises(InvalidInput, match="not reached over ssh"):
        find(PODMAN, EngineSettings(host="ssh://root@host"), {})


def test_podman_without_anyone_who_could_start_it(monkeypatch):
    monkeypatch.setattr(engine_address, "_answering", lambda places: None)
    with pytest.raises(MissingRequirement, match="systemctl start podman.socket"):
        find(PODMAN, EngineSettings(), {})
