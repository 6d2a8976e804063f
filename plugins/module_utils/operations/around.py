# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is another one but for what a subclass changes."""

from __future__ import annotations

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.manifest import AnyManifest
from ..transports.base import BlobStream, ImageSource


class Around(ImageSource):
    """``image``, as `ImageSource` says it."""

    def __init__(self, image: ImageSource) -> None:
        self._image = image
        self.name = image.name
        self.mount_host = image.mount_host
        self.mount_repository = image.mount_repository

    @property
    def is_metered(self) -> bool:
        return self._image.is_metered

    def resolve(self) -> Digest:
        return self._image.resolve()

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        return self._image.manifest(digest)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        return self._image.open_blob(descriptor, offset)

    def tags(self) -> list[str]:
        return self._image.tags()

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return self._image.referrers(digest)

    def sibling(self, tag: str) -> Digest | None:
        return self._image.sibling(tag)

    def mount_from(self, descriptor: Descriptor) -> tuple[str, str]:
        return self._image.mount_from(descriptor)

    def lacks(self, descriptor: Descriptor) -> bool:
        return self._image.lacks(descriptor)

    def close(self) -> None:
        self._image.close()
