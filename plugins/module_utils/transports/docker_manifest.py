# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest.json that ``docker save`` writes: config, names and layers of each image (docker image spec v1.2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..model import media_types, strict_json
from ..model.descriptor import Descriptor
from ..model.errors import ArchiveError, InvalidManifest, InvalidReference
from ..model.manifest import Manifest, parse_manifest, serialise
from ..model.reference import Reference
from ..model.text import sanitise

FILE = "manifest.json"
#: Largest manifest.json we read, in bytes (R1.18).
LIMIT = 1024 * 1024
_IMAGES = 10_000


@dataclass(frozen=True)
class SavedImage:
    """One entry: the names of files in the archive, and the names of the image as they are written there."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...] = ()


def parse(raw: bytes, what: str) -> list[SavedImage]:
    """The entries in ``raw``. Raises ArchiveError when there is none, InvalidManifest."""
    entries = strict_json.loads(raw, f"{FILE} of {what}")
    if entries is None or entries == []:
        raise ArchiveError(f"{what} holds no image: its {FILE} is empty")
    if not isinstance(entries, list) or len(entries) > _IMAGES:
        raise InvalidManifest(f"{FILE} of {what} is no list of images")
    return [_parse_entry(entry, f"entry {number} in {FILE} of {what}") for number, entry in enumerate(entries)]


def _parse_entry(entry: Any, what: str) -> SavedImage:
    if not isinstance(entry, dict):
        raise InvalidManifest(f"{what} is no image")
    config = entry.get("Config")
    if not isinstance(config, str) or not config:
        raise InvalidManifest(f"{what} names no config")
    layers = tuple(map(_file, _strings(entry, "Layers", what)))
    return SavedImage(_file(config), layers, _strings(entry, "RepoTags", what))


def _file(name: str) -> str:
    return name[2:] if name.startswith("./") else name


def _strings(entry: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    values = entry.get(key)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise InvalidManifest(f"{what} has {key} that are no list of strings")
    return tuple(values)


def build(images: Sequence[SavedImage]) -> bytes:
    """A manifest.json of our own."""
    entries = [
        {"Config": image.config, "RepoTags": list(image.names) or None, "Layers": list(image.layers)}
        for image in images
    ]
    return json.dumps(entries, separators=(",", ":")).encode("ascii")


def full_name(name: str) -> str:
    """``name`` as a whole reference with a tag, '' if it stands for no repository: a lone tag, a digest, free text."""
    # Without a separator it is a tag, and not a repository of Docker Hub.
    if "/" not in name and ":" not in name:
        return ""
    try:
        reference = Reference.parse(name)
    except InvalidReference:
        return ""
    if reference.tag is None and reference.digest is not None:
        return ""
    return str(reference.with_tag(reference.tag or "latest"))


def repository_tag(name: str) -> str:
    """A name of an entry as a whole reference; as it is where it is none."""
    try:
        reference = Reference.parse(name)
    except InvalidReference:
        return sanitise(name, 300)
    return str(reference.with_default_tag())


_LAYER_TYPES = {
    None: media_types.DOCKER_LAYER,
    "gzip": media_types.DOCKER_LAYER_GZIP,
    "zstd": media_types.DOCKER_LAYER_ZSTD,
}


def layer_type(compression: str | None, what: str) -> str:
    """The media type of a layer that is compressed so. Raises ArchiveError where there is none."""
    if compression not in _LAYER_TYPES:
        raise ArchiveError(f"{what} is compressed with {compression}, for which no registry has a media type")
    return _LAYER_TYPES[compression]


def as_schema2(config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
    """The manifest of an image that was saved without one: the same parts always give the same bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    manifest = parse_manifest(serialise(document))
    if not isinstance(manifest, Manifest):
        raise InvalidManifest("an image without a config")
    return manifest
