# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module with marked secrets, succeeding and failing, in one play of ansible-runner: what AWX and AAP run and keep.

Nothing that it shows, returns, logs or leaves has one of them: events, results, diffs, facts, the system's log, process
lists, and files that lie somewhere for a moment. Credentials go to the origins that the rules allow and to no other
(section 3.2): a registry that is reached under two host names tells who came to it with which.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Log
from ansible_collections.longshore.oci.tests.faults.server.kinds import Kind
from ansible_collections.longshore.oci.tests.faults.server.log import fingerprint
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER
from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.interop.watching import Files, found_in, found_in_files, run_watched
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry

BIN_DIRECTORIES = os.environ.get("LONGSHORE_ANSIBLE") or str(pathlib.Path(sys.executable).parent)
MODULES = pathlib.Path(__file__).parents[2] / "plugins" / "modules"
WRONG = "wr0ng&marked+password"
NEW = "marked-new-password-of-a-user"
# What the fault registry's scenarios let in.
FAULTY_USER, FAULTY_PASSWORD = "user", "secret-of-the-user"
BASIC = "Basic " + base64.b64encode(f"{FAULTY_USER}:{FAULTY_PASSWORD}".encode()).decode()


class Case(NamedTuple):
    """One task: its module, its options, and a word of its message if it fails."""

    module: str
    options: Mapping[str, Any]
    fails_with: str | None = None


class Mark:
    """What the fault registry is asked from now on, by a module that is given its user's password."""

    def __init__(self, module: ModuleRunner, faulty: FaultRegistry, registry: Registry) -> None:
        self.module, self.faulty, self.registry = module, faulty, registry
        self._mark = len(faulty.log)

    @property
    def log(self) -> Log:
        return self.faulty.log.since(self._mark)

    def copy(self, src: str, dest: str, end: str, **more: Any) -> dict[str, Any]:
        """image_copy, with credentials for one end."""
        access = {f"{end}_username": FAULTY_USER, f"{end}_password": FAULTY_PASSWORD}
        options = {"src_plain_http": True, "dest_plain_http": True, "retries": 0, **access, **more}
        return self.module("image_copy", src=src, dest=dest, **options)


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultRegistry]:
    """The registry of two host names."""
    with FaultRegistry() as running:
        yield running


@pytest.fixture(params=BIN_DIRECTORIES.split(os.pathsep))
def commands(request: pytest.FixtureRequest) -> pathlib.Path:
    """A directory with ``ansible-playbook``."""
    return pathlib.Path(request.param)


