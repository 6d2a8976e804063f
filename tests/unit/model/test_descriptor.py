# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors, checked before anything is asked for (R1.20; S3)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor, parse_annotations
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidManifest
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DATA = b"hello"


def document(**changes: Any) -> dict[str, Any]:
    value = {"mediaType": LAYER, "digest": str(Digest.of(DATA)), "size": len(DATA), **changes}
    return {key: one for key, one in value.items() if one is not ...}


def test_every_field() -> None:
    value = document(
        annotations={"a": "b"},
        urls=["https://x.example/"],
        platform={"os": "linux", "architecture": "amd64"},
        artifactType="application/x",
        data=base64.b64encode(DATA).decode(),
        unknown=[1],
    )
    parsed = Descriptor.parse(value, "layer")
    assert (parsed.media_type, parsed.digest, parsed.size) == (LAYER, Digest.of(DATA), 5)
    assert parsed.annotations == {"a": "b"}
    assert parsed.urls == ("https://x.example/",)
    assert parsed.platform == Platform("linux", "amd64")
    assert parsed.artifact_type == "application/x"
    assert parsed.data == DATA
    assert parsed.to_json() == value


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": ...},
        {"mediaType": None},
        {"mediaType": 1},
        {"mediaType": "x" * 256},
        {"digest": ...},
        {"digest": "sha256:../../../etc/x"},
        {"digest": "sha256:abcd"},
        {"digest": "md5:" + "a" * 32},
        {"digest": "sha256:" + "A" * 64},
        {"digest": 5},
        {"size": ...},
        {"size": None},
        {"size": -1},
        {"size": 2**53 + 1},
        {"size": "5"},
        {"size": 5.0},
        {"size": True},
        {"urls": "https://x.example/"},
        {"urls": [1]},
        {"urls": {"a": "b"}},
        {"annotations": []},
        {"annotations": {"a": 1}},
        {"annotations": {"a": None}},
        {"annotations": {"a": "x" * (1024 * 1024 + 1)}},
        {"artifactType": 1},
        {"data": "%%%"},
        {"data": 5},
        {"data": "aGVsbG8"},
        {"data": base64.b64encode(b"hellO").decode()},
        {"data": base64.b64encode(b"hello!").decode()},
        {"data": ""},
    ],
)
def test_r1_20_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match=r"^layers\[3\]"):
        Descriptor.parse(document(**changes), "layers[3]")


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_r1_20_not_an_object(value: Any) -> None:
    with pytest.raises(InvalidManifest, match="not a descriptor"):
        Descriptor.parse(value, "config")


def test_r1_20_limits_are_inclusive() -> None:
    assert Descriptor.parse(document(size=2**53), "x").size == 2**53
    assert Descriptor.parse(document(size=0), "x").size == 0
    assert len(parse_annotations({"a": "x" * 1024 * 1024}, "x")["a"]) == 1024 * 1024
    assert parse_annotations(None, "x") == {}


def test_empty_embedded_data() -> None:
    value = {"mediaType": "application/x", "digest": str(Digest.of(b"")), "size": 0, "data": ""}
    assert Descriptor.parse(value, "x").data == b""


def test_written_anew_it_has_every_field() -> None:
    platform = Platform("linux", "arm", "v7")
    written = Descriptor(LAYER, Digest.of(DATA), 5, {"a": "b"}, ("https://x.example/",), platform, "application/x").to_json()
    assert written == document(
        annotations={"a": "b"},
        urls=["https://x.example/"],
        platform={"os": "linux", "architecture": "arm", "variant": "v7"},
        artifactType="application/x",
    )
    assert Descriptor(LAYER, Digest.of(DATA), 5).to_json() == document()


def test_r1_15_annotating_keeps_unknown_fields_and_the_original() -> None:
    original = Descriptor.parse(document(annotations={"a": "b", "c": "d"}, unknown={"x": 1}), "x")
    changed = original.annotated({"a": None, "e": "f"})
    assert changed.to_json() == document(annotations={"c": "d", "e": "f"}, unknown={"x": 1})
    assert changed.annotations == {"c": "d", "e": "f"}
    assert original.annotations == {"a": "b", "c": "d"}
    assert "annotations" not in original.annotated({"a": None, "c": None}).to_json()


def test_two_descriptors_of_the_same_content_are_equal() -> None:
    one, other = Descriptor.parse(document(), "x"), Descriptor.parse(document(annotations={"a": "b"}), "x")
    assert one == other
    assert hash(one) == hash(other)
