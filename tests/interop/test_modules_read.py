# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_inspect, image_tags and registry_delete against real registries: what they see, and what they leave alone."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
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
from ansible_collections.longshore.oci.tests.servers.results import ok
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo

HTTP = {"plain_http": True}
LOGIN = {"username": USER, "password": PASSWORD}


def failure(result: Mapping[str, Any]) -> str:
    assert result.get("failed"), result
    assert "Traceback" not in str(result)
    return str(result["msg"])


def tags_of(registry: Registry, repository: str, skopeo: Skopeo) -> list[str]:
    """The tags that lead somewhere, as the reference client sees them."""
    return sorted(skopeo.tags(f"docker://{registry.host}/{repository}"))


def push_many(registry: Registry, repository: str, tags: Sequence[str]) -> dict[str, str]:
    """Another image for each tag."""
    return {
        tag: images.push(registry, repository, images.sample(["linux/amd64"], seed=seed), [tag])
        for seed, tag in enumerate(tags, start=1)
    }


@pytest.mark.parametrize("kind", [images.OCI, images.DOCKER])
@pytest.mark.parametrize("platforms", [["linux/amd64"], ["linux/amd64", "linux/arm64/v8"]], ids=["one", "many"])
def test_inspect_says_what_skopeo_says(
    registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo, kind: str, platforms: list[str]
) -> None:
    content = images.sample(platforms, kind=kind)
    digest = images.push(registry, repository, content, ["1.0", "latest"])
    name = f"{registry.host}/{repository}:1.0"
    mark = registry.mark()
    result = ok(module("image_inspect", name=name, platform="linux/amd64", raw=True, list_tags=True, **HTTP))
    seen = registry.requests_since(mark)
    (found,) = result["images"]
    theirs = skopeo.inspect(f"docker://{name}", None, "--override-arch", "amd64", "--override-os", "linux")

    assert result["changed"] is False
    assert found["digest"] == digest == theirs["Digest"]
    assert f"sha256:{hashlib.sha256(found['raw'].encode()).hexdigest()}" == digest
    assert found["created"] == theirs["Created"]
    assert found["labels"] == theirs["Labels"]
    assert (found["os"], found["architecture"]) == (theirs["Os"], theirs["Architecture"])
    assert [one["digest"] for one in found["layers"]] == theirs["Layers"]
    raw = skopeo.manifest(f"docker://{registry.host}/{repository}@{found['manifest_digest']}")
    assert [one["size"] for one in found["layers"]] == [one["size"] for one in raw["layers"]]
    assert found["config_digest"] == raw["config"]["digest"]
    assert found["size"] == raw["config"]["size"] + sum(one["size"] for one in raw["layers"])
    assert sorted(found["tags"]) == sorted(theirs["RepoTags"])
    assert [one["platform"] for one in found["platforms"]] == [one.removesuffix("/v8") for one in platforms]
    assert result["requests"] == len(seen)
    blobs = [one.target for one in seen if "/blobs/" in one.target]
    assert blobs == [f"/v2/{repository}/blobs/{found['config_digest']}"], "no layer is read"


def test_inspect_many_at_once_and_what_is_missing(registry: Registry, repository: str, module: ModuleRunner) -> None:
    pushed = push_many(registry, repository, [f"t{number}" for number in range(30)])
    names = [f"{registry.host}/{repository}:{tag}" for tag in pushed]
    wanted = [*names[:10], f"{registry.host}/{repository}:no", f"{registry.host}/no/such:1", *names[10:]]
    result = ok(module("image_inspect", name=wanted, **HTTP))
    assert [one["digest"] for one in result["images"]] == list(pushed.values())
    assert result["missing"] == wanted[10:12]


def test_inspect_an_oci_layout_without_a_registry(tmp_path: pathlib.Path, module: ModuleRunner) -> None:
    content = images.sample()
    images.write_layout(tmp_path / "layout", {"1.0": content})
    result = ok(module("image_inspect", name=f"oci:{tmp_path}/layout:1.0", platform="linux/arm64"))
    (found,) = result["images"]
    assert found["digest"] == content.digest
    assert (found["platform"], found["variant"]) == ("linux/arm64", "v8")
    assert result["requests"] == 0
    assert ok(module("image_inspect", name=f"oci:{tmp_path}/layout:2.0"))["missing"] == [f"oci:{tmp_path}/layout:2.0"]


