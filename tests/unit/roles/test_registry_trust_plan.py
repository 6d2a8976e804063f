# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the role registry_trust, with every directory below a temporary one."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import time
import types
from typing import Any

import pytest

ROLE = pathlib.Path(os.path.abspath(__file__)).parents[3] / "roles" / "registry_trust"
MARK = "longshore.oci.registry_trust registry.example.com:5000"
# An authority that nobody has the key of.
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUTEST
-----END CERTIFICATE-----"""
V2, V3 = '[plugins."io.containerd.grpc.v1.cri".registry]', "[plugins.'io.containerd.cri.v1.images'.registry]"


def load() -> types.ModuleType:
    """The program of the role, as a module."""
    spec = importlib.util.spec_from_file_location("registry_trust_plan", ROLE / "files" / "plan.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = load()


class Host:
    """A host's files, and the role on it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        for name in ("docker/certs.d", "containers/registries.conf.d", "containerd", "anchors"):
            (root / name).mkdir(parents=True)

    def plan(self, **changes: Any) -> dict[str, Any]:
        asked = {
            "state": "present",
            "host": "registry.example.com",
            "port": 5000,
            "name": "registry.example.com:5000",
            "slug": "registry.example.com-5000",
            "clients": ["docker", "podman", "containerd"],
            "mirror_of": [],
            "authorities": [],
            "client_certificate": "",
            "client_key": "",
            "programs": {},
            "update_program": "true",
            "store_directory": f"{self.root}/anchors",
            "bundle": f"{self.root}/bundle.pem",
            "docker_directory": f"{self.root}/docker/certs.d",
            "podman_directory": f"{self.root}/containers/certs.d",
            "daemon_json": f"{self.root}/docker/daemon.json",
            "registries_conf": f"{self.root}/containers/registries.conf.d/50-longshore-registry.example.com-5000.conf",
            "containerd_config": f"{self.root}/containerd/config.toml",
            "hosts_directory": f"{self.root}/containerd/certs.d",
        }
        made: dict[str, Any] = program.Plan({**asked, **changes}).answer()
        return made

    def apply(self, **changes: Any) -> dict[str, Any]:
        """Do what the plan says, as the role's tasks do."""
        made = self.plan(**changes)
        assert made["problems"] == []
        for directory in made["directories"]:
            pathlib.Path(directory).mkdir(parents=True)
        for one in made["write"]:
            pathlib.Path(one["path"]).write_text(one["content"])
            os.chmod(one["path"], int(one["mode"], 8))
        for one in made["remove"]:
            pathlib.Path(one["path"]).unlink()
        for directory in made["empty"]:
            pathlib.Path(directory).rmdir()
        return made

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.root)): path.read_text() for path in sorted(self.root.rglob("*")) if path.is_file()}


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    # Any bytes are a certificate here, containerd is installed, and nothing runs.
    monkeypatch.setattr(program, "runs", lambda service: False)
    monkeypatch.setattr(program, "cannot_be_read", lambda authorities: [])
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: f"/usr/bin/{name}" if name == "containerd" else None)
    return Host(tmp_path)


def written(plan: dict[str, Any], ending: str) -> str:
    found = [one["content"] for one in plan["write"] if one["path"].endswith(ending)]
    assert len(found) == 1
    return str(found[0])


