# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of other tools, and hostile ones, as a source."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import sys
import tarfile
from collections.abc import Sequence
from typing import Any, Union

import pytest
import zstandard

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    ContentError,
    DigestMismatch,
    InvalidInput,
    InvalidManifest,
    MissingRequirement,
    NotFound,
    OciError,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import compressed, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.base import ImageSource
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

ONE, TWO, MULTI = images.image("one"), images.image("two"), images.two_platforms()
Part = Union[bytes, str]


def write_tar(path: object, members: Sequence[tuple[str, Part]]) -> str:
    """A tar of files, and, for members that are text, symbolic links."""
    with tarfile.open(str(path), "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return str(path)


def parts(image: images.Image) -> tuple[bytes, bytes, bytes]:
    """Config, gzipped layer and plain layer."""
    manifest = image.manifest
    assert isinstance(manifest, Manifest)
    packed = image.blobs[manifest.layers[0].digest]
    return image.blobs[manifest.config.digest], packed, gzip.decompress(packed)


def saved(*entries: tuple[str, list[str] | None, list[str]]) -> bytes:
    return json.dumps([{"Config": one[0], "RepoTags": one[1], "Layers": one[2]} for one in entries]).encode()


def opened(path: object, name: str = "", scheme: str = "docker-archive", places: Places | None = None) -> ImageSource:
    return table.open_source(table.parse(f"{scheme}:{path}" + (f":{name}" if name else "")), places or Places())


def read(path: object, name: str = "", scheme: str = "docker-archive") -> Manifest:
    source = opened(path, name, scheme)
    try:
        images.read_all(source)
        manifest = source.manifest()
        assert isinstance(manifest, Manifest)
        assert source.resolve() == manifest.digest
        return manifest
    finally:
        source.close()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "a.tar"


@pytest.fixture
def two_images(path: pathlib.Path) -> str:
    """What docker save of version 20 writes, with a layer that is a link to another's."""
    config, unused, layer = parts(ONE)
    second, unused, other = parts(TWO)
    first_id, second_id = Digest.of(config).hex, Digest.of(second).hex
    members: list[tuple[str, Part]] = [
        ("aa/", ""),
        ("aa/VERSION", b"1.0"),
        ("aa/json", b"{}"),
        ("aa/layer.tar", layer),
        ("bb/layer.tar", other),
        ("cc/layer.tar", "../aa/layer.tar"),
        (f"{first_id}.json", config),
        (f"{second_id}.json", second),
        (
            "manifest.json",
            saved(
                (f"{first_id}.json", ["app:1", "app:2"], ["cc/layer.tar"]),
                (f"{second_id}.json", ["example.com/other"], ["bb/layer.tar"]),
            ),
        ),
        ("repositories", b"{}"),
    ]
    return write_tar(path, members[1:])


@pytest.mark.parametrize("scheme", ["oci-archive", "docker-archive"])
def test_what_docker_saved(two_images: str, scheme: str) -> None:
    for name, image in (
        ("app:1", ONE),
        ("docker.io/library/app:2", ONE),
        ("@0", ONE),
        ("@1", TWO),
        ("example.com/other", TWO),
        ("example.com/other:latest", TWO),
    ):
        manifest = read(two_images, name, scheme)
        config, unused, layer = parts(image)
        assert (manifest.media_type, manifest.config.media_type) == (media_types.DOCKER_MANIFEST, media_types.DOCKER_CONFIG)
        assert manifest.config.digest == Digest.of(config)
        assert [(one.digest, one.size, one.media_type) for one in manifest.layers] == [
            (Digest.of(layer), len(layer), media_types.DOCKER_LAYER)
        ]
    source = opened(two_images)
    assert source.tags() == ["docker.io/library/app:1", "docker.io/library/app:2", "example.com/other:latest"]
    assert source.referrers(ONE.digest) == []
    with pytest.raises(InvalidInput, match=r"holds 3 images.*app:1, .*app:2, example.com/other:latest"):
        source.resolve()
    for name in ("nobody:1", "@2"):
        with pytest.raises(NotFound):
            read(two_images, name)


def test_the_manifest_is_the_same_every_time(two_images: str) -> None:
    assert read(two_images, "@0").raw == read(two_images, "app:2").raw


@pytest.mark.parametrize(
    ("name", "pack", "media_type"),
    [
        ("layer.tar.gz", None, media_types.DOCKER_LAYER_GZIP),
        ("sha256.tar.zst", zstandard.compress, media_types.DOCKER_LAYER_ZSTD),
        ("blobs/sha256/" + "a" * 64, bytes, media_types.DOCKER_LAYER),
    ],
)
def test_layers_are_what_their_first_bytes_say(path: pathlib.Path, name: str, pack: Any, media_type: str) -> None:
    config, gzipped, layer = parts(ONE)
    stored = pack(layer) if pack else gzipped
    # Builders name the config in several ways.
    write_tar(path, [("./config.json", config), (f"./{name}", stored), ("./manifest.json", saved(("config.json", None, [name])))])
    manifest = read(path)
    assert [(one.digest, one.size, one.media_type) for one in manifest.layers] == [(Digest.of(stored), len(stored), media_type)]


def test_configs_with_a_colon(path: pathlib.Path) -> None:
    config, gzipped, unused = parts(ONE)
    members = [("sha256:abc", config), ("x.tar.gz", gzipped), ("manifest.json", saved(("sha256:abc", ["a:1"], ["x.tar.gz"])))]
    write_tar(path, members)
    assert read(path, "a:1").config.digest == Digest.of(config)


def test_a_layer_in_a_form_without_media_type(path: pathlib.Path) -> None:
    config, unused, layer = parts(ONE)
    write_tar(path, [("c.json", config), ("l", bz2.compress(layer)), ("manifest.json", saved(("c.json", None, ["l"])))])
    with pytest.raises(ArchiveError, match="bzip2, for which no registry has a media type"):
        read(path)


def test_plain_layers_are_verified_against_the_config(path: pathlib.Path) -> None:
    config, unused, layer = parts(ONE)
    broken = layer[:600] + b"!" + layer[601:]
    write_tar(path, [("c.json", config), ("l.tar", broken), ("manifest.json", saved(("c.json", None, ["l.tar"])))])
    with pytest.raises(DigestMismatch):
        read(path)


def test_the_number_of_layers_must_be_right(path: pathlib.Path) -> None:
    config, unused, layer = parts(ONE)
    write_tar(path, [("c.json", config), ("l.tar", layer), ("manifest.json", saved(("c.json", None, ["l.tar", "l.tar"])))])
    with pytest.raises(ArchiveError, match="speaks of 1 layers, manifest.json of 2"):
        read(path)


def layout_members(image: images.Image, **more: Any) -> list[tuple[str, Part]]:
    blobs = {**image.everything(), image.digest: image.manifest.raw, **{one.digest: one.manifest.raw for one in image.children}}
    entry = images.descriptor(image.manifest.raw, image.manifest.media_type, **more)
    return [
        *[(f"blobs/{digest.algorithm}/{digest.hex}", data) for digest, data in blobs.items()],
        ("index.json", images.encode({"schemaVersion": 2, "manifests": [entry]})),
    ]


def test_a_layout_without_marker_and_with_dots(path: pathlib.Path) -> None:
    write_tar(path, [("./" + name, data) for name, data in layout_members(ONE)])
    assert read(path, scheme="oci-archive").digest == ONE.digest


def test_a_hybrid_is_read_as_layout(path: pathlib.Path) -> None:
    # As docker 25 writes it: manifest.json without names, the index with an attestation beside the image.
    config = ONE.manifest.config  # type: ignore[union-attr]
    attestation = images.artifact(ONE)
    members = [one for one in layout_members(ONE) if one[0] != "index.json"]
    members += [one for one in layout_members(attestation) if one[0] != "index.json"]
    unknown = {"os": "unknown", "architecture": "unknown"}
    annotations = {"io.containerd.image.name": "docker.io/library/app:1", "org.opencontainers.image.ref.name": "1"}
    entries = [
        images.descriptor(ONE.manifest.raw, ONE.manifest.media_type, annotations=annotations),
        images.descriptor(attestation.manifest.raw, attestation.manifest.media_type, platform=unknown),
    ]
    members += [
        ("index.json", images.encode({"schemaVersion": 2, "manifests": entries})),
        ("manifest.json", saved((f"blobs/sha256/{config.digest.hex}", None, []))),
    ]
    write_tar(path, members)
    for scheme in ("oci-archive", "docker-archive"):
        for name in ("", "app:1", "1", "@0"):
            assert read(path, name, scheme).digest == ONE.digest
    source = opened(path)
    assert source.tags() == ["docker.io/library/app:1"]
    assert [one.digest for one in source.referrers(ONE.digest)] == [attestation.digest]


def test_wrong_blobs_of_a_layout(path: pathlib.Path) -> None:
    config, layer, unused = parts(ONE)
    layer_name = f"blobs/sha256/{Digest.of(layer).hex}"
    for change, error in (
        ({layer_name: layer + b"x"}, SizeMismatch),
        ({layer_name: layer[:-1] + b"x"}, DigestMismatch),
        ({layer_name: "/etc/passwd"}, ArchiveError),
        ({layer_name: "../../../../../../etc/passwd"}, ArchiveError),
        ({f"blobs/sha256/{ONE.digest.hex}": ONE.manifest.raw + b" "}, DigestMismatch),
        ({"index.json": b'{"manifests": [], "manifests": []}'}, InvalidManifest),
        ({"index.json": b'{"manifests": null}'}, OciError),
        ({"index.json": "oci-layout"}, ArchiveError),
        ({"index.json": b'{"manifests": [{"mediaType": "a", "digest": "sha256:../../x", "size": 1}]}'}, InvalidManifest),
    ):
        members: dict[str, Part] = {**dict(layout_members(ONE)), **change}
        write_tar(path, list(members.items()))
        with pytest.raises(error):
            read(path)
    members = dict(layout_members(ONE))
    del members[layer_name]
    write_tar(path, list(members.items()))
    with pytest.raises(NotFound, match="not complete"):
        read(path)
    del config


def test_embedded_data_stands_for_a_missing_blob(path: pathlib.Path) -> None:
    empty = images.artifact(ONE)
    members = [one for one in layout_members(empty) if not one[0].endswith(Digest.of(b"{}").hex)]
    raw = empty.manifest.raw.replace(b'"size": 2\n', b'"size": 2, "data": "e30="\n')
    entry = images.descriptor(raw, media_types.OCI_MANIFEST)
    members = [(f"blobs/sha256/{Digest.of(raw).hex}", raw), ("index.json", images.encode({"manifests": [entry]}))]
    write_tar(path, members)
    assert read(path).digest == Digest.of(raw)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"null", "holds no image"),
        (b"[]", "holds no image"),
        (b"{}", "no list of images"),
        (b"[1]", "is no image"),
        (b'[{"RepoTags": []}]', "names no config"),
        (b'[{"Config": "c.json", "Layers": "x"}]', "no list of strings"),
        (b'[{"Config": "c.json", "Config": "d.json"}]', "duplicate JSON key"),
        (b'[{"Config": "no.json"}]', "holds no no.json, which its manifest.json names"),
        (b'[{"Config": "../../etc/passwd"}]', "which its manifest.json names"),
        (b'[{"Config": "/etc/passwd"}]', "which its manifest.json names"),
        (b'[{"Config": "c.json", "Layers": ["/etc/passwd"]}]', "which its manifest.json names"),
        (b'[{"Config": "manifest.json", "Layers": []}]', "is not a JSON object"),
        (b"[" + b" " * 1024 * 1024 + b"]", "more than the 1048576 allowed"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_hostile_manifest_json(path: pathlib.Path, content: bytes, error: str) -> None:
    config = images.encode({"rootfs": {"diff_ids": ["sha256:" + "a" * 64]}})
    write_tar(path, [("c.json", config), ("manifest.json", content)])
    with pytest.raises(ContentError, match=error):
        read(path)


def test_links_in_circles(path: pathlib.Path) -> None:
    write_tar(path, [("manifest.json", "config.json"), ("config.json", "manifest.json")])
    with pytest.raises(ArchiveError, match="link"):
        read(path)
    # A manifest.json that nobody would read, but others might.
    write_tar(path, [*layout_members(ONE), ("manifest.json", "config.json"), ("config.json", b"[]")])
    with pytest.raises(ArchiveError, match="link"):
        read(path)


def test_two_manifests(path: pathlib.Path) -> None:
    config, unused, layer = parts(ONE)
    good = saved(("c.json", None, ["l.tar"]))
    write_tar(path, [("c.json", config), ("l.tar", layer), ("manifest.json", good), ("manifest.json", good)])
    with pytest.raises(ArchiveError, match="twice"):
        read(path)
    write_tar(path, [*layout_members(ONE), *layout_members(TWO)])
    with pytest.raises(ArchiveError, match="twice"):
        read(path)


def test_other_files(path: pathlib.Path) -> None:
    with pytest.raises(NotFound, match="does not exist or is empty"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(NotFound, match="does not exist or is empty"):
        read(path)
    path.write_bytes(b"not a tar at all" * 100)
    with pytest.raises(ArchiveError, match="it is no tar archive"):
        read(path)
    write_tar(path, [("content.txt", b"1")])
    with pytest.raises(ArchiveError, match=r"neither index\.json nor manifest\.json"):
        read(path)
    with pytest.raises(ArchiveError, match="is no file"):
        read(path.parent)
    os.mkfifo(path.parent / "pipe")
    with pytest.raises(ArchiveError, match="is no file"):
        read(path.parent / "pipe")


def test_an_archive_behind_a_link_is_read(path: pathlib.Path, two_images: str) -> None:
    os.symlink(two_images, path.parent / "latest.tar")
    assert read(path.parent / "latest.tar", "@1").config.digest == Digest.of(parts(TWO)[0])


def packed_with_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, packed_with_zstd])
def test_archives_compressed_as_a_whole(two_images: str, tmp_path: pathlib.Path, pack: Any) -> None:
    data = pathlib.Path(two_images).read_bytes()
    half = len(data) // 2
    spool = tmp_path / "spool"
    spool.mkdir()
    for content in (pack(data), pack(data[:half]) + pack(data[half:])):
        (tmp_path / "packed").write_bytes(content)
        places = Places(temporary=str(spool))
        source = opened(tmp_path / "packed", "app:1", places=places)
        assert len(images.read_all(source)) == 3
        assert os.listdir(spool) == []
        places.close()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_broken_compressed_archives(two_images: str, tmp_path: pathlib.Path, pack: Any) -> None:
    whole = pack(pathlib.Path(two_images).read_bytes())
    for content in (whole[: len(whole) // 2], whole[:6], whole[: len(whole) // 2] + os.urandom(500)):
        (tmp_path / "packed").write_bytes(content)
        with pytest.raises(ArchiveError, match="cannot be decompressed|no tar archive|cut short"):
            read(tmp_path / "packed", "app:1")


@pytest.mark.parametrize("tool", ["xz", "zstd", "gzip"])
def test_bombs_are_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.setattr(compressed, "_HARMLESS", 1024 * 1024)
    monkeypatch.setattr(compressed, "RATIO", 500)
    pack: Any = {"xz": lzma.compress, "zstd": packed_with_zstd, "gzip": gzip.compress}[tool]
    (tmp_path / "bomb").write_bytes(pack(bytes(64 * 1024 * 1024)))
    with pytest.raises(ArchiveError, match="grows to more than 500 times its size"):
        read(tmp_path / "bomb")


def test_a_decompressor_that_wants_too_much_memory_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "_MEMORY", 1024 * 1024)
    (tmp_path / "packed").write_bytes(lzma.compress(b"x" * 10_000, preset=9))
    with pytest.raises(ArchiveError, match="cannot be decompressed"):
        read(tmp_path / "packed")
    header = bytes.fromhex("28b52ffd00") + bytes([0xA8]) + b"\0" * 20  # a window of 2 GiB
    (tmp_path / "packed").write_bytes(header)
    with pytest.raises(ArchiveError, match="cannot be decompressed"):
        read(tmp_path / "packed")


def test_zstd_needs_a_library(two_images: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packed").write_bytes(packed_with_zstd(pathlib.Path(two_images).read_bytes()))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingRequirement, match="install the Python library zstandard"):
        read(tmp_path / "packed", "app:1")


def test_sources_of_one_file_share_it(two_images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    old = os.open

    def counted(name: Any, *arguments: Any) -> int:
        if name == two_images:
            count.append(name)
        return old(name, *arguments)

    monkeypatch.setattr(os, "open", counted)
    before = len(os.listdir("/proc/self/fd"))
    places = Places()
    sources = [opened(two_images, name, places=places) for name in ("app:1", "app:2", "@1")]
    for source in sources:
        source.resolve()
    assert len(count) == 1
    sources[0].close()
    sources[0].close()
    images.read_all(sources[1])
    places.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_blobs_from_an_offset(two_images: str) -> None:
    source = opened(two_images, "@0")
    manifest = source.manifest()
    assert isinstance(manifest, Manifest)
    layer = parts(ONE)[2]
    stream = source.open_blob(manifest.layers[0], 700)
    assert stream.read(50) == layer[700:750]
    stream.close()
    assert stream.read(50) == b""


def test_what_docker_saved_is_kept_as_a_destination(two_images: str) -> None:
    places = Places()
    destination, name = table.open_destination(table.parse(f"docker-archive:{two_images}:app:2"), places)
    before = destination.resolve(name)
    held = destination.held()
    assert held["docker.io/library/app:1"] == before and len(held) == 3
    inode = os.stat(two_images).st_ino
    destination.commit()
    assert os.stat(two_images).st_ino == inode
    MULTI.store(destination, name)
    destination.commit()
    places.close()
    assert opened(two_images, "app:2").resolve() == MULTI.digest
    # The same image, the same digest: the manifest that was made is now in the file.
    assert opened(two_images, "app:1").resolve() == before
    assert images.read_all(opened(two_images, "example.com/other"))
