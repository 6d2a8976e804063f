# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local files: whole or not at all, never through links, errors in one sentence (S13, S21)."""

from __future__ import annotations

import errno
import io
import os
import resource
import stat
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    DigestMismatch,
    NotFound,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports import files


def test_a_file_appears_whole_and_readable(tmp_path):
    path = tmp_path / "file"
    with files.NewFile(str(path)) as file:
        (temporary,) = os.listdir(tmp_path)
        assert temporary.startswith(".longshore-")
        assert stat.S_IMODE(os.stat(tmp_path / temporary).st_mode) == 0o600
        file.write(b"one")
        file.write(b"two")
        assert not path.exists()
        file.keep()
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~files.umask()


def test_the_mask_of_the_process_holds_for_files(tmp_path):
    code = (
        "import os; os.umask(0o027)\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.transports import files\n"
        f"files.write_file({str(tmp_path / 'file')!r}, b'x')\n"
        "assert os.umask(0) == 0o027\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_the_former_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"former")
    wrong = VerifyingReader(io.BytesIO(b"wrong"), Digest.of(b"right"), 5)
    with pytest.raises(DigestMismatch):
        files.write_stream(str(path), wrong)
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_in_place_of_the_file_is_replaced_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"untouched")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    files.write_file(str(tmp_path / "file"), b"new")
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("kind", ["link", "broken link", "directory", "fifo", "socket"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "broken link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    with pytest.raises(ArchiveError):
        files.FileStream(str(path), "blob")
    with pytest.raises(ArchiveError):
        files.read_file(str(path), 100, "index.json")
    assert files.regular_size(str(path)) is None


def test_what_is_missing_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"^index.json of oci:/x does not exist"):
        files.read_file(str(tmp_path / "none"), 100, "index.json of oci:/x")
    assert files.regular_size(str(tmp_path / "none")) is None
    assert files.listed(str(tmp_path / "none")) == []
    files.remove(str(tmp_path / "none"))


def test_small_files_are_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read_file(str(tmp_path / "file"), 5, "x") == b"12345"
    with pytest.raises(ArchiveError, match="5 bytes, more than the 4"):
        files.read_file(str(tmp_path / "file"), 4, "x")


def test_a_stream_begins_at_its_offset_and_ends(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    stream = files.FileStream(str(tmp_path / "file"), "blob", 4)
    assert stream.size == 10
    assert [stream.read(4), stream.read(4), stream.read(4)] == [b"4567", b"89", b""]
    stream.close()
    stream.close()
    with pytest.raises(StorageError, match="closed"):
        stream.read(1)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.ENOTDIR, "not a directory"),
        (errno.EISDIR, "is a directory"),
        (errno.EIO, "device"),
    ],
)
def test_errors_are_one_sentence(number, words):
    error = files.failure(OSError(number, "whatever"), "write", "/some/path")
    assert error.message.startswith("cannot write /some/path: ") and words in error.message


def test_an_unlisted_error_keeps_its_own_words():
    assert files.failure(OSError(errno.EXDEV, "Invalid link"), "write", "/p").message == "cannot write /p: Invalid link"


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"former")
    code = (
        "import io, resource, sys\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.transports import files\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.model.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        f"    files.write_stream({str(path)!r}, io.BytesIO(bytes(1_000_000)))\n"
        "except StorageError as exc:\n"
        "    sys.exit(exc.message)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 1 and "file is larger than" in ended.stderr
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["file"]


def test_missing_space_is_told_with_both_numbers(tmp_path):
    files.need(str(tmp_path / "not" / "yet" / "there"), 1000)
    with pytest.raises(StorageError, match=r"not enough space on .*: 1050000.0 TB needed, [0-9.]+ \w+ free"):
        files.need(str(tmp_path / "not" / "yet" / "there"), 10**18)


def test_only_our_own_old_temporary_files_are_removed(tmp_path):
    for name, age in [(".longshore-old", 25), (".longshore-new", 1), ("old", 25), (".other-old", 25)]:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, times=(time.time() - age * 3600,) * 2)
    (tmp_path / ".longshore-directory").mkdir()
    os.utime(tmp_path / ".longshore-directory", times=(0, 0))
    files.remove_stale(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [".longshore-directory", ".longshore-new", ".other-old", "old"]
    assert sorted(files.listed(str(tmp_path))) == [".other-old", "old"]


def test_directories_are_made_and_named(tmp_path):
    path = str(tmp_path / "a" / "b")
    assert files.make_directories(path) == [str(tmp_path / "a"), path]
    assert files.make_directories(path) == []
    (tmp_path / "file").write_bytes(b"")
    for wrong in ("file", "file/below"):
        with pytest.raises(StorageError):
            files.make_directories(str(tmp_path / wrong))
    assert files.remove_empty(str(tmp_path / "a")) is False
    assert files.remove_empty(path) is True
    assert files.remove_empty(path) is True


def test_a_lock_is_held_by_one_thread_at_a_time(tmp_path):
    path = str(tmp_path / ".lock")
    inside = []

    def work():
        for unused in range(20):
            with files.locked(path):
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    failed = []

    def guarded():
        try:
            work()
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=guarded) for unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_lock_that_is_never_free_is_an_error(tmp_path):
    path = str(tmp_path / ".lock")
    with files.locked(path), pytest.raises(StorageError, match="another process"):
        with files.locked(path, patience=0.05):
            pass
    with files.locked(path, patience=0):
        pass


def test_a_lock_file_that_was_removed_meanwhile_is_made_anew(tmp_path):
    path = str(tmp_path / ".lock")
    held = threading.Event()
    waiting = threading.Event()
    order = []

    def first():
        with files.locked(path):
            held.set()
            waiting.wait(5)
            time.sleep(0.05)
            os.unlink(path)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(5)
    waiting.set()
    with files.locked(path):
        order.append("second")
        assert os.path.exists(path)
    thread.join()
    assert order == ["first", "second"]
