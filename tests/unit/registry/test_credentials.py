# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Auth files and credential helpers (R1.5, R1.68, R1.69)."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import sys
import threading
import time
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    InvalidInput,
    MissingRequirement,
    OciError,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import credential_helpers
from ansible_collections.longshore.oci.plugins.module_utils.registry.credentials import (
    Credentials,
    CredentialStore,
    basic_authorization,
    check_credentials,
)

Path = pathlib.Path


def auth(pair: str) -> dict[str, str]:
    return {"auth": base64.b64encode(pair.encode()).decode()}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def store(tmp_path: Path, document: Any) -> CredentialStore:
    return CredentialStore(str(write(tmp_path / "auth.json", document)), environ={}, home=str(tmp_path))


def found(credentials: Credentials | None) -> tuple[str, str] | None:
    return None if credentials is None else (credentials.username, credentials.password)


def test_r1_69_longest_prefix_wins(tmp_path: Path) -> None:
    auths = {
        "quay.io": auth("host:1"),
        "quay.io/team": auth("team:2"),
        "quay.io/team/app": auth("app:3"),
        "localhost:5000/a/b": auth("local:4"),
        "[::1]:5000": auth("six:5"),
    }
    files = store(tmp_path, {"auths": auths})
    assert found(files.find("quay.io")) == ("host", "1")
    assert found(files.find("quay.io", "other/app")) == ("host", "1")
    assert found(files.find("quay.io", "team")) == ("team", "2")
    assert found(files.find("quay.io", "team/apple")) == ("team", "2")
    assert found(files.find("quay.io", "team/app")) == ("app", "3")
    assert found(files.find("QUAY.io", "team/app/x/y")) == ("app", "3")
    assert found(files.find("quay.io:443", "team/app")) is None
    assert found(files.find("localhost:5000", "a")) is None
    assert found(files.find("localhost:5000", "a/b/c")) == ("local", "4")
    assert found(files.find("[::1]:5000", "a")) == ("six", "5")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"])
def test_r1_5_docker_hub_has_four_names(tmp_path: Path, key: str) -> None:
    files = store(tmp_path, {"auths": {key: auth("hub:1")}})
    for host in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        assert found(files.find(host, "library/busybox")) == ("hub", "1")
    assert files.find("example.docker.io") is None


@pytest.mark.parametrize(
    "key", ["r.example", "https://r.example", "http://r.example/v1/", "https://r.example/v2/", "R.EXAMPLE", "r.example/"]
)
def test_r1_69_keys_are_normalised(tmp_path: Path, key: str) -> None:
    assert found(store(tmp_path, {"auths": {key: auth("u:p")}}).find("r.example", "a/b")) == ("u", "p")


def test_r1_69_an_exact_key_comes_before_an_address(tmp_path: Path) -> None:
    for keys in (("https://r.example/v1/", "r.example"), ("r.example", "https://r.example/v1/")):
        document = {"auths": {key: auth(f"{'exact' if key == 'r.example' else 'address'}:p") for key in keys}}
        assert found(store(tmp_path, document).find("r.example")) == ("exact", "p")


def test_r1_69_docker_keeps_other_tokens_beside_the_hubs(tmp_path: Path) -> None:
    key = "https://index.docker.io/v1/"
    auths = {key + "access-token": auth("no:1"), key + "refresh-token": auth("no:2"), key: auth("yes:3")}
    assert found(store(tmp_path, {"auths": auths}).find("docker.io")) == ("yes", "3")
    assert store(tmp_path, {"auths": {key + "access-token": auth("no:1")}}).find("docker.io") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (auth("u:p:with:colons"), ("u", "p:with:colons", None)),
        (auth("u:p\x00\x00"), ("u", "p", None)),
        (auth("\u7528\u6237:p\u00e4ss"), ("\u7528\u6237", "p\u00e4ss", None)),
        ({"auth": "dTpw\nOg=="}, ("u", "p:", None)),
        ({"username": "u", "password": "p"}, ("u", "p", None)),
        ({**auth("u:p"), "email": "x@example.com"}, ("u", "p", None)),
        ({"identitytoken": "tok"}, ("", "", "tok")),
        ({**auth("u:"), "identitytoken": "tok"}, ("u", "", "tok")),
        ({**auth("<token>:"), "identitytoken": "tok"}, ("", "", "tok")),
        ({}, None),
        (auth(":"), None),
        ({"auth": ""}, None),
    ],
)
def test_r1_69_entries(tmp_path: Path, entry: dict[str, str], expected: tuple[str, str, str | None] | None) -> None:
    credentials = store(tmp_path, {"auths": {"r.example": entry}}).find("r.example")
    if expected is None:
        assert credentials is None
    else:
        assert credentials is not None
        assert (credentials.username, credentials.password, credentials.identity_token) == expected
        assert credentials.source == f"'r.example' in {tmp_path / 'auth.json'}"


