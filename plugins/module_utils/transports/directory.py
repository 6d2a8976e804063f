# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dir:``: one image as plain files, in the form that skopeo and podman know (containers-transports(5))."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from contextlib import ExitStack

from ..model.descriptor import Descriptor
from ..model.digest import Digest, VerifyingReader
from ..model.errors import ArchiveError, InvalidDigest, InvalidInput, NotFound, StorageError
from ..model.location import Location
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, Index, Manifest, parse_manifest
from ..model.text import sanitise
from . import files
from .base import BlobStream, Capabilities, ImageDestination, ImageSource, OpenBlob
from .layout_referrers import referrer_descriptor
from .places import Places

VERSION_FILE = "version"
VERSION = b"Directory Transport Version: 1.1\n"
MANIFEST_FILE = "manifest.json"
_KNOWN = b"Directory Transport Version: 1."
_BLOB = r"(?:[0-9a-f]{64}|sha384-[0-9a-f]{96}|sha512-[0-9a-f]{128})"
_CHILD = re.compile(rf"({_BLOB})\.manifest\.json")
# What may be removed when the image is replaced: only names that this transport makes.
_OURS = re.compile(rf"{_BLOB}(?:\.manifest\.json|\.signature-[0-9]+)?|signature-[0-9]+")


def open_source(location: Location, places: Places) -> ImageSource:
    """The image at ``dir:path``; a path may hold colons."""
    return DirectorySource(location.details)


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """The directory at ``dir:path``; the image in it has no name."""
    path = location.details
    return places.shared(("dir", os.path.realpath(path)), lambda: DirectoryDestination(path)), ""


class Directory:
    """The files of ``path`` and what they hold, for source and destination."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = f"dir:{path}"

    def file(self, name: str) -> str:
        """The path of a file of the directory."""
        return os.path.join(self.path, name)

    def blob_file(self, digest: Digest) -> str:
        """The path of a blob."""
        return self.file(blob_name(digest))

    def child_file(self, digest: Digest) -> str:
        """The path of a manifest other than the image's own."""
        return self.file(f"{blob_name(digest)}.manifest.json")

    def is_there(self) -> bool:
        """Whether ``path`` is such a directory; False if empty or missing. Raises InvalidInput for anything else."""
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise InvalidInput(f"{self.name}: {sanitise(self.path, 300)} is not a directory")
        held = files.listed(self.path)
        if VERSION_FILE in held:
            self.check_version()
            return True
        if held:
            raise InvalidInput(f"{self.name}: the directory holds other files and was not written as dir:")
        return False

    def check_version(self) -> None:
        """Raise ArchiveError if the file `version` names a format that is not known; older ones have no such file."""
        path = self.file(VERSION_FILE)
        if os.path.lexists(path):
            found = files.read_file(path, 64 * 1024, f"{VERSION_FILE} of {self.name}")
            if not found.startswith(_KNOWN):
                raise ArchiveError(f"{self.name} has an unknown format: '{sanitise(found, 80)}'")

    def top(self) -> AnyManifest:
        """The image's own manifest. Raises ArchiveError if there is none, InvalidManifest."""
        what = f"{MANIFEST_FILE} of {self.name}"
        self.check_version()
        try:
            raw = files.read_file(self.file(MANIFEST_FILE), MANIFEST_LIMIT, what)
        except NotFound:
            why = f"it has no {MANIFEST_FILE}" if os.path.isdir(self.path) else "there is no such directory"
            raise ArchiveError(f"{self.name} holds no image: {why}") from None
        return parse_manifest(raw, what=what)

    def top_or_none(self) -> AnyManifest | None:
        """`top`, or None where there is none yet."""
        return self.top() if os.path.lexists(self.file(MANIFEST_FILE)) else None

    def child(self, digest: Digest) -> AnyManifest:
        """The manifest ``digest`` beside the image's own, verified. Raises NotFound and ContentError."""
        what = f"manifest {digest} of {self.name}"
        return parse_manifest(files.read_file(self.child_file(digest), MANIFEST_LIMIT, what), "", digest, what)

    def children(self) -> list[AnyManifest]:
        """All manifests beside the image's own, in the order of their digests."""
        found = (_CHILD.fullmatch(name) for name in sorted(files.listed(self.path)))
        return [self.child(digest_of(match.group(1))) for match in found if match]


class DirectorySource(ImageSource):
    """The image in the directory ``path``."""

    def __init__(self, path: str) -> None:
        self._directory = Directory(path)
        self.name = self._directory.name

    def resolve(self) -> Digest:
        return self._directory.top().digest

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        top = self._directory.top()
        if digest is None or digest == top.digest:
            return top
        return self._directory.child(digest)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        return files.open_blob(self._directory.blob_file(descriptor.digest), descriptor, self.name, offset)

    def tags(self) -> list[str]:
        return []

    def referrers(self, digest: Digest) -> list[Descriptor]:
        children = self._directory.children()
        return [referrer_descriptor(one) for one in children if one.subject and one.subject.digest == digest]


