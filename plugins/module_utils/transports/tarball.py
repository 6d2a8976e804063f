# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tarball:``: tars of root file systems as the layers of an image that is made of them. To be read alone.

Nothing is unpacked: the tars go as they lie, compressed or not. What the image is called is up to the destination.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
from typing import NamedTuple

from ..model import media_types
from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Digest
from ..model.errors import ArchiveError, InvalidInput, NotFound, StorageError
from ..model.location import Location
from ..model.manifest import AnyManifest, Manifest
from ..model.new_image import NewImage, manifest_of
from ..model.streams import Readable
from ..model.text import sanitise
from . import compressed, files
from .base import BlobStream, ImageDestination, ImageSource
from .places import Places
from .tar_stream import TarCheck

_MOST_LAYERS = 127
_LAYER_TYPES = {
    None: media_types.OCI_LAYER,
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
}


def open_source(location: Location, places: Places, config: NewImage | None = None) -> ImageSource:
    """The image made of the tars at ``tarball:path[:path...]``, the lowest layer first. Raises InvalidInput."""
    paths = location.details.split(":")
    if not all(paths):
        raise InvalidInput(f"'{sanitise(str(location))}' has an empty path: expected tarball:PATH[:PATH...]")
    if len(paths) > _MOST_LAYERS:
        raise InvalidInput(f"'{location.transport}:' takes {_MOST_LAYERS} layers at most, not {len(paths)}")
    return TarballSource(paths, config or NewImage())


def open_destination(location: Location, places: Places) -> tuple[ImageDestination, str]:
    """Raises InvalidInput: an image has more to it than the files in it."""
    raise InvalidInput(
        f"'{sanitise(str(location))}' cannot be written: tarball: is read alone; oci-archive: and docker-archive: hold images"
    )


class _File(NamedTuple):
    """A tar as it was when it was hashed."""

    path: str
    identity: tuple[int, int, int, int]


class TarballSource(ImageSource):
    """An image of which only the layers exist. They are read once to know its digest, and once more to be copied."""

    def __init__(self, paths: list[str], image: NewImage) -> None:
        self.name = f"tarball:{':'.join(paths)}"
        self._paths = paths
        self._image = image
        self._lock = threading.Lock()
        self._files: dict[Digest, _File] = {}
        self._config = b""
        self._manifest: Manifest | None = None

    def resolve(self) -> Digest:
        return self._made().digest

    def manifest(self, digest: Digest | None = None) -> AnyManifest:
        manifest = self._made()
        if digest is not None and digest != manifest.digest:
            raise NotFound(f"manifest {digest} is not in {self.name}")
        return manifest

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> BlobStream:
        manifest = self._made()
        if descriptor.digest == manifest.config.digest:
            return io.BytesIO(self._config[offset:])
        file = self._files.get(descriptor.digest)
        if file is None:
            raise NotFound(f"blob {descriptor.digest} is not in {self.name}")
        return _TarStream(file, offset)

    def tags(self) -> list[str]:
        return []

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return []

    def _made(self) -> Manifest:
        with self._lock:
            if self._manifest is None:
                layers, diff_ids = [], []
                for path in self._paths:
                    layer, diff_id = self._layer(path)
                    layers.append(layer)
                    diff_ids.append(diff_id)
                self._config = self._image.config(diff_ids)
                self._manifest = manifest_of(self._config, layers)
            return self._manifest

    def _layer(self, path: str) -> tuple[Descriptor, Digest]:
        what = f"the tar {sanitise(path, 300)}"
        handle, identity = _open(path)
        with files.explained("read", path), os.fdopen(handle, "rb", buffering=0) as raw:
            source = _Hashed(raw)
            packing = compressed.kind(os.pread(handle, compressed.MAGIC_SIZE, 0))
            if packing not in _LAYER_TYPES:
                raise ArchiveError(
                    f"{what} is compressed with {packing}, for which layers have no media type: use gzip, zstd or a plain tar"
                )
            check, diff_hasher = TarCheck(), hashlib.sha256()
            stream: Readable = source if packing is None else compressed.Unpacked(source, packing, what)
            try:
                while True:
                    data = stream.read(CHUNK)
                    if not data:
                        break
                    check.update(data)
                    if packing is not None:
                        diff_hasher.update(data)
                check.finish()
            except ArchiveError as exc:
                raise exc.about(what) from None
            if _identity(os.fstat(handle)) != identity:
                raise _changed(path)
        digest = Digest("sha256", source.hasher.hexdigest())
        self._files[digest] = _File(path, identity)
        descriptor = Descriptor(_LAYER_TYPES[packing], digest, source.tell())
        return descriptor, Digest("sha256", diff_hasher.hexdigest()) if packing is not None else digest


class _Hashed:
    """What is read from ``raw``, hashed on the way."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self._position = 0
        self.hasher = hashlib.sha256()

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._raw.read(size)
        self.hasher.update(data)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position


class _TarStream:
    """A BlobStream over a tar that must still be the one that was hashed."""

    def __init__(self, file: _File, offset: int) -> None:
        self._file = file
        self._handle: int | None
        self._handle, unused = _open(file.path)
        os.lseek(self._handle, offset, os.SEEK_SET)

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end. Raises ArchiveError if the file has changed, StorageError."""
        if self._handle is None:
            raise StorageError(f"cannot read {sanitise(self._file.path, 300)}: it was closed")
        with files.explained("read", self._file.path):
            data = os.read(self._handle, size)
            if _identity(os.fstat(self._handle)) != self._file.identity:
                raise _changed(self._file.path)
        return data

    def close(self) -> None:
        """Close the file. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _open(path: str) -> tuple[int, tuple[int, int, int, int]]:
    """A descriptor of the file ``path``, links followed, and its identity. Raises NotFound, ArchiveError, StorageError."""
    try:
        # O_NONBLOCK: a pipe must not hold us up.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"the tar {sanitise(path, 300)} does not exist") from None
    except OSError as exc:
        raise files.failure(exc, "read", path) from exc
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ArchiveError(f"the tar {sanitise(path, 300)} is no file")
    return handle, _identity(status)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(path: str) -> ArchiveError:
    return ArchiveError(f"the tar {sanitise(path, 300)} changed while it was copied: run the task again when it is finished")
