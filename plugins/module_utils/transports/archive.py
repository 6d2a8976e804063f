# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci-archive:`` and ``docker-archive:``: images in one tar file. Both read and write the same files."""

from __future__ import annotations

import os
import threading
from weakref import WeakKeyDictionary

from ..model.errors import InvalidInput
from ..model.location import Location
from ..model.text import sanitise
from . import archive_names
from .archive_destination import ArchiveDestination
from .archive_source import ArchiveSource, SharedArchive
from .base import ImageDestination, ImageSource
from .places import Places

# The sources of one task that read one file share what was found out about it.
_READ: WeakKeyDictionary[Places, dict[str, SharedArchive]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def open_source(location: Location, places: Places) -> ImageSource:
    """The image of ``path[:name]`` or ``path:@number``; with neither, the only one. Raises InvalidInput."""
    path, name, number = location.path_and_rest()
    with _LOCK:
        archives = _READ.setdefault(places, {})
        new = SharedArchive(path, f"{location.transport}:{path}", places.temporary)
        return ArchiveSource(archives.setdefault(os.path.abspath(path), new), name, number)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The archive of ``path[:name]`` and the name of the image in it, '' for none. Raises InvalidInput."""
    path, name, number = location.path_and_rest()
    if number is not None:
        raise InvalidInput(f"'{sanitise(str(location))}': an image is written under a name, not a number")
    scheme = location.transport
    name = archive_names.canonical(scheme, name)
    key = ("archive", os.path.abspath(path))
    return places.shared(key, lambda: ArchiveDestination(scheme, path, places.temporary)), name
