# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of image_copy: images from place to place, each with the tags it shall have there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model.errors import InvalidInput, OciError
from ..model.location import DOCKER
from ..model.reference import check_tag
from ..model.text import redact
from ..transports import table
from ..transports.places import Places
from .perform import How, perform
from .plan import Item, Wish

if TYPE_CHECKING:
    from ..model.new_image import NewImage


@dataclass(frozen=True)
class Entry:
    """One image as the user asked for it."""

    src: str
    dest: str
    additional_tags: tuple[str, ...] = ()
    wish: Wish = Wish()
    #: What an image says of itself that is made of a tarball.
    config: NewImage | None = None


def copy(entries: Sequence[Entry], places: Places, how: How) -> dict[str, Any]:
    """Copy every entry; the result of the module. Raises OciError with the outcome as facts when any image failed."""
    items = [_item(entry, places) for entry in entries]
    _refuse_collisions(entries, items)
    outcome = perform(items, places, how)
    result = {**outcome.facts(), "diff": outcome.diff()}
    if len(outcome.images) == 1:
        result["digest"] = outcome.images[0]["digest"]
        result["digest_before"] = outcome.images[0]["digest_before"]
    return result


def _item(entry: Entry, places: Places) -> Item:
    try:
        source = table.open_source(table.parse(entry.src), places, entry.config)
        location = table.parse(entry.dest)
        destination, name = table.open_destination(location, places)
        if entry.additional_tags and location.transport != DOCKER:
            raise InvalidInput(f"additional_tags go with a registry, not with {location.transport}:")
        expected = location.reference().digest if location.transport == DOCKER else None
        names = list(dict.fromkeys([name, *map(check_tag, entry.additional_tags)]))
    except OciError as exc:
        raise exc.about(f"{entry.src} to {entry.dest}") from None
    return Item(source, destination, names, redact(entry.src), redact(entry.dest), entry.wish, expected)


def _refuse_collisions(entries: Sequence[Entry], items: Sequence[Item]) -> None:
    taken: dict[tuple[int, str], Entry] = {}
    for entry, item in zip(entries, items):
        for name in item.names:
            other = taken.setdefault((id(item.destination), name), entry)
            if (other.src, other.wish, other.config) != (entry.src, entry.wish, entry.config):
                raise InvalidInput(f"two images for one destination: {other.src} and {entry.src} both go to {entry.dest}")