def test_login_over_tls(registry_tls: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo) -> None:
    layout = module.home / "layout"
    images.write_layout(layout, {"1": images.sample(["linux/amd64"])})
    name = f"{registry_tls.host}/{repository}:1"
    skopeo.copy(f"oci:{layout}:1", f"docker://{name}", destination_credentials=CREDENTIALS)
    ca = {"ca_path": str(registry_tls.ca)}

    assert ok(module("image_inspect", name=name, **LOGIN, **ca))["images"][0]["tag"] == "1"
    message = failure(module("image_inspect", name=name, **LOGIN))
    assert "ca_path" in message
    wrong = module("image_inspect", name=name, username=USER, password="not the password", **ca)
    failure(wrong)
    assert wrong["status_code"] == 401
    assert "not the password" not in str(wrong)
    assert "plain_http" in failure(module("image_inspect", name=name, plain_http=True, **LOGIN))
    module.environment = {"LONGSHORE_USERNAME": USER, "LONGSHORE_PASSWORD": PASSWORD}
    found = ok(module("image_inspect", name=name, **ca))
    assert PASSWORD not in str(found)


def test_rights_by_token(
    registry_token: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo
) -> None:
    layout = module.home / "layout"
    images.write_layout(layout, {"1": images.sample(["linux/amd64"])})
    name = f"{registry_token.host}/{repository}"
    skopeo.copy(f"oci:{layout}:1", f"docker://{name}:1", destination_credentials=CREDENTIALS)
    reader = {"username": READER, "password": READER_PASSWORD, **HTTP}
    assert ok(module("image_inspect", name=f"{name}:1", **reader))["images"]
    assert ok(module("image_tags", repository=name, **reader))["tags"] == ["1"]
    message = failure(module("image_tags", repository=name, state="present", source="1", tags=["2"], **reader))
    assert "no right" in message
    assert ok(module("image_tags", repository=name, state="present", source="1", tags=["2"], **LOGIN, **HTTP))["changed"]
    assert ok(module("registry_delete", name=[f"{name}:1", f"{name}:2"], **LOGIN, **HTTP))["changed"]


def test_query(registry: Registry, repository: str, module: ModuleRunner) -> None:
    pushed = push_many(registry, repository, ["1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0", "nightly"])
    name = f"{registry.host}/{repository}"
    result = ok(module("image_tags", repository=name, semver=">=1", sort="version", order="descending", **HTTP))
    assert result["tags"] == ["2.0.0", "1.10.0", "1.9.0"]
    assert result["total"] == 5
    assert result["requests"] == 1
    result = ok(module("image_tags", repository=name, include=["n.*", "1.*"], exclude=[".*10.*"], details=True, **HTTP))
    assert {one["tag"]: one["digest"] for one in result["details"]} == {
        "1.9.0": pushed["1.9.0"],
        "nightly": pushed["nightly"],
    }
    assert all(one["created"].startswith("2026-01-01") for one in result["details"])
    assert ok(module("image_tags", repository=f"{registry.host}/no/such", **HTTP))["tags"] == []


def test_set_tags_and_again(registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo) -> None:
    digest = images.push(registry, repository, images.sample(), ["build"])
    old = images.push(registry, repository, images.sample(seed=7), ["stable"])
    tags = ["stable", *(f"r{number}" for number in range(20))]
    wish = {"repository": f"{registry.host}/{repository}", "state": "present", "source": "build", "tags": tags, **HTTP}

    mark = registry.mark()
    plan = ok(module("image_tags", check=True, **wish))
    assert registry.writes_since(mark) == []
    done = ok(module("image_tags", diff=True, **wish))
    assert {key: plan[key] for key in ("changed", "changes", "diff", "digest")} == {
        key: done[key] for key in ("changed", "changes", "diff", "digest")
    }
    assert done["diff"]["before"]["tags"]["stable"] == old
    assert done["diff"]["before"]["tags"]["r0"] is None
    writes = registry.writes_since(mark)
    assert sorted(one.path.rsplit("/", 1)[1] for one in writes) == sorted(tags), describe(writes)
    assert {skopeo.digest(f"docker://{registry.host}/{repository}:{tag}") for tag in tags} == {digest}

    mark = registry.mark()
    again = ok(module("image_tags", **{**wish, "source": digest}))
    assert again["changed"] is False
    assert {one.method for one in registry.requests_since(mark)} == {"HEAD"}
    assert again["requests"] == len(tags) + 1


