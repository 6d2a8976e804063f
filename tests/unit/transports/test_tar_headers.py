# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of tar members, checked against Python's own tarfile."""

from __future__ import annotations

import io
import tarfile

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ArchiveError
from ansible_collections.longshore.oci.plugins.module_utils.transports import tar_headers

GIB = 1024**3
SHORT = "blobs/sha256/" + "a" * 64
LONG = "blobs/sha512/" + "b" * 128
PREFIXED = "blobs/sha384/" + "c" * 96


def test_a_short_header_is_the_one_of_tarfile() -> None:
    info = tarfile.TarInfo(SHORT)
    info.size, info.mode = 12345, 0o444
    # All but the device numbers, which versions of tarfile write in two ways, and so the checksum.
    ours, theirs = tar_headers.encode(SHORT, 12345), info.tobuf(tarfile.USTAR_FORMAT)
    assert (ours[:148], ours[156:329], ours[345:]) == (theirs[:148], theirs[156:329], theirs[345:])


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8 * GIB - 1, 8 * GIB, 9 * GIB + 17, 2**62])
@pytest.mark.parametrize("name", [SHORT, LONG, PREFIXED, "manifest.json"])
def test_every_size_and_name_is_read_by_tarfile(name: str, size: int) -> None:
    head = tar_headers.encode(name, size)
    assert len(head) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(head + bytes(1024))) as archive:
        info = archive.next()
    assert info is not None
    assert (info.name, info.size) == (name, size)
    assert (info.mode, info.uid, info.gid, info.mtime, info.type) == (0o444, 0, 0, 0, tarfile.REGTYPE)


def test_extended_headers_appear_only_where_they_must() -> None:
    assert len(tar_headers.encode(SHORT, 8 * GIB - 1)) == 512
    assert len(tar_headers.encode(PREFIXED, 5)) == 512
    assert len(tar_headers.encode(SHORT, 8 * GIB)) == 3 * 512
    assert len(tar_headers.encode(LONG, 5)) == 3 * 512


def test_the_same_file_has_the_same_header() -> None:
    assert tar_headers.encode(LONG, 9 * GIB) == tar_headers.encode(LONG, 9 * GIB)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_headers_of_tarfile_are_read(form: int) -> None:
    info = tarfile.TarInfo("d" * 60 + "/" + "f" * 60)
    info.size = 77
    last = info.tobuf(form)[-512:]  # type: ignore[arg-type]
    header = tar_headers.decode(last)
    assert (header.size, header.kind) == (77, b"0")
    if form == tarfile.USTAR_FORMAT:
        assert header.name == b"d" * 60 + b"/" + b"f" * 60


def test_base_256_sizes_are_read() -> None:
    info = tarfile.TarInfo("x")
    info.size = 20 * GIB
    assert tar_headers.decode(info.tobuf(tarfile.GNU_FORMAT)).size == 20 * GIB


def test_old_signed_checksums_are_read() -> None:
    head = bytearray(tar_headers.encode("x", 3))
    head[0:2] = b"\xe4\x00"
    blank = bytes(head[:148]) + b" " * 8 + bytes(head[156:])
    signed = sum(byte - 256 if byte > 127 else byte for byte in blank)
    head[148:156] = b"%06o\0 " % signed
    assert tar_headers.decode(bytes(head)).size == 3
    head[148:156] = b"%06o\0 " % (signed + 1)
    with pytest.raises(ArchiveError, match="checksum"):
        tar_headers.decode(bytes(head))


def resealed(head: bytes, **fields: tuple[int, bytes]) -> bytes:
    """``head`` with other bytes at some offsets and the checksum that belongs to them."""
    changed = bytearray(head)
    for offset, data in fields.values():
        changed[offset : offset + len(data)] = data
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


@pytest.mark.parametrize(
    "field",
    [
        b"\xff" * 12,
        b"\xff" + b"\0" * 11,
        b"\x80" + b"\0" * 3 + b"\x80" + b"\0" * 7,
        b"\x81" + b"\0" * 11,
        b"-0000000001\0",
        b"0o000000012\0",
        b"0x000000012\0",
        b"1_000000000\0",
        b"00000000008\0",
        b"+0000000012\0",
        "١٢".encode() + b"\0" * 8,
    ],
)
def test_impossible_sizes_are_refused(field: bytes) -> None:
    with pytest.raises(ArchiveError):
        tar_headers.decode(resealed(tar_headers.encode("x", 0), size=(124, field)))


def test_records() -> None:
    assert tar_headers.records(b"") == {}
    assert tar_headers.records(b"12 path=abc\n" + bytes(100)) == {"path": "abc"}
    assert tar_headers.records(b"9 a=b\n=\n\n") == {"a": "b\n=\n"}


@pytest.mark.parametrize(
    "data",
    [b"0 path=a\n", b"-9 path=a\n", b"99 path=a\n", b"9 path=a", b"9 pathxa\n", b"x", b" 9 path=a\n", b"4 =\n", b"3 a\n"],
)
def test_broken_records_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="pax"):
        tar_headers.records(data)
