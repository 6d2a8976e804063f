# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the transports of one task share: connections to registries, and one object for each destination."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from .base import ImageDestination, ImageSource

if TYPE_CHECKING:
    from ..registry.pool import Registries
    from .engine_settings import EngineSettings


class Places:
    """Registries of both ends, and the sources and destinations opened so far. Thread-safe."""

    def __init__(
        self, sources: Registries | None = None, destinations: Registries | None = None, temporary: str | None = None
    ) -> None:
        self.sources = sources
        self.destinations = destinations
        #: Directory for what has to be spooled; None for the system's.
        self.temporary = temporary
        #: The container engine of each end; None for the usual one.
        self.source_engine: EngineSettings | None = None
        self.destination_engine: EngineSettings | None = None
        self._lock = threading.Lock()
        self._destinations: dict[Hashable, ImageDestination] = {}
        self._sources: list[ImageSource] = []

    def shared(self, key: Hashable, make: Callable[[], ImageDestination]) -> ImageDestination:
        """The destination of this task for ``key`` (a repository, a file), made on first use."""
        with self._lock:
            if key not in self._destinations:
                self._destinations[key] = make()
            return self._destinations[key]

    def open_destinations(self) -> list[ImageDestination]:
        """Every destination opened so far."""
        with self._lock:
            return list(self._destinations.values())

    def opened(self, source: ImageSource) -> ImageSource:
        """Remember ``source`` for `close`; returns it."""
        with self._lock:
            self._sources.append(source)
        return source

    def close(self) -> None:
        """Close every source and every connection."""
        with self._lock:
            sources, self._sources = self._sources, []
        for source in sources:
            source.close()
        for registries in (self.sources, self.destinations):
            if registries is not None:
                registries.close()
