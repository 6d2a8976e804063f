# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and indexes in another form: exact bytes, what is kept, what is left out, what is refused."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types as types
from ansible_collections.longshore.oci.plugins.module_utils.model.conversion import convert, convert_index
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.model.form import Blob, Change, Form
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import ATTESTS, parse_manifest, serialise

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
TO_OCI, TO_DOCKER = Form("oci"), Form("docker")


def described(media_type, digest=A, size=1, **more):
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


def manifest(document):
    return parse_manifest(serialise(document))


def oci(*layers, **more):
    layers = layers or (described(types.OCI_LAYER_GZIP, B, 2), described(types.OCI_LAYER, C, 3))
    config = described(types.OCI_CONFIG)
    head = {"schemaVersion": 2, "mediaType": types.OCI_MANIFEST}
    return manifest({**head, "config": config, "layers": list(layers), **more})


def docker(*layers, config=types.DOCKER_CONFIG):
    layers = layers or (described(types.DOCKER_LAYER_GZIP, B, 2), described(types.DOCKER_LAYER, C, 3))
    head = {"schemaVersion": 2, "mediaType": types.DOCKER_MANIFEST}
    return manifest({**head, "config": described(config), "layers": list(layers)})


def layer_types(found):
    return [layer.media_type for layer in found.layers]


def test_docker_and_oci_are_each_others_counterpart_byte_for_byte():
    assert convert(docker(), TO_OCI, {}).raw == oci().raw
    assert convert(oci(), TO_DOCKER, {}).raw == docker().raw


def test_exact_bytes():
    assert convert(oci(described(types.OCI_LAYER_GZIP, B, 2), annotations={"a": "b"}), TO_DOCKER, {}).raw == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":'
        b'"application/vnd.docker.container.image.v1+json","digest":"' + A.encode() + b'","size":1},"layers":[{"mediaType":'
        b'"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"' + B.encode() + b'","size":2}]}'
    )


@pytest.mark.parametrize("form", [TO_OCI, Form("", "gzip"), Form("oci", "gzip", 9)])
def test_what_is_in_that_form_keeps_its_bytes(form):
    """However it is written, and whatever its level was."""
    text = json.dumps(json.loads(oci(described(types.OCI_LAYER_GZIP, B, 2)).raw), indent=3).encode()
    found = parse_manifest(text)
    assert convert(found, form, {}) is found


def test_an_oci_manifest_without_a_media_type_stays_without():
    document = json.loads(oci().raw)
    del document["mediaType"]
    found = parse_manifest(serialise(document), types.OCI_MANIFEST)
    assert convert(found, TO_OCI, {}) is found
    assert convert(found, TO_DOCKER, {}).raw == docker().raw
    changed = convert(found, Form("", "gzip"), {1: Blob(Digest.parse(A), 9)})
    assert changed.media_type == types.OCI_MANIFEST and b'"mediaType":"application/vnd.oci.image.manifest' not in changed.raw


def test_docker_has_no_annotations_subject_or_artifact_type():
    rich = oci(
        described(types.OCI_LAYER_GZIP, B, 2, annotations={"a": "b"}),
        annotations={"c": "d"},
        subject=described(types.OCI_MANIFEST, C),
        artifactType="application/x",
    )
    found = json.loads(convert(rich, TO_DOCKER, {}).raw)
    assert set(found) == {"schemaVersion", "mediaType", "config", "layers"}
    assert set(found["layers"][0]) == {"mediaType", "digest", "size"}
    kept = convert(rich, Form("", "zstd"), {0: Blob(Digest.parse(A), 5)})
    assert kept.annotations == {"c": "d"} and kept.subject == rich.subject and kept.artifact_type == "application/x"


def test_a_layer_that_was_compressed_anew():
    """Its own annotations stay, what tells of its old bytes goes."""
    notes = {"a": "b", "containerd.io/snapshot/stargz/toc.digest": A, "io.github.containers.zstd-chunked.manifest-position": "1"}
    source = oci(described(types.OCI_LAYER_GZIP, B, 2, annotations=notes, urls=["https://x.example/"]))
    found = convert(source, Form("", "zstd"), {0: Blob(Digest.parse(C), 77)})
    assert json.loads(found.raw)["layers"] == [described(types.OCI_LAYER_ZSTD, C, 77, annotations={"a": "b"})]
    assert found.config == source.config


def test_positions_are_those_of_the_layers_that_have_to_change():
    zstd, gzip, none = types.OCI_LAYER_ZSTD, types.OCI_LAYER_GZIP, types.OCI_LAYER
    source = oci(described(gzip), described(zstd), described(none), described(types.OCI_FOREIGN_GZIP), described("application/x"))
    assert Form("", "gzip").positions(source) == (1, 2)
    assert Form("", "zstd").positions(source) == (0, 2)
    assert Form("", "none").positions(source) == (0, 1)
    assert TO_OCI.positions(source) == ()


def test_what_is_no_image_is_left_alone():
    chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    document = {**json.loads(oci(described(chart)).raw), "config": described("application/vnd.cncf.helm.config.v1+json")}
    found = manifest(document)
    assert Form("", "none").positions(found) == ()
    assert convert(found, Form("oci", "none"), {}) is found
    with pytest.raises(InvalidInput, match="is no image"):
        convert(found, TO_DOCKER, {})
    plugin = docker(config="application/vnd.docker.plugin.v1+json")
    assert convert(plugin, TO_DOCKER, {}) is plugin


