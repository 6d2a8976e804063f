# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_migrate on a machine where registries run by hand: said first, taken over, nothing lost, and the way back."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.roles import by_hand
from ansible_collections.longshore.oci.tests.roles.far_registry import FarRegistry
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult

ALICE = "only alice knows"
CONTAINER = {"registry_host": "old", "registry_name": "boxed", "registry_migrate_from": "container"}
PACKAGE = {"registry_host": "old", "registry_name": "packed", "registry_migrate_from": "package"}


class Scene(NamedTuple):
    """A machine, and how to run the playbook for it."""

    machines: Machines
    machine: Machine
    inventory: pathlib.Path

    def migrate(self, check: bool = False, **variables: Any) -> PlaybookResult:
        """Run the playbook of the role."""
        return self.machines.playbook("longshore.oci.registry_migrate", self.inventory, variables, check=check, diff=True)


@pytest.fixture(scope="module")
def scene(machines: Machines) -> Iterator[Scene]:
    with machines.start("bookworm", "old") as machine:
        # It is reached as root, and has no sudo.
        inventory = machines.inventory({"registry": [machine]}, {"all": {"longshore_become": False}})
        yield Scene(machines, machine, inventory)


def fill(registry: FarRegistry) -> dict[str, list[str]]:
    """Push a few images; what is there then."""
    images.push(registry, "team/app", images.sample(seed=1), ["1", "latest"])  # type: ignore[arg-type]
    images.push(registry, "alone", images.sample(["linux/amd64"], seed=2), ["2"])  # type: ignore[arg-type]
    return registry.tags()


def test_a_container(scene: Scene) -> None:
    machine = scene.machine
    by_hand.image(machine)
    ca = by_hand.certificate(machine)
    by_hand.container(machine, "alice", ALICE)
    registry = FarRegistry(machine.address, ca=ca, user="alice", password=ALICE)
    registry.wait()
    before = fill(registry)
    uptime = machine.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", "registry"]).stdout

    said = scene.migrate(check=True, **CONTAINER).passed()
    places = ("/volumes/images/_data", "/srv/certs/registry.crt")
    for words in (*places, "10001:10001", "registry-before-longshore", "the user old cannot log in"):
        assert words in said.text, words
    assert "secret-of-the-old-one" not in said.text and "$2y$" not in said.text
    assert said.changed > 0
    assert machine.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", "registry"]).stdout == uptime
    assert registry.pull_everything() == 3

    # What is refused by its name touches nothing; what cannot start leaves the old one running.
    refused = scene.migrate(**CONTAINER, registry_migrate_variables={"registry_tls_minimum": "tls9"})
    assert refused.failed and "http.tls.minimumtls" in refused.text, refused.text
    assert machine.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", "registry"]).stdout == uptime
    wrong = {"registry_config_extra": {"http": {"tls": {"clientcas": ["/nowhere/ca.crt"]}}}}
    failed = scene.migrate(**CONTAINER, registry_migrate_variables=wrong)
    assert failed.failed and "The old registry runs again" in failed.text, failed.text
    registry.wait()
    assert registry.pull_everything() == 3
    assert machine.run(["docker", "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", "registry"]).stdout == "always\n"

    login = {"registry_migrate_username": "alice", "registry_migrate_password": ALICE, "registry_migrate_validate_certs": False}
    done = scene.migrate(**CONTAINER, **login).passed()
    assert ALICE not in done.text and "secret-of-the-old-one" not in done.text
    registry.wait()
    assert registry.tags() == before and registry.pull_everything() == 3
    assert FarRegistry(machine.address, ca=ca).status() == 401
    assert machine.run(["docker", "ps", "--format", "{{.Names}}"]).stdout == "longshore-registry-boxed\n"
    assert "secret-of-the-old-one" in machine.read("/etc/longshore/registry/boxed/secrets.env")
    images.push(registry, "team/app", images.sample(seed=3), ["3"])  # type: ignore[arg-type]
    assert scene.migrate(**CONTAINER, **login).passed().changed == 0

    # The way back, as it was printed.
    for line in (
        "docker rm --force longshore-registry-boxed",
        "docker rename registry-before-longshore registry",
        "docker update --restart=always registry",
        "docker start registry",
    ):
        assert line in done.text
        machine.shell(line)
    registry.wait()
    assert registry.pull_everything() == 4
    machine.run(["docker", "rm", "--force", "registry"])


def test_an_edited_package(scene: Scene) -> None:
    machine = scene.machine
    ca = by_hand.certificate(machine)
    by_hand.package(machine, "alice", ALICE)
    registry = FarRegistry(machine.address, 5001, ca=ca, user="alice", password=ALICE)
    registry.wait()
    before = fill(registry)
    said = scene.migrate(check=True, **PACKAGE).passed()
    for words in ("/srv/registry stays as it is", "http.tls.certifcates is nothing", "systemctl unmask docker-registry.service"):
        assert words in said.text, words
    assert registry.pull_everything() == 3
    done = scene.migrate(**PACKAGE).passed()
    registry.wait()
    assert registry.tags() == before and registry.pull_everything() == 3
    assert machine.run(["systemctl", "is-active", "longshore-registry-packed.service"]).stdout == "active\n"
    assert machine.run(["systemctl", "is-active", "docker-registry.service"], check=False).stdout == "inactive\n"
    assert machine.read("/etc/docker/registry/config.yml") == by_hand.EDITED
    assert scene.migrate(**PACKAGE).passed().changed == 0
    for line in (
        "systemctl disable --now longshore-registry-packed.service",
        "systemctl unmask docker-registry.service",
        "systemctl enable --now docker-registry.service",
    ):
        assert line in done.text
        machine.shell(line)
    registry.wait()
    assert registry.pull_everything() == 3


def test_where_there_is_nothing_to_take_over(scene: Scene) -> None:
    none = scene.migrate(**{**CONTAINER, "registry_migrate_container": "nowhere"})
    assert none.failed and "There is no container nowhere" in none.text
