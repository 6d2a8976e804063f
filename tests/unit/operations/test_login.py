# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login makes of an auth file, of a credential helper, and of links and owners."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import os
import pathlib
import stat
import sys
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, OciError, StorageError
from ansible_collections.longshore.oci.plugins.module_utils.operations import login
from ansible_collections.longshore.oci.plugins.module_utils.operations.login import (
    default_path,
    hiding,
    log_in,
    log_out,
    target_of,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.credentials import CredentialStore

Path = pathlib.Path
HUB = "https://index.docker.io/v1/"


def auth(pair: str) -> dict[str, str]:
    return {"auth": base64.b64encode(pair.encode()).decode()}


def write(path: Path, document: Any, mode: int = 0o600) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    path.chmod(mode)
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def sign_in(
    path: Path, registry: str = "r.example", username: str = "alice", password: str = "wonder:länd", check: bool = False
) -> bool:
    return log_in(target_of(registry), username, password, str(path), check).changed


def sign_out(path: Path, registry: str = "r.example", check: bool = False) -> bool:
    return log_out(target_of(registry), str(path), check).changed


def found(path: Path, host: str, repository: str = "") -> tuple[str, str] | None:
    credentials = CredentialStore(str(path), environ={}, home="/nonexistent").find(host, repository)
    return (credentials.username, credentials.password) if credentials else None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Registries.


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("registry.example.com", "registry.example.com", "registry.example.com"),
        ("Registry.Example.com:5000", "registry.example.com:5000", "registry.example.com:5000"),
        ("localhost", "localhost", "localhost"),
        ("[::1]:5000", "[::1]:5000", "[::1]:5000"),
        ("r.example/team/app/", "r.example", "r.example/team/app"),
        ("https://r.example", "r.example", "r.example"),
        ("https://r.example/v2/", "r.example", "r.example"),
        ("docker.io", "docker.io", "docker.io"),
        (HUB, "docker.io", "docker.io"),
        ("index.docker.io", "docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io", "docker.io"),
        ("docker.io/library", "docker.io", "docker.io/library"),
    ],
)
def test_registries(text: str, host: str, name: str) -> None:
    assert target_of(text) == login.Target(host, name)


@pytest.mark.parametrize(
    "text",
    [
        "", "registry", "team/app", "http://r.example", "https://r.example/team", "r.example:99999", "r.example/Team",
        "r.example/app:1", "r.example/app@sha256:" + "0" * 64, "user:pw@r.example", "r.example/../x", "r.example\n",
    ],
)  # fmt: skip
def test_what_is_no_registry(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid registry"):
        target_of(text)


def test_where_it_is_written_when_nobody_says(tmp_path: Path) -> None:
    assert default_path({}, "/home/bob") == "/home/bob/.docker/config.json"
    assert default_path({"DOCKER_CONFIG": "/etc/d"}, "/home/bob") == "/etc/d/config.json"
    assert default_path({"DOCKER_CONFIG": "/etc/d", "REGISTRY_AUTH_FILE": "/etc/a"}, "/home/bob") == "/etc/a"


def test_an_entry_that_podman_reads_first_is_noticed(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert hiding(target_of("r.example"), environ, str(tmp_path)) is None
    for name in ("run/containers/auth.json", ".config/containers/auth.json"):
        (tmp_path / name).parent.mkdir(parents=True)
    usual = write(tmp_path / ".config/containers/auth.json", {"auths": {"r.example": auth("a:b")}})
    write(tmp_path / "run/containers/auth.json", "{broken")
    assert hiding(target_of("https://r.example"), environ, str(tmp_path)) == str(usual)
    assert hiding(target_of("other.example"), environ, str(tmp_path)) is None


# The file.


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".docker" / "config.json"
    assert sign_in(path, check=True) and not path.parent.parent.exists()
    assert sign_in(path)
    assert found(path, "r.example", "team/app") == ("alice", "wonder:länd")
    assert mode(path) == 0o600 and mode(path.parent) == 0o700
    assert os.listdir(path.parent) == ["config.json"]
    before = path.stat()
    assert not sign_in(path)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)


def test_all_else_stays_in_its_order(tmp_path: Path) -> None:
    other = {"auth": "eDp5", "identitytoken": "refresh", "email": "x@y"}
    document = {
        "HttpHeaders": {"User-Agent": "ü"},
        "auths": {"z.example": other, "r.example": {**auth("old:pw"), "email": "a@b"}, "a.example/v1/": auth("q:r")},
        "credHelpers": {"h.example": "none"},
        "detachKeys": "ctrl-e",
    }
    path = write(tmp_path / "config.json", document)
    assert sign_in(path) and sign_in(path, "r.example/team", "bob", "pw")
    after = read(path)
    assert list(after) == list(document) and list(after["auths"]) == ["z.example", "r.example", "a.example/v1/", "r.example/team"]
    assert after["auths"]["z.example"] == other and after["HttpHeaders"] == document["HttpHeaders"]
    assert after["auths"]["r.example"] == {"email": "a@b", **auth("alice:wonder:länd")}
    assert found(path, "r.example", "team/app") == ("bob", "pw") and found(path, "r.example", "app") == ("alice", "wonder:länd")
    assert sign_out(path, "r.example/team") and sign_out(path, "r.example") and not sign_out(path, "r.example")
    assert read(path) == {**document, "auths": {"z.example": other, "a.example/v1/": auth("q:r")}}


def test_every_spelling_is_replaced_and_removed(tmp_path: Path) -> None:
    spelled = {"https://r.example/v1/": auth("a:b"), "R.example": auth("c:d"), "other": auth("e:f")}
    path = write(tmp_path / "config.json", {"auths": spelled})
    assert sign_in(path)
    assert list(read(path)["auths"]) == ["r.example", "other"]
    path = write(tmp_path / "config.json", {"auths": spelled})
    assert sign_out(path)
    assert read(path) == {"auths": {"other": auth("e:f")}}


def test_docker_hub_is_filed_where_docker_looks(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {"docker.io": auth("alice:pw"), f"{HUB}access-token": auth("x:y")}})
    assert sign_in(path, "docker.io", password="pw")
    assert read(path) == {"auths": {HUB: auth("alice:pw"), f"{HUB}access-token": auth("x:y")}}
    assert not sign_in(path, HUB, password="pw")


