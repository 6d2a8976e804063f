# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_backup on a machine, beside the role registry: timer, backup, restore, and what a crash leaves."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.roles.far_registry import FarRegistry
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult

ALICE = "only alice knows"
REGISTRY = {"registry_host": "server", "registry_users": [{"name": "alice", "password": ALICE}]}
BACKUPS = "/mnt/backup/registry"
BACKUP = {"registry_backup_path": BACKUPS, "registry_backup_textfile_directory": "/var/lib/node-exporter"}
# The program kills itself when it comes to the links, which is in the read-only phase.
STOP = """import os
true = os.scandir
def scandir(path):
    if str(path).endswith("_manifests/revisions"):
        os.kill(os.getpid(), 9)
    return true(path)
os.scandir = scandir
"""
UNIT = "longshore-registry-backup-main"


class Scene(NamedTuple):
    """A machine with a registry, and how to run playbooks for it."""

    machines: Machines
    machine: Machine
    inventory: pathlib.Path

    def backup(self, check: bool = False, **variables: Any) -> PlaybookResult:
        """Run the playbook of the role."""
        given = {**BACKUP, **variables}
        return self.machines.playbook("longshore.oci.registry_backup", self.inventory, given, check=check, diff=True)

    def registry(self) -> FarRegistry:
        """The registry, for alice."""
        ca = self.machine.read("/etc/longshore/registry/main/tls/ca.crt")
        return FarRegistry(self.machine.address, ca=ca, user="alice", password=ALICE)

    def backups(self) -> list[str]:
        """The names of the backups."""
        return self.machine.run(["ls", BACKUPS]).stdout.split()


@pytest.fixture(scope="module")
def scene(machines: Machines) -> Iterator[Scene]:
    with machines.start("bookworm", "server") as machine:
        # They are reached as root, and have no sudo.
        inventory = machines.inventory({"registry": [machine]}, {"all": {"longshore_become": False}})
        play = [{"hosts": "registry", "roles": [{"role": "longshore.oci.registry", **REGISTRY}]}]
        machines.playbook(play, inventory).passed()
        yield Scene(machines, machine, inventory)


def test_from_the_timer_to_a_restore(scene: Scene) -> None:
    machine, registry = scene.machine, scene.registry()
    images.push(registry, "team/app", images.sample(seed=1), ["1", "latest"])  # type: ignore[arg-type]
    predicted = scene.backup(check=True).passed()
    assert predicted.changed > 0 and not machine.exists("/usr/local/lib/longshore/registry_backup.py")
    done = scene.backup().passed()
    assert set(predicted.changed_tasks()) <= set(done.changed_tasks())
    assert scene.backup().passed().changed == 0
    assert UNIT in machine.run(["systemctl", "list-timers", f"{UNIT}.timer"]).stdout
    now: dict[str, Any] = {"registry_backup_schedule": "*-*-* 03:33:00"}
    names = ("Write the units", "Restart the timer of the backup")
    assert scene.backup(**now).passed().changed_tasks() == [f"longshore.oci.registry_backup : {name}" for name in names]
    assert "03:33:00" in machine.run(["systemctl", "show", f"{UNIT}.timer", "--property", "TimersCalendar"]).stdout

    # As the timer does.
    machine.run(["systemctl", "start", f"{UNIT}.service"])
    (first,) = scene.backups()
    report = json.loads(machine.read("/var/lib/longshore/backup/main.report.json"))
    assert (report["backup"], report["tags"], report["warnings"]) == (first, 2, [])
    assert "last_run_success" in machine.read("/var/lib/node-exporter/longshore_registry_backup_main.prom")
    saved = f"{BACKUPS}/{first}/configuration"
    for path in ("further/etc/longshore/ca/ca.key", "instance/secrets.env", "instance/auth/htpasswd", "instance/tls/registry.crt"):
        assert machine.exists(f"{saved}/{path}"), path
    assert machine.run(["stat", "--format=%a %U", BACKUPS]).stdout == "700 root\n"

    # By the play, in check mode first, with the registry read-only meanwhile.
    images.push(registry, "team/app", images.sample(seed=2), ["2", "latest"])  # type: ignore[arg-type]
    planned = scene.backup(check=True, registry_backup_run=True, **now).passed()
    assert planned.changed == 1 and scene.backups() == [first]
    now["registry_backup_readonly"] = True
    verify = {"registry_backup_verify": True, "registry_backup_verify_checksum": True}
    scene.backup(registry_backup_run=True, **verify, **now).passed()
    second = scene.backups()[-1]
    assert json.loads(machine.read(f"{BACKUPS}/{second}/backup.json"))["readonly_seconds"] > 0
    registry.wait()
    assert registry.status("POST", "/v2/x/blobs/uploads/") == 202

    # Back to the first: images, and the users of that time.
    machine.shell("printf 'mallory:x\\n' >/etc/longshore/registry/main/auth/htpasswd")
    restore = {**now, "registry_backup_restore": first, "registry_backup_restore_config": True}
    refused = scene.backup(check=True, **restore)
    assert refused.failed and "allow the restore to stop it" in refused.text
    assert registry.status() == 401, "nothing is done in check mode"
    scene.backup(**restore, registry_backup_restore_stop=True).passed()
    registry.wait()
    assert registry.tags() == {"team/app": ["1", "latest"]}
    assert registry.pull_everything() == 2
    images.push(registry, "team/app", images.sample(seed=3), ["3"])  # type: ignore[arg-type]


