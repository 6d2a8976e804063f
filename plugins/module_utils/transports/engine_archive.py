# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is sent to load: one image in the dual form of our archives, made while it is read.

The OCI layout in it is what podman and docker's containerd store read, so that they keep the manifest; manifest.json is
what docker's own store reads. What is small comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import VerifyingReader
from ..model.manifest import Manifest, descriptor_of, serialise
from ..model.streams import OpenBlob
from . import archive_names, docker_manifest, layout_index, tar_headers
from .docker_manifest import SavedImage


@dataclass(frozen=True)
class Blob:
    """A blob and where its bytes are."""

    descriptor: Descriptor
    open: OpenBlob


def stream(manifest: Manifest, name: str, blobs: Sequence[Blob]) -> Iterator[bytes]:
    """The bytes of the archive in which ``manifest`` is called ``name`` and ``blobs`` are those of its blobs to send.

    Its end comes only after every blob was verified. Raises what opening and reading them raises, and ContentError.
    """
    for path, data in _small(manifest, name):
        yield _padded(tar_headers.encode(path, len(data)) + data)
    for blob in blobs:
        yield from _member(blob)
    yield tar_headers.END


def _small(manifest: Manifest, name: str) -> Iterable[tuple[str, bytes]]:
    entry = descriptor_of(manifest).annotated(archive_names.as_annotations(name))
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry.to_json()]}
    layers = tuple(layout_index.blob_name(layer.digest) for layer in manifest.layers)
    saved = SavedImage(layout_index.blob_name(manifest.config.digest), layers, (name,))
    return (
        (layout_index.OCI_LAYOUT_FILE, layout_index.OCI_LAYOUT),
        (layout_index.INDEX_FILE, serialise(index)),
        (docker_manifest.FILE, docker_manifest.build([saved])),
        (layout_index.blob_name(manifest.digest), manifest.raw),
    )


def _member(blob: Blob) -> Iterator[bytes]:
    descriptor = blob.descriptor
    yield tar_headers.encode(layout_index.blob_name(descriptor.digest), descriptor.size)
    opened = blob.open()
    try:
        yield from VerifyingReader(opened, descriptor.digest, descriptor.size)
    finally:
        opened.close()
    yield bytes(tar_headers.padded(descriptor.size) - descriptor.size)


def _padded(data: bytes) -> bytes:
    return data.ljust(tar_headers.padded(len(data)), b"\0")
