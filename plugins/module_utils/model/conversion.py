# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and indexes written anew in another form: pure functions, the same input always gives the same bytes.

The config keeps its bytes, and so the image its ID. What Docker's schema 2 has no field for (annotations, subject,
artifactType) is left out on the way to it. What needs no change comes back as it is, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import media_types, strict_json
from .descriptor import Descriptor
from .digest import Digest
from .errors import InvalidInput, InvalidManifest
from .form import DOCKER, LAYERS, OCI, ZSTD, Blob, Form
from .manifest import ATTESTS, AnyManifest, Index, Manifest, parse_index, parse_manifest, serialise
from .text import sanitise

_FAMILY = {
    media_types.OCI_MANIFEST: OCI,
    media_types.OCI_INDEX: OCI,
    media_types.DOCKER_MANIFEST: DOCKER,
    media_types.DOCKER_LIST: DOCKER,
}
_LAYER_TYPES = {value: key for key, value in LAYERS.items()}
#: Media types that have one counterpart in the other family: configs, and layers that stay where their urls are.
_PAIRS = (
    (media_types.OCI_CONFIG, media_types.DOCKER_CONFIG),
    (media_types.OCI_FOREIGN, media_types.DOCKER_FOREIGN),
    (media_types.OCI_FOREIGN_GZIP, media_types.DOCKER_FOREIGN_GZIP),
)
_COUNTERPART = {DOCKER: dict(_PAIRS), OCI: {docker: oci for oci, docker in _PAIRS}}
# What tells of the compressed bytes themselves and is wrong for others: eStargz, zstd:chunked.
_OF_THE_BYTES = ("containerd.io/snapshot/stargz/", "io.containers.estargz.", "io.github.containers.zstd-chunked.")
#: The fields that a descriptor has in Docker's format.
_DOCKER_FIELDS = frozenset({"mediaType", "size", "digest", "urls", "platform"})


def convert(manifest: Manifest, form: Form, blobs: Mapping[int, Blob]) -> Manifest:
    """``manifest`` in ``form``, where ``blobs`` are the new contents of the layers at `Form.positions`, by position.

    Returns ``manifest`` itself if it is in that form. Raises InvalidInput if it cannot be.
    """
    check(manifest, form)
    wanted = _wanted(manifest, form)
    config_type = manifest.config.media_type
    if form.format:
        config_type = _COUNTERPART[wanted].get(config_type, config_type)
    trim = _trims(manifest, wanted)
    parts = {
        "config": _described(manifest.config, config_type, None, trim),
        "layers": [
            _described(layer, layer_type(manifest, position, form), blobs.get(position), trim)
            for position, layer in enumerate(manifest.layers)
        ],
    }
    media_type = media_types.DOCKER_MANIFEST if wanted == DOCKER else media_types.OCI_MANIFEST
    document = strict_json.load_object(manifest.raw)
    changed = _changed(document, trim, media_type, parts)
    if changed == document:
        return manifest
    result = parse_manifest(serialise(changed), media_type)
    if not isinstance(result, Manifest):
        raise InvalidManifest(f"{manifest.digest} is no image manifest")
    return result


def convert_index(index: Index, form: Form, children: Mapping[Digest, AnyManifest | None]) -> Index:
    """``index`` in ``form``, where ``children`` are the converted manifests by the digests that its entries have; None
    leaves the entry out. Attestations are listed as those of what their subject became.

    Returns ``index`` itself if nothing changes. Raises InvalidInput if nothing is left.
    """
    wanted = _wanted(index, form)
    trim = _trims(index, wanted)
    renamed = {str(digest): str(child.digest) for digest, child in children.items() if child is not None}
    entries = []
    for entry in index.manifests:
        child = children[entry.digest]
        if child is not None:
            entries.append(_entry(entry, child, renamed, trim))
    if not entries and index.manifests:
        raise InvalidInput(f"{index.digest} lists nothing that has a form in Docker's format: use format oci")
    media_type = media_types.DOCKER_LIST if wanted == DOCKER else media_types.OCI_INDEX
    document = strict_json.load_object(index.raw)
    changed = _changed(document, trim, media_type, {"manifests": entries})
    return index if changed == document else parse_index(serialise(changed), media_type)


