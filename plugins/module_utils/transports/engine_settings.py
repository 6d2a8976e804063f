# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may set about the container engine at one end: one immutable object."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..model.errors import MissingRequirement

DOCKER_DAEMON = "docker-daemon"
CONTAINERS_STORAGE = "containers-storage"
ENGINES = (DOCKER_DAEMON, CONTAINERS_STORAGE)
#: How messages call the engine behind each transport.
WORDS = {DOCKER_DAEMON: "the Docker daemon", CONTAINERS_STORAGE: "podman"}


def _no_podman() -> str:
    raise MissingRequirement("podman's API does not run here: start it with 'systemctl start podman.socket'")


@dataclass(frozen=True)
class EngineSettings:
    """The options of one end, as far as they matter to an engine."""

    #: Where its API is, such as ``unix:///run/docker.sock``; None for what the environment says, or the usual place.
    host: str | None = None
    validate_certs: bool = True
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    #: Seconds without any sign of life before the engine counts as stuck.
    timeout: float = 60.0
    #: Set when the task is told to stop.
    stop: threading.Event = field(default_factory=threading.Event)
    #: Starts podman's API and returns its URL; the same while that runs. Raises MissingRequirement, OciError.
    start_podman: Callable[[], str] = _no_podman
