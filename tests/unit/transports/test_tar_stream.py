# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tars that pass by: everything a root file system can hold is one, and nothing else."""

from __future__ import annotations

import io
import tarfile

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ArchiveError
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_stream import TarCheck

END = bytes(1024)


def tar(form: int = tarfile.PAX_FORMAT, name: str = "etc/file", data: bytes = b"x" * 700, **headers: str) -> bytes:
    """A tar of every kind of member, with its end and no more."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form, pax_headers=headers or None) as made:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{name}-{kind.decode()}")
            member.type, member.linkname = kind, name
            made.addfile(member)
        for number, content in enumerate((b"", data, data[:512])):
            member = tarfile.TarInfo(f"{name}{number}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return packed.getvalue().rstrip(b"\0") + b"".join([bytes(-len(packed.getvalue().rstrip(b"\0")) % 512), END])


def header(size: int, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header of our own, in old GNU's form."""
    plain = tarfile.TarInfo("file")
    plain.size, plain.type = size, kind
    block = bytearray(plain.tobuf(tarfile.GNU_FORMAT))
    for place, value in fields.items():
        at = int(place[1:])
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def check(data: bytes, step: int = 1 << 20) -> None:
    seen = TarCheck()
    for start in range(0, len(data), step):
        seen.update(data[start : start + step])
    seen.finish()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 1 << 20])
def test_every_form_is_a_tar_in_pieces_of_any_size(form, step):
    check(tar(form), step)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form):
    check(tar(form, name="very/long/" * 40 + "name"))


@pytest.mark.parametrize("data", [END, bytes(10240), bytes(512), tar() + bytes(9000), tar()[:-512], tar()[:-1024]])
def test_what_may_stand_at_the_end(data):
    check(data)


def test_a_global_header_is_allowed():
    check(tar(comment="0123456789abcdef"))


def test_the_padding_of_the_last_file_may_be_missing():
    check(header(5) + b"hello")
    check(header(5) + b"hello" + bytes(100))


def test_a_pax_size_counts():
    # As for files beyond 8 GiB, whose plain header cannot tell.
    record = b"12 size=600\n"
    pax = header(len(record), b"x") + record.ljust(512, b"\0")
    check(pax + header(0) + b"d" * 600 + bytes(424) + header(0) + END)
    with pytest.raises(ArchiveError, match="cut short"):
        check(pax + header(0) + b"d" * 599)


def test_a_link_with_a_size_has_no_data():
    check(header(4096, b"1") + header(3) + b"abc".ljust(512, b"\0") + END)


def test_the_map_of_a_sparse_file_comes_before_its_data():
    more, last = b"\0" * 504 + b"\1" + b"\0" * 7, bytes(512)
    check(header(600, b"S", _482=b"\1") + more + last + b"d" * 1024 + END)
    check(header(600, b"S") + b"d" * 1024 + END)
    with pytest.raises(ArchiveError, match="cut short"):
        check(header(600, b"S", _482=b"\1") + more)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        bytes(100),
        b"<!DOCTYPE html>" * 100,
        # A file system begins with zeros.
        bytes(1024) + b"\x53\xef" * 512,
        bytes(512) + tar(),
    ],
)
def test_what_is_no_tar(data):
    with pytest.raises(ArchiveError, match="it is no tar archive"):
        check(data)


@pytest.mark.parametrize("length", [1, 511, 513, 600, 3000])
def test_one_that_is_cut_short(length):
    data = header(100) + b"d" * 512 + header(5000) + b"e" * 5000
    with pytest.raises(ArchiveError, match="it is no tar archive" if length < 512 else "cut short"):
        check(data[:length])


def test_one_that_is_cut_short_after_an_extended_header():
    whole = tar(tarfile.PAX_FORMAT, name="ü" * 150)
    with pytest.raises(ArchiveError, match="cut short"):
        check(whole[:1024])
    with pytest.raises(ArchiveError, match="cut short"):
        check(tar(tarfile.GNU_FORMAT, name="n" * 150)[:1024])


@pytest.mark.parametrize("rest", [tar(), b"\0" * 512 + b"garbage"])
def test_something_after_the_end(rest):
    with pytest.raises(ArchiveError, match="something follows the end"):
        check(tar() + rest)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header(3) + b"abc".ljust(512) + b"garbage".ljust(512), "wrong checksum|no number"),
        (header(2 << 20, b"x"), "extended header has 2097152 bytes"),
        (header(12, b"g") + b"12 size=600\n".ljust(512, b"\0") + header(0) + END, "global header for sizes"),
        (header(11, b"x") + b"11 size=-1\n".ljust(512, b"\0") + header(0) + END, "impossible size -1"),
        (header(5, b"x") + b"what?".ljust(512, b"\0") + header(0) + END, "broken pax header"),
    ],
)
def test_what_is_broken(data, words):
    with pytest.raises(ArchiveError, match=words):
        check(data)
