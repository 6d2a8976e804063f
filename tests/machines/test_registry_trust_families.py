# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_trust on systems of the RHEL, SUSE and Alpine families: a machine that says that it is one of them.

Their images cannot be had everywhere. The machine has their files that tell which system it is, and, in place of their program
that updates the store, one that does what it does with the directory and the bundle.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.servers.certificates import Authority
from ansible_collections.longshore.oci.tests.servers.machine import Machine
from ansible_collections.longshore.oci.tests.servers.machines import Machines

OS_RELEASE = 'NAME="openSUSE Leap"\nVERSION="15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'


class Family(NamedTuple):
    """What a system is told by, and how it keeps authorities."""

    marks: dict[str, str]
    directory: str
    bundle: str
    program: str
    arguments: str


FAMILIES = {
    "RedHat": Family(
        {"/etc/redhat-release": "Red Hat Enterprise Linux release 9.4 (Plow)\n"},
        "/etc/pki/ca-trust/source/anchors",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "update-ca-trust",
        "extract",
    ),
    "Alpine": Family(
        {"/etc/alpine-release": "3.20.3\n"},
        "/usr/local/share/ca-certificates",
        "/etc/ssl/certs/ca-certificates.crt",
        "update-ca-certificates",
        "",
    ),
    "Suse": Family(
        {"/etc/os-release": OS_RELEASE},
        "/etc/pki/trust/anchors",
        "/var/lib/ca-certificates/ca-bundle.pem",
        "update-ca-certificates",
        "",
    ),
}
PROGRAM = """#!/bin/sh
set -eu
[ "$*" = "{arguments}" ]
mkdir -p "$(dirname {bundle})"
find {directory} -type f -exec sed -n '/-BEGIN CERT/,/-END CERT/p' {{}} + >{bundle}.new
mv {bundle}.new {bundle}
"""


@pytest.fixture(scope="module")
def machine(machines: Machines) -> Iterator[Machine]:
    with machines.start("bookworm", "family") as running:
        yield running


def steps(family: str, variables: dict[str, Any], changes: bool) -> list[dict[str, Any]]:
    """A play of the role, told which family to find and whether files are to change."""
    is_family = f"ansible_facts['os_family'] == '{family}'"
    count = "registry_trust__added is changed or registry_trust__plan.remove | length > 0"
    given = {f"registry_trust_{key}": value for key, value in {"host": "registry.example.com", **variables}.items()}
    return [
        {"name": "Trust", "ansible.builtin.include_role": {"name": "longshore.oci.registry_trust", "public": True}, "vars": given},
        {"name": "Compare", "ansible.builtin.assert": {"that": [is_family, f"({count}) == {changes}"]}},
    ]


@contextlib.contextmanager
def posing_as(machine: Machine, family: Family) -> Iterator[None]:
    """Have the machine say that it is of a family."""
    before = {path: machine.read(path) if machine.exists(path) else None for path in family.marks}
    for path, text in family.marks.items():
        machine.write(path, text)
    machine.write(f"/usr/local/sbin/{family.program}", PROGRAM.format(**family._asdict()), "0755")
    try:
        yield
    finally:
        machine.run(["rm", f"/usr/local/sbin/{family.program}"])
        for path, kept in before.items():
            if kept is None:
                machine.run(["rm", path])
            else:
                machine.write(path, kept)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_systems_store_of_a_family(machines: Machines, machine: Machine, tmp_path: pathlib.Path, name: str) -> None:
    with posing_as(machine, FAMILIES[name]):
        changes_and_goes(machines, machine, tmp_path, name)


def changes_and_goes(machines: Machines, machine: Machine, tmp_path: pathlib.Path, name: str) -> None:
    """Two authorities come, one goes, both are gone."""
    family = FAMILIES[name]
    both = []
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        both.append(Authority(tmp_path / number).certificate.read_text().strip())

    inventory = machines.inventory({"registry_clients": [machine]})
    tasks = steps(name, {"ca": both}, changes=True) + steps(name, {"ca": both}, changes=False)
    machines.playbook([{"name": "Both", "hosts": "all", "tasks": tasks}], inventory).passed()
    bundle = machine.read(family.bundle)
    assert [one in bundle for one in both] == [True, True]
    assert len(machine.run(["ls", family.directory]).stdout.split()) == 2

    tasks = steps(name, {"ca": both[1:]}, changes=True)
    machines.playbook([{"name": "The second", "hosts": "all", "tasks": tasks}], inventory).passed()
    bundle = machine.read(family.bundle)
    assert [one in bundle for one in both] == [False, True]

    tasks = steps(name, {"state": "absent"}, changes=True) + steps(name, {"state": "absent"}, changes=False)
    machines.playbook([{"name": "None", "hosts": "all", "tasks": tasks}], inventory).passed()
    bundle = machine.read(family.bundle)
    assert [one in bundle for one in both] == [False, False]
    assert machine.run(["ls", family.directory]).stdout == ""
