# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_info against registries of every kind: what it tells is so, and it leaves no trace."""

from __future__ import annotations

import base64
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import (
    CREDENTIALS,
    PASSWORD,
    READER,
    READER_PASSWORD,
    USER,
)
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.tokens import TokenServer

HTTP = {"plain_http": True}
LOGIN = {"username": USER, "password": PASSWORD}
EVERYTHING = {"catalog": True, "sizes": True, "features": True}
READS = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def filled() -> Iterator[Registry]:
    """A registry of its own, whose repositories share some of what they hold."""
    with Registry() as running:
        shared = images.sample(layer_size=5000, seed=1)
        images.push(running, "team/app", shared, ["1.0", "latest"])
        images.push(running, "team/app", images.sample(["linux/amd64"], layer_size=3000, seed=2), ["1.1"])
        images.push(running, "team/copy", shared, ["1.0"])
        images.push(running, "team/docker", images.sample(kind=images.DOCKER, seed=3), ["1"])
        yield running


def ok(result: Mapping[str, Any]) -> Mapping[str, Any]:
    assert not result.get("failed"), result.get("msg")
    assert result["changed"] is False
    return result


def blobs_of(registry: Registry) -> dict[str, int]:
    """The size of every blob in the storage."""
    root = registry.storage / "docker/registry/v2/blobs"
    return {path.parent.name: path.stat().st_size for path in root.rglob("data")}


