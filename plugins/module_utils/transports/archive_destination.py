# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing archives: both forms, an OCI layout and docker's manifest.json, in one tar over the same blobs.

docker, podman, containerd and skopeo (as ``oci-archive:`` and as ``docker-archive:``) all load such a file. Blobs are
stored as they come, layers compressed or not.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import ArchiveError, ContentError, InvalidInput, NotFound, StorageError
from ..model.manifest import AnyManifest, Index, descriptor_of, parse_manifest, serialise
from ..model.text import sanitise
from . import archive_index, archive_names, docker_manifest, files, image_list, image_survey, layout_index
from .archive_content import Content, open_content
from .base import Capabilities, ImageDestination, OpenBlob
from .image_list import Earlier
from .layout_index import as_digest
from .layout_referrers import referrer_descriptor
from .tar_writer import Slot, TarWriter


@dataclass(eq=False)
class _Blob:
    """A blob on its way into the archive."""

    slot: Slot
    done: bool = False
    #: Held by the thread that writes it: a second one waits, and finds it done.
    lock: threading.Lock = field(default_factory=threading.Lock)


class ArchiveDestination(ImageDestination):
    """The archive ``path``. What it held before stays as it is until `commit`, and if nothing changes also after it.

    ``scheme`` is what the user wrote in front of the path; it decides in which form `held` gives names.
    """

    capabilities = Capabilities()

    def __init__(self, scheme: str, path: str, temporary: str | None = None) -> None:
        self.name = f"{scheme}:{path}"
        self.path = path
        self._scheme = scheme
        self._temporary = temporary
        self._lock = threading.RLock()
        self._writer = TarWriter(path)
        self._opened = False
        self._old: Content | None = None
        self._old_state: tuple[int, ...] | None = None
        self._table: dict[str, Descriptor] | None = None
        self._blobs: dict[Digest, _Blob] = {}
        self._earlier: Earlier | None = None
        self._replaces = False
        #: What `write_manifest` was given: names, and referrers, which have none.
        self._named: dict[str, Descriptor] = {}
        self._listed: dict[Digest, Descriptor] = {}

    def presume(self, earlier: Earlier | None, replace: bool) -> None:
        self._earlier, self._replaces = earlier, replace

    def resolve(self, name: str) -> Digest | None:
        with self._lock:
            if name in self._named:
                return self._named[name].digest
        index = self._old_index()
        if index is None or not self._is_against_the_same():
            return None
        if not name:
            found = layout_index.unnamed(index, self.name)
        else:
            with self._lock:
                if self._table is None:
                    self._table = archive_names.table(index.manifests)
                found = archive_names.look_up(self._table, name)
        return found.digest if found else None

    def held(self) -> dict[str, Digest]:
        index = self._old_index()
        entries = index.manifests if index is not None else ()
        named = ((archive_names.name_of(self._scheme, entry), entry.digest) for entry in entries)
        return {name: digest for name, digest in named if name}

    def sibling(self, name: str, tag: str) -> str | None:
        return archive_names.canonical(self._scheme, layout_index.sibling_name(name, tag))

    def is_empty(self) -> bool:
        return self._earlier is None and self._content() is None

    def has_manifest(self, digest: Digest) -> bool:
        with self._lock:
            if digest in self._blobs:
                return self._blobs[digest].done
        old = self._content()
        return old is not None and old.holds(digest)

    def manifest(self, digest: Digest) -> AnyManifest | None:
        old = self._content()
        try:
            return old.manifest(digest) if old is not None else None
        except NotFound:
            return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        with self._lock:
            if descriptor.digest in self._blobs:
                return self._blobs[descriptor.digest].done
        old = self._content()
        member = old.member(descriptor.digest) if old is not None else None
        return (member is not None and member.size == descriptor.size) or self._is_left_out(descriptor)

    def expect(self, size: int) -> None:
        directory = os.path.dirname(self.path) or "."
        if not os.path.isdir(directory):
            shown = sanitise(directory, 300)
            raise StorageError(f"cannot write {sanitise(self.path, 300)}: the directory {shown} does not exist")
        files.need(directory, size)

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        blob = self._slot(descriptor.digest, descriptor.size)
        with blob.lock:
            if blob.done:
                return
            stream = open_blob()
            try:
                self._fill(blob, VerifyingReader(stream, descriptor.digest, descriptor.size))
            finally:
                stream.close()

    def _fill(self, blob: _Blob, reader: VerifyingReader) -> None:
        # A second try writes over what the first one left.
        position = 0
        for data in reader:
            self._writer.write(blob.slot, position, data)
            position += len(data)
        blob.done = True

    def _slot(self, digest: Digest, size: int) -> _Blob:
        with self._lock:
            blob = self._blobs.get(digest)
            if blob is None:
                blob = self._blobs[digest] = _Blob(self._writer.reserve(layout_index.blob_name(digest), size))
            if blob.slot.size != size:
                raise ContentError(f"{digest} is said to have {size} bytes, and before {blob.slot.size}")
            return blob

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        if not self.has_manifest(manifest.digest):
            blob = self._slot(manifest.digest, manifest.size)
            with blob.lock:
                if not blob.done:
                    self._writer.write(blob.slot, 0, manifest.raw)
                    blob.done = True
        entry = descriptor_of(manifest, artifact_type=manifest.artifact_type)
        with self._lock:
            if name is not None and as_digest(name) is None:
                self._named[name] = entry
            elif manifest.subject is not None:
                self._listed[manifest.digest] = referrer_descriptor(manifest)
            elif name is not None:
                # Asked for by digest: listed, and without a name.
                self._listed[manifest.digest] = entry

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """As the interface says; nothing is written if the archive holds all of this already. Raises StorageError,
        ContentError; the archive is as before then, and `abort` removes what was begun."""
        with self._lock:
            old = self._old_index()
            before = old.manifests if old is not None else ()
            kept = None if keep is None else set(keep)
            entries = archive_index.merged(self._scheme, before, self._named, self._listed.values(), kept, self._find)
            if self._is_as_before(entries, before):
                self._writer.abort()
                self._forget()
                return
            for digest, blob in self._blobs.items():
                if not blob.done:
                    raise ContentError(f"{self.name} was not written: {digest} did not arrive whole")
            self._check_unchanged()
            self._bring(entries)
            images = archive_index.saved_images(entries, self._find, self._blobs.__contains__)
            listed = image_survey.survey(
                entries, self._find, self._config, lambda blob: blob.digest in self._blobs, self._earlier
            )
            index_file = image_list.file_of(listed, self.name)
            self._writer.add(layout_index.OCI_LAYOUT_FILE, layout_index.OCI_LAYOUT)
            self._writer.add(layout_index.INDEX_FILE, _index_json(entries))
            if images:
                self._writer.add(docker_manifest.FILE, docker_manifest.build(images))
            if index_file is not None:
                self._writer.add(image_list.FILE, index_file)
            self._writer.finish()
            self._forget()

    def _is_as_before(self, entries: Sequence[Descriptor], before: Sequence[Descriptor]) -> bool:
        if [one.to_json() for one in entries] != [one.to_json() for one in before]:
            return False
        old = self._old
        if old is not None and not self._is_against_the_same():
            return False
        # What was written though it changes no name mends an archive that lacked it.
        return old is None or all(old.member(digest) is not None for digest in self._blobs)

    def _is_against_the_same(self) -> bool:
        """Whether the file leaves out what it is to leave out. If not, all of it is written anew, where it is replaced."""
        old = self._content()
        if old is None or image_list.is_against(old.earlier(), self._earlier):
            return True
        if not self._replaces:
            kind = "holds whole images" if old.earlier() is None else "is a delta, made since earlier archives"
            raise InvalidInput(
                f"{sanitise(self.path, 300)} {kind}: images can be added to it with append and the same since alone"
            )
        return False

    def _is_left_out(self, descriptor: Descriptor) -> bool:
        # Configs are small, and tell the most of an image.
        if self._earlier is None or descriptor.media_type in media_types.IMAGE_CONFIGS:
            return False
        return self._earlier.has(descriptor)

    def _config(self, descriptor: Descriptor) -> bytes | None:
        blob = self._blobs.get(descriptor.digest)
        return self._writer.read(blob.slot) if blob is not None and blob.done else None

    def _find(self, entry: Descriptor) -> AnyManifest | None:
        if entry.media_type not in media_types.MANIFESTS:
            return None
        blob = self._blobs.get(entry.digest)
        if blob is not None and blob.done:
            what = f"manifest {entry.digest}"
            return parse_manifest(self._writer.read(blob.slot), entry.media_type, entry.digest, what)
        try:
            return self._old.manifest(entry.digest) if self._old is not None else None
        except NotFound:
            return None

    def _bring(self, entries: Iterable[Descriptor]) -> None:
        """Copy what the entries need and only the old archive has."""
        manifests: dict[Digest, AnyManifest] = {}
        blobs: dict[Digest, Descriptor] = {}
        waiting = list(entries)
        while waiting:
            entry = waiting.pop()
            if entry.digest in manifests:
                continue
            manifest = self._find(entry)
            if manifest is None:
                # A part that was left out of an index, or something else than a manifest that is listed in one.
                if self._old is not None and self._old.member(entry.digest) is not None:
                    blobs[entry.digest] = entry
                continue
            manifests[entry.digest] = manifest
            if isinstance(manifest, Index):
                waiting += manifest.manifests
            else:
                parts = (manifest.config, *manifest.layers)
                blobs.update((blob.digest, blob) for blob in parts if self._is_needed(blob))
        missing = [blob for digest, blob in blobs.items() if digest not in self._blobs]
        files.need(os.path.dirname(self.path) or ".", sum(blob.size for blob in missing))
        for descriptor in sorted(missing, key=lambda one: str(one.digest)):
            self._copy(descriptor)
        for digest in sorted(manifests, key=str):
            if digest not in self._blobs:
                blob = self._slot(digest, manifests[digest].size)
                self._writer.write(blob.slot, 0, manifests[digest].raw)
                blob.done = True

    def _is_needed(self, blob: Descriptor) -> bool:
        # Foreign layers are where their urls are, unless the old archive has them all the same.
        foreign = bool(blob.urls) and media_types.is_foreign(blob.media_type)
        if self._is_left_out(blob):
            return False
        return not foreign or (self._old is not None and self._old.member(blob.digest) is not None)

    def _copy(self, descriptor: Descriptor) -> None:
        if self._old is None or self._old.member(descriptor.digest) is None:
            if descriptor.data is None:
                raise ContentError(f"{self.name} was not written: the blob {descriptor.digest} of an image is missing")
            slot = self._writer.add(layout_index.blob_name(descriptor.digest), descriptor.data)
        else:
            member = self._old.blob(descriptor)
            slot = self._writer.reserve(layout_index.blob_name(descriptor.digest), descriptor.size)
            self._writer.copy(slot, self._old.tar.handle, member.offset)
        self._blobs[descriptor.digest] = _Blob(slot, done=True)

    def abort(self) -> None:
        self._writer.abort()
        with self._lock:
            self._close_old()

    def _content(self) -> Content | None:
        with self._lock:
            if not self._opened:
                self._old, self._old_state = self._open()
                self._opened = True
            return self._old

    def _open(self) -> tuple[Content | None, tuple[int, ...] | None]:
        with files.explained("read", self.path):
            try:
                status = os.lstat(self.path)
            except FileNotFoundError:
                return None, None
        shown = sanitise(self.path, 300)
        if stat.S_ISLNK(status.st_mode):
            # Written through it, any file could be replaced by whoever put it there (S21).
            raise ArchiveError(f"{shown} is a symbolic link, which is not written through: name the file it leads to")
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{shown} exists and is no file: choose another path")
        try:
            return open_content(self.path, self.name, self._temporary), _state(status)
        except ContentError as exc:
            raise ArchiveError(
                f"{shown} exists and is no image archive; remove it or choose another path ({exc.message})"
            ) from None

    def _old_index(self) -> Index | None:
        old = self._content()
        return old.index() if old is not None else None

    def _forget(self) -> None:
        # Ready for another round, with what is in the file now.
        self._close_old()
        self._writer = TarWriter(self.path)
        self._blobs, self._named, self._listed = {}, {}, {}

    def _close_old(self) -> None:
        if self._old is not None:
            self._old.close()
        self._old, self._old_state, self._table, self._opened = None, None, None, False

    def _check_unchanged(self) -> None:
        # Another process may have replaced the file since it was read: its images must not get lost.
        try:
            state: tuple[int, ...] | None = _state(os.lstat(self.path))
        except FileNotFoundError:
            state = None
        if state != self._old_state:
            shown = sanitise(self.path, 300)
            raise StorageError(f"{shown} was changed by another process meanwhile: run the task again")


def _index_json(entries: Iterable[Descriptor]) -> bytes:
    listed = [entry.to_json() for entry in entries]
    return serialise({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": listed})


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