@pytest.mark.parametrize("entry", [{"auth": "%%%"}, auth("nocolon"), {"auth": "gICA"}, {"auth": 1}, "text", None, {"username": []}])
def test_r1_69_a_broken_entry_harms_only_its_own_registry(tmp_path: Path, entry: Any) -> None:
    files = store(tmp_path, {"auths": {"broken.example": entry, "r.example": auth("u:p")}})
    assert found(files.find("r.example")) == ("u", "p")
    with pytest.raises(InvalidInput, match=r"'broken\.example' in .*auth\.json"):
        files.find("broken.example")


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"auths": []}', '{"credHelpers": 1}', '{"credsStore": {}}', "[" * 100_000])
def test_r1_69_a_broken_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"auth\.json"):
        store(tmp_path, text).find("r.example")
    write(tmp_path / ".docker" / "config.json", text)
    with pytest.raises(InvalidInput, match=r"\.docker/config\.json"):
        CredentialStore(environ={"XDG_RUNTIME_DIR": str(tmp_path)}, home=str(tmp_path)).find("r.example")


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"auths": null}', '{"auths": {}, "HttpHeaders": {"a": "b"}}'])
def test_r1_69_a_file_without_credentials_is_no_error(tmp_path: Path, text: str) -> None:
    assert store(tmp_path, text).find("r.example") is None


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.json")
    with pytest.raises(InvalidInput, match=r"auth_file names .*missing\.json, which does not exist"):
        CredentialStore(missing, environ={}).find("r.example")
    with pytest.raises(InvalidInput, match="REGISTRY_AUTH_FILE"):
        CredentialStore(environ={"REGISTRY_AUTH_FILE": missing}).find("r.example")
    with pytest.raises(InvalidInput, match="cannot be read"):
        CredentialStore(str(tmp_path), environ={}).find("r.example")


def test_r1_69_search_order(tmp_path: Path) -> None:
    runtime, config, docker, home = (tmp_path / name for name in ("run", "config", "docker", "home"))
    environ = {
        "REGISTRY_AUTH_FILE": str(write(tmp_path / "env.json", {"auths": {"r.example": auth("env:p")}})),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CONFIG_HOME": str(config),
        "DOCKER_CONFIG": str(docker),
    }
    explicit = write(tmp_path / "explicit.json", {"auths": {"r.example": auth("explicit:p")}})
    places = {
        "XDG_RUNTIME_DIR": runtime / "containers/auth.json",
        "XDG_CONFIG_HOME": config / "containers/auth.json",
        "DOCKER_CONFIG": docker / "config.json",
    }
    for name, path in places.items():
        write(path, {"auths": {"r.example": auth(f"{name}:p")}})
    write(home / ".config/containers/auth.json", {"auths": {"r.example": auth("home-config:p")}})
    write(home / ".docker/config.json", {"auths": {"r.example": auth("home-docker:p")}})

    def user(auth_file: str | None = None) -> str | None:
        credentials = CredentialStore(auth_file, environ=environ, home=str(home)).find("r.example", "a")
        return credentials.username if credentials else None

    assert user(str(explicit)) == "explicit"
    assert user() == "env"
    del environ["REGISTRY_AUTH_FILE"]
    for name in places:
        assert user() == name
        places[name].unlink()
    assert user() is None
    del environ["XDG_CONFIG_HOME"]
    assert user() == "home-config"
    (home / ".config/containers/auth.json").unlink()
    assert user() is None
    del environ["DOCKER_CONFIG"]
    assert user() == "home-docker"


