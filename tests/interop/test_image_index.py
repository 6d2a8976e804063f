# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_index on real registries, with skopeo and podman reading what it makes and making the same."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.longshore.oci.tests.interop.accounts import CREDENTIALS, PASSWORD, READER, READER_PASSWORD, USER
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import describe
from ansible_collections.longshore.oci.tests.servers.results import ok

PLAIN = {"src_plain_http": True, "dest_plain_http": True}
PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v6")
ATTESTS = "vnd.docker.reference.digest"


def single(platform, kind=images.OCI, seed=0):
    below = [images.noise_layer(4096, 7), images.noise_layer(2048, seed * 100 + PLATFORMS.index(platform))]
    return images.image(platform, below, kind=kind, config={"Cmd": ["/hello"]})


def push_all(registry, repository, kind=images.OCI, seed=0):
    """One image a platform, each under the tag of its architecture: (references, images)."""
    made = [single(platform, kind, seed) for platform in PLATFORMS]
    tags = [platform.split("/")[1] for platform in PLATFORMS]
    for tag, content in zip(tags, made):
        images.push(registry, repository, content, [tag])
    return [f"{registry.host}/{repository}:{tag}" for tag in tags], made


def with_attestation(registry, repository, tag, seed=0):
    """An index as BuildKit makes it: two platforms, and for each an attestation. (index's digest, the four digests)"""
    built = [single(platform, seed=seed) for platform in PLATFORMS[:2]]
    rows, digests = [], []
    for one in built:
        images.push(registry, repository, one, [])
        rows.append({**one.manifest.descriptor, "platform": one.platform})
        digests.append(one.digest)
    for one in built:
        note = images.image("unknown/unknown", [images.layer({"in-toto": one.digest.encode()})])
        images.push(registry, repository, note, [])
        about = {ATTESTS: one.digest, "vnd.docker.reference.type": "attestation-manifest"}
        platform = {"os": "unknown", "architecture": "unknown"}
        rows.append({**note.manifest.descriptor, "platform": platform, "annotations": about})
        digests.append(note.digest)
    kind = images.MEDIA_TYPES[images.OCI]["index"]
    document = images.to_json({"schemaVersion": 2, "mediaType": kind, "manifests": rows})
    status = registry.request("PUT", f"/v2/{repository}/manifests/{tag}", document, {"Content-Type": kind})[0]
    assert status == 201
    return images.sha256(document), digests


def twice(module, registry, expected=True, **options):
    """Run it in check mode, for real and once more, held to what each promises; the result of acting."""
    mark = registry.mark()
    would = ok(module("image_index", check=True, diff=True, **options))
    assert not registry.writes_since(mark), describe(registry.writes_since(mark))
    did = ok(module("image_index", diff=True, **options))
    for fact in ("changed", "digest", "digest_before", "manifests", "annotations", "bytes_transferred", "blobs", "diff"):
        assert would[fact] == did[fact], fact
    assert did["changed"] == expected
    mark = registry.mark()
    again = ok(module("image_index", **options))
    assert not again["changed"] and again["digest"] == did["digest"] and again["bytes_transferred"] == 0
    assert not registry.writes_since(mark), describe(registry.writes_since(mark))
    return did


@pytest.mark.parametrize("kind", [images.OCI, images.DOCKER])
def test_an_index_of_single_images_in_one_repository(module, registry, skopeo, repository, kind, tmp_path):
    sources, made = push_all(registry, repository, kind)
    name = f"{registry.host}/{repository}:all"
    mark = registry.mark()
    result = twice(module, registry, name=name, manifests=[{"src": one} for one in sources], **PLAIN)
    # Nothing but the index has been written.
    assert [one.path for one in registry.writes_since(mark)] == [f"/v2/{repository}/manifests/all"]
    found = skopeo.manifest(f"docker://{name}")
    assert skopeo.digest(f"docker://{name}") == result["digest"]
    assert found["mediaType"] == images.MEDIA_TYPES[kind]["index"] == result["media_type"]
    assert [one["digest"] for one in found["manifests"]] == [one.digest for one in made]
    assert [one["platform"] for one in result["manifests"]] == ["linux/amd64", "linux/arm64", "linux/arm/v6"]
    skopeo.copy(f"docker://{name}", f"dir:{tmp_path}/pulled")
    assert len(list((tmp_path / "pulled").glob("*.manifest.json"))) == 3


