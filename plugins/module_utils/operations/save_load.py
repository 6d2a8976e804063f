# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of image_save_load: many images into one archive, and out of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..model.errors import InvalidInput, InvalidReference, NotFound, StorageError
from ..model.location import DOCKER, Location
from ..model.reference import Reference, check_tag, is_tag
from ..model.text import sanitise
from ..transports import table
from ..transports.places import Places
from .perform import How, perform
from .plan import Item, Wish

#: What a path without a transport in front of it means, and which transports may stand there.
ARCHIVE = "oci-archive"
_PLACES = ("oci", "oci-archive", "docker-archive")


def save(images: Sequence[str], path: str, wish: Wish, append: bool, places: Places, how: How) -> dict[str, Any]:
    """Save ``images`` at ``path``; afterwards it holds exactly these, or with ``append`` these beside what it held.

    Returns the result of the module. Nothing at ``path`` changes unless every image arrived whole.
    """
    place = _place(path)
    items: list[Item] = []
    taken: dict[str, str] = {}
    for text in images:
        location = table.parse(text)
        name = _name(location)
        if name in taken and taken[name] != text:
            raise InvalidInput(f"{taken[name]} and {text} would both be named {name} in {path}")
        if name not in taken:
            destination, stored = table.open_destination(Location(place.transport, f"{place.details}:{name}"), places)
            items.append(Item(table.open_source(location, places), destination, [stored], text, name, wish))
        taken[name] = text
    # Into a layout several tasks may save at once: it never loses what another one put there.
    outcome = perform(items, places, how, None if append or place.transport == "oci" else ())
    return {**outcome.facts(), "path": path, "diff": outcome.diff()}


def load(path: str, images: Sequence[str], dest: str, wish: Wish, places: Places, how: How) -> dict[str, Any]:
    """Load the ``images`` of the archive at ``path``, all of them if none is named, to ``dest``: a registry with an
    optional path in it, under which each image keeps its own repository and tag.

    Returns the result of the module.
    """
    place = _place(path)
    if not os.path.exists(place.details):
        raise StorageError(f"{path} does not exist: there is nothing to load")
    held = table.open_source(place, places).tags()
    if not held:
        raise NotFound(f"{path} holds no image")
    chosen = list(dict.fromkeys(images)) or held
    items: list[Item] = []
    for name in chosen:
        source = table.open_source(Location(place.transport, f"{place.details}:{name}"), places)
        target = _target(dest, _full_name(name, held), len(chosen))
        destination, stored = table.open_destination(table.parse(target), places)
        items.append(Item(source, destination, [stored], f"{path}:{name}", target, wish))
    outcome = perform(items, places, how)
    return {**outcome.facts(), "path": path, "diff": outcome.diff()}


def _place(path: str) -> Location:
    transport, colon, rest = path.partition(":")
    place = Location(transport, rest) if colon and transport in _PLACES else Location(ARCHIVE, path)
    if not place.details or ":" in place.details:
        raise InvalidInput(
            f"invalid path '{sanitise(path)}': it must not hold ':', which separates a path from an image's name"
        )
    return place


def _name(location: Location) -> str:
    """The name an image gets in an archive: its whole reference, so that names of many registries stay apart."""
    if location.transport == DOCKER:
        reference = location.reference().with_default_tag()
        return str(reference.with_tag(reference.tag) if reference.tag else reference)
    path, name, number = location.path_and_rest()
    if not name:
        raise InvalidInput(
            f"{location} names no image: give the name after the path, as in {location.transport}:{path}:name"
        )
    return name


def _full_name(name: str, held: Sequence[str]) -> str:
    # Users may name an image by its tag alone where the archive has one such.
    if name in held:
        return name
    ends = [one for one in held if one.endswith(":" + name)]
    return ends[0] if len(ends) == 1 else name


def _target(dest: str, name: str, count: int) -> str:
    """Where an image called ``name`` in its archive goes below ``dest``."""
    location = table.parse(dest)
    if location.transport != DOCKER:
        raise InvalidInput(
            f"dest is a registry with an optional path, and not {sanitise(dest)}: image_copy goes to other places"
        )
    base = location.details.rstrip("/")
    if name.startswith("@") or (is_tag(name) and "/" not in name):
        # No repository is known: dest names it.
        if count > 1:
            raise InvalidInput(
                f"the image {sanitise(name, 100)} has no repository in its name: load it by itself, with a whole reference as dest"
            )
        Reference.parse(base)
        return base if name.startswith("@") or _has_tag(base) else f"{base}:{check_tag(name)}"
    try:
        reference = Reference.parse(name)
    except InvalidReference as exc:
        raise InvalidReference(
            f"the image name '{sanitise(name, 140)}' cannot be loaded by itself: {exc.message}"
        ) from None
    target = f"{base}/{reference.repository}"
    if reference.tag:
        target += f":{reference.tag}"
    elif reference.digest:
        target += f"@{reference.digest}"
    return target


def _has_tag(text: str) -> bool:
    reference = Reference.parse(text)
    return bool(reference.tag or reference.digest)
