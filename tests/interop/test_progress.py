# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long task shows how far it is, whatever runs it; and when nobody waits for it any more, it stops.

The variable LONGSHORE_ANSIBLE names the directories, parted by colons, that have Ansible's commands: each ansible-core is
tried, by default the one of the Python that runs the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleRunner
from ansible_collections.longshore.oci.tests.servers.process import wait_until
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.sshd import Sshd

BIN_DIRECTORIES = os.environ.get("LONGSHORE_ANSIBLE") or str(pathlib.Path(sys.executable).parent)
LINE = re.compile(
    r"^\[web1\] (?:looking for images|\d+ of 3 images)"
    r"(?:, [\d.]+ k?M?B of (?:about )?[\d.]+ MB, [\d.]+ k?M?B/s(?:, (?:\d+m)?\d+s left)?)?$",
    re.MULTILINE,
)
#: What a task is given that takes several seconds: 6 MB go in and out at 2 MiB a second.
SLOW = {"bandwidth_limit": "2M", "parallel": 4}
PIPELINING = {"ANSIBLE_PIPELINING": "true"}


@pytest.fixture(scope="module", params=BIN_DIRECTORIES.split(os.pathsep))
def commands(request: pytest.FixtureRequest) -> pathlib.Path:
    """A directory with ``ansible`` and ``ansible-playbook``."""
    directory = pathlib.Path(request.param)
    assert (directory / "ansible-playbook").exists(), f"LONGSHORE_ANSIBLE: {directory} has no ansible-playbook"
    return directory


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """A server for ssh."""
    with Sshd() as running:
        yield running


