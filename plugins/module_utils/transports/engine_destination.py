# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing images into a container engine: each is loaded in one stream, which ends only if all of it was right."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import Cancelled, ContentError, InvalidInput, InvalidReference, NetworkError, OciError, StorageError
from ..model.manifest import AnyManifest, Manifest
from ..model.platform import Platform
from ..model.reference import Reference
from ..model.streams import OpenBlob
from . import engine_archive
from .base import Capabilities, ImageDestination
from .engine_archive import Blob
from .engine_client import EngineClient, image_id


@dataclass(frozen=True)
class _Image:
    """One name, and the image that it is to stand for."""

    name: str
    manifest: Manifest


class EngineDestination(ImageDestination):
    """The images of one engine. Nothing is sent before `commit`: `write_blob` only remembers where a blob is."""

    capabilities = Capabilities(indexes=False, image_ids=True, parallel=False)

    def __init__(self, client: EngineClient) -> None:
        self.name = client.name
        self._client = client
        self._lock = threading.Lock()
        self._blobs: dict[Digest, Blob] = {}
        self._images: list[_Image] = []
        self._platform: Platform | None = None

    def resolve(self, name: str) -> Digest | None:
        """The ID of the image ``name``, a whole reference or an ID."""
        inspected = self._client.inspect(name)
        # Engines also find images by parts of names and IDs.
        if inspected is None or (not name.startswith("sha256:") and name not in _names(inspected)):
            return None
        return image_id(inspected, name)

    def has_manifest(self, digest: Digest) -> bool:
        """Whether there is an image with this ID: what is to get one more name needs no more than that."""
        inspected = self._client.inspect(str(digest))
        return inspected is not None and image_id(inspected, str(digest)) == digest

    def has_blob(self, descriptor: Descriptor) -> bool:
        """False: what an engine has of an image cannot be asked for by parts."""
        return False

    def platform(self) -> Platform:
        with self._lock:
            if self._platform is None:
                self._platform = self._client.platform()
            return self._platform

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        with self._lock:
            self._blobs[descriptor.digest] = Blob(descriptor, open_blob)

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        if not isinstance(manifest, Manifest):
            raise InvalidInput(f"{self.name} holds one platform of an image: name one in 'platforms'")
        if not manifest.is_image:
            raise InvalidInput(f"is no image but {manifest.artifact_type or manifest.config.media_type}: no engine holds that")
        if any(media_types.is_foreign(layer.media_type) for layer in manifest.layers):
            raise InvalidInput("has layers that are kept elsewhere (foreign ones): no engine can be given it")
        if name is None:
            raise InvalidInput(f"{self.name} holds images under names: give one")
        with self._lock:
            self._images.append(_Image(name, manifest))

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """Load every image, one after another. An image is there whole, under its name, or not at all."""
        #: The layers, from the lowest, of what was loaded just now: the engine has them.
        loaded: set[tuple[Digest, ...]] = set()
        try:
            for image in self._images:
                self._bring(image, loaded)
                stack = tuple(layer.digest for layer in image.manifest.layers)
                loaded |= {stack[:height] for height in range(1, len(stack) + 1)}
        finally:
            self._forget()

    def abort(self) -> None:
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            self._blobs, self._images = {}, []
        self._client.close()

    def _bring(self, image: _Image, loaded: set[tuple[Digest, ...]]) -> None:
        wanted = image.manifest.config.digest
        if self.has_manifest(wanted):
            reference = Reference.parse(image.name)
            self._client.tag(wanted, reference.name, reference.tag or "latest")
        else:
            stack = tuple(layer.digest for layer in image.manifest.layers)
            known = max((height for height in range(1, len(stack) + 1) if stack[:height] in loaded), default=0)
            self._load(image, set(stack[:known]))
        found = self.resolve(image.name)
        # Docker's containerd store knows an image by its manifest.
        if found not in (wanted, image.manifest.digest):
            held = found or "nothing"
            raise OciError(f"{self.name} has loaded {image.name}, but holds {held} under that name, and not {wanted}")

    def _load(self, image: _Image, known: set[Digest]) -> None:
        """Send the image without the layers that are ``known`` to be there, and if the engine then asks for them, whole."""
        blobs = []
        for descriptor in image.manifest.blobs():
            blob = self._blobs.get(descriptor.digest)
            if blob is None:
                raise ContentError(f"{image.name} was not loaded: {descriptor.digest} did not arrive")
            blobs.append(blob)
        if known:
            rest = [blob for blob in blobs if blob.descriptor.digest not in known]
            try:
                self._client.load(engine_archive.stream(image.manifest, image.name, rest), image.name)
                return
            except (Cancelled, ContentError, NetworkError, StorageError):
                raise
            except OciError:
                # Removed meanwhile, or an engine that reads what it does not need.
                known = set()
        self._client.load(engine_archive.stream(image.manifest, image.name, blobs), image.name)


def _names(inspected: dict[str, Any]) -> set[str]:
    """The names of an inspected image as whole references."""
    found = set()
    tags = inspected.get("RepoTags")
    for name in tags if isinstance(tags, list) else ():
        try:
            found.add(str(Reference.parse(name)))
        except (InvalidReference, TypeError):
            # <none>:<none>
            continue
    return found