class Play:
    """The tasks, and what they need."""

    def __init__(self, directory: pathlib.Path, repository: str, registry: Registry) -> None:
        self.secrets = [PASSWORD, WRONG, NEW]
        self.hidden, self.open = directory / "hidden", directory / "open"
        self.hidden.mkdir(mode=0o700)
        self.open.mkdir()
        self.registry = registry
        self.repository = f"{registry.host}/{repository}"
        auth = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        for number, name in enumerate(("app", "gone")):
            images.push(registry, f"{repository}/{name}", images.sample(seed=number), ["1"], authorization=auth)
        self.layout = images.write_layout(self.open / "layout", {"1": images.sample()})
        self.variables = {
            "password": PASSWORD,
            "wrong": WRONG,
            "new": NEW,
            "ansible_python_interpreter": sys.executable,
        }

    def cases(self) -> dict[str, Case]:
        """Every task by its name."""
        return {**self._well(), **self._wrong()}

    def _well(self) -> dict[str, Case]:
        access = self._access("{{ password }}")
        dest = {f"dest_{name}": value for name, value in access.items()}
        src = {f"src_{name}": value for name, value in access.items()}
        app, archive = f"{self.repository}/app", str(self.open / "a.tar")
        host = self.registry.host
        cases = {
            "copy": Case("image_copy", {"src": f"oci:{self.layout}:1", "dest": f"{self.repository}/new:1", **dest}),
            "copy both": Case("image_copy", {"src": f"{app}:1", "dest": f"{self.repository}/both:1", **src, **dest}),
            "inspect": Case("image_inspect", {"name": f"{app}:1", "config": True, **access}),
            "tags": Case("image_tags", {"repository": app, "details": True, **access}),
            "tag": Case("image_tags", {"repository": app, "state": "present", "source": "1", "tags": ["2", "3"], **access}),
            "untag": Case("image_tags", {"repository": app, "state": "absent", "tags": ["3"], "untag": True, **access}),
            "index": Case("image_index", {"name": f"{self.repository}/index:1", "manifests": [{"src": f"{app}:1"}], **src, **dest}),
            "info": Case("registry_info", {"registry": host, "sizes": True, "features": True, **access}),
            "login": Case("registry_login", {"registry": host, "auth_file": str(self.hidden / "auth.json"), **access}),
            "by auth file": Case(
                "image_inspect", {"name": f"{app}:1", "auth_file": str(self.hidden / "auth.json"), "ca_path": access["ca_path"]}
            ),
            "logout": Case("registry_login", {"registry": host, "state": "absent", "auth_file": str(self.hidden / "auth.json")}),
            "user": Case("registry_user", {"path": str(self.open / "htpasswd"), "name": "a", "password": "{{ new }}", "rounds": 4}),
            "users": Case(
                "registry_user",
                {"path": str(self.open / "htpasswd"), "users": [{"name": "b", "password": "{{ new }}"}], "rounds": 4},
            ),
            "save": Case("image_save_load", {"state": "saved", "path": archive, "images": [f"{app}:1"], **access}),
            "load": Case("image_save_load", {"state": "loaded", "path": archive, "dest": f"{self.repository}/loaded", **access}),
            "delete": Case("registry_delete", {"name": f"{self.repository}/gone:1", **access}),
        }
        if (MODULES / "image_sync.py").exists():
            mappings = [{"src": app, "tags": {"names": ["1"]}, "dest": f"{self.repository}/mirror"}]
            cases["sync"] = Case("image_sync", {"mappings": mappings, **src, **dest})
        return cases

    def _wrong(self) -> dict[str, Case]:
        access = self._access("{{ wrong }}")
        dest = {f"dest_{name}": value for name, value in access.items()}
        src = {f"src_{name}": value for name, value in access.items()}
        app = f"{self.repository}/app"
        cases = {
            "wrong copy": Case("image_copy", {"src": f"oci:{self.layout}:1", "dest": f"{app}:x", **dest}, "401"),
            "wrong inspect": Case("image_inspect", {"name": f"{app}:1", **access}, "401"),
            "wrong tags": Case("image_tags", {"repository": app, **access}, "401"),
            "wrong index": Case("image_index", {"name": f"{app}:i", "manifests": [{"src": f"{app}:1"}], **src, **dest}, "401"),
            "wrong login": Case(
                "registry_login", {"registry": self.registry.host, "auth_file": str(self.hidden / "x.json"), **access}, "401"
            ),
            "wrong user": Case("registry_user", {"path": str(self.open), "name": "a", "password": "{{ new }}"}, "is a directory"),
            "wrong save": Case(
                "image_save_load", {"state": "saved", "path": str(self.open / "x"), "images": [f"{app}:1"], **access}, "401"
            ),
            "wrong delete": Case("registry_delete", {"name": f"{app}:1", **access}, "401"),
        }
        if (MODULES / "image_sync.py").exists():
            mappings = [{"src": app, "tags": {"names": ["1"]}, "dest": f"{self.repository}/mirror"}]
            cases["wrong sync"] = Case("image_sync", {"mappings": mappings, **src, **dest}, "401")
        return cases

    def _access(self, password: str) -> dict[str, Any]:
        return {"username": USER, "password": password, "ca_path": str(self.registry.ca)}

    def tasks(self, results: pathlib.Path) -> list[dict[str, Any]]:
        """The play's; the last one keeps the results."""
        found: list[dict[str, Any]] = [
            {"name": name, f"{NAMESPACE}.{one.module}": one.options, "register": f"result_{number}", "ignore_errors": True}
            for number, (name, one) in enumerate(self.cases().items())
        ]
        for password in ("password", "wrong"):
            # A lookup runs on the controller, and is told of in another way.
            reference, options = f"{self.repository}/app:1", f"ca_path={str(self.registry.ca)!r}"
            lookup = f"{{{{ lookup('{NAMESPACE}.digest', '{reference}', {options}) }}}}"
            variables = {"longshore_username": USER, "longshore_password": f"{{{{ {password} }}}}"}
            task = {"name": f"look up with {password}", "ansible.builtin.debug": {"msg": lookup}, "vars": variables}
            found.append({**task, "ignore_errors": True})
        together = "[" + ", ".join(f"result_{number}" for number in range(len(self.cases()))) + "]"
        last = {"content": "{{ " + together + " | to_json }}", "dest": str(results), "mode": "0600"}
        return [*found, {"name": "Keep the results", "ansible.builtin.copy": last}]


