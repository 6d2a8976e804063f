# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and indexes, parsed strictly and always carrying the exact bytes they came from (R1.12-R1.20)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Union

from . import media_types, strict_json
from .descriptor import Descriptor, parse_annotations
from .digest import Digest
from .errors import InvalidManifest
from .text import sanitise

#: Largest manifest or index we read, in bytes (R1.18).
MANIFEST_LIMIT = 8 * 1024 * 1024
_DESCRIPTORS = 10_000
#: BuildKit's annotation of an index's entry: the digest of the image manifest that an attestation speaks of.
ATTESTS = "vnd.docker.reference.digest"


@dataclass(frozen=True)
class Manifest:
    """An image manifest (or an artifact in its shape): a config and layers."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str = ""

    @property
    def size(self) -> int:
        """Bytes of the manifest itself."""
        return len(self.raw)

    @property
    def is_image(self) -> bool:
        """Whether its config is an image's, so that it has a platform and diff_ids."""
        return self.config.media_type in media_types.IMAGE_CONFIGS

    def blobs(self) -> list[Descriptor]:
        """The distributable blobs, each digest once, config first. Foreign layers stay where their urls are (S1)."""
        wanted: dict[Digest, Descriptor] = {self.config.digest: self.config}
        for layer in self.layers:
            if not (layer.urls and media_types.is_foreign(layer.media_type)):
                wanted.setdefault(layer.digest, layer)
        return list(wanted.values())


@dataclass(frozen=True)
class Index:
    """An image index or manifest list: descriptors of manifests, one for each platform."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: Digest
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str = ""

    @property
    def size(self) -> int:
        """Bytes of the index itself."""
        return len(self.raw)

    def only(self, kept: Iterable[Descriptor]) -> Index:
        """A new index that lists only ``kept``, with every other field as it was. Its digest differs."""
        document = strict_json.load_object(self.raw)
        document["manifests"] = [descriptor.to_json() for descriptor in kept]
        return parse_index(serialise(document), self.media_type)


AnyManifest = Union[Manifest, Index]


def attests(entry: Descriptor) -> bool:
    """Whether an entry of an index is an attestation of another one."""
    return ATTESTS in entry.annotations


def serialise(document: dict[str, Any]) -> bytes:
    """Canonical bytes for a document of our own: compact, keys in the order given, UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def descriptor_of(manifest: AnyManifest, **more: Any) -> Descriptor:
    """The descriptor that names ``manifest``; ``more`` are further fields of it."""
    return Descriptor(manifest.media_type, manifest.digest, manifest.size, **more)


def parse_manifest(
    raw: bytes, content_type: str = "", digest: Digest | None = None, what: str = "manifest"
) -> AnyManifest:
    """The manifest or index in ``raw``.

    ``content_type`` is the Content-Type it came with ('' if none); ``digest`` the one it was asked by: with it the
    bytes are verified (R1.16). Raises InvalidManifest and DigestMismatch.
    """
    if len(raw) > MANIFEST_LIMIT:
        raise InvalidManifest(f"{what} has {len(raw)} bytes, more than the {MANIFEST_LIMIT} allowed")
    if digest is not None:
        digest.verify(raw, what)
    else:
        digest = Digest.of(raw)
    document = strict_json.load_object(raw, what)
    media_type = _media_type(document, media_types.bare(content_type), what)
    parser = _index if media_type in media_types.INDEXES else _image
    return parser(raw, document, media_type, digest, what)


def parse_index(raw: bytes, content_type: str = "", digest: Digest | None = None, what: str = "index") -> Index:
    """`parse_manifest`, for what must be an index."""
    parsed = parse_manifest(raw, content_type, digest, what)
    if not isinstance(parsed, Index):
        raise InvalidManifest(f"{what} is an image manifest where an index is expected")
    return parsed


def _media_type(document: dict[str, Any], content_type: str, what: str) -> str:
    declared = document.get("mediaType", "")
    if not isinstance(declared, str):
        raise InvalidManifest(f"{what} has a mediaType that is not a string")
    if content_type in media_types.SCHEMA1 or declared in media_types.SCHEMA1 or document.get("schemaVersion") == 1:
        raise InvalidManifest(
            f"{what} is in Docker's schema 1, which is not supported: push the image again with a current tool"
        )
    if declared and content_type in media_types.MANIFESTS and declared != content_type:
        raise InvalidManifest(
            f"{what} came as {content_type} but says that it is {sanitise(declared, 120)} (CVE-2021-41190)"
        )
    is_index, is_image = "manifests" in document, "layers" in document or "config" in document
    if is_index and is_image:
        raise InvalidManifest(f"{what} is both an index and an image (CVE-2021-41190)")
    media_type = declared or ("" if content_type in media_types.OPAQUE else content_type)
    if not media_type:
        media_type = media_types.OCI_INDEX if is_index else media_types.OCI_MANIFEST if is_image else ""
    if media_type not in media_types.MANIFESTS:
        name = sanitise(media_type or content_type or "no media type", 120)
        raise InvalidManifest(f"{what} is no image: {name}, where a manifest or an index is expected")
    if (media_type in media_types.INDEXES and is_image) or (media_type in media_types.IMAGES and is_index):
        raise InvalidManifest(f"{what} has the fields of another type than {media_type} (CVE-2021-41190)")
    return media_type


def _descriptors(document: dict[str, Any], key: str, what: str) -> tuple[Descriptor, ...]:
    values = document.get(key)
    # Go writes an empty slice as null.
    if values is None and key in document:
        return ()
    if not isinstance(values, list):
        raise InvalidManifest(f"{what} has no list of {key}")
    if len(values) > _DESCRIPTORS:
        raise InvalidManifest(f"{what} lists {len(values)} {key}, more than the {_DESCRIPTORS} allowed")
    return tuple(Descriptor.parse(value, f"{key}[{number}] of {what}") for number, value in enumerate(values))


def _common(document: dict[str, Any], what: str) -> tuple[dict[str, str], Descriptor | None, str]:
    subject = document.get("subject")
    artifact_type = document.get("artifactType") or ""
    if not isinstance(artifact_type, str):
        raise InvalidManifest(f"{what} has an artifactType that is not a string")
    return (
        parse_annotations(document.get("annotations"), what),
        Descriptor.parse(subject, f"subject of {what}") if subject is not None else None,
        artifact_type,
    )


def _image(raw: bytes, document: dict[str, Any], media_type: str, digest: Digest, what: str) -> Manifest:
    if "config" not in document:
        raise InvalidManifest(f"{what} has no config")
    config = Descriptor.parse(document["config"], f"config of {what}")
    return Manifest(raw, media_type, digest, config, _descriptors(document, "layers", what), *_common(document, what))


def _index(raw: bytes, document: dict[str, Any], media_type: str, digest: Digest, what: str) -> Index:
    return Index(raw, media_type, digest, _descriptors(document, "manifests", what), *_common(document, what))
