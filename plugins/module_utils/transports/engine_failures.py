# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with a container engine, in one sentence that says what to do."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator

from ..model.errors import NetworkError, OciError, StorageError, TlsError
from ..model.text import shown
from ..registry.failures import network_error
from .engine_settings import CONTAINERS_STORAGE, WORDS

_DEPTH = 12
#: What the standard library raises; the libraries above it have classes of these names too.
_PLAIN = (ConnectionError, TimeoutError, socket.timeout, http.client.HTTPException)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
#: What Go's server says to plain HTTP where it speaks TLS.
_PLAIN_TO_TLS = "HTTP request to an HTTPS server"


def failure(exc: BaseException, transport: str, url: str) -> OciError:
    """``exc``, raised by the docker package or below it in talking to the engine of ``transport`` at ``url``."""
    if isinstance(exc, OciError):
        return exc
    name = f"{WORDS[transport]} at {shown(url, 200)}"
    root = _root(exc)
    if isinstance(root, ssl.SSLError) and any(reason in str(root.reason or root) for reason in _NO_TLS):
        return TlsError(f"{name} does not speak TLS on this port; for plain HTTP write the host as http://HOST:PORT")
    if isinstance(root, ssl.SSLError):
        return network_error(root, name)
    if isinstance(root, FileNotFoundError):
        return NetworkError(f"there is no socket {shown(url, 200)}: {_start(transport)}", transient=False)
    if isinstance(root, PermissionError):
        group = "" if transport == CONTAINERS_STORAGE else " or as a member of the group docker"
        return NetworkError(f"no permission to use {shown(url, 200)}: run the task as root (become){group}", transient=False)
    if isinstance(root, ConnectionRefusedError):
        return NetworkError(f"nothing listens at {shown(url, 200)}: {_start(transport)}")
    if isinstance(root, OSError) and root.errno == errno.ENAMETOOLONG or "AF_UNIX path too long" in str(exc):
        return NetworkError(f"the path of the socket {shown(url, 200)} is too long: 107 bytes are allowed", transient=False)
    if root is None and any("Timeout" in type(one).__name__ for one in _chain(exc, 0)):
        root = socket.timeout()
    if url.startswith("ssh://"):
        return NetworkError(
            f"{name} cannot be reached: check that 'ssh' logs in there without a question, and that docker is there"
            f" ({shown(root or exc, 120)})",
            transient=False,
        )
    if root is not None:
        return network_error(root, name)
    return NetworkError(f"{name} cannot be reached: {shown(exc, 200)}")


def _start(transport: str) -> str:
    if transport == CONTAINERS_STORAGE:
        return "start podman's API (systemctl start podman.socket), or leave the host out so that it is started for the task"
    return "start docker, or name the host of its API (daemon_host, DOCKER_HOST)"


def refusal(status: int, message: str, transport: str, what: str) -> OciError:
    """The answer ``status`` with the engine's words ``message`` to the request to do ``what`` (``load IMAGE``)."""
    words = WORDS[transport]
    if _PLAIN_TO_TLS in message:
        return TlsError(f"{words} speaks TLS on this port: write the host as https://HOST:PORT and give 'ca_path'")
    if "no space left on device" in message or "disk quota exceeded" in message:
        return StorageError(f"{words} cannot {what}: no space is left where it keeps its images")
    if status in (401, 403):
        return OciError(f"{words} does not allow to {what}: {shown(message, 300)}", status_code=status)
    return OciError(f"{words} cannot {what}: {shown(message, 300)}", status_code=status)


def _root(exc: BaseException) -> BaseException | None:
    """The error of the system behind ``exc``: the HTTP libraries wrap it in several of their own."""
    found: BaseException | None = None
    for one in _chain(exc, 0):
        if isinstance(one, ssl.SSLError):
            return one
        if isinstance(one, _PLAIN) or (isinstance(one, OSError) and one.errno is not None):
            found = one
    return found


def _chain(exc: BaseException, depth: int) -> Iterator[BaseException]:
    yield exc
    if depth < _DEPTH:
        inner = [*exc.args, getattr(exc, "reason", None), exc.__cause__, exc.__context__]
        for one in inner:
            if isinstance(one, BaseException) and one is not exc:
                yield from _chain(one, depth + 1)
