# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images converted on their way: what is known beforehand, what is recognised, what is compressed how often."""

from __future__ import annotations

import gzip
import json
import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types as types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    BlobUnknown,
    DigestMismatch,
    InvalidInput,
    InvalidManifest,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.form import Form
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import descriptor_of, parse_manifest, serialise
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How, perform
from ansible_collections.longshore.oci.plugins.module_utils.operations.plan import Item, Wish
from ansible_collections.longshore.oci.plugins.module_utils.transports.base import Capabilities
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source, index

BASE = b"base" * 5000
ZSTD = Wish(form=Form("", "zstd"))
TO_DOCKER = Wish(form=Form("docker"))
ATTESTS = "vnd.docker.reference.digest"


def image(*contents, architecture="amd64", lie=False):
    """(manifest, blobs) of an image with a gzip layer for each content; ``lie``: with wrong diff_ids."""
    diff_ids = [str(Digest.of(b"lie" if lie else one)) for one in contents]
    config = json.dumps({"os": "linux", "architecture": architecture, "rootfs": {"diff_ids": diff_ids}}).encode()
    layers = [gzip.compress(one, mtime=0) for one in contents]
    kinds = [types.OCI_CONFIG] + [types.OCI_LAYER_GZIP] * len(layers)
    described = [
        {"mediaType": kind, "digest": str(Digest.of(data)), "size": len(data)} for kind, data in zip(kinds, [config, *layers])
    ]
    document = {"schemaVersion": 2, "mediaType": types.OCI_MANIFEST, "config": described[0], "layers": described[1:]}
    return parse_manifest(serialise(document)), {Digest.of(one): one for one in [config, *layers]}


def one(name="a", own=b"own", **more):
    manifest, blobs = image(BASE, own)
    return Source(name, manifest, [], blobs, **more)


def many():
    """Two platforms and an attestation of the first."""
    amd, blobs = image(BASE, b"amd")
    arm, more = image(BASE, b"arm", architecture="arm64")
    config, statement = b'{"os":"unknown","architecture":"unknown"}', b"statement"
    parts = [(types.OCI_CONFIG, config), ("application/vnd.in-toto+json", statement)]
    described = [{"mediaType": kind, "digest": str(Digest.of(data)), "size": len(data)} for kind, data in parts]
    document = {"schemaVersion": 2, "mediaType": types.OCI_MANIFEST, "config": described[0], "layers": described[1:]}
    attestation = parse_manifest(serialise(document))
    third = {Digest.of(data): data for unused, data in parts}
    entries = ((amd, "linux/amd64", {}), (arm, "linux/arm64", {}), (attestation, None, {ATTESTS: str(amd.digest)}))
    return Source("many", index(*entries), [amd, arm, attestation], {**blobs, **more, **third}), amd, arm, attestation


def item(source, destination, *names, wish=ZSTD, expected=None):
    names = list(names or ["latest"])
    return Item(source, destination, names, source.name, f"{destination.name}:{names[0]}", wish, expected)


def run(*items, check=False, parallel=4):
    return perform(items, Places(), How(parallel, threading.Event(), check))


def opened(source):
    """How often layers were read; configs are small."""
    configs = {one.config.digest for one in source.manifests.values() if hasattr(one, "config")}
    return sum(count for digest, count in source.opened.items() if digest not in configs)


def test_without_compression_all_is_known_beforehand():
    host, source = Host(), one()
    dest = host.repository("a")
    would = run(item(source, dest, wish=TO_DOCKER), check=True)
    assert not host.writes()
    did = run(item(source, dest, wish=TO_DOCKER))
    assert would.facts() == did.facts() and would.diff() == did.diff()
    found = dest.manifests[dest.names["latest"]]
    assert found.media_type == types.DOCKER_MANIFEST and found.config.digest == source.root.config.digest
    assert dest.blobs == source.blobs
    host.log.clear()
    assert not run(item(source, dest, wish=TO_DOCKER)).changed
    assert [entry[0] for entry in host.log] == ["resolve"]


def test_what_is_in_that_form_already_is_copied_as_it_is():
    host, source = Host(), one()
    outcome = run(item(source, host.repository("a"), wish=Wish(form=Form("oci", "gzip"))))
    assert outcome.images[0]["digest"] == str(source.root.digest)


def test_compressed_anew_and_recognised_afterwards():
    host, source = Host(), one()
    dest = host.repository("a")
    would = run(item(source, dest), check=True)
    assert would.changed and would.images[0]["digest"] is None and not host.writes()
    assert "compressed" in would.diff()["after"]["a:latest"]
    did = run(item(source, dest))
    found = dest.manifests[dest.names["latest"]]
    assert did.images[0]["digest"] == str(found.digest)
    assert [layer.media_type for layer in found.layers] == [types.OCI_LAYER_ZSTD] * 2
    assert did.blobs == would.blobs == {"copied": 3, "mounted": 0, "existing": 0}
    assert did.bytes_transferred == sum(len(data) for data in dest.blobs.values())
    host.log.clear()
    source.opened.clear()
    for check in (True, False):
        again = run(item(source, dest), check=check)
        assert not again.changed and again.images[0]["digest"] == str(found.digest)
    assert not host.writes() and not source.opened


