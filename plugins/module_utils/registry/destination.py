# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a registry may send us: one rule for realms, Locations, Links and redirects, relative to it (section 3.2)."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Union
from urllib.parse import SplitResult, urlsplit

from ..model.errors import InvalidInput, NetworkError, RefusedTarget
from ..model.text import shown

if TYPE_CHECKING:
    from .settings import Settings

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Resolve = Callable[..., Sequence[tuple[Any, ...]]]

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 8 * 1024
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
# What inet_aton takes for an IPv4 address although it is no dotted quad: 2130706433, 0x7f.1, 127.1, 0177.0.0.1.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Nothing a registry may point at: unspecified, link-local (cloud metadata), multicast, reserved, and the metadata
# services that live at other addresses (AWS over IPv6, Azure, Alibaba, Oracle).
_NEVER = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254/128",
    )
)
_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))

#: Token servers of public registries that live on another host, and may have the credentials (3.2 part 4).
_REALMS = {
    "registry-1.docker.io": ("auth.docker.io",),
    "registry.gitlab.com": ("gitlab.com",),
    "registry.redhat.io": ("sso.redhat.com",),
    "registry.connect.redhat.com": ("registry.redhat.io", "sso.redhat.com"),
}


class Origin(NamedTuple):
    """Scheme, host and port of a URL, canonical: lower case, IPv6 without brackets, the port always given."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an absolute ``url``. Raises RefusedTarget when it has none, or one that is written to deceive:
        user information, other characters than visible ASCII, a zone id, an address that is not in its usual form."""
        return _origin(_split(url), url)

    @property
    def url(self) -> str:
        """``scheme://host[:port]``, the port left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def _split(url: str) -> SplitResult:
    if len(url) > _LONGEST_URL:
        raise RefusedTarget(f"a URL of {len(url)} characters, more than the {_LONGEST_URL} allowed")
    if _VISIBLE.fullmatch(url) is None or "\\" in url:
        raise RefusedTarget(f"'{shown(url, 200)}' is not a URL")
    try:
        return urlsplit(url)
    except ValueError:
        raise RefusedTarget(f"'{shown(url, 200)}' is not a URL") from None


def _origin(parts: SplitResult, url: str) -> Origin:
    if parts.scheme not in _PORTS:
        raise RefusedTarget(f"'{shown(url, 200)}' is neither an http nor an https URL")
    if "@" in parts.netloc:
        raise RefusedTarget(f"'{shown(url, 200)}' has user information in it")
    try:
        port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise RefusedTarget(f"'{shown(url, 200)}' has no valid port")
    host = _canonical(parts.hostname or "", parts.netloc.startswith("["))
    if host is None:
        raise RefusedTarget(f"'{shown(url, 200)}' has no valid host")
    return Origin(parts.scheme, host, port)


def _canonical(host: str, bracketed: bool) -> str | None:
    # None for what is no host. A name may end in the dot of the DNS root; it is the same name.
    if bracketed:
        try:
            return ipaddress.IPv6Address(host).compressed if "%" not in host else None
        except ValueError:
            return None
    if host.endswith("."):
        host = host[:-1]
    if len(host) > 253 or _NAME.fullmatch(host) is None or ".." in host:
        return None
    if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        literal = _literal(host)
        return host if literal is not None and str(literal) == host else None
    return host


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def same_origin(one: Origin | str, other: Origin | str) -> bool:
    """Whether scheme, host and port are the same: only then credentials and tokens go along (3.2 part 5)."""
    left = Origin.of(one) if isinstance(one, str) else one
    right = Origin.of(other) if isinstance(other, str) else other
    return left == right


def upgraded(registry: Origin, url: str) -> str:
    """``url``, or its https form where a registry behind a TLS proxy names itself by http (Harbor).

    Only for the registry's own host, and only on the port that the registry has or that http would have.
    """
    parts = _split(url)
    if parts.scheme != "http" or registry.scheme != "https":
        return url
    target = _origin(parts, url)
    if target.host != registry.host or target.port not in (80, registry.port):
        return url
    return registry.url + url[len("http://") + len(parts.netloc) :]


def origin_of_target(registry: Origin, url: str, kind: str) -> Origin:
    """`Origin.of` for a ``url`` that ``registry`` gave us as a ``kind``: the error says who sends us there."""
    try:
        return Origin.of(url)
    except RefusedTarget as exc:
        raise not_allowed(registry, kind, exc.message) from None


def not_allowed(registry: Origin, kind: str, why: str) -> RefusedTarget:
    """The error for a ``kind`` of ``registry`` that we do not follow."""
    return RefusedTarget(f"the registry {registry.url} sends us to a {kind} that is not allowed: {why}")


def check_target(
    registry: Origin,
    url: str,
    *,
    kind: str,
    proxied: bool = False,
    allow: Collection[str] = (),
    resolve: _Resolve = socket.getaddrinfo,
) -> Origin:
    """The origin of ``url``, to which ``registry`` points us, if we may go there (section 3.2, parts 1 to 3).

    ``kind`` (``redirect``, ``location``, ``link``, ``realm``) names it in messages; a ``link`` must stay at the
    registry's own origin. ``proxied``: a proxy does the lookup, so that only addresses written out can be checked.
    ``allow`` holds hosts (``host`` or ``host:port``) the user trusts wherever they are. ``resolve`` has the form of
    `socket.getaddrinfo`. Raises RefusedTarget; NetworkError when the host has no address.
    """
    target = origin_of_target(registry, url, kind)
    if target.scheme == "http" and registry.scheme != "http":
        raise not_allowed(registry, kind, f"{target.url} is plain HTTP, the registry is not")
    if kind == "link" and target != registry:
        raise not_allowed(registry, kind, f"{target.url} is another place")
    if target.host == registry.host or listed(target, allow):
        return target
    for address in _addresses(target, proxied, resolve):
        why = _refusal(address, registry, proxied, resolve)
        if why:
            raise not_allowed(registry, kind, f"{target.url} is {why}")
    return target


def check_address(
    registry: Origin,
    target: Origin,
    address: str,
    *,
    allow: Collection[str] = (),
    resolve: _Resolve = socket.getaddrinfo,
) -> None:
    """`check_target` for the peer ``address`` of an open connection: two look-ups of a name may differ."""
    peer = _literal(address.partition("%")[0])
    if target.host == registry.host or listed(target, allow) or peer is None:
        return
    why = _refusal(_embedded(peer), registry, False, resolve)
    if why:
        raise RefusedTarget(f"the registry {registry.url} sends us to {target.url}, which is {why}")


def listed(origin: Origin, hosts: Collection[str]) -> bool:
    """Whether ``hosts`` has the origin's ``host`` or ``host:port`` (IPv6 with or without brackets)."""
    bracketed = f"[{origin.host}]" if ":" in origin.host else origin.host
    names = {origin.host, bracketed, f"{bracketed}:{origin.port}"}
    return any(host.lower() in names for host in hosts)


