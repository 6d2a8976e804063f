# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registries of one end of a task: one client, one session and one token cache for each host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..model.reference import api_host
from .client import RegistryClient
from .credentials import CredentialStore
from .session import Session
from .web import Web

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .meter import Meter
    from .pace import Paces
    from .settings import Settings


class Registries:
    """Clients by host. ``push``: this end is written to. ``meter``, ``bandwidth``, ``stop`` and ``paces`` are the whole task's."""

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        bandwidth: Bandwidth | None = None,
        stop: threading.Event | None = None,
        push: bool = False,
        paces: Paces | None = None,
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._bandwidth = bandwidth
        self._stop = stop
        self._push = push
        self._paces = paces
        self._credentials = CredentialStore(settings.auth_file)
        #: The way to servers that are no registries, with the same options for TLS, proxy and waits.
        self.web = Web(settings, meter, bandwidth, stop, paces)
        self._lock = threading.Lock()
        self._clients: dict[str, RegistryClient] = {}

    def client(self, host: str) -> RegistryClient:
        """The client for a registry as references name it; Docker Hub by any of its names is one (R1.5)."""
        key = api_host(host).lower()
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                session = Session(
                    host, self._settings, self._meter, self._bandwidth, self._credentials, self._stop, self._paces
                )
                client = self._clients[key] = RegistryClient(session, self._push)
            return client

    def close(self) -> None:
        """Let go of every connection. The clients may be used again."""
        with self._lock:
            clients = list(self._clients.values())
        for client in clients:
            client.close()
        self.web.close()
