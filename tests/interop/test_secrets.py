# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets stay where they were put: nothing that Ansible shows, returns, logs or leaves behind has one.

Through ``ansible`` and ``ansible-playbook``, with and without ``-vvv`` and ``--diff``, whether the module succeeds,
fails or crashes. The variable LONGSHORE_ANSIBLE names the directories, parted by colons, that have these commands: each
ansible-core is tried, by default the one of the Python that runs the tests.

Every module, and what ansible-runner keeps, is in test_secrets_runner.py.

What is not tried: a secret on the command line (``ansible -a password=...``), which everybody on the machine can see, and
which ansible-core 2.19 and later print when the task fails.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import pathlib
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.interop.watching import found_in, run_watched
from ansible_collections.longshore.oci.tests.servers import images, process
from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.tokens import TokenServer

BIN_DIRECTORIES = os.environ.get("LONGSHORE_ANSIBLE") or str(pathlib.Path(sys.executable).parent)
MODES = {"plain": [], "verbose": ["-vvv", "--diff"], "all": ["-vvvv", "--diff", "--check"]}
WRONG = "wr0ng&marked+password"
WRONG_TOKEN = "wr0ng.marked-token_value"
PROXY_PASSWORD = "marked%2Fproxy-password"


@pytest.fixture(scope="module", params=BIN_DIRECTORIES.split(os.pathsep))
def commands(request: pytest.FixtureRequest) -> pathlib.Path:
    """A directory with ``ansible`` and ``ansible-playbook``."""
    directory = pathlib.Path(request.param)
    assert (directory / "ansible-playbook").exists(), f"LONGSHORE_ANSIBLE: {directory} has no ansible-playbook"
    return directory


