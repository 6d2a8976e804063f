# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_login with real registries, and podman, skopeo and docker reading what it writes and writing what it reads."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import CREDENTIALS, PASSWORD, READER, READER_PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok

BASIC = "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()
WRONG = "wr0ng&marked+password"

# A helper of docker's protocol, over a file.
HELPER = """\
import json, pathlib, sys
kept = pathlib.Path(sys.argv[0]).with_name("kept.json")
held = json.loads(kept.read_text()) if kept.exists() else {}
words = sys.stdin.read()
if sys.argv[1] == "get":
    if words.strip() not in held:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(held[words.strip()]))
elif sys.argv[1] == "store":
    given = json.loads(words)
    held[given.pop("ServerURL")] = given
elif sys.argv[1] == "list":
    print(json.dumps({server: one["Username"] for server, one in held.items()}))
else:
    held.pop(words.strip(), None)
kept.write_text(json.dumps(held))
"""


def shown(result):
    """What a result shows beside the options that it was called with, which Ansible masks."""
    return json.dumps({key: value for key, value in result.items() if key != "invocation"}, ensure_ascii=False)


def run(*command, environment=None, stdin=None):
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def auths(path):
    return json.loads(pathlib.Path(path).read_text("utf-8")).get("auths", {})


@pytest.fixture
def login(module, registry_tls):
    """Options that log in to the registry with TLS."""
    return {"registry": registry_tls.host, "username": USER, "password": PASSWORD, "ca_path": str(registry_tls.ca)}


@pytest.fixture
def stored(registry_tls, repository):
    """An image in the registry that asks for a password."""
    content = images.sample(["linux/amd64"])
    images.push(registry_tls, repository, content, ["1"], authorization=BASIC)
    return f"{registry_tls.host}/{repository}:1", content


def test_the_usual_file_serves_podman_skopeo_docker_and_us(module, podman, dockerd, skopeo, login, stored, registry_tls, tmp_path):
    name, content = stored
    would = ok(module("registry_login", check=True, diff=True, **login))
    assert not (module.home / ".docker").exists()
    mark = registry_tls.mark()
    did = ok(module("registry_login", diff=True, **login))
    assert [(one.method, one.path, one.status) for one in registry_tls.requests_since(mark)] == [
        ("GET", "/v2/", 401),
        ("GET", "/v2/", 200),
    ]
    for fact in ("changed", "registry", "auth_file", "username", "verified", "helper", "diff"):
        assert would[fact] == did[fact], fact
    path = module.home / ".docker" / "config.json"
    assert did["changed"] and did["verified"] and did["auth_file"] == str(path)
    assert did["diff"]["before"]["registries"] == [] and did["diff"]["after"]["registries"] == [registry_tls.host]
    again = ok(module("registry_login", diff=True, **login))
    assert not again["changed"] and again["requests"] == 2 and again["diff"]["before"] == again["diff"]["after"]
    for result in (would, did, again):
        assert PASSWORD not in shown(result) and BASIC.partition(" ")[2] not in shown(result)

    home = {"PATH": os.environ["PATH"], "HOME": str(module.home)}
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}", environment=home)
    assert images.sha256(raw.encode()) == content.digest
    podman.run("pull", "--quiet", "--tls-verify=false", "--authfile", str(path), name)
    podman.run("image", "rm", name)
    run("docker", "--config", str(path.parent), "--host", dockerd.host, "pull", "--quiet", name, environment=home)
    dockerd.run("image", "rm", name)
    assert ok(module("image_inspect", name=name, ca_path=str(registry_tls.ca)))["images"][0]["digest"] == content.digest

    out = {"registry": registry_tls.host, "state": "absent"}
    assert ok(module("registry_login", check=True, **out))["changed"] and auths(path)
    mark = registry_tls.mark()
    assert ok(module("registry_login", **out))["changed"] and auths(path) == {}
    assert not ok(module("registry_login", **out))["changed"]
    assert not registry_tls.requests_since(mark)
    assert module("image_inspect", name=name, ca_path=str(registry_tls.ca))["failed"]


