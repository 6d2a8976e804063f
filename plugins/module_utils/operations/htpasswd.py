# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users in an htpasswd file: which there are, and what has to change (distribution's registry/auth/htpasswd)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..model.errors import InvalidInput
from ..model.text import sanitise
from . import bcrypt_hash
from .concurrently import each

ADDED, CHANGED, REMOVED = "added", "changed", "removed"
_ABSENT, _THERE = "absent", "present"

#: What the registry takes off both ends of a line (Go's unicode.IsSpace).
_BLANKS = " \t\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
#: Bytes of a line that the registry cannot read any more, and refuses everybody for.
_LONGEST_LINE = 64 * 1024
_LONGEST_NAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class User:
    """What a task wants of one user. Present: with a ``password``, or with a ``hash`` made elsewhere."""

    name: str
    present: bool = True
    password: str | None = field(default=None, repr=False)
    hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Change:
    """``what`` happens to the user ``name``, and ``why``: new, password, rounds, duplicates, absent or unlisted."""

    name: str
    what: str
    why: str
    #: What the entry becomes is made of: the user as wanted; None where it goes.
    user: User | None = None


def check(users: Sequence[User]) -> None:
    """Raise InvalidInput for users that no htpasswd file can hold, or that are named twice."""
    seen: set[str] = set()
    for user in users:
        shown = sanitise(user.name, 80)
        if not user.name:
            raise InvalidInput("a user has an empty name")
        if ":" in user.name or _CONTROL.search(user.name):
            raise InvalidInput(f"user '{shown}': a name must not hold ':', line breaks or other control characters")
        if user.name[0] == "#" or user.name[0] in _BLANKS or user.name[-1] in _BLANKS:
            raise InvalidInput(f"user '{shown}': a name must not begin with '#', nor begin or end with a blank")
        if len(user.name.encode("utf-8")) > _LONGEST_NAME:
            raise InvalidInput(f"user '{shown}': a name of more than {_LONGEST_NAME} bytes")
        if user.name in seen:
            raise InvalidInput(f"user '{shown}' is listed twice")
        seen.add(user.name)
        if user.present:
            _check_secret(user, f"user '{shown}'")


def _check_secret(user: User, whose: str) -> None:
    if user.password and user.hash:
        raise InvalidInput(f"{whose}: give password or hash, not both")
    if user.hash:
        if not bcrypt_hash.is_hash(user.hash):
            raise InvalidInput(f"{whose}: the hash is not one of bcrypt ($2y$...), and registries take no other")
    elif user.password is None:
        raise InvalidInput(f"{whose}: give the password, or a bcrypt hash of it; neither may be empty")
    else:
        bcrypt_hash.check_password(user.password, whose)


class Htpasswd:
    """The lines of a file, as they are. ``name`` is the file's, for messages. Raises InvalidInput for a broken line."""

    def __init__(self, data: bytes, name: str) -> None:
        # What is no UTF-8 comes back byte for byte.
        self._lines = data.decode("utf-8", "surrogateescape").split("\n")
        self._places: dict[str, list[int]] = {}
        for number, line in enumerate(self._lines):
            text = line.strip(_BLANKS)
            if not text or text[0] == "#":
                continue
            user, colon, unused = text.partition(":")
            if not colon or len(line.encode("utf-8", "surrogateescape")) >= _LONGEST_LINE:
                why = "has no ':'" if not colon else "is too long"
                raise InvalidInput(
                    f"line {number + 1} of {sanitise(name, 300)} {why}: the registry refuses everybody because of it."
                    " Mend it or take it out"
                )
            self._places.setdefault(user, []).append(number)

    @property
    def users(self) -> list[str]:
        """The names, in the order of their last lines, which are those that count."""
        return sorted(self._places, key=lambda name: self._places[name][-1])

    def hash_of(self, name: str) -> str | None:
        """What the registry compares a password with; None for a user that is not there."""
        places = self._places.get(name)
        return self._lines[places[-1]].strip(_BLANKS).partition(":")[2] if places else None

    def is_doubled(self, name: str) -> bool:
        """Whether a user has more than one line."""
        return len(self._places.get(name, ())) > 1

    def changed(self, entries: dict[str, str | None]) -> bytes:
        """The bytes of the file with these users' entries: a hash, or None for none. All else stays as it is and where it is."""
        gone: set[int] = set()
        lines = list(self._lines)
        added: list[str] = []
        for name, entry in entries.items():
            places = self._places.get(name, [])
            gone.update(places if entry is None else places[:-1])
            if entry is not None and places:
                lines[places[-1]] = f"{name}:{entry}"
            elif entry is not None:
                added.append(f"{name}:{entry}")
        kept = [line for number, line in enumerate(lines) if number not in gone]
        # An empty last piece is what a file ends with whose last line is complete.
        if kept and not kept[-1]:
            kept.pop()
        return "".join(f"{line}\n" for line in [*kept, *added]).encode("utf-8", "surrogateescape")


