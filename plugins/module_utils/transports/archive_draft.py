# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive in the making beside the one in its place: what is asked of both together, and what the new one will list.

Where the bytes go, into a file or to a storage, is up to the classes that build on this one.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import InvalidInput, NotFound
from ..model.manifest import AnyManifest, Index, descriptor_of, serialise
from . import archive_index, archive_names, docker_manifest, image_list, image_survey, layout_index
from .archive_content import Content
from .base import Capabilities, ImageDestination
from .image_list import Earlier, ImageList
from .layout_index import as_digest
from .layout_referrers import referrer_descriptor


class ArchiveDraft(ImageDestination):
    """What it held before stays as it is until `commit`, and if nothing changes also after it.

    ``scheme`` decides in which form `held` gives names.
    """

    capabilities = Capabilities()

    def __init__(self, name: str, scheme: str) -> None:
        self.name = name
        self._scheme = scheme
        self._lock = threading.RLock()
        self._opened = False
        self._old: Content | None = None
        self._table: dict[str, Descriptor] | None = None
        self._earlier: Earlier | None = None
        self._replaces = False
        #: What `write_manifest` was given: names, and referrers, which have none.
        self._named: dict[str, Descriptor] = {}
        self._listed: dict[Digest, Descriptor] = {}

    @abstractmethod
    def _open_old(self) -> Content | None:
        """The archive that is there; None if there is none."""

    @abstractmethod
    def _is_brought(self, digest: Digest) -> bool | None:
        """Whether a blob or manifest that was written has arrived; None if it was not written."""

    @abstractmethod
    def _brought(self) -> Collection[Digest]:
        """What was written, blobs and manifests."""

    @abstractmethod
    def _brought_manifest(self, entry: Descriptor) -> AnyManifest | None:
        """A manifest that was written."""

    @abstractmethod
    def _config(self, descriptor: Descriptor) -> bytes | None:
        """A config that was written."""

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
        named = ((archive_names.name_of(self._scheme, entry), entry.digest) for entry in entries)
        return {name: digest for name, digest in named if name}

    def sibling(self, name: str, tag: str) -> str | None:
        return archive_names.canonical(self._scheme, layout_index.sibling_name(name, tag))

    def is_empty(self) -> bool:
        return self._earlier is None and self._content() is None

    def has_manifest(self, digest: Digest) -> bool:
        with self._lock:
            brought = self._is_brought(digest)
        if brought is not None:
            return brought
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
            brought = self._is_brought(descriptor.digest)
        if brought is not None:
            return brought
        old = self._content()
        member = old.member(descriptor.digest) if old is not None else None
        return (member is not None and member.size == descriptor.size) or self._is_left_out(descriptor)

    def _list(self, manifest: AnyManifest, name: str | None) -> None:
        """Note the name of a manifest that was written."""
        entry = descriptor_of(manifest, artifact_type=manifest.artifact_type)
        with self._lock:
            if name is not None and as_digest(name) is None:
                self._named[name] = entry
            elif manifest.subject is not None:
                self._listed[manifest.digest] = referrer_descriptor(manifest)
            elif name is not None:
                # Asked for by digest: listed, and without a name.
                self._listed[manifest.digest] = entry

    def _entries(self, keep: Iterable[str] | None) -> list[Descriptor] | None:
        """What the new archive lists; None if the old one lists that and holds all that was written."""
        old = self._old_index()
        before = old.manifests if old is not None else ()
        kept = None if keep is None else set(keep)
        entries = archive_index.merged(self._scheme, before, self._named, self._listed.values(), kept, self._find)
        return None if self._is_as_before(entries, before) else entries

    def _is_as_before(self, entries: Sequence[Descriptor], before: Sequence[Descriptor]) -> bool:
        if [one.to_json() for one in entries] != [one.to_json() for one in before] or not self._is_against_the_same():
            return False
        # What was written though it changes no name mends an archive that lacked it.
        old = self._old
        return old is None or all(old.member(digest) is not None for digest in self._brought())

    def _is_against_the_same(self) -> bool:
        """Whether the old archive leaves out what this one is to leave out. If not, all of it is written anew, where it is
        replaced."""
        old = self._content()
        if old is None or image_list.is_against(old.earlier(), self._earlier):
            return True
        if not self._replaces:
            kind = "holds whole images" if old.earlier() is None else "is a delta, made since earlier archives"
            raise InvalidInput(f"{self.name} {kind}: images can be added to it with append and the same since alone")
        return False

    def _is_left_out(self, descriptor: Descriptor) -> bool:
        # Configs are small, and tell the most of an image.
        if self._earlier is None or descriptor.media_type in media_types.IMAGE_CONFIGS:
            return False
        return self._earlier.has(descriptor)

    def _find(self, entry: Descriptor) -> AnyManifest | None:
        if entry.media_type not in media_types.MANIFESTS:
            return None
        found = self._brought_manifest(entry)
        if found is not None:
            return found
        try:
            return self._old.manifest(entry.digest) if self._old is not None else None
        except NotFound:
            return None

    def _needed(self, entries: Iterable[Descriptor]) -> tuple[dict[Digest, AnyManifest], dict[Digest, Descriptor]]:
        """The manifests and blobs that the entries stand for, as far as they belong into the archive."""
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
                if self._in_old(entry):
                    blobs[entry.digest] = entry
                continue
            manifests[entry.digest] = manifest
            if isinstance(manifest, Index):
                waiting += manifest.manifests
            else:
                parts = (manifest.config, *manifest.layers)
                blobs.update((blob.digest, blob) for blob in parts if self._is_needed(blob))
        return manifests, blobs

    def _is_needed(self, blob: Descriptor) -> bool:
        # Foreign layers are where their urls are, unless the old archive has them all the same.
        foreign = bool(blob.urls) and media_types.is_foreign(blob.media_type)
        return not self._is_left_out(blob) and (not foreign or self._in_old(blob))

    def _in_old(self, descriptor: Descriptor) -> bool:
        return self._old is not None and self._old.member(descriptor.digest) is not None

    def _small_files(
        self, entries: Sequence[Descriptor], holds: Collection[Digest]
    ) -> tuple[list[tuple[str, bytes]], ImageList]:
        """The files that tell of the rest, with their names, and the list of the images. ``holds``: the blobs."""
        listed = [entry.to_json() for entry in entries]
        index = serialise({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": listed})
        found = [(layout_index.OCI_LAYOUT_FILE, layout_index.OCI_LAYOUT), (layout_index.INDEX_FILE, index)]
        images = archive_index.saved_images(entries, self._find, holds.__contains__)
        if images:
            found.append((docker_manifest.FILE, docker_manifest.build(images)))
        survey = image_survey.survey(entries, self._find, self._config, lambda blob: blob.digest in holds, self._earlier)
        raw = image_list.file_of(survey, self.name)
        if raw is not None:
            found.append((image_list.FILE, raw))
        return found, survey

    def _content(self) -> Content | None:
        with self._lock:
            if not self._opened:
                self._old = self._open_old()
                self._opened = True
            return self._old

    def _old_index(self) -> Index | None:
        old = self._content()
        return old.index() if old is not None else None

    def _close_old(self) -> None:
        if self._old is not None:
            self._old.close()
        self._old, self._table, self._opened = None, None, False
