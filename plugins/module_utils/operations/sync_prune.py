# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags of a mirror that its source does not yield any more: found out from reads alone, and removed alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..model.digest import Digest
from ..model.errors import InvalidInput, NotFound, RegistryError
from ..model.media_types import INDEXES
from ..transports import table
from ..transports.base import ImageDestination
from ..transports.places import Places
from .survey import Survey, attached_to
from .sync_names import DIRECTORY, Dest
from .tag_filter import matches_any


@dataclass
class Wanted:
    """What a mirror wants to be at one place: ``repository`` of a registry, or all of a layout or an archive."""

    dest: Dest
    #: Of a registry, with its host; '' elsewhere.
    repository: str
    destination: ImageDestination
    names: set[str] = field(default_factory=set)
    prune: bool = False
    keep: list[re.Pattern[str]] = field(default_factory=list)
    #: Why nothing is pruned although it was asked for: a part of what is wanted is not known.
    unsure: str = ""


@dataclass
class Surplus:
    """The names of a place that go, with the digests that they stand for."""

    wanted: Wanted
    names: dict[str, Digest]
    #: Every name of a layout or an archive.
    held: frozenset[str] = frozenset()
    survey: Survey | None = None

    @property
    def kept(self) -> set[str]:
        """The names that a layout or an archive keeps."""
        return {*self.wanted.names, *(name for name in self.held if name not in self.names)}

    def shown(self, name: str) -> str:
        """How results call one of the names."""
        if self.wanted.repository:
            return f"{self.wanted.repository}:{name}"
        return f"{self.wanted.dest.shown}{self.wanted.dest.location.joint}{name}"


def check(dest: Dest) -> None:
    """Raise InvalidInput where nothing can be pruned."""
    if dest.transport == DIRECTORY:
        raise InvalidInput(f"prune does not go with {dest.shown}: directories are removed with ansible.builtin.file")


def surplus(wanted: Wanted, places: Places, parallel: int) -> Surplus:
    """What goes of one place. Signatures and the like, tags such as ``sha256-...``, are left to what they belong to."""
    if wanted.repository and places.destinations is not None:
        host, unused, path = wanted.repository.partition("/")
        survey = Survey(places.destinations.client(host), path, parallel, name=wanted.repository)
        gone = [tag for tag in survey.tags() if _goes(tag, tag, wanted)]
        return Surplus(wanted, {tag: head.digest for tag, head in survey.heads(gone).items()}, survey=survey)
    held = wanted.destination.held() if wanted.dest.is_archive else _in_layout(wanted.dest, places)
    gone = [name for name in held if _goes(name, name.rpartition(":")[2], wanted)]
    return Surplus(wanted, {name: held[name] for name in gone}, frozenset(held))


def _in_layout(dest: Dest, places: Places) -> dict[str, Digest]:
    try:
        names = table.open_source(dest.location, places).tags()
    except NotFound:
        # Not there yet.
        return {}
    # An image without a name is not of a mirror, which gives every image one.
    named_ones = [name for name in names if not name.startswith("@")]
    return {name: table.open_source(dest.location.named(name), places).resolve() for name in named_ones}


def _goes(name: str, tag: str, wanted: Wanted) -> bool:
    return name not in wanted.names and attached_to(tag) is None and not matches_any(wanted.keep, tag)


def check_count(found: Sequence[Surplus], limit: int | None) -> None:
    """Raise Refused if more than ``limit`` names go."""
    count = sum(len(one.names) for one in found)
    if limit is not None and count > limit:
        # Late, here and below: most mirrors have nothing to prune.
        from .deletion_plan import Refused

        raise Refused(
            f"{count} tags would be pruned, more than max_delete allows ({limit}): nothing has been copied or pruned",
            would_delete=count,
        )


def remove(found: Surplus, untag: bool) -> None:
    """Remove the tags in a registry, and no manifest. Raises RegistryError where it can do no such thing."""
    survey = found.survey
    if survey is None or not found.names:
        return
    from .untag import remove_tags

    needs = _Needs(survey, found.names)
    refused = remove_tags(survey, found.names, untag, needs.has)
    if refused:
        first = next(iter(refused.values()))
        raise RegistryError(
            f"{first.message}. Set untag to true to prune by way of a placeholder manifest",
            first.status_code,
            first.error_code,
            refused=list(refused),
        )


class _Needs:
    """Which manifests something at the destination needs besides the tags that go. Asked only of registries that drop a
    manifest with its last tag."""

    def __init__(self, survey: Survey, going: Collection[str]) -> None:
        self._survey = survey
        self._going = set(going)
        self._listed: set[Digest] | None = None

    def has(self, digest: Digest) -> bool:
        if self._listed is None:
            heads = self._survey.heads(tag for tag in self._survey.tags() if tag not in self._going)
            roots = [head.digest for head in heads.values() if head.media_type in INDEXES]
            self._listed = {child for one in self._survey.closure(roots).values() for child in one.children}
        return digest in self._listed or bool(self._survey.referrers([digest])[digest])
