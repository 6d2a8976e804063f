# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index.json of layouts and archives."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    InvalidInput,
    InvalidManifest,
    NotFound,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports import layout_index
from ansible_collections.longshore.oci.tests.unit.transports import images

A, B, C = images.image("a"), images.image("b"), images.image("c")
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}


def index(*entries):
    document = {"schemaVersion": 2, "custom": "kept", "manifests": [one.to_json() for one in entries]}
    return layout_index.parse(json.dumps(document).encode(), "index.json")


def find(where, name="", number=None):
    return layout_index.find(where, name, number, "oci:/x").digest


def named(raw):
    return [
        (name, entry.digest) for name, entry in layout_index.names(layout_index.parse(raw, "index.json"))
    ]


def test_null_manifests_are_an_empty_list():
    assert layout_index.parse(b'{"schemaVersion":2,"manifests":null}', "x").manifests == ()
    assert layout_index.parse(layout_index.EMPTY_INDEX, "x").manifests == ()


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"manifests":{}}', b'{"manifests":[1]}', b'{"manifests":[],"layers":[]}'])
def test_what_is_no_index_is_refused(raw):
    with pytest.raises(InvalidManifest):
        layout_index.parse(raw, "x")


def test_names_prefer_the_whole_reference():
    found = index(
        images.entry(A, "1.0", "example.com/a:1.0"), images.entry(B, "2.0"), images.entry(C), images.entry(C, None, "c:1")
    )
    assert [name for name, unused in layout_index.names(found)] == ["example.com/a:1.0", "2.0", None, "c:1"]


def test_images_without_a_name_are_listed_by_number():
    where = index(
        images.entry(B, annotations=ATTESTATION),
        images.entry(A),
        images.entry(B, "b"),
        images.entry(B),
        images.entry(B, "b"),
        images.entry(C, None, "example.com/c:1"),
    )
    assert layout_index.tags(where) == ["@1", "b", "example.com/c:1"]
    assert find(where, number=1) == A.digest


def test_an_exact_name_wins():
    where = index(images.entry(A, "1.0", "example.com/a:1.0"), images.entry(B, "1.0"), images.entry(C, "example.com/c:2.0"))
    assert find(where, "1.0") == B.digest
    assert find(where, "example.com/a:1.0") == A.digest
    assert find(where, "example.com/c:2.0") == C.digest


def test_a_tag_finds_the_one_reference_that_ends_in_it():
    where = index(images.entry(A, "registry.example/app:1.0"), images.entry(B, "registry.example/app:2.0"))
    assert find(where, "1.0") == A.digest
    with pytest.raises(NotFound):
        find(where, "1")


def test_a_tag_of_two_references_is_ambiguous():
    where = index(images.entry(A, "example.com/a:1.0"), images.entry(B, "example.com/b:1.0"))
    with pytest.raises(InvalidInput) as caught:
        find(where, "1.0")
    assert str(A.digest) in caught.value.message and str(B.digest) in caught.value.message


def test_the_same_reference_written_shorter_is_found():
    where = index(
        images.entry(A, "latest", "docker.io/library/hello-world:latest"),
        images.entry(B, "latest", "docker.io/me/b:latest"),
    )
    assert find(where, "hello-world:latest") == A.digest
    assert find(where, "docker.io/library/hello-world") == A.digest
    assert find(where, "me/b") == B.digest


def test_one_name_of_two_images_names_both():
    where = index(images.entry(A, "1.0.0"), images.entry(B, "1.0.0"))
    with pytest.raises(InvalidInput) as caught:
        find(where, "1.0.0")
    assert str(A.digest) in caught.value.message and str(B.digest) in caught.value.message


def test_one_name_twice_for_one_image_is_fine():
    assert find(index(images.entry(A, "1.0.0"), images.entry(A, "1.0.0")), "1.0.0") == A.digest


