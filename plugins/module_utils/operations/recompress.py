# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer compressed in another way: read, decompressed, verified, compressed, all at once and in bounded memory."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import nullcontext
from typing import IO, cast

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Digest, VerifyingReader, mismatch
from ..model.errors import Cancelled
from ..model.form import Blob, Change
from ..model.streams import OpenBlob, Readable
from ..transports import compressed, files, spool
from .compression import Compressor, compressor, is_heavy

#: Layers that are worked on at once in a task. Each keeps two cores busy.
AT_ONCE = 2
#: Chunks on their way between the two threads of a layer.
_BETWEEN = 4


class Spool:
    """What a layer became, in a nameless file until `close`."""

    def __init__(self, size: int) -> None:
        self._directory = spool.directory()
        self._file = spool.nameless(size=size)
        self._hasher = Digest("sha256", "").hasher()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises StorageError."""
        self._hasher.update(data)
        self.size += len(data)
        with files.explained("write", self._directory):
            self._file.write(data)

    def complete(self) -> Blob:
        """All is written: what it is."""
        with files.explained("write", self._directory):
            self._file.flush()
        return Blob(Digest("sha256", self._hasher.hexdigest()), self.size)

    def read_at(self, position: int, size: int) -> bytes:
        """At most ``size`` bytes from ``position`` on, ``b""`` at the end. Raises StorageError."""
        with files.explained("read", self._directory):
            return os.pread(self._file.fileno(), size, position)

    def close(self) -> None:
        """Give the space back. May be called twice."""
        with files.explained("write", self._directory):
            self._file.close()


class Recompressor:
    """Changes layers, so many at once that memory stays bounded. Thread-safe.

    ``stop``: set from outside to end early.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._heavy = threading.Lock()

    def recompress(self, open_blob: OpenBlob, layer: Descriptor, change: Change) -> tuple[Spool, Blob]:
        """The new content of ``layer``, which ``open_blob`` opens, and what it is. The caller closes the spool.

        Raises ContentError where the layer is not what its digest or its diff_id says, or cannot be decompressed;
        StorageError, MissingRequirement, Cancelled.
        """
        with self._heavy if is_heavy(change.kind, change.level) else nullcontext(), self._turns:
            self._check_stop()
            target = compressor(change.kind, change.level)
            try:
                room = Spool(layer.size)
                try:
                    self._pass_through(open_blob, layer, change, target, room)
                    return room, room.complete()
                except BaseException:
                    room.close()
                    raise
            finally:
                target.close()

    def _pass_through(self, open_blob: OpenBlob, layer: Descriptor, change: Change, target: Compressor, room: Spool) -> None:
        stream = open_blob()
        second = _Second(target, room)
        try:
            found = self._read(VerifyingReader(stream, layer.digest, layer.size, "layer"), layer, change, second)
        except BaseException:
            second.abandon()
            raise
        finally:
            stream.close()
        second.finish()
        if found != change.diff_id:
            raise mismatch(f"layer {layer.digest} decompressed, which the image's config lists", change.diff_id, found)

    def _read(self, verified: VerifyingReader, layer: Descriptor, change: Change, second: _Second) -> Digest:
        """Hand the content of the layer on to ``second``; its digest."""
        hasher = change.diff_id.hasher()
        plain = _unpacked(verified, f"layer {layer.digest}")
        while True:
            self._check_stop()
            data = plain.read(CHUNK)
            if not data:
                break
            second.take(data)
            hasher.update(data)
        # A decompressor that stopped early has not had the whole layer verified.
        while verified.read(CHUNK):
            self._check_stop()
        return Digest(change.diff_id.algorithm, hasher.hexdigest())

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Cancelled("stopped before the end")


class _Second:
    """The second thread of a layer: compresses and writes while the first one reads and decompresses."""

    def __init__(self, target: Compressor, room: Spool) -> None:
        self._target = target
        self._room = room
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_BETWEEN)
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="longshore-compress", daemon=True)
        self._thread.start()

    def take(self, data: bytes) -> None:
        """Hand on the next piece. Raises what the second thread failed with."""
        if self._error is not None:
            raise self._error
        self._chunks.put(data)

    def finish(self) -> None:
        """Wait until everything is written. Raises what the second thread failed with."""
        self._chunks.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """End without a result."""
        self._abandoned = True
        self._chunks.put(None)
        self._thread.join()

    def _run(self) -> None:
        # After a failure it goes on taking pieces, so that the first thread never waits in vain.
        while True:
            data = self._chunks.get()
            if self._error is None and not self._abandoned:
                try:
                    self._room.write(self._target.flush() if data is None else self._target.compress(data))
                except BaseException as exc:
                    self._error = exc
            if data is None:
                return


class _Whole:
    """A stream that is read in large pieces, tells how much of it was read, and lets one look at its start."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._held = b""
        self._count = 0

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, less only at the end, without taking them."""
        while len(self._held) < size:
            more = self._stream.read(CHUNK)
            if not more:
                break
            self._held += more
        return self._held[:size]

    def read(self, size: int = CHUNK, /) -> bytes:
        if not self._held:
            self._held = self._stream.read(CHUNK)
        data, self._held = self._held[:size], self._held[size:]
        self._count += len(data)
        return data

    def tell(self) -> int:
        return self._count


def _unpacked(stream: Readable, what: str) -> Readable:
    """The content of a layer. Its first bytes tell the compression, which media types do not always do."""
    whole = _Whole(stream)
    kind = compressed.kind(whole.peek(compressed.MAGIC_SIZE))
    if kind is None:
        return whole
    return compressed.Unpacked(cast(IO[bytes], whole), kind, what)
