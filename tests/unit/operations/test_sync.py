# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors in memory: order, one pull for several places, names that stay, stopping, what is pruned."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NotFound, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.operations import sync_prune
from ansible_collections.longshore.oci.plugins.module_utils.operations.order import Order
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How, copy_images
from ansible_collections.longshore.oci.plugins.module_utils.operations.plan import Item
from ansible_collections.longshore.oci.plugins.module_utils.operations.scheduler import Job
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_names import Dest
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_once import Manifests, Once
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_prune import Surplus, Wanted
from ansible_collections.longshore.oci.plugins.module_utils.operations.sync_skopeo import secrets, sections
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source, image, index
from ansible_collections.longshore.oci.tests.unit.operations.repository import REPOSITORY, Client


def how(**more):
    return How(8, threading.Event(), **more)


def item(source, destination, name, **more):
    return Item(source, destination, [name], source.name, f"{destination.name}:{name}", **more)


def one(name, layer):
    manifest, blobs = image([b"base", layer])
    return Source(name, manifest, [], blobs)


class Turns(Host):
    """A registry that does not bear two writes that have to do with one manifest."""

    def __init__(self):
        super().__init__()
        self.busy = {}
        self.trips = []
        self.puts = []

    def repository(self, name):
        destination = super().repository(name)
        write = destination.write_manifest

        def checked(manifest, tag):
            listed = [entry.digest for entry in getattr(manifest, "manifests", ())]
            with self.lock:
                self.puts.append((manifest.digest, tag))
                self.trips += [digest for digest in (manifest.digest, *listed) if self.busy.get(digest) == "written"]
                self.trips += [manifest.digest] if manifest.digest in self.busy else []
                self.busy[manifest.digest] = "written"
                self.busy.update((digest, "listed") for digest in listed)
            threading.Event().wait(0.002)
            write(manifest, tag)
            with self.lock:
                for digest in (manifest.digest, *listed):
                    self.busy.pop(digest, None)

        destination.write_manifest = checked
        return destination


def test_an_index_is_not_written_while_its_child_is():
    first, blobs = image([b"base", b"amd"])
    second, more = image([b"base", b"arm"], architecture="arm64")
    third, most = image([b"base", b"new"], architecture="arm")
    blobs = {**blobs, **more, **most}
    whole = index((first, "linux/amd64", {}), (second, "linux/arm64", {}))
    larger = index((first, "linux/amd64", {}), (third, "linux/arm", {}))
    host = Turns()
    destination = host.repository("app")
    items = []
    for number in range(6):
        items.append(item(Source("child", first, [], blobs), destination, f"child-{number}"))
        items.append(item(Source("whole", whole, [first, second], blobs), destination, f"whole-{number}"))
        items.append(item(Source("larger", larger, [first, third], blobs), destination, f"larger-{number}"))
    outcome = copy_images(items, how())
    assert {entry["state"] for entry in outcome.images} == {"copied"} and len(destination.names) == 18
    assert not host.trips
    assert [tag for digest, tag in host.puts if digest == second.digest] == [None], "a child is written once"


def test_whoever_writes_waits_for_those_before_and_no_one_else():
    order, place = Order(), Host().repository("app")
    a, b, c = (Digest.of(text) for text in (b"a", b"b", b"c"))
    jobs = [Job(lambda: None) for unused in range(3)]
    order.note(place, a, [c], jobs[0])
    assert order.before(place, b, [c]) == [], "indexes that share a child do not wait for each other"
    order.note(place, b, [c], jobs[1])
    assert order.before(place, c, []) == jobs[:2]
    order.note(place, c, [], jobs[2])
    assert order.before(place, a, [c]) == [jobs[0], jobs[2]]
    assert order.before(Host().repository("app"), a, [c]) == []
    for job in jobs:
        job.finished = True
    order.forget_finished()
    assert order.before(place, a, [c]) == []


