# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, then act: what is asked, what moves, in which order, and what is left alone when something fails."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    BlobUnknown,
    DigestMismatch,
    InvalidInput,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How, perform
from ansible_collections.longshore.oci.plugins.module_utils.operations.plan import Item, Wish
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source, described, image, index

BASE = b"base" * 100


def how(check=False, parallel=4):
    return How(parallel, threading.Event(), check)


def item(source, destination, *names, wish=None):
    names = list(names or ["latest"])
    return Item(source, destination, names, source.name, f"{destination.name}:{names[0]}", wish or Wish())


def one(name="a", layer=b"own", **more):
    manifest, blobs = image([BASE, layer])
    return Source(name, manifest, [], blobs, **more)


def two_platforms():
    amd, blobs = image([BASE, b"amd"])
    arm, more = image([BASE, b"arm"], architecture="arm64")
    attest, third = image([b"attest"], os="unknown", architecture="unknown")
    note = {"vnd.docker.reference.digest": str(amd.digest), "vnd.docker.reference.type": "attestation-manifest"}
    root = index((amd, "linux/amd64", {}), (arm, "linux/arm64", {}), (attest, "unknown/unknown", note))
    return Source("multi", root, [amd, arm, attest], {**blobs, **more, **third}), amd, arm, attest


def test_copies_an_image_and_a_second_run_writes_nothing():
    host = Host()
    source, dest = one(), host.repository("a")
    first = perform([item(source, dest)], Places(), how())
    assert first.changed and dest.names == {"latest": source.root.digest}
    assert first.blobs == {"copied": 3, "mounted": 0, "existing": 0}
    assert first.bytes_transferred == sum(len(data) for data in source.blobs.values())
    host.log.clear()
    second = perform([item(source, dest)], Places(), how())
    assert not second.changed and second.images[0]["state"] == "unchanged"
    assert host.log == [("resolve", "latest")]


def test_check_mode_writes_nothing_and_tells_what_acting_then_does():
    host = Host()
    sources = [one("a", b"1"), one("b", b"2"), one("c", b"3")]

    def items():
        return [item(source, host.repository(source.name)) for source in sources]

    would = perform(items(), Places(), how(check=True))
    assert not host.writes()
    did = perform(items(), Places(), how())
    assert would.facts() == did.facts()
    assert would.diff() == did.diff()


def test_a_shared_blob_moves_once_and_the_others_mount_it():
    host = Host()
    sources = [one(str(number), b"own%d" % number) for number in range(20)]
    outcome = perform([item(one_, host.repository(one_.name)) for one_ in sources], Places(), how(parallel=8))
    base = Digest.of(BASE)
    assert sum(source.opened[base] for source in sources) == 1
    # The config is the same in all of them, too.
    assert outcome.blobs == {"copied": 22, "mounted": 38, "existing": 0}


def test_without_mounts_every_destination_gets_its_own_copy():
    host = Host(mounts=False)
    sources = [one("a", b"1"), one("b", b"2")]
    outcome = perform([item(source, host.repository(source.name)) for source in sources], Places(), how())
    assert outcome.blobs["mounted"] == 0 and outcome.blobs["copied"] == 6


def test_two_images_in_one_repository_share_the_transfer():
    host = Host()
    dest = host.repository("a")
    outcome = perform([item(one("a", b"1"), dest, "one"), item(one("b", b"2"), dest, "two")], Places(), how())
    assert outcome.blobs["copied"] == 4
    assert set(dest.names) == {"one", "two"}


def test_within_one_registry_blobs_are_mounted_from_the_source():
    host = Host()
    source = one("a", mount_host=host.name, mount_repository="origin")
    host.repository("origin").blobs.update(source.blobs)
    outcome = perform([item(source, host.repository("copy"))], Places(), how())
    assert outcome.blobs["mounted"] == 3 and outcome.bytes_transferred == 0


def test_when_the_first_image_cannot_give_a_blob_another_that_holds_it_does():
    host = Host()
    bad, good = one("bad", b"1", broken=[Digest.of(BASE)]), one("good", b"2")
    outcome = perform([item(bad, host.repository("a")), item(good, host.repository("a"), "good")], Places(), how())
    assert outcome.error is None and set(host.repository("a").names) == {"latest", "good"}


def test_a_failed_leader_does_not_take_those_that_would_mount_along():
    host = Host()
    bad, good = one("bad", b"1", broken=[Digest.of(BASE)]), one("good", b"2")
    with pytest.raises(DigestMismatch) as caught:
        perform([item(bad, host.repository("a")), item(good, host.repository("b"))], Places(), how())
    states = {image["src"]: image["state"] for image in caught.value.facts["images"]}
    assert states == {"bad": "failed", "good": "copied"}
    assert host.repository("a").names == {} and set(host.repository("b").names) == {"latest"}
    assert "1 of 2 images failed" in caught.value.message


def test_the_name_moves_last_and_not_at_all_after_a_failure():
    """R1.39"""
    host = Host()
    source, amd, arm, attest = two_platforms()
    dest = host.repository("a")
    host.fails[("manifest", arm.digest)] = RegistryError("no", 500)
    with pytest.raises(RegistryError):
        perform([item(source, dest)], Places(), how())
    assert dest.names == {} and source.root.digest not in dest.manifests
    host.log.clear()
    perform([item(source, dest)], Places(), how())
    assert host.log[-1] == ("name", "latest")
    # What had arrived was not sent again.
    assert not [entry for entry in host.log if entry[0] in ("blob", "mount")]


