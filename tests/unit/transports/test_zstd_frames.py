# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where zstd data ends."""

from __future__ import annotations

import io
import random

import pytest
import zstandard

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ArchiveError
from ansible_collections.longshore.oci.plugins.module_utils.transports.compressed import Unpacked
from ansible_collections.longshore.oci.plugins.module_utils.transports.zstd_frames import Frames

CONTENT = random.Random(1).randbytes(200_000) + bytes(500_000)
SKIPPABLE = b"\x5e\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"abcde"


def packed(content: bytes = CONTENT, **options: object) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)


def streamed(content: bytes) -> bytes:
    """Without the content's size in the header, as a pipe gives it."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(content) + compressor.flush()


def ends(data: bytes, step: int) -> bool:
    frames = Frames()
    for start in range(0, len(data), step):
        frames.update(data[start : start + step])
    return frames.is_whole


FORMS = [
    packed(),
    packed(write_checksum=True),
    packed(write_content_size=False),
    packed(b""),
    packed(b"short"),
    packed(bytes(300)),
    packed(bytes(70_000)),
    streamed(CONTENT),
    packed() + packed(write_checksum=True),
    SKIPPABLE + packed() + SKIPPABLE,
]


@pytest.mark.parametrize("data", FORMS)
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_a_whole_one(data, step):
    assert ends(data, step)


@pytest.mark.parametrize("data", FORMS)
def test_none_that_is_cut_short_is_whole(data):
    frames = Frames()
    whole = [frames.is_whole]
    for at in range(len(data)):
        frames.update(data[at : at + 1])
        whole.append(frames.is_whole)
    # Between two frames it may end.
    assert sum(whole[1:-1]) == {8: 1, 9: 2}.get(FORMS.index(data), 0) and whole[-1]


@pytest.mark.parametrize("data", FORMS[:3])
@pytest.mark.parametrize("cut", [1, 4, 5, 1000])
def test_the_reader_tells_of_one_that_is_cut_short(data, cut):
    stream = Unpacked(io.BytesIO(data[:-cut]), "zstd", "the file")
    with pytest.raises(ArchiveError, match="the file cannot be decompressed: it ends before its end"):
        while stream.read():
            pass


def test_the_reader_tells_of_garbage_behind_it():
    stream = Unpacked(io.BytesIO(packed() + b"garbage"), "zstd", "the file")
    with pytest.raises(ArchiveError, match="the file cannot be decompressed"):
        while stream.read():
            pass


@pytest.mark.parametrize("data", FORMS)
def test_the_reader_gives_what_was_packed(data):
    stream = Unpacked(io.BytesIO(data), "zstd", "the file")
    found = b"".join(iter(stream.read, b""))
    assert found == zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
