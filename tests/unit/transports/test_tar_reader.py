# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading tar archives, hostile ones above all (S13, S14)."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ArchiveError, NotFound, StorageError
from ansible_collections.longshore.oci.plugins.module_utils.transports import tar_headers, tar_reader
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_reader import Tar


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A member as GNU tar would write it."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + data + bytes(-len(data) % 512)


def raw_header(name: bytes, size: bytes = b"00000000000\0", kind: bytes = b"0") -> bytes:
    """A header of which nothing is checked."""
    fields = bytearray(512)
    fields[: len(name)] = name
    fields[124:136] = size
    fields[148:156] = b" " * 8
    fields[156:157] = kind
    fields[257:265] = b"ustar\x0000"
    fields[148:156] = b"%06o\0 " % sum(fields)
    return bytes(fields)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return raw_header(b"PaxHeaders/x", b"%011o\0" % len(records), kind) + records + bytes(-len(records) % 512)


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    return next(b"%d" % n + rest for n in range(10_000) if n == len(b"%d" % n + rest))


def opened(tmp_path: pathlib.Path, *parts: bytes, end: bytes = bytes(1024)) -> Tar:
    path = tmp_path / "a.tar"
    path.write_bytes(b"".join(parts) + end)
    return Tar(os.open(path, os.O_RDONLY), "the archive")


def test_members_are_read_where_they_lie(tmp_path: pathlib.Path) -> None:
    layer, folder = member("./b/layer.tar", b"x" * 2000), member("d/", b"", tarfile.DIRTYPE)
    tar = opened(tmp_path, member("a.json", b"12345"), layer, folder)
    assert tar.read("a.json", 10) == b"12345"
    found = tar.member("b/layer.tar")
    assert found.size == 2000
    assert tar.stream(found, 1990).read(100) == b"x" * 10
    assert "d" not in tar
    with pytest.raises(NotFound):
        tar.member("c")
    tar.close()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_every_format(tmp_path: pathlib.Path, form: int) -> None:
    name = "blobs/sha512/" + "a" * 128 if form != tarfile.USTAR_FORMAT else "blobs/" + "a" * 90
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as out:
        info = tarfile.TarInfo(name)
        info.size = 5
        out.addfile(info, io.BytesIO(b"hello"))
        link = tarfile.TarInfo("l/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../" + name
        out.addfile(link)
    tar = Tar(os.open(tmp_path / "a.tar", os.O_RDONLY), "the archive")
    assert tar.read(name, 100) == b"hello"
    assert tar.member("l/layer.tar") == tar.member(name)
    tar.close()


def test_links(tmp_path: pathlib.Path) -> None:
    tar = opened(
        tmp_path,
        member("aa/layer.tar", b"", tarfile.SYMTYPE, "../cc.tar"),
        member("bb/layer.tar", b"", tarfile.SYMTYPE, "../aa/layer.tar"),
        member("cc.tar", b"data"),
        member("dd.tar", b"", tarfile.LNKTYPE, "cc.tar"),
        member("ee.tar", b"", tarfile.SYMTYPE, "/etc/passwd"),
        member("ff.tar", b"", tarfile.SYMTYPE, "../../../../etc/passwd"),
        member("gg.tar", b"", tarfile.SYMTYPE, "gg.tar"),
    )
    assert tar.member("aa/layer.tar") == tar.member("cc.tar") == tar.member("dd.tar")
    for name in ("bb/layer.tar", "ee.tar", "ff.tar", "gg.tar"):
        with pytest.raises(ArchiveError, match="link to what is no file"):
            tar.member(name)
    with pytest.raises(ArchiveError, match="is a link and not a file"):
        tar.read("aa/layer.tar", 100)
    tar.close()


def test_a_link_to_the_host_is_never_followed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.json").write_bytes(b"secret")
    monkeypatch.chdir(tmp_path)
    tar = opened(tmp_path, member("a.json", b"", tarfile.SYMTYPE, "secret.json"))
    with pytest.raises(ArchiveError):
        tar.member("a.json")
    tar.close()
    with pytest.raises(ArchiveError, match="hard link"):
        opened(tmp_path, member("a.json", b"", tarfile.LNKTYPE, "secret.json"))


def test_hard_links_to_later_files_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="no earlier file"):
        opened(tmp_path, member("a.json", b"", tarfile.LNKTYPE, "b.json"), member("b.json", b"1"))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "./../x", "..", "a\nb", "a\x1b[31m", "a/..", "//x", "a\rb", "a\x7f"]
)
def test_names_that_lead_out_or_cannot_be_shown_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="forbidden name") as caught:
        opened(tmp_path, member("ok.json", b"1"), member(name, b"1"))
    assert "\x1b" not in caught.value.message and "\n" not in caught.value.message


