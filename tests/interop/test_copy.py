# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_copy between real registries, layouts, archives and directories, with skopeo reading and writing the same."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import CREDENTIALS, PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok
from ansible_collections.longshore.oci.tests.servers.skopeo import layout

PLAIN = {"src_plain_http": True, "dest_plain_http": True}


@pytest.fixture(params=[images.OCI, images.DOCKER])
def pushed(request, registry, repository):
    """An index of two platforms in the first registry, in OCI's and in Docker's media types."""
    content = images.sample(kind=request.param)
    images.push(registry, repository, content, ["1.0"])
    return f"{registry.host}/{repository}:1.0", content.digest


def test_copy_is_byte_exact_idempotent_and_told_beforehand(module, registry, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    dest = f"{second_registry.host}/{repository}:1.0"
    options = {"src": src, "dest": dest, **PLAIN}
    mark = second_registry.mark()
    would = ok(module("image_copy", check=True, diff=True, **options))
    assert not second_registry.writes_since(mark)
    did = ok(module("image_copy", diff=True, **options))
    for fact in ("changed", "digest", "digest_before", "bytes_transferred", "blobs", "diff"):
        assert would[fact] == did[fact], fact
    assert did["changed"] and did["digest"] == digest and did["diff"]["after"] == {dest: digest}
    assert skopeo.digest(f"docker://{dest}") == digest
    marks = registry.mark(), second_registry.mark()
    again = ok(module("image_copy", **options))
    assert not again["changed"] and again["bytes_transferred"] == 0
    for one, since in zip((registry, second_registry), marks):
        assert not one.writes_since(since), describe(one.writes_since(since))
        # No-op cost: one HEAD at each side per tag.
        assert [entry.method for entry in one.requests_since(since)] == ["HEAD"]


def test_a_repository_of_the_same_registry_gets_its_blobs_by_mount(module, registry, skopeo, repository, pushed):
    src, digest = pushed
    dest = f"{registry.host}/{repository}/promoted:1.0"
    result = ok(module("image_copy", src=src, dest=dest, **PLAIN))
    assert result["blobs"]["copied"] == 0 and result["blobs"]["mounted"] > 0 and result["bytes_transferred"] == 0
    assert skopeo.digest(f"docker://{dest}") == digest


def test_tag_and_digest_fetches_by_digest_and_keeps_the_tag(module, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    result = ok(module("image_copy", src=f"{src}@{digest}", dest=f"{second_registry.host}/{repository}:kept@{digest}", **PLAIN))
    assert result["digest"] == digest
    assert skopeo.digest(f"docker://{second_registry.host}/{repository}:kept") == digest


def test_additional_tags(module, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    base = f"{second_registry.host}/{repository}"
    options = {"src": src, "dest": f"{base}:1.0", "additional_tags": ["1", "stable"], **PLAIN}
    ok(module("image_copy", **options))
    assert {skopeo.digest(f"docker://{base}:{tag}") for tag in ("1.0", "1", "stable")} == {digest}
    mark = second_registry.mark()
    assert not ok(module("image_copy", **options))["changed"]
    assert not second_registry.writes_since(mark)


def test_one_platform_becomes_an_index_of_one(module, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    options = {"src": src, "dest": f"{second_registry.host}/{repository}:1.0", "platforms": ["linux/arm64"], **PLAIN}
    result = ok(module("image_copy", **options))
    found = skopeo.manifest(f"docker://{second_registry.host}/{repository}:1.0")
    assert [entry["platform"]["architecture"] for entry in found["manifests"]] == ["arm64"]
    assert result["digest"] == skopeo.digest(f"docker://{second_registry.host}/{repository}:1.0") != digest
    assert not ok(module("image_copy", **options))["changed"]


def test_many_images_in_one_task_move_a_shared_layer_once(module, registry, second_registry, repository):
    base = images.noise_layer(300_000, seed=1)
    copies = []
    for number in range(12):
        content = images.image("linux/amd64", [base, images.noise_layer(1000, seed=100 + number)])
        images.push(registry, f"{repository}/{number}", content, ["1"])
        copies.append(
            {"src": f"{registry.host}/{repository}/{number}:1", "dest": f"{second_registry.host}/{repository}/{number}:1"}
        )
    mark, from_mark = second_registry.mark(), registry.mark()
    result = ok(module("image_copy", images=copies, **PLAIN))
    assert result["blobs"]["mounted"] == 11
    downloads = [
        one for one in registry.requests_since(from_mark) if one.method == "GET" and images.sha256(base.data) in one.target
    ]
    assert len(downloads) == 1
    assert [image["state"] for image in result["images"]] == ["copied"] * 12
    mark = second_registry.mark()
    again = ok(module("image_copy", images=copies, **PLAIN))
    assert not again["changed"] and again["requests"] == 24
    assert not second_registry.writes_since(mark)


def test_one_missing_image_leaves_the_others_alone(module, registry, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    base = f"{second_registry.host}/{repository}"
    copies = [{"src": f"{registry.host}/nobody/nothing:1", "dest": f"{base}:no"}, {"src": src, "dest": f"{base}:yes"}]
    result = module("image_copy", images=copies, **PLAIN)
    assert result["failed"] and "1 of 2 images failed" in result["msg"] and "nobody/nothing" in result["msg"]
    assert [image["state"] for image in result["images"]] == ["failed", "copied"]
    assert result["status_code"] == 404
    assert skopeo.tags(f"docker://{base}") == ["yes"]


@pytest.mark.parametrize("where", ["oci", "dir", "oci-archive", "docker-archive"])
def test_out_of_a_registry_and_back(module, registry, second_registry, skopeo, repository, pushed, tmp_path, where):
    src, digest = pushed
    place = f"{where}:{tmp_path}/place" + ("" if where == "dir" else ":example.org/app:1.0")
    assert ok(module("image_copy", src=src, dest=place, src_plain_http=True))["digest"] == digest
    again = ok(module("image_copy", src=src, dest=place, src_plain_http=True))
    assert not again["changed"]
    if where == "dir" or (
        where != "docker-archive" and skopeo.manifest(f"docker://{src}")["mediaType"].startswith("application/vnd.oci")
    ):
        # Not as docker-archive, of which skopeo sees one platform in a manifest that it makes itself, and not what is
        # of Docker's media types in a layout, where skopeo looks for OCI's alone.
        assert skopeo.digest(place) == digest
    back = f"{second_registry.host}/{repository}:back"
    result = ok(module("image_copy", src=place, dest=back, dest_plain_http=True))
    assert result["digest"] == digest == skopeo.digest(f"docker://{back}")


@pytest.mark.parametrize("where", ["oci", "dir", "oci-archive"])
def test_what_skopeo_writes_is_read(module, registry, second_registry, skopeo, repository, tmp_path, where):
    content = images.sample(kind=images.OCI)
    images.push(registry, repository, content, ["1.0"])
    place = f"{where}:{tmp_path}/place" + ("" if where == "dir" else ":app:1.0")
    skopeo.copy(f"docker://{registry.host}/{repository}:1.0", place)
    result = ok(module("image_copy", src=place, dest=f"{second_registry.host}/{repository}:1.0", dest_plain_http=True))
    assert result["digest"] == content.digest == skopeo.digest(f"docker://{second_registry.host}/{repository}:1.0")


def test_tls_with_a_password(module, registry, registry_tls, skopeo, repository, pushed):
    src, digest = pushed
    dest = f"{registry_tls.host}/{repository}:1.0"
    options = {"src": src, "dest": dest, "src_plain_http": True, "dest_ca_path": str(registry_tls.ca)}
    options |= {"dest_username": USER, "dest_password": PASSWORD}
    ok(module("image_copy", **options))
    assert skopeo.digest(f"docker://{dest}", CREDENTIALS) == digest
    assert not ok(module("image_copy", **options))["changed"]


def test_token_authentication(module, registry, registry_token, token_server, skopeo, repository, pushed):
    src, digest = pushed
    base = f"{registry_token.host}/{repository}"
    options = {**PLAIN, "dest_username": USER, "dest_password": PASSWORD}
    ok(module("image_copy", src=src, dest=f"{base}:1.0", **options))
    assert skopeo.digest(f"docker://{base}:1.0", CREDENTIALS) == digest
    # Within the registry: the mount needs a token that speaks of both repositories.
    both = {**options, "src_username": USER, "src_password": PASSWORD}
    result = ok(module("image_copy", src=f"{base}:1.0", dest=f"{base}/other:1.0", **both))
    assert result["blobs"]["copied"] == 0


def test_an_auth_file_serves_both_ends(module, registry_tls, registry_token, repository, tmp_path):
    import base64

    content = images.sample()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {registry_tls.host: {"auth": auth}, f"{registry_token.host}/test": {"auth": auth}}}))
    where = images.write_layout(tmp_path / "layout", {"1.0": content})
    first = f"{registry_tls.host}/{repository}:1.0"
    shared = {"auth_file": str(path)}
    ok(module("image_copy", src=layout(where, "1.0"), dest=first, dest_ca_path=str(registry_tls.ca), **shared))
    second = f"{registry_token.host}/{repository}:1.0"
    ok(module("image_copy", src=first, dest=second, src_ca_path=str(registry_tls.ca), dest_plain_http=True, **shared))


# What was typed wrong or is not there: one sentence that names it, no traceback, nothing changed.
WRONG = [
    ({"src": "Upper/Case:1"}, "lower case"),
    ({"src": "a:b:c"}, "invalid image reference 'a:b:c'"),
    ({"src": "ftp:/tmp/x"}, "unknown transport 'ftp:'"),
    ({"src": "oci:/nonexistent/layout:x"}, "/nonexistent/layout"),
    ({"src": "oci-archive:/etc/hostname"}, "/etc/hostname"),
    ({"src": "127.0.0.1:1/app:1"}, "127.0.0.1:1"),
    ({"src": "no-such-host.invalid/app:1"}, "no-such-host.invalid"),
    ({"src": "user:secret@127.0.0.1:1/app:1"}, "credentials do not belong"),
    ({"src": "https://127.0.0.1/app:1"}, "leave out the scheme"),
    ({"src": "{registry}/no/such:1"}, "no/such"),
    ({"src": "{registry}/no/such:1", "platforms": ["amd64"]}, "invalid platform 'amd64'"),
    ({"src": "{tls}/no/such:1", "src_plain_http": False}, "certificate"),
    ({"src": "{tls}/no/such:1", "src_plain_http": False, "src_ca_path": "{ca}"}, "username"),
    (
        {
            "src": "{tls}/no/such:1",
            "src_plain_http": False,
            "src_ca_path": "{ca}",
            "src_username": "u",
            "src_password": "wr0ng-pass",
        },
        "credentials",
    ),
    ({"src": "{tls}/no/such:1"}, "plain_http"),
    ({"src": "{registry}/no/such:1", "src_plain_http": False}, "plain_http"),
]


@pytest.mark.parametrize(
    ("options", "words"), WRONG, ids=[f"{number}-{words[:20]}" for number, (unused, words) in enumerate(WRONG)]
)
def test_wrong_input(module, registry, second_registry, registry_tls, repository, options, words):
    known = {"registry": registry.host, "tls": registry_tls.host, "ca": str(registry_tls.ca)}
    filled = {key: value.format(**known) if isinstance(value, str) else value for key, value in options.items()}
    mark = second_registry.mark()
    dest = f"{second_registry.host}/{repository}:1"
    result = module("image_copy", **{"dest": dest, "dest_plain_http": True, "src_plain_http": True, "retries": 1, **filled})
    assert result["failed"] and words in result["msg"], result["msg"]
    assert "\n" not in result["msg"] and len(result["msg"]) < 500
    assert "exception" not in result and "Traceback" not in json.dumps(result)
    assert "wr0ng-pass" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})
    assert not second_registry.writes_since(mark)


def test_two_images_for_one_destination_are_refused_before_anything_moves(module, registry, second_registry, repository, pushed):
    src, digest = pushed
    images.push(registry, f"{repository}/other", images.sample(seed=5), ["1.0"])
    dest = f"{second_registry.host}/{repository}:1"
    copies = [{"src": src, "dest": dest}, {"src": f"{registry.host}/{repository}/other:1.0", "dest": dest}]
    mark = second_registry.mark()
    result = module("image_copy", images=copies, **PLAIN)
    assert result["failed"] and "two images for one destination" in result["msg"]
    assert not second_registry.requests_since(mark)


def test_ad_hoc_in_the_flat_form(module, registry, second_registry, skopeo, repository, pushed):
    src, digest = pushed
    dest = f"{second_registry.host}/{repository}:adhoc"
    result = ok(
        module.ansible("image_copy", arguments=f"src={src} dest={dest} src_plain_http=true dest_plain_http=true parallel=4")
    )
    assert result["changed"] and skopeo.digest(f"docker://{dest}") == digest