def test_several_places_take_one_pull_and_the_second_does_without_the_first_if_that_fails():
    source = one("app", b"own")
    near, far = Host("near.example"), Host("far.example")
    for host in (near, far):
        readable(host.repository("app"))
    items = [item(source, host.repository("app"), "1.0", relayed=True) for host in (near, far)]
    assert copy_images(items, how()).blobs["copied"] == 6
    assert set(source.opened.values()) == {1}
    lost, kept = Host("lost.example"), Host("kept.example")
    for host in (lost, kept):
        readable(host.repository("app"))
    other = one("other", b"else")
    layer = other.root.blobs()[-1].digest
    lost.fails[("blob", layer)] = RegistryError("no room", 507)
    outcome = copy_images([item(other, host.repository("app"), "1.0", relayed=True) for host in (lost, kept)], how())
    assert [entry["state"] for entry in outcome.images] == ["failed", "copied"]
    assert layer in kept.repository("app").blobs


def readable(place):
    place.reader = lambda: Reader(place)


class Reader(Source):
    """What reads a place in memory back."""

    def __init__(self, place):
        super().__init__(place.name, one("any", b"any").root, [], place.blobs)


def test_names_that_exist_stay_and_are_not_asked_for_at_the_source():
    source, newer, host = one("old", b"old"), one("new", b"new"), Host()
    destination = host.repository("app")
    copy_images([item(source, destination, "1.0")], how())
    newer.resolve = newer.manifest = None
    outcome = copy_images([item(newer, destination, "1.0", immutable=True)], how())
    assert outcome.images[0]["state"] == "unchanged" and outcome.images[0]["digest"] == str(source.root.digest)


def test_nothing_begins_after_the_first_failure_if_that_is_wanted():
    host = Host()
    destination = host.repository("app")
    sources = [one(f"image {number}", b"own %d" % number) for number in range(30)]
    host.fails[("blob", sources[0].root.blobs()[-1].digest)] = RegistryError("no room", 507)
    outcome = copy_images(
        [item(source, destination, f"1.{number}") for number, source in enumerate(sources)],
        How(1, threading.Event(), stop_on_error=True),
    )
    states = [entry["state"] for entry in outcome.images]
    assert states[0] == "failed" and states.count("failed") == 1 and states.count("skipped") >= 14
    assert outcome.error is not None and "no room" in outcome.error.message
    assert len(destination.names) == states.count("copied")


def test_each_image_tells_what_it_cost():
    outcome = copy_images([item(one("app", b"own"), Host().repository("app"), "1.0")], how(costs=True))
    assert outcome.images[0]["requests"] == 0 and outcome.images[0]["seconds"] >= 0