def test_the_same_entries_as_podman_makes(module, podman, registry, skopeo, repository):
    sources, made = push_all(registry, repository)
    theirs, ours = f"{registry.host}/{repository}:theirs", f"{registry.host}/{repository}:ours"
    podman.run("manifest", "create", "longshore-test-list")
    try:
        for source in sources:
            podman.run("manifest", "add", "--tls-verify=false", "longshore-test-list", f"docker://{source}")
        push = ["manifest", "push", "--tls-verify=false", "--all", "--format", "oci"]
        podman.run(*push, "longshore-test-list", f"docker://{theirs}")
    finally:
        podman.run("manifest", "rm", "longshore-test-list")
    ok(module("image_index", name=ours, manifests=[{"src": one} for one in sources], **PLAIN))

    def rows(name):
        entries = skopeo.manifest(f"docker://{name}")["manifests"]
        # podman writes the implied v8 of arm64 out.
        platforms = [{key: value for key, value in one["platform"].items() if value != "v8"} for one in entries]
        return [(one["digest"], one["size"], one["mediaType"], platform) for one, platform in zip(entries, platforms)]

    assert rows(ours) == rows(theirs)
    podman.run("pull", "--quiet", "--tls-verify=false", "--arch", "arm64", ours)
    assert podman.inspect(ours)["Id"] == made[1].config.digest.partition(":")[2]
    podman.run("image", "rm", ours)
    # And ours takes over what podman has made.
    both = twice(module, registry, name=f"{registry.host}/{repository}:taken", manifests=[{"src": theirs}], **PLAIN)
    assert [one["digest"] for one in both["manifests"]] == [one.digest for one in made]


def test_members_of_other_repositories_and_registries_come_along(module, registry, second_registry, skopeo, repository):
    sources, made = push_all(registry, f"{repository}/build")
    near = single("linux/arm/v6", seed=3)
    images.push(second_registry, f"{repository}/near", near, ["1"])
    name = f"{second_registry.host}/{repository}/app:1.0"
    manifests = [{"src": sources[0]}, {"src": sources[1]}, {"src": f"{second_registry.host}/{repository}/near:1"}]
    source_mark, mark = registry.mark(), second_registry.mark()
    result = twice(module, second_registry, name=name, manifests=manifests, **PLAIN)
    # The layer that all three share comes from the neighbour, with the other two of its blobs.
    assert result["blobs"]["mounted"] == 3 and result["blobs"]["copied"] == 4, result["blobs"]
    assert not registry.writes_since(source_mark)
    written = [one.path for one in second_registry.writes_since(mark) if one.method == "PUT" and "/manifests/" in one.path]
    assert written[-1].endswith("/manifests/1.0") and len(written) == 4
    assert skopeo.digest(f"docker://{name}") == result["digest"]
    assert [one["digest"] for one in result["manifests"]] == [made[0].digest, made[1].digest, near.digest]
    for one in result["manifests"]:
        skopeo.inspect(f"docker://{name.rpartition(':')[0]}@{one['digest']}", None, "--config")


def test_append_replaces_the_same_platform_and_keeps_the_rest(module, registry, skopeo, repository):
    sources, made = push_all(registry, repository)
    name = f"{registry.host}/{repository}:all"
    first = ok(module("image_index", name=name, manifests=[{"src": one} for one in sources], **PLAIN))
    newer = single("linux/arm64/v8", seed=9)
    images.push(registry, f"{repository}/newer", newer, ["1"])
    options = {"name": name, "append": True, "manifests": [{"src": f"{registry.host}/{repository}/newer:1"}], **PLAIN}
    second = twice(module, registry, **options)
    assert [one["digest"] for one in second["manifests"]] == [made[0].digest, newer.digest, made[2].digest]
    assert second["digest_before"] == first["digest"]
    # The index that was there stays under its digest.
    assert skopeo.digest(f"docker://{registry.host}/{repository}@{first['digest']}") == first["digest"]


def test_append_to_a_single_image_and_to_nothing(module, registry, repository):
    sources, made = push_all(registry, repository)
    added = [{"src": made[1].digest}]
    result = twice(module, registry, name=sources[0], append=True, manifests=added, **PLAIN)
    assert [one["digest"] for one in result["manifests"]] == [made[0].digest, made[1].digest]
    assert result["digest_before"] == made[0].digest
    result = twice(module, registry, name=f"{registry.host}/{repository}:new", append=True, manifests=added, **PLAIN)
    assert result["digest_before"] is None and len(result["manifests"]) == 1