def test_a_lying_registry_gets_every_blob_once_more_r1_27():
    host = Host()
    source, dest = one(), host.repository("a")
    for digest in source.blobs:
        dest.blobs[digest] = b"lost"
    host.fails[("manifest", source.root.digest)] = BlobUnknown("blob unknown", 400)
    outcome = perform([item(source, dest)], Places(), how())
    assert dest.blobs == source.blobs
    assert outcome.blobs == {"copied": 3, "mounted": 0, "existing": 0}


def test_strip_writes_a_new_index_of_the_chosen_platforms_with_their_attestations():
    host = Host()
    source, amd, arm, attest = two_platforms()
    dest = host.repository("a")
    wish = Wish((Platform.parse("linux/amd64"),))
    outcome = perform([item(source, dest, wish=wish)], Places(), how())
    root = dest.manifests[dest.names["latest"]]
    assert [entry.digest for entry in root.manifests] == [amd.digest, attest.digest]
    assert arm.digest not in dest.manifests and outcome.images[0]["digest"] == str(root.digest)
    host.log.clear()
    assert not perform([item(source, dest, wish=wish)], Places(), how()).changed
    assert not host.writes()


def test_sparse_keeps_the_index_whole():
    host = Host()
    source, amd, arm, attest = two_platforms()
    dest = host.repository("a")
    perform([item(source, dest, wish=Wish((Platform.parse("linux/arm64"),), "sparse"))], Places(), how())
    assert dest.names["latest"] == source.root.digest and amd.digest not in dest.manifests


def test_a_platform_that_is_not_there_is_named_with_those_that_are():
    source, *unused = two_platforms()
    with pytest.raises(InvalidInput, match="linux/s390x.*linux/amd64, linux/arm64"):
        perform([item(source, Host().repository("a"), wish=Wish((Platform.parse("linux/s390x"),)))], Places(), how())


def test_a_single_image_for_another_platform_is_refused():
    with pytest.raises(InvalidInput, match="linux/amd64 alone"):
        perform([item(one(), Host().repository("a"), wish=Wish((Platform.parse("linux/arm64"),)))], Places(), how())


def test_further_names_follow_the_first_and_only_those_that_differ_are_written():
    """R1.46"""
    host = Host()
    source, dest = one(), host.repository("a")
    perform([item(source, dest, "1.0")], Places(), how())
    host.log.clear()
    outcome = perform([item(source, dest, "1.0", "1", "latest")], Places(), how())
    assert outcome.changed and set(dest.names) == {"1.0", "1", "latest"}
    assert [entry for entry in host.log if entry[0] == "name"] == [("name", "1"), ("name", "latest")]
    assert not [entry for entry in host.log if entry[0] in ("blob", "mount", "has_blob")]


def test_referrers_travel_after_their_subject_and_only_once():
    host = Host()
    source = one()
    signature, blobs = image([b"signature"], subject=described(source.root).to_json())
    source.manifests[signature.digest] = signature
    source.blobs = {**source.blobs, **blobs}
    source._referrers[source.root.digest] = [described(signature)]
    dest = host.repository("a")
    perform([item(source, dest)], Places(), how())
    assert signature.digest not in dest.manifests
    outcome = perform([item(source, dest, wish=Wish(referrers=True))], Places(), how())
    assert outcome.changed and signature.digest in dest.manifests
    host.log.clear()
    assert not perform([item(source, dest, wish=Wish(referrers=True))], Places(), how()).changed
    assert not host.writes()


def test_an_unexpected_error_is_raised_as_it_is():
    host = Host()
    host.fails[("has_manifest",)] = ValueError("a fault of ours")
    dest = host.repository("a")
    dest.blobs[Digest.of(b"something")] = b"something"
    with pytest.raises(ValueError, match="a fault of ours"):
        perform([item(one(), dest)], Places(), how())


def test_more_images_than_one_window_still_share_blobs(monkeypatch):
    from ansible_collections.longshore.oci.plugins.module_utils.operations import perform as module

    monkeypatch.setattr(module, "WINDOW", 3)
    host = Host()
    sources = [one(str(number), b"own%d" % number) for number in range(10)]
    would = perform([item(one_, host.repository(one_.name)) for one_ in sources], Places(), how(check=True))
    did = perform([item(one_, host.repository(one_.name)) for one_ in sources], Places(), how())
    assert sum(source.opened[Digest.of(BASE)] for source in sources) == 1
    assert would.facts() == did.facts()


def test_a_layer_that_platforms_share_is_asked_for_once():
    host = Host()
    source, *unused = two_platforms()
    dest = host.repository("a")
    perform([item(one(), dest, "older")], Places(), how())
    host.log.clear()
    perform([item(source, dest)], Places(), how())
    assert host.log.count(("has_blob", Digest.of(BASE))) == 1


def test_a_source_that_knows_its_id_is_not_asked_for_more_where_that_very_image_is_there():
    host, source = Host(), one()
    dest = host.repository("a")
    perform([item(source, dest)], Places(), how())

    def exported(digest=None):
        raise AssertionError("exported for nothing")

    known = one()
    known.image_id = lambda: source.root.config.digest
    known.manifest = known.resolve = exported
    outcome = perform([item(known, dest)], Places(), how())
    assert not outcome.changed and outcome.images[0]["digest"] == str(source.root.digest)
    known.image_id = lambda: Digest.of(b"another image")
    with pytest.raises(AssertionError, match="for nothing"):
        perform([item(known, dest)], Places(), how())