def may_send_credentials(registry: Origin, realm: Origin, settings: Settings, first: Origin | None = None) -> bool:
    """Whether the token server ``realm`` may see the credentials for ``registry`` (section 3.2, part 4).

    ``first`` is the first realm that this registry named in this task, None if this is the first one. Policies:
    ``strict`` - the registry's own host, the built-in table and ``trusted_realms``; ``tls`` - also one other realm,
    if verified TLS says that it is the registry who names it; ``any`` - every realm that `check_target` lets through.
    """
    policy = settings.realm_policy
    if policy not in ("tls", "strict", "any"):
        raise InvalidInput(f"invalid realm_policy '{shown(policy, 40)}': tls, strict or any")
    if realm.scheme == "http" and registry.scheme != "http":
        return False
    if realm.host == registry.host or policy == "any" or listed(realm, settings.trusted_realms):
        return True
    if registry.scheme != "https":
        return False
    if realm.host in _REALMS.get(registry.host, ()):
        return True
    return policy == "tls" and settings.validate_certs and first in (None, realm)


def _refusal(address: _Address, registry: Origin, proxied: bool, resolve: _Resolve) -> str | None:
    # What is wrong with ``address`` as a target that the registry chose; None if nothing is.
    if any(address in network for network in _NEVER if network.version == address.version):
        return f"at {address}, a link-local, multicast, reserved or metadata address"
    if not address.is_loopback and address.is_global:
        return None
    try:
        own = _addresses(registry, proxied, resolve)
    except NetworkError:
        own = []
    if any(one.is_loopback for one in own):
        return None
    if address.is_loopback:
        return f"at {address}, this machine"
    if any(not one.is_global for one in own):
        return None
    return f"at {address}, a private address, while the registry is at a public one"


def _addresses(origin: Origin, proxied: bool, resolve: _Resolve) -> list[_Address]:
    if origin.host == "localhost" or origin.host.endswith(".localhost"):
        return [ipaddress.IPv4Address("127.0.0.1")]
    literal = _literal(origin.host)
    if literal is not None:
        return [_embedded(literal)]
    if proxied:
        return []
    if resolve is socket.getaddrinfo:
        return _LOOKUPS.addresses(origin)
    return _look_up(origin, resolve)


def _look_up(origin: Origin, resolve: _Resolve) -> list[_Address]:
    try:
        answers = resolve(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        transient = getattr(exc, "errno", None) == socket.EAI_AGAIN
        raise NetworkError(f"no address found for {origin.host}: {shown(exc, 120)}", transient=transient) from None
    found = (_literal(str(answer[4][0]).partition("%")[0]) for answer in answers)
    return [_embedded(one) for one in found if one is not None]


def _embedded(address: _Address) -> _Address:
    # The IPv4 address inside of a mapped, translated (NAT64), compatible or 6to4 IPv6 one.
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and int(address) > 1 and any(address in network for network in _EMBEDDING):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


class _Lookups:
    # Every blob redirect asks again for the same storage host; half a minute of memory spares the name server.

    def __init__(self, seconds: float = 30.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[float, list[_Address]]] = {}

    def addresses(self, origin: Origin) -> list[_Address]:
        key = (origin.host, origin.port)
        with self._lock:
            until, found = self._known.get(key, (0.0, []))
        if found and time.monotonic() < until:
            return found
        found = _look_up(origin, socket.getaddrinfo)
        with self._lock:
            if len(self._known) >= 256:
                self._known.clear()
            self._known[key] = (time.monotonic() + self._seconds, found)
        return found


_LOOKUPS = _Lookups()
