# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into an index file, found out from the manifests of an archive or a layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidManifest
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.manifest import AnyManifest, Manifest
from . import layout_index
from .image_list import Earlier, ImageList, ListedBlob, ListedImage, ListedPlatform

#: The manifest that a descriptor names, None if it is not there or is none.
Find = Callable[[Descriptor], "AnyManifest | None"]
#: The bytes of a config, None if it is not there.
ReadConfig = Callable[[Descriptor], "bytes | None"]
Holds = Callable[[Descriptor], bool]
_DEPTH = 3


@dataclass
class _Parts:
    """What one manifest comes to, with all below it."""

    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    #: Each once, in their order.
    platforms: dict[ListedPlatform, None] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs.values())


def survey(
    entries: Iterable[Descriptor], find: Find, read: ReadConfig, holds: Holds, earlier: Earlier | None = None
) -> ImageList:
    """The list of what ``entries``, those of an index.json, name.

    ``holds`` tells which blobs are there; one that is not counts for the list if ``earlier`` has it.
    """
    names: dict[Digest, dict[str, None]] = {}
    parts: dict[Digest, _Parts] = {}
    surveyor = _Surveyor(find, read)
    media_types: dict[Digest, str] = {}
    for entry in entries:
        if entry.digest not in parts:
            manifest = find(entry)
            if manifest is None:
                continue
            parts[entry.digest] = surveyor.parts(entry, manifest)
        name = layout_index.name_of(entry)
        if name is not None or layout_index.is_image(entry):
            media_types.setdefault(entry.digest, entry.media_type)
            names.setdefault(entry.digest, {}).update({name: None} if name is not None else {})
    images = tuple(
        ListedImage(digest, tuple(those), media_types[digest], parts[digest].size, tuple(parts[digest].platforms))
        for digest, those in names.items()
    )
    numbers = {image.digest: number for number, image in enumerate(images)}
    blobs: dict[Digest, Descriptor] = {}
    holders: dict[Digest, list[int]] = {}
    for digest, one in parts.items():
        for blob in one.blobs.values():
            blobs.setdefault(blob.digest, blob)
            # What refers to an image has no name, and no number.
            holders.setdefault(blob.digest, []).extend([numbers[digest]] if digest in numbers else [])
    held = {blob.digest: ListedBlob(blob.digest, blob.size, tuple(holders[blob.digest])) for blob in blobs.values() if holds(blob)}
    if earlier is None:
        return ImageList(images, held)
    presumed = {digest: earlier.blobs[digest] for digest in blobs if digest not in held and digest in earlier.blobs}
    return ImageList(images, held, Earlier(earlier.images, presumed))


@dataclass
class _Image:
    """What is known of one image manifest, whoever lists it."""

    digest: Digest
    blobs: dict[Digest, Descriptor]
    #: Bytes of the blobs.
    size: int
    #: None for an artifact.
    config: Descriptor | None
    #: What its config says, '' for nothing; None as long as nobody wanted to know.
    platform: str | None = None


class _Surveyor:
    """Looks at each manifest once, however many indexes list it and however often: small indexes can list very much."""

    def __init__(self, find: Find, read: ReadConfig) -> None:
        self._find = find
        self._read = read
        self._known: dict[tuple[Digest, int], _Image | _Parts | None] = {}

    def parts(self, entry: Descriptor, manifest: AnyManifest) -> _Parts:
        """What ``manifest``, which ``entry`` names, comes to."""
        return self._as_listed(entry, self._look(manifest, 0))

    def _as_listed(self, entry: Descriptor, found: _Image | _Parts) -> _Parts:
        if isinstance(found, _Parts):
            return found
        parts = _Parts(found.blobs)
        platform = str(entry.platform) if entry.platform is not None else self._own_platform(found)
        if platform:
            parts.platforms[ListedPlatform(platform, found.digest, found.size)] = None
        return parts

    def _look(self, manifest: AnyManifest, depth: int) -> _Image | _Parts:
        if isinstance(manifest, Manifest):
            blobs = {blob.digest: blob for blob in manifest.blobs()}
            size = sum(blob.size for blob in blobs.values())
            return _Image(manifest.digest, blobs, size, manifest.config if manifest.is_image else None)
        found = _Parts()
        seen: set[Digest] = set()
        for child in manifest.manifests:
            below = self._child(child, depth + 1)
            if below is None:
                # A platform that was left out.
                continue
            is_again = child.digest in seen
            seen.add(child.digest)
            if is_again and isinstance(below, _Parts):
                continue
            parts = self._as_listed(child, below)
            if not is_again:
                found.blobs.update(parts.blobs)
            if isinstance(below, _Parts) or layout_index.is_image(child):
                found.platforms.update(parts.platforms)
        return found

    def _child(self, child: Descriptor, depth: int) -> _Image | _Parts | None:
        if depth > _DEPTH:
            return None
        key = (child.digest, depth)
        if key not in self._known:
            manifest = self._find(child)
            self._known[key] = self._look(manifest, depth) if manifest is not None else None
        return self._known[key]

    def _own_platform(self, image: _Image) -> str:
        if image.platform is None:
            config = image.config
            raw = self._read(config) if config is not None and config.size <= CONFIG_LIMIT else None
            image.platform = _platform_in(raw) if raw is not None else ""
        return image.platform


def _platform_in(config: bytes) -> str:
    try:
        platform = ImageConfig.parse(config).platform
    except InvalidManifest:
        # Whoever runs the image meets it; saving one takes any config.
        return ""
    return str(platform) if platform else ""