def test_a_token_server_is_asked(module, registry_token, token_server, repository, tmp_path):
    path = tmp_path / "auth.json"
    where = {"registry": registry_token.host, "auth_file": str(path), "plain_http": True}
    result = ok(module("registry_login", username=READER, password=READER_PASSWORD, **where))
    assert result["changed"] and result["verified"] and list(auths(path)) == [registry_token.host]
    before = path.read_bytes()
    refused = module("registry_login", username=READER, password=WRONG, retries=0, **where)
    assert refused["failed"] and refused["status_code"] == 401 and "does not accept" in refused["msg"]
    assert WRONG not in shown(refused) and path.read_bytes() == before
    token = token_server.issue(USER, [f"repository:{repository}:pull,push"])
    content = images.sample(["linux/amd64"])
    images.push(registry_token, repository, content, ["1"], authorization=f"Bearer {token}")
    options = ["--tls-verify=false", "--authfile", str(path)]
    raw = run("skopeo", "inspect", "--raw", *options, f"docker://{registry_token.host}/{repository}:1")
    assert images.sha256(raw.encode()) == content.digest


def test_a_wrong_password_fails_and_leaves_no_trace(module, login, registry_tls, tmp_path):
    for check in (True, False):
        refused = module("registry_login", check=check, **{**login, "password": WRONG})
        assert refused["failed"] and refused["status_code"] == 401, refused["msg"]
        assert "does not accept this username and password" in refused["msg"] and "exception" not in refused
        assert WRONG not in shown(refused) and "\n" not in refused["msg"] and len(refused["msg"]) < 500
    assert list(module.home.iterdir()) == []


def test_without_asking_the_registry(module, login, registry_tls, tmp_path):
    mark = registry_tls.mark()
    result = ok(module("registry_login", **{**login, "password": WRONG, "verify": False}))
    assert result["changed"] and not result["verified"] and result["requests"] == 0
    assert not registry_tls.requests_since(mark)
    # As it says itself later on; the right one then takes the place of it.
    result = ok(module("registry_login", diff=True, **login))
    assert result["changed"] and "another password" in result["diff"]["after"]["username"]
    unreachable = {"registry": "127.0.0.1:1", "username": USER, "password": PASSWORD}
    refused = module("registry_login", retries=0, **unreachable)
    assert refused["failed"] and "127.0.0.1:1" in refused["msg"]
    assert ok(module("registry_login", verify=False, **unreachable))["changed"]


def test_a_registry_that_asks_nobody_is_told_of(module, registry):
    result = ok(module("registry_login", registry=registry.host, username=USER, password=PASSWORD, plain_http=True))
    assert result["changed"] and not result["verified"]
    assert any("could not be checked" in warning for warning in result["warnings"])


def test_what_podman_and_skopeo_write_is_known_and_edited(module, podman, registry_tls, login, stored, tmp_path):
    name, content = stored
    theirs = ["--authfile", None, "--tls-verify=false", "--username", USER, "--password", PASSWORD, registry_tls.host]
    for program in (podman.run, lambda *words: run("skopeo", *words)):
        path = tmp_path / f"{id(program)}.json"
        theirs[1] = str(path)
        program("login", *theirs)
        before = path.read_bytes()
        assert not ok(module("registry_login", auth_file=str(path), **login))["changed"]
        assert path.read_bytes() == before
        inspected = ok(module("image_inspect", name=name, auth_file=str(path), ca_path=str(registry_tls.ca)))
        assert inspected["images"][0]["digest"] == content.digest
        more = {"registry": f"{registry_tls.host}/test", "username": USER, "password": "other", "verify": False}
        assert ok(module("registry_login", auth_file=str(path), **more))["changed"]
        assert list(auths(path)) == [registry_tls.host, f"{registry_tls.host}/test"]
        # The longest path wins, with them as with us.
        failed = subprocess.run(
            ["skopeo", "inspect", "--tls-verify=false", "--authfile", str(path), f"docker://{name}"],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert failed.returncode != 0
        assert ok(module("registry_login", auth_file=str(path), **{**more, "state": "absent"}))["changed"]
        run("skopeo", "inspect", "--tls-verify=false", "--authfile", str(path), f"docker://{name}")
        run("skopeo", "logout", "--authfile", str(path), registry_tls.host)
        assert not ok(module("registry_login", registry=registry_tls.host, state="absent", auth_file=str(path)))["changed"]


def test_a_credential_helper_keeps_the_password(module, dockerd, registry_tls, login, stored, tmp_path):
    name, content = stored
    programs = tmp_path / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-test"
    helper.write_text(f"#!{sys.executable}\n{HELPER}", encoding="utf-8")
    helper.chmod(0o755)
    module.environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    path = module.home / ".docker" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"credsStore": "test"}))
    assert ok(module("registry_login", check=True, **login))["changed"] and not (programs / "kept.json").exists()
    result = ok(module("registry_login", **login))
    assert result["changed"] and result["helper"] == "test"
    assert auths(path) == {registry_tls.host: {}}
    assert json.loads((programs / "kept.json").read_text())[registry_tls.host] == {"Username": USER, "Secret": PASSWORD}
    assert not ok(module("registry_login", **login))["changed"]
    assert PASSWORD not in shown(result) and PASSWORD not in path.read_text()
    home = {"PATH": module.environment["PATH"], "HOME": str(module.home)}
    run("docker", "--host", dockerd.host, "pull", "--quiet", name, environment=home)
    dockerd.run("image", "rm", name)
    assert ok(module("image_inspect", name=name, ca_path=str(registry_tls.ca)))["images"][0]["digest"] == content.digest
    assert ok(module("registry_login", registry=registry_tls.host, state="absent"))["changed"]
    assert json.loads((programs / "kept.json").read_text()) == {} and auths(path) == {}
    helper.unlink()
    refused = module("registry_login", **login)
    assert refused["failed"] and "docker-credential-test" in refused["msg"] and auths(path) == {}


