# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index that no place has yet, over images that lie in several: a source for the copy engine like any other."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import NotFound
from ..model.manifest import AnyManifest, Index, Manifest
from ..transports.base import BlobStream, ImageSource


class Composed(ImageSource):
    """``root``, whose children are read from their ``owners`` (by the child's digest). ``name`` is for messages.

    What several of them hold is read from the one at the host ``near``, from which it can be mounted there, else from
    the first.
    """

    def __init__(self, name: str, root: AnyManifest, owners: Mapping[Digest, ImageSource], near: str = "") -> None:
        self.name = name
        self._root = root
        self._lock = threading.Lock()
        first = list(dict.fromkeys(owners.values()))
        self._rank = {one: (one.mount_host != near or not near, number) for number, one in enumerate(first)}
        # Children, and what becomes known below them as it is read: of nested indexes and of blobs.
        self._owners: dict[Digest, ImageSource] = dict(owners)

    def resolve(self) -> Digest:
        return self._root.digest

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        if digest is None or digest == self._root.digest:
            return self._root
        owner = self._owner(digest)
        manifest = owner.manifest(digest)
        below: tuple[Descriptor, ...] = ()
        if isinstance(manifest, Index):
            below = manifest.manifests
        elif isinstance(manifest, Manifest):
            below = (manifest.config, *manifest.layers)
        with self._lock:
            for descriptor in below:
                # Whichever is read first: the plan must not depend on it.
                known = self._owners.get(descriptor.digest, owner)
                self._owners[descriptor.digest] = min(known, owner, key=self._rank.__getitem__)
        return manifest

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        return self._owner(descriptor.digest).open_blob(descriptor, offset)

    def mount_from(self, descriptor: Descriptor) -> tuple[str, str]:
        return self._owner(descriptor.digest).mount_from(descriptor)

    def tags(self) -> list[str]:
        return []

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return []

    def _owner(self, digest: Digest) -> ImageSource:
        with self._lock:
            owner = self._owners.get(digest)
        if owner is None:
            raise NotFound(f"{self.name} has nothing with the digest {digest}", 404)
        return owner
