# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and indexes: exact bytes, one meaning (R1.12-R1.20; S2, S15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import DigestMismatch, InvalidManifest
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import (
    MANIFEST_LIMIT,
    Index,
    Manifest,
    descriptor_of,
    parse_index,
    parse_manifest,
    serialise,
)

A, B = Digest.of(b"a"), Digest.of(b"b")


def descriptor(media_type: str, digest: Digest = A, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": 1, **more}


def image(**changes: Any) -> dict[str, Any]:
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(media_types.OCI_CONFIG),
        "layers": [descriptor(media_types.OCI_LAYER_GZIP, B)],
        **changes,
    }
    return {key: one for key, one in value.items() if one is not ...}


def index(**changes: Any) -> dict[str, Any]:
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [descriptor(media_types.OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"})],
        **changes,
    }
    return {key: one for key, one in value.items() if one is not ...}


def raw(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=3).encode()


def test_an_image() -> None:
    data = raw(image(annotations={"x": "y"}, subject=descriptor(media_types.OCI_MANIFEST), artifactType="application/a"))
    parsed = parse_manifest(data, media_types.OCI_MANIFEST)
    assert isinstance(parsed, Manifest)
    assert (parsed.media_type, parsed.size, parsed.digest) == (media_types.OCI_MANIFEST, len(data), Digest.of(data))
    assert parsed.config.digest == A
    assert [layer.digest for layer in parsed.layers] == [B]
    assert parsed.annotations == {"x": "y"}
    assert parsed.subject is not None
    assert parsed.artifact_type == "application/a"
    assert parsed.is_image
    assert descriptor_of(parsed) == Descriptor(media_types.OCI_MANIFEST, Digest.of(data), len(data))


def test_an_index() -> None:
    data = raw(index())
    parsed = parse_manifest(data, media_types.OCI_INDEX)
    assert isinstance(parsed, Index)
    assert str(parsed.manifests[0].platform) == "linux/amd64"
    assert parsed.raw == data


def test_r1_15_the_exact_bytes_are_kept() -> None:
    data = b" \n" + raw(image(unknown={"z": 1, "a": [None]})) + b"\r\n\t "
    assert parse_manifest(data, media_types.OCI_MANIFEST).raw == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_r1_16_verified_by_the_algorithm_that_was_asked(algorithm: str) -> None:
    data = raw(image())
    assert parse_manifest(data, digest=Digest.of(data, algorithm)).digest.algorithm == algorithm
    with pytest.raises(DigestMismatch, match="manifest of x"):
        parse_manifest(data + b" ", digest=Digest.of(data, algorithm), what="manifest of x")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/json", "application/octet-stream", "application/json; charset=utf-8"]
)
def test_r1_12_a_content_type_that_says_nothing(content_type: str) -> None:
    assert parse_manifest(raw(image()), content_type).media_type == media_types.OCI_MANIFEST
    assert parse_manifest(raw(image(mediaType=...)), content_type).media_type == media_types.OCI_MANIFEST
    assert parse_manifest(raw(index(mediaType=...)), content_type).media_type == media_types.OCI_INDEX
    docker = raw(image(mediaType=media_types.DOCKER_MANIFEST))
    assert parse_manifest(docker, content_type).media_type == media_types.DOCKER_MANIFEST


def test_r1_12_the_content_type_counts_where_the_body_has_none() -> None:
    content_type = media_types.DOCKER_MANIFEST.upper() + " ; charset=utf-8"
    assert parse_manifest(raw(image(mediaType=...)), content_type).media_type == media_types.DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), media_types.OCI_INDEX),
        (image(), media_types.DOCKER_MANIFEST),
        (index(), media_types.OCI_MANIFEST),
        (index(), media_types.DOCKER_LIST),
    ],
)
def test_s2_header_and_body_must_agree(document: dict[str, Any], content_type: str) -> None:
    with pytest.raises(InvalidManifest, match="CVE-2021-41190"):
        parse_manifest(raw(document), content_type)


@pytest.mark.parametrize(
    "document",
    [
        image(manifests=[]),
        index(layers=[]),
        index(config=descriptor(media_types.OCI_CONFIG)),
        image(mediaType=..., manifests=None),
        {**index(), "mediaType": media_types.OCI_MANIFEST},
        {**image(), "mediaType": media_types.OCI_INDEX},
        {**image(mediaType=...), "layers": ..., "manifests": []},
    ],
)
def test_r1_13_both_an_index_and_an_image(document: dict[str, Any]) -> None:
    document = {key: value for key, value in document.items() if value is not ...}
    with pytest.raises(InvalidManifest, match="CVE-2021-41190"):
        parse_manifest(raw(document))


