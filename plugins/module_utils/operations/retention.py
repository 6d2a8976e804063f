# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags of a repository have had their time: the newest stay, the young stay, the named stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..model.errors import InvalidInput
from ..model.text import sanitise
from .semver import Version, version_key
from .survey import Survey, attached_to
from .tag_filter import TagFilter, matches_any
from .tags import created

_AGE = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Candidate:
    """A tag that the filters let through. ``created`` is None where that is unknown or was not asked for."""

    tag: str
    created: datetime | None = None


@dataclass(frozen=True)
class Policy:
    """A tag goes if every one of these lets it go."""

    #: How many of the newest stay; None: none for that reason.
    keep_last: int | None = None
    #: ``created`` or ``version``: what makes a tag one of the newest.
    newest_by: str = "created"
    #: What is younger stays.
    older_than: timedelta | None = None
    #: Tags that stay whatever their age.
    keep: tuple[re.Pattern[str], ...] = ()

    @property
    def needs_dates(self) -> bool:
        """Whether it has to be known when each image was made."""
        return self.older_than is not None or (self.keep_last is not None and self.newest_by == "created")


def parse_age(text: str) -> timedelta:
    """``30d``, ``2w``, ``12h``, ``90m`` or ``3600s`` as a length of time. Raises InvalidInput."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            f"invalid age '{sanitise(text, 60)}': a number and s, m, h, d or w (seconds, minutes, hours, days, weeks),"
            " such as 30d"
        )
    return timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})


def expired(
    survey: Survey, wanted: TagFilter, policy: Policy, now: datetime | None = None
) -> tuple[list[str], dict[str, str]]:
    """The tags of a repository that go, and for every other one that ``wanted`` lets through why it stays.

    Tags of signatures and the like are never chosen: they go with what they belong to.
    """
    tags = [tag for tag in survey.tags() if attached_to(tag) is None and wanted.matches(tag)]
    dates = created(survey, tags) if policy.needs_dates else {}
    candidates = [Candidate(tag, dates.get(tag)) for tag in tags]
    return choose(candidates, policy, now or datetime.now(timezone.utc))


def choose(candidates: Iterable[Candidate], policy: Policy, now: datetime) -> tuple[list[str], dict[str, str]]:
    """The tags that go, newest last, and for every other one why it stays. What is not known to be old stays."""
    kept: dict[str, str] = {}
    rest = []
    for candidate in candidates:
        if matches_any(policy.keep, candidate.tag):
            kept[candidate.tag] = "keep names it"
        elif policy.needs_dates and candidate.created is None:
            kept[candidate.tag] = "its age is unknown: its config has no date, or 1970"
        elif policy.keep_last is not None and policy.newest_by == "version" and Version.parse(candidate.tag) is None:
            kept[candidate.tag] = "it is no version, so it cannot be ranked"
        else:
            rest.append(candidate)
    rest = _by_age(rest, policy)
    if policy.keep_last is not None:
        newest = rest[len(rest) - policy.keep_last :] if policy.keep_last < len(rest) else rest
        kept.update((one.tag, f"it is one of the newest {policy.keep_last}") for one in newest)
        rest = rest[: len(rest) - len(newest)]
    gone = []
    for candidate in rest:
        if policy.older_than is not None and candidate.created and now - candidate.created <= policy.older_than:
            kept[candidate.tag] = f"it was made {candidate.created.isoformat(timespec='seconds')}, not long enough ago"
        else:
            gone.append(candidate.tag)
    return gone, kept


def _by_age(candidates: Sequence[Candidate], policy: Policy) -> list[Candidate]:
    if policy.newest_by == "version":
        return sorted(candidates, key=lambda one: version_key(one.tag))
    if policy.needs_dates:
        # Equal dates (tags of one image) by version, so that every run chooses alike.
        return sorted(candidates, key=lambda one: (one.created, version_key(one.tag)))
    return sorted(candidates, key=lambda one: version_key(one.tag))