def test_an_identity_token_of_the_same_registry_gives_way(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {"r.example": {**auth("alice:pw"), "identitytoken": "old"}}})
    assert sign_in(path, password="pw") and not sign_in(path, password="pw")
    assert read(path) == {"auths": {"r.example": auth("alice:pw")}}


@pytest.mark.parametrize("text", ["{", '{"auths": []}', '{"auths": {}, "auths": {}}', "[]", '{"credsStore": 1}', "\xff"])
def test_a_broken_file_is_named_and_left(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    for change in (sign_in, sign_out):
        with pytest.raises(InvalidInput, match=r"config\.json"):
            change(path)
    assert path.read_bytes() == text.encode("latin-1") and os.listdir(tmp_path) == ["config.json"]


def test_a_broken_entry_of_the_registry_is_replaced_and_that_of_another_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {"r.example": {"auth": "%"}, "other": ["?"]}})
    assert sign_in(path)
    assert read(path) == {"auths": {"r.example": auth("alice:wonder:länd"), "other": ["?"]}}


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o600, 0o600), (0o400, 0o400), (0o640, 0o600)])
def test_rights_become_no_wider(tmp_path: Path, before: int, after: int) -> None:
    path = write(tmp_path / "config.json", {"auths": {}}, before)
    assert sign_in(path) and mode(path) == after


def test_an_empty_file_and_one_without_auths(tmp_path: Path) -> None:
    for text in ("", " \n", '{"auths": null, "x": 1}'):
        path = write(tmp_path / "config.json", text)
        assert not sign_out(path) and path.read_text() == text
        assert sign_in(path) and found(path, "r.example")


def test_nothing_is_written_in_vain(tmp_path: Path) -> None:
    assert not sign_out(tmp_path / "no" / "config.json") and os.listdir(tmp_path) == []
    path = write(tmp_path / "config.json", {"auths": {"r.example": auth("alice:pw")}})
    before = path.read_bytes()
    assert sign_in(path, password="new", check=True) and sign_out(path, check=True)
    assert path.read_bytes() == before


# Links and owners.


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "config.json"
    link.symlink_to("real/auth.json")
    assert sign_in(link)
    assert link.is_symlink() and found(tmp_path / "real" / "auth.json", "r.example")
    assert os.listdir(tmp_path / "real") == ["auth.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_the_link_of_a_stranger_is_not_followed(tmp_path: Path) -> None:
    victim = write(tmp_path / "victim.json", {"auths": {}})
    link = tmp_path / "config.json"
    link.symlink_to(victim)
    os.lchown(link, 4242, 4242)
    with pytest.raises(StorageError, match="link of another user"):
        sign_in(link)
    assert read(victim) == {"auths": {}}
    os.chown(victim, 4242, 4242)
    assert sign_in(link) and victim.stat().st_uid == 4242


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {}})
    os.chown(path, 4242, 4243)
    assert sign_in(path)
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (4242, 4243, 0o600)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(OciError, match=name):
            sign_in(tmp_path / name)
    write(tmp_path / "file", "{}")
    with pytest.raises(StorageError, match="file"):
        sign_in(tmp_path / "file" / "config.json")


