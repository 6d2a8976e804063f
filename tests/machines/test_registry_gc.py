# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_gc on a machine: by hand, in time, killed and cut off by a power failure, and gone again.

The registry there is what the role registry leaves, made by a script, which takes a fraction of the time; the last test has one
of that role.
"""

from __future__ import annotations

import base64
import http.client
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult
from ansible_collections.longshore.oci.tests.servers.process import wait_until
from ansible_collections.longshore.oci.tests.servers.registry import Registry, htpasswd

KEPT = images.sample(seed=1)
PASSWORD = "the password of a test"
REPORT = "/var/lib/longshore/registry-gc/main.report.json"
HERE, STORAGE = "/etc/longshore/registry/main", "/var/lib/longshore/registry/main"
COLLECT = {
    "registry_gc_username": "ci",
    "registry_gc_password": PASSWORD,
    "registry_gc_untagged": True,
    "registry_gc_untagged_age": 0,
    "registry_gc_uploads_age": 0,
    "registry_gc_textfile_directory": "/var/lib/metrics",
}
# Stands before the registry's binary, and holds still once a sweep has ended.
HOLD = f"""#!/bin/sh
/usr/bin/docker-registry "$@" || exit
case "$1 $2" in
"garbage-collect --dry-run") ;;
*) while [ -e {STORAGE}/hold ]; do touch {STORAGE}/held; sleep 0.1; done ;;
esac
"""
UNIT = f"""[Service]
User=docker-registry
Group=docker-registry
EnvironmentFile={HERE}/secrets.env
ExecStart=/usr/bin/docker-registry serve {HERE}/config.yml
[Install]
WantedBy=multi-user.target
"""


def configuration(readonly: bool) -> str:
    return json.dumps(
        {
            "version": "0.1",
            "storage": {
                "filesystem": {"rootdirectory": STORAGE},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
                "maintenance": {"readonly": {"enabled": readonly}},
            },
            "http": {"addr": ":5000", "draintimeout": "30s"},
            "auth": {"htpasswd": {"realm": "registry", "path": f"{HERE}/auth/htpasswd"}},
        }
    )


def record(uid: int, gid: int) -> str:
    unit = "longshore-registry-main.service"
    return json.dumps(
        {
            "version": 1,
            "name": "main",
            "deployment": "package",
            "series": "2.8",
            "readonly": False,
            "url": "http://gc:5000",
            "probe": {"host": "127.0.0.1", "port": 5000, "tls": False, "server_name": None, "ca": None},
            "config": f"{HERE}/config.yml",
            "readwrite": f"{HERE}/readwrite.yml",
            "readonly_config": f"{HERE}/readonly.yml",
            "environment_file": f"{HERE}/secrets.env",
            "user": "docker-registry",
            "group": "docker-registry",
            "uid": uid,
            "gid": gid,
            "storage": {"driver": "filesystem", "path": STORAGE},
            "cache": {"kind": "inmemory"},
            "htpasswd": f"{HERE}/auth/htpasswd",
            "command": ["/usr/bin/docker-registry"],
            "serve": ["/usr/bin/docker-registry"],
            "control": {
                "start": ["systemctl", "start", unit],
                "stop": ["systemctl", "stop", unit],
                "restart": ["systemctl", "restart", unit],
                "active": ["systemctl", "is-active", "--quiet", unit],
            },
            "peers": [],
            "lock": "/run/lock/longshore-registry-0123456789abcdef.lock",
            "sentinel": f"{STORAGE}/.longshore-storage",
        }
    )


def set_up(machine: Machine) -> None:
    """Install Debian's registry, and run it as the role registry does."""
    machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "0755")
    machine.shell("export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; apt-get -qq install --yes docker-registry")
    machine.shell("rm /usr/sbin/policy-rc.d; systemctl disable --quiet docker-registry; mkdir -p /var/lib/metrics")
    ids = machine.shell("id -u docker-registry; id -g docker-registry").stdout.split()
    for name, text in (
        ("readwrite.yml", configuration(False)),
        ("readonly.yml", configuration(True)),
        ("secrets.env", "REGISTRY_HTTP_SECRET=secret\n"),
        ("auth/htpasswd", htpasswd({"ci": PASSWORD})),
        ("instance.json", record(int(ids[0]), int(ids[1]))),
    ):
        machine.write(f"{HERE}/{name}", text)
    machine.write(f"{STORAGE}/.longshore-storage", "")
    machine.write("/etc/systemd/system/longshore-registry-main.service", UNIT)
    machine.shell(f"ln -s readwrite.yml {HERE}/config.yml; chown -R docker-registry: {STORAGE}")
    machine.shell("systemctl daemon-reload; systemctl enable --quiet --now longshore-registry-main.service")


