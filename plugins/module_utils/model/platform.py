# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Platforms: parse, normalise, match (image-spec image-index.md, "platform")."""

from __future__ import annotations

import platform as _host
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InvalidInput
from .text import sanitise

_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64el": ("ppc64le", ""),
}
_SYSTEMS = {"macos": "darwin"}
#: The variant that an architecture has when it names none.
_IMPLIED = {"amd64": "v1", "arm64": "v8", "arm": "v7"}


@dataclass(frozen=True)
class Platform:
    """``os/architecture[/variant][:os_version]``, normalised: amd64/v1 and arm64/v8 are written without variant."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform written as ``text``, or ``local`` for that of this machine. Raises InvalidInput."""
        if text == "local":
            return cls.local()
        base, unused, os_version = text.partition(":")
        parts = base.split("/")
        if not 2 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidInput(
                f"invalid platform '{sanitise(text, 80)}': expected os/architecture[/variant], such as linux/amd64"
            )
        return cls.of(parts[0], parts[1], parts[2] if len(parts) == 3 else "", os_version)

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "", os_version: str = "") -> Platform:
        """A normalised platform out of the fields of a descriptor or an image config."""
        os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
        os = _SYSTEMS.get(os, os)
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = variant or implied
        if variant and variant[0].isdigit():
            variant = "v" + variant
        if architecture in ("amd64", "arm64") and variant == _IMPLIED[architecture]:
            variant = ""
        return cls(os, architecture, variant, os_version)

    @classmethod
    def from_json(cls, value: Any) -> Platform | None:
        """The ``platform`` object of a descriptor or the head of an image config; None if it names none."""
        if not isinstance(value, dict):
            return None
        fields = [value.get(key) or "" for key in ("os", "architecture", "variant", "os.version")]
        if not all(isinstance(field, str) for field in fields) or not (fields[0] and fields[1]):
            return None
        return cls.of(*fields)

    @classmethod
    def local(cls) -> Platform:
        """The platform whose images this machine runs: Linux ones on every system."""
        return cls.of("linux", _host.machine() or "amd64")

    @property
    def is_unknown(self) -> bool:
        """Whether this marks an entry that runs nowhere, as build attestations do."""
        return self.os == "unknown" and self.architecture == "unknown"

    def accepts(self, other: Platform) -> bool:
        """Whether an image for ``other`` is meant by this wish: fields that the wish leaves out accept anything."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        if self.variant and self._variant() != other._variant():
            return False
        return not self.os_version or self.os_version == other.os_version

    def best(self, offers: Sequence[Platform | None]) -> int | None:
        """The index in ``offers`` of what this platform would run: its own variant, else the most capable lower one."""
        own = _level(self._variant())
        ranked = []
        for index, offer in enumerate(offers):
            if offer is None or (self.os, self.architecture) != (offer.os, offer.architecture):
                continue
            if self.os_version and offer.os_version != self.os_version:
                continue
            level = _level(offer._variant())
            if level <= own or not self.variant:
                # Without a wish the implied variant comes first, then the more capable, then the order in the index.
                ranked.append((level == own, level, -index, index))
        return max(ranked)[3] if ranked else None

    def _variant(self) -> str:
        return self.variant or _IMPLIED.get(self.architecture, "")

    def to_json(self) -> dict[str, str]:
        """As the ``platform`` object of a descriptor."""
        fields = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            fields["os.version"] = self.os_version
        if self.variant:
            fields["variant"] = self.variant
        return fields

    def __str__(self) -> str:
        text = f"{self.os}/{self.architecture}"
        if self.variant:
            text += f"/{self.variant}"
        return f"{text}:{self.os_version}" if self.os_version else text


def _level(variant: str) -> int:
    digits = variant[1:].split(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
