# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading and writing an OCI image layout share: its files, its index and what refers to what."""

from __future__ import annotations

import os

from ..model import media_types, strict_json
from ..model.descriptor import Descriptor
from ..model.digest import Digest
from ..model.errors import ArchiveError, InvalidInput, NotFound, SizeMismatch
from ..model.image_config import CONFIG_LIMIT
from ..model.manifest import MANIFEST_LIMIT, AnyManifest, Index, parse_manifest
from ..model.text import sanitise
from . import files, layout_index
from .layout_referrers import by_subject

#: Largest index.json we read, in bytes: as for every index (R1.18).
INDEX_LIMIT = MANIFEST_LIMIT
#: Held while index.json is read, changed and put in place.
LOCK_FILE = ".lock"


class Layout:
    """What source and destination share: the directory ``path``, its index.json and its blobs. Thread-safe.

    The index is parsed anew only when its bytes have changed, so that many sources may share one Layout.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = f"oci:{path}"
        self._seen: Index | None = None
        self._subjects: tuple[Index, dict[Digest, list[Descriptor]]] | None = None

    def file(self, name: str) -> str:
        """The path of a file of the layout."""
        return os.path.join(self.path, name)

    def blob_file(self, digest: Digest) -> str:
        """The path of a blob."""
        return self.file(layout_index.blob_name(digest))

    def is_there(self) -> bool:
        """Whether ``path`` is a layout; False if missing or empty. Raises InvalidInput for anything else."""
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise InvalidInput(f"{self.name}: {sanitise(self.path, 300)} is not a directory")
        held = files.listed(self.path)
        if layout_index.INDEX_FILE in held or layout_index.OCI_LAYOUT_FILE in held:
            return True
        if [name for name in held if name != LOCK_FILE]:
            raise InvalidInput(f"{self.name}: the directory holds other files and is no OCI layout")
        return False

    def index(self) -> Index:
        """The index.json. Raises ArchiveError if this is no layout, InvalidManifest, StorageError."""
        what = f"index.json of {self.name}"
        try:
            raw = files.read_file(self.file(layout_index.INDEX_FILE), INDEX_LIMIT, what)
        except NotFound:
            why = "it has no index.json" if os.path.isdir(self.path) else "there is no such directory"
            raise ArchiveError(f"{self.name} is no OCI layout: {why}") from None
        seen = self._seen
        if seen is None or seen.raw != raw:
            self._check_version()
            seen = self._seen = layout_index.parse(raw, what)
        return seen

    def _check_version(self) -> None:
        path = self.file(layout_index.OCI_LAYOUT_FILE)
        what = f"oci-layout of {self.name}"
        if os.path.lexists(path):
            version = strict_json.load_object(files.read_file(path, 64 * 1024, what), what).get("imageLayoutVersion")
            if not isinstance(version, str) or version.split(".")[0] != "1":
                raise ArchiveError(f"{self.name} is a layout of version {sanitise(version, 40)}: 1.0.0 is known")

    def manifest(self, digest: Digest, media_type: str = "", size: int | None = None) -> AnyManifest:
        """The manifest ``digest``, verified. Raises NotFound, InvalidManifest, SizeMismatch, DigestMismatch."""
        what = f"manifest {digest} of {self.name}"
        raw = files.read_file(self.blob_file(digest), MANIFEST_LIMIT, what)
        if size is not None and len(raw) != size:
            raise SizeMismatch(f"{what} has {len(raw)} bytes, its descriptor says {size}")
        return parse_manifest(raw, media_type, digest, what)

    def find(self, entry: Descriptor) -> AnyManifest | None:
        """The manifest that ``entry`` names; None if it is not there or is none."""
        try:
            return self.manifest(entry.digest, entry.media_type) if entry.media_type in media_types.MANIFESTS else None
        except NotFound:
            return None

    def holds(self, blob: Descriptor) -> bool:
        """Whether the blob is there in its whole length."""
        return files.regular_size(self.blob_file(blob.digest)) == blob.size

    def config(self, blob: Descriptor) -> bytes | None:
        """The bytes of a config; None if it is not there."""
        what = f"config {blob.digest} of {self.name}"
        return files.read_file(self.blob_file(blob.digest), CONFIG_LIMIT, what) if self.holds(blob) else None

    def entry(self, digest: Digest) -> Descriptor | None:
        """The entry of the index for ``digest``, if it is listed there."""
        return next((entry for entry in self.index().manifests if entry.digest == digest), None)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """The manifests of the index, and of the fallback tag's index, whose subject is ``digest``."""
        index = self.index()
        if self._subjects is None or self._subjects[0] is not index:
            self._subjects = index, by_subject(index, self._listed)
        return list(self._subjects[1].get(digest, []))

    def _listed(self, entry: Descriptor) -> AnyManifest:
        return self.manifest(entry.digest, entry.media_type, entry.size)