def test_platform_and_annotations_of_an_entry_and_of_the_index(module, registry, skopeo, repository):
    sources, made = push_all(registry, repository)
    name = f"{registry.host}/{repository}:all"
    manifests = [{"src": sources[0], "annotations": {"org.example.built": "here"}}, {"src": sources[2], "platform": "linux/arm/v7"}]
    notes = {"org.opencontainers.image.version": "1.0", "org.example.odd": "ü {"}
    twice(module, registry, name=name, manifests=manifests, annotations=notes, **PLAIN)
    found = skopeo.manifest(f"docker://{name}")
    assert found["annotations"] == notes
    assert found["manifests"][0]["annotations"] == {"org.example.built": "here"}
    assert found["manifests"][1]["platform"] == {"os": "linux", "architecture": "arm", "variant": "v7"}
    # One is taken away and one set; the entries stay.
    changed = twice(module, registry, name=name, annotations={"org.example.odd": None, "org.example.new": "yes"}, **PLAIN)
    assert changed["annotations"] == {"org.opencontainers.image.version": "1.0", "org.example.new": "yes"}
    assert skopeo.manifest(f"docker://{name}")["manifests"] == found["manifests"]
    # The platform of an entry that is there is set anew.
    corrected = [{"src": made[2].digest, "platform": "linux/arm/v6"}]
    result = twice(module, registry, name=name, append=True, manifests=corrected, **PLAIN)
    assert [one["platform"] for one in result["manifests"]] == ["linux/amd64", "linux/arm/v6"]


def test_attestations_follow_their_image_into_an_index_and_out_of_it(module, registry, skopeo, repository):
    digest, (amd, arm, amd_note, arm_note) = with_attestation(registry, f"{repository}/built", "1")
    source = f"{registry.host}/{repository}/built:1"
    name = f"{registry.host}/{repository}/app:1"
    part = twice(module, registry, name=name, manifests=[{"src": source, "platforms": ["linux/amd64"]}], **PLAIN)
    assert [one["digest"] for one in part["manifests"]] == [amd, amd_note]
    whole = twice(module, registry, name=name, append=True, manifests=[{"src": source}], **PLAIN)
    assert [one["digest"] for one in whole["manifests"]] == [amd, amd_note, arm, arm_note]
    out = twice(module, registry, name=name, remove=["linux/amd64", "linux/s390x"], **PLAIN)
    assert [one["digest"] for one in out["manifests"]] == [arm, arm_note]
    # A new build for arm64 takes the old one's place, whose attestation goes.
    newer = single("linux/arm64/v8", seed=5)
    images.push(registry, f"{repository}/newer", newer, ["1"])
    replaced = [{"src": f"{registry.host}/{repository}/newer:1"}]
    result = twice(module, registry, name=name, append=True, manifests=replaced, **PLAIN)
    assert [one["digest"] for one in result["manifests"]] == [newer.digest]
    # By digest, and what is in the source stays.
    gone = twice(module, registry, name=source, remove=[arm], **PLAIN)
    assert [one["digest"] for one in gone["manifests"]] == [amd, amd_note]
    assert skopeo.digest(f"docker://{registry.host}/{repository}/built@{digest}") == digest


def test_an_index_that_says_the_same_is_left_as_it_is(module, registry, repository):
    # Written by another tool, with blanks and in another order of keys.
    content = images.sample()
    images.push(registry, repository, content, ["1.0"])
    name = f"{registry.host}/{repository}:1.0"
    for options in ({"manifests": [{"src": name}]}, {"remove": ["windows/amd64"]}, {"format": "oci"}):
        result = ok(module("image_index", name=name, **options, **PLAIN))
        assert not result["changed"] and result["digest"] == content.digest, options


