# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docker://``: images in registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput, NotFound
from ..model.location import DOCKER, Location
from ..model.manifest import AnyManifest
from ..model.reference import Reference
from .base import BlobStream, Capabilities, ImageDestination, ImageSource, OpenBlob
from .places import Places

if TYPE_CHECKING:
    from ..registry.client import RegistryClient
    from ..registry.pool import Registries


class RegistrySource(ImageSource):
    """One reference on a registry."""

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        self._client = client
        self._reference = reference
        self.name = str(reference)
        self.mount_host = reference.api_host
        self.mount_repository = reference.repository

    @property
    def is_metered(self) -> bool:
        return self._client.is_metered

    def resolve(self) -> Digest:
        if self._reference.digest:
            return self._reference.digest
        found = self._client.head_manifest(self._reference.repository, self._reference.target)
        if found is None:
            # A HEAD error has no body: the GET's says whether it is the tag or the repository that is missing (R1.17).
            return self.manifest().digest
        return found.digest

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        target = str(digest) if digest else self._reference.target
        return self._client.get_manifest(self._reference.repository, target)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        return self._client.open_blob(self._reference.repository, descriptor, offset)

    def tags(self) -> list[str]:
        return self._client.tags(self._reference.repository)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return self._client.referrers(self._reference.repository, digest)

    def sibling(self, tag: str) -> Digest | None:
        found = self._client.head_manifest(self._reference.repository, tag)
        return found.digest if found else None


class RegistryDestination(ImageDestination):
    """One repository on a registry."""

    capabilities = Capabilities(mounts=True)

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        self._client = client
        self._repository = reference.repository
        self._reader = RegistrySource(client, Reference(reference.host, reference.repository))
        self.name = reference.name
        self.mount_host = reference.api_host
        self.mount_repository = reference.repository
        # Images of one repository share most of their layers: each is asked for once a task.
        self._known: set[Digest] = set()

    def resolve(self, name: str) -> Digest | None:
        found = self._client.head_manifest(self._repository, name)
        return found.digest if found else None

    def has_manifest(self, digest: Digest) -> bool:
        return self._client.head_manifest(self._repository, str(digest)) is not None

    def manifest(self, digest: Digest) -> AnyManifest | None:
        try:
            return self._client.get_manifest(self._repository, str(digest))
        except NotFound:
            return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        if descriptor.digest in self._known:
            return True
        found = self._client.head_blob(self._repository, descriptor.digest) == descriptor.size
        if found:
            self._known.add(descriptor.digest)
        return found

    def sibling(self, name: str, tag: str) -> str | None:
        return tag

    def reader(self) -> ImageSource | None:
        return self._reader

    def is_empty(self) -> bool:
        return self._client.is_unknown(self._repository)

    def mount_blob(self, descriptor: Descriptor, repository: str, open_blob: OpenBlob) -> bool:
        return self._client.upload_blob(self._repository, descriptor, open_blob, repository) == "mounted"

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        self._client.upload_blob(self._repository, descriptor, open_blob)

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        self._client.put_manifest(self._repository, manifest, name)


def _registries(registries: Registries | None) -> Registries:
    if registries is None:
        raise InvalidInput("a registry is no place for this end of the task")
    return registries


def open_source(location: Location, places: Places) -> ImageSource:
    """The image that a ``docker://`` location names, ``latest`` without tag and digest."""
    reference = location.reference().with_default_tag()
    return RegistrySource(_registries(places.sources).client(reference.host), reference)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The repository and the tag that a ``docker://`` location names. With a digest and no tag the name is the digest:
    the image is written by digest alone."""
    reference = location.reference().with_default_tag()
    client = _registries(places.destinations).client(reference.host)
    key = (DOCKER, reference.api_host, reference.repository)
    return places.shared(key, lambda: RegistryDestination(client, reference)), reference.tag or str(reference.digest)
