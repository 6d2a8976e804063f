# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file as a registry sees it: whole at every moment, newer after every change, and nobody's change lost."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading

import bcrypt
import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    Cancelled,
    InvalidInput,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations import htpasswd_file
from ansible_collections.longshore.oci.plugins.module_utils.operations.htpasswd import User
from ansible_collections.longshore.oci.plugins.module_utils.operations.htpasswd_file import Wish, manage

HASH = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
ALICE = User("alice", hash=HASH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "htpasswd"


def wish(path, *users, **more):
    return Wish(str(path), users, **{"rounds": 4, **more})


def test_a_new_file_is_for_its_owner_alone(path):
    outcome = manage(wish(path, ALICE))
    assert (outcome.changed, outcome.existed, outcome.names) == (True, False, ["alice"])
    assert path.read_text() == f"alice:{HASH}\n"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(path.parent) == ["htpasswd"]


def test_nothing_to_do_touches_nothing(path):
    manage(wish(path, ALICE))
    before = path.stat()
    assert not manage(wish(path, ALICE)).changed
    assert not manage(wish(path, User("bob", present=False))).changed
    assert path.stat() == before


def test_check_mode_tells_and_leaves_alone(path):
    said = manage(wish(path, ALICE), check_mode=True)
    assert os.listdir(path.parent) == []
    assert said == manage(wish(path, ALICE))
    before = path.stat()
    bob = User("bob", password="secret")
    said = manage(wish(path, bob, purge=True), check_mode=True)
    assert path.stat() == before
    assert said == manage(wish(path, bob, purge=True))
    assert said.result == [
        {"name": "bob", "change": "added", "reason": "new"},
        {"name": "alice", "change": "removed", "reason": "unlisted"},
    ]


def test_owner_and_mode_stay(path):
    path.write_text("")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    manage(wish(path, ALICE))
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_every_change_makes_it_newer(path):
    # Registries read the file again only if its time has moved, be it in the same moment or after a clock went back.
    seen = []
    for number in range(5):
        manage(wish(path, User(f"user{number}", hash=HASH)))
        seen.append(path.stat().st_mtime_ns)
    future = 4_000_000_000 * 10**9
    os.utime(path, ns=(future, future))
    manage(wish(path, User("late", hash=HASH)))
    seen += [future, path.stat().st_mtime_ns]
    assert sorted(set(seen)) == seen


@pytest.mark.parametrize("granularity", [10**9, 2 * 10**9])
def test_where_times_are_kept_in_seconds(path, monkeypatch, granularity):
    true_utime = os.utime

    def coarse(name, ns, **options):
        true_utime(name, ns=tuple(one - one % granularity for one in ns), **options)

    monkeypatch.setattr(os, "utime", coarse)
    seen = []
    for number in range(4):
        manage(wish(path, User(f"user{number}", hash=HASH)))
        seen.append(path.stat().st_mtime_ns)
    assert sorted(set(seen)) == seen
    assert all(one % granularity == 0 for one in seen)


def test_a_link_is_followed_and_stays(path, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    path.symlink_to("real/users")
    assert manage(wish(path, ALICE)).path == str(real / "users")
    assert path.is_symlink()
    assert os.listdir(real) == ["users"]
    assert not manage(wish(path, ALICE)).changed


def test_what_is_refused_before_anything_happens(path, tmp_path):
    cases = [
        (wish(tmp_path, ALICE), "is a directory: name the file in it"),
        (wish(path, ALICE, rounds=3), "rounds must be 4 to 16, not 3"),
        (wish(path, ALICE, rounds=17), "rounds must be 4 to 16"),
        (wish(path, purge=True), "would lock everybody out"),
        (wish(path, ALICE, create=False), "does not exist, and create is false"),
        (wish(tmp_path / "no" / "file", ALICE), "directory .* does not exist: create it first"),
    ]
    os.mkfifo(tmp_path / "fifo")
    cases.append((wish(tmp_path / "fifo", ALICE), "not a regular file"))
    for one, words in cases:
        with pytest.raises(InvalidInput, match=words):
            manage(one)
    assert os.listdir(tmp_path) == ["fifo"]
    (tmp_path / "large").write_bytes(b"#" * (htpasswd_file.LIMIT + 1))
    with pytest.raises(ArchiveError, match="more than"):
        manage(wish(tmp_path / "large", ALICE))


def test_nobody_to_remove_needs_no_file(path, tmp_path):
    gone = User("bob", present=False)
    assert not manage(wish(path, gone)).changed
    assert not manage(wish(path, gone, create=False)).changed
    assert not manage(wish(tmp_path / "no" / "file", gone)).changed
    assert os.listdir(tmp_path) == []


def test_a_directory_that_an_earlier_task_would_make(tmp_path):
    warnings = []
    outcome = manage(wish(tmp_path / "no" / "file", ALICE), True, warn=warnings.append)
    assert outcome.changed
    assert "does not exist" in warnings[0]


@pytest.mark.parametrize("broken", ["fsync", "replace", "utime"])
def test_what_fails_leaves_the_file_as_it_was(path, monkeypatch, broken):
    manage(wish(path, ALICE))
    before = (path.read_bytes(), path.stat())

    def fail(*unused, **nothing):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(StorageError, match=r"cannot (write|keep the owner and mode of) .*htpasswd: no space is left"):
        manage(wish(path, User("bob", hash=HASH)))
    assert (path.read_bytes(), path.stat()) == before
    assert os.listdir(path.parent) == ["htpasswd"]


def test_an_owner_that_cannot_be_kept(path, monkeypatch):
    manage(wish(path, ALICE))
    true_stat = os.stat

    def other_owner(name, **options):
        found = true_stat(name, **options)
        return os.stat_result([*found[:4], 54321, *found[5:]]) if str(name) == str(path) else found

    def refuse(*unused):
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "stat", other_owner)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(StorageError, match="cannot keep the owner and mode of .*: permission denied"):
        manage(wish(path, User("bob", hash=HASH)))
    assert path.read_text() == f"alice:{HASH}\n"
    assert os.listdir(path.parent) == ["htpasswd"]


class Attributes:
    """Notes what is asked of it; ``refuse``: fail when asked for that."""

    def __init__(self, refuse=""):
        self.asked = []
        self._refuse = refuse

    def _note(self, what):
        self.asked.append(what)
        if what == self._refuse:
            raise SystemExit(1)
        return True

    def settle(self):
        return self._note("settle")

    def prepare(self, path):
        assert os.stat(path).st_size > 0
        self._note("prepare")

    def finish(self):
        return self._note("finish")


def test_attributes_come_before_the_change(path):
    attributes = Attributes()
    assert manage(wish(path, ALICE), True, attributes).changed
    assert attributes.asked == [], "there is no file yet"
    with pytest.raises(SystemExit):
        manage(wish(path, ALICE), False, Attributes("prepare"))
    assert os.listdir(path.parent) == []
    manage(wish(path, ALICE), False, attributes)
    assert attributes.asked == ["prepare", "finish"]
    for check_mode in (True, False):
        attributes = Attributes()
        outcome = manage(wish(path, ALICE), check_mode, attributes)
        assert (outcome.changed, outcome.changes, attributes.asked) == (True, [], ["settle", "finish"])
    with pytest.raises(SystemExit):
        manage(wish(path, User("bob", hash=HASH)), False, Attributes("settle"))
    assert "bob" not in path.read_text()


def test_what_a_killed_run_left_goes_with_the_next_change(path):
    manage(wish(path, ALICE))
    left = path.parent / f".longshore-htpasswd-{'0' * 16}"
    other = path.parent / f".longshore-htpasswd-b-{'0' * 16}"
    for one in (left, other):
        one.write_text("half")
    manage(wish(path, User("bob", hash=HASH)))
    assert not left.exists()
    assert other.exists(), "that belongs to another file"


def test_tasks_take_turns(path):
    def add(number):
        manage(wish(path, User(f"user{number}", hash=HASH)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line.partition(":")[0] for line in path.read_text().splitlines()) == sorted(
        f"user{number}" for number in range(20)
    )
    assert os.listdir(path.parent) == ["htpasswd"]


HOLDER = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print(1, flush=True); input()"


def test_a_lock_held_by_another_process(path, monkeypatch):
    monkeypatch.setattr(htpasswd_file, "_PATIENCE", 0.1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path.parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        holder.stdout.readline()
        with pytest.raises(StorageError, match="has held the lock .* for too long"):
            manage(wish(path, ALICE))
        stop = threading.Event()
        stop.set()
        with pytest.raises(Cancelled):
            manage(wish(path, ALICE), stop=stop)
        assert manage(wish(path, ALICE), check_mode=True).changed, "looking needs no lock"
    finally:
        holder.communicate(b"\n")
    assert manage(wish(path, ALICE)).changed


def test_where_directories_cannot_be_locked(path, monkeypatch):
    true_flock = fcntl.flock

    def no_directories(handle, operation):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EBADF, "no")
        true_flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", no_directories)
    assert manage(wish(path, ALICE)).changed
    assert sorted(os.listdir(path.parent)) == [".htpasswd.lock", "htpasswd"]
