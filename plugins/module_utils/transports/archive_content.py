# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive holds, however it was written: images under names, manifests and blobs under digests.

OCI layouts come first, also in the archives of docker 25 and later and in ours, which hold both forms; where there is
none, the manifest.json of ``docker save`` tells of the images, and their manifests are made here.
"""

from __future__ import annotations

import os
import stat
import threading
from abc import ABC, abstractmethod

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Digest
from ..model.errors import ArchiveError, NotFound, OciError, SizeMismatch
from ..model.image_config import CONFIG_LIMIT, ImageConfig
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, Index, Manifest, descriptor_of, parse_manifest, serialise
from ..model.text import sanitise
from . import compressed, docker_manifest, files, image_list, image_survey, layout_index
from .docker_manifest import SavedImage
from .image_list import Earlier, ImageList
from .layout_files import INDEX_LIMIT
from .layout_referrers import by_subject
from .tar_reader import Member, Tar

#: Indexes in indexes in indexes (R1.20).
_NESTING = 3


class Content(ABC):
    """The images of one open archive. Thread-safe."""

    def __init__(self, tar: Tar) -> None:
        self.tar = tar
        self._lock = threading.RLock()
        self._subjects: dict[Digest, list[Descriptor]] | None = None
        self._earlier: tuple[Earlier | None] | None = None

    @abstractmethod
    def index(self) -> Index:
        """Every image with its names, as the index.json of a layout has them."""

    @abstractmethod
    def select(self, name: str, number: int | None) -> Digest:
        """The manifest of the image that ``name`` or ``number`` stands for (`layout_index.find`)."""

    @abstractmethod
    def names(self) -> list[str]:
        """Every name, in the order of the archive; ``@N`` for an image without one."""

    @abstractmethod
    def manifest(self, digest: Digest) -> AnyManifest:
        """The manifest ``digest``, verified. Raises NotFound, InvalidManifest, DigestMismatch."""

    @abstractmethod
    def member(self, digest: Digest) -> Member | None:
        """Where the blob ``digest`` lies; None if it is not here."""

    def blob(self, descriptor: Descriptor) -> Member:
        """`member`, of the size that its descriptor says. Raises NotFound, SizeMismatch."""
        member = self.member(descriptor.digest)
        what = f"blob {descriptor.digest} of {self.tar.what}"
        if member is None:
            earlier = self.earlier()
            if earlier is not None and descriptor.digest in earlier.blobs:
                raise NotFound(f"{what} is left out there: the archive is a delta, and an earlier one has the blob")
            raise NotFound(f"{what} is missing: the archive is not complete")
        if member.size != descriptor.size:
            raise SizeMismatch(f"{what} has {member.size} bytes, its descriptor says {descriptor.size}")
        return member

    def lacks(self, descriptor: Descriptor) -> bool:
        """Whether the blob is not in the archive."""
        return descriptor.data is None and self.member(descriptor.digest) is None

    def earlier(self) -> Earlier | None:
        """What the archive was made against, if it is a delta. Raises InvalidManifest, ArchiveError."""
        with self._lock:
            if self._earlier is None:
                raw = self._index_file()
                self._earlier = (image_list.parse_since(raw, self._index_name) if raw is not None else None,)
            return self._earlier[0]

    def image_list(self) -> ImageList:
        """Its index file, held against what is there; made anew for an archive that has none. Raises ArchiveError."""
        raw = self._index_file()
        written = image_list.parse(raw, self._index_name) if raw is not None else None
        if written is None:
            return image_survey.survey(self.index().manifests, self._find, self._config, lambda blob: not self.lacks(blob))
        for blob in written.blobs.values():
            member = self.member(blob.digest)
            if member is None or member.size != blob.size:
                raise ArchiveError(f"{self.tar.what} does not hold the blob {blob.digest} that its {image_list.FILE} lists")
        return written

    def _index_file(self) -> bytes | None:
        return self.tar.read(image_list.FILE, image_list.LIMIT) if image_list.FILE in self.tar else None

    @property
    def _index_name(self) -> str:
        return f"{image_list.FILE} of {self.tar.what}"

    def _find(self, entry: Descriptor) -> AnyManifest | None:
        try:
            return self.manifest(entry.digest) if entry.media_type in media_types.MANIFESTS else None
        except NotFound:
            return None

    def _config(self, descriptor: Descriptor) -> bytes | None:
        if self.lacks(descriptor):
            return None
        return descriptor.data or self.tar.content(self.blob(descriptor), CONFIG_LIMIT, f"config {descriptor.digest}")

    def holds(self, digest: Digest) -> bool:
        """Whether the manifest ``digest`` is here with all that it names."""
        level, seen = [digest], {digest}
        try:
            for depth in range(_NESTING + 1):
                below: dict[Digest, None] = {}
                for one in level:
                    manifest = self.manifest(one)
                    if isinstance(manifest, Manifest):
                        for descriptor in manifest.blobs():
                            self.blob(descriptor)
                    elif depth < _NESTING:
                        below.update(dict.fromkeys(child.digest for child in manifest.manifests if child.digest not in seen))
                    else:
                        return False
                # Each is looked at once, however many indexes list it, and however often.
                level = list(below)
                seen.update(level)
        except (NotFound, SizeMismatch):
            return False
        return True

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """The manifests listed in the index whose subject is ``digest``."""
        with self._lock:
            if self._subjects is None:
                self._subjects = by_subject(self.index(), lambda entry: self.manifest(entry.digest))
            return list(self._subjects.get(digest, []))

    def sibling(self, name: str, number: int | None, tag: str) -> Digest | None:
        """What another ``tag`` of the repository of an image stands for (`layout_index.sibling`)."""
        found = layout_index.sibling(self.index(), name, number, tag, self.tar.what)
        return found.digest if found else None

    def close(self) -> None:
        """Close the file."""
        self.tar.close()


class LayoutContent(Content):
    """An OCI image layout in a tar."""

    def __init__(self, tar: Tar) -> None:
        super().__init__(tar)
        raw = tar.read(layout_index.INDEX_FILE, INDEX_LIMIT)
        self._index = layout_index.parse(raw, f"index.json of {tar.what}")
        self._types = {entry.digest: entry.media_type for entry in self._index.manifests}

    def index(self) -> Index:
        return self._index

    def select(self, name: str, number: int | None) -> Digest:
        return layout_index.find(self._index, name, number, self.tar.what).digest

    def names(self) -> list[str]:
        return layout_index.tags(self._index)

    def manifest(self, digest: Digest) -> AnyManifest:
        what = f"manifest {digest} of {self.tar.what}"
        member = self.member(digest)
        if member is None:
            raise NotFound(f"{what} is missing: the archive holds a part of the image only")
        return parse_manifest(self.tar.content(member, MANIFEST_LIMIT, what), self._types.get(digest, ""), digest, what)

    def member(self, digest: Digest) -> Member | None:
        name = layout_index.blob_name(digest)
        return self.tar.member(name) if name in self.tar else None


class SavedContent(Content):
    """What ``docker save`` before version 25, ``podman save`` and builders write: manifest.json alone.

    A manifest is made when it is asked for: compressed layers have to be read whole to know their digest.
    """

    def __init__(self, tar: Tar) -> None:
        super().__init__(tar)
        raw = tar.read(docker_manifest.FILE, docker_manifest.LIMIT)
        self._images: dict[Digest, SavedImage] = {}
        self._ids: list[Digest] = []
        self._hashed: dict[Member, Digest] = {}
        names: dict[Digest, dict[str, None]] = {}
        for image in docker_manifest.parse(raw, tar.what):
            digest = self._config_digest(image.config)
            self._ids.append(digest)
            names.setdefault(digest, {}).update(dict.fromkeys(image.names))
            # Of two entries of one image the last tells of its files.
            self._images[digest] = image
        for digest, image in self._images.items():
            self._images[digest] = SavedImage(image.config, image.layers, tuple(names[digest]))
        # Images are told apart by their ID, the digest of the config, for which nothing has to be read.
        self._choice = self._entries({digest: digest for digest in self._images})
        self._index: Index | None = None
        self._manifests: dict[Digest, Manifest] = {}
        self._made: dict[Digest, Digest] = {}
        self._blobs: dict[Digest, Member] = {}

    def _file(self, name: str) -> Member:
        try:
            return self.tar.member(name)
        except NotFound as exc:
            raise ArchiveError(f"{exc.message}, which its manifest.json names") from None

    def _config_digest(self, name: str) -> Digest:
        # Thousands of entries may name one file.
        member = self._file(name)
        if member not in self._hashed:
            self._hashed[member] = Digest.of(self.tar.content(member, CONFIG_LIMIT, name))
        return self._hashed[member]

    def _entries(self, named_by: dict[Digest, Digest]) -> Index:
        entries = []
        for image_id in dict.fromkeys(self._ids):
            digest = named_by[image_id]
            manifest = self._manifests[digest] if digest != image_id else None
            plain = descriptor_of(manifest) if manifest else Descriptor(media_types.DOCKER_MANIFEST, digest, 0)
            for name in dict.fromkeys(map(docker_manifest.repository_tag, self._images[image_id].names)) or [""]:
                full = name if docker_manifest.full_name(name) == name else ""
                wanted = {layout_index.REF_NAME: name or None, layout_index.FULL_NAME: full or None}
                entries.append(plain.annotated(wanted).to_json())
        document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
        return layout_index.parse(serialise(document), f"index of {self.tar.what}")

    def index(self) -> Index:
        with self._lock:
            if self._index is None:
                self._index = self._entries({image_id: self._make(image_id) for image_id in self._images})
            return self._index

    def select(self, name: str, number: int | None) -> Digest:
        if number is not None:
            # The number counts entries of manifest.json, each of which may have many names.
            if number >= len(self._ids):
                count = len(self._ids)
                raise NotFound(f"{self.tar.what} has no image number {number}: it holds {count}, counted from 0")
            return self._make(self._ids[number])
        return self._make(layout_index.find(self._choice, name, None, self.tar.what).digest)

    def names(self) -> list[str]:
        named = [name for name, unused in layout_index.names(self._choice) if name is not None]
        first = {image_id: number for number, image_id in reversed(list(enumerate(self._ids)))}
        unnamed = [f"@{number}" for image_id, number in first.items() if not self._images[image_id].names]
        return [*dict.fromkeys(named), *sorted(unnamed, key=lambda name: int(name[1:]))]

    def manifest(self, digest: Digest) -> AnyManifest:
        with self._lock:
            if digest not in self._manifests:
                self.index()
            found = self._manifests.get(digest)
        if found is None:
            raise NotFound(f"manifest {digest} is not in {self.tar.what}")
        return found

    def member(self, digest: Digest) -> Member | None:
        with self._lock:
            if digest not in self._blobs:
                self.index()
            return self._blobs.get(digest)

    def _make(self, image_id: Digest) -> Digest:
        """The digest of the manifest of an image, made on first use."""
        with self._lock:
            if image_id in self._made:
                return self._made[image_id]
            image = self._images[image_id]
            what = f"config {sanitise(image.config, 140)} of {self.tar.what}"
            member = self._blobs[image_id] = self._file(image.config)
            raw = self.tar.content(member, CONFIG_LIMIT, image.config)
            config = Descriptor(media_types.DOCKER_CONFIG, image_id, len(raw))
            diff_ids = ImageConfig.parse(raw, what).diff_ids
            if len(diff_ids) != len(image.layers):
                raise ArchiveError(f"{what} speaks of {len(diff_ids)} layers, manifest.json of {len(image.layers)}")
            layers = [self._layer(name, diff_id) for name, diff_id in zip(image.layers, diff_ids)]
            manifest = docker_manifest.as_schema2(config, layers)
            self._manifests[manifest.digest] = manifest
            self._made[image_id] = manifest.digest
            return manifest.digest

    def _layer(self, name: str, diff_id: Digest) -> Descriptor:
        what = f"layer {sanitise(name, 140)} of {self.tar.what}"
        member = self._file(name)
        compression = compressed.kind(self.tar.pread(min(member.size, compressed.MAGIC_SIZE), member.offset))
        media_type = docker_manifest.layer_type(compression, what)
        # A plain layer has the digest that the config tells; whoever reads it verifies that.
        digest = diff_id if compression is None else self._hash(member)
        self._blobs[digest] = member
        return Descriptor(media_type, digest, member.size)

    def _hash(self, member: Member) -> Digest:
        if member not in self._hashed:
            stream = self.tar.stream(member)
            hasher = Digest("sha256", "").hasher()
            while True:
                data = stream.read(CHUNK)
                if not data:
                    break
                hasher.update(data)
            self._hashed[member] = Digest("sha256", hasher.hexdigest())
        return self._hashed[member]


def open_content(path: str, what: str, temporary: str | None = None) -> Content | None:
    """The archive ``path``; None if there is no file or an empty one.

    ``temporary`` is the directory where one that is compressed as a whole is unpacked, None for the system's.
    Raises ArchiveError, InvalidManifest, StorageError, MissingRequirement.
    """
    with files.explained("read", path):
        try:
            # O_NONBLOCK: a pipe must not hold us up.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
    return content_in(handle, what, temporary)


def content_in(handle: int, what: str, temporary: str | None = None) -> Content | None:
    """`open_content` of an open file, which belongs to the content from now on."""
    with files.explained("read", what):
        status = os.fstat(handle)
        start = os.pread(handle, compressed.MAGIC_SIZE, 0) if stat.S_ISREG(status.st_mode) else b""
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        os.close(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{what} is no file")
        return None
    packing = compressed.kind(start)
    if packing is not None:
        handle = compressed.unpack(handle, packing, temporary, what)
    return content_of(Tar(handle, what))


def content_of(tar: Tar) -> Content:
    """What the archive ``tar``, which is closed if it is none of images, holds. Raises ArchiveError, InvalidManifest."""
    what = tar.what
    try:
        if layout_index.INDEX_FILE in tar:
            if docker_manifest.FILE in tar:
                # Not used; but twice or as a link it is there to make two readers find different things (S13).
                tar.own_member(docker_manifest.FILE)
            return LayoutContent(tar)
        if docker_manifest.FILE in tar:
            return SavedContent(tar)
        raise ArchiveError(f"{what} is no image archive: it holds neither index.json nor manifest.json")
    except OciError:
        tar.close()
        raise
