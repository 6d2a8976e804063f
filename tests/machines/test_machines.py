# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines that the roles are tested on: they boot, install, reboot, and Ansible manages them."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.longshore.oci.tests.servers.machine_images import RELEASES
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookFailed
from ansible_collections.longshore.oci.tests.servers.process import ServerFailed

UNIT = """[Unit]
Description=Counts its starts
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo started >>/var/lib/starts'
[Install]
WantedBy=multi-user.target
"""
PLAYS = [
    {
        "hosts": "servers",
        "gather_facts": False,
        "tasks": [
            {"name": "Install", "ansible.builtin.apt": {"name": "hello"}},
            {"name": "Write", "ansible.builtin.copy": {"content": "{{ greeting }}\n", "dest": "/etc/greeting", "mode": "0644"}},
            {
                "name": "Start",
                "ansible.builtin.systemd_service": {"name": "counts", "state": "started", "enabled": True, "daemon_reload": True},
            },
        ],
    }
]


@pytest.mark.parametrize("release", RELEASES)
def test_a_machine_boots_installs_is_managed_and_outlives_a_reboot(machines: Machines, release: str) -> None:
    with machines.start(release, f"machine-{release}") as machine:
        assert release in machine.read("/etc/os-release")
        machine.write("/etc/systemd/system/counts.service", UNIT)
        inventory = machines.inventory({"servers": [machine]}, {"servers": {"greeting": "ahoy"}})

        done = machines.playbook(PLAYS, inventory, {"greeting": "hello"}).passed()
        assert done.changed_tasks(machine.name) == ["Install", "Write", "Start"]
        assert done.recap[machine.name].ok == 3 and machine.read("/etc/greeting") == "hello\n"

        address = machine.address
        machine.reboot()
        assert machine.wait_booted() == "running" and machine.failed_units() == []
        machine.lose_power()
        assert machine.wait_booted() == "running"
        assert machine.read("/var/lib/starts") == 3 * "started\n"
        assert machine.run(["hello"]).stdout.startswith("Hello")
        assert f"inet {address}/" in machine.run(["ip", "address"]).stdout


def test_check_mode_failures_neighbours_and_packages(machines: Machines, tmp_path: pathlib.Path) -> None:
    with machines.start("bookworm", "one") as one:
        one.write("/etc/systemd/system/counts.service", UNIT)
        inventory = machines.inventory({"servers": [one]}, {"one": {"greeting": "ahoy"}}, tmp_path / "inventory.json")
        predicted = machines.playbook(PLAYS, inventory, check=True, diff=True).passed()
        assert predicted.changed_tasks() == ["Install", "Write", "Start"]
        assert "+ahoy" in predicted.text and not one.exists("/etc/greeting")
        fail = {"name": "Fail", "ansible.builtin.command": "/bin/false"}
        failing = machines.playbook([{"hosts": "all", "gather_facts": False, "tasks": [fail]}], inventory)
        assert failing.failed and failing.recap["one"].failed == 1 and failing.changed == 0
        with pytest.raises(PlaybookFailed, match="non-zero return code"):
            failing.passed()
        with pytest.raises(ServerFailed, match="no such thing here"):
            one.shell("echo no such thing here >&2; false")
        assert one.shell("exit 7", check=False).returncode == 7

        one.run(["apt-get", "install", "--yes", "hello"])
        with machines.start("bookworm", "two") as two:
            assert one.address in two.run(["getent", "hosts", "one"]).stdout
            # Nothing may be downloaded, and nothing has to be.
            two.run(["apt-get", "install", "--yes", "--no-download", "hello"])
            assert two.run(["hello"]).stdout.startswith("Hello")
            with machines.start("trixie", "three"), pytest.raises(ServerFailed, match="3 machines run already"):
                machines.start("bookworm", "four")
