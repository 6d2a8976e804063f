# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading images out of archives: one `SharedArchive` for a file, one `ArchiveSource` for each image asked of it."""

from __future__ import annotations

import io
import threading

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import NotFound
from ..model.manifest import AnyManifest
from ..model.text import sanitise
from .archive_content import Content, open_content
from .base import BlobStream, ImageSource
from .image_list import Earlier, ImageList


class SharedArchive:
    """The file ``path``, opened when its content is first asked for, closed when its last user lets go. Thread-safe."""

    #: What stands between the archive and the name of an image in a location.
    joint = ":"

    def __init__(self, path: str, what: str, temporary: str | None = None) -> None:
        self.path = path
        self.what = what
        self._temporary = temporary
        self._lock = threading.Lock()
        self._content: Content | None = None
        self._users = 0

    def acquire(self) -> None:
        """One more user."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One user less."""
        with self._lock:
            self._users -= 1
            if self._users <= 0 and self._content is not None:
                self._content.close()
                self._content = None

    def content(self) -> Content:
        """What the archive holds. Raises NotFound without a file, ArchiveError, InvalidManifest, StorageError."""
        with self._lock:
            if self._content is None:
                found = self._open()
                if found is None:
                    raise NotFound(f"{self.what} does not exist or is empty")
                self._content = found
            return self._content

    def _open(self) -> Content | None:
        return open_content(self.path, self.what, self._temporary)


class ArchiveSource(ImageSource):
    """One image of an archive, by ``image`` (a name or a digest), by ``number``, or the only one there is."""

    def __init__(self, archive: SharedArchive, image: str = "", number: int | None = None) -> None:
        self._archive = archive
        self._image = image
        self._number = number
        self._closed = False
        archive.acquire()
        part = sanitise(image) if image else "" if number is None else f"@{number}"
        self.name = archive.what + (archive.joint + part if part else "")

    def resolve(self) -> Digest:
        return self._archive.content().select(self._image, self._number)

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        content = self._archive.content()
        return content.manifest(digest or content.select(self._image, self._number))

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        content = self._archive.content()
        if content.member(descriptor.digest) is None and descriptor.data is not None:
            return io.BytesIO(descriptor.data[offset:])
        return content.tar.stream(content.blob(descriptor), offset)

    def lacks(self, descriptor: Descriptor) -> bool:
        return self._archive.content().lacks(descriptor)

    def earlier(self) -> Earlier | None:
        return self._archive.content().earlier()

    def image_list(self) -> ImageList:
        return self._archive.content().image_list()

    def tags(self) -> list[str]:
        return self._archive.content().names()

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return self._archive.content().referrers(digest)

    def sibling(self, tag: str) -> Digest | None:
        return self._archive.content().sibling(self._image, self._number, tag)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._archive.release()
