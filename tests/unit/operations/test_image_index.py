# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries an index gets, and what moves so that it can have them."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types, strict_json
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NotFound, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import ATTESTS, parse_index, serialise
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.operations import image_index
from ansible_collections.longshore.oci.plugins.module_utils.operations.composed import Composed
from ansible_collections.longshore.oci.plugins.module_utils.operations.image_index import Member, Wish, make_index
from ansible_collections.longshore.oci.plugins.module_utils.operations.index_entries import (
    described,
    joined,
    removed,
    replaced,
    written,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source, image, index

BASE = b"base" * 100


def entry(name, platform="", media_type=media_types.OCI_MANIFEST, **notes):
    raw = {"mediaType": media_type, "digest": str(Digest.of(name.encode())), "size": 10}
    if platform:
        raw["platform"] = Platform.parse(platform).to_json()
    if notes:
        raw["annotations"] = notes
    return Descriptor.parse(raw, name)


def attestation(name, of):
    return described(entry(name, "unknown/unknown"), None, {ATTESTS: str(of.digest)})


AMD, ARM, V6 = entry("amd", "linux/amd64"), entry("arm", "linux/arm64"), entry("v6", "linux/arm/v6")
AMD_NOTE, ARM_NOTE = attestation("amd note", AMD), attestation("arm note", ARM)
NEWER = entry("newer", "linux/amd64")


# Entries.


def test_members_stand_one_after_the_other_and_the_same_one_once():
    assert joined([("a", [AMD]), ("b", [ARM, ARM_NOTE]), ("c", [AMD, ARM_NOTE])]) == [AMD, ARM, ARM_NOTE]


def test_two_images_for_one_platform_are_refused_and_named():
    for twin in (NEWER, entry("newer", "linux/amd64/v1")):
        with pytest.raises(InvalidInput, match="one.example/a and two.example/b are both for linux/amd64"):
            joined([("one.example/a", [AMD]), ("two.example/b", [twin])])
    # The implied variant is a variant, another one is another platform.
    with pytest.raises(InvalidInput, match="both for"):
        joined([("a", [entry("v7", "linux/arm/v7")]), ("b", [entry("none", "linux/arm")])])
    assert len(joined([("a", [V6]), ("b", [entry("v7", "linux/arm/v7")])])) == 2


def test_one_index_may_list_a_platform_twice():
    assert joined([("a", [AMD, NEWER])]) == [AMD, NEWER]


def test_what_is_added_takes_the_place_of_its_platform_and_of_its_image():
    assert replaced([AMD, ARM], [NEWER, V6]) == [NEWER, ARM, V6]
    other = entry("arm", "linux/riscv64")
    found = replaced([AMD, ARM, V6], [other])
    assert [str(one.platform) for one in found] == ["linux/amd64", "linux/riscv64", "linux/arm/v6"]


@pytest.mark.parametrize(
    "new",
    [[NEWER], [AMD], [V6, NEWER], [entry("amd", "linux/arm64")], [entry("v6", "linux/arm/v7"), V6], [AMD, AMD_NOTE]],
)
def test_adding_once_more_changes_nothing(new):
    once = replaced([AMD, ARM, AMD_NOTE, ARM_NOTE], new)
    again = replaced(once, new)
    assert [one.to_json() for one in again] == [one.to_json() for one in once]


def test_attestations_go_with_their_image_only():
    assert replaced([AMD, AMD_NOTE, ARM, ARM_NOTE], [NEWER]) == [NEWER, ARM, ARM_NOTE]
    assert replaced([AMD, AMD_NOTE], [AMD]) == [AMD, AMD_NOTE]
    assert removed([AMD, AMD_NOTE, ARM, ARM_NOTE], [Platform.parse("linux/amd64")]) == [ARM, ARM_NOTE]
    assert removed([AMD, AMD_NOTE, ARM, ARM_NOTE], [ARM.digest]) == [AMD, AMD_NOTE]
    assert removed([AMD, AMD_NOTE], [AMD_NOTE.digest, Platform.parse("linux/s390x")]) == [AMD]


def test_a_platform_without_a_variant_removes_all_of_them():
    assert removed([AMD, V6, entry("v7", "linux/arm/v7")], [Platform.parse("linux/arm")]) == [AMD]


# The document.


def test_the_same_entries_make_the_same_bytes():
    one = written([AMD, ARM], {"b": "2", "a": "1"}, None, None, None)
    assert one.raw == written([AMD, ARM], {"a": "1", "b": "2"}, None, None, None).raw
    assert strict_json.load_object(one.raw)["mediaType"] == one.media_type == media_types.OCI_INDEX


def test_an_index_that_says_the_same_keeps_its_bytes():
    document = {"mediaType": media_types.OCI_INDEX, "manifests": [AMD.to_json()], "schemaVersion": 2}
    raw = serialise(document).replace(b",", b", ")
    now = parse_index(raw)
    assert written([AMD], {}, None, None, now) is now
    assert written([AMD], {}, None, now, now) is now
    assert written([AMD, ARM], {}, None, now, now).raw != raw


def test_other_fields_stay_when_an_index_is_edited():
    document = {"schemaVersion": 2, "artifactType": "a/b", "manifests": [AMD.to_json()], "annotations": {"x": "1", "y": "2"}}
    now = parse_index(serialise(document))
    edited = written([AMD, ARM], {"x": None, "z": "3"}, None, now, now)
    assert edited.artifact_type == "a/b" and edited.annotations == {"y": "2", "z": "3"}
    # It has no mediaType of its own, and gets none.
    assert "mediaType" not in strict_json.load_object(edited.raw)


def test_formats():
    docker = entry("docker", "linux/amd64", media_types.DOCKER_MANIFEST)
    noted = entry("docker", "linux/amd64", media_types.DOCKER_MANIFEST, a="b")
    assert written([docker], {}, None, None, None).media_type == media_types.DOCKER_LIST
    assert written([docker], {}, "oci", None, None).media_type == media_types.OCI_INDEX
    assert written([docker, ARM], {}, None, None, None).media_type == media_types.OCI_INDEX
    assert written([noted], {}, None, None, None).media_type == media_types.OCI_INDEX
    assert written([docker], {"a": "b"}, None, None, None).media_type == media_types.OCI_INDEX
    base = written([docker], {}, "oci", None, None)
    assert written([docker], {}, None, base, base) is base
    edited = written([docker, ARM], {}, None, written([docker], {}, None, None, None), None)
    assert edited.media_type == media_types.OCI_INDEX == strict_json.load_object(edited.raw)["mediaType"]
    for entries, notes, word in (
        ([docker, ARM], {}, "oci.image.manifest"),
        ([docker], {"a": "b"}, "no annotations"),
        ([noted], {}, "no annotations"),
    ):
        with pytest.raises(InvalidInput, match=word):
            written(entries, notes, "docker", None, None)


# The whole.


class World:
    """Repositories by name: ``dest.example`` is the host of the index."""

    def __init__(self, monkeypatch):
        self.host = Host()
        self.sources = {}
        self.opened = []
        self.places, self.near = Places(), Places()
        monkeypatch.setattr(image_index.table, "open_source", self.open_source)
        monkeypatch.setattr(image_index.table, "open_destination", self.open_destination)

    def add(self, name, source):
        self.sources[name] = source
        return Member(name)

    def open_source(self, location, places):
        self.opened.append((str(location), places is self.near))
        return self.sources.get(str(location)) or _Here(self.host.repository(location.reference().repository), location)

    def open_destination(self, location, places):
        repository = self.host.repository(location.reference().repository)
        places.shared(repository.name, lambda: repository)
        return repository, location.reference().tag

    def make(self, check=False, name="dest.example/app:1", **wish):
        return make_index(name, Wish(**wish), self.places, self.near, How(4, threading.Event(), check))


class _Here(Source):
    """What a fake repository holds, read back."""

    def __init__(self, repository, location):
        self.name = str(location)
        self.manifests = repository.manifests
        self.blobs = repository.blobs
        self.root = None


def member(name, layer, architecture="amd64", **more):
    manifest, blobs = image([BASE, layer], architecture=architecture)
    return Source(name, manifest, [], blobs, **more)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def two(world):
    return [
        world.add("docker://other.example/amd:1", member("amd", b"amd")),
        world.add("docker://other.example/arm:1", member("arm", b"arm", "arm64")),
    ]


def test_members_move_first_the_index_then_and_the_name_last(world):
    members = two(world)
    would = world.make(check=True, members=members)
    assert not world.host.writes()
    did = world.make(members=members)
    assert would == did and did["changed"] and did["digest_before"] is None
    # What both hold moves once.
    assert did["blobs"] == {"copied": 5, "mounted": 0, "existing": 0}
    verbs = [entry[0] for entry in world.host.writes()]
    assert sorted(verbs) == ["blob"] * 5 + ["manifest"] * 3 + ["name"] and verbs[-2:] == ["manifest", "name"]
    assert world.host.writes()[-1] == ("name", "1")
    world.host.log.clear()
    again = world.make(members=members)
    assert not again["changed"] and not world.host.writes() and again["manifests"] == did["manifests"]


def test_blobs_are_mounted_from_the_repository_they_are_in(world):
    near = member("near", b"near", "arm64", mount_host="dest.example", mount_repository="near")
    world.host.repository("near").blobs = dict(near.blobs)
    members = [two(world)[0], world.add("docker://dest.example/near:1", near)]
    did = world.make(members=members)
    # The layer that both hold as well, though the other one comes first.
    assert did["blobs"] == {"copied": 2, "mounted": 3, "existing": 0}
    # Read with the rights of the destination.
    assert dict(world.opened)["docker://dest.example/near:1"] and not dict(world.opened)["docker://other.example/amd:1"]


def test_a_failure_leaves_the_name_and_says_which(world):
    members = two(world)
    first = world.make(members=members[:1])
    lost = world.sources[members[1].src]
    world.host.fails[("manifest", lost.root.digest)] = RegistryError("no room", 507)
    with pytest.raises(RegistryError, match="dest.example/app:1: no room"):
        world.make(members=members)
    assert str(world.host.repository("app").names["1"]) == first["digest"]
    del lost.manifests[lost.root.digest]
    with pytest.raises(NotFound, match="other.example/arm:1"):
        world.make(members=members)


def test_entries_of_the_index_itself_are_named_by_digest(world):
    amd, arm = two(world)
    digests = [entry["digest"] for entry in world.make(members=[amd, arm])["manifests"]]
    edited = world.make(append=True, members=[Member(digests[1], Platform.parse("linux/arm/v5"), annotations={"a": "b"})])
    assert [(entry["digest"], entry["platform"]) for entry in edited["manifests"]] == [
        (digests[0], "linux/amd64"),
        (digests[1], "linux/arm/v5"),
    ]
    assert edited["manifests"][1]["annotations"] == {"a": "b"} and edited["blobs"]["copied"] == 0


def test_what_cannot_be_meant(world):
    amd, arm = two(world)
    with pytest.raises(NotFound, match="does not exist"):
        world.make(remove=[Platform.parse("linux/amd64")])
    with pytest.raises(InvalidInput, match="has a digest"):
        world.make(name=f"dest.example/app@{AMD.digest}", members=[amd])
    world.make(members=[amd])
    with pytest.raises(InvalidInput, match="nothing would be left"):
        world.make(remove=[Platform.parse("linux/amd64")])
    world.host.repository("app").capabilities = type(world.host.repository("app").capabilities)(indexes=False)
    with pytest.raises(InvalidInput, match="takes no index"):
        world.make(members=[amd])


def test_a_nested_index_is_read_where_it_was_found():
    amd, blobs = image([BASE, b"amd"])
    inner = index((amd, "linux/amd64", {}))
    outer = index((inner, None, {}))
    source = Source("nested", outer, [inner, amd], blobs)
    composed = Composed("all", outer, {inner.digest: source})
    with pytest.raises(NotFound):
        composed.manifest(amd.digest)
    assert composed.manifest(inner.digest) is inner and composed.manifest(amd.digest) is amd
    assert composed.open_blob(amd.layers[0]).read() == BASE
