# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mirror consists of: every image, where it goes, and what else is at its destinations. Found out from lists alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import Cancelled, InvalidInput, OciError
from ..model.location import DOCKER
from ..model.text import redact
from ..transports import table
from ..transports.base import ImageDestination
from ..transports.places import Places
from . import sync_prune
from .concurrently import each
from .perform import FAILED, How
from .plan import Item, Wish
from .sharding import shard_of
from .sync_mapping import Mapping
from .sync_names import DIRECTORY, Dest
from .sync_prune import Wanted
from .sync_sources import Finder, Repository
from .sync_tags import names_of


@dataclass(frozen=True)
class Unit:
    """One repository of a source, and the destinations that this worker sees to, each with its repository there."""

    mapping: Mapping
    repository: Repository
    goals: tuple[tuple[Dest, str], ...]


@dataclass
class Mirror:
    """All of it. ``failed`` has the entries of the result for what could not be listed, ``errors`` why."""

    items: list[Item] = field(default_factory=list)
    #: By the destination.
    wanted: dict[ImageDestination, Wanted] = field(default_factory=dict)
    failed: list[dict[str, Any]] = field(default_factory=list)
    errors: list[OciError] = field(default_factory=list)
    #: What to tell the user.
    warnings: list[str] = field(default_factory=list)

    def fail(self, src: str, dests: Iterable[str], error: OciError) -> None:
        """Enter what could not be listed."""
        self.errors.append(error.about(src))
        self.failed += [
            {"src": src, "dest": dest, "state": FAILED, "changed": False, "error": error.message} for dest in dests
        ]


def survey(mappings: Sequence[Mapping], shard: tuple[int, int], places: Places, how: How) -> Mirror:
    """What ``mappings`` come to for the worker ``shard[0]`` of ``shard[1]``. Raises InvalidInput where two images would go
    to one place, and what cannot be meant; what cannot be listed is in the result."""
    mirror = Mirror()
    dests = {text: Dest(text) for mapping in mappings for text in mapping.dests}
    for mapping in mappings:
        if mapping.prune:
            for text in mapping.dests:
                sync_prune.check(dests[text])
    finder = Finder(places, how.parallel, how.stop)
    units: list[Unit] = []
    lost: list[Dest] = []
    for mapping, found in zip(mappings, each(lambda one: _tried(finder.find, one), mappings, how.parallel, how.stop)):
        goals = [dests[text] for text in mapping.dests]
        if isinstance(found, OciError):
            mirror.fail(mapping.src, [dest.shown for dest in goals], found)
            lost += goals
            continue
        for repository in found:
            units += _unit(mapping, repository, goals, shard)
    # Where dates are read each repository asks many questions by itself.
    at_once = 4 if any(unit.mapping.choice.needs_dates for unit in units) else how.parallel
    answers = each(lambda unit: _tried(_names, unit), units, at_once, how.stop)
    builder = _Builder(mirror, places)
    for unit, names in zip(units, answers):
        if isinstance(names, OciError):
            mirror.fail(unit.repository.shown, [_shown(*goal) for goal in unit.goals], names)
            builder.unsure(unit, f"{unit.repository.shown} could not be listed")
        else:
            builder.add(unit, names)
    for wanted in mirror.wanted.values():
        if any(_may_hold(dest, wanted) for dest in lost):
            wanted.unsure = "a source of it could not be listed"
    return mirror


def _tried(ask: Any, about: Any) -> Any:
    try:
        return ask(about)
    except Cancelled:
        raise
    except InvalidInput:
        # A mistake in the task itself, and not something that may be better the next time.
        raise
    except OciError as exc:
        return exc


def _names(unit: Unit) -> list[str]:
    return names_of(unit.repository, unit.mapping.choice)


def _unit(mapping: Mapping, repository: Repository, dests: Iterable[Dest], shard: tuple[int, int]) -> list[Unit]:
    index, count = shard
    goals = []
    for dest in dests:
        name = dest.repository(repository.source, mapping.naming)
        if shard_of(name or repository.shown, count) == index:
            goals.append((dest, name))
    # What can be read back comes first: the others get from there what they need.
    goals.sort(key=lambda goal: goal[0].is_archive or goal[0].transport == DIRECTORY)
    return [Unit(mapping, repository, tuple(goals))] if goals else []


def _shown(dest: Dest, repository: str) -> str:
    return repository if dest.transport == DOCKER else dest.shown


def _may_hold(lost: Dest, wanted: Wanted) -> bool:
    if lost.transport != wanted.dest.transport:
        return False
    if lost.transport != DOCKER:
        return lost.location == wanted.dest.location
    base = lost.location.details
    return wanted.repository == base or wanted.repository.startswith(f"{base}/")


class _Builder:
    """Makes the items, each destination once, and refuses two images for one name."""

    def __init__(self, mirror: Mirror, places: Places) -> None:
        self._mirror = mirror
        self._places = places
        self._taken: dict[tuple[ImageDestination, str], tuple[str, Wish]] = {}

    def add(self, unit: Unit, names: Sequence[str]) -> None:
        """Take in the images ``names`` of a unit."""
        mapping = unit.mapping
        if not names:
            self._mirror.warnings.append(f"{unit.repository.shown}: no tag is wanted of those that it has")
            self.unsure(unit, f"nothing is wanted of {unit.repository.shown}")
        hosts = {dest.location.details.partition("/")[0] if dest.transport == DOCKER else dest.text for dest, unused in unit.goals}
        for name in names:
            image = unit.repository.open(name)
            for dest, repository in unit.goals:
                location = dest.place(repository, mapping.naming, name)
                destination, stored = table.open_destination(location, self._places)
                src = unit.repository.text(name)
                wanted = self._note(destination, dest, repository, mapping)
                if stored in wanted.names:
                    self._compare(destination, stored, (src, mapping.wish), str(location))
                    continue
                wanted.names.add(stored)
                self._taken[destination, stored] = (src, mapping.wish)
                self._mirror.items.append(
                    Item(
                        image,
                        destination,
                        [stored],
                        src,
                        location.details if dest.transport == DOCKER else redact(str(location)),
                        mapping.wish,
                        immutable=mapping.choice.immutable,
                        relayed=len(hosts) > 1,
                    )
                )

    def unsure(self, unit: Unit, why: str) -> None:
        """Nothing is pruned where this unit goes."""
        for dest, repository in unit.goals:
            location = dest.place(repository, unit.mapping.naming, "latest")
            destination = table.open_destination(location, self._places)[0]
            self._note(destination, dest, repository, unit.mapping).unsure = why

    def _compare(self, destination: ImageDestination, name: str, image: tuple[str, Wish], place: str) -> None:
        other = self._taken[destination, name]
        if other[0] != image[0]:
            raise InvalidInput(f"two images for one destination: {other[0]} and {image[0]} both go to {place}")
        if other != image:
            raise InvalidInput(f"{image[0]} goes to {place} twice, each time with other platforms or referrers")

    def _note(self, destination: ImageDestination, dest: Dest, repository: str, mapping: Mapping) -> Wanted:
        wanted = self._mirror.wanted.get(destination)
        if wanted is None:
            of_registry = repository if dest.transport == DOCKER else ""
            wanted = self._mirror.wanted[destination] = Wanted(dest, of_registry, destination)
        wanted.prune = wanted.prune or mapping.prune
        wanted.keep += [pattern for pattern in mapping.keep if pattern not in wanted.keep]
        return wanted
