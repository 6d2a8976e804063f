# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry with podman's quadlets on Debian 13, and the example of its README on Ubuntu."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml

from ansible_collections.longshore.oci.tests.roles.instances import IMAGE, Instance, make_image
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult

CI = "ci:a-password-of-ci"


def play(machines: Machines, machine: Machine, check: bool = False, **variables: Any) -> PlaybookResult:
    """Run the collection's playbook."""
    given = {
        "longshore_become": False,
        "registry_host": "server",
        "registry_tls_names": [machine.address],
        "registry_users": [{"name": "ci", "password": CI.partition(":")[2]}],
        **variables,
    }
    done = machines.playbook("longshore.oci.registry", machines.inventory({"registry": [machine]}), given, check=check, diff=True)
    assert CI.partition(":")[2] not in done.text
    return done


def test_quadlet(machines: Machines) -> None:
    with machines.start("trixie", "trixie", quadlet=True) as machine:
        machine.run(["apt-get", "install", "--yes", "podman"])
        make_image(machine, "podman")
        instance = Instance(machine, "main")
        quadlet: dict[str, Any] = {
            "registry_deployment": "quadlet",
            "registry_container_image": IMAGE,
            "registry_container_network": "host",
        }
        play(machines, machine, **quadlet).passed()
        pushed = instance.push("team/app", "1", CI)
        pid = instance.pid
        assert play(machines, machine, **quadlet).passed().changed_tasks() == [] and instance.pid == pid
        done = play(machines, machine, **quadlet, registry_log_level="warn").passed()
        assert [name for name in done.changed_tasks() if "Restart" in name] == ["longshore.oci.registry : Restart the registry"]
        record = instance.record
        machine.run([*record["command"], "garbage-collect", "--dry-run", record["config"]])
        machine.reboot()
        instance.pull("team/app", pushed, CI)


@pytest.fixture
def example() -> list[dict[str, Any]]:
    """The play of the role's README."""
    text = (pathlib.Path(__file__).parents[2] / "roles" / "registry" / "README.md").read_text("utf-8")
    plays: list[dict[str, Any]] = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    return plays


def test_the_example_of_the_readme(machines: Machines, example: list[dict[str, Any]]) -> None:
    with machines.start("noble", "noble") as machine:
        example[0]["become"] = False
        inventory = machines.inventory({"registry": [machine]})
        variables = {"registry_password": CI.partition(":")[2], "registry_tls_names": [machine.address]}
        machines.playbook(example, inventory, variables).passed()
        assert machines.playbook(example, inventory, variables).passed().changed_tasks() == []
        main, public = Instance(machine, "main"), Instance(machine, "public")
        public.pull("team/app", main.push("team/app", "1.0", CI))
        assert public.status(method="POST", path="/v2/team/app/blobs/uploads/") == 405
        assert main.record["url"] == "https://registry.example.com:5000"
