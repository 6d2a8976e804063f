# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API of a container engine is, out of the options, the environment and the usual places."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model.errors import InvalidInput
from ..model.text import sanitise
from .engine_settings import CONTAINERS_STORAGE, EngineSettings

_TLS_PORT, _PLAIN_PORT = 2376, 2375
_NETWORK = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_SSH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?/?")
#: Seconds that a socket in a usual place may take to accept.
_KNOCK = 5.0


@dataclass(frozen=True)
class Tls:
    """How to speak TLS: files in PEM form, None for the system's authorities and for no certificate of our own."""

    verify: bool = True
    ca: str | None = None
    certificate: tuple[str, str] | None = None


@dataclass(frozen=True)
class Address:
    """``url`` as the user would write it: ``unix://PATH``, ``tcp://HOST:PORT`` or ``ssh://[USER@]HOST[:PORT]``."""

    url: str
    tls: Tls | None = None


def find(transport: str, settings: EngineSettings, environment: Mapping[str, str]) -> Address:
    """The address of the engine of ``transport``; starts podman's API where it is not running.

    Raises InvalidInput for a host that cannot be meant, MissingRequirement and OciError where podman cannot be started.
    """
    if transport == CONTAINERS_STORAGE:
        host = settings.host or environment.get("CONTAINER_HOST")
        return _parse(host, transport, settings, environment) if host else Address(_podman(settings, environment))
    host = settings.host or environment.get("DOCKER_HOST")
    if host:
        return _parse(host, transport, settings, environment)
    places = ["/var/run/docker.sock", *_of_the_user(environment, "docker.sock")]
    return Address(f"unix://{next(filter(os.path.exists, places), places[0])}")


def _podman(settings: EngineSettings, environment: Mapping[str, str]) -> str:
    own = _of_the_user(environment, "podman/podman.sock")
    place = _answering(["/run/podman/podman.sock"] if os.geteuid() == 0 else own)
    return f"unix://{place}" if place else settings.start_podman()


def _of_the_user(environment: Mapping[str, str], name: str) -> list[str]:
    runtime = environment.get("XDG_RUNTIME_DIR")
    return [os.path.join(runtime, name)] if runtime else []


def _answering(places: Sequence[str]) -> str | None:
    """The first socket on which something listens: the file stays when whatever listened ends."""
    for place in places:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(_KNOCK)
            try:
                knock.connect(place)
            except OSError:
                continue
            return place
    return None


def _parse(host: str, transport: str, settings: EngineSettings, environment: Mapping[str, str]) -> Address:
    scheme, separator, rest = host.partition("://")
    if separator and scheme == "unix" and rest.startswith("/"):
        return Address(host)
    if separator and scheme == "ssh" and transport == CONTAINERS_STORAGE:
        raise InvalidInput("podman's API is not reached over ssh: run the task on the host that podman is on")
    if separator and scheme == "ssh" and _SSH.fullmatch(rest):
        return Address(host.rstrip("/"))
    network = _NETWORK.fullmatch(rest) if separator and scheme in ("tcp", "http", "https") else None
    if network is None:
        # Not shown: what is neither may hold a password.
        raise InvalidInput(
            "the host of a container engine is written unix:///run/docker.sock, tcp://HOST:PORT, https://HOST:PORT or"
            f" ssh://USER@HOST, and not '{sanitise(scheme, 20)}{separator}...'"
        )
    name, port = network.group(1), int(network.group(2) or 0)
    tls = _tls(settings, environment) if scheme != "http" else None
    if scheme == "tcp" and port != _TLS_PORT and not environment.get("DOCKER_TLS_VERIFY"):
        # As docker has it: tcp:// is plain unless something speaks of certificates.
        tls = tls if tls and (tls.ca or tls.certificate) else None
    return Address(f"tcp://{name}:{port or (_TLS_PORT if tls else _PLAIN_PORT)}", tls)


def _tls(settings: EngineSettings, environment: Mapping[str, str]) -> Tls:
    folder = environment.get("DOCKER_CERT_PATH")
    if not folder and environment.get("DOCKER_TLS_VERIFY"):
        folder = os.path.join(os.path.expanduser("~"), ".docker")
    usual = {name: _existing(folder, f"{name}.pem") for name in ("ca", "cert", "key")}
    for path in (settings.ca_path, settings.client_cert, settings.client_key):
        if path and not os.path.exists(path):
            raise InvalidInput(f"the file {sanitise(path, 300)} does not exist on the host that runs this task")
    certificate = None
    if settings.client_cert:
        # One file may hold both.
        certificate = (settings.client_cert, settings.client_key or settings.client_cert)
    elif usual["cert"] and usual["key"]:
        certificate = (usual["cert"], usual["key"])
    return Tls(settings.validate_certs, settings.ca_path or usual["ca"], certificate)


def _existing(folder: str | None, name: str) -> str | None:
    path = os.path.join(folder, name) if folder else ""
    return path if path and os.path.exists(path) else None