def test_a_name_in_a_pax_header_is_checked_as_well(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="forbidden name"):
        opened(tmp_path, pax(record("path", "../../etc/passwd")), member("manifest.json", b"[]"))
    with pytest.raises(ArchiveError, match="forbidden name"):
        opened(tmp_path, pax(record("path", "manifest.json\0.txt")), member("manifest.json", b"[]"))


def test_a_name_in_a_gnu_header_is_checked_as_well(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="forbidden name"):
        opened(tmp_path, member("a" * 120 + "/../../../x", b"1"))


def test_other_files_are_passed_over(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, member(".hidden", b"1"), member("caf\udce9", b"2"), member("a b", b"3"), member("x.json", b"4"))
    assert tar.read("x.json", 9) == b"4"
    assert ".hidden" not in tar and "a b" not in tar
    tar.close()


def test_files_that_are_there_twice_are_refused(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, member("manifest.json", b"1"), member("./manifest.json", b"2"))
    with pytest.raises(ArchiveError, match="twice"):
        tar.read("manifest.json", 9)
    tar.close()
    tar = opened(tmp_path, member("manifest.json", b"1"), member("manifest.json", b"", tarfile.SYMTYPE, "x.json"))
    with pytest.raises(ArchiveError, match="twice|link"):
        tar.read("manifest.json", 9)
    tar.close()


def test_blobs_may_be_there_twice(tmp_path: pathlib.Path) -> None:
    name = "blobs/sha256/" + "a" * 64
    tar = opened(tmp_path, member(name, b"1"), member(name, b"2"))
    assert tar.read(name, 9) == b"1"
    tar.close()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"D", b"V", b"Z"])
def test_devices_and_the_like_are_refused(tmp_path: pathlib.Path, kind: bytes) -> None:
    with pytest.raises(ArchiveError, match="which no image archive holds"):
        opened(tmp_path, raw_header(b"x.json", kind=kind))


def test_sparse_files_of_pax_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="sparse"):
        opened(tmp_path, pax(record("GNU.sparse.major", "1")), member("x.json", b"1"))


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_and_directories_have_no_data(tmp_path: pathlib.Path, kind: bytes) -> None:
    # Readers disagree on whether data follows, and so on where the next file begins.
    with pytest.raises(ArchiveError, match="with data"):
        opened(tmp_path, member("x.json", b"y" * 600, kind, "y.json"))


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 12, b"\xff" * 11 + b"\x00", b"\x80" + b"\0" * 3 + b"\x80" + b"\0" * 7, b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7],
)
def test_negative_and_endless_sizes_end_at_once(tmp_path: pathlib.Path, size: bytes) -> None:
    begun = time.monotonic()
    with pytest.raises(ArchiveError):
        opened(tmp_path, member("a.json", b"1"), raw_header(b"b.json", size), member("c.json", b"1"))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("size", ["-512", "9223372036854775808", "1e3", " 5", "٥", "", "9" * 5000])
def test_sizes_in_pax_headers_are_checked(tmp_path: pathlib.Path, size: str) -> None:
    with pytest.raises(ArchiveError):
        opened(tmp_path, pax(record("size", size)), member("a.json", b"1"))


def test_a_size_in_a_pax_header_counts(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, pax(record("size", "3")), raw_header(b"a.json"), b"abc" + bytes(509), member("b.json", b"2"))
    assert (tar.read("a.json", 9), tar.read("b.json", 9)) == (b"abc", b"2")
    tar.close()


def test_extended_headers_without_end_are_refused(tmp_path: pathlib.Path) -> None:
    name = raw_header(b"././@LongLink", b"00000000002\0", b"L") + b"a\0" + bytes(510)
    with pytest.raises(ArchiveError, match="two names"):
        opened(tmp_path, *[name] * 50)
    with pytest.raises(ArchiveError, match="two extended headers"):
        opened(tmp_path, *[pax(record("comment", "x"))] * 50)
    with pytest.raises(ArchiveError, match="two names"):
        opened(tmp_path, name, pax(record("path", "b")), member("c", b"1"))
    with pytest.raises(ArchiveError, match="extended header has"):
        opened(tmp_path, raw_header(b"L", b"%011o\0" % (2 * 1024 * 1024), b"L"), bytes(2 * 1024 * 1024))
    with pytest.raises(ArchiveError, match="cut short after"):
        opened(tmp_path, name)


