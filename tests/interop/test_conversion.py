# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in another form: what we convert is read by skopeo, docker and podman, what skopeo converts is read by us."""

from __future__ import annotations

import gzip
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
import zstandard

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.images import DOCKER, MEDIA_TYPES, OCI, Blob, Image, Index
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.results import ok, sentence
from ansible_collections.longshore.oci.tests.servers.runnable import runnable
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.storage import Storage

PLAIN = {"src_plain_http": True, "dest_plain_http": True}
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
ATTESTS = "vnd.docker.reference.digest"


def content(data: bytes) -> bytes:
    """A layer without its compression."""
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return data


def layers_in(folder: pathlib.Path) -> list[bytes]:
    """The layers of the image that skopeo put into ``dir:``, in their order."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return [(folder / layer["digest"].split(":")[1]).read_bytes() for layer in manifest["layers"]]


class Place:
    """A repository in the second registry and what a conversion into it did."""

    def __init__(self, module: ModuleRunner, registry: Registry, skopeo: Skopeo, name: str, folder: pathlib.Path) -> None:
        self.module, self.registry, self.skopeo, self.folder = module, registry, skopeo, folder
        self.name = name

    def reference(self, tag: str) -> str:
        return f"{self.registry.host}/{self.name}:{tag}"

    def convert(self, src: str, tag: str, **options: Any) -> dict[str, Any]:
        """Check, do, and do once more: the same told, the second time nothing written. The manifest that is there."""
        dest = self.reference(tag)
        options = {"src": src, "dest": dest, **PLAIN, **options}
        mark = self.registry.mark()
        would = ok(self.module("image_copy", check=True, diff=True, **options))
        assert would["changed"] and not self.registry.writes_since(mark)
        did = ok(self.module("image_copy", diff=True, **options))
        assert did["changed"] and did["digest"] == self.skopeo.digest(f"docker://{dest}")
        assert would["digest"] in (None, did["digest"])
        if not options.get("compression"):
            for fact in ("digest", "bytes_transferred", "blobs", "diff", "images"):
                assert would[fact] == did[fact], fact
        mark = self.registry.mark()
        for check in (True, False):
            again = ok(self.module("image_copy", check=check, **options))
            assert not again["changed"] and again["digest"] == did["digest"] and again["bytes_transferred"] == 0
        assert not self.registry.writes_since(mark), describe(self.registry.writes_since(mark))
        return self.skopeo.manifest(f"docker://{dest}")

    def layers(self, tag: str) -> list[bytes]:
        """The layers under a tag, as skopeo finds them."""
        folder = self.folder / tag
        self.skopeo.copy(f"docker://{self.reference(tag)}", f"dir:{folder}", all_platforms=False)
        return layers_in(folder)


@pytest.fixture
def place(module: ModuleRunner, second_registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path) -> Place:
    return Place(module, second_registry, skopeo, repository, tmp_path)


def one(kind: str = OCI, seed: int = 0, annotations: Mapping[str, str] | None = None) -> Image:
    """An image of one platform, one of its layers compressed and one not."""
    below = [images.noise_layer(50_000, seed), images.layer({"etc/text": b"text\n" * 2000}, compressed=False)]
    return images.image("linux/amd64", below, kind=kind, config={"Cmd": ["/hello"]}, annotations=annotations)


def with_attestation(kind: str = OCI) -> tuple[Index, Image]:
    """Two platforms and an attestation of the first, as BuildKit lists it."""
    both = images.sample(kind=kind)
    assert isinstance(both, Index)
    config = Blob(MEDIA_TYPES[OCI]["config"], b'{"architecture":"unknown","os":"unknown","config":{}}')
    statement = Blob("application/vnd.in-toto+json", b'{"_type":"https://in-toto.io/Statement/v0.1"}')
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPES[OCI]["manifest"],
        "config": config.descriptor,
        "layers": [statement.descriptor],
    }
    manifest = Blob(MEDIA_TYPES[OCI]["manifest"], images.to_json(document))
    attestation = Image(manifest, config, (statement,), images.parse_platform("unknown/unknown"))
    rows = [{**image.manifest.descriptor, "platform": image.platform} for image in (*both.images, attestation)]
    rows[-1]["annotations"] = {ATTESTS: both.images[0].digest, "vnd.docker.reference.type": "attestation-manifest"}
    index = {"schemaVersion": 2, "mediaType": MEDIA_TYPES[kind]["index"], "manifests": rows}
    top = Blob(MEDIA_TYPES[kind]["index"], images.to_json(index))
    return Index(top, (*both.images, attestation)), attestation


def types(manifest: Mapping[str, Any]) -> list[str]:
    return [manifest["mediaType"], manifest["config"]["mediaType"], *(layer["mediaType"] for layer in manifest["layers"])]


def test_to_oci_and_back_keeps_config_and_layers(place: Place, registry: Registry, repository: str) -> None:
    image = one(DOCKER)
    images.push(registry, repository, image, ["1"])
    oci = place.convert(f"{registry.host}/{repository}:1", "oci", format="oci")
    kinds = MEDIA_TYPES[OCI]
    assert types(oci) == [kinds["manifest"], kinds["config"], kinds["layer.gzip"], kinds["layer"]]
    back = place.convert(place.reference("oci"), "docker", format="docker")
    assert types(back) == types(image.manifest.json)
    wanted = [image.config.digest, *(layer.digest for layer in image.layers)]
    for manifest in (oci, back):
        assert [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])] == wanted
    # skopeo gives it the same digest in this form: nothing is in it but what the format has.
    assert place.layers("docker") == [layer.data for layer in image.layers]
    inspected = place.skopeo.inspect(f"docker://{place.reference('oci')}")
    assert inspected["Architecture"] == "amd64" and len(inspected["Layers"]) == 2


def test_gzip_zstd_gzip_none(place: Place, registry: Registry, repository: str) -> None:
    image = one()
    images.push(registry, repository, image, ["1"])
    wanted = [content(layer.data) for layer in image.layers]
    src = f"{registry.host}/{repository}:1"
    zstd = place.convert(src, "zstd", compression="zstd", compression_level=5)
    assert types(zstd)[2:] == [ZSTD_LAYER] * 2
    found = place.layers("zstd")
    assert [content(layer) for layer in found] == wanted and all(layer[:4] == b"\x28\xb5\x2f\xfd" for layer in found)
    again = place.convert(place.reference("zstd"), "gzip", compression="gzip")
    assert types(again)[2:] == [MEDIA_TYPES[OCI]["layer.gzip"]] * 2
    found = place.layers("gzip")
    assert [content(layer) for layer in found] == wanted and all(layer[:2] == b"\x1f\x8b" for layer in found)
    none = place.convert(place.reference("gzip"), "none", compression="none")
    assert place.layers("none") == wanted
    diff_ids = image.config.json["rootfs"]["diff_ids"]
    assert [layer["digest"] for layer in none["layers"]] == diff_ids
    assert {manifest["config"]["digest"] for manifest in (zstd, again, none)} == {image.config.digest}
    assert place.skopeo.inspect(f"docker://{place.reference('zstd')}")["Os"] == "linux"


def test_format_and_compression_at_once(place: Place, registry: Registry, repository: str) -> None:
    images.push(registry, repository, one(DOCKER), ["1"])
    src = f"{registry.host}/{repository}:1"
    found = place.convert(src, "1", format="oci", compression="zstd")
    assert types(found)[0] == MEDIA_TYPES[OCI]["manifest"] and types(found)[2:] == [ZSTD_LAYER] * 2
    # The other way: zstd layers have to change, or Docker's format cannot hold them.
    options = {"src": place.reference("1"), "dest": place.reference("no"), "format": "docker", **PLAIN}
    assert "compressed with zstd" in sentence(place.module("image_copy", **options))
    back = place.convert(place.reference("1"), "docker", format="docker", compression="gzip")
    assert types(back) == [MEDIA_TYPES[DOCKER][part] for part in ("manifest", "config", "layer.gzip", "layer.gzip")]


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_an_index_is_converted_as_a_whole(place: Place, registry: Registry, repository: str, kind: str) -> None:
    other = DOCKER if kind == OCI else OCI
    index = images.sample(kind=kind)
    images.push(registry, repository, index, ["1"])
    src = f"{registry.host}/{repository}:1"
    found = place.convert(src, "1", format=other)
    assert found["mediaType"] == MEDIA_TYPES[other]["index"]
    assert [entry["mediaType"] for entry in found["manifests"]] == [MEDIA_TYPES[other]["manifest"]] * 2
    assert [entry["platform"] for entry in found["manifests"]] == [image.platform for image in index.images]
    for image, entry in zip(index.images, found["manifests"]):
        name = f"docker://{place.registry.host}/{place.name}@{entry['digest']}"
        assert place.skopeo.manifest(name)["config"]["digest"] == image.config.digest
    back = place.convert(place.reference("1"), "back", format=kind, compression="none")
    assert back["mediaType"] == MEDIA_TYPES[kind]["index"]
    # skopeo takes all of it, and every byte fits its digest.
    place.skopeo.copy(f"docker://{place.reference('back')}", f"dir:{place.folder}/all")


def test_attestations_follow_what_they_attest_or_stay_behind(place: Place, registry: Registry, repository: str) -> None:
    index, attestation = with_attestation()
    images.push(registry, repository, index, ["1"])
    src = f"{registry.host}/{repository}:1"
    found = place.convert(src, "zstd", compression="zstd")
    amd64, arm64, attests = found["manifests"]
    assert attests["digest"] == attestation.digest and attests["annotations"][ATTESTS] == amd64["digest"]
    assert amd64["digest"] not in (index.images[0].digest, arm64["digest"])
    docker = place.convert(src, "docker", format="docker")
    assert len(docker["manifests"]) == 2 and "annotations" not in docker["manifests"][0]
    result = ok(place.module("image_copy", src=src, dest=place.reference("told"), format="docker", **PLAIN))
    assert result["images"][0]["left_out"] == [attestation.digest]
    assert any("attestation" in warning for warning in result["warnings"])


def test_one_platform_of_an_index(place: Place, registry: Registry, repository: str) -> None:
    images.push(registry, repository, images.sample(kind=DOCKER), ["1"])
    found = place.convert(f"{registry.host}/{repository}:1", "1", format="oci", compression="gzip", platforms=["linux/arm64"])
    assert [entry["platform"]["architecture"] for entry in found["manifests"]] == ["arm64"]


def test_a_tag_that_is_added_later_needs_no_layer_again(place: Place, registry: Registry, repository: str) -> None:
    images.push(registry, repository, one(), ["1"])
    src = f"{registry.host}/{repository}:1"
    place.convert(src, "1", compression="zstd")
    mark, from_mark = place.registry.mark(), registry.mark()
    options = {"src": src, "dest": place.reference("1"), "additional_tags": ["latest"], "compression": "zstd", **PLAIN}
    result = ok(place.module("image_copy", **options))
    assert result["changed"] and result["bytes_transferred"] == 0
    assert [request.method for request in place.registry.writes_since(mark)] == ["PUT"]
    assert not [request for request in registry.requests_since(from_mark) if "/blobs/" in request.target]
    assert place.skopeo.digest(f"docker://{place.reference('latest')}") == result["digest"]


def test_another_image_under_the_tag_is_not_taken_for_an_earlier_result(place: Place, registry: Registry, repository: str) -> None:
    first, second = one(seed=1), one(seed=2)
    images.push(registry, repository, first, ["1"])
    images.push(registry, repository, second, ["2"])
    place.convert(f"{registry.host}/{repository}:1", "1", compression="zstd")
    found = place.convert(f"{registry.host}/{repository}:2", "1", compression="zstd")
    assert found["config"]["digest"] == second.config.digest
    assert content(place.layers("1")[0]) == content(second.layers[0].data)


@pytest.mark.parametrize("options", [("--format", "v2s2"), ("--format", "oci"), ("--dest-compress-format", "zstd")])
def test_what_skopeo_converted(
    place: Place, registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path, options: tuple[str, str]
) -> None:
    kind = DOCKER if "oci" in options else OCI
    images.push(registry, repository, one(kind, annotations={"a": "b"} if kind == OCI else None), ["1"])
    # Through a directory, where skopeo compresses layers anew when it is told to.
    more = ("--dest-compress",) if "zstd" in options else ()
    skopeo.copy(f"docker://{registry.host}/{repository}:1", f"dir:{tmp_path}/dir", all_platforms=False, options=(*options, *more))
    ok(place.module("image_copy", src=f"dir:{tmp_path}/dir", dest=place.reference("theirs"), dest_plain_http=True))
    wanted = [content(layer.data) for layer in one(kind).layers]
    theirs = place.layers("theirs")
    assert [content(layer) for layer in theirs] == wanted
    assert (theirs[1][:4] == b"\x28\xb5\x2f\xfd") == ("zstd" in options)
    # Of what they made we make what we want, and of ours alone do we say that it is there.
    for number, form in enumerate(({"format": "oci", "compression": "zstd"}, {"format": "docker", "compression": "none"})):
        place.convert(place.reference("theirs"), f"ours{number}", **form)
        assert [content(layer) for layer in place.layers(f"ours{number}")] == wanted
    # An image of theirs under the tag is not taken for an earlier result of ours.
    skopeo.copy(f"docker://{place.reference('theirs')}", f"docker://{place.reference('mixed')}", all_platforms=False)
    place.convert(place.reference("ours0"), "mixed", format="docker", compression="gzip")
    assert [content(layer) for layer in place.layers("mixed")] == wanted


@pytest.mark.parametrize("scheme", ["oci", "oci-archive"])
def test_in_a_layout_skopeo_finds_by_name_what_is_in_ocis_format(
    module: ModuleRunner, registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path, scheme: str
) -> None:
    image = one(DOCKER)
    images.push(registry, repository, image, ["1"])
    where = f"{scheme}:{tmp_path}/place:app:1.0"
    src = f"{registry.host}/{repository}:1"
    result = ok(module("image_copy", src=src, dest=where, src_plain_http=True, format="oci"))
    assert skopeo.digest(where) == result["digest"]
    skopeo.copy(where, f"dir:{tmp_path}/out", all_platforms=False)
    assert layers_in(tmp_path / "out") == [layer.data for layer in image.layers]
    assert not ok(module("image_copy", src=src, dest=where, src_plain_http=True, format="oci"))["changed"]


@pytest.mark.parametrize("path", ["archive.tar", "oci:layout"])
def test_a_saved_archive_is_recognised_too(
    module: ModuleRunner, registry: Registry, repository: str, tmp_path: pathlib.Path, path: str
) -> None:
    index, unused = with_attestation()
    images.push(registry, repository, index, ["1"])
    src = f"{registry.host}/{repository}:1"
    scheme, colon, name = path.rpartition(":")
    where = f"{scheme}{colon}{tmp_path}/{name}"
    options = {"state": "saved", "path": where, "images": [src], "plain_http": True, "compression": "zstd"}
    would = ok(module("image_save_load", check=True, **options))
    assert would["images"][0]["digest"] is None and not (tmp_path / name).exists()
    first = ok(module("image_save_load", **options))
    assert first["changed"]
    again = ok(module("image_save_load", **options))
    assert not again["changed"] and again["images"][0]["digest"] == first["images"][0]["digest"]
    assert not list(tmp_path.glob(".longshore-*"))
    # By its digest alone it would be named by a digest that it no longer has.
    by_digest = {**options, "images": [f"{registry.host}/{repository}@{index.digest}"], "path": f"{where}2"}
    assert "digest" in sentence(module("image_save_load", **by_digest))
    assert "state=saved" in sentence(module("image_save_load", **{**options, "state": "loaded", "dest": registry.host}))


def test_an_archive_in_a_storage_whose_length_has_to_be_known_first(
    module: ModuleRunner, registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path
) -> None:
    image = one()
    images.push(registry, repository, image, ["1"])
    name = f"{registry.host}/{repository}:1"
    with Storage() as storage:
        url = storage.url("/release.tar")
        options = {"state": "saved", "path": url, "images": [name], "plain_http": True, "compression": "zstd"}
        assert ok(module("image_save_load", **options))["changed"]
        assert not ok(module("image_save_load", **options))["changed"]
        (tmp_path / "release.tar").write_bytes(storage.objects["/release.tar"])
    skopeo.copy(f"oci-archive:{tmp_path}/release.tar:{name}", f"dir:{tmp_path}/out", all_platforms=False)
    found = layers_in(tmp_path / "out")
    assert [content(layer) for layer in found] == [content(layer.data) for layer in image.layers]
    assert all(layer[:4] == b"\x28\xb5\x2f\xfd" for layer in found)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_docker_and_podman_load_what_was_saved_in_dockers_format(
    module: ModuleRunner,
    registry: Registry,
    repository: str,
    dockerd: Dockerd,
    podman: Podman,
    tmp_path: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
    compression: str,
) -> None:
    image = runnable(tmp_path_factory.mktemp("busybox"), ["amd64"], kind=OCI, greeting=f"{compression} layers")
    assert isinstance(image, Image)
    images.push(registry, repository, image, ["1"])
    name = f"{registry.host}/{repository}:1"
    path = tmp_path / "saved.tar"
    form = {"format": "docker", "compression": compression}
    ok(module("image_save_load", state="saved", path=str(path), images=[name], plain_http=True, **form))
    for engine in (dockerd, podman):
        engine.run("load", "--input", str(path))
        assert engine.inspect(name)["Id"].split(":")[-1] == image.config.digest.split(":")[1]
        assert engine.run_container(name) == f"{compression} layers"
        engine.run("image", "rm", name)


def test_a_layer_shared_by_many_images_is_compressed_once(
    module: ModuleRunner, registry: Registry, second_registry: Registry, repository: str
) -> None:
    base = images.noise_layer(200_000, seed=1)
    copies = []
    for number in range(6):
        image = images.image("linux/amd64", [base, images.noise_layer(1000, seed=100 + number)])
        images.push(registry, f"{repository}/{number}", image, ["1"])
        copies.append(
            {"src": f"{registry.host}/{repository}/{number}:1", "dest": f"{second_registry.host}/{repository}/{number}:1"}
        )
    mark = registry.mark()
    result = ok(module("image_copy", images=copies, compression="zstd", **PLAIN))
    assert result["blobs"]["mounted"] == 5
    digest = images.sha256(base.data)
    assert len([one for one in registry.requests_since(mark) if one.method == "GET" and digest in one.target]) == 1
    mark = second_registry.mark()
    assert not ok(module("image_copy", images=copies, compression="zstd", **PLAIN))["changed"]
    assert not second_registry.writes_since(mark)


def test_a_layer_that_is_not_what_its_config_says(module: ModuleRunner, place: Place, registry: Registry, repository: str) -> None:
    honest = images.noise_layer(3000, seed=3)
    lie = images.image("linux/amd64", [honest._replace(diff_id="sha256:" + hashlib.sha256(b"lie").hexdigest())])
    images.push(registry, repository, lie, ["1"])
    options = {"src": f"{registry.host}/{repository}:1", "dest": place.reference("1"), "compression": "zstd", **PLAIN}
    mark = place.registry.mark()
    message = sentence(module("image_copy", **options))
    assert "digest mismatch" in message and honest.diff_id in message
    assert not [one for one in place.registry.writes_since(mark) if "/manifests/" in one.target]


WRONG = [
    ({"format": "docker", "compression": "zstd"}, "format docker has no layers compressed with zstd"),
    ({"compression": "gzip", "compression_level": 10}, "gzip has levels 1 to 9"),
    ({"compression_level": 3}, "compression_level goes with"),
    ({"compression": "none", "compression_level": 3}, "compression_level goes with"),
    ({"format": "oci", "referrers": True}, "referrers go with an image as it is"),
    ({"format": "oci", "platforms": ["linux/amd64"], "index": "sparse"}, "index sparse keeps an index as it is"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=[words[:30] for unused, words in WRONG])
def test_what_does_not_go_together(
    module: ModuleRunner, registry: Registry, repository: str, options: dict[str, Any], words: str
) -> None:
    mark = registry.mark()
    src, dest = f"{registry.host}/{repository}:1", f"{registry.host}/{repository}:2"
    assert words in sentence(module("image_copy", src=src, dest=dest, **PLAIN, **options))
    assert not registry.requests_since(mark)


def test_what_has_no_form_in_dockers_format(module: ModuleRunner, place: Place, registry: Registry, repository: str) -> None:
    chart = Blob("application/vnd.cncf.helm.config.v1+json", b"{}")
    below = Blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart")
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPES[OCI]["manifest"],
        "config": chart.descriptor,
        "layers": [below.descriptor],
    }
    manifest = Blob(MEDIA_TYPES[OCI]["manifest"], images.to_json(document))
    images.push(registry, repository, Image(manifest, chart, (below,), {}), ["1"])
    src = f"{registry.host}/{repository}:1"
    options = {"src": src, "dest": place.reference("1"), **PLAIN}
    assert "is no image" in sentence(module("image_copy", format="docker", **options))
    # What is no image has no layers of a file system either: it stays as it is.
    result = ok(module("image_copy", format="oci", compression="zstd", **options))
    assert result["digest"] == manifest.digest
