# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refers to an image travels with it, on registries without a referrers API: by the fallback tag (R1.56-R1.58)."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe

SIGNATURE = "application/vnd.example.signature.v1+json"
PLAIN = {"src_plain_http": True, "dest_plain_http": True}


def ok(result):
    assert not result.get("failed"), result.get("msg")
    return result


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