class DirectoryDestination(ImageDestination):
    """One image without a name, to be replaced as a whole; blobs that are there already are not written again.

    manifest.json is replaced last, so that a reader finds the former image or the new one. What the new one does not
    use goes with `commit`. One process writes at a time: a second one is refused at its first write.
    """

    capabilities = Capabilities()

    def __init__(self, path: str, durable: bool = True) -> None:
        self._directory = Directory(path)
        self.name = self._directory.name
        self._durable = durable
        self._mutex = threading.Lock()
        self._lock: ExitStack | None = None
        self._created: list[str] = []
        self._replaced = False

    def resolve(self, name: str) -> Digest | None:
        if not self._directory.is_there():
            return None
        if name:
            digest = self._named(name)
            return digest if self.has_manifest(digest) else None
        top = self._directory.top_or_none()
        return top.digest if top is not None else None

    def is_empty(self) -> bool:
        return not self._directory.is_there()

    def has_manifest(self, digest: Digest) -> bool:
        top = self._directory.top_or_none()
        if top is not None and top.digest == digest:
            return True
        if files.regular_size(self._directory.child_file(digest)) is None:
            return False
        raw = files.read_file(self._directory.child_file(digest), MANIFEST_LIMIT, f"manifest {digest} of {self.name}")
        return Digest.of(raw, digest.algorithm) == digest

    def manifest(self, digest: Digest) -> AnyManifest | None:
        top = self._directory.top_or_none()
        if top is not None and top.digest == digest:
            return top
        try:
            return self._directory.child(digest)
        except NotFound:
            return None

    def has_blob(self, descriptor: Descriptor) -> bool:
        return files.regular_size(self._directory.blob_file(descriptor.digest)) == descriptor.size

    def expect(self, size: int) -> None:
        files.need(self._directory.path, size)

    def write_blob(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        self._prepare()
        if self.has_blob(descriptor):
            return
        stream = open_blob()
        try:
            verified = VerifyingReader(stream, descriptor.digest, descriptor.size, "blob")
            files.write_stream(self._directory.blob_file(descriptor.digest), verified, self._durable)
        finally:
            stream.close()

    def write_manifest(self, manifest: AnyManifest, name: str | None) -> None:
        if name and self._named(name) != manifest.digest:
            raise InvalidInput(f"{self.name}: {sanitise(name, 140)} cannot be the name of {manifest.digest}")
        self._prepare()
        if name is None:
            if not self.has_manifest(manifest.digest):
                files.write_file(self._directory.child_file(manifest.digest), manifest.raw, self._durable)
            return
        with self._mutex:
            self._check_complete(manifest)
            before = self._directory.top_or_none()
            if before is not None and before.digest == manifest.digest:
                return
            if before is not None and before.digest in _named_by(manifest):
                # The former image is now one of several: it keeps its manifest, under another name.
                files.write_file(self._directory.child_file(before.digest), before.raw, self._durable)
            if self._durable:
                files.sync_directory(self._directory.path)
            files.write_file(self._directory.file(MANIFEST_FILE), manifest.raw, self._durable)
            self._replaced = True
            if self._durable:
                files.sync_directory(self._directory.path)

    def commit(self, keep: Iterable[str] | None = None) -> None:
        """Remove what the new image does not use; without a new image nothing. ``keep`` means nothing here."""
        with self._mutex:
            if self._replaced:
                used = self._used()
                for name in files.listed(self._directory.path):
                    if _OURS.fullmatch(name) and name not in used:
                        files.remove(self._directory.file(name))
                self._replaced = False
            self._release()

    def abort(self) -> None:
        """Leave the former image and whole blobs, for the next run; a directory we created for nothing goes."""
        with self._mutex:
            if self._created and files.listed(self._directory.path) == [VERSION_FILE]:
                files.remove(self._directory.file(VERSION_FILE))
                for path in reversed(self._created):
                    if not files.remove_empty(path):
                        break
                self._created = []
            self._release()

    def _named(self, name: str) -> Digest:
        try:
            return Digest.parse(name)
        except InvalidDigest:
            raise InvalidInput(
                f"{self.name} holds one image without a name, it cannot be called '{sanitise(name, 140)}'"
            ) from None

    def _prepare(self) -> None:
        with self._mutex:
            if self._lock is not None:
                return
            self._directory.is_there()
            self._created += files.make_directories(self._directory.path)
            files.remove_stale(self._directory.path)
            version = self._directory.file(VERSION_FILE)
            if not os.path.lexists(version):
                files.write_file(version, VERSION, self._durable)
            lock = ExitStack()
            lock.enter_context(files.locked(version, patience=0))
            self._lock = lock

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _check_complete(self, manifest: AnyManifest) -> None:
        if isinstance(manifest, Manifest):
            for blob in manifest.blobs():
                if not self.has_blob(blob):
                    raise StorageError(f"{self.name}: blob {blob.digest} is gone; is something else writing there?")

    def _used(self) -> set[str]:
        # From manifest.json downwards, and then what refers to anything reached so far.
        used: set[str] = set()
        reached: set[Digest] = set()
        children = {one.digest: one for one in self._directory.children()}
        top = self._directory.top()
        waiting: list[AnyManifest] = [top]
        while waiting:
            manifest = waiting.pop()
            if manifest.digest in reached:
                continue
            reached.add(manifest.digest)
            if manifest.digest in children and manifest is not top:
                used.add(f"{blob_name(manifest.digest)}.manifest.json")
            if isinstance(manifest, Manifest):
                used.update(blob_name(blob.digest) for blob in (manifest.config, *manifest.layers))
            waiting += [children[digest] for digest in _named_by(manifest) if digest in children]
            waiting += [one for one in children.values() if one.subject and one.subject.digest == manifest.digest]
        return used


def blob_name(digest: Digest) -> str:
    """The file name of a blob, made of a checked digest alone (S19): the bare hex of sha256, as the format wants."""
    return digest.hex if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.hex}"


def digest_of(name: str) -> Digest:
    """The digest that `blob_name` made ``name`` of."""
    algorithm, dash, encoded = name.rpartition("-")
    return Digest.parse(f"{algorithm or 'sha256'}:{encoded}")


def _named_by(manifest: AnyManifest) -> set[Digest]:
    return {one.digest for one in manifest.manifests} if isinstance(manifest, Index) else set()
