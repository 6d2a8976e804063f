# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S1 to S3, S15 and S16: documents that lie."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.tests.faults.bent import bent, layer_field, with_manifest
from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import Kind
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
BOTH = images.index([IMAGE, images.image("linux/arm64", [images.noise_layer(1000, seed=4)])])
LAYER = IMAGE.layers[0]
LOGIN = {"src_username": USER, "src_password": PASSWORD}
INDEX = images.MEDIA_TYPES[images.OCI]["index"]
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def elsewhere(server, media_type):
    """The image, whose layer is to be had at another host."""
    url = f"{server.origin(OTHER_HOME)}/ext/layer.tar.gz"
    docker = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)], kind=images.DOCKER)

    def change(document):
        document["layers"][0] |= {"mediaType": media_type, "urls": [url]}

    return bent(docker, change)


def test_s01_foreign_layers_stay_where_they_are(module, faulty):
    """containerd sent its credentials there (CVE-2020-15157)."""
    content = elsewhere(faulty, FOREIGN)
    source, dest = faulty.put("login", content), faulty.repository("none")
    del faulty.storage[source].blobs[LAYER.digest]
    options = {"src_plain_http": True, "dest_plain_http": True, **LOGIN}
    result = module("image_copy", src=f"{faulty.host}/{source}:1", dest=f"{faulty.host}/{dest}:1", **options)
    assert not result.get("failed"), result
    assert result["digest"] == content.digest == faulty.storage[dest].tags["1"]
    assert not [one for one in faulty.log if one.path.startswith("/ext/")]


def test_s01_urls_of_other_layers_are_not_followed(module, faulty, tmp_path):
    content = elsewhere(faulty, images.MEDIA_TYPES[images.DOCKER]["layer.gzip"])
    source = faulty.put("login", content)
    del faulty.storage[source].blobs[LAYER.digest]
    result = module("image_copy", src=f"{faulty.host}/{source}:1", dest=f"oci:{tmp_path}/layout:1", src_plain_http=True, **LOGIN)
    assert result["failed"] and "(HTTP 404 BLOB_UNKNOWN)" in result["msg"], result
    assert not [one for one in faulty.log if one.path.startswith("/ext/")]


def manifests(document):
    document["manifests"] = []


CONFUSED = {
    "manifests and layers": (bent(IMAGE, manifests), "is both an index and an image (CVE-2021-41190)"),
    "index with layers": (
        with_manifest(IMAGE, IMAGE.manifest.data.replace(IMAGE.manifest.media_type.encode(), INDEX.encode()), INDEX),
        "has the fields of another type than",
    ),
    "other type than it says": (with_manifest(IMAGE, IMAGE.manifest.data, INDEX), "but says that it is"),
    "type that is no string": (bent(IMAGE, lambda document: document.update(mediaType=1)), "a mediaType that is not a string"),
}


@pytest.mark.parametrize("content, sentence", CONFUSED.values(), ids=CONFUSED.keys())
def test_s02_a_manifest_of_two_kinds_is_refused(copies, content, sentence):
    """What one client takes for an image is an index to another (CVE-2021-41190)."""
    outcome = copies.pull("none", content, OTHER, sound=IMAGE)
    outcome.failed(sentence)
    assert not len(outcome.log.kind(Kind.GET_BLOB))


@pytest.mark.parametrize("scenario", ["cttext", "ctnone", "nodigest", "baddigest"])
def test_s02_a_header_that_says_nothing_is_made_up_for_by_the_document(copies, scenario):
    outcome = copies.pull(scenario, IMAGE)
    outcome.succeeded()


@pytest.mark.parametrize(
    "scenario, sentence",
    [
        ("ctmismatch", "but says that it is"),
        ("ctschema1", "Docker's schema 1"),
        ("lyingdigest", f"expected sha256:{'0' * 64}, the bytes received have {IMAGE.digest}"),
        ("wrongmanifest", f"expected {IMAGE.digest}"),
    ],
)
def test_s02_a_header_that_contradicts_the_document_is_refused(copies, scenario, sentence):
    """skopeo and crane do not look at the digest."""
    outcome = copies.pull(scenario, IMAGE)
    outcome.failed(sentence)


def test_s02_a_manifest_that_breaks_off_is_asked_for_again(copies):
    outcome = copies.pull("cutmanifest", IMAGE)
    outcome.succeeded()


