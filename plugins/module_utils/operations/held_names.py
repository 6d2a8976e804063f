# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names in an archive or a layout, surveyed as the tags of a repository are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput, NotFound
from ..model.location import DOCKER, Location
from ..model.manifest import AnyManifest, descriptor_of
from ..transports import table
from ..transports.places import Places
from .blobs import read_blob
from .survey import Survey
from .tags import Query, listing

if TYPE_CHECKING:
    from ..registry.client import RegistryClient
    from ..registry.pool import Registries

#: Places that hold images under names.
PLACES = ("oci", "oci-archive", "docker-archive", "http", "https", "s3")


def place_of(text: str) -> Location | None:
    """The archive or layout written as ``text``; None for a repository of a registry.

    Raises InvalidInput for other places, and for one image of the place.
    """
    location = table.parse(text)
    if location.transport == DOCKER:
        return None
    if location.transport not in PLACES:
        raise InvalidInput(f"{location} has no tags: what can be listed is a repository, an archive or an OCI layout")
    unused, name, number = location.path_and_rest()
    if name or number is not None:
        raise InvalidInput(f"{location} names one image: give the archive or the layout alone")
    return location


def query(
    place: Location,
    wish: Query,
    registries: Registries | None = None,
    parallel: int = 1,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """The fields of a module's result for the names at ``place``; ``registries`` say how a URL is reached.

    Raises NotFound, ArchiveError if there is nothing.
    """
    places = Places(registries)
    try:
        survey = Survey(cast("RegistryClient", _Reader(place, places)), "", parallel, stop, str(place))
        return {"repository": str(place), **listing(survey, wish)}
    finally:
        places.close()


def read_only(place: Location, state: str) -> InvalidInput:
    """Why names at ``place`` cannot be set or removed."""
    return InvalidInput(
        f"state={state} goes with a repository of a registry, and not with {place}: image_copy and image_save_load write there"
    )


class _Reader:
    """What a survey asks a registry for, answered by a place that is no registry."""

    def __init__(self, place: Location, places: Places) -> None:
        self._place = place
        self._places = places
        self._source = table.open_source(place, places)
        # A survey takes NotFound for a repository without tags; a path without a file is a mistake.
        self._names = self._source.tags()

    def tags(self, repository: str) -> list[str]:
        return self._names

    def head_manifest(self, repository: str, target: str) -> Descriptor | None:
        source = table.open_source(self._place.named(target), self._places)
        try:
            return descriptor_of(source.manifest())
        except NotFound:
            return None
        finally:
            source.close()

    def get_manifest(self, repository: str, target: str) -> AnyManifest:
        return self._source.manifest(Digest.parse(target))

    def get_blob(self, repository: str, descriptor: Descriptor, limit: int) -> bytes:
        return read_blob(self._source, descriptor, limit)
