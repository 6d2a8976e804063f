# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two interfaces that everything in operations/ goes through, and what a place can say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput
from ..model.manifest import AnyManifest
from ..model.platform import Platform
from ..model.streams import BlobStream, OpenBlob

if TYPE_CHECKING:
    from .image_list import Earlier, ImageList

__all__ = ("BlobStream", "Capabilities", "ImageDestination", "ImageSource", "OpenBlob")


@dataclass(frozen=True)
class Capabilities:
    """What a destination can do. The copy engine asks these, never for a class."""

    #: Accepts indexes and what refers to an image; otherwise one platform has to be chosen, and the image comes alone.
    indexes: bool = True
    #: Knows an image by its ID, the digest of its config, and `resolve` tells that; otherwise by that of its manifest.
    image_ids: bool = False
    #: `mount_blob` may succeed: blobs can come from another repository of the same host without moving.
    mounts: bool = False
    #: Several `write_blob` at once.
    parallel: bool = True


class ImageSource(ABC):
    """One image (or, with `tags`, one repository) that can be read. Thread-safe."""

    #: How messages name it: a location as the user would write it.
    name: str
    #: ``host/repository`` where another repository of the host could mount from it; '' elsewhere.
    mount_host: str = ""
    mount_repository: str = ""
    #: Made to go without some blobs: before any image of the task moves, all of them are asked for at the destination.
    is_delta: bool = False

    @property
    def is_metered(self) -> bool:
        """Whether each manifest that is read here counts against a limit, and asking for a digest does not."""
        return False

    @abstractmethod
    def resolve(self) -> Digest:
        """The digest of the manifest the name stands for now, as cheaply as the place allows. Raises NotFound."""

    def image_id(self) -> Digest | None:
        """The image's ID, the digest of its config, where that is known and its manifest is dear; None elsewhere."""
        return None

    @abstractmethod
    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        """The manifest the name stands for, or the one with ``digest``, verified. Raises NotFound, InvalidManifest."""

    @abstractmethod
    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        """The bytes of a blob from ``offset``, not yet verified: wrap it in VerifyingReader. Raises NotFound."""

    @abstractmethod
    def tags(self) -> list[str]:
        """Every tag of the repository, or every image name of the archive, in the order the place gives them.

        An image without a name appears as ``@N``, its number counted from 0: what stands after ``path:`` in a location.
        """

    @abstractmethod
    def referrers(self, digest: Digest) -> list[Descriptor]:
        """Descriptors of the manifests whose subject is ``digest``."""

    def sibling(self, tag: str) -> Digest | None:
        """What another ``tag`` of the same repository stands for; None if there is none, or no repository."""
        return None

    def mount_from(self, descriptor: Descriptor) -> tuple[str, str]:
        """Host and repository that another repository of the host could mount this blob from; '' and '' for none."""
        return self.mount_host, self.mount_repository

    def lacks(self, descriptor: Descriptor) -> bool:
        """Whether the place is known not to have a blob that its manifests name."""
        return False

    def earlier(self) -> Earlier | None:
        """What its archive was made against, so that it `lacks` that; None for what is no delta."""
        return None

    def image_list(self) -> ImageList:
        """Every image of the place and the blobs that are really there. Raises InvalidInput where that cannot be told."""
        raise InvalidInput(f"{self.name} is neither an archive nor an OCI layout")

    def close(self) -> None:
        """Let go of files and connections. May be called twice."""
        return


class ImageDestination(ABC):
    """A place that holds images: a repository, a layout, an archive. Thread-safe as far as `capabilities` says.

    Nothing a reader of the place can see changes before `write_manifest` with a name, or, where the place is one
    file, before `commit`.
    """

    name: str
    capabilities: Capabilities = Capabilities()
    #: The host within which blobs can be mounted, and the repository; '' where nothing can.
    mount_host: str = ""
    mount_repository: str = ""

    @abstractmethod
    def resolve(self, name: str) -> Digest | None:
        """The digest ``name`` (a tag, an image name, or a digest) stands for now; None if it does not exist."""

    def held(self) -> dict[str, Digest]:
        """The names that the place holds now, where it is one whose content is replaced as a whole; {} elsewhere."""
        return {}

    @abstractmethod
    def has_manifest(self, digest: Digest) -> bool:
        """Whether the manifest with ``digest`` is there."""

    def manifest(self, digest: Digest) -> AnyManifest | None:
        """The manifest with ``digest``, verified; None if it is not there or the place gives none back. Raises
        ContentError for what is no manifest."""
        return None

    @abstractmethod
    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the whole blob is there. From reads alone."""

    def reader(self) -> ImageSource | None:
        """What reads blobs that were written here back at once; None where that cannot be."""
        return None

    def is_empty(self) -> bool:
        """Whether nothing at all is known to be there, so that asking for single blobs is needless."""
        return False

    def presume(self, earlier: Earlier | None, replace: bool) -> None:
        """Told before all else that what ``earlier`` has can be left out, and whether what the place held is to be
        replaced. Raises InvalidInput where nothing can be left out."""
        if earlier is not None:
            raise InvalidInput(f"{self.name}: since goes with an archive in a file, in which blobs can be left out")

    def mount_blob(self, descriptor: Descriptor, repository: str, open_blob: OpenBlob) -> bool:
        """Make the blob of another ``repository`` of `mount_host` appear here; where that is refused, store it as
        `write_blob` does. True if it was mounted, so that no byte of it moved."""
        self.write_blob(descriptor, open_blob)
        return False

    def sibling(self, name: str, tag: str) -> str | None:
        """The name that another ``tag`` of the repository of the image ``name`` has here; None where it can have none."""
        return None

    def platform(self) -> Platform:
        """What images have to be for where `Capabilities.indexes` is False and the user named no platform."""
        return Platform.local()

    def expect(self, size: int) -> None:
        """Told before anything is written how many bytes are to come. Raises StorageError if they cannot fit."""
        return

    @abstractmethod
    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """Store one blob: complete and verified, or not at all."""

    @abstractmethod
    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        """Store a manifest whose blobs or children are all there, by digest, and let ``name`` point at it if given."""

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """Make what was written lasting and visible. ``keep``: names to keep beside those written; None keeps all."""
        return

    def written(self) -> ImageList | None:
        """The list of the images that the last `commit` has put where they cannot be read again; None elsewhere."""
        return None

    def abort(self) -> None:
        """Undo what `commit` has not made visible; leave no temporary file. May be called after a failure of anything."""
        return
