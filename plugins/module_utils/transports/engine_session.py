# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of the docker package: HTTP over a unix socket, TCP, TLS or ssh. Only its way to the engine is used."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
import warnings
from typing import Any

from ..model.errors import InvalidInput, MissingRequirement
from ..model.text import shown
from .engine_address import Address
from .engine_settings import WORDS

# No request is made to find out which version to speak: paths without one are every engine's.
_VERSION = "1.41"


def open_session(address: Address, transport: str, timeout: float | None) -> Any:
    """A requests.Session whose ``base_url`` is the engine's. Nothing is sent yet, except that ssh connects.

    ``timeout``: seconds for each step of a request, None for ever. Raises MissingRequirement without the docker package,
    or paramiko for ssh, InvalidInput for TLS files that cannot be used, and what the docker package raises.
    """
    try:
        with warnings.catch_warnings():
            # What old releases import is deprecated in new Pythons.
            warnings.simplefilter("ignore")
            import docker
            from docker.errors import TLSParameterError
            from docker.tls import TLSConfig
    except ImportError:
        raise MissingRequirement(
            f"{WORDS[transport]} can only be reached with the Python package docker, which is not installed"
        ) from None
    scheme, unused, place = address.url.partition("://")
    if scheme == "ssh":
        _need_paramiko()
    try:
        tls: Any = False
        seconds: Any = timeout
        if address.tls is not None:
            authorities = (address.tls.ca or _of_the_system()) if address.tls.verify else None
            tls = TLSConfig(client_cert=address.tls.certificate, ca_cert=authorities, verify=address.tls.verify)
        session = docker.APIClient(
            base_url=address.url,
            version=_VERSION,
            timeout=seconds,
            tls=tls,
            # The system's ssh knows the user's keys, agent and configuration.
            use_ssh_client=scheme == "ssh" and shutil.which("ssh") is not None,
        )
    except TLSParameterError as exc:
        raise InvalidInput(f"the TLS files for {shown(address.url, 200)} cannot be used: {shown(exc, 200)}") from None
    # No proxy and no .netrc: what the environment says of those is about the web.
    session.trust_env = False
    return session


def _of_the_system() -> str | None:
    """Where the system has its authorities: the libraries bring a list of their own instead."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath


def _need_paramiko() -> None:
    # The docker package reaches hosts over ssh only where it is installed, even by the system's ssh.
    if importlib.util.find_spec("paramiko") is None:
        raise MissingRequirement(
            "the Docker daemon can only be reached over ssh with the Python package paramiko, which is not installed"
        )