def test_remove_tags_alone(registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo) -> None:
    digest = images.push(registry, repository, images.sample(), ["a", "b", "c"])
    name = f"{registry.host}/{repository}"
    wish = {"repository": name, "state": "absent", "tags": ["a", "b", "never"], **HTTP}
    refused = module("image_tags", **wish)
    assert "untag" in failure(refused)
    assert refused["refused"] == ["a", "b"]
    assert tags_of(registry, repository, skopeo) == ["a", "b", "c"]
    mark = registry.mark()
    assert ok(module("image_tags", check=True, untag=True, **wish))["changed"] is True
    assert registry.writes_since(mark) == []
    assert ok(module("image_tags", untag=True, **wish))["changed"] is True
    assert tags_of(registry, repository, skopeo) == ["c"]
    assert skopeo.digest(f"docker://{name}:c") == digest
    mark = registry.mark()
    assert ok(module("image_tags", untag=True, **wish))["changed"] is False
    assert registry.writes_since(mark) == []


def test_delete_by_name(registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo) -> None:
    kept = images.push(registry, repository, images.sample(seed=1), ["kept"])
    gone = images.push(registry, repository, images.sample(seed=2), ["x", "y"])
    name = f"{registry.host}/{repository}"
    wish = {"name": [f"{name}:x", f"{name}:y", f"{name}:z"], **HTTP}
    mark = registry.mark()
    plan = ok(module("registry_delete", check=True, **wish))
    assert registry.writes_since(mark) == []
    done = ok(module("registry_delete", **wish))
    assert done["changed"] is True
    assert done["deleted"] == plan["deleted"]
    assert done["bytes"] == plan["bytes"] > 0
    assert done["deleted"][0]["digest"] == gone
    assert done["deleted"][0]["tags"] == ["x", "y"]
    assert [one["what"] for one in done["deleted"]] == ["manifest", "child", "child"]
    assert done["missing"] == [f"{name}:z"]
    assert tags_of(registry, repository, skopeo) == ["kept"]
    assert skopeo.digest(f"docker://{name}:kept") == kept
    skopeo.copy(f"docker://{name}:kept", f"dir:{module.home / 'copy'}")
    mark = registry.mark()
    again = ok(module("registry_delete", **wish))
    assert again["changed"] is False
    assert registry.writes_since(mark) == []
    assert again["requests"] == 3


def test_a_deleted_image_can_be_pushed_again(registry: Registry, repository: str, module: ModuleRunner) -> None:
    content = images.sample()
    name = f"{registry.host}/{repository}:1"
    for dummy in range(2):
        images.push(registry, repository, content, ["1"])
        assert ok(module("registry_delete", name=name, **HTTP))["changed"] is True
        assert ok(module("image_inspect", name=name, **HTTP))["missing"] == [name]


def test_deletion_refuses_what_others_need(registry: Registry, repository: str, module: ModuleRunner) -> None:
    content = images.sample()
    assert isinstance(content, images.Index)
    images.push(registry, repository, content, ["multi"])
    name = f"{registry.host}/{repository}"
    child = f"{name}@{content.images[0].digest}"
    mark = registry.mark()
    assert "the index multi lists it" in failure(module("registry_delete", name=child, **HTTP))
    assert "the tag multi stands for it" in failure(module("registry_delete", name=f"{name}@{content.digest}", **HTTP))
    limited = module("registry_delete", name=f"{name}:multi", max_delete=0, **HTTP)
    assert "max_delete allows (0)" in failure(limited)
    assert registry.writes_since(mark) == []
    assert ok(module("registry_delete", name=child, force=True, **HTTP))["deleted"][0]["digest"] == content.images[0].digest


def test_signatures_go_with_what_they_sign(registry: Registry, repository: str, module: ModuleRunner) -> None:
    content = images.sample(["linux/amd64"])
    digest = images.push(registry, repository, content, ["1"])
    assert isinstance(content, images.Image)
    signature = images.image("linux/amd64", [], subject=content.manifest, artifact_type="application/vnd.example.sig")
    images.push(registry, repository, signature, [])
    fallback = images.index([signature])
    images.push(registry, repository, fallback, [digest.replace(":", "-")])
    name = f"{registry.host}/{repository}"
    kept = module("registry_delete", name=f"{name}:1", **HTTP)
    assert "refers to it" in failure(kept)
    done = ok(module("registry_delete", name=f"{name}:1", referrers=True, **HTTP))
    assert {one["digest"] for one in done["deleted"]} == {digest, signature.digest, fallback.digest}
    assert ok(module("image_tags", repository=name, **HTTP))["tags"] == []


