# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tar archive that is made while it is sent: its size is known before, its content is fetched one file after another."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Digest, VerifyingReader
from ..model.errors import NetworkError, StorageError
from ..model.streams import OpenBlob
from . import tar_headers

#: Pieces of up to about two `CHUNK` that are fetched ahead of what is being sent.
AHEAD = 16


class Part(NamedTuple):
    """One file of the archive."""

    name: str
    digest: Digest
    size: int
    open: OpenBlob


def blob(name: str, descriptor: Descriptor, open_blob: OpenBlob) -> Part:
    """The file ``name`` with a blob in it."""
    return Part(name, descriptor.digest, descriptor.size, open_blob)


def small(name: str, data: bytes) -> Part:
    """The file ``name`` with ``data`` in it."""
    return Part(name, Digest.of(data), len(data), partial(io.BytesIO, data))


class TarBody:
    """The archive of ``parts``, in this order, as the body of a request. Its bytes depend on the parts alone.

    Every part is verified as it passes: an archive with a wrong byte in it never comes to its end.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        heads = sum(len(tar_headers.encode(part.name, part.size)) for part in self._parts)
        data = sum(tar_headers.padded(part.size) for part in self._parts)
        self.length = heads + data + len(tar_headers.END)

    def open(self) -> Prefetched:
        """It, from its first byte."""
        return Prefetched(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            yield tar_headers.encode(part.name, part.size)
            stream = part.open()
            try:
                yield from VerifyingReader(stream, part.digest, part.size)
            finally:
                stream.close()
            yield bytes(tar_headers.padded(part.size) - part.size)
        yield tar_headers.END


class Prefetched:
    """A stream of ``pieces``, which a thread of its own fetches: both ends of a transfer are at work at the same time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        # An error takes the place of the piece that could not be had, b"" that of one after the last.
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._rest = memoryview(b"")
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._fetch, name="archive", daemon=True)
        self._thread.start()

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes, b"" at the end. Raises what fetching them raised."""
        if not self._rest:
            if self._ended is not None:
                raise self._ended
            piece = self._queue.get()
            if isinstance(piece, BaseException):
                self._ended = piece
                raise piece
            if not piece:
                self._ended = StorageError("the archive was read beyond its end")
                return b""
            if len(piece) <= size:
                return piece
            self._rest = memoryview(piece)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def close(self) -> None:
        """End the fetching. A source that is being waited for is let go of when it answers."""
        self._closed.set()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return

    def _fetch(self) -> None:
        last: bytes | BaseException = b""
        try:
            # Headers, padding and small files go with what comes after them: few pieces, few calls to send them.
            gathered: list[bytes] = []
            count = 0
            for piece in self._pieces:
                gathered.append(piece)
                count += len(piece)
                if count >= CHUNK:
                    self._put(gathered[0] if len(gathered) == 1 else b"".join(gathered))
                    gathered, count = [], 0
                if self._closed.is_set():
                    return
            if count:
                self._put(b"".join(gathered))
        except NetworkError as exc:
            # The source has been asked again as often as it makes sense: sending all of it anew would not help.
            exc.transient = False
            last = exc
        except BaseException as exc:
            last = exc
        finally:
            self._put(last)

    def _put(self, piece: bytes | BaseException) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(piece, timeout=0.2)
                return
            except queue.Full:
                continue