def test_an_entry_that_podman_prefers_is_told_of(module, login, registry_tls):
    other = module.home / ".config" / "containers" / "auth.json"
    ok(module("registry_login", auth_file=str(other), **login))
    result = ok(module("registry_login", **login))
    assert any(str(other) in warning for warning in result["warnings"])
    assert not ok(module("registry_login", auth_file=str(other), **login)).get("warnings")


def test_tasks_at_once_and_one_that_is_killed(module, tmp_path):
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"first.example": {"auth": "eDp5"}}}))
    children = []
    for number in range(10):
        options = {"registry": f"r{number}.example", "username": USER, "password": PASSWORD, "verify": False}
        child = subprocess.Popen(
            module.command("registry_login"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=module.whole_environment(), cwd=module.home, text=True,
        )  # fmt: skip
        child.stdin.write(module.arguments(auth_file=str(path), **options))
        child.stdin.close()
        children.append(child)
    # Somewhere on its way, which differs from run to run: whenever it is, the file is whole.
    time.sleep(0.35)
    children[-1].send_signal(signal.SIGKILL)
    for child in children:
        child.wait(60)
        assert list(auths(path))[0] == "first.example"
    assert {f"r{number}.example" for number in range(9)} <= set(auths(path))
    ok(module("registry_login", registry="last.example", username=USER, password=PASSWORD, verify=False, auth_file=str(path)))


WRONG_INPUT = [
    ({"registry": "registry"}, "invalid registry"),
    ({"registry": "http://127.0.0.1:5000"}, "invalid registry"),
    ({"registry": "r.example/app:1.0"}, "invalid registry"),
    ({"username": ""}, "password is given without username"),
    ({"username": "", "password": ""}, "username and password are missing"),
    ({"password": ""}, "username is given without password"),
    ({"auth_file": "/proc/nothing/auth.json"}, "/proc/nothing"),
    ({"auth_file": "/etc"}, "/etc"),
    ({"token": "abc"}, "Unsupported parameters"),
]


@pytest.mark.parametrize(("options", "words"), WRONG_INPUT, ids=[str(number) for number in range(len(WRONG_INPUT))])
def test_wrong_input(module, registry_tls, login, options, words):
    mark = registry_tls.mark()
    result = module("registry_login", **{**login, **options})
    assert result["failed"] and words in result["msg"], result["msg"]
    assert "\n" not in result["msg"] and "exception" not in result and PASSWORD not in shown(result)
    assert not registry_tls.writes_since(mark), describe(registry_tls.writes_since(mark))


def test_ansible_itself_shows_no_password(module, registry_tls, login, tmp_path):
    path = tmp_path / "auth.json"
    module.environment |= {"LONGSHORE_USERNAME": USER, "LONGSHORE_PASSWORD": PASSWORD}
    options = {"registry": registry_tls.host, "ca_path": str(registry_tls.ca), "auth_file": str(path)}
    result = ok(module.ansible("registry_login", diff=True, **options))
    assert result["changed"] and PASSWORD not in json.dumps(result, ensure_ascii=False)
    flat = f"registry={registry_tls.host} state=absent auth_file={path}"
    assert ok(module.ansible("registry_login", arguments=flat))["changed"]