class OnMachine(Registry):
    """The registry of the role, as `images` sees one."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine, self.port = machine, 5000
        self._headers = {"Authorization": "Basic " + base64.b64encode(f"ci:{PASSWORD}".encode()).decode()}

    @property
    def host(self) -> str:
        return f"{self.machine.address}:5000"

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(self.machine.address, self.port, timeout=60)
        try:
            connection.request(method, target, body=body, headers={**self._headers, **(headers or {})})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return self.request("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def garbage(self, seed: int) -> images.Pushable:
        """An image without a tag."""
        content = images.sample(["linux/amd64"], seed=seed)
        images.push(self, "team/app", content, [])
        return content

    def stored(self, content: images.Pushable) -> bool:
        target, headers = f"/v2/team/app/manifests/{content.digest}", {"Accept": content.top.media_type}
        return self.request("HEAD", target, headers=headers)[0] == 200

    def well(self) -> None:
        """What is tagged can be pulled, and more can be pushed."""
        for manifest in KEPT.manifests():
            answer = self.request("GET", f"/v2/team/app/manifests/{manifest.digest}", headers={"Accept": manifest.media_type})
            assert (answer[0], answer[2]) == (200, manifest.data)
        for blob in KEPT.blobs():
            assert self.request("GET", f"/v2/team/app/blobs/{blob.digest}")[::2] == (200, blob.data)
        assert self.machine.run(["readlink", f"{HERE}/config.yml"]).stdout == "readwrite.yml\n"
        images.push_blob(self, "team/app", images.noise(16, 0))


class World:
    """The machine, and how plays run on it."""

    def __init__(self, machines: Machines, machine: Machine) -> None:
        self.machines, self.machine = machines, machine
        self.inventory = machines.inventory({"registry": [machine]}, {"registry": COLLECT})

    def play(self, variables: Mapping[str, Any] | None = None, **options: Any) -> PlaybookResult:
        """The playbook of the role."""
        return self.machines.playbook("longshore.oci.registry_gc", self.inventory, variables, **options)

    def installed(self) -> None:
        """Have the role's units there, also when this test runs alone."""
        if not self.machine.exists("/etc/systemd/system/longshore-registry-gc-main.service"):
            self.play().passed()

    def repaired(self) -> bool:
        """Whether nothing is left of a collection that did not end."""
        return self.machine.run(["ls", "/var/lib/longshore/registry-gc/pending"]).stdout == ""

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.machine.read(REPORT))
        return found


@pytest.fixture(scope="module")
def world(machines: Machines) -> Iterator[World]:
    with machines.start("bookworm", "gc") as machine:
        set_up(machine)
        yield World(machines, machine)


@pytest.fixture(scope="module")
def registry(world: World) -> OnMachine:
    found = OnMachine(world.machine)
    wait_until(found.answers, "the registry", 60)
    images.push(found, "team/app", KEPT, ["1"])
    return found


def changed(result: PlaybookResult) -> list[str]:
    """The role's tasks that changed something."""
    return [name.split(" : ")[-1] for name in result.changed_tasks()]


def said(result: PlaybookResult, field: str) -> str:
    found = re.search(rf"^\s+{field}: (.*)$", result.text, re.MULTILINE)
    assert found, result.text
    return found[1]


def test_by_hand_and_again(world: World, registry: OnMachine) -> None:
    garbage = registry.garbage(2)
    checked = world.play(check=True, diff=True).passed()
    assert registry.stored(garbage) and not world.machine.exists("/etc/longshore/registry-gc")
    assert said(checked, "manifests") == "1" and "Report" in changed(checked)
    assert world.machine.shell("ls -d /tmp/longshore-gc-* 2>/dev/null || true").stdout == ""
    done = world.play().passed()
    report = world.report()
    assert said(done, "manifests") == "1" and said(checked, "bytes_promised") == said(done, "bytes_freed")
    assert report["read_only_proofs"] == {"main": "an upload was refused with 405"} and "Report" in changed(done)
    assert not registry.stored(garbage)
    metrics = world.machine.read("/var/lib/metrics/longshore_registry_gc_main.prom")
    assert f'bytes_freed{{instance="main"}} {report["bytes_freed"]}' in metrics
    assert PASSWORD not in done.text + checked.text
    registry.well()


