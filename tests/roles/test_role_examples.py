# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plays in the READMEs of roles and in the guides about them: read by Ansible, their variables held to what the roles take.

Plays like these are run on machines by the tests of each role.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner

ROOT = pathlib.Path(os.path.abspath(__file__)).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
GUIDES = ("backup_and_garbage", "migrating_a_registry", "running_a_registry")
# What image_mirror's README shows is run as it is, by tests/interop/test_examples.py.
DOCUMENTS = [
    *(f"roles/{role}/README.md" for role in ROLES if role != "image_mirror"),
    *(f"docs/docsite/rst/{guide}.rst" for guide in GUIDES),
]


def blocks(document: str, language: str = "yaml") -> list[str]:
    """The blocks of a language in a document."""
    text = (ROOT / document).read_text("utf-8")
    if document.endswith(".md"):
        return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def spec(role: str) -> dict[str, Any]:
    """The options of a role of ours."""
    document = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text("utf-8"))
    options: dict[str, Any] = document["argument_specs"]["main"]["options"]
    return options


def calls(play: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The roles of ours that a play calls, each with the variables that it gets there."""
    common = play.get("vars", {})
    for row in play.get("roles", []):
        name = row if isinstance(row, str) else row.get("role", row.get("name"))
        given = {} if isinstance(row, str) else {key: value for key, value in row.items() if key.startswith("registry_")}
        yield name, {**common, **given, **({} if isinstance(row, str) else row.get("vars", {}))}
    for task in play.get("tasks", []):
        for verb in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            if verb in task:
                yield task[verb]["name"], {**common, **task.get("vars", {})}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_plays_are_what_the_roles_take(document: str, tmp_path: pathlib.Path) -> None:
    plays = [play for block in blocks(document) for play in yaml.safe_load(block) if "hosts" in play]
    assert plays, "an example belongs into it"
    called = [call for play in plays for call in calls(play)]
    for name, given in called:
        role = name.rpartition(".")[2]
        options = spec(role)
        own = {key: value for key, value in given.items() if key in options}
        others = [other for other in ROLES if other != role]
        unknown = [
            key
            for key in given
            if key not in options and key.startswith(f"{role}_") and not any(key in spec(other) for other in others)
        ]
        assert unknown == [], f"{name} has no such variables"
        # What is a template is of the type that it is asked for, as far as anybody knows.
        plain = {key: value for key, value in own.items() if "{{" not in json.dumps(value)}
        errors = ArgumentSpecValidator({key: options[key] for key in plain}).validate(plain).error_messages
        assert errors == [], f"{name}: {errors}"
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "--syntax-check", "--inventory", "localhost,", str(playbook)],
        env=ModuleRunner(tmp_path).whole_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_survey_asks_for_what_there_is() -> None:
    (block,) = blocks("docs/docsite/rst/running_a_registry.rst", "json")
    options = spec("registry")
    for question in json.loads(block)["spec"]:
        assert set(question) >= {"question_name", "variable", "type", "required", "default"}
        if question["variable"] != "longshore_hosts":
            option = options[question["variable"]]
            assert set(question.get("choices", [])) <= set(option.get("choices", []))
            assert (question["type"] == "integer") is (option["type"] == "int")
