# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mirror is to be: from where, to where, which tags, under which names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from .plan import Wish
from .sync_names import Naming
from .tag_filter import TagFilter, matches_any

if TYPE_CHECKING:
    from ..transports.places import Places

CREATED, VERSION = "created", "version"


@dataclass(frozen=True)
class TagChoice:
    """Which images of a repository are mirrored: those in ``names``, and of the others those that pass everything else."""

    #: Tags, digests, and ``TAG@DIGEST``: a tag of which only that digest is taken.
    names: tuple[str, ...] = ()
    #: None: no tag but those in ``names``.
    wanted: Callable[[str], bool] | None = None
    #: How many of the newest; None for all.
    newest: int | None = None
    newest_by: str = VERSION
    newer_than: timedelta | None = None
    older_than: timedelta | None = None
    #: Whether tags that belong to a digest, as those of signatures, count as any other.
    attached: bool = False
    #: Names that exist at the destination stay as they are.
    immutable: bool = False

    @property
    def needs_dates(self) -> bool:
        """Whether it has to be known when each image was made."""
        by_date = self.newest is not None and self.newest_by == CREATED
        return by_date or self.newer_than is not None or self.older_than is not None


@dataclass(frozen=True)
class Mapping:
    """One part of a mirror."""

    src: str
    dests: tuple[str, ...]
    choice: TagChoice
    naming: Naming
    wish: Wish = Wish()
    #: Of a source with many repositories, which: their paths below the namespace.
    repositories: TagFilter = TagFilter()
    #: Tags at the destination that the choice does not yield go.
    prune: bool = False
    #: But not these.
    keep: tuple[re.Pattern[str], ...] = ()
    #: Where the source is read; None: as all sources of the task.
    places: Places | None = None


def globs(texts: Iterable[str] | None) -> tuple[re.Pattern[str], ...]:
    """Patterns as shells know them: ``*``, ``?``, ``[abc]``, ``[!abc]``; each has to match the whole tag."""
    return tuple(re.compile(fnmatch.translate(text)) for text in texts or ())


def either(shell: tuple[re.Pattern[str], ...], tags: TagFilter) -> Callable[[str], bool]:
    """Whether one of the patterns in ``shell`` or in ``tags.include`` matches, and all else in ``tags`` agrees."""
    include = (*shell, *tags.include)
    whole = TagFilter((), tags.exclude, tags.versions)
    return lambda tag: (not include or matches_any(include, tag)) and whole.matches(tag)