def test_s02_schema_1_is_told(faults):
    document = {"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [], "history": [], "signatures": []}
    outcome = faults.pull("none", with_manifest(IMAGE, json.dumps(document).encode(), SCHEMA1), OTHER)
    outcome.failed("is in Docker's schema 1, which is not supported: push the image again with a current tool")


DIGESTS = {
    "traversal": "sha256:../../../etc/x",
    "short": "sha256:abcd",
    "md5": "md5:d41d8cd98f00b204e9800998ecf8427e",
    "upper case": "sha256:" + "A" * 64,
    "65 digits": "sha256:" + "a" * 65,
    "escaped": "sha256:" + "%2f" * 20,
    "no algorithm": "a" * 64,
    "line end": "sha256:" + "a" * 64 + "\n",
    "number": 7,
    "null": None,
    "other digits": "sha256:" + "\u0661" * 64,
}


@pytest.mark.parametrize("digest", DIGESTS.values(), ids=DIGESTS.keys())
def test_s03_what_is_no_digest_is_never_asked_for(module, faulty, tmp_path, digest):
    """Nor does it become a path (CVE-2024-3727)."""
    source = faulty.put("none", bent(IMAGE, layer_field("digest", digest)))
    mark = len(faulty.log)
    result = module("image_copy", src=f"{faulty.host}/{source}:1", dest=f"oci:{tmp_path}/layout:1", src_plain_http=True)
    assert result["failed"] and "layers[0] of" in result["msg"] and "digest" in result["msg"], result
    assert "\n" not in result["msg"]
    assert not len(faulty.log.since(mark).kind(Kind.GET_BLOB, Kind.HEAD_BLOB, Kind.OTHER))
    assert not list(tmp_path.rglob("*x*")) and not (tmp_path / "layout" / "index.json").exists()


@pytest.mark.parametrize("digest", ["sha256:../../../etc/x", "sha256:abcd"])
def test_s03_nor_is_it_in_an_index(faults, digest):
    def change(document):
        document["manifests"][1]["digest"] = digest

    document = BOTH.document.json
    change(document)
    content = BOTH._replace(document=images.Blob(BOTH.document.media_type, json.dumps(document).encode()))
    outcome = faults.pull("none", content, OTHER)
    outcome.failed("manifests[1] of", "digest")
    assert {one.kind for one in outcome.log} == {Kind.HEAD_MANIFEST, Kind.GET_MANIFEST}


DOCUMENT = IMAGE.manifest.data
TWICE = DOCUMENT.replace(b'"layers"', b'"layers": [], "layers"', 1)
NOT_JSON = {
    "a key twice": (TWICE, "duplicate JSON key 'layers'"),
    "data after the end": (DOCUMENT + b"{}", "data after the end of the JSON value"),
    "a byte order mark": (b"\xef\xbb\xbf" + DOCUMENT, "is not valid JSON"),
    "NaN": (DOCUMENT.replace(b'"schemaVersion": 2', b'"schemaVersion": NaN'), "NaN is not JSON"),
    "nested": (
        DOCUMENT.replace(b'"schemaVersion": 2', b'"x": ' + b"[" * 100 + b"]" * 100 + b', "schemaVersion": 2'),
        "nested deeper",
    ),
    "very nested": (b"[" * 1_000_000, "nested deeper"),
    "many digits": (DOCUMENT.replace(b'"schemaVersion": 2', b'"schemaVersion": ' + b"9" * 5000), "is not valid JSON"),
    "Latin-1": (DOCUMENT.replace(b'"schemaVersion"', b'"\xe9"'), "is not valid JSON"),
    "a list": (b"[]", "is not a JSON object"),
    "nothing": (b"", "is not valid JSON"),
}


@pytest.mark.parametrize("data, sentence", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_s15_what_two_parsers_read_in_two_ways_is_refused(faults, data, sentence):
    """A key that is there twice is one thing to a scanner and another to an engine (CVE-2014-8179)."""
    outcome = faults.pull("none", with_manifest(IMAGE, data), OTHER)
    outcome.failed(sentence)
    assert not len(outcome.log.kind(Kind.GET_BLOB))


def test_s16_a_digest_pins_whatever_the_tag_does(module, faulty, real):
    source = faulty.put("none", IMAGE)
    faulty.storage.put(source, OTHER, ("1",))
    dest = real.repository("pinned")
    options = {"src_plain_http": True, "dest_plain_http": True}
    name = f"{faulty.host}/{source}:1@{IMAGE.digest}"
    mark = len(faulty.log)
    result = module("image_copy", src=name, dest=f"{real.host}/{dest}:1", **options)
    assert not result.get("failed") and result["digest"] == IMAGE.digest, result
    assert real.tags(dest) == {"1": IMAGE.digest}
    assert {one.reference for one in faulty.log.since(mark).kind(Kind.HEAD_MANIFEST, Kind.GET_MANIFEST)} == {IMAGE.digest}


def test_s16_another_manifest_under_a_digest_is_refused(faults, module, played, real):
    scene = played.repository("wrongmanifest")
    played.put(scene, IMAGE, ["1"])
    name = f"{played.host}/{scene}@{IMAGE.digest}"
    result = module("image_inspect", name=[name], plain_http=True)
    assert result["failed"] and f"expected {IMAGE.digest}" in result["msg"], result