def tree(root: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the storage, with its time and what it holds.

    Without what distribution 2.8 writes after it has cancelled an upload: the state of a hash of nothing.
    """
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.parent.parent.name != "hashstates"]
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_greeting_is_one_request(filled: Registry, module: ModuleRunner) -> None:
    mark = filled.mark()
    found = ok(module("registry_info", registry=filled.host, **HTTP))
    assert describe(filled.requests_since(mark)) == "GET /v2/ 200"
    assert found["requests"] == 1
    assert found["ping"]["status"] == 200
    assert 0 < found["ping"]["seconds"] < 10
    assert found["api_version"] == "registry/2.0"
    assert found["auth"]["kind"] == "none"
    assert found["login"] is None
    assert not {"repositories", "sizes", "features"} & set(found)


def test_sizes_are_those_of_the_storage(filled: Registry, module: ModuleRunner) -> None:
    mark = filled.mark()
    found = ok(module("registry_info", registry=filled.host, catalog=True, sizes=True, **HTTP))
    seen = filled.requests_since(mark)
    assert found["repositories"] == ["team/app", "team/copy", "team/docker"]
    assert found["total_size"] == sum(blobs_of(filled).values())
    sizes = {row["repository"]: row for row in found["sizes"]}
    assert [sizes[name]["tags"] for name in found["repositories"]] == [3, 1, 1]
    assert [sizes[name]["manifests"] for name in found["repositories"]] == [4, 3, 3]
    assert all(row["complete"] for row in found["sizes"])
    for name, row in sizes.items():
        # What the registry links to a repository is what that holds.
        links = (filled.storage / "docker/registry/v2/repositories" / name).rglob("link")
        linked = {link.read_text().partition(":")[2] for link in links}
        assert row["size"] == sum(size for digest, size in blobs_of(filled).items() if digest in linked)
    assert not [one.target for one in seen if "/blobs/" in one.target], "no layer and no configuration is read"
    assert {one.method for one in seen} == {"GET", "HEAD"}
    assert len(seen) == 1 + 1 + 3 + 5 + 10, describe(seen)


def test_some_repositories(filled: Registry, module: ModuleRunner) -> None:
    names = ["team/copy", f"{filled.host}/team/docker", "team/none"]
    found = ok(module("registry_info", registry=filled.host, sizes=True, repositories=names, **HTTP))
    assert [row["repository"] for row in found["sizes"]] == ["team/copy", "team/docker"]
    assert found["missing"] == ["team/none"]
    assert found["total_size"] == sum(row["size"] for row in found["sizes"])
    assert "repositories" not in found


@pytest.mark.parametrize("check", [True, False])
def test_nothing_changes(filled: Registry, module: ModuleRunner, check: bool) -> None:
    before = tree(filled.storage)
    mark = filled.mark()
    found = ok(module("registry_info", check=check, registry=filled.host, **EVERYTHING, **HTTP))
    probed = ok(
        module("registry_info", check=check, registry=filled.host, probe_uploads=True, repositories=["team/app"], **HTTP)
    )
    methods = {one.method for one in filled.requests_since(mark)}
    assert tree(filled.storage) == before
    assert methods <= READS if check else methods == {*READS, "POST", "DELETE"}
    assert found["features"] == {
        "catalog": True,
        "referrers": False,
        "read_only": False,
        "delete": None if check else True,
        "tag_delete": None if check else False,
        "uploads": None,
        "extensions": [],
    }
    assert probed["features"]["uploads"] is (None if check else True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"readonly": True}, {"read_only": True, "delete": False, "tag_delete": False, "uploads": False}),
        ({"delete": False}, {"read_only": False, "delete": False, "tag_delete": False, "uploads": True}),
        ({}, {"read_only": False, "delete": True, "tag_delete": False, "uploads": True}),
    ],
    ids=["read-only", "no-delete", "as-usual"],
)
def test_what_it_can_do(settings: Any, expected: Mapping[str, bool], module: ModuleRunner) -> None:
    with Registry(**settings) as registry:
        # An empty registry, which is asked about a repository that it does not have.
        found = ok(module("registry_info", registry=registry.host, features=True, probe_uploads=True, **HTTP))
        assert {name: found["features"][name] for name in expected} == expected
        assert found["features"]["referrers"] is False
        assert found["features"]["catalog"] is True
        again = ok(module("registry_info", registry=registry.host, catalog=True, sizes=True, **HTTP))
        assert (again["repositories"], again["sizes"], again["total_size"]) == ([], [], 0)


def test_a_pull_through_cache(filled: Registry, module: ModuleRunner) -> None:
    with Registry(config={"proxy": {"remoteurl": filled.url}}) as cache:
        options = {"registry": cache.host, "repositories": ["team/app"], "features": True, **HTTP}
        assert ok(module("registry_info", **options))["features"]["delete"] is False
        probed = ok(module("registry_info", **options, probe_uploads=True))["features"]
        assert (probed["read_only"], probed["uploads"]) == (True, False)


def test_tls_and_users(registry_tls: Registry, repository: str, module: ModuleRunner) -> None:
    options = {"registry": registry_tls.host, "ca_path": str(registry_tls.ca)}
    auth = base64.b64encode(CREDENTIALS.encode()).decode()
    images.push(registry_tls, repository, images.sample(["linux/amd64"]), ["1"], authorization=f"Basic {auth}")

    stranger = ok(module("registry_info", **options, **EVERYTHING))
    assert stranger["ping"]["status"] == 401
    assert stranger["auth"] == {"kind": "basic", "realm": "longshore", "service": None}
    assert (stranger["login"], stranger["repositories"], stranger["sizes"]) == (None, None, None)
    assert any("cannot be listed" in str(text) for text in stranger["warnings"])

    known = ok(module("registry_info", **options, **LOGIN, **EVERYTHING))
    assert known["login"] == {"source": "username and password as given", "accepted": True, "message": ""}
    assert repository in known["repositories"]
    assert known["features"]["delete"] is True
    assert "warnings" not in known

    wrong = ok(module("registry_info", **options, username=USER, password="not-the-password"))
    assert wrong["login"]["accepted"] is False
    assert "rejected the credentials" in wrong["login"]["message"]
    assert "not-the-password" not in str(wrong)

    module.environment = {"LONGSHORE_USERNAME": USER, "LONGSHORE_PASSWORD": PASSWORD}
    assert ok(module("registry_info", **options))["login"]["accepted"] is True
    failed = module("registry_info", registry=registry_tls.host)
    assert failed["failed"]
    assert "ca_path" in failed["msg"]


def test_an_auth_file(registry_tls: Registry, module: ModuleRunner, tmp_path: pathlib.Path) -> None:
    auth = base64.b64encode(CREDENTIALS.encode()).decode()
    file = tmp_path / "auth.json"
    file.write_text(f'{{"auths": {{"{registry_tls.host}": {{"auth": "{auth}"}}}}}}')
    found = ok(module("registry_info", registry=registry_tls.host, ca_path=str(registry_tls.ca), auth_file=str(file)))
    assert found["login"]["accepted"] is True
    assert str(file) in found["login"]["source"]


def test_tokens(
    registry_token: Registry, token_server: TokenServer, repository: str, module: ModuleRunner
) -> None:
    options = {"registry": registry_token.host, "repositories": [repository], "sizes": True, "features": True, **HTTP}
    token = token_server.issue(USER, [f"repository:{repository}:pull,push"])
    images.push(registry_token, repository, images.sample(["linux/amd64"]), ["1"], authorization=f"Bearer {token}")

    mine = ok(module("registry_info", **options, **LOGIN, probe_uploads=True))
    assert mine["auth"]["kind"] == "bearer"
    assert mine["auth"]["realm"].startswith("http://127.0.0.1")
    assert mine["auth"]["service"]
    assert mine["login"]["accepted"] is True
    assert (mine["features"]["delete"], mine["features"]["uploads"], mine["features"]["read_only"]) == (True, True, False)
    assert mine["sizes"][0]["size"] == mine["total_size"] > 0

    reader = {"username": READER, "password": READER_PASSWORD}
    theirs = ok(module("registry_info", **options, **reader, probe_uploads=True))
    assert theirs["login"]["accepted"] is True
    assert (theirs["features"]["delete"], theirs["features"]["uploads"]) == (None, False)
    assert theirs["sizes"] == mine["sizes"]

    wrong = ok(module("registry_info", registry=registry_token.host, username=USER, password="not-the-password", **HTTP))
    assert wrong["login"]["accepted"] is False
    assert "not-the-password" not in str(wrong)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"registry": "https://registry.example.com"}, "invalid registry"),
        ({"registry": "registry.example.com/team"}, "invalid registry"),
        ({"registry": "127.0.0.1:1", "retries": 0}, "127.0.0.1:1"),
        ({"registry": "127.0.0.1:1", "repositories": ["a:b"]}, "a:b"),
    ],
)
def test_what_fails(module: ModuleRunner, options: dict[str, Any], words: str) -> None:
    result = module("registry_info", **options)
    assert result["failed"]
    assert words in result["msg"]
    assert "Traceback" not in str(result)