def test_retention(registry: Registry, repository: str, module: ModuleRunner, skopeo: Skopeo) -> None:
    push_many(registry, repository, ["1.8.0", "1.9.0", "1.10.0", "2.0.0", "latest", "pr-1", "pr-2"])
    name = f"{registry.host}/{repository}"
    assert "at least one of include" in failure(module("registry_delete", repository=name, keep=["latest"], **HTTP))
    wish = {"repository": name, "semver": "1.x", "keep_last": 2, "newest_by": "version", **HTTP}
    plan = ok(module("registry_delete", check=True, **wish))
    assert [one["tags"] for one in plan["deleted"]] == [["1.8.0"]]
    assert {one["name"] for one in plan["kept"]} == {f"{name}:1.9.0", f"{name}:1.10.0"}
    ok(module("registry_delete", **wish))
    assert ok(module("registry_delete", **wish))["changed"] is False
    assert tags_of(registry, repository, skopeo) == ["1.10.0", "1.9.0", "2.0.0", "latest", "pr-1", "pr-2"]
    young = ok(module("registry_delete", repository=name, older_than="90000w", **HTTP))
    assert young["changed"] is False
    old = ok(module("registry_delete", repository=name, older_than="1d", keep=["latest", r"\d.*"], **HTTP))
    assert sorted(tag for one in old["deleted"] for tag in one["tags"]) == ["pr-1", "pr-2"]
    assert tags_of(registry, repository, skopeo) == ["1.10.0", "1.9.0", "2.0.0", "latest"]


def test_a_registry_that_deletes_nothing(module: ModuleRunner, repository: str) -> None:
    with Registry(delete=False) as registry:
        images.push(registry, repository, images.sample(["linux/amd64"]), ["1"])
        name = f"{registry.host}/{repository}"
        result = module("registry_delete", name=f"{name}:1", **HTTP)
        assert "delete.enabled" in failure(result)
        assert (result["status_code"], result["changed"], result["deleted"]) == (405, False, [])
        failure(module("image_tags", repository=name, state="absent", tags=["1"], untag=True, **HTTP))
        assert ok(module("image_tags", repository=name, **HTTP))["tags"] == ["1"]


def test_through_the_ansible_command(registry: Registry, repository: str, module: ModuleRunner) -> None:
    digest = images.push(registry, repository, images.sample(), ["1.0"])
    name = f"{registry.host}/{repository}"
    found = module.ansible("image_inspect", arguments=f"name={name}:1.0 plain_http=yes timeout=20 parallel=2 username=")
    assert found["images"][0]["digest"] == digest
    assert module.ansible("image_info", name=f"{name}:1.0", **HTTP)["images"][0]["digest"] == digest
    done = module.ansible("image_tags", arguments=f"repository={name} state=present source=1.0 tags=a,b plain_http=yes")
    assert done["changed"] is True
    gone = module.ansible("registry_delete", arguments=f"name={name}:1.0,{name}:a,{name}:b plain_http=yes", check=True)
    assert gone["deleted"][0]["tags"] == ["1.0", "a", "b"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "127.0.0.1:1/a/b:1"}, "127.0.0.1:1"),
        ({"name": "no-such-host.invalid/a/b:1"}, "no-such-host.invalid"),
        ({"name": "r.example/UPPER:1"}, "it must be lower case"),
        ({"name": "nonsense:/a:1"}, "unknown transport 'nonsense:'"),
        ({"name": "oci:/no/such/place:1"}, "/no/such/place"),
        ({"name": "r.example/a:1", "platform": "amd64"}, "invalid platform 'amd64'"),
        ({"name": "r.example/a:1", "username": "a:b", "password": "x"}, "must not hold ':'"),
        ({"name": "r.example/a:1", "auth_file": "/no/such/file"}, "/no/such/file"),
        ({"name": "r.example/a:1", "ca_path": "/no/such/file"}, "/no/such/file"),
    ],
)
def test_bad_input_is_one_clear_sentence(module: ModuleRunner, options: dict[str, Any], words: str) -> None:
    result = module("image_inspect", retries=0, **options)
    message = failure(result)
    assert words in message
    assert "unexpected" not in message, message
    assert "\n" not in message