def test_r1_69_the_next_default_file_is_asked_when_one_has_nothing(tmp_path: Path) -> None:
    write(tmp_path / "containers/auth.json", {"auths": {"other.example": auth("other:p")}})
    write(tmp_path / ".docker/config.json", {"auths": {"r.example": auth("docker:p")}})
    files = CredentialStore(environ={"XDG_RUNTIME_DIR": str(tmp_path)}, home=str(tmp_path))
    assert found(files.find("r.example")) == ("docker", "p")
    assert files.find("third.example") is None
    assert "containers/auth.json" in files.searched()
    assert ".docker/config.json" in files.searched()


def test_a_file_is_read_once(tmp_path: Path) -> None:
    files = store(tmp_path, {"auths": {"r.example": auth("u:p")}})
    assert found(files.find("r.example")) == ("u", "p")
    (tmp_path / "auth.json").unlink()
    assert found(files.find("r.example", "x")) == ("u", "p")


def test_s18_no_secret_in_repr() -> None:
    text = repr(Credentials("user", "hunter2", "hunter3", "a file"))
    assert "user" in text
    assert "hunter" not in text


@pytest.mark.parametrize(
    "username",
    ["AWS", "_json_key", "oauth2accesstoken", "robot$proj+name", "org+robot", "gitlab-ci-token", "$oauthtoken", "\u7528\u6237"],
)
def test_r1_68_known_user_names_in_utf_8(username: str) -> None:
    credentials = Credentials(username, '{\n "key": "p\u00e4:ss"\r\n}')
    check_credentials(credentials)
    encoded = basic_authorization(credentials).split(" ")
    assert encoded[0] == "Basic"
    assert base64.b64decode(encoded[1]).decode("utf-8") == f"{username}:{credentials.password}"


@pytest.mark.parametrize("pair", [("a:b", "p"), ("a\rb", "p"), ("a\n", "p"), ("a\x00", "p"), ("a\x1b", "p"), ("a", "p\x00")])
def test_r1_68_what_no_header_can_carry_is_refused_without_showing_it(pair: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_credentials(Credentials(*pair, source="the options"))
    assert "the options" in caught.value.message
    assert repr(pair[1]) not in caught.value.message


# --- helpers


HELPER = """#!{python}
import json, sys, time
log = open({log!r}, "a")
server = sys.stdin.read()
log.write(sys.argv[1] + " " + server + "\\n")
log.close()
{body}
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes docker-credential-<name> with a body; returns the calls it got."""
    pytest.importorskip("docker")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, body: str) -> Any:
        log = tmp_path / f"{name}.log"
        log.touch()
        program = programs / f"docker-credential-{name}"
        program.write_text(HELPER.format(python=sys.executable, log=str(log), body=body))
        program.chmod(0o755)
        return lambda: log.read_text().splitlines()

    return make


GIVE = 'print(json.dumps({"ServerURL": server, "Username": "helped", "Secret": "s:" + server}))'
NONE = 'print("credentials not found in native keychain"); sys.exit(1)'


def test_r1_69_cred_helper_of_one_host_is_asked_once(tmp_path: Path, helper: Any) -> None:
    calls = helper("one", GIVE)
    files = store(tmp_path, {"credHelpers": {"r.example": "one"}, "auths": {"o.example": auth("u:p"), "r.example": auth("u:p")}})
    credentials = files.find("r.example", "a")
    assert found(credentials) == ("helped", "s:r.example")
    assert credentials is not None
    assert "credential helper one" in credentials.source
    assert found(files.find("r.example", "b")) == ("helped", "s:r.example")
    assert found(files.find("o.example")) == ("u", "p")
    assert calls() == ["get r.example"]


def test_r1_69_creds_store_is_asked_by_the_key_of_the_file(tmp_path: Path, helper: Any) -> None:
    calls = helper("all", GIVE)
    document = {
        "credsStore": "all",
        "auths": {"https://index.docker.io/v1/": {}, "https://r.example/v2/": {}, "p.example": auth("u:p")},
    }
    files = store(tmp_path, document)
    assert found(files.find("docker.io", "library/x")) == ("helped", "s:https://index.docker.io/v1/")
    assert found(files.find("r.example")) == ("helped", "s:https://r.example/v2/")
    assert found(files.find("n.example:5000")) == ("helped", "s:n.example:5000")
    assert found(files.find("p.example")) == ("u", "p")
    assert calls() == ["get https://index.docker.io/v1/", "get https://r.example/v2/", "get n.example:5000"]