def test_a_machine_that_stops_while_the_registry_is_read_only(scene: Scene) -> None:
    machine, registry = scene.machine, scene.registry()
    scene.backup(registry_backup_readonly=True).passed()
    # The program is killed in the read-only phase; its unit puts things right.
    machine.write("/opt/test/sitecustomize.py", STOP)
    machine.write(f"/run/systemd/system/{UNIT}.service.d/test.conf", "[Service]\nEnvironment=PYTHONPATH=/opt/test\n")
    machine.run(["systemctl", "daemon-reload"])
    before = scene.backups()
    assert machine.run(["systemctl", "start", f"{UNIT}.service"], check=False).returncode != 0
    registry.wait()
    assert registry.status("POST", "/v2/x/blobs/uploads/") == 202
    assert [name for name in scene.backups() if "." not in name] == before
    # And so does the next start of the machine, where not even the unit came to its end.
    command = machine.run(["systemctl", "show", f"{UNIT}.service", "--property", "ExecStart", "--value"]).stdout
    argv = command.partition("argv[]=")[2].partition(" ;")[0]
    assert machine.shell(f"PYTHONPATH=/opt/test {argv}", check=False).returncode == 137
    registry.wait()
    assert registry.status("POST", "/v2/x/blobs/uploads/") == 405
    machine.run(["rm", "/opt/test/sitecustomize.py"])
    machine.lose_power()
    registry.wait()
    machine.shell("for i in $(seq 300); do test -e /var/lib/longshore/backup/main.json || exit 0; sleep 0.2; done; exit 1")
    registry.wait()
    assert registry.status("POST", "/v2/x/blobs/uploads/") == 202
    machine.run(["systemctl", "start", f"{UNIT}.service"])
    assert len(scene.backups()) == len(before) + 1


def test_without_a_timer_and_what_is_refused(scene: Scene) -> None:
    machine = scene.machine
    assert scene.backup(registry_backup_state="absent").passed().changed > 0
    assert scene.backup(registry_backup_state="absent").passed().changed == 0
    assert "\n0 unit files" in machine.run(["systemctl", "list-unit-files", f"{UNIT}*"], check=False).stdout
    assert scene.backups() != []
    other = scene.backup(registry_backup_instance="other")
    assert other.failed and "run the role longshore.oci.registry for the instance other first" in other.text
    assert scene.backup(registry_backup_path="not/absolute").failed