class Echo(http.server.ThreadingHTTPServer):
    """A registry, token server and proxy that refuses everything and says back all it was told.

    With ``challenge`` it first asks for what it then gives away.
    """

    daemon_threads = True

    def __init__(self, challenge: bool) -> None:
        super().__init__(("127.0.0.1", 0), _EchoHandler)
        self.challenge = challenge
        self.heard: list[tuple[str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        """What image names begin with."""
        return f"127.0.0.1:{self.server_address[1]}"

    def heard_about(self, word: str) -> list[dict[str, str]]:
        """The header fields of every request whose target has ``word``."""
        return [fields for target, fields in self.heard if word in target]


class _EchoHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Echo

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.append((self.path, fields))
        given = fields.get("authorization") or fields.get("proxy-authorization") or ""
        told = f"{given} {base64.b64decode(given.partition(' ')[2] + '==').decode(errors='replace')}" if given else ""
        status = 403
        if self.server.challenge and "authorization" not in fields:
            status = 401
        elif self.path == "/v2/":
            status = 200
        body = json.dumps({"errors": [{"code": "DENIED", "message": f"you said {told}", "detail": fields}]}).encode()
        self.send_response(status, "Denied")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="echo"')
        self.send_header("Warning", f'299 - "you said {told}"'.encode("ascii", "replace").decode())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_CONNECT = _answer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@contextlib.contextmanager
def serving(challenge: bool) -> Iterator[Echo]:
    server = Echo(challenge)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def greedy() -> Iterator[Echo]:
    """Asks for credentials, and says them back."""
    with serving(True) as server:
        yield server


@pytest.fixture(scope="module")
def stranger() -> Iterator[Echo]:
    """Asks for none, and is given none."""
    with serving(False) as server:
        yield server


class Case(NamedTuple):
    """One task: whether it fails, a word of its message then, and its options. ``keywords`` are the task's own."""

    module: str
    options: Mapping[str, Any]
    fails_with: str | None
    keywords: Mapping[str, Any]


def case(module: str, fails_with: str | None, keywords: Mapping[str, Any] | None = None, **options: Any) -> Case:
    return Case(module, options, fails_with, keywords or {})


class Stage:
    """Everything that the tasks need, and the secrets that they are given."""

    def __init__(
        self,
        directory: pathlib.Path,
        repository: str,
        registry_tls: Registry,
        registry_token: Registry,
        token_server: TokenServer,
        greedy: Echo,
        stranger: Echo,
    ) -> None:
        self.directory = directory
        self.registries = (registry_tls, registry_token)
        self.greedy, self.stranger = greedy, stranger
        scope = f"repository:{repository}:pull,push"
        self.token = token_server.issue(USER, [scope])
        self.secrets = [PASSWORD, WRONG, WRONG_TOKEN, PROXY_PASSWORD, self.token]
        self.hidden = directory / "hidden"
        self.hidden.mkdir(mode=0o700)
        self.layout = images.write_layout(directory / "layout", {"1.0": images.sample()})
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.auth_file = self.hidden / "auth.json"
        self.auth_file.write_text(json.dumps({"auths": {registry_tls.host: {"auth": auth}}}))
        self.crash = self._crash()
        self.tls = f"{registry_tls.host}/{repository}:1.0"
        self.there = f"{registry_tls.host}/{repository}/there:1.0"
        images.push(registry_tls, f"{repository}/there", images.sample(), ["1.0"], authorization=f"Basic {auth}")
        self.ca = str(registry_tls.ca)
        self.guarded = f"{registry_token.host}/{repository}:1.0"
        self.closed = f"127.0.0.1:{process.free_port()}"
        self.variables = {
            "password": PASSWORD,
            "wrong": WRONG,
            "token": self.token,
            "wrong_token": WRONG_TOKEN,
            "closed_proxy": f"http://proxy-user:{PROXY_PASSWORD}@{self.closed}",
            "echo_proxy": f"http://proxy-user:{PROXY_PASSWORD}@{greedy.host}",
            "ansible_python_interpreter": sys.executable,
        }

    def _crash(self) -> dict[str, str]:
        """An environment in which a module meets a fault whose text has the password."""
        place = self.hidden / "crash"
        place.mkdir()
        (self.hidden / "text").write_text(PASSWORD, encoding="utf-8")
        (place / "sitecustomize.py").write_text(
            "import pathlib, ssl, sys\n"
            "def broken(*unused, **nothing):\n"
            f"    raise RuntimeError('crashed with ' + pathlib.Path({str(self.hidden / 'text')!r}).read_text('utf-8'))\n"
            "ssl.SSLContext.load_verify_locations = broken\n",
            encoding="utf-8",
        )
        return {"PYTHONPATH": str(place)}

    def cases(self) -> dict[str, Case]:
        """Every task of the playbook, by its name."""
        source = f"oci:{self.layout}:1.0"
        tls = {"src": source, "dest": self.tls, "dest_ca_path": self.ca, "dest_username": USER}
        token = {"src": source, "dest": self.guarded, "dest_plain_http": True}
        one = {"name": self.tls, "ca_path": self.ca, "username": USER}
        repository = self.tls.rpartition(":")[0]
        registry = repository.partition("/")[0]
        greedy = {"src": source, "dest": f"{self.greedy.host}/greedy/app:1", "dest_plain_http": True}
        return {
            "password": case("image_copy", None, **tls, dest_password="{{ password }}"),
            "password-for-token": case("image_copy", None, **token, dest_username=USER, dest_password="{{ password }}"),
            "token": case("image_copy", None, **token, dest_token="{{ token }}"),
            "auth-file": case("image_inspect", None, name=self.there, ca_path=self.ca, auth_file=str(self.auth_file)),
            "wrong-password": case("image_copy", "401", **tls, dest_password="{{ wrong }}"),
            "wrong-for-token": case("image_copy", "401", **token, dest_username=USER, dest_password="{{ wrong }}"),
            "wrong-token": case("image_copy", "401", **token, dest_token="{{ wrong_token }}"),
            "wrong-inspect": case("image_inspect", "401", **one, password="{{ wrong }}"),
            "wrong-tags": case(
                "image_tags", "401", repository=repository, ca_path=self.ca, username=USER, password="{{ wrong }}"
            ),
            "login": case(
                "registry_login", None, registry=registry, ca_path=self.ca, username=USER, password="{{ password }}",
                auth_file=str(self.hidden / "login.json"),
            ),
            "wrong-login": case(
                "registry_login", "401", registry=registry, ca_path=self.ca, username=USER, password="{{ wrong }}",
                auth_file=str(self.hidden / "never.json"),
            ),
            "wrong-delete": case("registry_delete", "401", **one, password="{{ wrong }}"),
            "wrong-save": case(
                "image_save_load", "401", state="saved", path=str(self.directory / "never.tar"), images=[self.tls],
                ca_path=self.ca, username=USER, password="{{ wrong }}",
            ),
            "unreachable": case(
                "image_copy", self.closed, src=source, dest=f"{self.closed}/app:1", dest_username=USER,
                dest_password="{{ password }}", retries=0,
            ),
            "proxy-closed": case(
                "image_copy", self.closed, **tls, dest_password="{{ password }}", dest_proxy="{{ closed_proxy }}", retries=0
            ),
            "proxy-echo": case(
                "image_copy", "proxy", **tls, dest_password="{{ password }}", dest_proxy="{{ echo_proxy }}", retries=0
            ),
            "greedy": case("image_copy", "403", **greedy, dest_username=USER, dest_password="{{ password }}", retries=0),
            "stranger-src": case(
                "image_copy", "403", src=f"{self.stranger.host}/stranger/src:1", src_plain_http=True, dest=self.tls,
                dest_ca_path=self.ca, dest_username=USER, dest_password="{{ password }}", retries=0,
            ),
            "stranger-dest": case(
                "image_copy", "403", dest=f"{self.stranger.host}/stranger/dest:1", dest_plain_http=True, src=self.there,
                src_ca_path=self.ca, src_username=USER, src_password="{{ password }}", auth_file=str(self.auth_file), retries=0,
            ),
            "no-username": case("image_copy", "dest_username", src=source, dest=self.tls, dest_password="{{ wrong }}"),
            "unknown-option": case("image_copy", "Unsupported parameters", **tls, dest_password="{{ wrong }}", passphrase="x"),
            "crash": case(
                "image_copy", "unexpected RuntimeError", {"environment": self.crash}, **tls, dest_password="{{ password }}"
            ),
            "crash-no-log": case(
                "image_copy", "unexpected RuntimeError", {"environment": self.crash, "no_log": True}, **tls,
                dest_password="{{ password }}",
            ),
        }


@pytest.fixture
def stage(
    tmp_path: pathlib.Path,
    repository: str,
    registry_tls: Registry,
    registry_token: Registry,
    token_server: TokenServer,
    greedy: Echo,
    stranger: Echo,
) -> Stage:
    """See `Stage`."""
    return Stage(tmp_path, repository, registry_tls, registry_token, token_server, greedy, stranger)


class Shown(NamedTuple):
    """What a command has shown."""

    status: int
    shown: str


def run(module: ModuleRunner, stage: Stage, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Shown:
    """Run a command of Ansible's and look for secrets everywhere but in what it shows."""
    temporary = stage.directory / "temporary"
    temporary.mkdir(exist_ok=True)
    log = stage.directory / "ansible.log"
    module.environment |= {
        "TMPDIR": str(temporary),
        "ANSIBLE_LOG_PATH": str(log),
        "ANSIBLE_RETRY_FILES_ENABLED": "true",
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
        **(environment or {}),
    }
    ran = run_watched(module, command)
    assert ran.logged is None or "Invoked with" in ran.logged
    assert found_in(ran.logged or "", stage.secrets) == []
    assert any(str(command[0]) in line for line in ran.processes), "no process was seen"
    assert found_in("\n".join(ran.processes), stage.secrets) == []
    for registry in stage.registries:
        for path in (registry.access_log, registry.error_log):
            assert found_in(path.read_text(errors="replace"), stage.secrets) == []
    for path in [log, *module.home.rglob("*"), *temporary.rglob("*")]:
        if path.is_file():
            assert found_in(path.read_bytes().decode(errors="replace"), stage.secrets) == [], path
    return Shown(ran.done.returncode, ran.done.stdout.decode(errors="replace"))


def test_the_search_finds_what_it_looks_for(stage: Stage) -> None:
    for text in (json.dumps(stage.variables), stage.auth_file.read_text(), urllib.parse.quote(PASSWORD, safe="")):
        assert found_in(text, stage.secrets)
    assert len(found_in(json.dumps(stage.variables), [WRONG, WRONG_TOKEN, PROXY_PASSWORD, stage.token])) >= 4


@pytest.mark.parametrize("mode", MODES)
def test_playbook(mode: str, commands: pathlib.Path, module: ModuleRunner, stage: Stage) -> None:
    cases = stage.cases()
    tasks: list[dict[str, Any]] = [
        {
            "name": name,
            f"{NAMESPACE}.{one.module}": one.options,
            "register": f"result_{number}",
            "ignore_errors": True,
            **one.keywords,
        }
        for number, (name, one) in enumerate(cases.items())
    ]
    results = stage.directory / "results.json"
    together = "[" + ", ".join(f"result_{number}" for number in range(len(cases))) + "]"
    last = {"content": "{{ " + together + " | to_json }}", "dest": str(results), "mode": "0600"}
    tasks.append({"name": "Keep the results", "ansible.builtin.copy": last, "check_mode": False})
    playbook = stage.directory / "playbook.yml"
    play = {"name": "Secrets", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(json.dumps([play], indent=1), encoding="utf-8")
    variables = stage.hidden / "variables.json"
    variables.write_text(json.dumps(stage.variables), encoding="utf-8")
    command = [str(commands / "ansible-playbook"), "--inventory", "localhost,", "--extra-vars", f"@{variables}", *MODES[mode]]
    before = len(stage.stranger.heard)
    ran = run(module, stage, [*command, str(playbook)])
    assert ran.status == 0, ran.shown[-3000:]
    assert found_in(ran.shown, stage.secrets) == []
    assert "'no_log: true'" in ran.shown
    text = results.read_text(encoding="utf-8")
    assert found_in(text, stage.secrets) == []
    for (name, one), result in zip(cases.items(), json.loads(text)):
        assert bool(result.get("failed")) == (one.fails_with is not None), f"{name}: {result.get('msg')}"
        assert (one.fails_with or "") in result.get("msg", ""), f"{name}: {result['msg']}"
        assert ("exception" in result and "RuntimeError" in str(result["exception"])) == name.startswith("crash"), name
    # It was given away where it was asked for, so what was searched for did come back.
    assert any("authorization" in fields for fields in stage.greedy.heard_about("greedy"))
    assert any("proxy-authorization" in fields for fields in stage.greedy.heard_about(stage.tls.partition("/")[0]))
    heard = stage.stranger.heard[before:]
    assert {"src", "dest"} <= {target.split("/")[3] for target, unused in heard if target.startswith("/v2/stranger/")}
    assert found_in(json.dumps(heard), stage.secrets) == []
    assert not [fields for unused, fields in heard if "authorization" in fields]


# By the name of a case, the variables of the environment that take the place of its secrets.
AD_HOC = {
    "password": {"LONGSHORE_DEST_PASSWORD": PASSWORD},
    "wrong-password": {"LONGSHORE_DEST_PASSWORD": WRONG},
    "wrong-for-token": {"LONGSHORE_DEST_PASSWORD": WRONG},
    "wrong-token": {"LONGSHORE_DEST_TOKEN": WRONG_TOKEN},
    "greedy": {"LONGSHORE_DEST_PASSWORD": PASSWORD},
    "crash": {"LONGSHORE_DEST_PASSWORD": PASSWORD},
}


@pytest.mark.parametrize("mode", ["plain", "all"])
@pytest.mark.parametrize("name", AD_HOC)
def test_ad_hoc(name: str, mode: str, commands: pathlib.Path, module: ModuleRunner, stage: Stage) -> None:
    one = stage.cases()[name]
    options = {key: value for key, value in one.options.items() if not str(value).startswith("{{")}
    # fmt: off
    command = [
        str(commands / "ansible"), "localhost", "--inventory", "localhost,", "--connection", "local",
        "--module-name", f"{NAMESPACE}.{one.module}", "--args", json.dumps(options),
        "--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable}), *MODES[mode],
    ]
    # fmt: on
    ran = run(module, stage, command, {**AD_HOC[name], **one.keywords.get("environment", {})})
    assert (ran.status != 0) == (one.fails_with is not None), ran.shown[-3000:]
    assert (one.fails_with or "") in ran.shown, ran.shown[-3000:]
    assert found_in(ran.shown, stage.secrets) == []
