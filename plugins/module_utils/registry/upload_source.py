# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upload sends: a blob, verified as it passes, in one piece or from any byte that the registry wants next."""

from __future__ import annotations

from collections import deque

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Hasher, VerifyingReader
from ..model.streams import BlobStream, OpenBlob, OpensAt

#: After how many bytes the state of the hash is noted anew, and how often at most: so far behind what was sent last
#: (128 MiB) a registry may be and the blob need not be read again from its beginning.
MARK_EVERY = 4 * 1024 * 1024
MARKS = 32


class UploadSource:
    """One blob, as often and from where it takes. Not thread-safe: one upload has one.

    Whatever is sent again was hashed again, from a noted state on, so that what the last request carries is verified
    together with all before it. Memory does not grow with the blob.
    """

    def __init__(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        self._descriptor = descriptor
        self._open_blob = open_blob
        self._stream: BlobStream | None = None
        self._reader: VerifyingReader | None = None
        self._first: tuple[int, Hasher] = (0, descriptor.digest.hasher())
        self._marks: deque[tuple[int, Hasher]] = deque(maxlen=MARKS)
        #: What went wrong with the blob itself, as opposed to the registry it goes to.
        self.failure: Exception | None = None
        #: Bytes handed out for the latest request, and the end of them in the blob.
        self.passed = 0
        self.reached = 0

    def part(self, start: int, length: int) -> Part:
        """The body of a request: ``length`` bytes from ``start`` on. Its end is the start of the next one, or a start
        before it."""
        self.passed, self.reached = 0, start
        return Part(self, start, length)

    def check_empty(self) -> None:
        """Raise unless the blob is empty and that is what its digest names: no body goes out of which that would be seen."""
        try:
            self.go_to(0)
            self.read(1)
        finally:
            self.close()

    def go_to(self, start: int) -> None:
        """Make byte ``start``, to which everything has been read before, the next one. Raises what the source raises."""
        self.passed, self.reached = 0, start
        if self._reader is not None and self._reader.count == start:
            return
        self.close()
        try:
            while self._marks and self._marks[-1][0] > start:
                self._marks.pop()
            mark = self._marks[-1] if self._marks and isinstance(self._open_blob, OpensAt) else self._first
            self._stream = self._open_at(mark[0])
            digest, size = self._descriptor.digest, self._descriptor.size
            self._reader = VerifyingReader(self._stream, digest, size, mark=mark)
            while self._reader.count < start:
                self._take(self._reader, start - self._reader.count)
        except Exception as exc:
            self.failure = exc
            raise

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``. Raises what the source raises, SizeMismatch, DigestMismatch."""
        if self._reader is None:
            return b""
        try:
            data = self._take(self._reader, size)
        except Exception as exc:
            # Whoever sends this cannot tell a broken source from a broken connection to the registry; the cause can.
            self.failure = exc
            raise
        self.passed += len(data)
        self.reached += len(data)
        return data

    def close(self) -> None:
        """Let go of the blob, until the next part of it is wanted."""
        stream, self._stream, self._reader = self._stream, None, None
        if stream is not None:
            stream.close()

    def _open_at(self, offset: int) -> BlobStream:
        opener: object = self._open_blob
        if offset and isinstance(opener, OpensAt):
            return opener.at(offset)
        return self._open_blob()

    def _take(self, reader: VerifyingReader, size: int) -> bytes:
        data = reader.read(min(CHUNK, size))
        if reader.count - (self._marks[-1][0] if self._marks else 0) >= MARK_EVERY:
            self._marks.append(reader.mark())
        return data


class Part:
    """The body of one request, opened anew for every try of it."""

    def __init__(self, source: UploadSource, start: int, length: int) -> None:
        self._source = source
        self.start = start
        self.length = length

    def open(self) -> Part:
        """It, from its first byte."""
        self._source.go_to(self.start)
        return self

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes, b"" at the end of the part."""
        return self._source.read(min(size, self.start + self.length - self._source.reached))

    def close(self) -> None:
        """The request is over. The blob stays open where the next part begins, unless this one was broken off."""
        if self._source.passed < self.length:
            self._source.close()
