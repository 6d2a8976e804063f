# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docker-daemon:`` and ``containers-storage:``: the images of a container engine, through its API."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from ..model.digest import Digest
from ..model.errors import InvalidDigest, InvalidInput
from ..model.location import Location
from ..model.reference import Reference
from ..model.text import sanitise
from .base import ImageDestination, ImageSource
from .engine_client import EngineClient
from .engine_destination import EngineDestination
from .engine_settings import EngineSettings
from .engine_source import EngineSource
from .places import Places

# What one task reads from one engine goes through one client.
_CLIENTS: WeakKeyDictionary[Places, dict[str, EngineClient]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def open_source(location: Location, places: Places) -> ImageSource:
    """The image of ``name[:tag][@digest]`` or of the ID ``sha256:...``. Raises InvalidInput."""
    wanted = _wanted(location)
    transport = location.transport
    with _LOCK:
        clients = _CLIENTS.setdefault(places, {})
        client = clients.setdefault(transport, EngineClient(transport, places.source_engine or EngineSettings()))
    return EngineSource(client, wanted, str(location), places.temporary)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The engine, and the whole reference of the image there. Raises InvalidInput."""
    wanted = _wanted(location)
    if isinstance(wanted, Digest) or wanted.digest is not None:
        raise InvalidInput(f"'{sanitise(location, 300)}': an image is written under a name and a tag, not a digest")
    transport = location.transport
    settings = places.destination_engine or EngineSettings()
    destination = places.shared(("engine", transport), lambda: EngineDestination(EngineClient(transport, settings)))
    return destination, str(wanted)


def _wanted(location: Location) -> Reference | Digest:
    details = location.details
    if details.startswith("["):
        raise InvalidInput(
            f"'{sanitise(location, 300)}': a storage in brackets is not supported; podman's own is used, as podman finds it"
        )
    try:
        return Digest.parse(details)
    except InvalidDigest:
        return Reference.parse(details).with_default_tag()
