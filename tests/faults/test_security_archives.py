# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S10, S13 and S14: archives that would break out or blow up."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
import time
import zlib

import pytest
import zstandard

from ansible_collections.longshore.oci.tests.faults import tars
from ansible_collections.longshore.oci.tests.faults.tars import CONFIG, LAYER, LISTED, header, member, pax, sound, write
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
MIB = 1024 * 1024
#: 10 GiB of zeros in 10 MiB: members that are repeated make one stream.
BOMB = gzip.compress(bytes(64 * MIB), mtime=0) * 160


def bomb(data=BOMB):
    """An image whose layer is 10 GiB of zeros, or what ``data`` is."""
    layer = images.Layer(data, images.sha256(b"never looked at"), True)
    return images.image("linux/amd64", [layer])


def test_s10_a_copy_unpacks_nothing(module, faulty, tmp_path, monkeypatch):
    def unpack(*unused, **unused_too):
        raise AssertionError("something is unpacked")

    content = bomb()
    name = f"{faulty.host}/{faulty.put('none', content)}:1"
    monkeypatch.setattr(zlib, "decompressobj", unpack)
    result = module("image_copy", src=name, dest=f"oci:{tmp_path}/layout:1", src_plain_http=True)
    assert not result.get("failed") and result["digest"] == content.digest, result


def test_s10_a_conversion_stops_at_a_thousandfold(module, faulty, tmp_path):
    name = f"{faulty.host}/{faulty.put('none', bomb(BOMB[: len(BOMB) // 80]))}:1"
    result = module("image_copy", src=name, dest=f"oci:{tmp_path}/layout:1", src_plain_http=True, compression="zstd")
    assert result["failed"] and "grows to more than 1000 times its size" in result["msg"], result
    # What was whole, the config, stays for the next run; no name was given to anything.
    assert json.loads((tmp_path / "layout" / "index.json").read_bytes())["manifests"] == []


def zstd_with_a_large_window(data):
    """A frame that says it needs tables of 2 GiB."""
    packed = bytearray(zstandard.ZstdCompressor(write_content_size=False).compress(data))
    packed[4] &= ~0x20
    packed[5] = 21 << 3
    return bytes(packed)


PACKED = {
    "gzip": lambda data: gzip.compress(bytes(64 * MIB), mtime=0) * 2,
    "bzip2": lambda data: bz2.compress(bytes(66 * MIB)),
    "xz": lambda data: lzma.compress(bytes(66 * MIB), preset=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(bytes(256 * MIB)),
    "zstd with a window of 2 GiB": zstd_with_a_large_window,
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(bytes(64 * MIB), mtime=0) * 2, mtime=0),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
def test_s10_an_archive_that_is_a_bomb_is_refused(module, tmp_path, pack):
    path = tmp_path / "images.tar"
    path.write_bytes(pack(b"".join(sound()) + tars.END))
    result = module("image_inspect", name=[f"docker-archive:{path}"])
    assert result["failed"] and str(path) in result["msg"] and "unexpected" not in result["msg"], result


def listing(config="config.json", layer="layer.tar"):
    return member("manifest.json", json.dumps([{"Config": config, "RepoTags": ["app:1"], "Layers": [layer]}]).encode())


REST = [member("config.json", CONFIG), member("layer.tar", LAYER)]
HOSTILE = {
    "a name that leads out": [*sound(), member("../x", b"x")],
    "an absolute name": [*sound(), member("/etc/x", b"x")],
    "a name that leads out in between": [*sound(), member("a/../../x", b"x")],
    "a line end in a name": [*sound(), member("a\nb", b"x")],
    "a name in a pax header that leads out": [*sound(), pax(path="../x"), member("y", b"x")],
    "a config that leads out": [*REST, listing(config="../../../../etc/passwd")],
    "a layer at the host": [*REST, listing(layer="/etc/passwd")],
    "a link to the host": [REST[0], member("layer.tar", kind=tarfile.SYMTYPE, link="/etc/passwd"), listing()],
    "a link that leads out": [REST[0], member("layer.tar", kind=tarfile.SYMTYPE, link="../../etc/passwd"), listing()],
    "links in a circle": [
        member("manifest.json", kind=tarfile.SYMTYPE, link="config.json"),
        member("config.json", kind=tarfile.SYMTYPE, link="manifest.json"),
    ],
    "a hard link to the host": [REST[0], member("layer.tar", kind=tarfile.LNKTYPE, link="/etc/passwd"), listing()],
    "a hard link to what comes later": [
        member("layer.tar", kind=tarfile.LNKTYPE, link="z"),
        REST[0],
        listing(),
        member("z", LAYER),
    ],
    "a list that is there twice": [*sound(), member("manifest.json", LISTED)],
    "a device": [*sound(), member("sda", kind=tarfile.BLKTYPE)],
    "a pipe": [REST[0], member("layer.tar", kind=tarfile.FIFOTYPE), listing()],
    "a sparse file": [REST[0], header(b"layer.tar", b"00000001000\0", b"S") + bytes(512), listing()],
    "a sparse file of pax": [REST[0], pax(GNU_sparse_major="1", GNU_sparse_minor="0"), REST[1], listing()],
    "a size of 2 to the 63rd": [REST[0], header(b"layer.tar", b"\x80\0\0\0\x7f" + b"\xff" * 7), listing()],
    "a negative size": [REST[0], header(b"layer.tar", b"\xff" * 12), listing()],
    "a negative size that leads back": [REST[0], header(b"layer.tar", b"\xff" * 10 + b"\xfc\0"), listing()],
    "a negative size of pax": [REST[0], pax(size="-512"), REST[1], listing()],
    "long names without end": [header(b"././@LongLink", b"00000001000\0", b"L") + b"a" * 512] * 10_000,
    "an archive that breaks off": [*sound(), header(b"other", b"00007777777\0")],
    "nothing": [],
    "no list": REST,
    "null for a list": [*REST, member("manifest.json", b"null")],
}


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE.keys())
def test_s13_a_hostile_archive_is_refused(module, faulty, tmp_path, parts):
    """Nothing is ever extracted: what is refused is refused before anything of it was sent."""
    folder = tmp_path / "archives"
    folder.mkdir()
    path = write(folder / "images.tar", parts)
    mark = len(faulty.log)
    began = time.monotonic()
    options = {"path": path, "dest": f"{faulty.host}/{faulty.repository()}", "plain_http": True}
    result = module("image_save_load", state="loaded", **options)
    assert result["failed"] and "unexpected" not in result["msg"] and "exception" not in result, result
    assert path in result["msg"] and "\n" not in result["msg"] and len(result["msg"]) < 600, result
    assert time.monotonic() - began < 20
    assert not len(faulty.log.since(mark).writes)
    assert sorted(one.name for one in tmp_path.rglob("*") if one.is_file()) == ["images.tar"]


