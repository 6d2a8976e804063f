# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry with Docker on Debian 12 and with podman's quadlets on Debian 13, and from one way of running to another."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
import yaml

from ansible_collections.longshore.oci.tests.roles.instances import Instance
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult

IMAGE = "localhost/registry:2.8"
CI = "ci:a-password-of-ci"
# The package's binary with the libraries that it needs, as the image of the registry has it.
MAKE_IMAGE = """
mkdir -p /root/image/bin /root/deb && cd /root/deb
[ -x /usr/bin/docker-registry ] || { apt-get -q download docker-registry && dpkg -x docker-registry_*.deb /root/deb; }
binary=/usr/bin/docker-registry; [ -x "$binary" ] || binary=/root/deb/usr/bin/docker-registry
cp "$binary" /root/image/bin/registry
for library in $(ldd "$binary" | grep -o '/[^ ]*'); do cp --parents -L "$library" /root/image; done
tar -C /root/image -c . | ENGINE import --change 'ENTRYPOINT ["/bin/registry"]' - IMAGE
"""


def make_image(machine: Machine, engine: str) -> None:
    machine.shell(MAKE_IMAGE.replace("ENGINE", engine).replace("IMAGE", IMAGE))


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


def test_from_the_package_to_docker_and_back(machines: Machines) -> None:
    with machines.start("bookworm", "server") as machine:
        machine.run(["apt-get", "install", "--yes", "docker.io"])
        make_image(machine, "docker")
        instance = Instance(machine, "main")
        play(machines, machine).passed()
        pushed = instance.push("team/app", "1", CI)
        uid, gid = instance.record["uid"], instance.record["gid"]
        container: dict[str, Any] = {
            **{"registry_deployment": "container", "registry_container_image": IMAGE},
            **{"registry_container_uid": uid, "registry_container_gid": gid},
        }
        done = play(machines, machine, **container).passed()
        assert "Stop the service of the earlier deployment" in " ".join(done.changed_tasks())
        instance.pull("team/app", pushed, CI)
        assert instance.status() == 401

        shown = json.loads(machine.run(["docker", "inspect", "longshore-registry-main"]).stdout)[0]
        host = shown["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], shown["Config"]["User"]) == (True, ["ALL"], f"{uid}:{gid}")
        assert host["SecurityOpt"] == ["no-new-privileges"] and host["LogConfig"]["Config"]["max-size"] == "10m"
        record = instance.record
        for command in ([*record["command"], "garbage-collect", "--dry-run", record["config"]], record["control"]["active"]):
            machine.run(command)
        assert play(machines, machine, **container).passed().changed_tasks() == []

        # Another setting makes another container; one that it would not start with does not.
        started = shown["State"]["StartedAt"]
        wrong = play(machines, machine, **container, registry_config_extra={"http": {"tls": {"clientcas": ["/nowhere.crt"]}}})
        assert wrong.failed and "/nowhere.crt" in wrong.text
        assert started in machine.run(["docker", "inspect", "longshore-registry-main"]).stdout
        play(machines, machine, **container, registry_log_level="warn").passed()
        assert started not in machine.run(["docker", "inspect", "longshore-registry-main"]).stdout
        machine.reboot()
        machine.shell("for n in $(seq 300); do docker top longshore-registry-main >/dev/null && exit; sleep 0.2; done; exit 1")
        instance.pull("team/app", pushed, CI)

        done = play(machines, machine).passed()
        assert "Remove the container of the earlier deployment" in " ".join(done.changed_tasks())
        instance.pull("team/app", pushed, CI)
        assert machine.run(["docker", "ps", "--all", "--quiet"]).stdout == ""


def test_quadlet(machines: Machines) -> None:
    with machines.start("trixie", "server", quadlet=True) as machine:
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
    with machines.start("noble", "server") as machine:
        example[0]["become"] = False
        inventory = machines.inventory({"registry": [machine]})
        variables = {"registry_password": CI.partition(":")[2], "registry_tls_names": [machine.address]}
        machines.playbook(example, inventory, variables).passed()
        assert machines.playbook(example, inventory, variables).passed().changed_tasks() == []
        main, public = Instance(machine, "main"), Instance(machine, "public")
        public.pull("team/app", main.push("team/app", "1.0", CI))
        assert public.status(method="POST", path="/v2/team/app/blobs/uploads/") == 405
        assert main.record["url"] == "https://registry.example.com:5000"
