# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing tar archives from several threads, whole or not at all."""

from __future__ import annotations

import os
import pathlib
import stat
import tarfile
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import StorageError
from ansible_collections.longshore.oci.plugins.module_utils.transports import files, tar_headers
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_writer import TarWriter


def listing(path: pathlib.Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {}
        for one in tar:
            data = tar.extractfile(one)
            assert data is not None
            found[one.name] = data.read()
        return found


def test_threads_write_at_once(tmp_path: pathlib.Path) -> None:
    writer = TarWriter(str(tmp_path / "a.tar"))
    contents = {f"blobs/{number}": os.urandom(number * 7919 % 100_000) for number in range(40)}

    def write(name: str, data: bytes) -> None:
        slot = writer.reserve(name, len(data))
        for begin in range(0, len(data), 5000):
            writer.write(slot, begin, data[begin : begin + 5000])

    threads = [threading.Thread(target=write, args=one) for one in contents.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.finish()
    assert listing(tmp_path / "a.tar") == contents
    assert os.listdir(tmp_path) == ["a.tar"]


def test_the_same_files_make_the_same_bytes(tmp_path: pathlib.Path) -> None:
    for name in ("a.tar", "b.tar"):
        writer = TarWriter(str(tmp_path / name))
        writer.add("index.json", b"{}" * 300)
        writer.add("blobs/sha512/" + "a" * 128, b"x")
        writer.finish()
        time.sleep(0.02)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(one.mode, one.uid, one.gid, one.mtime, one.uname) for one in tar} == {(0o444, 0, 0, 0, "")}


def test_nothing_exists_before_and_after_an_abort(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"old")
    writer = TarWriter(str(path))
    assert os.listdir(tmp_path) == ["a.tar"] and not writer.is_begun
    writer.add("x", b"1")
    (temporary,) = (name for name in os.listdir(tmp_path) if name.startswith(files.PREFIX))
    assert stat.S_IMODE(os.stat(tmp_path / temporary).st_mode) == 0o600
    writer.abort()
    writer.abort()
    assert os.listdir(tmp_path) == ["a.tar"] and path.read_bytes() == b"old"
    for call in (lambda: writer.add("y", b"2"), writer.finish):
        with pytest.raises(StorageError, match="given up"):
            call()


def test_an_abort_waits_for_those_who_write(tmp_path: pathlib.Path) -> None:
    writer = TarWriter(str(tmp_path / "a.tar"))
    slot = writer.reserve("x", 1 << 26)
    errors: list[Exception] = []

    def write() -> None:
        try:
            for begin in range(0, slot.size, 1 << 16):
                writer.write(slot, begin, bytes(1 << 16))
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=write) for unused in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    writer.abort()
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == []
    assert all(isinstance(one, StorageError) for one in errors)


def test_modes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "umask", lambda: 0o027)
    path = tmp_path / "a.tar"
    for mode, expected in ((None, 0o640), (0o604, 0o604), (0o4755, 0o755)):
        if mode is not None:
            path.chmod(mode)
        writer = TarWriter(str(path))
        writer.add("x", b"1")
        writer.finish()
        assert stat.S_IMODE(path.stat().st_mode) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"")
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    writer = TarWriter(str(path))
    writer.add("x", b"1")
    writer.finish()
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o640)


def test_a_group_that_cannot_be_kept_loses_its_rights(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"")
    path.chmod(0o664)

    def refuse(*unused: object) -> None:
        raise PermissionError

    old = os.lstat
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "lstat", lambda name: os.stat_result((*old(name)[:5], 77, *old(name)[6:])))
    writer = TarWriter(str(path))
    writer.add("x", b"1")
    writer.finish()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_slot_is_no_longer_than_was_said(tmp_path: pathlib.Path) -> None:
    writer = TarWriter(str(tmp_path / "a.tar"))
    slot = writer.reserve("x", 10)
    with pytest.raises(StorageError, match="longer"):
        writer.write(slot, 5, b"123456")
    writer.abort()


@pytest.mark.parametrize("in_kernel", [True, False])
def test_copies(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool) -> None:
    if not in_kernel:

        def refuse(*unused: object) -> int:
            raise OSError(18, "cross-device")

        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    data = os.urandom(700_000)
    (tmp_path / "source").write_bytes(b"front" + data + b"back")
    writer = TarWriter(str(tmp_path / "a.tar"))
    writer.add("first", b"1")
    source = os.open(tmp_path / "source", os.O_RDONLY)
    writer.copy(writer.reserve("x", len(data)), source, 5)
    with pytest.raises(StorageError, match="shorter"):
        writer.copy(writer.reserve("y", 100), source, 700_000)
    writer.finish()
    os.close(source)
    assert listing(tmp_path / "a.tar")["x"] == data


def test_beyond_8_gib(tmp_path: pathlib.Path) -> None:
    writer = TarWriter(str(tmp_path / "a.tar"))
    size = 9 * 1024**3 + 1
    slot = writer.reserve("blobs/sha256/" + "a" * 64, size)
    writer.write(slot, size - 3, b"end")
    after = writer.add("index.json", b"{}")
    assert after.offset == slot.offset + tar_headers.padded(size) + 512
    assert writer.read(after) == b"{}"
    writer.finish()
    with tarfile.open(tmp_path / "a.tar") as tar:
        first, second = tar.getmembers()
        assert (first.size, second.name) == (size, "index.json")
    assert os.stat(tmp_path / "a.tar").st_blocks * 512 < 1024**2


def test_stale_files_of_killed_runs_go(tmp_path: pathlib.Path) -> None:
    for name, age in ((".longshore-old", files.STALE + 60), (".longshore-young", 60), ("other-old", files.STALE + 60)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    writer = TarWriter(str(tmp_path / "a.tar"))
    writer.add("x", b"1")
    writer.finish()
    assert sorted(os.listdir(tmp_path)) == [".longshore-young", "a.tar", "other-old"]


def test_a_missing_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StorageError, match="no such file or directory"):
        TarWriter(str(tmp_path / "no" / "a.tar")).add("x", b"1")


def test_a_link_at_the_path_is_replaced_and_not_written_through(tmp_path: pathlib.Path) -> None:
    (tmp_path / "victim").write_bytes(b"victim")
    os.symlink(tmp_path / "victim", tmp_path / "a.tar")
    writer = TarWriter(str(tmp_path / "a.tar"))
    writer.add("x", b"1")
    writer.finish()
    assert (tmp_path / "victim").read_bytes() == b"victim"
    assert not os.path.islink(tmp_path / "a.tar")
