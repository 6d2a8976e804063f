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
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import ArchiveError, ContentError, StorageError
from ..model.manifest import AnyManifest, parse_manifest
from ..model.text import sanitise
from . import files, layout_index
from .archive_content import Content, open_content
from .archive_draft import ArchiveDraft
from .base import OpenBlob
from .tar_writer import Slot, TarWriter


@dataclass(eq=False)
class _Blob:
    """A blob on its way into the archive."""

    slot: Slot
    done: bool = False
    #: Held by the thread that writes it: a second one waits, and finds it done.
    lock: threading.Lock = field(default_factory=threading.Lock)


class ArchiveDestination(ArchiveDraft):
    """The archive ``path``. What it held before stays as it is until `commit`, and if nothing changes also after it.

    ``scheme`` is what the user wrote in front of the path; it decides in which form `held` gives names.
    """

    def __init__(self, scheme: str, path: str, temporary: str | None = None) -> None:
        super().__init__(f"{scheme}:{path}", scheme)
        self.path = path
        self._temporary = temporary
        self._writer = TarWriter(path)
        self._old_state: tuple[int, ...] | None = None
        self._blobs: dict[Digest, _Blob] = {}

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
        self._list(manifest, name)

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """As the interface says; nothing is written if the archive holds all of this already. Raises StorageError,
        ContentError; the archive is as before then, and `abort` removes what was begun."""
        with self._lock:
            entries = self._entries(keep)
            if entries is None:
                self._writer.abort()
                self._forget()
                return
            for digest, blob in self._blobs.items():
                if not blob.done:
                    raise ContentError(f"{self.name} was not written: {digest} did not arrive whole")
            self._check_unchanged()
            self._bring(entries)
            for name, raw in self._small_files(entries, self._blobs.keys())[0]:
                self._writer.add(name, raw)
            self._writer.finish()
            self._forget()

    def _is_brought(self, digest: Digest) -> bool | None:
        return self._blobs[digest].done if digest in self._blobs else None

    def _brought(self) -> Collection[Digest]:
        return self._blobs.keys()

    def _config(self, descriptor: Descriptor) -> bytes | None:
        blob = self._blobs.get(descriptor.digest)
        return self._writer.read(blob.slot) if blob is not None and blob.done else None

    def _brought_manifest(self, entry: Descriptor) -> AnyManifest | None:
        blob = self._blobs.get(entry.digest)
        if blob is None or not blob.done:
            return None
        return parse_manifest(self._writer.read(blob.slot), entry.media_type, entry.digest, f"manifest {entry.digest}")

    def _bring(self, entries: Iterable[Descriptor]) -> None:
        """Copy what the entries need and only the old archive has."""
        manifests, blobs = self._needed(entries)
        missing = [blob for digest, blob in blobs.items() if digest not in self._blobs]
        files.need(os.path.dirname(self.path) or ".", sum(blob.size for blob in missing))
        for descriptor in sorted(missing, key=lambda one: str(one.digest)):
            self._copy(descriptor)
        for digest in sorted(manifests, key=str):
            if digest not in self._blobs:
                blob = self._slot(digest, manifests[digest].size)
                self._writer.write(blob.slot, 0, manifests[digest].raw)
                blob.done = True

    def _copy(self, descriptor: Descriptor) -> None:
        if self._old is None or not self._in_old(descriptor):
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

    def _open_old(self) -> Content | None:
        old, self._old_state = self._open()
        return old

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

    def _forget(self) -> None:
        # Ready for another round, with what is in the file now.
        self._close_old()
        self._writer = TarWriter(self.path)
        self._blobs, self._named, self._listed = {}, {}, {}

    def _check_unchanged(self) -> None:
        # Another process may have replaced the file since it was read: its images must not get lost.
        try:
            state: tuple[int, ...] | None = _state(os.lstat(self.path))
        except FileNotFoundError:
            state = None
        if state != self._old_state:
            shown = sanitise(self.path, 300)
            raise StorageError(f"{shown} was changed by another process meanwhile: run the task again")


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