# Several at once, and a sudden end.


def test_tasks_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"

    def many(number: int) -> None:
        for count in range(10):
            log_in(target_of(f"r{number}.example/{count}"), f"user{number}", "pw", str(path), False)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(many, range(4)))
    assert len(read(path)["auths"]) == 40 and os.listdir(tmp_path) == ["config.json"]


def test_a_failing_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "config.json", {"auths": {"r.example": auth("a:b")}})

    def full(*unused: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(login.files.os, "replace", full)
    with pytest.raises(StorageError, match="no space"):
        sign_in(path)
    assert read(path) == {"auths": {"r.example": auth("a:b")}} and os.listdir(tmp_path) == ["config.json"]


# Credential helpers.

HELPER = """\
import json, pathlib, sys
kept = pathlib.Path({kept!r})
held = json.loads(kept.read_text()) if kept.exists() else {{}}
words = sys.stdin.read()
if sys.argv[1] == "get":
    if words.strip() not in held:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(held[words.strip()]))
elif sys.argv[1] == "store":
    given = json.loads(words)
    if given["Username"] == "refused":
        print("cannot keep " + given["Secret"])
        sys.exit(1)
    held[given.pop("ServerURL")] = given
else:
    del held[words.strip()]
kept.write_text(json.dumps(held))
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what the helper ``docker-credential-test`` keeps."""
    kept = tmp_path / "kept.json"
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    program = bin_directory / "docker-credential-test"
    program.write_text(f"#!{sys.executable}\n" + HELPER.format(kept=str(kept)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_directory}{os.pathsep}{os.environ['PATH']}")
    return kept


def test_a_store_keeps_the_password_and_the_file_lists_the_registry(tmp_path: Path, helper: Path) -> None:
    path = write(tmp_path / "config.json", {"credsStore": "test", "auths": {"r.example": auth("old:pw"), "o": {}}})
    assert sign_in(path, check=True) and not helper.exists()
    assert sign_in(path) and not sign_in(path)
    assert read(path) == {"credsStore": "test", "auths": {"r.example": {}, "o": {}}}
    assert read(helper) == {"r.example": {"Username": "alice", "Secret": "wonder:länd"}}
    assert found(path, "r.example") == ("alice", "wonder:länd")
    assert sign_in(path, password="new") and found(path, "r.example") == ("alice", "new")
    assert sign_in(path, "docker.io") and HUB in read(helper) and HUB in read(path)["auths"]
    assert sign_out(path, check=True) and "r.example" in read(helper)
    assert sign_out(path) and not sign_out(path)
    assert list(read(helper)) == [HUB] and list(read(path)["auths"]) == ["o", HUB]


def test_a_helper_of_one_registry_alone(tmp_path: Path, helper: Path) -> None:
    path = write(tmp_path / "config.json", {"credHelpers": {"https://r.example": "test"}, "auths": {"r.example": auth("old:pw")}})
    assert sign_in(path) and not sign_in(path) and sign_in(path, "other.example")
    assert read(path)["auths"] == {"other.example": auth("alice:wonder:länd")}
    assert list(read(helper)) == ["https://r.example"] and found(path, "r.example") == ("alice", "wonder:länd")
    assert sign_out(path) and not sign_out(path) and read(helper) == {}
    assert read(path)["credHelpers"] == {"https://r.example": "test"}


def test_a_helper_that_refuses_leaves_the_file_and_shows_no_secret(tmp_path: Path, helper: Path) -> None:
    path = write(tmp_path / "config.json", {"credsStore": "test", "auths": {"r.example": auth("old:pw")}})
    with pytest.raises(OciError, match="credential helper test of .* failed: .*cannot keep \\.\\.\\.") as caught:
        sign_in(path, username="refused", password="s3cret")
    assert "s3cret" not in caught.value.message
    assert read(path)["auths"] == {"r.example": auth("old:pw")}


def test_a_helper_that_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"credsStore": "nowhere"})
    for change in (sign_in, sign_out):
        with pytest.raises(OciError, match="docker-credential-nowhere"):
            change(path)