@pytest.mark.parametrize("field", ["config", "layers", "annotations"])
def test_what_differs_in_anything_else_is_no_earlier_result(field):
    host, source = Host(), one()
    dest = host.repository("a")
    run(item(source, dest))
    document = json.loads(dest.manifests[dest.names["latest"]].raw)
    if field == "config":
        document["config"]["digest"] = str(Digest.of(b"another config"))
    elif field == "layers":
        document["layers"].pop()
    else:
        document["annotations"] = {"a": "b"}
    other = parse_manifest(serialise(document))
    dest.manifests[other.digest] = other
    dest.names["latest"] = other.digest
    outcome = run(item(source, dest))
    assert outcome.changed and outcome.blobs["copied"] == 0 and outcome.blobs["existing"] == 3
    assert dest.names["latest"] != other.digest


def test_a_destination_that_holds_no_manifest_there_is_written_over():
    host, source = Host(), one()
    dest = host.repository("a")
    dest.names["latest"] = Digest.of(b"schema 1")
    host.fails[("get", Digest.of(b"schema 1"))] = InvalidManifest("schema 1")
    assert run(item(source, dest)).changed


def test_another_tag_needs_no_layer_again():
    host, source = Host(), one()
    dest = host.repository("a")
    run(item(source, dest))
    source.opened.clear()
    host.log.clear()
    assert run(item(source, dest, "latest", "stable")).changed
    assert dest.names["stable"] == dest.names["latest"] and not source.opened
    assert {entry[0] for entry in host.writes()} == {"manifest", "name"}


def test_several_names_get_what_was_compressed():
    host, source = Host(), one()
    dest = host.repository("a")
    run(item(source, dest, "1", "2", "3"))
    assert len(set(dest.names.values())) == 1 and set(dest.names) == {"1", "2", "3"}
    assert host.log[-1][0] == "name"


def test_a_shared_layer_is_compressed_once_for_a_host_and_mounted():
    host = Host()
    sources = [one(str(number), b"own%d" % number) for number in range(8)]
    outcome = run(*(item(source, host.repository(source.name)) for source in sources), parallel=8)
    base = Digest.of(gzip.compress(BASE, mtime=0))
    assert sum(source.opened[base] for source in sources) == 1
    assert outcome.blobs["mounted"] == 7
    repositories = [host.repository(source.name) for source in sources]
    assert len({repository.manifests[repository.names["latest"]].layers[0].digest for repository in repositories}) == 1


def test_two_images_in_one_repository_share_the_transfer():
    host = Host(mounts=False)
    dest = host.repository("a")
    first, second = one("a", b"1"), one("b", b"2")
    run(item(first, dest, "1"), item(second, dest, "2"))
    assert opened(first) + opened(second) == 3


def test_where_a_mount_is_refused_the_layer_is_made_again():
    host = Host()
    first, second = one("a", b"1"), one("b", b"2")

    class Forgetful(dict):
        def get(self, *unused):
            return None

    run(item(first, host.repository("a")))
    host.repositories = Forgetful(host.repositories)
    third = one("c", b"1")
    outcome = run(
        item(first, host.repositories["a"], "again"), item(third, host.repository("c")), item(second, host.repository("d"))
    )
    assert outcome.error is None and outcome.blobs["mounted"] == 0


def test_a_lying_config_hurts_its_own_image_alone():
    host = Host()
    manifest, blobs = image(BASE, b"x", lie=True)
    liar, honest = Source("liar", manifest, [], blobs), one("honest", b"x")
    with pytest.raises(DigestMismatch, match="config lists"):
        run(item(liar, host.repository("a")), item(honest, host.repository("b")))
    assert host.repository("a").names == {} and set(host.repository("b").names) == {"latest"}


def test_a_config_that_does_not_tell_of_its_layers():
    manifest, blobs = image(BASE)
    document = json.loads(manifest.raw)
    document["layers"] *= 2
    source = Source("a", parse_manifest(serialise(document)), [], blobs)
    with pytest.raises(InvalidInput, match="2 layers, and its config 1 diff_ids"):
        run(item(source, Host().repository("a")))


def test_a_broken_copy_of_a_layer_is_replaced_by_that_of_another_image():
    host = Host()
    base = Digest.of(gzip.compress(BASE, mtime=0))
    bad, good = one("bad", b"1", broken=[base]), one("good", b"2")
    outcome = run(item(bad, host.repository("a")), item(good, host.repository("a"), "good"))
    assert outcome.error is None and set(host.repository("a").names) == {"latest", "good"}


def test_a_registry_that_lost_a_layer_gets_it_once_more_r1_27():
    host, source = Host(), one()
    dest = host.repository("a")
    run(item(source, dest))
    digest = dest.names.pop("latest")
    for blob in dest.blobs:
        dest.blobs[blob] = b"lost"
    host.fails[("manifest", digest)] = BlobUnknown("blob unknown", 400)
    outcome = run(item(source, dest))
    assert b"lost" not in dest.blobs.values() and dest.names == {"latest": digest}
    assert outcome.blobs == {"copied": 3, "mounted": 0, "existing": 0}