def test_r1_13_the_fields_of_another_type_than_the_header() -> None:
    for document, content_type in ((image(mediaType=...), media_types.OCI_INDEX), (index(mediaType=...), media_types.OCI_MANIFEST)):
        with pytest.raises(InvalidManifest, match="CVE-2021-41190"):
            parse_manifest(raw(document), content_type)


@pytest.mark.parametrize("field", ["layers", "config", "mediaType", "schemaVersion"])
def test_r1_14_s15_duplicate_keys(field: str) -> None:
    text = raw(image())
    twice = text[: text.rindex(b"}")] + f', "{field}": []}}'.encode()
    with pytest.raises(InvalidManifest, match=f"duplicate JSON key '{field}'"):
        parse_manifest(twice)


def test_s15_extraneous_data() -> None:
    for tail in (b"{}", b"\x00", b"x"):
        with pytest.raises(InvalidManifest):
            parse_manifest(raw(image()) + tail)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"schemaVersion": 1, "name": "a", "fsLayers": []}, ""),
        ({"schemaVersion": 1, "name": "a", "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (image(), "application/vnd.docker.distribution.manifest.v1+json"),
        ({**image(), "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}, ""),
    ],
)
def test_r1_19_schema_1(document: dict[str, Any], content_type: str) -> None:
    with pytest.raises(InvalidManifest, match="schema 1, which is not supported"):
        parse_manifest(raw(document), content_type)


def test_r1_18_limit() -> None:
    padded = raw(image())
    padded += b" " * (MANIFEST_LIMIT - len(padded))
    assert parse_manifest(padded).size == MANIFEST_LIMIT
    with pytest.raises(InvalidManifest, match="more than"):
        parse_manifest(padded + b" ")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schemaVersion": 2},
        image(mediaType=5),
        image(mediaType="application/vnd.example+json"),
        image(config=...),
        image(config=None),
        image(config=[]),
        image(layers=...),
        image(layers={}),
        image(layers=[1]),
        image(layers=[descriptor("x", size=-1)]),
        image(layers=[{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}]),
        image(annotations={"a": 1}),
        image(subject={}),
        image(artifactType=1),
        index(manifests={}),
        index(manifests=[{}]),
        index(manifests=...),
    ],
)
def test_r1_20_invalid(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(raw(document), what="manifest of x")


def test_r1_20_number_of_descriptors() -> None:
    many = [descriptor(media_types.OCI_MANIFEST)] * 10_000
    assert len(parse_index(serialise(index(manifests=many))).manifests) == 10_000
    with pytest.raises(InvalidManifest, match="10001 manifests"):
        parse_index(serialise(index(manifests=[*many, many[0]])))


def test_an_empty_slice_written_by_go() -> None:
    assert parse_index(raw(index(manifests=None))).manifests == ()
    parsed = parse_manifest(raw(image(layers=None)))
    assert isinstance(parsed, Manifest)
    assert parsed.layers == ()


def test_html_is_no_manifest() -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(b"<html></html>", "text/html")


def test_an_index_is_expected() -> None:
    with pytest.raises(InvalidManifest, match="where an index is expected"):
        parse_index(raw(image()))


def test_s1_blobs_once_each_and_foreign_layers_stay_where_they_are() -> None:
    foreign = descriptor(media_types.DOCKER_FOREIGN, Digest.of(b"f"), urls=["https://x.example/"])
    without_urls = descriptor(media_types.DOCKER_FOREIGN, Digest.of(b"g"))
    mirrored = descriptor(media_types.OCI_LAYER, Digest.of(b"h"), urls=["https://x.example/"])
    layer = descriptor(media_types.OCI_LAYER, B)
    parsed = parse_manifest(raw(image(layers=[layer, foreign, layer, without_urls, mirrored])))
    assert isinstance(parsed, Manifest)
    assert [one.digest for one in parsed.blobs()] == [A, B, Digest.of(b"g"), Digest.of(b"h")]


def test_an_artifact_is_no_image() -> None:
    parsed = parse_manifest(raw(image(config=descriptor(media_types.OCI_EMPTY))))
    assert isinstance(parsed, Manifest)
    assert not parsed.is_image


def test_an_index_in_part_keeps_every_other_field() -> None:
    manifests = [descriptor(media_types.OCI_MANIFEST, digest, unknown=1) for digest in (A, B)]
    whole = parse_index(raw(index(manifests=manifests, annotations={"x": "\u00e4"}, unknown=[{"y": None}])))
    part = whole.only([whole.manifests[1]])
    assert json.loads(part.raw) == index(manifests=[manifests[1]], annotations={"x": "\u00e4"}, unknown=[{"y": None}])
    assert part.digest == Digest.of(part.raw) != whole.digest
    assert part.media_type == whole.media_type


def test_serialised_is_compact_utf_8_in_the_order_given() -> None:
    assert serialise({"b": [1, 2], "a": "\u00e4"}) == '{"b":[1,2],"a":"\u00e4"}'.encode()