def test_foreign_layers_stay_where_they_are():
    urls = ["https://x.example/layer"]
    source = docker(described(types.DOCKER_FOREIGN_GZIP, B, 2, urls=urls), described(types.DOCKER_FOREIGN, C, 3, urls=urls))
    found = convert(source, Form("oci", "zstd"), {})
    assert layer_types(found) == [types.OCI_FOREIGN_GZIP, types.OCI_FOREIGN]
    assert [layer.urls for layer in found.layers] == [tuple(urls)] * 2
    assert convert(found, TO_DOCKER, {}).raw == source.raw


@pytest.mark.parametrize(
    ("source", "form", "words"),
    [
        (oci(described(types.OCI_LAYER_ZSTD)), TO_DOCKER, "no layers compressed with zstd: use compression gzip as well"),
        (docker(), Form("", "zstd"), "no layers compressed with zstd: use format oci as well"),
        (oci(described("application/vnd.in-toto+json")), TO_DOCKER, "application/vnd.in-toto.json, for which Docker's format"),
        (oci(described(f"{types.OCI_LAYER_GZIP}+encrypted")), TO_DOCKER, "encrypted, for which Docker's format has no"),
    ],
)
def test_what_has_no_such_form(source, form, words):
    with pytest.raises(InvalidInput, match=words):
        convert(source, form, {})


def test_zstd_layers_become_dockers_when_they_change():
    source = oci(described(types.OCI_LAYER_ZSTD))
    assert layer_types(convert(source, Form("docker", "gzip"), {0: Blob(Digest.parse(B), 4)})) == [types.DOCKER_LAYER_GZIP]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (("docker", "zstd"), "no layers compressed with zstd"),
        (("", "gzip", 10), "gzip has levels 1 to 9"),
        (("", "zstd", 0), "zstd has levels 1 to 22"),
        (("", "none", 1), "compression_level goes with"),
        (("oci", "", 3), "compression_level goes with"),
    ],
)
def test_wishes_that_cannot_be_had(wish, words):
    with pytest.raises(InvalidInput, match=words):
        Form(*wish)


def test_a_change_has_the_level_wished_for_or_the_usual_one():
    diff_id = Digest.parse(A)
    assert Form("", "gzip").change(diff_id) == Change("gzip", 6, diff_id)
    assert Form("", "zstd", 19).change(diff_id) == Change("zstd", 19, diff_id)
    assert not Form() and Form("oci") and Form("", "none")


def index(entries, media_type=types.OCI_INDEX, **more):
    return manifest({"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **more})


def entry(of, **more):
    return described(of.media_type, str(of.digest), of.size, **more)


PLATFORM = {"architecture": "amd64", "os": "linux", "os.features": ["x"]}


def test_an_index_names_what_its_entries_became():
    first, second = docker(), docker(described(types.DOCKER_LAYER))
    source = index([entry(first, platform=PLATFORM), entry(second)], types.DOCKER_LIST)
    children = {one.digest: convert(one, TO_OCI, {}) for one in (first, second)}
    found = convert_index(source, TO_OCI, children)
    assert found.media_type == types.OCI_INDEX
    assert json.loads(found.raw)["manifests"] == [
        entry(children[first.digest], platform=PLATFORM),
        entry(children[second.digest]),
    ]
    back = convert_index(found, TO_DOCKER, {one.digest: convert(one, TO_DOCKER, {}) for one in children.values()})
    assert back.raw == source.raw


def test_an_index_of_what_is_in_that_form_keeps_its_bytes():
    source = index([entry(oci())], annotations={"a": "b"})
    assert convert_index(source, Form("oci", "gzip"), {oci().digest: oci()}) is source


def test_attestations_point_at_what_their_subject_became():
    image, attestation = oci(), oci(described("application/vnd.in-toto+json"))
    notes = {ATTESTS: str(image.digest), "vnd.docker.reference.type": "attestation-manifest"}
    source = index([entry(image), entry(attestation, annotations=notes)], annotations={"a": "b"})
    new = convert(image, Form("", "none"), {0: Blob(Digest.parse(C), 9)})
    found = convert_index(source, Form("", "none"), {image.digest: new, attestation.digest: attestation})
    assert found.manifests[0].digest == new.digest and found.annotations == {"a": "b"}
    assert found.manifests[1].digest == attestation.digest
    assert found.manifests[1].annotations == {**notes, ATTESTS: str(new.digest)}


def test_what_is_left_out_is_not_listed():
    image, attestation = oci(), oci(described("application/vnd.in-toto+json"))
    source = index([entry(image, annotations={"a": "b"}), entry(attestation)], artifactType="x", subject=entry(oci()))
    new = convert(image, TO_DOCKER, {})
    found = convert_index(source, TO_DOCKER, {image.digest: new, attestation.digest: None})
    assert json.loads(found.raw) == {"schemaVersion": 2, "mediaType": types.DOCKER_LIST, "manifests": [entry(new)]}
    with pytest.raises(InvalidInput, match="lists nothing that has a form"):
        convert_index(index([entry(attestation)]), TO_DOCKER, {attestation.digest: None})
