# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_user and a running registry: who may come in changes at the next request, and never for anybody else."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleFailed, ModuleRunner
from ansible_collections.longshore.oci.tests.servers.process import run
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.results import ok

ROOT, ROOT_PASSWORD = "root", "stays-all-the-time"
BIN_DIRECTORIES = os.environ.get("LONGSHORE_ANSIBLE") or str(pathlib.Path(sys.executable).parent)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Registry]:
    """A registry that asks for `ROOT`, and for whom the tests add."""
    with Registry(users={ROOT: ROOT_PASSWORD}) as running:
        yield running


@pytest.fixture
def path(guarded: Registry) -> Iterator[pathlib.Path]:
    """Its htpasswd file, which is put back afterwards."""
    file = guarded.directory / "htpasswd"
    before = file.read_bytes()
    yield file
    file.write_bytes(before)


def status(registry: Registry, name: str, password: str) -> int:
    """What the registry answers to this user."""
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return registry.request("GET", "/v2/", headers={"Authorization": f"Basic {pair}"})[0]


def test_let_in_and_locked_out_at_once(guarded: Registry, path: pathlib.Path, module: ModuleRunner) -> None:
    carol = {"path": str(path), "name": "carol", "password": "pass:wörd"}
    pid = guarded.pid
    for number in range(3):
        # Several times within one second: the registry goes by the time of the file.
        assert status(guarded, "carol", "pass:wörd") == 401
        assert ok(module("registry_user", **carol))["changed"], number
        assert status(guarded, "carol", "pass:wörd") == 200
        assert ok(module("registry_user", **{**carol, "password": "other"}))["changed"]
        assert status(guarded, "carol", "pass:wörd") == 401
        assert status(guarded, "carol", "other") == 200
        assert ok(module("registry_user", path=str(path), name="carol", state="absent"))["changed"]
    assert status(guarded, "carol", "other") == 401
    assert status(guarded, ROOT, ROOT_PASSWORD) == 200
    assert guarded.pid == pid


def test_what_htpasswd_made_is_understood(guarded: Registry, path: pathlib.Path, module: ModuleRunner) -> None:
    before = path.stat()
    known = {"path": str(path), "name": ROOT, "password": ROOT_PASSWORD}
    assert not ok(module("registry_user", **known, rounds=4))["changed"]
    assert path.stat() == before
    assert ok(module("registry_user", **known))["changes"] == [{"name": ROOT, "change": "changed", "reason": "rounds"}]
    assert status(guarded, ROOT, ROOT_PASSWORD) == 200
    assert not ok(module("registry_user", **known))["changed"]
    # And the other way round.
    run(["htpasswd", "-vb", str(path), ROOT, ROOT_PASSWORD])


@pytest.mark.parametrize("letter", "abxy")
def test_a_hash_that_was_made_elsewhere(guarded: Registry, path: pathlib.Path, module: ModuleRunner, letter: str) -> None:
    line = run(["htpasswd", "-niB", "-C", "4", "dave"], stdin=b"made elsewhere").decode().strip()
    made = f"$2{letter}{line.partition(':')[2][3:]}"
    users = [{"name": "dave", "hash": made}]
    assert ok(module("registry_user", path=str(path), users=users))["changed"]
    assert status(guarded, "dave", "made elsewhere") == 200
    assert not ok(module("registry_user", path=str(path), users=users))["changed"]
    same = {"name": "dave", "password": "made elsewhere"}
    assert not ok(module("registry_user", path=str(path), users=[same], rounds=4))["changed"]


