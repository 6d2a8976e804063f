# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image of a registry that is asked for each thing once, however many places it goes to and tags it has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from ..model.digest import Digest
from ..model.manifest import AnyManifest
from ..transports.base import ImageSource
from .around import Around

#: Bytes of manifests that are kept.
LIMIT = 8 * 1024 * 1024


class Manifests:
    """The manifests that a task has read last, by repository and digest. Thread-safe; each is read by one thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, AnyManifest] = OrderedDict()
        self._size = 0
        self._loading: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, load: Callable[[], AnyManifest]) -> AnyManifest:
        """The manifest for ``key``, from ``load`` if it is not kept. Raises what that raises."""
        with self._lock:
            found = self._find(key)
            if found is not None:
                return found
            gate = self._loading.setdefault(key, threading.Lock())
        with gate:
            with self._lock:
                found = self._find(key)
            if found is None:
                found = load()
                self.keep(key, found)
        with self._lock:
            self._loading.pop(key, None)
        return found

    def keep(self, key: Hashable, manifest: AnyManifest) -> None:
        """Remember ``manifest``, and forget those that were not asked for for longest."""
        with self._lock:
            if self._find(key) is not None:
                return
            self._held[key] = manifest
            self._size += manifest.size
            while self._size > self._limit and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].size

    def _find(self, key: Hashable) -> AnyManifest | None:
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found


class Once(Around):
    """``image``, whose name is looked up once; manifests are shared with the other images of the task."""

    def __init__(self, image: ImageSource, manifests: Manifests) -> None:
        super().__init__(image)
        self._manifests = manifests
        self._lock = threading.Lock()
        self._digest: Digest | None = None

    def resolve(self) -> Digest:
        with self._lock:
            if self._digest is None:
                self._digest = self._image.resolve()
            return self._digest

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        if digest is None and self._digest is None and not self.is_metered:
            with self._lock:
                if self._digest is None:
                    found = self._image.manifest()
                    self._digest = found.digest
                    self._manifests.keep(self._key(found.digest), found)
                    return found
        # Where pulls are counted a HEAD comes first: of tags that stand for one image only one is pulled.
        wanted = digest or self.resolve()
        return self._manifests.get(self._key(wanted), lambda: self._image.manifest(wanted))

    def _key(self, digest: Digest) -> Hashable:
        return self.mount_host, self.mount_repository, digest
