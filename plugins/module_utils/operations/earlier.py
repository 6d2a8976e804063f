# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The earlier archives that a new one is made since, and the index file kept beside an archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ..model.errors import InvalidInput, OciError, StorageError
from ..model.location import Location
from ..model.text import sanitise, shown
from ..transports import files, image_list, table
from ..transports.image_list import Earlier, ImageList
from ..transports.places import Places

Place = Callable[[str], Location]


def read_earlier(since: Sequence[str], path: str, place: Place, places: Places) -> Earlier | None:
    """What the archives, layouts and index files in ``since`` hold; None for an empty list.

    ``path`` is what is to be written, ``place`` gives the location of a path as the user wrote it. Raises InvalidInput,
    and what reading raises, with the entry's name in front.
    """
    if not since:
        return None
    lists = []
    for text in dict.fromkeys(since):
        location = place(text)
        if _same(location, place(path)):
            raise InvalidInput(f"since names {place(path)} itself, which is to be written: save to another path")
        try:
            lists.append(_read(text, location, places))
        except OciError as exc:
            raise exc.about(f"since: {shown(text)}") from None
    return image_list.together(lists)


def _read(text: str, location: Location, places: Places) -> ImageList:
    if text == location.details and _is_json(text):
        raw = files.read_file(text, image_list.LIMIT, text)
        listed = image_list.parse(raw, text)
        if listed is None:
            raise InvalidInput(f"{sanitise(text)} is JSON, but not the {image_list.FILE} of an archive")
        return listed
    return table.open_source(location, places).image_list()


def _is_json(path: str) -> bool:
    with files.explained("read", path):
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(1) == b"{"


def check_index_file(index_file: str, path: str, since: Sequence[str], place: Place) -> None:
    """Raise InvalidInput or StorageError unless ``index_file`` can be written beside the others."""
    own = Location("", index_file)
    if any(_same(own, place(other)) for other in (path, *since)):
        raise InvalidInput(f"index_file {sanitise(index_file)} is named by path or since too: choose another name")
    if os.path.isdir(index_file):
        raise InvalidInput(f"index_file {sanitise(index_file)} is a directory: name a file in it")
    directory = os.path.dirname(index_file) or "."
    if not os.path.isdir(directory):
        raise StorageError(
            f"cannot write {sanitise(index_file, 300)}: the directory {sanitise(directory, 300)} does not exist"
        )


def write_index_file(index_file: str, place: Location, places: Places, check: bool) -> bool:
    """Make ``index_file`` the index of what is at ``place``. Whether it was another one before, or would be replaced."""
    written = (destination.written() for destination in places.open_destinations())
    listed = next((one for one in written if one is not None), None) or table.open_source(place, places).image_list()
    raw = image_list.serialise(listed)
    size = files.regular_size(index_file)
    if size == len(raw) and files.read_file(index_file, size, index_file) == raw:
        return False
    if not check:
        files.write_file(index_file, raw)
        files.sync_directory(os.path.dirname(index_file) or ".")
    return True


def _same(one: Location, other: Location) -> bool:
    if one.is_url or other.is_url:
        # The queries of two signed URLs differ though they name one thing.
        return str(one) == str(other)
    return os.path.realpath(one.details) == os.path.realpath(other.details)
