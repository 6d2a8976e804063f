# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of ``skopeo sync``: image_sync and the real skopeo make the same of them."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from ansible_collections.longshore.oci.tests.interop.accounts import PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.results import ok

TAGS = ["1.0", "1.1", "1.1-alpine", "1.10", "2.0", "v2.1", "10.1.0", "latest", "edge-1.1", "RC1"]


@pytest.fixture(scope="module")
def sources():
    """Two registries, plain and with TLS and a password, each with two repositories of `TAGS`; and the digests."""
    content = {tag: images.sample(["linux/amd64", "linux/arm64"], layer_size=64, seed=number) for number, tag in enumerate(TAGS)}
    with Registry() as plain, Registry(storage=plain.storage, tls=True, users={USER: PASSWORD}) as secured:
        for repository in ("team/app", "tool"):
            for tag, image in content.items():
                images.push(plain, repository, image, [tag])
        yield plain, secured, {tag: image.digest for tag, image in content.items()}


def everything(registry, prefix):
    """Every tag below ``prefix`` with its digest, as the registry tells it."""
    found = {}
    for repository in json.loads(registry.request("GET", "/v2/_catalog?n=1000")[2])["repositories"]:
        if repository.startswith(prefix):
            answer = registry.request("GET", f"/v2/{repository}/tags/list")
            for tag in json.loads(answer[2])["tags"] or []:
                fields = {"Accept": ", ".join(kinds["index"] for kinds in images.MEDIA_TYPES.values())}
                head = registry.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=fields)[1]
                found[f"{repository[len(prefix):]}:{tag}"] = head["docker-content-digest"]
    return found


def document(sources, tmp_path):
    plain, secured, digests = sources
    certs = tmp_path / "certs"
    certs.mkdir()
    shutil.copy(secured.ca, certs / "ca.crt")
    return {
        plain.host: {
            "images": {"team/app": ["1.0", "latest"]},
            "images-by-tag-regex": {"tool": r"^\d+\.1|(?i)rc[[:digit:]]$"},
            "tls-verify": False,
        },
        secured.host: {
            "images": {"tool": []},
            "images-by-tag-regex": {"team/app": r"\.1(-alpine)?\z"},
            "credentials": {"username": USER, "password": PASSWORD},
            "tls-verify": True,
            "cert-dir": str(certs),
        },
    }


@pytest.mark.parametrize("scoped", [False, True])
def test_the_same_images_under_the_same_names_as_skopeo(module, skopeo, second_registry, repository, sources, tmp_path, scoped):
    wanted = document(sources, tmp_path)
    if not scoped:
        # Names without their host collide, which skopeo does not mind: its last copy wins.
        wanted = {host: {**content, "images": {}} for host, content in wanted.items()}
    path = tmp_path / "sync.yml"
    path.write_text(yaml.safe_dump(wanted))
    theirs, ours = f"{repository}/theirs", f"{repository}/ours"
    options = ["--all", "--dest-tls-verify=false", "--src", "yaml", "--keep-going"]
    if scoped:
        # A port cannot stand in a repository's name, so that skopeo can scope what goes into directories only.
        tree = tmp_path / "tree"
        skopeo.run("sync", *options, "--scoped", "--dest", "dir", str(path), str(tree))
        expected = sorted(str(one.parent.relative_to(tree)) for one in tree.rglob("manifest.json"))
        mine = tmp_path / "mine"
        result = ok(module("image_sync", skopeo_yaml=str(path), dest=[f"dir:{mine}"], scoped=True))
        assert sorted(str(one.parent.relative_to(mine)) for one in mine.rglob("manifest.json")) == expected
        assert len(expected) == result["counts"]["copied"] == 2 + 5 + 10 + 4
        return
    skopeo.run("sync", *options, "--dest", "docker", str(path), f"{second_registry.host}/{theirs}")
    mark = sources[0].mark()
    result = ok(module("image_sync", skopeo_yaml=path.read_text(), dest=[f"{second_registry.host}/{ours}"], dest_plain_http=True))
    expected = everything(second_registry, theirs)
    assert everything(second_registry, ours) == expected and len(expected) == result["counts"]["copied"] == 5 + 4
    assert PASSWORD not in json.dumps(result)
    assert sources[0].requests_since(mark)
    again = ok(module("image_sync", skopeo_yaml=wanted, dest=[f"{second_registry.host}/{ours}/"], dest_plain_http=True))
    assert not again["changed"] and PASSWORD not in json.dumps(again)


def test_digests_are_copied_by_digest_as_skopeo_does(module, skopeo, second_registry, repository, sources, tmp_path):
    plain, unused, digests = sources
    path = tmp_path / "sync.yml"
    # Unquoted: to skopeo a tag is the text that it is written as.
    path.write_text(f"{plain.host}:\n  tls-verify: false\n  images:\n    team/app: [1.10, {digests['2.0']}]\n")
    base = f"{second_registry.host}/{repository}"
    skopeo.run("sync", "--all", "--dest-tls-verify=false", "--src", "yaml", "--dest", "docker", str(path), f"{base}/theirs")
    ok(module("image_sync", skopeo_yaml=str(path), dest=[f"{base}/ours"], dest_plain_http=True))
    for name in ("theirs", "ours"):
        assert skopeo.tags(f"docker://{base}/{name}/app") == ["1.10"]
        assert skopeo.digest(f"docker://{base}/{name}/app@{digests['2.0']}") == digests["2.0"]


def test_a_range_of_versions(module, second_registry, repository, sources):
    plain, unused, digests = sources
    # Newer than Debian's skopeo: compared with what Masterminds/semver says of itself, in the unit tests.
    wanted = {plain.host: {"tls-verify": False, "images-by-semver": {"team/app": ">= 1.1, < 10"}}}
    dest = [f"{second_registry.host}/{repository}"]
    result = ok(module("image_sync", check=True, skopeo_yaml=wanted, dest=dest, dest_plain_http=True))
    assert sorted(one["dest"].rpartition(":")[2] for one in result["images"]) == ["1.1", "1.10", "2.0", "v2.1"]


def test_a_repository_that_is_not_there_is_a_failure_where_skopeo_keeps_silent(module, second_registry, repository, sources):
    plain = sources[0]
    wanted = {plain.host: {"tls-verify": False, "images": {"nowhere": []}, "images-by-tag-regex": {"tool": "^latest$"}}}
    dest = [f"{second_registry.host}/{repository}"]
    failed = module("image_sync", skopeo_yaml=wanted, dest=dest, dest_plain_http=True)
    assert failed["failed"] and failed["counts"]["failed"] == failed["counts"]["copied"] == 1


def test_wrong_credentials_are_not_shown(module, second_registry, repository, sources, tmp_path):
    secured = sources[1]
    secret = "not-the-password-of-anybody"
    text = yaml.safe_dump({
        secured.host: {"images": {"tool": ["1.0"]}, "credentials": {"username": USER, "password": secret}, "tls-verify": False}
    })
    path = tmp_path / "sync.yml"
    path.write_text(text)
    for given in (text, str(path), yaml.safe_load(text)):
        failed = module("image_sync", skopeo_yaml=given, dest=[f"{second_registry.host}/{repository}"], dest_plain_http=True)
        assert failed["failed"] and failed["counts"]["failed"] == 1
        assert secret not in json.dumps(failed)
    shown = module.ansible("image_sync", skopeo_yaml=text, dest=[f"{second_registry.host}/{repository}"], dest_plain_http=True)
    assert shown["failed"] and secret not in json.dumps(shown)
