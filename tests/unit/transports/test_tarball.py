# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image out of root file systems."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile

import pytest
import zstandard

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    InvalidInput,
    MissingRequirement,
    NotFound,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.new_image import NewImage
from ansible_collections.longshore.oci.plugins.module_utils.transports import compressed, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places

CONFIG = NewImage.of({"platform": "linux/amd64"})


def rootfs(text: str = "hello\n") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("etc/motd")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def packed_with_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def packed_with_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def source(*paths, config=CONFIG):
    return table.open_source(table.parse("tarball:" + ":".join(map(str, paths))), Places(), config)


def written(tmp_path, data: bytes, name: str = "rootfs.tar"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def content(image, descriptor) -> bytes:
    stream = image.open_blob(descriptor)
    try:
        return b"".join(VerifyingReader(stream, descriptor.digest, descriptor.size))
    finally:
        stream.close()


def test_the_digest_of_a_known_image(tmp_path):
    # Nothing but the bytes and the config may change it: this is what earlier releases have made of them.
    image = source(written(tmp_path, rootfs()))
    assert str(Digest.of(rootfs())) == "sha256:e6f871c88768b0402d842480b5c36bc26df46459306273780935638f05f815ca"
    assert str(image.resolve()) == "sha256:42f09021036f254d86ace34362a8e5b8e054304047040ef9bdaa21b9e2d81612"


@pytest.mark.parametrize(
    ("pack", "media_type"),
    [
        (bytes, media_types.OCI_LAYER),
        (packed_with_gzip, media_types.OCI_LAYER_GZIP),
        (packed_with_zstd, media_types.OCI_LAYER_ZSTD),
    ],
)
def test_a_tar_stays_as_it_is_compressed(tmp_path, pack, media_type):
    data = pack(rootfs())
    image = source(written(tmp_path, data))
    manifest = image.manifest()
    assert manifest.digest == image.resolve() and manifest.media_type == media_types.OCI_MANIFEST
    assert [(one.media_type, one.digest, one.size) for one in manifest.layers] == [(media_type, Digest.of(data), len(data))]
    config = json.loads(content(image, manifest.config))
    assert config["rootfs"]["diff_ids"] == [str(Digest.of(rootfs()))]
    assert content(image, manifest.layers[0]) == data
    assert image.open_blob(manifest.layers[0], 5).read(10) == data[5:15]
    assert image.open_blob(manifest.config, 5).read() == content(image, manifest.config)[5:]


def test_several_tars_are_layers_the_lowest_first(tmp_path):
    one, two = rootfs("one"), packed_with_gzip(rootfs("two"))
    image = source(written(tmp_path, one, "one.tar"), written(tmp_path, two, "two.tar"))
    manifest = image.manifest()
    assert [layer.digest for layer in manifest.layers] == [Digest.of(one), Digest.of(two)]
    config = json.loads(content(image, manifest.config))
    assert config["rootfs"]["diff_ids"] == [str(Digest.of(one)), str(Digest.of(rootfs("two")))]
    assert image.name.endswith("two.tar") and image.tags() == [] and image.referrers(manifest.digest) == []


def test_neither_name_nor_time_of_a_file_counts(tmp_path):
    one, two = written(tmp_path, rootfs(), "one.tar"), written(tmp_path, rootfs(), "two.tar")
    os.utime(two, (1, 1))
    link = tmp_path / "latest.tar"
    link.symlink_to(one)
    assert source(one).resolve() == source(two).resolve() == source(link).resolve()
    assert source(one).resolve() != source(one, config=NewImage.of({"platform": "linux/arm64"})).resolve()


def test_without_a_config_it_is_for_this_machine(tmp_path):
    path = written(tmp_path, rootfs())
    assert source(path, config=None).resolve() == source(path, config=NewImage.of({})).resolve()


def test_gzip_of_several_members(tmp_path):
    data = packed_with_gzip(rootfs()[:600]) + packed_with_gzip(rootfs()[600:])
    image = source(written(tmp_path, data))
    manifest = image.manifest()
    assert manifest.layers[0].digest == Digest.of(data)
    assert json.loads(content(image, manifest.config))["rootfs"]["diff_ids"] == [str(Digest.of(rootfs()))]


@pytest.mark.parametrize("pack", [packed_with_gzip, packed_with_zstd])
@pytest.mark.parametrize("cut", [1, 5, 30])
def test_one_that_is_cut_short(tmp_path, pack, cut):
    path = written(tmp_path, pack(rootfs())[:-cut])
    with pytest.raises(ArchiveError, match=f"the tar {path} cannot be decompressed"):
        source(path).resolve()


@pytest.mark.parametrize("pack", [bytes, packed_with_gzip, packed_with_zstd])
def test_a_tar_within_that_is_cut_short(tmp_path, pack):
    path = written(tmp_path, pack(rootfs("x" * 5000)[:3000]))
    with pytest.raises(ArchiveError, match=f"the tar {path}: it is cut short"):
        source(path).resolve()


@pytest.mark.parametrize("pack", [bytes, packed_with_gzip, packed_with_zstd])
@pytest.mark.parametrize("data", [b"", b"no tar", b"<html>" * 500])
def test_what_is_no_tar(tmp_path, pack, data):
    with pytest.raises(ArchiveError, match="it is no tar archive"):
        source(written(tmp_path, pack(data))).resolve()


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_what_layers_have_no_media_type_for(tmp_path, pack, name):
    with pytest.raises(ArchiveError, match=f"is compressed with {name}, .*: use gzip, zstd or a plain tar"):
        source(written(tmp_path, pack(rootfs()))).resolve()


@pytest.mark.parametrize("pack", [packed_with_gzip, packed_with_zstd])
def test_bombs_are_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(compressed, "RATIO", 500)
    monkeypatch.setattr(compressed, "_HARMLESS", 1 << 20)
    with pytest.raises(ArchiveError, match="more than 500 times its size"):
        source(written(tmp_path, pack(bytes(32 << 20)))).resolve()


def test_zstd_needs_a_library(tmp_path, monkeypatch):
    path = written(tmp_path, packed_with_zstd(rootfs()))
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(MissingRequirement, match="install the Python library zstandard"):
        source(path).resolve()


def change_in_place(path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")


def replace(path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    os.replace(new, path)


@pytest.mark.parametrize("change", [change_in_place, replace, lambda path: os.truncate(path, 100)])
@pytest.mark.parametrize("is_begun", [True, False])
def test_a_file_that_changes_while_it_is_copied(tmp_path, change, is_begun):
    path = written(tmp_path, rootfs("x" * 100_000))
    image = source(path)
    layer = image.manifest().layers[0]
    stream = image.open_blob(layer) if is_begun else None
    if stream is not None:
        stream.read(1000)
    change(path)
    if stream is None:
        stream = image.open_blob(layer)
    elif change is replace:
        # What was opened before is still the file that was hashed.
        assert stream.read(1 << 20)[:1000] == rootfs("x" * 100_000)[1000:2000]
        stream.close()
        return
    with pytest.raises(ArchiveError, match=f"the tar {path} changed while it was copied"):
        while stream.read(1000):
            pass
    stream.close()


def test_what_is_not_there(tmp_path):
    with pytest.raises(NotFound, match="nothing.tar does not exist"):
        source(tmp_path / "nothing.tar").resolve()
    with pytest.raises(ArchiveError, match="is no file"):
        source(tmp_path).resolve()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="is no file"):
        source(tmp_path / "pipe").resolve()
    image = source(written(tmp_path, rootfs()))
    other = Digest.of(b"other")
    with pytest.raises(NotFound):
        image.manifest(other)
    with pytest.raises(NotFound):
        image.open_blob(image.manifest().layers[0].__class__(media_types.OCI_LAYER, other, 5))


@pytest.mark.parametrize("text", ["tarball:/a.tar:", "tarball::/a.tar", "tarball:/a::/b"])
def test_an_empty_path(text):
    with pytest.raises(InvalidInput, match="empty path"):
        table.open_source(table.parse(text), Places())


def test_more_layers_than_any_engine_takes():
    with pytest.raises(InvalidInput, match="127 layers at most, not 128"):
        source(*["/a.tar"] * 128)


def test_it_is_no_destination():
    with pytest.raises(InvalidInput, match="tarball: is read alone"):
        table.open_destination(table.parse("tarball:/a.tar"), Places())


@pytest.mark.parametrize("text", ["registry.example.com/app:1", "oci:/srv/images:app", "dir:/srv/image"])
def test_only_what_is_made_here_takes_a_config(text):
    with pytest.raises(InvalidInput, match="config goes with a source that is no image yet"):
        table.open_source(table.parse(text), Places(), CONFIG)


def test_memory_does_not_grow_with_the_tar(tmp_path):
    import tracemalloc

    path = tmp_path / "large.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("large")
        member.size = 64 << 20
        with open("/dev/zero", "rb") as zeros:
            tar.addfile(member, zeros)
    tracemalloc.start()
    try:
        image = source(path)
        content_size = image.manifest().layers[0].size
        stream = image.open_blob(image.manifest().layers[0])
        while stream.read(1 << 18):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert content_size > 64 << 20 and peak < 4 << 20, peak