def test_every_module_is_in_the_play(tmp_path: pathlib.Path, repository: str, registry_tls: Registry) -> None:
    cases = Play(tmp_path, repository, registry_tls).cases().values()
    modules = {path.stem for path in MODULES.glob("*.py")} - {"__init__"}
    assert {one.module for one in cases if one.fails_with is None} == modules
    # A registry that turns a password down is an answer of registry_info, and no failure.
    assert {one.module for one in cases if one.fails_with is not None} == modules - {"registry_info"}


def test_nothing_shows_in_a_whole_run(
    commands: pathlib.Path, module: ModuleRunner, tmp_path: pathlib.Path, repository: str, registry_tls: Registry
) -> None:
    play = Play(tmp_path, repository, registry_tls)
    data, temporary, results = tmp_path / "runner", tmp_path / "temporary", tmp_path / "results.json"
    for directory in (data / "project", data / "inventory", temporary):
        directory.mkdir(parents=True)
    (data / "inventory" / "hosts").write_text("localhost ansible_connection=local\n", encoding="utf-8")
    tasks = play.tasks(results)
    document = [{"name": "All modules", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (data / "project" / "play.yml").write_text(json.dumps(document), encoding="utf-8")
    variables = play.hidden / "variables.json"
    variables.write_text(json.dumps(play.variables), encoding="utf-8")
    module.environment |= {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
        # The arguments of a module come by its standard input then, and never lie in a file.
        "ANSIBLE_PIPELINING": "true",
    }
    options = f"--extra-vars @{variables} -vvv --diff"
    command = [sys.executable, "-m", "ansible_runner", "run", str(data), "-p", "play.yml", "--ident", "1", "--cmdline", options]
    files = Files([module.home, temporary, play.open], play.secrets)
    with files.watching():
        ran = run_watched(module, command, 600)
    shown = ran.done.stdout.decode(errors="replace")
    assert ran.done.returncode == 0, shown[-3000:]
    _as_expected(play, results)
    artifacts = data / "artifacts" / "1"
    events = list((artifacts / "job_events").glob("*.json"))
    # Each task has one when it starts and one when it ends.
    assert len(events) > 2 * len(tasks)
    assert any(str(commands) in line for line in ran.processes) and files.seen
    assert found_in(shown, play.secrets) == []
    assert found_in("\n".join(ran.processes), play.secrets) == []
    assert found_in(ran.logged or "", play.secrets) == []
    assert files.rows == []
    assert found_in_files([artifacts, module.home, temporary, play.open, results, tmp_path / "ansible.log"], play.secrets) == []
    assert found_in_files([registry_tls.access_log, registry_tls.error_log], play.secrets) == []
    # What is looked for is where it belongs, so it would be found.
    assert found_in_files([variables], play.secrets)


def _as_expected(play: Play, results: pathlib.Path) -> None:
    for (name, one), result in zip(play.cases().items(), json.loads(results.read_text(encoding="utf-8"))):
        assert bool(result.get("failed")) == (one.fails_with is not None), f"{name}: {result.get('msg')}"
        assert (one.fails_with or "") in result.get("msg", ""), f"{name}: {result['msg']}"
        assert "unexpected" not in result.get("msg", ""), f"{name}: {result['msg']}"


# -- where credentials go --------------------------------------------------------------------------------------------------

# Faults of tests/faults by name, and a word of the message of a copy from there that fails.
ORIGINS: dict[str, tuple[dict[str, Any], str]] = {
    "basic": ({}, ""),
    "login": ({}, ""),
    "tokenexp": ({}, ""),
    "redirother": ({}, ""),
    "redirbasic": ({}, "401"),
    "redirbearer": ({}, "401"),
    # Back at the registry, but by the word of another host: no credentials.
    "redirback": ({}, "401"),
    "realmother": ({}, "trusted_realms"),
    "trusted": ({"src_trusted_realms": [OTHER]}, ""),
}


@pytest.fixture
def quiet(module: ModuleRunner, faulty: FaultRegistry, registry: Registry) -> Mark:
    """The fault registry's log from now on, and a module that is given its user's password."""
    return Mark(module, faulty, registry)


@pytest.mark.parametrize("name", ORIGINS)
def test_credentials_of_a_source_go_where_they_may(quiet: Mark, repository: str, name: str) -> None:
    more, word = ORIGINS[name]
    scene = quiet.faulty.put("realmother" if name == "trusted" else name, images.sample())
    result = quiet.copy(f"{quiet.faulty.host}/{scene}:1", f"{quiet.registry.host}/{repository}:1", "src", **more)
    assert bool(result.get("failed")) == bool(word) and word in result.get("msg", ""), result
    log = quiet.log
    told = log.at(quiet.faulty.origin(OTHER)).with_credentials
    if name == "trusted":
        # The token server that the user named, and it alone.
        assert {(one.kind, one.credential) for one in told} == {(Kind.TOKEN, fingerprint(BASIC))}
    else:
        assert len(told) == 0, str(told)
    if name.startswith("redir"):
        assert log.at(quiet.faulty.origin(OTHER)), "nobody went to the other host"
    for one in log.at(quiet.faulty.origin()).with_credentials:
        # A token server gets the password, a registry with tokens its token, never the other way round.
        assert one.scheme == ("basic" if one.kind is Kind.TOKEN or name == "basic" else "bearer"), str(one)
    assert log.with_credentials or name == "realmother"


def test_credentials_of_a_destination_go_where_they_may(quiet: Mark, repository: str) -> None:
    images.push(quiet.registry, repository, images.sample(), ["1"])
    scene = quiet.faulty.repository("locother")
    result = quiet.copy(f"{quiet.registry.host}/{repository}:1", f"{quiet.faulty.host}/{scene}:1", "dest")
    uploads = quiet.log.at(quiet.faulty.origin(OTHER))
    assert uploads, result
    assert len(uploads.with_credentials) == 0, str(uploads)
    assert quiet.log.at(quiet.faulty.origin()).with_credentials


@pytest.mark.parametrize("asks", [False, True], ids=["open", "asking"])
@pytest.mark.parametrize("end", ["src", "dest"])
def test_the_credentials_of_one_end_are_not_the_others(quiet: Mark, end: str, asks: bool) -> None:
    """Both ends are one registry under two names. One wants credentials and is given some, the other gets none."""
    scenes = {
        "src": quiet.faulty.put("basic" if asks or end == "src" else "none", images.sample()),
        "dest": quiet.faulty.repository("basic" if asks or end == "dest" else "none"),
    }
    here, there = quiet.faulty.origin(), quiet.faulty.origin(OTHER)
    result = quiet.copy(f"{quiet.faulty.host}/{scenes['src']}:1", f"{there.partition('://')[2]}/{scenes['dest']}:1", end)
    given, other = (here, there) if end == "src" else (there, here)
    assert bool(result.get("failed")) == asks, result
    assert quiet.log.at(other)
    assert len(quiet.log.at(other).with_credentials) == 0, str(quiet.log)
    assert asks or quiet.log.at(given).with_credentials


def test_other_modules_ask_one_origin(quiet: Mark) -> None:
    scene = quiet.faulty.put("basic", images.sample())
    for name, options in (
        ("image_inspect", {"name": f"{quiet.faulty.host}/{scene}:1"}),
        ("image_tags", {"repository": f"{quiet.faulty.host}/{scene}"}),
        ("registry_info", {"registry": quiet.faulty.host}),
    ):
        access = {"username": FAULTY_USER, "password": FAULTY_PASSWORD, "plain_http": True, "retries": 0}
        result = quiet.module(name, **options, **access)
        assert not result.get("failed"), result
    assert {one.origin for one in quiet.log} == {quiet.faulty.origin()}