def check(manifest: Manifest, form: Form) -> None:
    """Raise InvalidInput if ``manifest`` cannot have ``form``."""
    if not manifest.is_image and _trims(manifest, _wanted(manifest, form)):
        kind = manifest.artifact_type or manifest.config.media_type
        raise InvalidInput(
            f"{manifest.digest} is no image ({sanitise(kind, 100)}) and has no form in Docker's format: use format oci"
        )
    for position in range(len(manifest.layers)):
        layer_type(manifest, position, form)


def layer_type(manifest: Manifest, position: int, form: Form) -> str:
    """The media type that the layer at ``position`` has in ``form``. Raises InvalidInput if there is none."""
    layer = manifest.layers[position]
    if not manifest.is_image:
        return layer.media_type
    known = LAYERS.get(layer.media_type)
    wanted = _wanted(manifest, form)
    if known is None:
        found = _COUNTERPART[wanted].get(layer.media_type, layer.media_type) if form.format else layer.media_type
        if _trims(manifest, wanted) and found not in _COUNTERPART[OCI]:
            raise InvalidInput(
                f"layer {layer.digest} of {manifest.digest} is {sanitise(found, 100)}, for which Docker's format has no "
                "media type: use format oci"
            )
        return found
    changes = form.recompresses(layer)
    if not form.format and not changes:
        # A manifest of one family may list a layer of the other: left as it is unless asked.
        return layer.media_type
    kind = form.compression if changes else known[1]
    if wanted == DOCKER and kind == ZSTD:
        way_out = "use format oci as well" if form.compression else "use compression gzip as well, or format oci"
        raise InvalidInput(f"{manifest.digest}: Docker's format has no layers compressed with zstd: {way_out}")
    return _LAYER_TYPES[(wanted, kind)]


def _wanted(manifest: AnyManifest, form: Form) -> str:
    """The family of media types that ``manifest`` is to have."""
    return form.format or _FAMILY[manifest.media_type]


def _trims(manifest: AnyManifest, wanted: str) -> bool:
    """Whether what Docker's format has no field for is to be left out: only where it is not in that format yet."""
    return wanted == DOCKER and _FAMILY[manifest.media_type] != DOCKER


def _changed(document: dict[str, Any], trim: bool, media_type: str, parts: dict[str, Any]) -> dict[str, Any]:
    if trim:
        return {"schemaVersion": 2, "mediaType": media_type, **parts}
    # An OCI manifest may do without a mediaType; one of Docker's never does.
    head = {"mediaType": media_type} if "mediaType" in document else {}
    return {**document, **head, **parts}


def _described(descriptor: Descriptor, media_type: str, blob: Blob | None, trim: bool) -> dict[str, Any]:
    value = {**descriptor.to_json(), "mediaType": media_type}
    if blob is not None:
        value.update(digest=str(blob.digest), size=blob.size)
        # What the old bytes were and where they can be had says nothing of the new ones.
        for key in ("data", "urls", "annotations"):
            value.pop(key, None)
        notes = {key: note for key, note in descriptor.annotations.items() if not key.startswith(_OF_THE_BYTES)}
        if notes:
            value["annotations"] = notes
    return _trimmed(value) if trim else value


def _entry(entry: Descriptor, child: AnyManifest, renamed: Mapping[str, str], trim: bool) -> dict[str, Any]:
    value = dict(entry.to_json())
    if child.digest != entry.digest:
        value.update(mediaType=child.media_type, digest=str(child.digest), size=child.size)
        value.pop("data", None)
    subject = entry.annotations.get(ATTESTS, "")
    if subject in renamed:
        value["annotations"] = {**entry.annotations, ATTESTS: renamed[subject]}
    return _trimmed(value) if trim else value


def _trimmed(value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key in _DOCKER_FIELDS}