def test_formats(module, registry, skopeo, repository):
    sources, made = push_all(registry, repository, images.DOCKER)
    oci, oci_made = push_all(registry, f"{repository}/oci", seed=4)
    name = f"{registry.host}/{repository}:all"
    docker_list, oci_index = (images.MEDIA_TYPES[kind]["index"] for kind in (images.DOCKER, images.OCI))
    assert twice(module, registry, name=name, manifests=[{"src": sources[0]}], **PLAIN)["media_type"] == docker_list
    assert twice(module, registry, name=name, format="oci", **PLAIN)["media_type"] == oci_index
    assert twice(module, registry, name=name, format="docker", **PLAIN)["media_type"] == docker_list
    refused = module("image_index", name=name, append=True, manifests=[{"src": oci[1]}], format="docker", **PLAIN)
    assert refused["failed"] and "Docker manifest list" in refused["msg"] and oci_made[1].digest in refused["msg"]
    refused = module("image_index", name=name, annotations={"a": "b"}, format="docker", **PLAIN)
    assert refused["failed"] and "no annotations" in refused["msg"]
    mixed = twice(module, registry, name=name, append=True, manifests=[{"src": oci[1]}], **PLAIN)
    assert mixed["media_type"] == oci_index and skopeo.digest(f"docker://{name}") == mixed["digest"]


@pytest.mark.parametrize("where", ["oci", "oci-archive", "dir"])
def test_other_places(module, registry, skopeo, repository, tmp_path, where):
    sources, made = push_all(registry, repository)
    place = f"{where}:{tmp_path}/place" + ("" if where == "dir" else ":app:1.0")
    options = {"name": place, "manifests": [{"src": one} for one in sources[:2]], "src_plain_http": True}
    twice(module, registry, **options)
    result = twice(
        module, registry, name=place, append=True, manifests=[{"src": sources[2]}, {"src": made[0].digest}], src_plain_http=True
    )
    assert [one["digest"] for one in result["manifests"]] == [one.digest for one in made]
    assert skopeo.digest(place) == result["digest"]
    skopeo.copy(place, f"dir:{tmp_path}/pulled")
    # Out of a file into a registry, entry by entry.
    name = f"{registry.host}/{repository}:back"
    back = twice(module, registry, name=name, manifests=[{"src": place, "platforms": ["linux/arm"]}], dest_plain_http=True)
    assert [one["digest"] for one in back["manifests"]] == [made[2].digest]


def test_one_registry_needs_the_credentials_of_the_destination_alone(module, registry_tls, skopeo, repository):
    import base64

    authorization = "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()
    made = [single(platform) for platform in PLATFORMS[:2]]
    for number, one in enumerate(made):
        images.push(registry_tls, f"{repository}/{number}", one, ["1"], authorization=authorization)
    manifests = [{"src": f"{registry_tls.host}/{repository}/{number}:1"} for number in (0, 1)]
    login = {"dest_username": USER, "dest_password": PASSWORD, "dest_ca_path": str(registry_tls.ca)}
    name = f"{registry_tls.host}/{repository}/app:1"
    result = ok(module("image_index", name=name, manifests=manifests, **login))
    assert result["blobs"]["copied"] == 0 and result["bytes_transferred"] == 0
    assert skopeo.digest(f"docker://{name}", CREDENTIALS) == result["digest"]


def test_tokens_and_who_may_only_read(module, registry_token, token_server, skopeo, repository):
    name = f"{registry_token.host}/{repository}/app:1"
    sources, login = [], {**PLAIN, "dest_username": USER, "dest_password": PASSWORD}
    for number, platform in enumerate(PLATFORMS[:2]):
        source = f"{registry_token.host}/{repository}/{number}:1"
        token = token_server.issue(USER, [f"repository:{repository}/{number}:pull,push"])
        images.push(registry_token, f"{repository}/{number}", single(platform), ["1"], authorization=f"Bearer {token}")
        sources.append({"src": source})
    result = ok(module("image_index", name=name, manifests=sources, **login))
    assert result["blobs"]["copied"] == 0 and skopeo.digest(f"docker://{name}", CREDENTIALS) == result["digest"]
    reader = {"dest_username": READER, "dest_password": READER_PASSWORD, "dest_plain_http": True}
    refused = module("image_index", name=name, remove=["linux/arm64"], **reader)
    assert refused["failed"] and refused["status_code"] in (401, 403)
    assert skopeo.digest(f"docker://{name}", CREDENTIALS) == result["digest"]


