# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version constraints as the Go library Masterminds/semver v3 understands them, which skopeo uses.

They read like the ranges of `semver` and differ in detail: a version may have leading zeros, a prerelease matches any
comparator that names a prerelease itself, ``=1.2`` is ``~1.2``, and ``>1.2`` means 1.3 and later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.errors import InvalidInput
from ..model.text import sanitise
from .semver import Version

_REST = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?([0-9]{{1,18}})(?:\.([0-9]{{1,18}}))?(?:\.([0-9]{{1,18}}))?{_REST}")
_NUMBER = r"[0-9]{1,18}|[xX*]"
_PARTIAL = rf"v?(?:{_NUMBER})(?:\.(?:{_NUMBER}))?(?:\.(?:{_NUMBER}))?{_REST.replace('([', '(?:[')}"
_COMPARATOR = re.compile(
    rf"(=<|=>|<=|>=|!=|~>|=|<|>|~|\^)?\s*v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?{_REST}"
)
_HYPHEN = re.compile(rf"\s*({_PARTIAL})\s+-\s+({_PARTIAL})\s*")
_SAME = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}


def version(text: str) -> Version | None:
    """The version that ``text`` is: of one to three numbers, with or without ``v``. None if it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    identifiers = tuple(match.group(4).split(".")) if match.group(4) else ()
    if any(one.isdigit() and len(one) > 1 and one[0] == "0" for one in identifiers):
        return None
    major, minor, patch = (int(one or 0) for one in match.groups()[:3])
    return Version(major, minor, patch, identifiers)


@dataclass(frozen=True)
class _Comparator:
    operator: str
    to: Version
    #: How many numbers were given: fewer than three leave room.
    given: int

    def holds(self, found: Version) -> bool:
        if found.prerelease and not self.to.prerelease:
            return False
        return bool(getattr(self, _TESTS[self.operator])(found))

    def equal(self, found: Version) -> bool:
        return self.tilde(found) if self.given < 3 else found == self.to

    def unequal(self, found: Version) -> bool:
        if self.given == 3:
            return found != self.to
        if self.given == 0:
            # Said of 0.0.0, which a wildcard stands for here.
            return found != self.to
        return found.core[: self.given] != self.to.core[: self.given]

    def greater(self, found: Version) -> bool:
        if self.given in (0, 3):
            return found > self.to
        return found.core[: self.given] > self.to.core[: self.given]

    def less(self, found: Version) -> bool:
        return found < self.to

    def at_least(self, found: Version) -> bool:
        return found >= self.to

    def at_most(self, found: Version) -> bool:
        if self.given in (0, 3):
            return found <= self.to if self.given else found.major <= 0 and found.minor <= 0
        return found.core[: self.given] <= self.to.core[: self.given]

    def tilde(self, found: Version) -> bool:
        if found < self.to:
            return False
        if self.to.core == (0, 0, 0) and self.given in (0, 3):
            return True
        return found.core[: min(self.given, 2)] == self.to.core[: min(self.given, 2)]

    def caret(self, found: Version) -> bool:
        if found < self.to:
            return False
        if self.to.major > 0 or self.given == 1:
            return found.major == self.to.major
        if found.major > 0:
            return False
        if self.to.minor > 0 or self.given == 2:
            return found.minor == self.to.minor
        return found.core == self.to.core


_TESTS = {
    "=": "equal",
    "!=": "unequal",
    ">": "greater",
    "<": "less",
    ">=": "at_least",
    "<=": "at_most",
    "~": "tilde",
    "^": "caret",
}


class Constraints:
    """Alternatives separated by ``||``, each of comparators separated by commas or spaces. Raises InvalidInput."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._alternatives = [self._alternative(one) for one in text.split("||")]

    def check(self, tag: str) -> bool:
        """Whether ``tag`` is a version that one alternative admits."""
        found = version(tag)
        return found is not None and any(all(one.holds(found) for one in part) for part in self._alternatives)

    def _alternative(self, text: str) -> Sequence[_Comparator]:
        text = _HYPHEN.sub(r">=\1, <=\2", text)
        found = []
        position = 0
        while position < len(text):
            if text[position] in " \t,":
                position += 1
                continue
            match = _COMPARATOR.match(text, position)
            if match is None or (match.end() < len(text) and text[match.end()] not in " \t,"):
                raise self._invalid()
            position = match.end()
            found.append(_comparator(match))
        if not found:
            raise self._invalid()
        return found

    def _invalid(self) -> InvalidInput:
        return InvalidInput(f"'{sanitise(self._text, 120)}' is no version constraint, such as '>= 1.2, < 2' or '^1.2'")


def _comparator(match: re.Match[str]) -> _Comparator:
    operator = match.group(1) or ""
    numbers: list[int] = []
    for text in match.groups()[1:4]:
        if text is None or text in "xX*":
            break
        numbers.append(int(text))
    prerelease = tuple(match.group(5).split(".")) if match.group(5) else ()
    given = len(numbers)
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return _Comparator(_SAME.get(operator, operator), Version(major, minor, patch, prerelease), given)
