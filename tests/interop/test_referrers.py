# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refers to an image travels with it, on registries without a referrers API: by the fallback tag (R1.56-R1.58)."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok

SIGNATURE = "application/vnd.example.signature.v1+json"
PLAIN = {"src_plain_http": True, "dest_plain_http": True}


@pytest.fixture
def signed(registry, repository):
    """An image with a signature that the fallback tag of its digest leads to: (reference, digest, signature's digest)."""
    content = images.sample(["linux/amd64"])
    images.push(registry, repository, content, ["1.0"])
    empty = images.push_blob(registry, repository, b"{}")
    words = b'{"signed": "yes"}'
    layer = images.push_blob(registry, repository, words)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": images.MEDIA_TYPES[images.OCI]["manifest"],
            "artifactType": SIGNATURE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
            "layers": [{"mediaType": SIGNATURE, "digest": layer, "size": len(words)}],
            "subject": content.top.descriptor,
        }
    ).encode()
    digest = images.sha256(manifest)
    entry = {
        "mediaType": images.MEDIA_TYPES[images.OCI]["manifest"],
        "digest": digest,
        "size": len(manifest),
        "artifactType": SIGNATURE,
    }
    index = {"schemaVersion": 2, "mediaType": images.MEDIA_TYPES[images.OCI]["index"], "manifests": [entry]}
    for target, body, kind in (
        (digest, manifest, "manifest"),
        (content.digest.replace(":", "-"), json.dumps(index).encode(), "index"),
    ):
        fields = {"Content-Type": images.MEDIA_TYPES[images.OCI][kind]}
        assert registry.request("PUT", f"/v2/{repository}/manifests/{target}", body, fields)[0] == 201
    return f"{registry.host}/{repository}:1.0", content.digest, digest


def fallback(registry, repository, digest):
    """The digests that the fallback tag lists."""
    fields = {"Accept": images.MEDIA_TYPES[images.OCI]["index"]}
    status, unused, body = registry.request("GET", f"/v2/{repository}/manifests/{digest.replace(':', '-')}", headers=fields)
    assert status in (200, 404)
    return [entry["digest"] for entry in json.loads(body)["manifests"]] if status == 200 else []


def test_a_signature_travels_when_asked_for_and_only_once(module, second_registry, repository, signed):
    src, digest, signature = signed
    options = {"src": src, "dest": f"{second_registry.host}/{repository}:1.0", **PLAIN}
    ok(module("image_copy", **options))
    assert fallback(second_registry, repository, digest) == []
    would = ok(module("image_copy", check=True, referrers=True, **options))
    did = ok(module("image_copy", referrers=True, **options))
    assert would["changed"] and did["changed"] and would["blobs"] == did["blobs"]
    assert fallback(second_registry, repository, digest) == [signature]
    mark = second_registry.mark()
    again = ok(module("image_copy", referrers=True, **options))
    assert not again["changed"]
    assert not second_registry.writes_since(mark), describe(second_registry.writes_since(mark))


@pytest.mark.parametrize("where", ["oci", "oci-archive"])
def test_a_signature_travels_through_a_file(module, registry, second_registry, repository, signed, tmp_path, where):
    src, digest, signature = signed
    place = f"{where}:{tmp_path}/place:app"
    ok(module("image_copy", src=src, dest=place, src_plain_http=True, referrers=True))
    assert not ok(module("image_copy", src=src, dest=place, src_plain_http=True, referrers=True))["changed"]
    dest = f"{second_registry.host}/{repository}:1.0"
    result = ok(module("image_copy", src=place, dest=dest, dest_plain_http=True, referrers=True))
    assert result["digest"] == digest
    assert fallback(second_registry, repository, digest) == [signature]


SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"


def sign(registry, repository, digest, suffix=".sig"):
    """Store what cosign stores for ``digest`` under its tag: a manifest like an image's, whose layer is no layer."""
    words = json.dumps({"critical": {"image": {"docker-manifest-digest": digest}, "type": suffix}}).encode()
    config = json.dumps({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": images.MEDIA_TYPES[images.OCI]["manifest"],
            "config": {
                "mediaType": images.MEDIA_TYPES[images.OCI]["config"],
                "digest": images.push_blob(registry, repository, config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": SIMPLE_SIGNING,
                    "digest": images.push_blob(registry, repository, words),
                    "size": len(words),
                    "annotations": {"dev.cosignproject.cosign/signature": "MEUCIQ=="},
                }
            ],
        }
    ).encode()
    tag = digest.replace(":", "-") + suffix
    fields = {"Content-Type": images.MEDIA_TYPES[images.OCI]["manifest"]}
    assert registry.request("PUT", f"/v2/{repository}/manifests/{tag}", manifest, fields)[0] == 201
    return tag, images.sha256(manifest)