def test_a_manifest_is_read_once_however_many_ask():
    source = one("app", b"own")
    asked = []

    class Counting(Source):
        def resolve(self):
            asked.append("head")
            return super().resolve()

        def manifest(self, digest=None):
            asked.append("get")
            threading.Event().wait(0.01)
            return super().manifest(digest)

    manifests = Manifests()
    several = [Once(Counting("app", source.root, [], source.blobs), manifests) for unused in range(4)]
    threads = [threading.Thread(target=lambda one=one: one.manifest(one.resolve())) for one in several for unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == ["get"] + ["head"] * 4
    alone = Once(Counting("app", source.root, [], source.blobs), Manifests())
    asked.clear()
    assert alone.manifest().digest == alone.resolve() and alone.manifest(alone.resolve()) is alone.manifest()
    assert asked == ["get"], "where nothing is counted the manifest tells the digest"


def test_manifests_are_forgotten_when_there_are_many():
    manifests = Manifests(limit=1000)
    for number in range(50):
        manifest = one("app", b"%d" % number).root
        assert manifests.get(number, lambda manifest=manifest: manifest) is manifest
    assert len(manifests._held) < 5

    def lost():
        raise NotFound("gone", 404)

    with pytest.raises(NotFound):
        manifests.get("lost", lost)


def surplus(client, *names):
    survey = client.survey()
    wanted = Wanted(Dest("registry.example/team/app"), f"registry.example/{REPOSITORY}", Host().repository("app"))
    return Surplus(wanted, {name: client.names[name] for name in names}, survey=survey)


def test_a_registry_that_drops_manifests_with_their_last_tag_keeps_what_is_needed():
    client = Client("last")
    child, loose, signed = client.image("child"), client.image("loose", layers=(b"x",)), client.image("signed", layers=(b"y",))
    client.index(child, tags=["kept"])
    client.image(layers=(b"z",), subject=signed)
    sync_prune.remove(surplus(client, "child", "loose", "signed"), untag=False)
    assert set(client.names) == {"kept"}
    assert child.digest in client.manifests and signed.digest in client.manifests and loose.digest not in client.manifests


def test_placeholders_are_written_one_after_the_other():
    client = Client("unsupported")
    names = [f"1.{number}" for number in range(12)]
    for name in names:
        client.image(name, layers=(name.encode(),))
    busy, most = [], []
    untag = client.untag

    def slow(repository, tag):
        busy.append(tag)
        most.append(len(busy))
        threading.Event().wait(0.002)
        busy.remove(tag)
        return untag(repository, tag)

    client.untag = slow
    sync_prune.remove(surplus(client, *names), untag=True)
    assert not client.names and max(most) == 1
    with pytest.raises(RegistryError, match="Set untag to true"):
        client.image("2.0")
        sync_prune.remove(surplus(client, "2.0"), untag=False)


def test_a_file_of_skopeo():
    warned = []
    document = {
        "registry.example.com": {
            "images": {"busybox": [], "redis": ["1.0", "sha256:" + "a" * 64], "nginx": None},
            "images-by-tag-regex": {"team/app": "^1"},
            "images-by-semver": {"alpine": ">= 3"},
            "credentials": {"username": "u", "password": "secret"},
            "tls-verify": "no",
            "cert-dir": "/certs",
            "tls-verfy": False,
        },
        "docker.io": {"images": {"alpine": ["3"]}},
    }
    first, second = sections(document, warned.append)
    assert [name for name, unused in first.images] == [
        *(f"registry.example.com/{name}" for name in ("busybox", "redis", "nginx", "team/app", "alpine"))
    ]
    choices = dict(first.images)
    assert choices["registry.example.com/redis"].names == ("1.0", "sha256:" + "a" * 64)
    assert choices["registry.example.com/redis"].wanted is None
    assert choices["registry.example.com/busybox"].wanted("any") and choices["registry.example.com/team/app"].wanted("1.0")
    assert not choices["registry.example.com/team/app"].wanted("v1") and choices["registry.example.com/alpine"].wanted("3.1")
    assert (first.username, first.password, first.tls_verify, first.cert_dir) == ("u", "secret", False, "/certs")
    assert second.images[0][0] == "docker.io/library/alpine" and second.tls_verify is None and not second.password
    assert list(secrets(document)) == ["secret"] and "secret" not in repr(first)
    assert len(warned) == 1 and "tls-verfy" in warned[0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no registries"),
        ({}, "no registries"),
        ({"r.example": ["x"]}, "has to be a mapping"),
        ({"r.example": {"images": ["x"]}}, "has to be a mapping"),
        ({"r.example": {"images": {"app": "1.0"}}}, "needs a list"),
        ({"r.example": {"images": {"app": [1.1]}}}, "quotation marks"),
        ({"r.example": {"images": {"app": ["a/b"]}}}, "invalid tag"),
        ({"r.example": {"images": {"APP": []}}}, "lower case"),
        ({"r.example": {"images-by-tag-regex": {"app": "(?=x)"}}}, "regular expression of Go"),
        ({"r.example": {"images-by-semver": {"app": "latest"}}}, "version constraint"),
        ({"r.example": {"tls-verify": "perhaps"}}, "true or false"),
    ],
)
def test_what_is_no_file_of_skopeo(document, words):
    with pytest.raises(InvalidInput, match=words):
        sections(document, print)
