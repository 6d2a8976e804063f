# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that are compressed as a whole: unpacked once into a nameless temporary file (S10)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
import zlib
from typing import IO, Any, Protocol, cast

from ..model.digest import CHUNK
from ..model.errors import ArchiveError, MissingRequirement, StorageError
from ..model.streams import Readable
from ..model.text import sanitise
from . import files
from .zstd_frames import Frames

#: Largest ratio of what comes out to what goes in (S10), above a size that no disk minds.
RATIO = 1000
_HARMLESS = 64 * 1024 * 1024
#: Most memory that a decompressor may ask for, in bytes: what the largest presets of xz and zstd --ultra need.
_MEMORY = 256 * 1024 * 1024
_ZSTD_WINDOW = 128 * 1024 * 1024

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
#: Bytes that `kind` needs to see.
MAGIC_SIZE = 6


def kind(start: bytes) -> str | None:
    """``gzip``, ``zstd``, ``bzip2`` or ``xz`` of what begins with ``start``; None for anything else."""
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def unpack(handle: int, name: str, directory: str | None, what: str) -> int:
    """A descriptor of a nameless file with what the file ``handle``, which is closed, holds compressed.

    ``name`` is one of `kind`'s; ``directory`` is where the file is made, None for the system's.
    Raises ArchiveError, StorageError, MissingRequirement.
    """
    with os.fdopen(handle, "rb") as source, files.explained("write", directory or tempfile.gettempdir()):
        target = tempfile.TemporaryFile(prefix=files.PREFIX, dir=directory)  # noqa: SIM115 - handed on open
        try:
            _pump(Unpacked(source, name, what), target)
            target.flush()
            return os.dup(target.fileno())
        finally:
            target.close()


class Positioned(Readable, Protocol):
    """A stream that tells how far it was read."""

    def tell(self) -> int:
        """Bytes read so far."""


class Unpacked:
    """A stream of what ``source`` holds compressed as ``name``, one of `kind`'s.

    ``source`` is read to its end. What is cut short, damaged, or grows too much (S10) raises ArchiveError.
    """

    def __init__(self, source: Positioned, name: str, what: str) -> None:
        self._source = source
        self._stream = _opened(source, name, what)
        self._what = what
        self._out = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end. Raises ArchiveError, StorageError."""
        data = _read(self._stream, size, self._what)
        self._out += len(data)
        if self._out > _HARMLESS and self._out > RATIO * self._source.tell():
            raise ArchiveError(f"{self._what} grows to more than {RATIO} times its size when decompressed: refused")
        return data


def _pump(stream: Readable, target: IO[bytes]) -> None:
    while True:
        data = stream.read(CHUNK)
        if not data:
            return
        target.write(data)


def _read(stream: Readable, size: int, what: str) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as exc:
        raise ArchiveError(f"{what} cannot be decompressed: {sanitise(exc, 120)}") from None
    except OSError as exc:
        # bz2 tells of broken data by an OSError without a number.
        if exc.errno is None:
            raise ArchiveError(f"{what} cannot be decompressed: {sanitise(exc, 120)}") from None
        raise StorageError(f"cannot read {what}: {exc.strerror}") from exc


def _opened(source: Readable, name: str, what: str) -> Readable:
    # They read forward alone.
    file = cast("IO[bytes]", source)
    if name == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    if name == "bzip2":
        return bz2.BZ2File(file, "rb")
    if name == "xz":
        return _Xz(source)
    return _Zstd(source, what)


def _state(decompressor: Any) -> tuple[bool, bool]:
    """Whether a decompressor is at the end of its stream, and whether it needs more bytes to go on."""
    return bool(decompressor.eof), bool(decompressor.needs_input)


class _Xz:
    """The standard library's LZMAFile takes no memory limit."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._decompressor = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)

    def read(self, size: int, /) -> bytes:
        while True:
            current = self._decompressor
            at_end, is_hungry = _state(current)
            if at_end:
                # Streams may follow each other, with zeros between them.
                rest = current.unused_data.lstrip(b"\0") or self._source.read(CHUNK).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = self._new()
                data = self._decompressor.decompress(rest, size)
            elif is_hungry:
                more = self._source.read(CHUNK)
                if not more:
                    raise EOFError("it ends before its end was reached")
                data = current.decompress(more, size)
            else:
                data = current.decompress(b"", size)
            if data:
                return data


class _Zstd:
    """Needs the library zstandard, and turns its errors into the usual ones."""

    def __init__(self, source: Readable, what: str) -> None:
        try:
            import zstandard
        except ImportError:
            raise MissingRequirement(
                f"{what} is compressed with zstd: install the Python library zstandard, or decompress the file first"
            ) from None
        self._error: Any = zstandard.ZstdError
        self._frames = Frames()
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        followed: Any = _Followed(source, self._frames)
        self._reader: Any = decompressor.stream_reader(followed, read_size=CHUNK, read_across_frames=True)

    def read(self, size: int, /) -> bytes:
        try:
            data: bytes = self._reader.read(size)
        except self._error as exc:
            raise ValueError(str(exc)) from None
        if not data and not self._frames.is_whole:
            raise EOFError("it ends before its end was reached")
        return data


class _Followed:
    """A source whose bytes are also shown to ``frames``."""

    def __init__(self, source: Readable, frames: Frames) -> None:
        self._source = source
        self._frames = frames

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._frames.update(data)
        return data
