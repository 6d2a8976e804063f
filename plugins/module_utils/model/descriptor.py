# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors: media type, digest and size of content (image-spec descriptor.md; checks of R1.20)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .digest import Digest
from .errors import InvalidDigest, InvalidManifest
from .platform import Platform
from .text import sanitise

_LARGEST = 2**53
_ANNOTATIONS = 1024 * 1024


@dataclass(frozen=True)
class Descriptor:
    """What names a blob or a manifest. ``raw`` is the JSON object it came from, for an index that is written anew."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = field(default_factory=dict, compare=False)
    urls: tuple[str, ...] = field(default=(), compare=False)
    platform: Platform | None = field(default=None, compare=False)
    artifact_type: str = field(default="", compare=False)
    data: bytes | None = field(default=None, compare=False, repr=False)
    raw: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, value: Any, what: str) -> Descriptor:
        """The descriptor in the JSON ``value``; ``what`` names it in errors. Raises InvalidManifest (R1.20)."""
        if not isinstance(value, dict):
            raise InvalidManifest(f"{what} is not a descriptor")
        media_type = value.get("mediaType")
        if not isinstance(media_type, str) or len(media_type) > 255:
            raise InvalidManifest(f"{what} has no mediaType")
        try:
            digest = Digest.parse(value.get("digest"))
        except InvalidDigest as exc:
            raise InvalidManifest(f"{what}: {exc.message}") from None
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
            raise InvalidManifest(f"{what} has no valid size: {sanitise(size, 40)}")
        urls = value.get("urls") or []
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise InvalidManifest(f"{what} has urls that are not a list of strings")
        artifact_type = value.get("artifactType") or ""
        if not isinstance(artifact_type, str):
            raise InvalidManifest(f"{what} has an artifactType that is not a string")
        return cls(
            media_type,
            digest,
            size,
            parse_annotations(value.get("annotations"), what),
            tuple(urls),
            Platform.from_json(value.get("platform")),
            artifact_type,
            _embedded(value.get("data"), digest, size, what),
            value,
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object: the one it came from if it came from one."""
        if self.raw:
            return self.raw
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            value["urls"] = list(self.urls)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.platform:
            value["platform"] = self.platform.to_json()
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        return value

    def annotated(self, changes: Mapping[str, str | None]) -> Descriptor:
        """A copy with these annotations set; None removes one."""
        merged = {key: value for key, value in {**self.annotations, **changes}.items() if value is not None}
        raw = {key: value for key, value in self.to_json().items() if key != "annotations"}
        if merged:
            raw["annotations"] = merged
        return replace(self, annotations=merged, raw=raw)


def parse_annotations(value: Any, what: str) -> dict[str, str]:
    """The annotations in the JSON ``value``. Raises InvalidManifest for other than strings or over 1 MiB (R1.20)."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidManifest(f"{what} has annotations that are not strings")
    if sum(map(len, value.values())) > _ANNOTATIONS:
        raise InvalidManifest(f"{what} has annotations of more than {_ANNOTATIONS} characters")
    return value


def _embedded(value: Any, digest: Digest, size: int, what: str) -> bytes | None:
    if value is None:
        return None
    try:
        data = base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidManifest(f"{what} has data that is not base64") from None
    if len(data) != size or Digest.of(data, digest.algorithm) != digest:
        raise InvalidManifest(f"{what} has data that is not the content its digest names")
    return data