def test_a_digest_is_a_name():
    where = index(images.entry(A, "1"), images.entry(B))
    assert find(where, str(B.digest)) == B.digest
    with pytest.raises(NotFound):
        find(where, str(Digest.of(b"nothing")))


def test_a_missing_name_lists_what_there_is_but_not_without_end():
    where = index(*(images.entry(A, f"tag-{number}") for number in range(100)))
    with pytest.raises(NotFound) as caught:
        find(where, "nope")
    assert "'nope'" in caught.value.message
    assert "tag-0, tag-1," in caught.value.message and "and 80 more" in caught.value.message
    assert "tag-50" not in caught.value.message


def test_names_are_shown_without_control_characters():
    with pytest.raises(NotFound) as caught:
        find(index(images.entry(A, "evil\x1b[31m\nname")), "nope")
    assert "\x1b" not in caught.value.message and "\n" not in caught.value.message


def test_numbers_count_every_entry_from_nought():
    where = index(images.entry(A), images.entry(B, "x"))
    assert (find(where, number=0), find(where, number=1)) == (A.digest, B.digest)
    with pytest.raises(NotFound):
        find(where, number=2)


def test_without_a_name_the_only_image_is_meant():
    attestation = images.entry(B, annotations=ATTESTATION)
    unknown = images.entry(C, platform={"os": "unknown", "architecture": "unknown"})
    assert find(index(images.entry(A), attestation, unknown)) == A.digest
    assert find(index(images.entry(A, "x"), images.entry(A, "y"))) == A.digest
    # What a tag moved away from does not hide what it now names.
    assert find(index(images.entry(B), images.entry(A, "x"))) == A.digest
    assert find(index(images.entry(A), images.entry(B, artifactType="application/vnd.example"))) == A.digest
    # A place with nothing but one artifact holds one thing to copy.
    assert find(index(images.entry(B, "chart", artifactType="application/vnd.example"))) == B.digest


def test_without_a_name_several_images_are_ambiguous():
    for entries in [(images.entry(A), images.entry(B)), (images.entry(A, "x"), images.entry(B, "y"))]:
        with pytest.raises(InvalidInput, match="say which one"):
            find(index(*entries))
    with pytest.raises(NotFound, match="no image"):
        find(index())


def test_a_new_name_is_added_and_the_rest_kept():
    before = index(images.entry(A, "a"), images.entry(B))
    raw = layout_index.with_entry(before, images.entry(C, "whatever"), "c")
    assert named(raw) == [("a", A.digest), (None, B.digest), ("c", C.digest)]
    assert json.loads(raw)["custom"] == "kept"


def test_a_moved_name_leaves_no_trace_when_nothing_else_names_the_old_image():
    raw = layout_index.with_entry(index(images.entry(A, "a"), images.entry(B, "b")), images.entry(C), "a")
    assert named(raw) == [("b", B.digest), ("a", C.digest)]


def test_a_moved_name_leaves_the_other_name_of_the_old_image():
    before = index(images.entry(A, "latest", "example.com/a:latest"))
    raw = layout_index.with_entry(before, images.entry(C), "latest")
    assert named(raw) == [("example.com/a:latest", A.digest), ("latest", C.digest)]
    assert find(layout_index.parse(raw, "x"), "latest") == C.digest


def test_entries_that_never_had_a_name_stay():
    before = index(images.entry(A), images.entry(B))
    raw = layout_index.with_entry(before, images.entry(C), "c")
    assert named(raw) == [(None, A.digest), (None, B.digest), ("c", C.digest)]


def test_an_unnamed_entry_of_the_same_image_gets_the_name():
    before = index(images.entry(A, platform={"os": "linux", "architecture": "arm64"}), images.entry(B))
    raw = layout_index.with_entry(before, images.entry(A), "a")
    assert named(raw) == [("a", A.digest), (None, B.digest)]
    assert json.loads(raw)["manifests"][0]["platform"]["architecture"] == "arm64"


