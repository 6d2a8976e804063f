# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at images: every field, what is missing, and not one layer."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    InvalidInput,
    InvalidReference,
    NotFound,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import (
    descriptor_of,
    parse_manifest,
    serialise,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.operations.inspect import Wish, inspect
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Source

HERE = Platform.local()


def image(architecture, variant="", layers=(b"one", b"two!"), **more):
    config = {
        "os": "linux",
        "architecture": architecture,
        "variant": variant,
        "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": {"a": "b"}, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": "make"}],
    }
    raw = json.dumps(config).encode()

    def described(data, media_type):
        return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}

    manifest = parse_manifest(
        serialise(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": described(raw, media_types.OCI_CONFIG),
                "layers": [described(one, media_types.OCI_LAYER_GZIP) for one in layers],
                **more,
            }
        )
    )
    return manifest, {Digest.of(raw): raw}


def index(*children, **annotations):
    entries = []
    for (manifest, dummy), platform in children:
        os, architecture, variant = (platform.split("/") + [""])[:3]
        entry = {**descriptor_of(manifest).to_json(), "platform": {"os": os, "architecture": architecture}}
        if variant:
            entry["platform"]["variant"] = variant
        if os == "unknown":
            about = {"vnd.docker.reference.digest": str(children[0][0][0].digest)}
            entry["annotations"] = {**about, "vnd.docker.reference.type": "attestation-manifest"}
        entries.append(entry)
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    top = parse_manifest(serialise({**document, "annotations": annotations} if annotations else document))
    blobs = {digest: data for (dummy, own), unused in children for digest, data in own.items()}
    return Source("an index", top, [one for (one, dummy), unused in children], blobs)


def single(*arguments, **more):
    manifest, blobs = image(*arguments, **more)
    return Source("an image", manifest, [], blobs)


@pytest.fixture
def look(monkeypatch):
    """Inspect sources that stand behind names."""

    def call(sources, names=None, parallel=4, **wish):
        def open_source(location, places):
            source = sources.get(location.details)
            if source is None:
                raise AssertionError(f"{location} was not expected")
            return source

        monkeypatch.setattr(table, "open_source", open_source)
        return inspect(list(names or sources), Places(), Wish(**wish), parallel)

    return call


class Missing(Source):
    def __init__(self):
        super().__init__("missing", image("amd64")[0], [], {})

    def manifest(self, digest=None):
        raise NotFound("MANIFEST_UNKNOWN", 404, "MANIFEST_UNKNOWN")


def test_an_image(look):
    source = single("arm64", "v8", annotations={"note": "x"})
    (found,) = look({"r.example/a:1": source}).images
    config = source.root.config
    expected = {
        "name": "r.example/a:1",
        "location": "r.example/a:1",
        "repository": "r.example/a",
        "tag": "1",
        "digest": str(source.root.digest),
        "manifest_digest": str(source.root.digest),
        "media_type": media_types.OCI_MANIFEST,
        "is_index": False,
        "platform": "linux/arm64",
        "architecture": "arm64",
        "variant": "v8",
        "created": "2026-01-01T00:00:00Z",
        "labels": {"a": "b"},
        "env": ["PATH=/bin"],
        "history": [{"created_by": "make"}],
        "config_digest": str(config.digest),
        "size": config.size + 7,
        "annotations": {"note": "x"},
        "artifact_type": "",
    }
    assert {key: found[key] for key in expected} == expected
    assert [one["size"] for one in found["layers"]] == [3, 4]
    assert found["platforms"][0]["size"] == found["size"]
    assert not {"raw", "config", "tags"} & set(found)
    assert list(source.opened) == [config.digest], "the config alone is opened"