def test_global_headers_may_not_name_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="global"):
        opened(tmp_path, pax(record("path", "manifest.json"), b"g"), member("a.json", b"1"))
    tar = opened(tmp_path, pax(record("comment", "made by git"), b"g"), member("a.json", b"1"))
    assert "a.json" in tar
    tar.close()


def test_too_many_members_are_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_reader, "MEMBERS", 10)
    opened(tmp_path, *[member(f"{n}.json") for n in range(10)]).close()
    with pytest.raises(ArchiveError, match="more than 10 members"):
        opened(tmp_path, *[member(f"{n}.json") for n in range(11)])


def test_many_members_are_listed_fast(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    with open(path, "wb") as file:
        for number in range(50_000):
            file.write(tar_headers.encode(f"{number:064x}.json", 0))
    begun = time.monotonic()
    Tar(os.open(path, os.O_RDONLY), "the archive").close()
    # Half a second; the rest is for a machine that is busy with other things.
    assert time.monotonic() - begun < 60


def test_what_is_cut_short_is_refused(tmp_path: pathlib.Path) -> None:
    whole = member("a.json", b"x" * 1000) + member("b.json", b"y" * 1000)
    path = tmp_path / "a.tar"
    ends = {*range(1, len(whole), 97), 511, 512, 1511, 1512, 1513, 1535, 1536, 1537, 3047, 3048, 3071}
    for end in sorted(ends):
        path.write_bytes(whole[:end])
        # Only the padding of the last file may be missing.
        if 1512 <= end <= 1536 or end >= 3048:
            Tar(os.open(path, os.O_RDONLY), "the archive").close()
        else:
            with pytest.raises(ArchiveError):
                Tar(os.open(path, os.O_RDONLY), "the archive")


def test_what_follows_the_end_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchiveError, match="follows the end"):
        opened(tmp_path, member("a.json", b"1"), bytes(512), member("manifest.json", b"2"))
    # Behind two blocks of zeros nobody looks.
    tar = opened(tmp_path, member("a.json", b"1"), bytes(1024), member("manifest.json", b"2"))
    assert "manifest.json" not in tar
    tar.close()


@pytest.mark.parametrize("data", [b"hello world" * 100, b"\x7fELF" + bytes(600), b"short", os.urandom(2000)])
def test_what_is_no_tar(tmp_path: pathlib.Path, data: bytes) -> None:
    with pytest.raises(ArchiveError, match="no tar archive|cut short"):
        opened(tmp_path, data, end=b"")


def test_large_files_are_not_read_whole(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, member("manifest.json", b"x" * 2000))
    with pytest.raises(ArchiveError, match="more than the 1000 allowed"):
        tar.read("manifest.json", 1000)
    tar.close()


def test_members_beyond_8_gib(tmp_path: pathlib.Path) -> None:
    path, size = tmp_path / "large.tar", 9 * 1024**3 + 5
    head, name = tar_headers.encode("blobs/sha256/" + "a" * 64, size), "blobs/sha256/" + "a" * 64
    with open(path, "wb") as file:
        file.write(head)
        # A hole: takes no space on the disk.
        file.seek(len(head) + size - 3)
        file.write(b"end")
        file.seek(len(head) + tar_headers.padded(size))
        file.write(tar_headers.encode("index.json", 2) + b"{}" + bytes(510) + tar_headers.END)
    tar = Tar(os.open(path, os.O_RDONLY), "the archive")
    assert tar.read("index.json", 10) == b"{}"
    assert tar.stream(tar.member(name), size - 3).read(100) == b"end"
    tar.close()
    with tarfile.open(path) as theirs:
        assert [(one.name, one.size) for one in theirs] == [(name, size), ("index.json", 2)]


def test_threads_read_at_once(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, *[member(f"{n}.json", bytes([n]) * 5000) for n in range(20)])
    wrong: list[int] = []

    def read(number: int) -> None:
        stream = tar.stream(tar.member(f"{number}.json"))
        data = b""
        while True:
            part = stream.read(100)
            if not part:
                break
            data += part
        if data != bytes([number]) * 5000:
            wrong.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    tar.close()
    with pytest.raises(StorageError, match="closed"):
        tar.read("1.json", 9000)


def test_an_archive_that_shrinks_is_noticed(tmp_path: pathlib.Path) -> None:
    tar = opened(tmp_path, member("a.json", b"x" * 5000))
    os.truncate(tmp_path / "a.tar", 1000)
    with pytest.raises(ArchiveError, match="shorter"):
        tar.read("a.json", 9000)
    stream = tar.stream(tar.member("a.json"))
    with pytest.raises(ArchiveError, match="shorter"):
        while stream.read(100):
            pass
    tar.close()