def test_an_index_is_converted_whole_children_first():
    host = Host()
    source, amd, arm, attestation = many()
    dest = host.repository("a")
    outcome = run(item(source, dest))
    root = dest.manifests[dest.names["latest"]]
    assert [entry.platform for entry in root.manifests] == [entry.platform for entry in source.root.manifests]
    assert all(entry.digest in dest.manifests for entry in root.manifests)
    assert root.manifests[2].digest == attestation.digest
    assert root.manifests[2].annotations[ATTESTS] == str(root.manifests[0].digest)
    assert outcome.images[0]["digest"] == str(root.digest) and host.log[-1] == ("name", "latest")
    # The layer that both platforms have was read once.
    assert opened(source) == 4
    host.log.clear()
    assert not run(item(source, dest)).changed and not host.writes()


def test_of_an_index_only_what_is_new_is_compressed():
    host = Host()
    source, amd, arm, attestation = many()
    dest = host.repository("a")
    run(item(source, dest))
    new, blobs = image(BASE, b"newer arm", architecture="arm64")
    root = index((amd, "linux/amd64", {}), (new, "linux/arm64", {}), (attestation, None, {ATTESTS: str(amd.digest)}))
    newer = Source("newer", root, [amd, new, attestation], {**source.blobs, **blobs})
    host.log.clear()
    outcome = run(item(newer, dest))
    assert outcome.changed and len([entry for entry in host.writes() if entry[0] == "manifest"]) == 2
    assert Digest.of(gzip.compress(b"amd", mtime=0)) not in newer.opened
    assert not run(item(newer, dest)).changed


def test_attestations_are_left_out_of_dockers_format_and_told():
    host = Host()
    source, amd, arm, attestation = many()
    dest = host.repository("a")
    for check in (True, False):
        outcome = run(item(source, dest, wish=TO_DOCKER), check=check)
        assert outcome.images[0]["left_out"] == [str(attestation.digest)]
    root = dest.manifests[dest.names["latest"]]
    assert root.media_type == types.DOCKER_LIST and len(root.manifests) == 2
    assert attestation.digest not in dest.manifests
    wish = Wish(form=Form("docker", "none"))
    run(item(source, dest, wish=wish))
    host.log.clear()
    assert not run(item(source, dest, wish=wish)).changed and not host.writes()


def test_chosen_platforms():
    host = Host()
    source, amd, arm, attestation = many()
    dest = host.repository("a")
    wish = Wish((Platform.parse("linux/arm64"),), form=Form("", "zstd"))
    run(item(source, dest, wish=wish))
    root = dest.manifests[dest.names["latest"]]
    assert len(root.manifests) == 1 and len(dest.manifests) == 2
    assert not run(item(source, dest, wish=wish)).changed


def test_an_index_within_an_index_and_one_entry_twice():
    source, amd, arm, attestation = many()
    nested = parse_manifest(
        serialise(
            {
                "schemaVersion": 2,
                "mediaType": types.OCI_INDEX,
                "manifests": [descriptor_of(source.root).to_json()] * 2 + [descriptor_of(arm).to_json()],
            }
        )
    )
    outer = Source("outer", nested, [source.root, amd, arm, attestation], source.blobs)
    host = Host()
    dest = host.repository("a")
    assert run(item(outer, dest)).error is None
    root = dest.manifests[dest.names["latest"]]
    assert root.manifests[0].digest == root.manifests[1].digest
    assert dest.manifests[root.manifests[0].digest].manifests[1].digest == root.manifests[2].digest


def test_the_name_does_not_move_after_a_failure():
    host = Host()
    source, amd, arm, attestation = many()
    dest = host.repository("a")
    host.fails[("manifest", attestation.digest)] = RegistryError("no", 500)
    with pytest.raises(RegistryError):
        run(item(source, dest))
    assert dest.names == {}


def test_a_digest_behind_the_destination():
    host, source = Host(), one()
    dest = host.repository("a")
    with pytest.raises(InvalidInput, match="gets one that is not known before"):
        run(item(source, dest, expected=source.root.digest))
    with pytest.raises(InvalidInput, match="and not .* as the destination"):
        run(item(source, dest, wish=TO_DOCKER, expected=source.root.digest))
    assert not host.writes()
    run(item(source, dest))
    assert not run(item(source, dest, expected=dest.names["latest"])).changed


def test_an_engine_takes_no_form():
    dest = Host().repository("a")
    dest.capabilities = Capabilities(indexes=False, image_ids=True)
    with pytest.raises(InvalidInput, match="leave format and compression out"):
        run(item(one(), dest))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"referrers": True}, "referrers go with an image as it is"),
        ({"platforms": (Platform.parse("linux/amd64"),), "index": "sparse"}, "index sparse keeps an index as it is"),
    ],
)
def test_wishes_that_do_not_go_together(options, words):
    with pytest.raises(InvalidInput, match=words):
        Wish(form=Form("oci"), **options)
