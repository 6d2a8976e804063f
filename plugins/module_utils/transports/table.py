# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of schemes: one row for each place an image can live, one file behind each row."""

from __future__ import annotations

from types import ModuleType

from ..model.location import DOCKER, Location
from .base import ImageDestination, ImageSource
from .places import Places


def _registry() -> ModuleType:
    from . import registry

    return registry


def _layout() -> ModuleType:
    from . import layout

    return layout


def _archive() -> ModuleType:
    from . import archive

    return archive


def _directory() -> ModuleType:
    from . import directory

    return directory


#: Each module offers ``open_source(location, places)`` and ``open_destination(location, places)``.
#: It is imported when a location first needs it.
_ROWS = {
    DOCKER: _registry,
    "oci": _layout,
    "oci-archive": _archive,
    "docker-archive": _archive,
    "dir": _directory,
}


def parse(text: str) -> Location:
    """The location in ``text``. Raises InvalidInput."""
    return Location.parse(text, _ROWS)


def open_source(location: Location, places: Places) -> ImageSource:
    """The image at ``location``. Nothing is read yet. Raises InvalidInput, StorageError, ArchiveError."""
    source: ImageSource = _ROWS[location.transport]().open_source(location, places)
    return places.opened(source)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The place that ``location`` names and the name an image gets there. Nothing is written yet."""
    destination: tuple[ImageDestination, str] = _ROWS[location.transport]().open_destination(location, places)
    return destination
