# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An htpasswd file changed while a registry reads it: under a lock, whole or not at all, and so that it is noticed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..model.errors import Cancelled, InvalidInput, NotFound, StorageError
from ..model.text import sanitise
from ..transports import files
from . import bcrypt_hash, htpasswd
from .htpasswd import Change, Htpasswd, User

#: Largest file that is read, in bytes: some ten thousand users.
LIMIT = 8 * 1024 * 1024
#: Of a file that is new: it holds what passwords can be guessed from.
MODE = 0o600
_PATIENCE = 120.0
_PAUSE = 0.02
# File systems on which a directory cannot be locked, such as NFS.
_NO_DIRECTORY_LOCKS = frozenset((errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP))


class Attributes(Protocol):
    """Owner, mode and the like, as somebody wants them for the file."""

    def settle(self) -> bool:
        """Set right the file that is there, or in check mode just look. Whether anything differed."""

    def prepare(self, path: str) -> None:
        """Set right a new file, before it gets its name."""

    def finish(self) -> bool:
        """Set what can only be set once the file is in its place. Whether it differed."""


@dataclass(frozen=True)
class Wish:
    """What a task wants of the file at ``path``. ``rounds``: the cost of new hashes. ``create``: make it if it is missing."""

    path: str
    users: Sequence[User]
    purge: bool = False
    rounds: int = 10
    create: bool = True


