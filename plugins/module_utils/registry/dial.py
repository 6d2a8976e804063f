# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening connections: straight, through an HTTP proxy, through SOCKS; with TLS or without."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..model.errors import InvalidInput, MissingRequirement, NetworkError
from ..model.text import redact, shown
from .connection import Connection

if TYPE_CHECKING:
    from .destination import Origin

_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}


class ProxyError(NetworkError):
    """The proxy, not the registry, is what does not work."""


class Proxy:
    """One proxy, from its URL. User information in it goes to the proxy alone (4.3)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in _PROXY_PORTS or not parts.hostname or port == 0:
            raise InvalidInput(f"invalid proxy '{redact(url)}': expected http://host:port, https:// or socks5://")
        self.scheme = parts.scheme
        self.host = parts.hostname
        self.port = port or _PROXY_PORTS[parts.scheme]
        self.username = unquote(parts.username) if parts.username is not None else None
        self.password = unquote(parts.password or "") if parts.username is not None else None
        self.name = f"proxy {self.scheme}://{self.host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization``, if the proxy's URL names a user."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


def dial(
    origin: Origin,
    proxy: Proxy | None,
    context: ssl.SSLContext | None,
    proxy_context: Callable[[], ssl.SSLContext],
    timeout: float,
    check_peer: Callable[[str], None] | None = None,
    window: int | None = None,
) -> Any:
    """A connected socket to ``origin``, TLS included when ``context`` is given.

    ``check_peer`` is called with the address of a straight connection before a byte is sent, and may raise. ``window``:
    bytes that may wait to be read; None leaves that to the system.
    Raises OSError, ssl.SSLError, ProxyError.
    """
    if proxy is None:
        sock: Any = socket.create_connection((origin.host, origin.port), timeout)
    elif proxy.is_socks:
        sock = _through_socks(origin, proxy, timeout)
    else:
        sock = _to_proxy(proxy, proxy_context, timeout)
    try:
        if proxy is None and check_peer is not None:
            check_peer(str(sock.getpeername()[0]))
        # Requests are small and wait for answers: Nagle's algorithm would only delay them.
        if hasattr(sock, "setsockopt"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if window is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        if proxy is not None and not proxy.is_socks and context is not None:
            _tunnel(sock, origin, proxy, timeout)
        if context is None:
            return sock
        if isinstance(sock, ssl.SSLSocket):
            return _tls_in_tls(sock, context, origin.host)
        return context.wrap_socket(sock, server_hostname=origin.host)
    except BaseException:
        sock.close()
        raise


def _to_proxy(proxy: Proxy, proxy_context: Callable[[], ssl.SSLContext], timeout: float) -> Any:
    try:
        sock: Any = socket.create_connection((proxy.host, proxy.port), timeout)
        if proxy.scheme == "https":
            sock = proxy_context().wrap_socket(sock, server_hostname=proxy.host)
        return sock
    except OSError as exc:
        reason = shown(exc.strerror or exc, 160)
        raise ProxyError(f"the {proxy.name} cannot be reached: {reason}; check 'proxy'") from exc


def _tunnel(sock: Any, origin: Origin, proxy: Proxy, timeout: float) -> None:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    head = f"CONNECT {host}:{origin.port} HTTP/1.1\r\nHost: {host}:{origin.port}\r\n"
    if proxy.authorization:
        head += f"Proxy-Authorization: {proxy.authorization}\r\n"
    connection = Connection(sock, f"the {proxy.name}", timeout)
    connection.send((head + "\r\n").encode("ascii"))
    answer = connection.receive("CONNECT")
    answer.close()
    if answer.status // 100 != 2:
        way_out = "; give its user and password in 'proxy'" if answer.status == 407 else ""
        raise ProxyError(
            f"the {proxy.name} refused the way to {host}:{origin.port} with HTTP {answer.status} "
            f"{shown(answer.reason, 80)}{way_out}",
            transient=answer.status in (502, 503, 504),
            status_code=answer.status,
        )


def _tls_in_tls(sock: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> Any:
    try:
        from urllib3.util.ssltransport import SSLTransport
    except ImportError:
        raise MissingRequirement("an https:// proxy needs the Python library urllib3") from None
    return SSLTransport(sock, context, server_hostname=host)


def _through_socks(origin: Origin, proxy: Proxy, timeout: float) -> Any:
    try:
        import socks
    except ImportError:
        raise MissingRequirement(f"the {proxy.name} needs the Python library PySocks") from None
    kind = socks.PROXY_TYPE_SOCKS5 if proxy.scheme.startswith("socks5") else socks.PROXY_TYPE_SOCKS4
    try:
        return socks.create_connection(
            (origin.host, origin.port),
            timeout,
            None,
            kind,
            proxy.host,
            proxy.port,
            proxy.scheme in ("socks5h", "socks4a"),
            proxy.username,
            proxy.password,
        )
    except (OSError, socks.ProxyError) as exc:
        raise ProxyError(f"the {proxy.name} did not connect us to {origin.host}: {shown(exc, 160)}") from exc
