# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image references: ``[host[:port]/]path[:tag][@digest]`` (rules R1.1-R1.9; distribution's reference grammar)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from .digest import Digest
from .errors import InvalidDigest, InvalidReference
from .text import sanitise

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io"})

# R1.1: explicit ASCII classes and fullmatch; `$`, `\w` and `\d` all accept more than the grammar.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST_SHAPE = re.compile(_HOST)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_tag(text: object) -> bool:
    """Whether ``text`` is a valid tag: also for what a server sent (R1.9)."""
    return isinstance(text, str) and _TAG.fullmatch(text) is not None


def check_tag(text: str) -> str:
    """``text`` if it is a valid tag. Raises InvalidReference."""
    if not is_tag(text):
        raise InvalidReference(
            f"invalid tag '{sanitise(text, 140)}': letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'"
        )
    return text


def check_repository(text: str) -> str:
    """``text`` if it is a valid repository path (without a host). Raises InvalidReference."""
    if _PATH.fullmatch(text) is None or len(text) > 255:
        raise InvalidReference(_why_not_a_path(text))
    return text


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InvalidDigest:
        return False
    return True


def _why_not_a_path(path: str) -> str:
    shown = sanitise(path, 140)
    if len(path) > 255:
        return f"invalid repository name '{shown}': longer than 255 characters"
    if _PATH.fullmatch(path.lower()):
        return f"invalid repository name '{shown}': it must be lower case"
    return f"invalid repository name '{shown}': lower-case letters and digits, separated by '/', '.', '_', '__' or '-'"


def _check_host(host: str) -> None:
    # R1.8: what the grammar lets through and no registry can have.
    name, port = host, ""
    if host.startswith("["):
        name, bracket, port = host.partition("]")
        name, port = name[1:], port.lstrip(":")
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            raise InvalidReference(f"invalid registry host '{sanitise(host, 140)}': not an IPv6 address") from None
    elif ":" in host:
        name, unused, port = host.rpartition(":")
    if port and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise InvalidReference(f"invalid registry host '{sanitise(host, 140)}': the port must be 1 to 65535")
    octets = name.split(".")
    if len(octets) == 4 and all(part.isdigit() for part in octets):
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise InvalidReference(f"invalid registry host '{sanitise(host, 140)}': not an IPv4 address") from None


@dataclass(frozen=True)
class Reference:
    """A repository on a registry, and optionally a tag and a digest. Both together mean: fetch by digest, keep the tag (R1.6)."""

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference in ``text``, normalised as docker does (R1.3, R1.4) but with no default tag. Raises InvalidReference."""
        shown = sanitise(text, 300)
        if not text:
            raise InvalidReference("an empty image reference: expected [host[:port]/]repository[:tag][@digest]")
        if _SCHEME.match(text):
            raise InvalidReference(
                f"invalid image reference '{shown}': leave out the scheme; plain HTTP is asked for with plain_http"
            )
        rest, at, digest_text = text.partition("@")
        digest = None
        if at:
            if "/" in digest_text:
                raise InvalidReference(
                    "invalid image reference: credentials do not belong in it; use username and password"
                )
            try:
                digest = Digest.parse(digest_text)
            except InvalidDigest as exc:
                raise InvalidReference(f"invalid image reference '{shown}': {exc.message}") from None
        if rest == text and _is_digest(text):
            raise InvalidReference(f"invalid image reference '{shown}': a digest alone does not say of which repository")
        if _IMAGE_ID.fullmatch(rest):
            raise InvalidReference(
                f"invalid image reference '{shown}': 64 hex characters are an image ID, not a repository"
            )
        name, tag = rest, None
        slash = rest.rfind("/")
        colon = rest.rfind(":")
        if colon > slash:
            name, tag = rest[:colon], rest[colon + 1 :]
        try:
            host, path = _split_host(name)
            if host == DOCKER_HUB and "/" not in path:
                path = "library/" + path
            if _HOST_SHAPE.fullmatch(host) is None:
                raise InvalidReference(f"invalid registry host '{sanitise(host, 140)}'")
            _check_host(host)
            check_repository(path)
            if tag is not None:
                check_tag(tag)
        except InvalidReference as exc:
            raise InvalidReference(f"invalid image reference '{shown}': {exc.message}") from None
        return cls(host, path, tag, digest)

    def with_default_tag(self) -> Reference:
        """With ``latest`` where neither tag nor digest is given."""
        return self if self.tag or self.digest else replace(self, tag="latest")

    def with_tag(self, tag: str) -> Reference:
        """The same repository with ``tag`` and no digest."""
        return Reference(self.host, self.repository, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository with ``digest`` and no tag."""
        return Reference(self.host, self.repository, None, digest)

    @property
    def name(self) -> str:
        """``host/repository``, without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def target(self) -> str:
        """What a manifest request asks for: the digest if there is one (R1.6), else the tag, else ``latest``."""
        return str(self.digest) if self.digest else self.tag or "latest"

    @property
    def familiar(self) -> str:
        """As docker shows it: without what Docker Hub's images have by default (R1.3, R1.4)."""
        name = self.name
        if self.host == DOCKER_HUB:
            first, unused, rest = self.repository.partition("/")
            name = rest if first == "library" and "/" not in rest else self.repository
            # Short as it is, it must still be read as a repository of Docker Hub.
            if _IMAGE_ID.fullmatch(name) or _split_host(name) != (DOCKER_HUB, name):
                name = self.name
        return f"{name}{str(self)[len(self.name) :]}"

    def is_same_image(self, other: Reference) -> bool:
        """Whether both stand for one image. A digest says so, whatever the tag beside it; without one the tags must agree."""
        if (self.host.lower(), self.repository) != (other.host.lower(), other.repository):
            return False
        return self.with_default_tag().target == other.with_default_tag().target

    @property
    def api_host(self) -> str:
        """The host that speaks the API for this reference (R1.5)."""
        return api_host(self.host)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def api_host(host: str) -> str:
    """The API host of a registry: Docker Hub's lives elsewhere than its name says (R1.5)."""
    return "registry-1.docker.io" if host.lower() in _HUB_NAMES else host


def looks_like_host(text: str) -> bool:
    """Whether ``text`` has no '/' but reads like ``host:port`` (R1.3: it is a Docker Hub repository all the same)."""
    name, unused, port = text.partition(":")
    return "/" not in text and (name == "localhost" or "." in name) and port.isdigit()


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host, path = (first, rest) if is_host else (DOCKER_HUB, name)
    return (DOCKER_HUB, path) if host in _HUB_NAMES else (host, path)