def test_an_index_shows_the_platform_of_this_machine_and_lists_all(look):
    other = "s390x" if HERE.architecture != "s390x" else "amd64"
    foreign, here, attestation = image(other), image(HERE.architecture), image("unknown", layers=())
    source = index((foreign, f"linux/{other}"), (here, str(HERE)), (attestation, "unknown/unknown"))
    (found,) = look({"a": source}).images
    assert found["digest"] == str(source.root.digest)
    assert found["manifest_digest"] == str(here[0].digest)
    assert [one["platform"] for one in found["platforms"]] == [f"linux/{other}", str(HERE)]
    assert [one["size"] for one in found["platforms"]] == [None, found["size"]]
    assert found["attestations"] == [
        {"digest": str(attestation[0].digest), "attests": str(foreign[0].digest), "type": "attestation-manifest"}
    ]


def test_sizes_of_all_platforms_when_asked(look):
    source = index((image("amd64"), "linux/amd64"), (image("riscv64", layers=[b"x" * 90]), "linux/riscv64"))
    sizes = [one["size"] for one in look({"a": source}, platform_sizes=True).images[0]["platforms"]]
    assert None not in sizes
    assert sizes[0] != sizes[1]


def test_the_platform_asked_for(look):
    source = index((image("amd64"), "linux/amd64"), (image("arm", "v7"), "linux/arm/v7"))
    (found,) = look({"a": source}, platform=Platform.parse("linux/arm")).images
    assert (found["platform"], found["variant"]) == ("linux/arm/v7", "v7")
    with pytest.raises(InvalidInput, match="an index: has no image for linux/s390x; it has linux/amd64, linux/arm/v7"):
        look({"a": source}, platform=Platform.parse("linux/s390x"))
    with pytest.raises(InvalidInput, match="is no image for linux/s390x"):
        look({"a": single("amd64")}, platform=Platform.parse("linux/s390x"))


def test_raw_and_config(look):
    source = index((image("amd64"), "linux/amd64"), top="yes")
    (found,) = look({"a": source}, raw=True, config=True).images
    assert found["raw"] == source.root.raw
    assert found["config"]["os"] == "linux"
    assert found["annotations"] == {"top": "yes"}


def test_an_artifact_has_no_platform(look):
    data = b'{"not": "an image"}'
    config = {"mediaType": "application/vnd.example+json", "digest": str(Digest.of(data)), "size": len(data)}
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config, "layers": []}
    source = Source("chart", parse_manifest(serialise(document)), [], {Digest.of(data): data})
    (found,) = look({"a": source}, config=True).images
    assert found["artifact_type"] == "application/vnd.example+json"
    assert found["platforms"] == []
    assert found["config"] == {"not": "an image"}
    assert "created" not in found


def test_order_missing_and_default_tag(look):
    sources = {f"r.example/i{number}": single("amd64", layers=[bytes([number])]) for number in range(20)}
    sources["r.example/gone:1"] = Missing()
    names = [*reversed(list(sources))]
    found = look(sources, names, parallel=7)
    assert [one["name"] for one in found.images] == names[1:]
    assert found.missing == ["r.example/gone:1"]
    assert found.images[0]["location"] == "r.example/i19:latest"


def test_a_typing_error_costs_no_request(look):
    with pytest.raises(InvalidReference, match="it must be lower case"):
        look({}, ["r.example/fine", "r.example/Wrong"])


def test_a_child_that_is_not_there_is_no_missing_image(look):
    source = index((image("amd64"), "linux/amd64"))
    source.manifests = {source.root.digest: source.root}
    with pytest.raises(RegistryError, match="its index lists sha256:.* which is not there"):
        look({"a": source})


def test_one_failure_ends_it_with_the_cause(look):
    class Broken(Missing):
        def manifest(self, digest=None):
            raise AccessDenied("not yours", 403, "DENIED")

    sources = {f"r.example/i{number}": single("amd64", layers=[bytes([number])]) for number in range(20)}
    with pytest.raises(AccessDenied, match="not yours"):
        look({**sources, "r.example/b": Broken()})


def test_tags_that_nobody_may_list_are_a_warning(look):
    class Unlisted(Source):
        def tags(self):
            raise NotFound("404 page not found", 404)

    manifest, blobs = image("amd64")
    found = look({"a": Unlisted("closed", manifest, [], blobs)}, list_tags=True)
    assert found.images[0]["tags"] is None
    assert found.warnings == ["the tags of closed cannot be listed: 404 page not found"]
