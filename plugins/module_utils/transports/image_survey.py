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
from ..model.manifest import AnyManifest, Index, Manifest
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
    platforms: list[ListedPlatform] = field(default_factory=list)

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
    media_types: dict[Digest, str] = {}
    for entry in entries:
        if entry.digest not in parts:
            manifest = find(entry)
            if manifest is None:
                continue
            parts[entry.digest] = _parts(entry, manifest, find, read)
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


def _parts(entry: Descriptor, manifest: AnyManifest, find: Find, read: ReadConfig, depth: int = 0) -> _Parts:
    found = _Parts()
    if isinstance(manifest, Manifest):
        found.blobs = {blob.digest: blob for blob in manifest.blobs()}
        platform = _platform(entry, manifest, read)
        if platform:
            found.platforms.append(ListedPlatform(platform, manifest.digest, found.size))
        return found
    for child in manifest.manifests:
        below = find(child) if depth < _DEPTH else None
        if below is None:
            # A platform that was left out.
            continue
        parts = _parts(child, below, find, read, depth + 1)
        found.blobs.update(parts.blobs)
        if isinstance(below, Index) or layout_index.is_image(child):
            found.platforms += parts.platforms
    return found


def _platform(entry: Descriptor, manifest: Manifest, read: ReadConfig) -> str:
    if entry.platform is not None:
        return str(entry.platform)
    raw = read(manifest.config) if manifest.is_image and manifest.config.size <= CONFIG_LIMIT else None
    if raw is None:
        return ""
    try:
        platform = ImageConfig.parse(raw).platform
    except InvalidManifest:
        # Whoever runs the image meets it; saving one takes any config.
        return ""
    return str(platform) if platform else ""
