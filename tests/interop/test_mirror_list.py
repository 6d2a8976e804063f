# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror list as an inventory: one host a repository, on this machine, with what the role needs.

By ``ansible-inventory``; the variable LONGSHORE_ANSIBLE names the directories, parted by colons, that have it.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner

NAME = "longshore.oci.mirror_list"
BIN_DIRECTORIES = os.environ.get("LONGSHORE_ANSIBLE") or str(pathlib.Path(sys.executable).parent)


class Lists:
    """Mirror lists in a directory, and what Ansible makes of them."""

    def __init__(self, directory: pathlib.Path, module: ModuleRunner) -> None:
        self.directory = directory
        self._environment = {**module.whole_environment(), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}

    def run(self, commands: str, name: str, options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        (self.directory / name).write_text(json.dumps({"plugin": NAME, **options}))
        command = [str(pathlib.Path(commands) / "ansible-inventory"), "-i", str(self.directory / name), "--list"]
        return subprocess.run(
            command, env=self._environment, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
def lists(tmp_path: pathlib.Path, module: ModuleRunner) -> Lists:
    """See `Lists`."""
    return Lists(tmp_path, module)


@pytest.mark.parametrize("commands", BIN_DIRECTORIES.split(os.pathsep))
def test_each_repository_is_a_host_of_its_own(commands: str, lists: Lists) -> None:
    (lists.directory / "a.yml").write_text(json.dumps([{"src": "alpine"}]))
    (lists.directory / "b.yml").write_text(json.dumps({"mappings": [{"src": "nginx", "tags": {"names": ["latest"]}}]}))
    done = lists.run(
        commands,
        "nightly.mirror_list.yml",
        {
            "dest": ["registry.example.com:5000/mirror/"],
            "mappings": [
                {"src": "nginx", "tags": {"newest": 5}},
                {"src": "quay.io/a/b", "dest": "other.example/b"},
                {"src": "registry.example.com/team/"},
            ],
            "files": ["a.yml", str(lists.directory / "b.yml")],
            "compose": {"image_mirror_suffix": "'-' ~ mirror_src"},
            "groups": {"small": "mirror_src == 'alpine'"},
            "keyed_groups": [{"key": "mirror_dest.split('/')[-1]", "prefix": "name"}],
        },
    )
    assert done.returncode == 0, done.stderr
    # Marked as no template, as ansible-core 2.19 and later do with what a plugin says; one of them has to be one.
    assert '"ansible_python_interpreter": "{{ ansible_playbook_python }}"' in done.stdout
    found = json.loads(done.stdout, object_hook=lambda row: row.get("__ansible_unsafe", row))
    variables = found.pop("_meta")["hostvars"]
    prefix = "registry.example.com+5000+mirror"
    assert set(variables) == {f"{prefix}+nginx", f"{prefix}+alpine", prefix, "other.example+b"}
    assert variables[f"{prefix}+nginx"] == {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "image_mirror_mappings": [
            # Two mappings of one repository are one host's.
            {"src": "nginx", "tags": {"newest": 5}, "dest": ["registry.example.com:5000/mirror/"]},
            {"src": "nginx", "tags": {"names": ["latest"]}, "dest": ["registry.example.com:5000/mirror/"]},
        ],
        "image_mirror_shard_index": 0,
        "image_mirror_shard_count": 1,
        "image_mirror_suffix": "-nginx",
        "mirror_src": "nginx",
        "mirror_dest": "registry.example.com:5000/mirror/nginx",
    }
    members = {group: set(row["hosts"]) for group, row in found.items() if "hosts" in row}
    assert members == {
        "from_docker_io": {f"{prefix}+nginx", f"{prefix}+alpine"},
        "from_quay_io": {"other.example+b"},
        "from_registry_example_com": {prefix},
        "to_registry_example_com_5000": {f"{prefix}+nginx", f"{prefix}+alpine", prefix},
        "to_other_example": {"other.example+b"},
        "small": {f"{prefix}+alpine"},
        "name_nginx": {f"{prefix}+nginx"},
        "name_alpine": {f"{prefix}+alpine"},
        "name_b": {"other.example+b"},
        "name_mirror": {prefix},
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mappings": [{"src": "nginx"}]}, "no dest"),
        ({"mappings": [{"dest": ["r.example/m/"]}]}, "has a src"),
        ({"dest": ["r.example/m/"], "mappings": [{"src": "alpine"}, {"src": "a/UPPER"}]}, "mapping 2"),
        ({"dest": ["r.example/m/"], "files": ["a.yml"]}, "no list of mappings"),
    ],
)
def test_what_is_no_list_is_refused(lists: Lists, options: dict[str, Any], words: str) -> None:
    (lists.directory / "a.yml").write_text(json.dumps({"images": []}))
    done = lists.run(BIN_DIRECTORIES.split(os.pathsep)[-1], "mirror_list.yaml", options)
    assert done.returncode != 0 and words in " ".join(done.stderr.split()), done.stderr


def test_a_file_of_another_name_is_none_of_its(lists: Lists) -> None:
    done = lists.run(BIN_DIRECTORIES.split(os.pathsep)[-1], "mymirror_list.yml", {"mappings": []})
    assert done.returncode != 0 and "could not be verified" in " ".join(done.stderr.split()), done.stderr
