# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an image lives: a transport and its details, in skopeo's syntax. A bare name is ``docker://``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .errors import InvalidInput
from .reference import Reference
from .text import redact, sanitise

DOCKER = "docker"
#: Transports whose location is a URL; the name of an image stands behind '#' there, and is never sent.
URLS = frozenset(("http", "https", "s3"))
_SCHEME = re.compile(r"([a-z][a-z0-9-]*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """``transport`` is a name of the transports' table (``docker``, ``oci``, ...), ``details`` what follows it."""

    transport: str
    details: str

    @classmethod
    def parse(cls, text: str, transports: Collection[str]) -> Location:
        """The location written as ``text``; ``transports`` are the names that exist. Raises InvalidInput."""
        match = _SCHEME.fullmatch(text)
        if match:
            name, rest = match.groups()
            if name == DOCKER and rest.startswith("//"):
                return cls(DOCKER, rest[2:])
            if name in URLS:
                # http:2 may well be an image on Docker Hub.
                if name in transports and rest.startswith("//"):
                    return cls(name, rest)
                return cls(DOCKER, text)
            if name in transports and name != DOCKER:
                if not rest:
                    raise InvalidInput(f"'{sanitise(text)}' names no place after '{name}:'")
                return cls(name, rest)
            if rest.startswith(("/", "./", "../", "~")):
                known = ", ".join(f"{one}:" if one != DOCKER else "docker://" for one in sorted(transports))
                raise InvalidInput(
                    f"unknown transport '{sanitise(name, 40)}:' in '{sanitise(text)}': known are {known}"
                )
        return cls(DOCKER, text)

    def reference(self) -> Reference:
        """The details as a reference. Raises InvalidReference."""
        return Reference.parse(self.details)

    def path_and_rest(self) -> tuple[str, str, int | None]:
        """Path, image name ('' if none) and source index (None if none) of ``path[:name|@index]`` / ``path:@index``.

        Of ``URL[#name|#@index]`` the first is the whole URL, its scheme included.
        """
        path, joint, name = self.details.partition(self.joint)
        if not (path.lstrip("/") if self.is_url else path):
            raise InvalidInput(f"'{sanitise(str(self))}' names no {'host' if self.is_url else 'path'}")
        if self.is_url:
            path = f"{self.transport}:{path}"
        if name.startswith("@"):
            if not (name.isascii() and name[1:].isdigit() and len(name) < 20):
                raise InvalidInput(
                    f"'{sanitise(str(self))}': after '@' comes the number of an image in the archive, starting at 0"
                )
            return path, "", int(name[1:])
        if joint and not name:
            raise InvalidInput(f"'{sanitise(str(self))}' ends in '{joint}' without a name")
        return path, name, None

    @property
    def is_url(self) -> bool:
        """Whether the place is reached over a network by its URL."""
        return self.transport in URLS

    @property
    def joint(self) -> str:
        """What stands between the place and the name of an image in it."""
        return "#" if self.is_url else ":"

    def named(self, name: str) -> Location:
        """The image ``name`` at this place, which has none yet."""
        return Location(self.transport, f"{self.details}{self.joint}{name}")

    def __str__(self) -> str:
        """As it may be shown: the query of a URL, which may be signed, is left out."""
        if self.transport == DOCKER:
            return f"docker://{self.details}"
        whole = f"{self.transport}:{self.details}"
        return redact(whole) if self.is_url else whole