def test_many_in_one_task_and_nobody_else(guarded: Registry, path: pathlib.Path, module: ModuleRunner) -> None:
    path.write_text(f"# kept\n{path.read_text()}old:x\nold:y\n")
    users: list[dict[str, Any]] = [{"name": f"user{number}", "password": f"secret{number}"} for number in range(6)]
    users += [{"name": ROOT, "password": ROOT_PASSWORD}, {"name": "user9", "state": "absent"}]
    options = {"path": str(path), "users": users, "purge": True, "rounds": 4}
    said = ok(module("registry_user", check=True, diff=True, **options))
    before = path.read_bytes()
    done = ok(module("registry_user", diff=True, **options))
    assert before != path.read_bytes()
    names = ("changed", "users", "changes", "diff", "path")
    assert [said[name] for name in names] == [done[name] for name in names]
    assert done["users"] == [ROOT, *(f"user{number}" for number in range(6))]
    assert done["diff"]["before"]["users"]["old"] == "present"
    assert done["diff"]["after"]["users"] == {"old": "absent", **{f"user{number}": "present" for number in range(6)}}
    assert path.read_text().startswith("# kept\n")
    assert {status(guarded, one["name"], one["password"]) for one in users[:7]} == {200}
    again = ok(module("registry_user", diff=True, **options))
    assert not again["changed"]
    assert "$2" not in str([said, done, again])


def test_owner_group_and_mode(path: pathlib.Path, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    new = tmp_path / "htpasswd"
    options = {"path": str(new), "name": "eve", "password": "x", "rounds": 4}
    ok(module("registry_user", **options))
    assert new.stat().st_mode & 0o777 == 0o600
    for check in (True, False):
        result = ok(module("registry_user", check=check, diff=True, **options, mode="0640", group="daemon"))
        assert (result["changed"], result["changes"]) == (True, [])
        assert result["diff"]["after"]["mode"] == "0640"
    assert new.stat().st_mode & 0o777 == 0o640
    again = ok(module("registry_user", **options, mode="0640", group="daemon"))
    assert not again["changed"]
    ok(module("registry_user", path=str(new), name="eve", state="absent"))
    assert (new.stat().st_mode & 0o777, new.group()) == (0o640, "daemon")
    # An owner that does not exist is found out before anybody is added.
    failed = module("registry_user", **options, owner="no-such-user")
    assert failed["failed"]
    assert new.read_text() == ""
    other = tmp_path / "other"
    failed = module("registry_user", **{**options, "path": str(other)}, owner="no-such-user")
    assert failed["failed"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home", "htpasswd"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a", "password": ""}, "neither may be empty"),
        ({"users": [{"name": "a", "password": ""}]}, "the password is empty"),
        ({"name": "a", "password": "x", "path": ""}, "path is empty"),
        ({"name": "a", "password": "x" * 73}, "bcrypt takes only 72"),
        ({"name": "a:b", "password": "x"}, "':'"),
        ({"name": "", "password": "x"}, "empty name"),
        ({"name": "a", "hash": "$apr1$secret-hash"}, "not one of bcrypt"),
        ({"name": "a", "password": "x", "purge": True}, "purge goes with users"),
        ({"users": [], "purge": True}, "lock everybody out"),
        ({"users": [{"name": "a", "password": "x"}], "password": "y"}, "each user has its own"),
        ({"users": [{"name": "a", "password": "x"}, {"name": "a", "password": "y"}]}, "listed twice"),
    ],
)
def test_what_is_refused(path: pathlib.Path, module: ModuleRunner, options: dict[str, Any], words: str) -> None:
    before = path.stat()
    result = module("registry_user", **{"path": str(path), **options})
    assert result["failed"]
    assert words in result["msg"]
    assert "Traceback" not in str(result)
    assert "secret-hash" not in str(result)
    assert path.stat() == before


def test_a_broken_line_is_named(guarded: Registry, path: pathlib.Path, module: ModuleRunner) -> None:
    path.write_text(path.read_text() + "no-colon-in-this-secret\n")
    assert status(guarded, ROOT, ROOT_PASSWORD) == 400, "what the registry says to everybody then"
    result = module("registry_user", path=str(path), name="a", password="x")
    assert "line 2 of" in result["msg"]
    assert "no-colon-in-this-secret" not in str(result)


