# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing archives to a storage: one stream of exactly known length, and no byte of it on the local disk.

What is written is remembered only. `commit` knows every name and size, lays the archive out, and fetches each blob
when its place in the stream has come. The small files stand in front, so that a reader finds them with one request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial

from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import ArchiveError, ContentError, RegistryError
from ..model.image_config import CONFIG_LIMIT
from ..model.manifest import AnyManifest, parse_manifest
from . import layout_index, tar_body
from .archive_content import Content
from .archive_draft import ArchiveDraft
from .base import OpenBlob
from .image_list import ImageList
from .remote import Remote, is_write_only
from .remote_content import NotInPlace, open_remote
from .tar_body import TarBody

#: Names are kept as they are written.
SCHEME = "oci-archive"


class RemoteDestination(ArchiveDraft):
    """The archive at ``remote``. What it held before stays as it is until `commit` has sent all of the new one.

    Of images that stay and are not written the blobs come from the archive that is there.
    """

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote.name, SCHEME)
        self._remote = remote
        self._written: ImageList | None = None
        self._blobs: dict[Digest, tuple[Descriptor, OpenBlob]] = {}
        self._manifests: dict[Digest, tuple[str, bytes]] = {}

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        with self._lock:
            known = self._blobs.setdefault(descriptor.digest, (descriptor, open_blob))[0]
        if known.size != descriptor.size:
            raise ContentError(f"{descriptor.digest} is said to have {descriptor.size} bytes, and before {known.size}")

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        with self._lock:
            self._manifests[manifest.digest] = manifest.media_type, manifest.raw
        self._list(manifest, name)

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """As the interface says; nothing is sent if the archive holds all of this already. Raises OciError: the
        archive is as before then, as far as the storage shows nothing before it has all."""
        with self._lock:
            entries = self._entries(keep)
            if entries is not None:
                self._bring(entries)
                self._remote.store(TarBody(self._parts(entries)))
            self.abort()

    def written(self) -> ImageList | None:
        return self._written

    def abort(self) -> None:
        # Ready for another round, with what is there now.
        with self._lock:
            self._close_old()
            self._blobs, self._manifests, self._named, self._listed = {}, {}, {}, {}

    def _is_brought(self, digest: Digest) -> bool | None:
        return True if digest in self._blobs or digest in self._manifests else None

    def _brought(self) -> Collection[Digest]:
        return {*self._blobs, *self._manifests}

    def _config(self, descriptor: Descriptor) -> bytes | None:
        if descriptor.digest not in self._blobs or descriptor.size > CONFIG_LIMIT:
            return None
        stream = self._blobs[descriptor.digest][1]()
        try:
            data = b"".join(VerifyingReader(stream, descriptor.digest, descriptor.size))
        finally:
            stream.close()
        # Not to be asked for once more.
        self._blobs[descriptor.digest] = descriptor, tar_body.small("", data).open
        return data

    def _brought_manifest(self, entry: Descriptor) -> AnyManifest | None:
        if entry.digest not in self._manifests:
            return None
        media_type, raw = self._manifests[entry.digest]
        return parse_manifest(raw, media_type, entry.digest, f"manifest {entry.digest}")

    def _bring(self, entries: Iterable[Descriptor]) -> None:
        """Take what the entries need and only the old archive has from there."""
        manifests, blobs = self._needed(entries)
        for digest, manifest in manifests.items():
            self._manifests.setdefault(digest, (manifest.media_type, manifest.raw))
        for digest, blob in blobs.items():
            if digest not in self._blobs:
                self._take(blob)

    def _take(self, descriptor: Descriptor) -> None:
        if self._old is not None and self._in_old(descriptor):
            self._blobs[descriptor.digest] = descriptor, partial(self._old.tar.stream, self._old.blob(descriptor))
        elif descriptor.data is not None:
            data = descriptor.data
            self._blobs[descriptor.digest] = descriptor, tar_body.small("", data).open
        else:
            raise ContentError(f"{self.name} was not written: the blob {descriptor.digest} of an image is missing")

    def _parts(self, entries: Sequence[Descriptor]) -> list[tar_body.Part]:
        """The files of the archive: what tells of the rest first, then from small to large."""
        files, self._written = self._small_files(entries, self._blobs.keys())
        parts = [tar_body.small(name, raw) for name, raw in files]
        for digest in sorted(self._manifests, key=str):
            parts.append(tar_body.small(layout_index.blob_name(digest), self._manifests[digest][1]))
        blobs = [one for one in self._blobs.values() if one[0].digest not in self._manifests]
        for descriptor, open_blob in sorted(blobs, key=lambda one: (one[0].size, str(one[0].digest))):
            parts.append(tar_body.blob(layout_index.blob_name(descriptor.digest), descriptor, open_blob))
        return parts

    def _open_old(self) -> Content | None:
        try:
            return open_remote(self._remote, None)
        except NotInPlace as exc:
            why = exc.message
        except RegistryError as exc:
            if not is_write_only(exc):
                raise
            why = f"{self.name} cannot be read (HTTP {exc.status_code})"
        except ContentError as exc:
            raise ArchiveError(
                f"{self.name} exists and is no image archive; remove it or write to another place ({exc.message})"
            ) from None
        self._remote.warn(f"{why}, so that it cannot be known whether it holds these images already: every run writes it anew")
        return None