def test_the_example_of_the_readme(world: World, registry: OnMachine) -> None:
    garbage = images.push_blob(registry, "team/app", b"garbage")
    text = pathlib.Path(__file__).parents[2].joinpath("roles/registry_gc/README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    done = world.machines.playbook(yaml.safe_load(example), world.inventory, {"vault_ci_password": PASSWORD}).passed()
    assert re.search(r"[1-9][0-9]* blobs and 0 manifests, [0-9]+ of [0-9]+ bytes, read-only for [0-9.]+ s", done.text), done.text
    assert registry.request("HEAD", f"/v2/team/app/blobs/{garbage}")[0] == 404
    # Nothing is left to do: no task changes anything, and the registry is not restarted.
    pid = world.machine.run(["systemctl", "show", "--property=MainPID", "longshore-registry-main.service"]).stdout
    again = world.machines.playbook(yaml.safe_load(example), world.inventory, {"vault_ci_password": PASSWORD}).passed()
    assert again.changed_tasks() == []
    assert world.machine.run(["systemctl", "show", "--property=MainPID", "longshore-registry-main.service"]).stdout == pid


def test_the_units_are_locked_up_and_the_password_is_roots(world: World, registry: OnMachine) -> None:
    machine = world.machine
    world.installed()
    found = machine.run(["systemd-analyze", "security", "--no-pager", "longshore-registry-gc-main.service"]).stdout
    exposure = re.search(r"Overall exposure level[^:]*: ([0-9.]+)", found)
    assert exposure and float(exposure[1]) < 5, found[-300:]
    assert machine.run(["stat", "-c", "%a %U", "/etc/longshore/registry-gc/main.json"]).stdout == "600 root\n"
    assert machine.run(["systemctl", "is-enabled", "longshore-registry-gc-main.timer"]).stdout == "enabled\n"


def test_in_time(world: World, registry: OnMachine) -> None:
    garbage = registry.garbage(3)
    variables = {"registry_gc_schedule": "*-*-* *:*:00/2", "registry_gc_random_delay": "0"}
    plays = [{"hosts": "registry", "gather_facts": False, "roles": [{"role": "longshore.oci.registry_gc"}]}]
    often = world.machines.playbook(plays, world.inventory, variables).passed()
    try:
        assert "Start the timer" in changed(often)
        wait_until(lambda: registry.answers() and not registry.stored(garbage), "the timer", 180)
    finally:
        # Back to once a day.
        world.machines.playbook(plays, world.inventory).passed()
    world.machine.shell("while systemctl is-active -q longshore-registry-gc-main.service; do sleep 0.1; done")
    registry.well()


@pytest.fixture
def held(world: World, registry: OnMachine) -> Iterator[None]:
    """A collection that holds still after its sweep."""
    machine = world.machine
    world.installed()
    machine.write("/usr/local/bin/held-registry", HOLD, "0755")
    path = f"{HERE}/instance.json"
    kept = machine.read(path)
    changed = json.loads(kept)
    changed["command"] = ["/usr/local/bin/held-registry"]
    registry.garbage(4)
    machine.shell(f"cd {STORAGE}; touch hold; rm -f held")
    machine.write(path, json.dumps(changed))
    machine.run(["systemctl", "start", "--no-block", "longshore-registry-gc-main.service"])
    wait_until(lambda: machine.exists(f"{STORAGE}/held"), "the sweep", 180)
    assert machine.run(["readlink", f"{HERE}/config.yml"]).stdout == "readonly.yml\n"
    machine.write(path, kept)
    yield
    machine.shell(f"rm -f {STORAGE}/hold")


def test_killed_it_comes_back(world: World, registry: OnMachine, held: None) -> None:
    world.machine.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", "longshore-registry-gc-main.service"])
    wait_until(world.repaired, "the repair", 180)
    registry.well()


def test_cut_off_by_a_power_failure_it_comes_back(world: World, registry: OnMachine, held: None) -> None:
    world.machine.lose_power()
    wait_until(world.repaired, "the repair", 180)
    registry.well()
    world.machine.run(["systemctl", "reset-failed"])
    assert "bringing the registry back" in world.machine.journal("longshore-registry-gc-repair-main.service")


def test_it_goes_without_a_trace(world: World, registry: OnMachine) -> None:
    world.installed()
    world.play({"registry_gc_state": "absent"}).passed()
    for path in (
        "/etc/systemd/system/longshore-registry-gc-main.timer",
        "/etc/systemd/system/longshore-registry-gc-repair-main.service",
        "/etc/longshore/registry-gc",
        "/usr/local/lib/longshore/registry_gc.py",
        "/var/lib/metrics/longshore_registry_gc_main.prom",
    ):
        assert not world.machine.exists(path), path
    registry.well()


def test_beside_the_role_registry(world: World, registry: OnMachine) -> None:
    variables = {
        "registry_name": "second",
        "registry_gc_instance": "second",
        "registry_port": 5001,
        "registry_host": "gc",
        "registry_anonymous": True,
    }
    roles = [{"role": "longshore.oci.registry"}, {"role": "longshore.oci.registry_gc"}]
    plays = [{"hosts": "registry", "roles": roles}]
    runner = world.machines.playbook
    runner(plays, world.inventory, variables).passed()
    # Neither takes back what the other has done.
    assert runner(plays, world.inventory, variables).passed().changed_tasks() == []
    done = world.play({"registry_gc_instance": "second", "registry_gc_username": "", "registry_gc_password": ""}).passed()
    assert said(done, "msg") == "the registry is empty"