@dataclass
class Outcome:
    """``path`` is where the file really is, ``names`` who is in it afterwards; ``existed``: the file was there before."""

    path: str
    existed: bool
    names: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    #: Owner, mode or the like of a file that was there were not as they should be.
    differed: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything is another than before."""
        return bool(self.changes) or self.differed

    @property
    def result(self) -> list[dict[str, Any]]:
        """The changes as plain values."""
        return [{"name": one.name, "change": one.what, "reason": one.why} for one in self.changes]


def real_path(path: str) -> str:
    """Where the file is: a symbolic link leads to the file that is changed, and stays. Raises InvalidInput."""
    place = os.path.realpath(path)
    try:
        status = os.stat(place)
    except OSError:
        return place
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory: name the file in it" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise InvalidInput(f"{sanitise(path, 300)} is {kind}")
    return place


def manage(
    wish: Wish,
    check_mode: bool = False,
    attributes: Attributes | None = None,
    stop: threading.Event | None = None,
    warn: Callable[[str], None] | None = None,
) -> Outcome:
    """Have the users of ``wish`` in its file, or tell in check mode what that would change.

    A file that is there keeps its owner, group, mode and extended attributes, unless ``attributes`` wants others. Raises
    InvalidInput, StorageError, MissingRequirement, Cancelled; then nobody in the file has changed.
    """
    htpasswd.check(wish.users)
    if wish.rounds not in bcrypt_hash.COSTS:
        first, last = bcrypt_hash.COSTS[0], bcrypt_hash.COSTS[-1]
        raise InvalidInput(f"rounds must be {first} to {last}, not {wish.rounds}: every request to a registry costs so much")
    if wish.purge and not wish.users:
        raise InvalidInput("purge with an empty list of users would lock everybody out; list who is to stay")
    path = real_path(wish.path)
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        message = f"the directory {sanitise(directory, 300)} does not exist"
        if any(user.present for user in wish.users) and not check_mode:
            raise InvalidInput(f"{message}: create it first")
        if any(user.present for user in wish.users) and warn is not None:
            # It may be what an earlier task makes, which check mode has not let it.
            warn(f"{message}; without check mode that is an error unless it is created before")
        return _planned(path, wish, stop)[1]
    if check_mode:
        outcome = _planned(path, wish, stop)[1]
        if attributes is not None and outcome.existed:
            outcome.differed = any([attributes.settle(), attributes.finish()])
        return outcome
    with _locked(path, stop):
        content, outcome = _planned(path, wish, stop)
        data = htpasswd.carried_out(content, outcome.changes, wish.rounds, stop) if outcome.changes else None
        if attributes is not None and outcome.existed:
            outcome.differed = attributes.settle()
        if data is not None:
            _remove_leftovers(path)
            _replace(path, data, attributes)
        if attributes is not None and (outcome.existed or data is not None):
            outcome.differed = attributes.finish() or outcome.differed
    return outcome


def _planned(path: str, wish: Wish, stop: threading.Event | None) -> tuple[Htpasswd, Outcome]:
    try:
        content = Htpasswd(files.read_file(path, LIMIT, "the htpasswd file"), path)
        existed = True
    except NotFound:
        content = Htpasswd(b"", path)
        existed = False
    changes = htpasswd.plan(content, wish.users, wish.purge, wish.rounds, stop)
    if not existed and changes and not wish.create:
        raise InvalidInput(f"{sanitise(path, 300)} does not exist, and create is false")
    before, after = htpasswd.difference(content, changes)
    return content, Outcome(path, existed, htpasswd.after(content, changes), changes, before, after)


def _replace(path: str, data: bytes, attributes: Attributes | None) -> None:
    temporary = f"{_temporary_prefix(path)}{secrets.token_hex(8)}"
    try:
        with files.explained("write", path):
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            old = _status(path)
        if old is not None:
            _take_over(path, old, temporary)
        elif attributes is not None:
            attributes.prepare(temporary)
        with files.explained("write", path):
            _make_newer(temporary, 0 if old is None else old.st_mtime_ns)
            _flush(temporary)
            os.replace(temporary, path)
    except BaseException:
        files.remove(temporary)
        raise
    files.sync_directory(os.path.dirname(path))


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _take_over(path: str, old: os.stat_result, temporary: str) -> None:
    # Owner first: a change of owner may take bits of the mode away. copystat brings mode, labels and access lists.
    with files.explained("keep the owner and mode of", path):
        new = os.stat(temporary)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            os.chown(temporary, old.st_uid, old.st_gid)
        shutil.copystat(path, temporary)


def _make_newer(temporary: str, old: int) -> None:
    """Give the file a time of change after ``old`` (ns): a registry reads the file anew only when that has moved."""
    wanted = max(time.time_ns(), old + 1000)
    # Where the file system counts in whole seconds, or in two, as some do, the next one has to come.
    for more in (0, 1_000_000_000, 2_000_000_000):
        os.utime(temporary, ns=(wanted + more, wanted + more))
        if os.stat(temporary).st_mtime_ns > old:
            return
    raise OSError(errno.ENOTSUP, "the time of change cannot be set")


def _flush(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_prefix(path: str) -> str:
    return os.path.join(os.path.dirname(path), f"{files.PREFIX}{os.path.basename(path)}-")


def _remove_leftovers(path: str) -> None:
    # Under the lock nobody else is writing: what is there was left by a run that was killed.
    directory, prefix = os.path.split(_temporary_prefix(path))
    shape = re.compile(re.escape(prefix) + "[0-9a-f]{16}")
    with files.explained("read", directory):
        names = os.listdir(directory)
    for name in names:
        if shape.fullmatch(name):
            files.remove(os.path.join(directory, name))


@contextmanager
def _locked(path: str, stop: threading.Event | None) -> Iterator[None]:
    """Hold the directory of ``path``, so that tasks which change a file in it take turns; nothing is left of the lock.

    The file itself would not do: it may not be there yet, and an empty one lets nobody in.
    """
    directory = os.path.dirname(path)
    with files.explained("lock", directory):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _wait_for(handle, directory, stop):
            yield
        else:
            # A lock file, which stays: to remove it would let two in at once.
            with files.locked(os.path.join(directory, f".{os.path.basename(path)}.lock"), _PATIENCE):
                yield
    finally:
        os.close(handle)


def _wait_for(handle: int, directory: str, stop: threading.Event | None) -> bool:
    """Lock the directory; False where the file system cannot. Raises StorageError, Cancelled."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StorageError(f"another process has held the lock on {sanitise(directory, 300)} for too long") from None
        except OSError as exc:
            if exc.errno in _NO_DIRECTORY_LOCKS:
                return False
            raise files.failure(exc, "lock", directory) from exc
        if stop is not None and stop.is_set():
            raise Cancelled("the task was told to stop")
        time.sleep(_PAUSE)