@pytest.fixture
def cosigned(registry, repository):
    """An image of two platforms, signed as a whole and one platform by itself: (reference, {tag: digest})."""
    content = images.sample(["linux/amd64", "linux/arm64"])
    images.push(registry, repository, content, ["1.0"])
    child = content.images[0].digest
    tags = dict(sign(registry, repository, *what) for what in [(content.digest,), (content.digest, ".att"), (child, ".sbom")])
    # One of another image, that stays.
    sign(registry, repository, images.sha256(b"another image"))
    return f"{registry.host}/{repository}:1.0", tags


def digests(module, registry, repository, tags):
    names = [f"{registry.host}/{repository}:{tag}" for tag in tags]
    found = ok(module("image_inspect", name=names, plain_http=True))["images"]
    return {tag: entry["digest"] for tag, entry in zip(tags, found)}


def test_what_cosign_stored_under_tags_travels(module, second_registry, repository, cosigned):
    src, tags = cosigned
    options = {"src": src, "dest": f"{second_registry.host}/{repository}:1.0", **PLAIN}
    mark = second_registry.mark()
    would = ok(module("image_copy", check=True, referrers=True, **options))
    assert not second_registry.writes_since(mark)
    did = ok(module("image_copy", referrers=True, **options))
    assert would["changed"] and did["images"][0]["referrers"] == would["images"][0]["referrers"] == 3
    assert digests(module, second_registry, repository, list(tags)) == tags
    mark = second_registry.mark()
    again = ok(module("image_copy", referrers=True, **options))
    assert not again["changed"] and again["images"][0]["referrers"] == 0
    assert not second_registry.writes_since(mark), describe(second_registry.writes_since(mark))


def test_a_signature_made_later_is_a_change_of_its_own(module, registry, second_registry, repository, cosigned):
    src, unused = cosigned
    options = {"src": src, "dest": f"{second_registry.host}/{repository}:1.0", "referrers": True, **PLAIN}
    digest = ok(module("image_copy", **options))["digest"]
    tag, made = sign(registry, repository, digest, ".sbom")
    later = ok(module("image_copy", **options))
    assert later["changed"] and later["digest"] == later["digest_before"] == digest
    assert digests(module, second_registry, repository, [tag]) == {tag: made}


def test_what_cosign_stored_travels_with_the_platform_it_is_of(module, second_registry, repository, cosigned):
    src, tags = cosigned
    dest = f"{second_registry.host}/{repository}:1.0"
    options = {"src": src, "dest": dest, "referrers": True, "platforms": ["linux/amd64"], "index": "sparse"}
    # Distribution refuses an index whose parts it lacks.
    ok(module("image_copy", **{**options, "index": "strip"}, **PLAIN))
    assert digests(module, second_registry, repository, list(tags)) == tags


@pytest.mark.parametrize("place", ["oci:{}:1.0", "oci:{}:registry.example.com/team/app:1.0", "oci-archive:{}:team/app:1.0"])
def test_what_cosign_stored_travels_through_files(module, second_registry, repository, cosigned, tmp_path, place):
    src, tags = cosigned
    place = place.format(tmp_path / "place")
    options = {"src": src, "dest": place, "src_plain_http": True, "referrers": True}
    assert ok(module("image_copy", **options))["changed"]
    assert not ok(module("image_copy", **options))["changed"]
    dest = f"{second_registry.host}/{repository}:2.0"
    result = ok(module("image_copy", src=place, dest=dest, dest_plain_http=True, referrers=True))
    assert result["images"][0]["referrers"] == 3
    assert digests(module, second_registry, repository, list(tags)) == tags


def test_a_saved_archive_keeps_signatures_and_is_loaded_by_engines(
    module, second_registry, repository, cosigned, tmp_path, podman, dockerd
):
    src, tags = cosigned
    path = str(tmp_path / "signed.tar")
    options = {"state": "saved", "path": path, "images": [src], "plain_http": True, "referrers": True}
    assert ok(module("image_save_load", **options))["changed"]
    again = ok(module("image_save_load", **options))
    assert not again["changed"]
    podman.run("load", "--input", path)
    dockerd.run("load", "--input", path)
    loading = {"state": "loaded", "path": path, "dest": second_registry.host, "plain_http": True, "referrers": True}
    assert ok(module("image_save_load", **loading))["changed"]
    assert not ok(module("image_save_load", **loading))["changed"]
    assert digests(module, second_registry, repository, list(tags)) == tags
    # Without them the archive shrinks to the image alone.
    fewer = ok(module("image_save_load", **{**options, "referrers": False}))
    assert fewer["changed"] and not ok(module("image_save_load", **{**options, "referrers": False}))["changed"]