WRONG = [
    ({"manifests": [{"src": "{0}"}, {"src": "{twin}"}]}, "are both for linux/amd64"),
    ({"manifests": [{"src": "{0}", "platform": "amd64"}]}, "invalid platform 'amd64'"),
    ({"manifests": [{"src": "{0}", "platforms": ["linux/s390x"]}]}, "for linux/amd64 alone, not for linux/s390x"),
    ({"manifests": [{"src": "{index}", "platforms": ["linux/s390x"]}]}, "has no image for linux/s390x"),
    ({"manifests": [{"src": "{index}", "platform": "linux/s390x"}]}, "is an index of 2 images"),
    ({"manifests": [{"src": "{artifact}"}]}, "give platform"),
    ({"manifests": [{"src": "{0}"}, {"src": "{base}:nothing"}]}, ":nothing"),
    ({"manifests": [{"src": "sha256:" + "0" * 64}]}, "sha256:000"),
    ({"manifests": []}, "empty list"),
    ({"manifests": [{"src": "{0}"}], "remove": ["linux/amd64"]}, "append"),
    ({"remove": ["linux/amd64"]}, "does not exist"),
    ({"remove": ["linux/amd64"], "name": "{0}"}, "is an image and no index"),
    ({"remove": ["linux"], "name": "{index}"}, "invalid platform 'linux'"),
    ({"remove": ["linux/amd64", "linux/arm64"], "name": "{index}"}, "nothing would be left"),
    ({"annotations": {"a": 1.0}, "name": "{index}"}, "quotation marks"),
    ({"manifests": [{"src": "{0}"}], "name": "{base}@sha256:" + "0" * 64}, "has a digest"),
    ({"manifests": [{"src": "{0}"}], "name": "docker-archive:/nonexistent/place.tar:app:1"}, "/nonexistent"),
    ({}, "one of the following"),
]


@pytest.fixture(scope="module")
def stock(registry):
    """Names that the wrong tasks use."""
    base = f"{registry.host}/test/index-stock"
    sources, unused = push_all(registry, "test/index-stock")
    twin = single("linux/amd64", seed=8)
    images.push(registry, "test/index-stock", twin, ["twin"])
    images.push(registry, "test/index-stock", images.sample(), ["index"])
    empty = images.push_blob(registry, "test/index-stock", b"{}")
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}
    kind = images.MEDIA_TYPES[images.OCI]["manifest"]
    artifact = images.to_json({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []})
    fields = {"Content-Type": kind}
    assert registry.request("PUT", "/v2/test/index-stock/manifests/artifact", artifact, fields)[0] == 201
    names = {name: f"{base}:{name}" for name in ("twin", "index", "artifact")}
    return {"base": base, **names}, sources


@pytest.mark.parametrize(
    ("options", "words"), WRONG, ids=[f"{number}-{words[:20]}" for number, (unused, words) in enumerate(WRONG)]
)
def test_wrong_input(module, registry, repository, stock, options, words):
    names, sources = stock

    def filled(value):
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value.format(*sources, **names) if isinstance(value, str) else value

    mark = registry.mark()
    result = module("image_index", **{"name": f"{registry.host}/{repository}:new", **PLAIN, **filled(options)})
    assert result["failed"] and words in result["msg"], result["msg"]
    assert "\n" not in result["msg"] and "exception" not in result
    assert not registry.writes_since(mark), describe(registry.writes_since(mark))


def test_a_member_that_is_broken_leaves_the_index_alone(module, registry, second_registry, skopeo, repository):
    sources, made = push_all(registry, f"{repository}/build")
    name = f"{second_registry.host}/{repository}:1"
    first = ok(module("image_index", name=name, manifests=[{"src": sources[0]}], **PLAIN))
    lost = made[1].layers[1].digest
    assert registry.request("DELETE", f"/v2/{repository}/build/blobs/{lost}")[0] == 202
    result = module("image_index", name=name, manifests=[{"src": one} for one in sources], retries=0, **PLAIN)
    assert result["failed"] and lost in result["msg"]
    assert skopeo.digest(f"docker://{name}") == first["digest"]


def test_docker_reads_it(dockerd, module, registry, repository):
    # Which one of two it takes is the engine's own choice: that of this machine.
    sources, made = push_all(registry, repository, images.DOCKER)
    name = f"{registry.host}/{repository}:all"
    ok(module("image_index", name=name, manifests=[{"src": one} for one in sources], **PLAIN))
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    mine = made[1] if machine == "aarch64" else made[0]
    dockerd.run("pull", name)
    try:
        assert dockerd.inspect(name)["Id"] == mine.config.digest
    finally:
        dockerd.run("image", "rm", name)