def site(directory: pathlib.Path, module: ModuleRunner, text: str) -> None:
    """Have the next modules begin with this Python."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(text)
    module.environment["PYTHONPATH"] = f"{directory}:{module.whole_environment()['PYTHONPATH']}"


def test_without_the_library(path: pathlib.Path, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    site(tmp_path / "site", module, "import sys\nsys.modules['bcrypt'] = None\n")
    result = module("registry_user", path=str(path), name="a", password="x")
    assert "Failed to import the required Python library (bcrypt)" in result["msg"]
    assert ok(module("registry_user", path=str(path), name="a", hash="$2y$04$" + "a" * 53))["changed"]
    assert ok(module("registry_user", path=str(path), name="a", state="absent"))["changed"]


@pytest.mark.parametrize("moment", ["os.utime", "os.fsync", "os.replace", "after"])
def test_killed_at_every_step(
    guarded: Registry, path: pathlib.Path, module: ModuleRunner, tmp_path: pathlib.Path, moment: str
) -> None:
    name = "os.replace" if moment == "after" else moment
    text = f"import os\ntrue = {name}\ndef last(*args, **options):\n"
    text += "    true(*args, **options)\n" if moment == "after" else ""
    site(tmp_path / "site", module, f"{text}    os.kill(os.getpid(), 9)\n{name} = last\n")
    options = {"path": str(path), "name": "frank", "password": "x", "rounds": 4}
    before = path.read_bytes()
    with pytest.raises(ModuleFailed, match="-9"):
        module("registry_user", **options)
    assert (path.read_bytes() == before) is (moment != "after")
    assert status(guarded, ROOT, ROOT_PASSWORD) == 200
    assert status(guarded, "frank", "x") == (200 if moment == "after" else 401)
    del module.environment["PYTHONPATH"]
    assert ok(module("registry_user", **options))["changed"] is (moment != "after")
    assert status(guarded, "frank", "x") == 200
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_writers_take_turns_while_everybody_works(
    guarded: Registry, path: pathlib.Path, module: ModuleRunner
) -> None:
    answers: list[int] = []
    end = threading.Event()

    def work() -> None:
        while not end.is_set():
            answers.append(status(guarded, ROOT, ROOT_PASSWORD))

    worker = threading.Thread(target=work)
    worker.start()
    names = [f"writer{number}" for number in range(12)]
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            calls = [
                pool.submit(module, "registry_user", path=str(path), name=name, password=name, rounds=4) for name in names
            ]
            assert all(ok(call.result())["changed"] for call in calls)
    finally:
        end.set()
        worker.join()
    assert {status(guarded, name, name) for name in names} == {200}
    assert set(answers) == {200}
    assert len(answers) > 20


MODES = {"verbose": ["-vvv", "--diff"], "check": ["-vvvv", "--diff", "--check"]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("directory", BIN_DIRECTORIES.split(os.pathsep))
def test_no_secret_is_shown(
    path: pathlib.Path, module: ModuleRunner, tmp_path: pathlib.Path, directory: str, mode: str
) -> None:
    hidden = run(["htpasswd", "-nbB", "-C", "4", "x", "y"]).decode().strip().partition(":")[2]
    secrets = ["pass&marked+word", "other&marked+word", hidden, path.read_text().partition(":")[2].strip()]
    users = [{"name": "heidi", "password": "{{ other }}"}, {"name": "ivan", "hash": "{{ hidden }}"}]
    tasks: list[dict[str, Any]] = [
        {"name": "grace", "password": "{{ password }}"},
        {"name": "grace", "password": "{{ other }}"},
        {"users": users},
        {"name": "grace", "password": "{{ password * 9 }}"},
        {"name": "ivan", "hash": "{{ hidden }}x"},
        {"name": "ivan", "hash": "{{ hidden }}", "password": "{{ password }}", "path": "/dev/null"},
        {"name": "grace", "password": "{{ password }}", "unknown": 1},
    ]
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {f"{NAMESPACE}.registry_user": {"path": str(path), "rounds": 4, **task}, "ignore_errors": True}
                for task in tasks
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    variables = {"password": secrets[0], "other": secrets[1], "hidden": hidden}
    variables["ansible_python_interpreter"] = sys.executable
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    command = [f"{directory}/ansible-playbook", "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    done = subprocess.run(
        [*command, "-e", f"@{tmp_path}/variables.json", *MODES[mode]],
        env={**module.whole_environment(), "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_DISPLAY_TRACEBACK": "always"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown[-3000:]
    assert "ok=7" in shown and "ignored=4" in shown, shown[-3000:]
    assert "present, password changed" in shown or mode == "check"
    assert [secret for secret in secrets if secret in shown] == []
    assert hidden[7:29] not in shown, "nor a part of it"
