# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests, indexes, configs and the lists in archives: parsed strictly, and the bytes are kept."""

from __future__ import annotations

import json

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.image_config import ImageConfig
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import (
    AnyManifest,
    Index,
    Manifest,
    descriptor_of,
    parse_manifest,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.platform import Platform
from ansible_collections.longshore.oci.plugins.module_utils.transports import docker_manifest, image_list, layout_index
from ansible_collections.longshore.oci.plugins.module_utils.transports.layout_referrers import referrer_descriptor
from ansible_collections.longshore.oci.tests.fuzz.oracle import expect, tried

#: The Content-Type that the first byte of an input chooses.
CONTENT_TYPES = ("", *sorted(media_types.MANIFESTS), *sorted(media_types.SCHEMA1), "application/json", "text/html; charset=x")
_WISH = Platform.of("linux", "arm64", "v8")


def check(data: bytes) -> None:
    """The first byte of ``data`` chooses a Content-Type, the rest is the document."""
    content_type, raw = CONTENT_TYPES[data[0] % len(CONTENT_TYPES)] if data else "", data[1:]
    manifest = tried(parse_manifest, raw, content_type)
    if manifest is not None:
        _manifest(manifest, raw)
    config = tried(ImageConfig.parse, raw)
    if config is not None:
        expect(config.platform is None or Platform.from_json(config.platform.to_json()) == config.platform, "a platform")
    listed = tried(image_list.parse, raw, "list")
    if listed is not None:
        expect(image_list.parse(image_list.serialise(listed), "list") == listed, "a list of images is written as it is read")
        expect(image_list.parse_since(raw, "list") == listed.since, "both ways to read what a delta is made against agree")
    saved = tried(docker_manifest.parse, raw, "archive")
    if saved is not None:
        for image in saved:
            list(map(docker_manifest.repository_tag, image.names))


def _manifest(manifest: AnyManifest, raw: bytes) -> None:
    expect(manifest.raw == raw and manifest.digest == Digest.of(raw), "what is copied is the bytes that came")
    # Whoever reads it next, docker or a registry, must not find another image in it (CVE-2021-41190).
    document = json.loads(raw)
    expect(isinstance(document, dict), "a manifest is an object")
    expect(document.get("mediaType") in (None, "", manifest.media_type), "the media type is what the document says")
    expect(descriptor_of(manifest).size == len(raw), "the size is that of the bytes")
    referrer_descriptor(manifest)
    if isinstance(manifest, Manifest):
        expect("manifests" not in document, "an image is no index")
        for blob in manifest.blobs():
            expect(blob.size >= 0 and Digest.parse(str(blob.digest)) == blob.digest, "a blob can be asked for")
    else:
        expect("layers" not in document, "an index is no image")
        _index(manifest)


def _index(index: Index) -> None:
    _WISH.best([entry.platform for entry in index.manifests])
    kept = tried(index.only, index.manifests[:1])
    expect(kept is not None, "an index can be made smaller")
    names = layout_index.tags(index)
    for name in (*names[:5], "latest", ""):
        found = tried(layout_index.find, index, name, None, "place")
        expect(found is None or found in index.manifests, "what is found is in the index")
        tried(layout_index.sibling, index, name, None, "latest", "place")
    for entry in index.manifests[:3]:
        changed = layout_index.with_entry(index, entry, "new", "registry.example/app:new")
        again = layout_index.parse(changed, "place")
        expect(layout_index.find(again, "new", None, "place").digest == entry.digest, "a name is given")