def test_r1_69_a_helper_without_credentials_is_no_error(tmp_path: Path, helper: Any) -> None:
    helper("none", NONE)
    helper("empty", 'print(json.dumps({"Username": "", "Secret": ""}))')
    for name in ("none", "empty"):
        assert store(tmp_path, {"credHelpers": {"r.example": name}}).find("r.example") is None
        assert store(tmp_path, {"credsStore": name}).find("r.example") is None


def test_a_store_is_asked_once_for_a_host_by_the_key_it_is_filed_under(tmp_path: Path, helper: Any) -> None:
    calls = helper("none", NONE)
    files = store(tmp_path, {"credsStore": "none", "auths": {"https://r.example": {}}})
    assert files.find("r.example", "a/b") is None
    assert calls() == ["get https://r.example"]


def test_a_helper_gives_identity_tokens_under_the_name_token(tmp_path: Path, helper: Any) -> None:
    helper("tok", 'print(json.dumps({"Username": "<token>", "Secret": "refresh"}))')
    credentials = store(tmp_path, {"credsStore": "tok"}).find("r.example")
    assert credentials is not None
    assert (credentials.username, credentials.identity_token) == ("", "refresh")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('sys.stdout.write("keyring is locked"); sys.exit(3)', "keyring is locked"),
        ("sys.exit(3)", "exited with"),
        ('print("hunter2")', "no credential"),
        ('print("{}")', "no credential"),
        ('print(json.dumps({"Username": 1, "Secret": "hunter2"}))', "no credential"),
    ],
)
def test_a_helper_that_fails_is_an_error_that_names_it(tmp_path: Path, helper: Any, body: str, why: str) -> None:
    helper("bad", body)
    with pytest.raises(OciError, match=r"credential helper bad of .*auth\.json") as caught:
        store(tmp_path, {"credsStore": "bad"}).find("r.example")
    assert why in caught.value.message
    assert "hunter2" not in caught.value.message


def test_r1_69_a_helper_has_a_time_limit(tmp_path: Path, helper: Any) -> None:
    helper("slow", "time.sleep(30)")
    started = time.monotonic()
    with pytest.raises(OciError, match="no answer in 0 seconds"):
        credential_helpers.ask("slow", "r.example", "the helper slow", timeout=0.3)
    assert time.monotonic() - started < 10


def test_a_helper_that_is_not_installed(tmp_path: Path, helper: Any) -> None:
    with pytest.raises(OciError, match="no program docker-credential-missing in the PATH"):
        store(tmp_path, {"credHelpers": {"r.example": "missing"}}).find("r.example")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "-x", "a b", "a\n", "a;b", "x" * 200])
def test_r1_69_a_helpers_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no valid name"):
        credential_helpers.ask(name, "r.example", "the helper")
    if name:
        with pytest.raises(InvalidInput, match="no valid name"):
            store(tmp_path, {"credHelpers": {"r.example": name}}).find("r.example")


def test_without_the_docker_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker.credentials", None)
    for document in (
        {"credHelpers": {"r.example": "one"}},
        {"credsStore": "one", "auths": {"https://r.example": {}}},
    ):
        with pytest.raises(MissingRequirement, match="Python package docker") as caught:
            store(tmp_path, document).find("r.example", "a")
        assert "helper one" in caught.value.message
    # A store for everything does not stop us at a host that it is not known to have.
    files = store(tmp_path, {"credsStore": "one", "auths": {"p.example": auth("u:p")}})
    assert found(files.find("p.example")) == ("u", "p")
    assert files.find("r.example") is None
    assert "Python package docker" in files.searched()


def test_threads_share_one_question_to_a_helper(tmp_path: Path, helper: Any) -> None:
    calls = helper("one", "time.sleep(0.1)\n" + GIVE)
    files = store(tmp_path, {"credHelpers": {"r.example": "one"}})
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(found(files.find("r.example", "a")))) for unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [("helped", "s:r.example")] * 8
    assert calls() == ["get r.example"]