def plan(
    content: Htpasswd, users: Sequence[User], purge: bool, rounds: int, stop: threading.Event | None = None
) -> list[Change]:
    """What has to change so that ``content`` is as ``users`` want it; with ``purge`` nobody else stays.

    ``rounds``: the cost that the hash of a password must have. Passwords are compared on all processors at once: each
    costs as long as a request to the registry does. Raises MissingRequirement, Cancelled.
    """

    def change(user: User) -> Change | None:
        found = content.hash_of(user.name)
        if not user.present:
            return None if found is None else Change(user.name, REMOVED, "absent")
        if found is None:
            return Change(user.name, ADDED, "new", user)
        why = _why(user, found, rounds) or ("duplicates" if content.is_doubled(user.name) else "")
        return Change(user.name, CHANGED, why, user) if why else None

    changes = [one for one in each(change, users, os.cpu_count() or 1, stop) if one is not None]
    if purge:
        listed = {user.name for user in users}
        changes += [Change(name, REMOVED, "unlisted") for name in content.users if name not in listed]
    return changes


def _why(user: User, found: str, rounds: int) -> str:
    if user.hash is not None:
        return "password" if found != user.hash else ""
    if not bcrypt_hash.is_hash(found):
        return "password"
    # Not compared where it is made anew anyway: at a cost of 31 that would take days.
    if bcrypt_hash.cost_of(found) != rounds:
        return "rounds"
    return "" if bcrypt_hash.matches(user.password or "", found) else "password"


def carried_out(
    content: Htpasswd, changes: Iterable[Change], rounds: int, stop: threading.Event | None = None
) -> bytes:
    """The bytes of the file with the changes made."""

    def entry(change: Change) -> str | None:
        if change.user is None:
            return None
        if change.why == "duplicates":
            return content.hash_of(change.name)
        return change.user.hash or bcrypt_hash.make(change.user.password or "", rounds)

    changes = list(changes)
    return content.changed(dict(zip([one.name for one in changes], each(entry, changes, os.cpu_count() or 1, stop))))


def after(content: Htpasswd, changes: Iterable[Change]) -> list[str]:
    """The names in the file once the changes are made."""
    changes = list(changes)
    gone = {one.name for one in changes if one.what == REMOVED}
    return [name for name in content.users if name not in gone] + [one.name for one in changes if one.what == ADDED]


def difference(content: Htpasswd, changes: Iterable[Change]) -> tuple[dict[str, str], dict[str, str]]:
    """Each user that changes, before and after, in words: no hash is in it."""
    before: dict[str, str] = {}
    later: dict[str, str] = {}
    words = {"password": "password changed", "rounds": "hash of another cost", "duplicates": "one line only"}
    for one in changes:
        before[one.name] = _ABSENT if one.what == ADDED else _THERE
        later[one.name] = {ADDED: _THERE, REMOVED: _ABSENT}.get(one.what) or f"{_THERE}, {words[one.why]}"
    return before, later