CONFIGS = {
    "nothing": "",
    "a comment": "# nothing is set\n",
    "version 2": 'version = 2\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri"]\n    sandbox_image = "pause"\n',
    "version 2, empty": f'version = 2\n{V2}\n  config_path = ""\n\n  {V2[:-1]}.mirrors]\n[debug]\n  level = "info"\n',
    "version 2, table": f"version = 2\n  {V2}  # registries\n[debug]\n",
    "version 3": f"version = 3\n{V3}\n  config_path = ''\n",
    "version 3, none": "version = 3\nroot = '/var/lib/containerd'\n",
    "version 1": 'root = "/var/lib/containerd"\n',
}
TABLES = {
    "version 3": V3,
    "version 3, none": '[plugins."io.containerd.cri.v1.images".registry]',
    "version 1": "[plugins.cri.registry]",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_containerd_is_told_where_to_look_and_it_is_undone(host: Host, name: str) -> None:
    text = CONFIGS[name]
    config = host.root / "containerd" / "config.toml"
    if text:
        config.write_text(text)
    before = host.files()
    host.apply(authorities=[AUTHORITY])
    new = program.ContainerdConfig(config.read_text())
    assert new.path == f"{host.root}/containerd/certs.d" and new.has_cri
    assert config.read_text().split(TABLES.get(name, V2))[1].split("[")[0].count("config_path") == 1
    assert not host.plan(authorities=[AUTHORITY])["write"]

    gone = host.apply(state="absent")
    after = host.files()
    # The quotes of an empty text are the only thing that may differ.
    assert after.get("containerd/config.toml", "").replace("''", '""') == text.replace("''", '""')
    assert set(after) == set(before) and gone["empty"] and not host.plan(state="absent")["remove"]


@pytest.mark.parametrize(
    "text",
    [
        f'version = 2\n{V2[:-1]}.mirrors."docker.io"]\n  endpoint = ["https://mirror.example.com"]\n',
        f'version = 2\n{V2[:-1]}.configs."registry.example.com:5000".tls]\n  ca_file = "ca.pem"\n',
    ],
)
def test_containerds_old_settings_are_not_broken(host: Host, text: str) -> None:
    (host.root / "containerd" / "config.toml").write_text(text)
    assert "registry.mirrors, registry.configs" in " ".join(host.plan(authorities=[AUTHORITY])["problems"])
    assert host.plan(authorities=[AUTHORITY], clients=["docker"])["problems"] == []


def test_a_directory_that_containerd_looks_in_already_is_used(host: Host) -> None:
    text = f'version = 2\n{V2}\n  config_path = "{host.root}/mine:/elsewhere"\n'
    (host.root / "containerd" / "config.toml").write_text(text)
    host.apply(authorities=[AUTHORITY])
    assert (host.root / "mine" / "registry.example.com:5000" / "hosts.toml").exists()
    host.apply(state="absent")
    assert host.files() == {"containerd/config.toml": text}


@pytest.mark.parametrize(
    "text",
    ['disabled_plugins = ["cri"]\n', 'version = 2\ndisabled_plugins = [\n  "io.containerd.grpc.v1.cri",\n]\n'],
)
def test_containerd_without_its_plugin_is_not_restarted(host: Host, text: str) -> None:
    (host.root / "containerd" / "config.toml").write_text(text)
    assert [one["path"] for one in host.apply(authorities=[AUTHORITY])["write"] if one["kind"] == "containerd"] == []


def test_mirrors_of_several_registries_live_side_by_side(host: Host) -> None:
    theirs = host.root / "containerd" / "certs.d" / "docker.io" / "hosts.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('server = "https://registry-1.docker.io"\n')
    settings = {"registry-mirrors": ["https://other.example.com/"], "debug": True}
    (host.root / "docker" / "daemon.json").write_text(json.dumps(settings))
    before = host.files()
    host.apply(mirror_of=["docker.io", "quay.io"])
    second = {"name": "second.example.com", "slug": "second.example.com"}
    host.apply(mirror_of=["docker.io"], **second, registries_conf=f"{host.root}/containers/registries.conf.d/50-second.conf")
    blocks = theirs.read_text()
    assert blocks.index("registry-1.docker.io") < blocks.index("registry.example.com:5000") < blocks.index("second.example.com")
    now = json.loads((host.root / "docker" / "daemon.json").read_text())
    names = ["https://other.example.com/", "https://registry.example.com:5000", "https://second.example.com"]
    assert now == {"registry-mirrors": names, "debug": True} and list(now) == list(settings)

    host.apply(state="absent")
    assert "registry.example.com:5000" not in theirs.read_text() and "second.example.com" in theirs.read_text()
    assert not (host.root / "containerd" / "certs.d" / "quay.io").exists()
    assert (host.root / "containerd" / "config.toml").exists(), "the other registry still needs it"
    host.apply(state="absent", **second, registries_conf=f"{host.root}/containers/registries.conf.d/50-second.conf")
    after = host.files()
    assert json.loads(after.pop("docker/daemon.json")) == settings
    before.pop("docker/daemon.json")
    assert after == before


def test_a_mirror_that_somebody_else_named_stays(host: Host) -> None:
    text = json.dumps({"registry-mirrors": ["https://registry.example.com:5000"]})
    (host.root / "docker" / "daemon.json").write_text(text)
    host.apply(mirror_of=["docker.io"])
    host.apply(state="absent")
    assert host.files() == {"docker/daemon.json": text}


@pytest.mark.parametrize("text", ["{", "[]", '{"registry-mirrors": 1}'])
def test_settings_that_docker_does_not_read_are_told(host: Host, text: str) -> None:
    (host.root / "docker" / "daemon.json").write_text(text)
    assert "is not what docker reads" in host.plan(authorities=[AUTHORITY])["problems"][0]


def test_files_of_others_are_kept_and_stay(host: Host) -> None:
    own = host.root / "docker" / "certs.d" / "registry.example.com:5000"
    own.mkdir()
    (own / "ca.crt").write_text("theirs")
    (own / "other.crt").write_text("theirs too")
    plan = host.plan(authorities=[AUTHORITY])
    assert {one["path"]: one["backup"] for one in plan["write"]}[f"{own}/ca.crt"]
    assert not any(one["backup"] for one in plan["write"] if not one["path"].startswith(str(own)))
    # Without anything to trust there, nothing of theirs goes.
    assert not host.plan(state="absent")["remove"]
    host.apply(authorities=[AUTHORITY])
    assert host.apply(state="absent")["empty"] and (own / "other.crt").read_text() == "theirs too"


def test_a_client_that_is_no_longer_meant_loses_the_files(host: Host) -> None:
    host.apply(authorities=[AUTHORITY])
    host.apply(authorities=[AUTHORITY], clients=["podman"])
    assert list(host.files()) == ["containers/certs.d/registry.example.com:5000/ca.crt"]


def test_rights_that_somebody_changed_are_put_right(host: Host) -> None:
    host.apply(authorities=[AUTHORITY], clients=["docker"])
    os.chmod(host.root / "docker" / "certs.d" / "registry.example.com:5000" / "ca.crt", 0o666)
    assert [one["mode"] for one in host.plan(authorities=[AUTHORITY], clients=["docker"])["write"]] == ["0644"]


def test_the_systems_store_gets_one_certificate_a_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    second = AUTHORITY.replace("TEST", "NEXT")
    first = host.apply(authorities=[AUTHORITY, second], clients=["system"])
    assert len(host.files()) == 2 and not first["stored"]
    (host.root / "bundle.pem").write_text("\n".join(["comment", AUTHORITY.replace("MIIB", "MI\nIB"), second]))
    assert host.plan(authorities=[AUTHORITY, second], clients=["system"])["stored"]
    (host.root / "anchors" / "longshore-registry.example.com-5000-of-somebody.crt").write_text(AUTHORITY)
    assert [one["kind"] for one in host.apply(authorities=[second], clients=["system"])["remove"]] == ["system"]
    host.apply(state="absent")
    assert list(host.files()) == ["anchors/longshore-registry.example.com-5000-of-somebody.crt", "bundle.pem"]


def test_engines_restart_when_they_would_go_by_the_wrong_authorities(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(program, "runs", lambda service: service in ("docker", "containerd"))
    monkeypatch.setattr(program, "started", lambda name: {"dockerd": 2e9, "containerd": 1e9}[name])
    everything = {"clients": ["docker", "containerd", "podman", "system"], "authorities": [AUTHORITY]}
    assert host.plan(**everything)["restart"] == []
    assert host.plan(**{**everything, "clients": ["system", "docker"]})["restart"] == ["containerd"]
    host.apply(**everything)
    for path in (host.root / "anchors").iterdir():
        os.utime(path, (15e8, 15e8))
    # docker started when the authority was there, containerd before.
    assert host.plan(state="absent")["restart"] == ["docker"]
    assert host.plan(**{**everything, "authorities": [AUTHORITY.replace("TEST", "NEXT")]})["restart"] == ["docker"]
    assert host.plan(**everything)["restart"] == []


def test_a_start_is_told_by_the_kernel() -> None:
    name = (pathlib.Path("/proc/self/comm")).read_text().strip()
    assert 0 <= time.time() - program.started(name) < 3600 * 24
    assert program.started("no-such-program") == 0


def test_a_system_without_the_program_is_told(host: Host) -> None:
    problems = host.plan(authorities=[AUTHORITY], clients=["system"])["problems"]
    assert problems == ["the system's store cannot be updated: true is not installed"]
    programs = {"docker": ["dockerd"], "containerd": ["containerd"]}
    assert host.plan(authorities=[AUTHORITY], clients=["auto"], programs=programs)["clients"] == ["containerd"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"host": "https://registry.example.com"}, "registry_trust_host is https://registry.example.com"),
        ({"host": "registry.example.com:5000"}, "registry_trust_host is registry.example.com:5000"),
        ({"host": "../../etc"}, "registry_trust_host is ../../etc"),
        ({"host": "registry.example.com\n"}, "registry_trust_host is"),
        ({"port": 0}, "registry_trust_port is 0"),
        ({"mirror_of": ["docker.io/library"]}, "registry_trust_mirror_of has docker.io/library"),
        ({"mirror_of": [".."]}, "registry_trust_mirror_of has .."),
    ],
)
def test_names_that_cannot_be_are_told(host: Host, changes: dict[str, Any], problem: str) -> None:
    assert problem in host.plan(authorities=[AUTHORITY], **changes)["problems"][0]


@pytest.mark.parametrize("name", ["registry", "registry.example.com", "192.0.2.7", "[2001:db8::7]"])
def test_names_that_can_be(host: Host, name: str) -> None:
    assert host.plan(authorities=[AUTHORITY], host=name)["problems"] == []
