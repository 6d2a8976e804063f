# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks with ``ansible-playbook``, and what came of them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

_COLLECTIONS = pathlib.Path(os.path.abspath(__file__)).parents[5]
# Variables that would change what a playbook does.
_DROPPED = ("ANSIBLE_", "LONGSHORE_", "DOCKER_", "REGISTRY_AUTH_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.MULTILINE)
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \*+$")
_CHANGED = re.compile(r"^changed: \[([^\]]+?)(?: -> [^\]]+)?\]")

Plays = Union[str, "os.PathLike[str]", Sequence[Mapping[str, Any]]]


class PlaybookFailed(Exception):
    """A playbook failed where a test wanted it to pass: the end of what was printed."""


class Recap(NamedTuple):
    """The counts of one host at the end of a playbook."""

    ok: int
    changed: int
    unreachable: int
    failed: int
    skipped: int


class PlaybookResult(NamedTuple):
    """How a playbook ended: exit status, everything printed, counts of each host."""

    status: int
    text: str
    recap: dict[str, Recap]

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts."""
        return sum(row.changed for row in self.recap.values())

    @property
    def failed(self) -> bool:
        """Whether any host failed or was not reached, or the playbook did not run."""
        return self.status != 0

    def changed_tasks(self, host: str | None = None) -> list[str]:
        """Names of the tasks and handlers that changed something, as often as they did; on one host or on all."""
        task = ""
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if (name := _TASK.match(line)) is not None:
                task = name[1]
            elif (hit := _CHANGED.match(line)) is not None and host in (None, hit[1]) and found[-1:] != [(task, hit[1])]:
                found.append((task, hit[1]))
        return [name for name, dummy in found]

    def passed(self) -> PlaybookResult:
        """This result; `PlaybookFailed` if the playbook failed."""
        if self.failed:
            raise PlaybookFailed(self.text[-6000:])
        return self


class PlaybookRunner:
    """Runs playbooks with the ansible-playbook next to this Python, this collection among its collections.

    Args:
        directory: The home directory of what it runs, so that nobody's settings get in, and where its files go.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment: dict[str, str] = {}
        self._count = 0

    def __call__(
        self,
        plays: Plays,
        inventory: str | os.PathLike[str],
        extra_vars: Mapping[str, Any] | None = None,
        *,
        check: bool = False,
        diff: bool = False,
        options: Sequence[str] = (),
        timeout: float = 1800.0,
    ) -> PlaybookResult:
        """Run a playbook: its path, its name (``longshore.oci.registry``) or its plays. It may fail: see `passed`."""
        self._count += 1
        if not isinstance(plays, (str, os.PathLike)):
            path = self.directory / f"playbook-{self._count}.yml"
            path.write_text(json.dumps(plays, indent=2), encoding="utf-8")
            plays = path
        program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "--inventory", os.fspath(inventory), os.fspath(plays), *options]
        command += (["--check"] if check else []) + (["--diff"] if diff else [])
        if extra_vars:
            command += ["--extra-vars", f"@{self._private(extra_vars)}"]
        # fmt: off
        done = subprocess.run(
            command, env=self.whole_environment(), cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False,
        )
        # fmt: on
        rows = {row[0]: Recap(*map(int, row[1:])) for row in _RECAP.findall(done.stdout)}
        return PlaybookResult(done.returncode, done.stdout, rows)

    def _private(self, variables: Mapping[str, Any]) -> pathlib.Path:
        """A file of variables that nobody else reads: a command line is everybody's."""
        path = self.directory / f"variables-{self._count}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(variables), encoding="utf-8")
        return path

    def whole_environment(self) -> dict[str, str]:
        """The environment of what it runs: nobody's settings, and `environment` over all."""
        kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(_DROPPED)}
        return {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(_COLLECTIONS),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            **self.environment,
        }
