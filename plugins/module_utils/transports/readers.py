# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive is read from: bytes at any place of it, by many threads at once."""

from __future__ import annotations

import os
from typing import Protocol

from ..model.digest import CHUNK
from ..model.errors import ArchiveError, StorageError
from ..model.streams import BlobStream
from . import files


class Reader(Protocol):
    """An archive that does not change. Thread-safe."""

    #: Bytes it has.
    size: int

    def pread(self, size: int, offset: int) -> bytes:
        """``size`` bytes from ``offset``, fewer at the end alone. Raises OciError."""

    def stream(self, offset: int, size: int) -> BlobStream:
        """``size`` bytes from ``offset``, which are all there."""

    def close(self) -> None:
        """Let go of what is behind it. May be called twice."""


class FileReader:
    """The open file ``handle``, which belongs to it from now on. ``what`` names it in errors."""

    def __init__(self, handle: int, what: str) -> None:
        self._what = what
        self._handle: int | None = handle
        with files.explained("read", what):
            self.size = os.fstat(handle).st_size

    @property
    def handle(self) -> int:
        """The file descriptor. Raises StorageError when closed."""
        if self._handle is None:
            raise StorageError(f"{self._what} was closed")
        return self._handle

    def pread(self, size: int, offset: int) -> bytes:
        """As `Reader` says. Raises StorageError."""
        pieces = []
        with files.explained("read", self._what):
            while size > 0:
                data = os.pread(self.handle, size, offset)
                if not data:
                    break
                pieces.append(data)
                size -= len(data)
                offset += len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def stream(self, offset: int, size: int) -> FilePart:
        """As `Reader` says."""
        return FilePart(self, offset, size, self._what)

    def close(self) -> None:
        """Close the file. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


class FilePart:
    """A BlobStream over ``size`` bytes from ``position``. Many may read from one file at once."""

    def __init__(self, reader: FileReader, position: int, size: int, what: str) -> None:
        self._reader = reader
        self._position = position
        self._end = position + size
        self._what = what

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end. Raises ArchiveError, StorageError."""
        size = min(size, self._end - self._position)
        if size <= 0:
            return b""
        data = self._reader.pread(size, self._position)
        if not data:
            raise ArchiveError(f"{self._what} became shorter while it was read")
        self._position += len(data)
        return data

    def close(self) -> None:
        """Nothing to let go of: the file stays open."""
        self._end = self._position