def test_s13_the_same_archive_without_that_is_loaded(module, faulty, tmp_path):
    path = write(tmp_path / "images.tar", sound())
    repository = faulty.repository()
    result = module("image_save_load", state="loaded", path=path, dest=f"{faulty.host}/{repository}", plain_http=True)
    assert not result.get("failed") and result["changed"], result


def test_s13_a_link_within_the_archive_is_followed_once(module, tmp_path):
    """As docker saves a layer that two images share."""
    link = member("layer.tar", kind=tarfile.SYMTYPE, link="real/layer.tar")
    path = write(tmp_path / "images.tar", [REST[0], member("real/layer.tar", LAYER), link, listing()])
    result = module("image_inspect", name=[f"docker-archive:{path}"])
    assert not result.get("failed"), result


def test_s13_a_million_members_are_not_read_to_the_end(module, tmp_path, monkeypatch):
    from ansible_collections.longshore.oci.plugins.module_utils.transports import tar_reader

    monkeypatch.setattr(tar_reader, "MEMBERS", 1000)
    path = write(tmp_path / "images.tar", [*(member(f"{number}") for number in range(2000)), *sound()])
    result = module("image_inspect", name=[f"docker-archive:{path}"])
    assert result["failed"] and "more than 1000 members" in result["msg"], result


@pytest.mark.parametrize("what", ["index.json", "oci-layout", "blob"])
def test_s13_links_in_a_layout_are_not_followed(module, tmp_path, what):
    layout = images.write_layout(tmp_path / "layout", {"1": IMAGE})
    victim = layout / ("blobs/sha256/" + IMAGE.layers[0].digest.partition(":")[2] if what == "blob" else what)
    elsewhere = tmp_path / "elsewhere"
    victim.rename(elsewhere)
    victim.symlink_to(elsewhere)
    result = module("image_copy", src=f"oci:{layout}:1", dest=f"dir:{tmp_path}/copy")
    assert result["failed"] and str(victim) in result["msg"], result
    assert not (tmp_path / "copy" / "manifest.json").exists()


def test_s14_a_size_that_leads_back_ends_at_once(module, tmp_path):
    """CVE-2025-8194: Python's own reader goes round for ever."""
    for size in (b"\xff" * 10 + b"\xfe\0", b"\xff" * 12, b"\xff" * 10 + b"\xfc\0"):
        path = write(tmp_path / "images.tar", [member("a", b"x" * 600), header(b"b", size), *sound()])
        began = time.monotonic()
        result = module("image_inspect", name=[f"docker-archive:{path}"])
        assert result["failed"] and time.monotonic() - began < 20, result
