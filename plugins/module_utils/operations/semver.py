# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions in tags: ranges in the notation of npm and Helm, and an order in which 1.9 comes before 1.10.

A range is alternatives separated by ``||``; an alternative is comparators separated by spaces or commas, all of
which must hold: ``=1.2.3 !=1.2.3 >1.2 >=1.2 <2 <=2 ^1.2 ~1.4 1.x 1.2.* * 1.2``, and ``1.2 - 1.4`` (both ends included).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from ..model.errors import InvalidInput
from ..model.text import sanitise

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
# Tags cannot hold '+': build metadata never occurs there. Leading zeros make a date (2024.01), which has no range.
_VERSION = re.compile(rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
_PARTIAL = re.compile(
    rf"v?({_NUMBER}|[xX*])(?:\.({_NUMBER}|[xX*]))?(?:\.({_NUMBER}|[xX*]))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_OPERATORS = r">=|<=|!=|=|>|<|\^|~>?"
_COMPARATOR = re.compile(rf"({_OPERATORS})?(.*)")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_CHUNKS = re.compile(r"([0-9]+)")


@total_ordering
@dataclass(frozen=True)
class Version:
    """``major.minor.patch[-prerelease]``; numbers that a tag leaves out are 0."""

    major: int
    minor: int = 0
    patch: int = 0
    prerelease: tuple[str, ...] = ()

    @classmethod
    def parse(cls, tag: str) -> Version | None:
        """The version that ``tag`` is (``1.2.3``, ``v1.2``, ``1.2.3-rc.1``); None if it is none."""
        match = _VERSION.fullmatch(tag)
        if match is None:
            return None
        numbers = [int(one) for one in match.groups()[:3] if one is not None]
        prerelease = tuple(match.group(4).split(".")) if match.group(4) else ()
        return cls(*_three(numbers), prerelease)

    @property
    def core(self) -> tuple[int, int, int]:
        """The three numbers."""
        return (self.major, self.minor, self.patch)

    def _order(self) -> tuple[Any, ...]:
        # semver.org, item 11: a prerelease comes before its release; numeric identifiers before others.
        identifiers = tuple((0, int(one), "") if one.isdigit() else (1, 0, one) for one in self.prerelease)
        return (*self.core, not self.prerelease, identifiers)

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __hash__(self) -> int:
        return hash(self._order())


Test = Callable[[Version], bool]


@dataclass(frozen=True)
class _Alternative:
    tests: tuple[Test, ...]
    #: The numbers of comparators that name a prerelease: asking for 1.2.3-rc.1 admits other prereleases of 1.2.3.
    prereleases: frozenset[tuple[int, int, int]]

    def holds(self, version: Version, prereleases: bool) -> bool:
        if version.prerelease and not prereleases and version.core not in self.prereleases:
            return False
        return all(test(version) for test in self.tests)


class Range:
    """A parsed range. ``matches(tag)`` says whether a tag is a version within it."""

    def __init__(self, text: str, prereleases: bool = False) -> None:
        """``prereleases``: whether 1.2.3-rc.1 may match without being asked for. Raises InvalidInput."""
        self._text = text
        self._prereleases = prereleases
        self._alternatives = tuple(self._alternative(one.strip()) for one in text.split("||"))

    def matches(self, tag: str) -> bool:
        """Whether ``tag`` is a version in the range; False for a tag that is no version."""
        version = Version.parse(tag)
        return version is not None and any(one.holds(version, self._prereleases) for one in self._alternatives)

    def _alternative(self, text: str) -> _Alternative:
        if not text:
            raise self._invalid("an empty alternative")
        hyphen = _HYPHEN.fullmatch(text)
        words = [">=" + hyphen.group(1), "<=" + hyphen.group(2)] if hyphen else _words(text)
        tests: list[Test] = []
        named = set()
        for word in words:
            test, wanted = self._comparator(word)
            tests.append(test)
            if wanted is not None and wanted.prerelease:
                named.add(wanted.core)
        return _Alternative(tuple(tests), frozenset(named))

    def _comparator(self, word: str) -> tuple[Test, Version | None]:
        match = _COMPARATOR.fullmatch(word)
        operator, rest = (match.group(1) or "=", match.group(2)) if match else ("", "")
        partial = _PARTIAL.fullmatch(rest)
        if partial is None:
            raise self._invalid(f"'{sanitise(word, 60)}' is no comparator")
        fields = [one for one in partial.groups()[:3] if one is not None]
        given = next((place for place, one in enumerate(fields) if one in "xX*"), len(fields))
        if given == 0:
            return (lambda version: True), None
        numbers = [int(one) for one in fields[:given]]
        if partial.group(4) and given < 3:
            raise self._invalid(f"'{sanitise(word, 60)}' names a prerelease of an incomplete version")
        prerelease = tuple(partial.group(4).split(".")) if partial.group(4) else ()
        low = Version(*_three(numbers), prerelease)
        return _test(operator, low, _upper(operator, numbers)), low

    def _invalid(self, why: str) -> InvalidInput:
        shown = sanitise(self._text, 120)
        return InvalidInput(f"invalid version range '{shown}': {why}; write it as '^1.2', '>=1.2 <2' or '1.x || 2.1'")


def _three(numbers: Sequence[int]) -> tuple[int, int, int]:
    major, minor, patch = (*numbers, 0, 0)[:3]
    return (major, minor, patch)


def _words(text: str) -> list[str]:
    # An operator may stand apart from its version: ">= 1.2, < 2".
    return re.sub(rf"({_OPERATORS})\s+", r"\1", text.replace(",", " ")).split()


def _upper(operator: str, numbers: list[int]) -> tuple[int, int, int] | None:
    """The first core above what a comparator with these ``numbers`` covers; None if that is a single version."""
    if operator == "^":
        # The leftmost number that is not 0 must not change.
        place = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    elif operator in ("~", "~>"):
        place = min(len(numbers) - 1, 1)
    else:
        place = len(numbers) - 1
        if place == 2:
            return None
    return _three([*numbers[:place], numbers[place] + 1])


def _test(operator: str, low: Version, above: tuple[int, int, int] | None) -> Test:
    def within(version: Version) -> bool:
        # By numbers alone: 2.0.0-rc.1 is not in ^1, although it comes before 2.0.0.
        return version >= low and version.core < above if above else version == low

    tests: dict[str, Test] = {
        "=": within,
        "^": within,
        "~": within,
        "~>": within,
        "!=": lambda version: not within(version),
        ">=": lambda version: version >= low,
        "<": lambda version: version < low and (version.core != low.core or bool(low.prerelease)),
        ">": lambda version: version.core >= above if above else version > low,
        "<=": lambda version: version.core < above if above else version <= low,
    }
    return tests[operator]


def natural(text: str) -> tuple[Any, ...]:
    """A key that sorts digits by value: ``build9`` before ``build10``."""
    return tuple((0, int(chunk), "") if chunk.isdigit() else (1, 0, chunk) for chunk in _CHUNKS.split(text) if chunk)


def version_key(tag: str) -> tuple[Any, ...]:
    """A key that sorts versions by precedence, after the tags that are none (those naturally)."""
    version = Version.parse(tag)
    if version is None:
        return (0, natural(tag), tag)
    return (1, version._order(), tag)
