# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer compressed in another way: what comes out, and what is made of what is wrong."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
import tempfile
import threading
import zlib

import pytest
import zstandard

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    Cancelled,
    DigestMismatch,
    MissingRequirement,
    NetworkError,
    SizeMismatch,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.form import Blob, Change
from ansible_collections.longshore.oci.plugins.module_utils.operations import compression
from ansible_collections.longshore.oci.plugins.module_utils.operations.recompress import Recompressor, Spool

SMALL = b"content of a layer\n" * 50
# Several pieces of gzip and several jobs of zstd, half of it compressible.
LARGE = b"".join(random.Random(seed).randbytes(3000) + b"text " * 600 for seed in range(400))


def packed(data, kind):
    if kind == "gzip":
        return gzip.compress(data, mtime=0)
    return zstandard.ZstdCompressor().compress(data) if kind == "zstd" else data


def plain(data, kind):
    if kind == "gzip":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().stream_reader(data).read() if kind == "zstd" else data


def layer(data):
    return Descriptor("application/x", Digest.of(data), len(data))


def recompress(data, kind, level=3, diff_id=None, content=SMALL, described=None, stop=None):
    """The new bytes, and what they are said to be."""
    change = Change(kind, level, diff_id or Digest.of(content))
    room, blob = Recompressor(stop).recompress(lambda: io.BytesIO(data), described or layer(data), change)
    try:
        return room.read_at(0, 10**9), blob
    finally:
        room.close()


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Everything is spooled in a directory that is empty afterwards, and no thread goes on."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    threads = threading.active_count()
    yield
    assert os.listdir(tmp_path) == [] and threading.active_count() == threads


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("wanted", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("given", ["gzip", "zstd", "none"])
def test_any_kind_becomes_any_other(given, wanted, content):
    data, blob = recompress(packed(content, given), wanted, content=content)
    assert plain(data, wanted) == content
    assert blob == Blob(Digest.of(data), len(data))


@pytest.mark.parametrize(("kind", "level"), [("gzip", 1), ("gzip", 9), ("zstd", 1), ("zstd", 3), ("zstd", 12)])
def test_the_same_bytes_whatever_the_machine_and_the_time(monkeypatch, kind, level):
    found = set()
    for threads in (1, 2, 4):
        monkeypatch.setattr(compression, "THREADS", threads)
        monkeypatch.setattr("time.time", lambda now=float(threads): now)
        found.add(recompress(packed(LARGE, "none"), kind, level, content=LARGE)[0])
    assert len(found) == 1


def test_gzip_has_no_name_and_no_time_and_is_one_member():
    data, unused = recompress(LARGE, "gzip", 6, content=LARGE)
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    whole = zlib.decompressobj(31)
    assert whole.decompress(data) == LARGE and whole.eof and not whole.unused_data
    # Pieces with the window of those before them: as small as it would be in one piece, nearly.
    assert len(data) < len(gzip.compress(LARGE, 6)) * 1.01


def test_several_members_and_frames_are_one_layer():
    for kind in ("gzip", "zstd"):
        assert recompress(packed(SMALL, kind) + packed(SMALL, kind), "none", content=SMALL * 2)[0] == SMALL * 2


def test_a_layer_whose_content_is_not_what_the_config_says():
    other = Digest.of(b"other")
    with pytest.raises(DigestMismatch, match=f"config lists: expected {other}.*{Digest.of(SMALL)}"):
        recompress(packed(SMALL, "gzip"), "zstd", diff_id=other)


def test_a_layer_whose_bytes_are_not_what_its_digest_says():
    data = packed(SMALL, "gzip")
    with pytest.raises(DigestMismatch, match="digest mismatch of layer"):
        recompress(data, "zstd", described=Descriptor("x", Digest.of(b"other"), len(data)))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_ends_early(kind):
    cut = packed(LARGE, kind)[:-100]
    with pytest.raises(ArchiveError, match="layer sha256:.* cannot be decompressed"):
        recompress(cut, "none", content=LARGE)
    with pytest.raises(SizeMismatch):
        recompress(cut, "none", content=LARGE, described=layer(packed(LARGE, kind)))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_is_broken(kind):
    data = bytearray(packed(LARGE, kind))
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    with pytest.raises((ArchiveError, DigestMismatch)):
        recompress(bytes(data), "none", content=LARGE)


def test_a_decompression_bomb_is_refused():
    """S10"""
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(bomb.compress(bytes(1024 * 1024)) for unused in range(100)) + bomb.flush()
    with pytest.raises(ArchiveError, match="grows to more than 1000 times its size"):
        recompress(data, "zstd")


def test_a_source_that_fails_and_one_that_is_stopped():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise NetworkError("connection reset")
            return super().read(size)

    data = packed(LARGE, "gzip")
    with pytest.raises(NetworkError, match="connection reset"):
        Recompressor().recompress(lambda: Broken(data), layer(data), Change("zstd", 3, Digest.of(LARGE)))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        recompress(data, "zstd", stop=stop)


def test_a_disk_that_is_full_ends_both_threads(monkeypatch):
    def full(self, data):
        raise StorageError("no space is left on the device")

    monkeypatch.setattr(Spool, "write", full)
    with pytest.raises(StorageError, match="no space is left"):
        recompress(LARGE, "none", content=LARGE)


@pytest.mark.parametrize(("given", "wanted"), [("none", "zstd"), ("zstd", "gzip")])
def test_zstd_without_its_library(monkeypatch, given, wanted):
    data = packed(SMALL, given)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingRequirement, match="zstandard"):
        recompress(data, wanted)
