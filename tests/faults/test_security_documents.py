# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S1 to S3, S8, S15, S16, S18 and S23: documents that lie, that are too large, or that are no documents."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.longshore.oci.tests.faults.bent import bent, layer_field, with_manifest
from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import FaultRegistry, Kind, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import page, refused, with_body
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
BOTH = images.index([IMAGE, images.image("linux/arm64", [images.noise_layer(1000, seed=4)])])
LAYER = IMAGE.layers[0]
LOGIN = {"src_username": USER, "src_password": PASSWORD}
MIB = 1024 * 1024
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


#: Runs a module in a process whose most memory is told after its result.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(process, verb, **options):
    """The result of a module, and the most memory it had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *process.command(verb)],
        input=process.arguments(**options),
        env=process.whole_environment(),
        cwd=process.home,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result, memory = done.stdout.strip().splitlines()[-2:]
    return json.loads(result), int(memory) * 1024


TOO_LARGE = {
    "hugeman": "sent 67108864 bytes where at most",
    "infman": "bytes that are sensible",
    "infmanchunks": "bytes that are sensible",
    "inferror": "(HTTP 403",
    "infheader": "an answer that is not valid HTTP",
}


@pytest.mark.parametrize("scenario, sentence", TOO_LARGE.items())
def test_s08_an_answer_without_measure_is_given_up(faults, scenario, sentence):
    """A manifest has 8 MiB at most, a token and an error one (CVE-2020-1702)."""
    outcome = faults.pull(scenario, IMAGE, OTHER, retries=0)
    outcome.failed(sentence)
    assert all(one.sent < 32 * MIB for one in outcome.log)


@pytest.mark.parametrize("scenario", ["tokenlong", "tokenendless"])
def test_s08_nor_is_a_tokens(faults, scenario):
    outcome = faults.pull(scenario, IMAGE, OTHER, retries=0, **LOGIN)
    outcome.failed("sensible")
    assert not len(outcome.log.kind(Kind.GET_BLOB))


def test_s08_memory_is_not_taken_for_what_is_promised(process, faulty):
    """A config of 10 bytes that says it has exabytes, and a manifest without end."""

    def change(document):
        document["config"]["size"] = 2**52

    names = [f"{faulty.host}/{faulty.put('none', bent(IMAGE, change))}:1", f"{faulty.host}/{faulty.put('infman', IMAGE)}:1"]
    for name in names:
        result, memory = peak(process, "image_inspect", name=[name], plain_http=True, config=True)
        assert result["failed"], result
        assert memory < 100 * MIB, memory


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


HOSTILE = "first\r\nsecond \x1b[31mred\u202e {{ lookup('pipe', 'id') }} "
UNSEEMLY = [chr(one) for one in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066)]


@pytest.mark.parametrize("size", [0, 40_000, MIB])
def test_s18_words_of_a_server_are_shown_on_one_line(module, faulty, size):
    scenario = Scenario("hostilewords", (on(Kind.GET_MANIFEST, refused(403, "DENIED", HOSTILE + "x" * size)),))
    repository = faulty.repository(faulty.add(scenario))
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], plain_http=True)
    assert result["failed"] and "(HTTP 403" in result["msg"], result["msg"]
    # Of a megabyte only the beginning is read, which is no JSON any more: it is shown as it is.
    assert "first second  [31mred  {{ lookup('pipe', 'id') }}" in result["msg"] or size == MIB
    assert len(result["msg"]) < 1000 and not [one for one in UNSEEMLY if one in result["msg"]]


def test_s18_annotations_and_labels_are_data(module, faulty):
    def change(document):
        document["annotations"] = {"note": HOSTILE}

    content = bent(images.image("linux/amd64", [images.noise_layer(1000, seed=1)], labels={"note": HOSTILE}), change)
    repository = faulty.put("none", content)
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], plain_http=True, config=True)
    assert not result.get("failed"), result
    text = json.dumps(result, ensure_ascii=False)
    # As data they are what they are, escaped by JSON; what would be a template is plain text of a module's result, which
    # Ansible does not evaluate.
    assert not [one for one in UNSEEMLY if one in text]


def test_s18_signed_urls_are_shown_without_what_signs_them(faults):
    scenario = Scenario(
        "signedurls",
        (
            on(
                Kind.GET_BLOB,
                refused(
                    302,
                    headers={
                        "Location": "{other}/storage/{repository}/blobs/{reference}?X-Amz-Signature=0123456789abcdef&sig=fedcba"
                    },
                ),
            ),
            on(Kind.STORAGE, refused(403, body=b"<Error><Code>AccessDenied</Code></Error>")),
        ),
    )
    outcome = faults.pull(scenario, IMAGE, OTHER)
    outcome.failed("(HTTP 403", status_code=403)
    assert "0123456789abcdef" not in str(outcome.result) and "fedcba" not in str(outcome.result)
    assert outcome.result["url"].endswith("?...")


def test_s18_secrets_in_a_servers_words_are_masked(faults):
    scenario = Scenario("echo", (on(Kind.GET_MANIFEST, refused(403, "DENIED", f"user {USER} password {PASSWORD}")),))
    outcome = faults.pull(scenario, IMAGE, OTHER, **LOGIN)
    outcome.failed("DENIED")
    assert PASSWORD not in str({key: value for key, value in outcome.result.items() if key != "invocation"})


def test_s23_a_page_at_v2_is_no_registry(module):
    """As a wall against robots answers."""
    with FaultRegistry(base=[on(Kind.BASE, page())]) as faulty:
        result = module("registry_info", registry=faulty.host, plain_http=True)
        assert result["failed"] and f"{faulty.host} is not a registry" in result["msg"], result
        assert "with an HTML page; check host and port" in result["msg"]


@pytest.mark.parametrize("scenario", ["pagemanifest", "pageblob", "tokenpage"])
def test_s23_a_page_in_place_of_content_is_no_content(faults, scenario):
    outcome = faults.pull(scenario, IMAGE, OTHER, **(LOGIN if scenario == "tokenpage" else {}))
    outcome.failed("")
    words = {
        "pagemanifest": "is not JSON but a web page",
        "pageblob": "its descriptor promises",
        "tokenpage": "is not JSON but a web page",
    }
    assert words[scenario] in outcome.message


def test_s23_a_page_of_an_error_is_not_quoted(faults):
    scenario = Scenario("errorpage", (on(Kind.GET_MANIFEST, page(b"<html><script>alert(1)</script>" + b"x" * 500_000, 403)),))
    outcome = faults.pull(scenario, IMAGE, OTHER)
    outcome.failed("an HTML page, which no registry sends", status_code=403)
    assert "script" not in str(outcome.result) and len(outcome.message) < 500


def test_s23_a_list_that_is_a_page_is_told(module, faulty):
    scenario = Scenario("pagetags", (on(Kind.TAGS, with_body(b"<html>")),))
    repository = faulty.put(faulty.add(scenario), IMAGE)
    result = module("image_tags", repository=f"{faulty.host}/{repository}", plain_http=True)
    assert result["failed"] and "is not JSON but a web page" in result["msg"], result
