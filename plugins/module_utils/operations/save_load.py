# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of image_save_load: many images into one archive, and out of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..model.digest import Digest
from ..model.errors import InvalidInput, InvalidReference, NotFound, StorageError
from ..model.location import DOCKER, URLS, Location
from ..model.reference import Reference, check_tag, is_tag
from ..model.text import redact, sanitise
from ..transports import table
from ..transports.base import ImageSource
from ..transports.engine_settings import ENGINES
from ..transports.places import Places
from . import delta, earlier
from .perform import How, perform
from .plan import Item, Wish

#: What a path without a transport in front of it means, and which transports may stand there.
ARCHIVE = "oci-archive"
_PLACES = ("oci", "oci-archive", "docker-archive")


def save(
    images: Sequence[str],
    path: str,
    wish: Wish,
    append: bool,
    places: Places,
    how: How,
    since: Sequence[str] = (),
    index_file: str | None = None,
) -> dict[str, Any]:
    """Save ``images`` at ``path``; afterwards it holds exactly these, or with ``append`` these beside what it held.

    What the archives in ``since`` hold is left out. ``index_file`` gets the index of what is at ``path`` afterwards.
    Returns the result of the module. Nothing at ``path`` changes unless every image arrived whole.
    """
    place = _place(path)
    if append and place.is_url:
        raise InvalidInput(f"append does not go with {place}: an archive in a storage is written as a whole")
    if index_file:
        earlier.check_index_file(index_file, path, since, _place)
    known = earlier.read_earlier(since, path, _place, places)
    path = redact(path)
    items: list[Item] = []
    taken: dict[str, str] = {}
    for text in images:
        location = table.parse(text)
        name = _name(location)
        if name in taken and taken[name] != text:
            raise InvalidInput(f"{taken[name]} and {text} would both be named {name} in {path}")
        if name not in taken:
            destination, stored = table.open_destination(place.named(name), places)
            destination.presume(known, replace=not append)
            source = table.open_source(location, places)
            items.append(Item(source, destination, [stored], redact(text), name, wish, _named_digest(location, wish)))
        taken[name] = text
    # Into a layout several tasks may save at once: it never loses what another one put there.
    outcome = perform(items, places, how, None if append or place.transport == "oci" else ())
    result = {**outcome.facts(), "path": path, "diff": outcome.diff()}
    if index_file:
        # In check mode an archive that would be another one has another index too.
        replaced = (how.check and outcome.changed) or earlier.write_index_file(index_file, place, places, how.check)
        result.update(index_file=index_file, changed=outcome.changed or replaced)
    return result


def load(path: str, images: Sequence[str], dest: str, wish: Wish, places: Places, how: How) -> dict[str, Any]:
    """Load the ``images`` of the archive at ``path``, all of them if none is named, to ``dest``: a registry with an
    optional path in it, under which each image keeps its own repository and tag.

    Returns the result of the module.
    """
    place = _place(path)
    path = redact(path)
    if not place.is_url and not os.path.exists(place.details):
        raise StorageError(f"{path} does not exist: there is nothing to load")
    archive = table.open_source(place, places)
    held = archive.tags()
    if not held:
        raise NotFound(f"{path} holds no image")
    elsewhere = _elsewhere(archive, dest, places)
    chosen = list(dict.fromkeys(images)) or held
    items: list[Item] = []
    for name in chosen:
        source = table.open_source(place.named(name), places)
        if elsewhere is not None:
            source = delta.Completed(source, elsewhere, path)
        target = _target(dest, _full_name(name, held), len(chosen))
        destination, stored = table.open_destination(table.parse(target), places)
        items.append(Item(source, destination, [stored], f"{path}{place.joint}{name}", target, wish))
    outcome = perform(items, places, how)
    return {**outcome.facts(), "path": path, "diff": outcome.diff()}


def _place(path: str) -> Location:
    transport, colon, rest = path.partition(":")
    if transport in URLS and rest.startswith("//"):
        if "#" in path:
            raise InvalidInput(f"invalid path '{redact(sanitise(path))}': images chooses images of an archive, not '#'")
        return Location(transport, rest)
    place = Location(transport, rest) if colon and transport in _PLACES else Location(ARCHIVE, path)
    if not place.details or ":" in place.details:
        raise InvalidInput(
            f"invalid path '{sanitise(path)}': it must not hold ':', which separates a path from an image's name"
        )
    return place


def _elsewhere(archive: ImageSource, dest: str, places: Places) -> delta.Elsewhere | None:
    """Where below ``dest`` the images are that a delta was made against; None for an archive that is whole."""
    known = archive.earlier()
    if known is None:
        return None

    def find(name: str) -> delta.Neighbour | None:
        try:
            location = table.parse(_target(dest, name, 2))
        except InvalidInput:
            # A tag alone, say: into which repository that was loaded is written nowhere.
            return None
        return delta.Neighbour(table.open_destination(location, places)[0], table.open_source(location, places))

    return delta.Elsewhere(known, find)


def _name(location: Location) -> str:
    """The name an image gets in an archive: its whole reference, so that names of many registries stay apart."""
    if location.transport in (DOCKER, *ENGINES):
        reference = location.reference().with_default_tag()
        return str(reference.with_tag(reference.tag) if reference.tag else reference)
    if location.transport == "tarball":
        raise InvalidInput(f"{location} has no name to save it under: use image_copy, with oci-archive:PATH:NAME as dest")
    path, name, number = location.path_and_rest()
    if not name:
        raise InvalidInput(
            f"{location} names no image: give the name after the path, as in {location.transport}:{path}:name"
        )
    return name


def _named_digest(location: Location, wish: Wish) -> Digest | None:
    """The digest that an image's name in the archive says, which a conversion must not make untrue."""
    if not wish.form or location.transport != DOCKER:
        return None
    reference = location.reference()
    return None if reference.tag else reference.digest


def _full_name(name: str, held: Sequence[str]) -> str:
    # Users may name an image by its tag alone where the archive has one such.
    if name in held:
        return name
    ends = [one for one in held if one.endswith(":" + name)]
    return ends[0] if len(ends) == 1 else name


def _target(dest: str, name: str, count: int) -> str:
    """Where an image called ``name`` in its archive goes below ``dest``."""
    transport, unused, rest = dest.partition(":")
    if transport in ENGINES:
        if rest and count > 1:
            raise InvalidInput(
                f"{sanitise(dest)} names one image, and {count} are to be loaded: {transport}: alone keeps the name of each"
            )
        return f"{transport}:{rest or _own_name(transport, name)}"
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
    reference = _reference(name)
    target = f"{base}/{reference.repository}"
    if reference.tag:
        target += f":{reference.tag}"
    elif reference.digest:
        target += f"@{reference.digest}"
    return target


def _reference(name: str) -> Reference:
    try:
        return Reference.parse(name)
    except InvalidReference as exc:
        raise InvalidReference(
            f"the image name '{sanitise(name, 140)}' cannot be loaded by itself: {exc.message}"
        ) from None


def _own_name(transport: str, name: str) -> str:
    """The name that an image called ``name`` in its archive has in a container engine."""
    alone = name.startswith("@") or (is_tag(name) and "/" not in name)
    reference = None if alone else _reference(name)
    if reference is None or (reference.tag is None and reference.digest is not None):
        raise InvalidInput(
            f"the image {sanitise(name, 100)} has no repository and tag in its name: load it by itself, with"
            f" {transport}:NAME:TAG as dest"
        )
    return str(reference.with_tag(reference.tag or "latest"))


def _has_tag(text: str) -> bool:
    reference = Reference.parse(text)
    return bool(reference.tag or reference.digest)
