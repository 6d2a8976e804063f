# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role registry_gc without a machine and without systemd, which takes a fraction of the time."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

from ansible_collections.longshore.oci.tests.roles.collector import delete, pullable, stored, writable
from ansible_collections.longshore.oci.tests.roles.here import Here
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.managed import ManagedRegistry
from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookResult

KEPT = images.sample(seed=1)
GONE = images.sample(["linux/amd64"], seed=2)


class Host(Here):
    """This host, with every path of the role below a directory."""

    def __init__(self, place: pathlib.Path) -> None:
        variables = {
            "registry_gc_systemd": False,
            "registry_gc_uploads_age": 0,
            "registry_gc_registry_directory": str(place / "registries"),
            "registry_gc_settings_directory": str(place / "settings"),
            "registry_gc_state_directory": str(place / "state"),
            "registry_gc_program_directory": str(place / "programs"),
        }
        super().__init__(place, "/usr/bin/python3", variables)

    def play(self, check: bool = False, **variables: Any) -> PlaybookResult:
        """The playbook of the role."""
        return self.run("longshore.oci.registry_gc", self.inventory, variables, check=check, diff=check)


def changed(result: PlaybookResult) -> list[str]:
    """The role's tasks that changed something."""
    return [name.split(" : ")[-1] for name in result.changed_tasks()]


def told(result: PlaybookResult) -> str:
    """What was printed, its lines not broken."""
    return " ".join(result.text.split())


def test_installed_run_and_removed(place: pathlib.Path) -> None:
    host = Host(place)
    with ManagedRegistry(place / "registries") as registry:
        images.push(registry, "team/app", KEPT, ["1"])
        images.push(registry, "team/gone", GONE, ["1"])
        delete(registry, "team/gone", GONE.digest)
        checked = host.play(check=True, registry_gc_max_bytes=1_000_000).passed()
        assert changed(checked)[-1] == "Report" and re.search(r"^ +blobs: 4$", checked.text, re.MULTILINE), checked.text
        assert stored(registry, GONE) == 4 and not (place / "settings").exists() and not (place / "programs").exists()
        railed = host.play(registry_gc_max_bytes=1)
        assert railed.failed and "registry_gc_max_bytes is 1)" in told(railed) and stored(registry, GONE) == 4
        settings = json.loads((place / "settings/main.json").read_bytes())
        limits = [settings[name] for name in ("max_bytes", "max_percent", "max_manifests", "untagged")]
        assert limits == [1, 90, None, False]
        assert (place / "settings/main.json").stat().st_mode & 0o777 == 0o600
        assert changed(host.play().passed()) == ["Write the settings", "Report"]
        assert stored(registry, GONE) == 0 and pullable(registry, "team/app", KEPT, "1")
        assert host.play().passed().changed == 0 == host.play(check=True).passed().changed
        missing = host.play(registry_gc_instance="nobody")
        assert missing.failed and "set registry_gc_instance to the name of an instance that is there" in told(missing)
        assert host.play(check=True, registry_gc_state="absent").passed().changed and (place / "programs/registry_gc.py").exists()
        host.play(registry_gc_state="absent").passed()
        assert not (place / "programs/registry_gc.py").exists() and not (place / "settings").exists()
        assert host.play(registry_gc_state="absent").passed().changed == 0
        assert writable(registry)


def test_a_service_of_somebody_else(place: pathlib.Path) -> None:
    host = Host(place)
    with ManagedRegistry(place / "registries", record={"deployment": "files", "control": None}) as registry:
        images.push(registry, "team/app", KEPT, ["1"])
        images.push_blob(registry, "team/app", b"garbage")
        refused = host.play(check=True)
        assert refused.failed and "set registry_gc_stop_command and registry_gc_start_command" in told(refused)
        control = str(registry.directory / "control")
        commands = {"registry_gc_stop_command": [control, "stop"], "registry_gc_start_command": [control, "start"]}
        assert changed(host.play(**commands).passed())[-1] == "Report"
        assert not registry.blob_path(images.sha256(b"garbage")).exists() and writable(registry)
