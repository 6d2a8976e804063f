# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci:``: a directory in the form of an OCI image layout, many images by name (image-spec image-layout.md)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable

from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import InvalidInput, NotFound
from ..model.location import Location
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, Index, descriptor_of
from ..model.text import sanitise
from . import files, image_survey, layout_index
from .base import BlobStream, Capabilities, ImageDestination, ImageSource, OpenBlob
from .image_list import Earlier, ImageList
from .layout_files import LOCK_FILE, Layout
from .layout_index import as_digest
from .layout_referrers import referrer_descriptor
from .places import Places

# What a name may be made of: tags, references and the grammar that image-spec recommends for ref.name.
_NAME = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:@+/\[\]-]{0,511}", re.ASCII)


def open_source(location: Location, places: Places) -> ImageSource:
    """The image at ``oci:path[:name|:@number]``."""
    return LayoutSource(*location.path_and_rest())


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The layout at ``oci:path[:name]``, and the name."""
    path, name, number = location.path_and_rest()
    if number is not None:
        raise InvalidInput(f"'{sanitise(str(location))}': an image is written under a name, not a number")
    key = ("oci", os.path.realpath(path))
    return places.shared(key, lambda: LayoutDestination(path)), check_name(name)


class LayoutSource(ImageSource):
    """One image of a layout, by ``image`` (a name, a tag or a digest), by ``number``, or the only one there is."""

    def __init__(self, path: str | Layout, image: str = "", number: int | None = None) -> None:
        self._layout = path if isinstance(path, Layout) else Layout(path)
        self._image = image
        self._number = number
        suffix = f":{sanitise(image)}" if image else "" if number is None else f":@{number}"
        self.name = self._layout.name + suffix

    def _entry(self) -> tuple[Digest, str, int | None]:
        index = self._layout.index()
        try:
            found = layout_index.find(index, self._image, self._number, self._layout.name)
        except NotFound:
            digest = as_digest(self._image)
            if digest is None or files.regular_size(self._layout.blob_file(digest)) is None:
                raise
            return digest, "", None
        return found.digest, found.media_type, found.size

    def resolve(self) -> Digest:
        return self._entry()[0]

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        if digest is None:
            return self._layout.manifest(*self._entry())
        entry = self._layout.entry(digest)
        if entry is None:
            return self._layout.manifest(digest)
        return self._layout.manifest(digest, entry.media_type, entry.size)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        return files.open_blob(self._layout.blob_file(descriptor.digest), descriptor, self._layout.name, offset)

    def tags(self) -> list[str]:
        return layout_index.tags(self._layout.index())

    def image_list(self) -> ImageList:
        layout = self._layout
        return image_survey.survey(layout.index().manifests, layout.find, layout.config, layout.holds)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return self._layout.referrers(digest)

    def sibling(self, tag: str) -> Digest | None:
        found = layout_index.sibling(self._layout.index(), self._image, self._number, tag, self._layout.name)
        return found.digest if found else None


class LayoutDestination(ImageDestination):
    """A layout to write into, created when the first byte is written. Threads and processes may write at once.

    Blobs are on the disk under their own names before a name of the index points at them, and index.json is read,
    changed and renamed under a lock, so that a reader finds every name whole at any time, also after a crash.
    ``durable``: wait until the disk has the bytes.
    """

    capabilities = Capabilities()

    def __init__(self, path: str, durable: bool = True) -> None:
        self._layout = Layout(path)
        self.name = self._layout.name
        self._durable = durable
        # Between the threads of this process; the lock file is for other processes.
        self._mutex = threading.Lock()
        self._ready = False
        self._created: list[str] = []
        self._written_names: set[str] = set()

    def resolve(self, name: str) -> Digest | None:
        check_name(name)
        index = self._index_or_none()
        if index is None:
            return None
        if not name:
            entry = layout_index.unnamed(index, self.name)
        else:
            entry = layout_index.exists(index, name, self.name)
        if entry is not None:
            return entry.digest
        digest = as_digest(name)
        return digest if digest is not None and self.has_manifest(digest) else None

    def sibling(self, name: str, tag: str) -> str | None:
        return layout_index.sibling_name(name, tag)

    def presume(self, earlier: Earlier | None, replace: bool) -> None:
        if earlier is not None:
            raise InvalidInput(f"{self.name} is no archive: only what is new goes into a layout anyway, so leave out since")

    def reader(self) -> ImageSource | None:
        return LayoutSource(self._layout)

    def is_empty(self) -> bool:
        return not self._ready and not self._layout.is_there()

    def has_manifest(self, digest: Digest) -> bool:
        path = self._layout.blob_file(digest)
        size = files.regular_size(path)
        if size is None or size > MANIFEST_LIMIT:
            return False
        # Small, so its bytes are looked at: a broken one is written anew.
        raw = files.read_file(path, MANIFEST_LIMIT, f"manifest {digest} of {self.name}")
        return Digest.of(raw, digest.algorithm) == digest

    def manifest(self, digest: Digest) -> AnyManifest | None:
        try:
            return self._layout.manifest(digest)
        except NotFound:
            return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        return files.regular_size(self._layout.blob_file(descriptor.digest)) == descriptor.size

    def expect(self, size: int) -> None:
        files.need(self._layout.path, size)

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        self._prepare(descriptor.digest)
        if self.has_blob(descriptor):
            return
        stream = open_blob()
        try:
            verified = VerifyingReader(stream, descriptor.digest, descriptor.size, "blob")
            files.write_stream(self._layout.blob_file(descriptor.digest), verified, self._durable)
        finally:
            stream.close()

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        check_name(name or "")
        self._prepare(manifest.digest)
        if not self.has_manifest(manifest.digest):
            files.write_file(self._layout.blob_file(manifest.digest), manifest.raw, self._durable)
        if name is None and manifest.subject is None:
            return
        named = as_digest(name or "")
        if named is not None and named != manifest.digest:
            raise InvalidInput(f"{self.name}: {named} cannot be the name of {manifest.digest}")
        if manifest.subject is not None:
            # Listed in the index even without a name, so that it is found again (`Layout.referrers`).
            entry = referrer_descriptor(manifest)
        else:
            entry = descriptor_of(manifest, artifact_type=manifest.artifact_type)
        self._sync_blobs()
        with self._mutex, files.locked(self._layout.file(LOCK_FILE)):
            index = self._index_or_none() or layout_index.parse(layout_index.EMPTY_INDEX, self.name)
            if name is None or named is not None:
                raw = layout_index.with_entry(index, entry, "")
            elif not name:
                raw = layout_index.with_unnamed(index, entry, self.name)
            else:
                raw = layout_index.with_entry(index, entry, name)
            self._replace_index(index, raw)
            if name is not None:
                self._written_names.add(name)

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """As the interface says. Blobs that nothing names any more stay: another process may be about to name them."""
        if keep is None or not self._layout.is_there():
            return
        kept = {*keep, *self._written_names}
        with self._mutex, files.locked(self._layout.file(LOCK_FILE)):
            index = self._layout.index()
            self._replace_index(index, layout_index.with_only(index, kept))

    def abort(self) -> None:
        """Leave what is whole, so that the next run goes on from there; a layout we created and left empty goes."""
        if not self._created or self._written_names or not os.path.isdir(self._layout.path):
            return
        with self._mutex, files.locked(self._layout.file(LOCK_FILE)):
            index = self._index_or_none()
            if index is not None and index.manifests:
                return
            blobs = self._layout.file(layout_index.BLOBS)
            below = [os.path.join(blobs, name) for name in files.listed(blobs)]
            if not all(files.remove_empty(path) for path in [*below, blobs]):
                return
            for name in (layout_index.INDEX_FILE, layout_index.OCI_LAYOUT_FILE, LOCK_FILE):
                files.remove(self._layout.file(name))
            for path in reversed(self._created):
                if not files.remove_empty(path):
                    break
            self._created = []
            self._ready = False

    def _index_or_none(self) -> Index | None:
        if not self._layout.is_there() or not os.path.lexists(self._layout.file(layout_index.INDEX_FILE)):
            return None
        return self._layout.index()

    def _replace_index(self, index: Index, raw: bytes) -> None:
        path = self._layout.file(layout_index.INDEX_FILE)
        if raw == index.raw and os.path.lexists(path):
            return
        files.write_file(path, raw, self._durable)
        if self._durable:
            files.sync_directory(self._layout.path)

    def _sync_blobs(self) -> None:
        # The names of the blobs have to be on the disk before the index names their manifest.
        if self._durable:
            blobs = self._layout.file(layout_index.BLOBS)
            for path in (*(os.path.join(blobs, name) for name in files.listed(blobs)), blobs):
                files.sync_directory(path)

    def _prepare(self, digest: Digest) -> None:
        # Creates what is missing. Also later: another process that aborts may have taken the empty layout away again.
        blobs = os.path.dirname(self._layout.blob_file(digest))
        if self._ready and os.path.isdir(blobs):
            return
        with self._mutex:
            if not self._ready or not os.path.isdir(self._layout.path):
                self._create()
                self._ready = True
            if not files.make_directories(blobs):
                files.remove_stale(blobs)

    def _create(self) -> None:
        if self._layout.is_there():
            # Nothing goes into a layout that is broken or of another version.
            self._index_or_none()
        self._created += files.make_directories(self._layout.path)
        files.remove_stale(self._layout.path)
        with files.locked(self._layout.file(LOCK_FILE)):
            for name, content in (
                (layout_index.OCI_LAYOUT_FILE, layout_index.OCI_LAYOUT),
                (layout_index.INDEX_FILE, layout_index.EMPTY_INDEX),
            ):
                if not os.path.lexists(self._layout.file(name)):
                    files.write_file(self._layout.file(name), content, self._durable)


def check_name(name: str) -> str:
    """``name`` if an image may have it; '' is allowed. Raises InvalidInput (R1.9)."""
    if name and _NAME.fullmatch(name) is None:
        raise InvalidInput(f"invalid image name '{sanitise(name, 140)}': expected a tag or a reference")
    return name
