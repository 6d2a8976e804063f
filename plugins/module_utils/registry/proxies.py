# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which proxy a URL is fetched through: the one given, or the environment's with its exceptions (section 4.3)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..model.errors import InvalidInput
from .destination import Origin

_KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_SEPARATORS = re.compile(r"[\s,]+")
_WITH_PORT = re.compile(r"(.+?):([0-9]{1,5})")


def proxy_for(url: str, explicit: str | None, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for ``url``, or None for none.

    ``explicit`` is the user's for everything, whatever the environment says; '' is none at all. Without it counts
    ``<scheme>_proxy``, then ``all_proxy``, in lower case before upper case, unless ``no_proxy`` has the host.
    Raises InvalidInput for a proxy that is no URL we can use; the message does not hold its credentials.
    """
    if explicit is not None:
        return _checked(explicit, "proxy") if explicit else None
    origin = Origin.of(url)
    name = f"{origin.scheme}_proxy"
    proxy = _variable(environ, name)
    if proxy is None:
        name = "all_proxy"
        proxy = _variable(environ, name)
    if not proxy or excepted(origin, _variable(environ, "no_proxy") or ""):
        return None
    return _checked(proxy, name)


def excepted(origin: Origin, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names the origin.

    Entries, separated by commas or blanks: ``*``; a host, which means its subdomains too, with or without a leading
    dot; an address; a network in CIDR form. Each may have a ``:port``. IPv6 addresses may be in brackets.
    """
    return any(_matches(origin, entry.lower()) for entry in _SEPARATORS.split(no_proxy) if entry)


def without_credentials(proxy: str) -> str:
    """A proxy's URL as it may be shown."""
    scheme, separator, rest = proxy.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    if name in environ:
        return environ[name].strip()
    # Under CGI a request's "Proxy:" header arrives as HTTP_PROXY.
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        return None
    value = environ.get(name.upper())
    return value.strip() if value is not None else None


def _checked(proxy: str, name: str) -> str:
    full = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(full)
        port_is_valid = parts.port != 0
    except ValueError:
        raise InvalidInput(f"{name} is not the URL of a proxy: {without_credentials(full)}") from None
    if parts.scheme not in _KINDS or not parts.hostname or not port_is_valid or _SEPARATORS.search(full):
        known = ", ".join(_KINDS)
        raise InvalidInput(f"{name} is not the URL of a proxy: {without_credentials(full)}; known are {known}")
    return full


def _matches(origin: Origin, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
            return ipaddress.ip_address(origin.host) in network
        except ValueError:
            return False
    name, port = entry, ""
    # A bare IPv6 address has colons of its own, and no port.
    with_port = _WITH_PORT.fullmatch(entry)
    if with_port and (entry.startswith("[") or entry.count(":") == 1):
        name, port = with_port.groups()
        if entry.startswith("[") and not name.endswith("]"):
            name, port = entry, ""
    if port and int(port) != origin.port:
        return False
    name = name.strip("[]") if name.startswith("[") else name
    try:
        return ipaddress.ip_address(origin.host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    name = name[1:] if name.startswith("*.") else name
    name = name.strip(".")
    return bool(name) and (origin.host == name or origin.host.endswith("." + name))
