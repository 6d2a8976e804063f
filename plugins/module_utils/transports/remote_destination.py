# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing archives to a storage: one stream of exactly known length, and no byte of it on the local disk.

What is written is remembered only. `commit` knows every name and size, lays the archive out, and fetches each blob
when its place in the stream has come. The small files stand in front, so that a reader finds them with one request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import partial

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import ArchiveError, ContentError, InvalidInput, NotFound, RegistryError
from ..model.image_config import CONFIG_LIMIT
from ..model.manifest import AnyManifest, Index, descriptor_of, parse_manifest, serialise
from . import archive_index, archive_names, docker_manifest, image_list, image_survey, layout_index, tar_body
from .archive_content import Content
from .base import Capabilities, ImageDestination, OpenBlob
from .image_list import Earlier, ImageList
from .layout_index import as_digest
from .layout_referrers import referrer_descriptor
from .remote import Remote, is_write_only
from .remote_content import NotInPlace, open_remote
from .tar_body import TarBody

#: Names are kept as they are written.
SCHEME = "oci-archive"


class RemoteDestination(ImageDestination):
    """The archive at ``remote``. What it held before stays as it is until `commit` has sent all of the new one.

    Of images that stay and are not written the blobs come from the archive that is there.
    """

    capabilities = Capabilities()

    def __init__(self, remote: Remote) -> None:
        self.name = remote.name
        self._remote = remote
        self._lock = threading.RLock()
        self._opened = False
        self._old: Content | None = None
        self._table: dict[str, Descriptor] | None = None
        self._earlier: Earlier | None = None
        self._replaces = False
        self._written: ImageList | None = None
        self._blobs: dict[Digest, tuple[Descriptor, OpenBlob]] = {}
        self._manifests: dict[Digest, tuple[str, bytes]] = {}
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
                if self._table is None:
                    self._table = archive_names.table(index.manifests)
                found = archive_names.look_up(self._table, name)
        return found.digest if found else None

    def held(self) -> dict[str, Digest]:
        index = self._old_index()
        entries = index.manifests if index is not None else ()
        named = ((archive_names.name_of(SCHEME, entry), entry.digest) for entry in entries)
        return {name: digest for name, digest in named if name}

    def sibling(self, name: str, tag: str) -> str | None:
        return archive_names.canonical(SCHEME, layout_index.sibling_name(name, tag))

    def is_empty(self) -> bool:
        return self._earlier is None and self._content() is None

    def has_manifest(self, digest: Digest) -> bool:
        with self._lock:
            if digest in self._manifests:
                return True
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
                return True
        old = self._content()
        member = old.member(descriptor.digest) if old is not None else None
        return (member is not None and member.size == descriptor.size) or self._is_left_out(descriptor)

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        with self._lock:
            known = self._blobs.setdefault(descriptor.digest, (descriptor, open_blob))[0]
        if known.size != descriptor.size:
            raise ContentError(f"{descriptor.digest} is said to have {descriptor.size} bytes, and before {known.size}")

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        entry = descriptor_of(manifest, artifact_type=manifest.artifact_type)
        with self._lock:
            self._manifests[manifest.digest] = manifest.media_type, manifest.raw
            if name is not None and as_digest(name) is None:
                self._named[name] = entry
            elif manifest.subject is not None:
                self._listed[manifest.digest] = referrer_descriptor(manifest)
            elif name is not None:
                # Asked for by digest: listed, and without a name.
                self._listed[manifest.digest] = entry

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """As the interface says; nothing is sent if the archive holds all of this already. Raises OciError: the
        archive is as before then, as far as the storage shows nothing before it has all."""
        with self._lock:
            old = self._old_index()
            before = old.manifests if old is not None else ()
            kept = None if keep is None else set(keep)
            entries = archive_index.merged(SCHEME, before, self._named, self._listed.values(), kept, self._find)
            if not self._is_as_before(entries, before):
                self._bring(entries)
                self._remote.store(TarBody(self._parts(entries)))
            self.abort()

    def written(self) -> ImageList | None:
        return self._written

    def abort(self) -> None:
        # Ready for another round, with what is there now.
        with self._lock:
            if self._old is not None:
                self._old.close()
            self._old, self._table, self._opened = None, None, False
            self._blobs, self._manifests, self._named, self._listed = {}, {}, {}, {}

    def _is_as_before(self, entries: Sequence[Descriptor], before: Sequence[Descriptor]) -> bool:
        if [one.to_json() for one in entries] != [one.to_json() for one in before] or not self._is_against_the_same():
            return False
        # What was written though it changes no name mends an archive that lacked it.
        old = self._old
        return old is None or all(old.member(digest) is not None for digest in (*self._blobs, *self._manifests))

    def _is_against_the_same(self) -> bool:
        """Whether the archive leaves out what it is to leave out. If not, all of it is written anew."""
        old = self._content()
        if old is None or image_list.is_against(old.earlier(), self._earlier):
            return True
        if not self._replaces:
            raise InvalidInput(f"{self.name} is a delta, made since earlier archives: no image can be added to it")
        return False

    def _is_left_out(self, descriptor: Descriptor) -> bool:
        # Configs are small, and tell the most of an image.
        if self._earlier is None or descriptor.media_type in media_types.IMAGE_CONFIGS:
            return False
        return self._earlier.has(descriptor)

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

    def _find(self, entry: Descriptor) -> AnyManifest | None:
        if entry.media_type not in media_types.MANIFESTS:
            return None
        if entry.digest in self._manifests:
            media_type, raw = self._manifests[entry.digest]
            return parse_manifest(raw, media_type, entry.digest, f"manifest {entry.digest}")
        try:
            return self._old.manifest(entry.digest) if self._old is not None else None
        except NotFound:
            return None

    def _bring(self, entries: Iterable[Descriptor]) -> None:
        """Take what the entries need and only the old archive has from there."""
        seen: set[Digest] = set()
        waiting = list(entries)
        while waiting:
            entry = waiting.pop()
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            manifest = self._find(entry)
            if manifest is None:
                # A part that was left out of an index, or something else than a manifest that is listed in one.
                if self._in_old(entry):
                    self._take(entry)
                continue
            self._manifests.setdefault(manifest.digest, (manifest.media_type, manifest.raw))
            if isinstance(manifest, Index):
                waiting += manifest.manifests
                continue
            for blob in (manifest.config, *manifest.layers):
                # Foreign layers are where their urls are, unless the old archive has them all the same.
                foreign = bool(blob.urls) and media_types.is_foreign(blob.media_type)
                wanted = not self._is_left_out(blob) and (not foreign or self._in_old(blob))
                if wanted and blob.digest not in self._blobs:
                    self._take(blob)

    def _in_old(self, descriptor: Descriptor) -> bool:
        return self._old is not None and self._old.member(descriptor.digest) is not None

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
        manifests = [entry.to_json() for entry in entries]
        index = serialise({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": manifests})
        parts = [
            tar_body.small(layout_index.OCI_LAYOUT_FILE, layout_index.OCI_LAYOUT),
            tar_body.small(layout_index.INDEX_FILE, index),
        ]
        images = archive_index.saved_images(entries, self._find, self._blobs.__contains__)
        if images:
            parts.append(tar_body.small(docker_manifest.FILE, docker_manifest.build(images)))
        listed = image_survey.survey(
            entries, self._find, self._config, lambda blob: blob.digest in self._blobs, self._earlier
        )
        self._written = listed
        index_file = image_list.file_of(listed, self.name)
        if index_file is not None:
            parts.append(tar_body.small(image_list.FILE, index_file))
        for digest in sorted(self._manifests, key=str):
            parts.append(tar_body.small(layout_index.blob_name(digest), self._manifests[digest][1]))
        blobs = [one for one in self._blobs.values() if one[0].digest not in self._manifests]
        for descriptor, open_blob in sorted(blobs, key=lambda one: (one[0].size, str(one[0].digest))):
            parts.append(tar_body.blob(layout_index.blob_name(descriptor.digest), descriptor, open_blob))
        return parts

    def _content(self) -> Content | None:
        with self._lock:
            if not self._opened:
                self._old = self._open()
                self._opened = True
            return self._old

    def _old_index(self) -> Index | None:
        old = self._content()
        return old.index() if old is not None else None

    def _open(self) -> Content | None:
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
