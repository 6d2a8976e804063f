# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of schemes: one row for each place an image can live, one file behind each row."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from ..model.errors import InvalidInput
from ..model.location import DOCKER, Location
from .base import ImageDestination, ImageSource
from .places import Places

if TYPE_CHECKING:
    from ..model.new_image import NewImage


def _registry() -> ModuleType:
    from . import registry

    return registry


def _layout() -> ModuleType:
    from . import layout

    return layout


def _archive() -> ModuleType:
    from . import archive

    return archive


def _archive_url() -> ModuleType:
    from . import archive_url

    return archive_url


def _directory() -> ModuleType:
    from . import directory

    return directory


def _tarball() -> ModuleType:
    from . import tarball

    return tarball


def _engine() -> ModuleType:
    from . import engine

    return engine


#: Each module offers ``open_source(location, places)`` and ``open_destination(location, places)``.
#: It is imported when a location first needs it.
_ROWS = {
    DOCKER: _registry,
    "oci": _layout,
    "oci-archive": _archive,
    "docker-archive": _archive,
    "dir": _directory,
    "docker-daemon": _engine,
    "containers-storage": _engine,
    "http": _archive_url,
    "https": _archive_url,
    "s3": _archive_url,
    "tarball": _tarball,
}
#: Rows whose images are made when they are read: ``open_source`` takes the NewImage that says what they run, or None.
_MADE = ("tarball",)


def parse(text: str) -> Location:
    """The location in ``text``. Raises InvalidInput."""
    return Location.parse(text, _ROWS)


def open_source(location: Location, places: Places, config: NewImage | None = None) -> ImageSource:
    """The image at ``location``, with ``config`` if it is made here. Nothing is read yet.

    Raises InvalidInput, StorageError, ArchiveError.
    """
    if config is not None and location.transport not in _MADE:
        raise InvalidInput("config goes with a source that is no image yet, as tarball:, and not with one that has its own")
    more = {} if config is None else {"config": config}
    source: ImageSource = _ROWS[location.transport]().open_source(location, places, **more)
    return places.opened(source)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The place that ``location`` names and the name an image gets there. Nothing is written yet."""
    destination: tuple[ImageDestination, str] = _ROWS[location.transport]().open_destination(location, places)
    return destination
