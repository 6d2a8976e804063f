# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags are meant: regular expressions, a version range, an order, a limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.errors import InvalidInput
from ..model.text import sanitise
from .semver import Range, natural, version_key


@dataclass(frozen=True)
class TagFilter:
    """``include`` (none: all) and not ``exclude`` and within ``versions``. A pattern has to match the whole tag.

    What is filtered may be names with a repository in front, as archives have them: only what comes after the last colon
    can be a version.
    """

    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    versions: Range | None = None

    @classmethod
    def of(
        cls,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        semver: str | None = None,
        prereleases: bool = False,
    ) -> TagFilter:
        """Out of options as users write them. Raises InvalidInput."""
        versions = Range(semver, prereleases) if semver else None
        return cls(patterns("include", include), patterns("exclude", exclude), versions)

    def matches(self, tag: str) -> bool:
        """Whether ``tag`` is meant."""
        if self.include and not matches_any(self.include, tag):
            return False
        if matches_any(self.exclude, tag):
            return False
        return self.versions is None or self.versions.matches(tag.rpartition(":")[2])


def patterns(option: str, texts: Iterable[str] | None) -> tuple[re.Pattern[str], ...]:
    """The regular expressions in ``texts``. Raises InvalidInput naming ``option``."""
    compiled = []
    for text in texts or ():
        try:
            compiled.append(re.compile(text))
        except re.error as exc:
            raise InvalidInput(f"{option}: '{sanitise(text, 120)}' is no regular expression: {exc}") from None
    return tuple(compiled)


def matches_any(wanted: Sequence[re.Pattern[str]], tag: str) -> bool:
    """Whether one of the patterns matches the whole of ``tag``."""
    return any(pattern.fullmatch(tag) for pattern in wanted)


def ordered(tags: Iterable[str], sort: str) -> list[str]:
    """``tags`` by ``name`` (digits by value), by ``version`` (those that are none first), or as they came.

    Names with a repository in front are by version within each repository.
    """
    if sort == "name":
        return sorted(tags, key=lambda tag: (natural(tag), tag))
    if sort == "version":
        return sorted(tags, key=_by_version)
    return list(tags)


def _by_version(name: str) -> tuple[Any, ...]:
    repository, unused, tag = name.rpartition(":")
    return natural(repository), version_key(tag)
