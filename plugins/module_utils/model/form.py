# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form a user wants an image in: OCI's or Docker's media types, and how its layers are compressed."""

from __future__ import annotations

from dataclasses import dataclass

from . import media_types
from .descriptor import Descriptor
from .digest import Digest
from .errors import InvalidInput
from .manifest import Manifest

OCI, DOCKER = "oci", "docker"
GZIP, ZSTD, NONE = "gzip", "zstd", "none"

#: The levels that each compression has, and the one it has without a wish.
LEVELS = {GZIP: (1, 9), ZSTD: (1, 22)}
DEFAULTS = {GZIP: 6, ZSTD: 3, NONE: 0}

#: Layers that a conversion knows: the family of media types they belong to and how they are compressed.
LAYERS = {
    media_types.OCI_LAYER: (OCI, NONE),
    media_types.OCI_LAYER_GZIP: (OCI, GZIP),
    media_types.OCI_LAYER_ZSTD: (OCI, ZSTD),
    media_types.DOCKER_LAYER: (DOCKER, NONE),
    media_types.DOCKER_LAYER_GZIP: (DOCKER, GZIP),
    media_types.DOCKER_LAYER_ZSTD: (DOCKER, ZSTD),
}


@dataclass(frozen=True)
class Change:
    """How the bytes of a layer are to change. ``diff_id`` is the digest of its content without any compression."""

    kind: str
    level: int
    diff_id: Digest


@dataclass(frozen=True)
class Blob:
    """What a layer became: digest and size in bytes of its new content."""

    digest: Digest
    size: int


@dataclass(frozen=True)
class Form:
    """What a conversion is to lead to; an empty one leaves everything as it is.

    ``format`` is one of `OCI`, `DOCKER` and '', ``compression`` one of `GZIP`, `ZSTD`, `NONE` and ''. Raises
    InvalidInput for what cannot be had.
    """

    format: str = ""
    compression: str = ""
    level: int | None = None

    def __post_init__(self) -> None:
        if self.format == DOCKER and self.compression == ZSTD:
            raise InvalidInput("format docker has no layers compressed with zstd: use format oci, or compression gzip")
        if self.level is not None:
            if self.compression not in LEVELS:
                raise InvalidInput("compression_level goes with compression gzip or zstd")
            low, high = LEVELS[self.compression]
            if not low <= self.level <= high:
                raise InvalidInput(f"compression_level {self.level}: {self.compression} has levels {low} to {high}")

    def __bool__(self) -> bool:
        return bool(self.format or self.compression)

    def change(self, diff_id: Digest) -> Change:
        """What is to happen to a layer whose content has ``diff_id``."""
        return Change(self.compression, DEFAULTS[self.compression] if self.level is None else self.level, diff_id)

    def recompresses(self, layer: Descriptor) -> bool:
        """Whether the bytes of ``layer``, one of an image, have to change. What has the kind wanted keeps its bytes,
        whatever its level is, and so do foreign layers and what is no layer of a file system."""
        known = LAYERS.get(layer.media_type)
        return bool(self.compression) and known is not None and known[1] != self.compression

    def positions(self, manifest: Manifest) -> tuple[int, ...]:
        """The positions of the layers of ``manifest`` whose bytes have to change; () for what is no image."""
        if not manifest.is_image:
            return ()
        return tuple(number for number, layer in enumerate(manifest.layers) if self.recompresses(layer))

    def __str__(self) -> str:
        return " and ".join(part for part in (self.format, self.compression) if part)