def test_a_second_name_of_an_image_is_a_second_entry():
    raw = layout_index.with_entry(index(images.entry(A, "a")), images.entry(A), "b")
    assert named(raw) == [("a", A.digest), ("b", A.digest)]


@pytest.mark.parametrize("full_name", ["", "example.com/a:1"])
def test_naming_the_same_image_again_changes_no_byte(full_name):
    before = index(images.entry(B, "b"), images.entry(A, "1", full_name))
    assert layout_index.with_entry(before, images.entry(A), "1", full_name) == before.raw


def test_naming_by_tag_what_has_a_whole_reference_changes_no_byte():
    before = index(images.entry(A, "1", "example.com/a:1"))
    assert layout_index.with_entry(before, images.entry(A), "1") == before.raw


def test_a_doubled_name_is_single_again():
    before = index(images.entry(A, "1"), images.entry(B, "1"), images.entry(A, "1"))
    assert named(layout_index.with_entry(before, images.entry(A), "1")) == [("1", A.digest)]


def test_whole_references_with_the_same_tag_live_side_by_side():
    raw = layout_index.with_entry(index(images.entry(A, "1", "example.com/a:1")), images.entry(B), "1", "example.com/b:1")
    assert named(raw) == [("example.com/a:1", A.digest), ("example.com/b:1", B.digest)]
    raw = layout_index.with_entry(layout_index.parse(raw, "x"), images.entry(C), "1", "example.com/a:1")
    assert named(raw) == [("example.com/b:1", B.digest), ("example.com/a:1", C.digest)]


def test_an_entry_without_a_name_is_added_once_and_bare():
    raw = layout_index.with_entry(index(images.entry(A, "a")), images.entry(B, "stray", "x/y:1"), "")
    assert named(raw) == [("a", A.digest), (None, B.digest)]
    again = layout_index.parse(raw, "x")
    assert layout_index.with_entry(again, images.entry(B), "") == raw
    assert layout_index.with_entry(again, images.entry(A), "") == raw


def test_the_unnamed_image_is_replaced():
    attestation = images.entry(B, annotations=ATTESTATION)
    before = index(images.entry(A), attestation)
    assert layout_index.with_unnamed(before, images.entry(A), "x") == before.raw
    assert named(layout_index.with_unnamed(before, images.entry(C), "x")) == [(None, B.digest), (None, C.digest)]


@pytest.mark.parametrize("entries", [(images.entry(A, "a"),), (images.entry(A), images.entry(B))])
def test_no_name_is_refused_where_it_could_mean_anything(entries):
    with pytest.raises(InvalidInput, match="give the new one a name"):
        layout_index.with_unnamed(index(*entries), images.entry(C), "x")


def test_only_some_names_are_kept():
    before = index(images.entry(A, "a"), images.entry(B), images.entry(C, "1", "example.com/c:1"), images.entry(C, "c"))
    assert named(layout_index.with_only(before, {"a", "1"})) == [("a", A.digest), (None, B.digest), ("example.com/c:1", C.digest)]
    assert layout_index.with_only(before, {"a", "c", "example.com/c:1"}) == before.raw


def test_a_destination_takes_only_exact_names():
    where = index(images.entry(A, "example.com/a:1"))
    assert layout_index.exists(where, "1", "x") is None
    found = layout_index.exists(where, "example.com/a:1", "x")
    assert found is not None and found.digest == A.digest


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("", "other"),
        ("1.0", "other"),
        ("team/app", "team/app:other"),
        ("team/app:1.0", "team/app:other"),
        ("app:1.0", "app:other"),
        ("registry.example.com:5000/app", "registry.example.com:5000/app:other"),
        ("registry.example.com:5000/app:1.0", "registry.example.com:5000/app:other"),
        (f"registry.example.com/app:1.0@sha256:{'a' * 64}", "registry.example.com/app:other"),
        (f"sha256:{'a' * 64}", "other"),
    ],
)
def test_the_name_of_another_tag_of_the_same_repository(name, beside):
    assert layout_index.sibling_name(name, "other") == beside
