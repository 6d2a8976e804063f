# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``http://``, ``https://`` and ``s3://``: images in one archive in a storage, their names behind '#' of its URL."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ..model.errors import InvalidInput
from ..model.location import Location
from ..model.text import sanitise
from . import archive_names
from .archive_source import ArchiveSource
from .base import ImageDestination, ImageSource
from .places import Places
from .remote import Remote
from .remote_content import RemoteArchive
from .remote_destination import SCHEME, RemoteDestination

if TYPE_CHECKING:
    from ..registry.pool import Registries

# A tag or a digest at the end of a path: no name of a file that anybody would choose.
_TAGGED = re.compile(r"/[a-z0-9._-]+(?::[\w.-]+|@sha256:[0-9a-f]+)$", re.ASCII)
# The sources of one task that read one archive share what was found out about it.
_READ: WeakKeyDictionary[Places, dict[str, RemoteArchive]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def open_source(location: Location, places: Places) -> ImageSource:
    """The image of ``URL[#name]`` or ``URL#@number``; with neither, the only one. Raises InvalidInput, RefusedTarget."""
    url, name, number = location.path_and_rest()
    with _LOCK:
        archives = _READ.setdefault(places, {})
        if url not in archives:
            archives[url] = RemoteArchive(_remote(url, places.sources or places.destinations), places.temporary)
        return ArchiveSource(archives[url], name, number)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The archive of ``URL[#name]`` and the name of the image in it, '' for none. Raises InvalidInput, RefusedTarget."""
    url, name, number = location.path_and_rest()
    if number is not None:
        raise InvalidInput(f"'{sanitise(str(location))}': an image is written under a name, not a number")
    name = archive_names.canonical(SCHEME, name)
    remote = _remote(url, places.destinations or places.sources)
    return places.shared(("archive", url), lambda: RemoteDestination(remote)), name


def _remote(url: str, end: Registries | None) -> Remote:
    # An end that has no registries of its own, as in saving and loading, goes by the options of the other one.
    if end is None:
        raise InvalidInput("a URL is no place for this end of the task")
    shown = urlsplit(url)
    if not url.startswith("s3:") and _TAGGED.search(shown.path):
        # What a browser shows of a registry, pasted.
        raise InvalidInput(
            f"'{sanitise(f'{shown.scheme}://{shown.netloc}{shown.path}', 300)}' is the URL of an archive; for an image in a "
            "registry leave out the scheme; plain HTTP is asked for with plain_http"
        )
    if url.startswith("s3:"):
        from .remote_s3 import S3Object

        return S3Object(url, end.web)
    from .remote_web import WebObject

    return WebObject(url, end.web)