class Stage:
    """Three images to copy, and the host web1, which is this machine, to do it."""

    def __init__(self, directory: pathlib.Path, module: ModuleRunner, registry: Registry, repository: str) -> None:
        self.directory = directory
        self.module = module
        self.source, self.repository = registry, repository
        for number in range(3):
            content = images.image("linux/amd64", [images.noise_layer(2_000_000, seed=number)])
            images.push(registry, f"{repository}/{number}", content, ["1"])
        self.mark = f"LONGSHORE_TEST_MARK={repository}"
        # Its processes are known by the environment that they have from here.
        interpreter = directory / "python"
        interpreter.write_text(f'#!/bin/sh\nexport {self.mark}\nexec {sys.executable} "$@"\n')
        interpreter.chmod(0o755)
        self.variables: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
        self.environment = {"ANSIBLE_ASYNC_DIR": str(directory / "async")}

    def copies(self, registry: Registry, name: str) -> dict[str, Any]:
        """Options of image_copy for the three."""
        source = f"{self.source.host}/{self.repository}"
        rows = [{"src": f"{source}/{one}:1", "dest": f"{registry.host}/{self.repository}/{name}/{one}:1"} for one in range(3)]
        return {"images": rows, "src_plain_http": True, "dest_plain_http": True}

    def playbook(self, *tasks: dict[str, Any], **keywords: Any) -> list[str]:
        """The arguments of ansible-playbook that run these tasks."""
        inventory = {"all": {"hosts": {"web1": self.variables}}}
        (self.directory / "inventory.json").write_text(json.dumps(inventory))
        play = {"hosts": "all", "gather_facts": False, "tasks": list(tasks), **keywords}
        path = self.directory / "playbook.yml"
        path.write_text(json.dumps([play]))
        return ["ansible-playbook", "-i", str(self.directory / "inventory.json"), str(path)]

    def whole_environment(self) -> dict[str, str]:
        return {**self.module.whole_environment(), "ANSIBLE_STDOUT_CALLBACK": "default", **self.environment}

    def run(self, commands: pathlib.Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of Ansible's; it must succeed."""
        program, *arguments = command
        done = subprocess.run(
            [str(commands / program), *arguments],
            env=self.whole_environment(), cwd=self.directory, capture_output=True, text=True, timeout=300, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    @contextlib.contextmanager
    def running(self, commands: pathlib.Path, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """A command of Ansible's in a session of its own, as one that was started in a terminal."""
        program, *arguments = command
        with subprocess.Popen(
            [str(commands / program), *arguments],
            env=self.whole_environment(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                for pid in (process.pid, *self.modules()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def modules(self) -> list[int]:
        """The processes of modules that run."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


@pytest.fixture
def stage(tmp_path: pathlib.Path, module: ModuleRunner, registry: Registry, repository: str) -> Stage:
    """See `Stage`."""
    return Stage(tmp_path, module, registry, repository)


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the minimal callback shows as the result."""
    result: dict[str, Any] = json.JSONDecoder().raw_decode("{" + done.stdout.partition("=> {")[2])[0]
    return result


def ad_hoc(stage: Stage, options: dict[str, Any], *arguments: str) -> list[str]:
    path = stage.directory / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": {"web1": stage.variables}}}))
    return [
        "ansible", "web1", "-i", str(path), "-m", f"{NAMESPACE}.image_copy", "-a", json.dumps(options), *arguments
    ]


@pytest.mark.parametrize("way", ["local", "pipelined"])
def test_lines_and_the_same_result(
    way: str, commands: pathlib.Path, stage: Stage, second_registry: Registry, sshd: Sshd
) -> None:
    stage.environment |= {"ANSIBLE_STDOUT_CALLBACK": "minimal", **(PIPELINING if way == "pipelined" else {})}
    if way != "local":
        stage.variables |= sshd.variables()
    # Slow enough for a second line, where the first one comes before the first byte.
    shown = stage.run(commands, ad_hoc(stage, {**stage.copies(second_registry, way), "bandwidth_limit": "1M"}))
    lines = [match.group() for match in LINE.finditer(shown.stderr)]
    assert lines and "B/s" in lines[-1], shown.stderr
    assert len([line for line in shown.stderr.splitlines() if line.startswith("[web1]")]) == len(lines)
    assert "[web1]" not in shown.stdout
    quiet = stage.run(commands, ad_hoc(stage, {**stage.copies(second_registry, f"{way}-quiet"), "progress": False}))
    assert "[web1]" not in quiet.stdout + quiet.stderr
    assert json.loads(json.dumps(result_of(shown)).replace(f"/{way}/", "/x/")) == json.loads(
        json.dumps(result_of(quiet)).replace(f"/{way}-quiet/", "/x/")
    )
    assert result_of(shown)["changed"] and [image["state"] for image in result_of(shown)["images"]] == ["copied"] * 3


def test_a_play_of_other_kinds(commands: pathlib.Path, stage: Stage, second_registry: Registry, tmp_path: pathlib.Path) -> None:
    def copies(name: str, **options: Any) -> dict[str, Any]:
        return {**stage.copies(second_registry, name), **SLOW, **options}

    copy, save = f"{NAMESPACE}.image_copy", f"{NAMESPACE}.image_save_load"
    archive = {
        "state": "saved", "path": str(tmp_path / "three.tar"), "plain_http": True, "bandwidth_limit": "1M",
        "images": [row["src"] for row in copies("none")["images"]],
    }
    mirror = {
        "mappings": [{"src": f"{stage.source.host}/{stage.repository}/{one}"} for one in range(3)],
        "dest": [f"{second_registry.host}/{stage.repository}/mirror/"], "src_plain_http": True, "dest_plain_http": True,
        "bandwidth_limit": "1M",
    }
    tasks = [
        {"name": "Of async", copy: copies("async"), "async": 120, "poll": 1, "register": "of_async"},
        {"name": "Of no_log", copy: copies("hidden"), "no_log": True, "register": "hidden"},
        {"name": "Of a template", copy: copies("template", progress="{{ shown }}"), "vars": {"shown": False}},
        {"name": "Of defaults", copy: copies("defaults"), "module_defaults": {copy: {"progress": False}}},
        {"name": "Of check mode", copy: copies("check"), "check_mode": True, "register": "of_check"},
        {"name": "Of a wrong value", copy: copies("wrong", progress="perhaps"), "register": "wrong", "ignore_errors": True},
        {"name": "Of an archive", save: archive, "register": "archive"},
        {"name": "Of a mirror", f"{NAMESPACE}.image_sync": mirror, "register": "mirror"},
        {
            "name": "All as wanted",
            "ansible.builtin.assert": {
                "that": [
                    "of_async is changed", "of_async.images | length == 3", "hidden is changed", "of_check is changed",
                    "wrong is failed", "'progress' in wrong.msg", "archive is changed", "archive.images | length == 3",
                    "mirror.counts.copied == 3",
                ]
            },
        },
    ]
    # Both streams in the order in which they are written.
    stage.environment |= {"PYTHONUNBUFFERED": "1"}
    with stage.running(commands, stage.playbook(*tasks, module_defaults={"group/longshore.oci.registry": {"timeout": 30}})) as play:
        assert play.stdout is not None
        shown = play.stdout.read()
        assert play.wait(60) == 0, shown
    parts = re.split(r"^TASK \[(.*?)\].*$", shown, flags=re.MULTILINE)
    assert parts[1::2] == [task["name"] for task in tasks]
    with_lines = [name for name, text in zip(parts[1::2], parts[2::2]) if LINE.search(text)]
    assert with_lines == ["Of an archive", "Of a mirror"], shown
    assert [line for line in shown.splitlines() if line.startswith("[web1]") and not LINE.match(line)] == []


def leases() -> set[pathlib.Path]:
    """What the modules that run here leave on the disk while they do."""
    return set(pathlib.Path("/var/tmp").glob("longshore-*/lease"))


@pytest.mark.parametrize(
    ("whom", "way"),
    # The last: ansible-core 2.16 leaves its ssh behind, so that nothing but the lease tells the module.
    [("terminal", "local"), ("terminal", "pipelined"), ("ansible-playbook", "pipelined")],
)
def test_an_interrupted_play_leaves_nothing_behind(
    whom: str, way: str, commands: pathlib.Path, stage: Stage, second_registry: Registry, sshd: Sshd, module: ModuleRunner
) -> None:
    stage.environment |= PIPELINING if way == "pipelined" else {}
    if way != "local":
        stage.variables |= sshd.variables()
    options = {**stage.copies(second_registry, f"{whom}-{way}"), "bandwidth_limit": "64k", "parallel": 4}
    command = stage.playbook({f"{NAMESPACE}.image_copy": options})
    others = leases()
    with stage.running(commands, command) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[web1] "):
                break
        assert stage.modules()
        kept = leases() - others
        assert kept
        # As a person would, and not within the moment in which the line is handed on: Ansible's own lock for that is lost
        # with a worker that dies then, and its main process waits for it.
        time.sleep(0.5)
        if whom == "terminal":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) != 0
        wait_until(lambda: not stage.modules(), "the end of the module", 180)
    assert not kept & leases()
    # It ended as one that was asked to: nothing of it is there.
    repositories = [row["dest"].partition("/")[2].rpartition(":")[0] for row in options["images"]]
    for repository in repositories:
        assert module("image_inspect", name=f"{second_registry.host}/{repository}:1", plain_http=True)["missing"]


def test_a_playbook_that_was_killed_is_noticed(commands: pathlib.Path, stage: Stage, second_registry: Registry) -> None:
    options = {**stage.copies(second_registry, "killed"), "bandwidth_limit": "64k", "parallel": 4}
    others = leases()
    with stage.running(commands, stage.playbook({f"{NAMESPACE}.image_copy": options})) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("[web1] "))
        process.kill()
        # Ansible's worker outlives it and waits on; but it gives the lease up.
        wait_until(lambda: not stage.modules(), "the end of the module", 180)
    assert leases() <= others
