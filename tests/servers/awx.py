# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as AWX runs them: by ansible-runner, whose events and artifacts are all that is left of a job."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from .modules import ModuleRunner


class Job:
    """What is left of one run in the directory ``artifacts``."""

    def __init__(self, artifacts: pathlib.Path) -> None:
        self.artifacts = artifacts
        self.status = (artifacts / "status").read_text(encoding="utf-8")
        found = [json.loads(path.read_text(encoding="utf-8")) for path in (artifacts / "job_events").glob("*.json")]
        self.events: list[dict[str, Any]] = sorted(found, key=lambda event: int(event["counter"]))
        self.output: str = "\n".join(event.get("stdout", "") for event in self.events)

    def results(self, task: str) -> dict[str, dict[str, Any]]:
        """The result of the task called ``task`` on each host."""
        return {
            event["event_data"]["host"]: {**event["event_data"]["res"], "failed": event["event"] == "runner_on_failed"}
            for event in self.events
            if event["event"] in ("runner_on_ok", "runner_on_failed") and event["event_data"].get("task") == task
        }

    @property
    def stats(self) -> dict[str, Any]:
        """What set_stats has left, which AWX calls the artifacts of the job."""
        last = [event for event in self.events if event["event"] == "playbook_on_stats"]
        found: dict[str, Any] = last[0]["event_data"].get("artifact_data", {}) if last else {}
        return found

    def verbose(self) -> list[dict[str, Any]]:
        """The events that no callback made, but something that was displayed."""
        return [event for event in self.events if event["event"] == "verbose"]


class Running:
    """A job that runs."""

    def __init__(self, process: subprocess.Popen[bytes], artifacts: pathlib.Path) -> None:
        self._process = process
        self._artifacts = artifacts

    def wait(self, seconds: float = 300.0) -> Job:
        """Its end."""
        try:
            self._process.wait(seconds)
        finally:
            self._process.kill()
            self._process.wait()
        return Job(self._artifacts)


class Awx:
    """Runs playbooks in ``directory`` with the environment of ``modules``."""

    def __init__(self, directory: pathlib.Path, modules: ModuleRunner) -> None:
        self._directory = directory
        self._modules = modules
        self._count = 0

    def start(
        self,
        playbook: str,
        inventory: Any,
        variables: Mapping[str, Any],
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Begin a job. ``inventory`` is a path, or what such a file holds; ``arguments`` are further ones of ansible-runner."""
        self._count += 1
        directory = self._directory / f"job-{self._count}"
        (directory / "env").mkdir(parents=True)
        (directory / "env" / "extravars").write_text(json.dumps(dict(variables)), encoding="utf-8")
        (directory / "project").mkdir()
        if not isinstance(inventory, pathlib.Path):
            path = directory / "hosts.json"
            path.write_text(json.dumps(inventory), encoding="utf-8")
            inventory = path
        whole = {**self._modules.whole_environment(), **(environment or {})}
        whole["PATH"] = f"{pathlib.Path(sys.executable).parent}:{whole['PATH']}"
        # As AWX does: what is in the environment stays out of the files.
        command = [sys.executable, "-m", "ansible_runner", "run", str(directory), "--playbook", playbook, "--ident", "1"]
        command += ["--inventory", str(inventory), "--omit-env-files", "--quiet", *arguments]
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(
                command, env=whole, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        return Running(process, directory / "artifacts" / "1")

    def run(self, playbook: str, inventory: Any, variables: Mapping[str, Any], *arguments: str, **settings: Any) -> Job:
        """A job from its beginning to its end."""
        return self.start(playbook, inventory, variables, *arguments, **settings).wait()
