# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a repository's images a mirror takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone

from ..model.errors import InvalidInput
from .semver import Version, version_key
from .survey import attached_to
from .sync_mapping import VERSION, TagChoice
from .sync_sources import Repository
from .tag_filter import ordered

Dates = Callable[[Sequence[str]], "dict[str, datetime | None]"]


def names_of(repository: Repository, choice: TagChoice, now: datetime | None = None) -> list[str]:
    """The tags, digests and ``TAG@DIGEST`` of ``repository`` that are wanted, each once.

    The tags are listed only if ``choice`` is about more than names, and the images' dates are read only if it needs them,
    of those that pass all else. Raises NotFound where there is no such repository.
    """
    if repository.named:
        if choice != TagChoice(wanted=choice.wanted, immutable=choice.immutable) or choice.names:
            raise InvalidInput("src names one image, so that tags has nothing to choose: leave tags out")
        return [repository.named]
    names = list(choice.names)
    if choice.wanted is not None:
        names += chosen(repository.tags(), choice, repository.created, now or datetime.now(timezone.utc))
    return list(dict.fromkeys(names))


def chosen(tags: Iterable[str], choice: TagChoice, dates: Dates, now: datetime) -> list[str]:
    """Those of ``tags`` that pass, oldest first where it matters."""
    wanted = choice.wanted or (lambda tag: True)
    left = [tag for tag in tags if (choice.attached or attached_to(tag) is None) and wanted(tag)]
    # Registries list them in any order.
    left = ordered(left, "name")
    if choice.newest is not None and choice.newest_by == VERSION:
        # What is no version has no place among the newest versions.
        left = [tag for tag in left if Version.parse(tag) is not None]
        left.sort(key=version_key)
    if not choice.needs_dates:
        return left if choice.newest is None else left[max(0, len(left) - choice.newest) :]
    made = dates(left)
    dated = [(date, tag) for tag, date in ((tag, made.get(tag)) for tag in left) if date is not None]
    if choice.newer_than is not None:
        dated = [(date, tag) for date, tag in dated if now - date <= choice.newer_than]
    if choice.older_than is not None:
        dated = [(date, tag) for date, tag in dated if now - date > choice.older_than]
    if choice.newest_by != VERSION and choice.newest is not None:
        dated.sort(key=lambda one: (one[0], version_key(one[1])))
    left = [tag for unused, tag in dated]
    return left if choice.newest is None else left[max(0, len(left) - choice.newest) :]
