# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object in a storage, read as a file is: at any place, and on from where a connection broke."""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict

from ..model.digest import CHUNK
from ..model.errors import NetworkError, StorageError
from ..model.streams import BlobStream
from ..registry.blobs import PROGRESS
from ..registry.retry import Backoff
from .remote import Answer, Remote, changed

#: Bytes fetched at once where few are wanted: what lies close together, as small files in an archive do, costs one request.
WINDOW = 256 * 1024
#: Files of up to so many bytes come with what lies around them.
_FEW = 64 * 1024
#: Windows kept.
_WINDOWS = 8
#: The longest pause in seconds before a transfer is taken up again.
_PAUSE = 2.0


class RemoteReader:
    """A `tar_reader.Reader` over ``remote``, of ``size`` bytes, whose first bytes ``head`` are known. Thread-safe."""

    def __init__(self, remote: Remote, size: int, version: str, head: bytes) -> None:
        self.size = size
        self._remote = remote
        self._version = version
        self._lock = threading.Lock()
        self._windows: OrderedDict[int, bytes] = OrderedDict({0: head})

    def pread(self, size: int, offset: int) -> bytes:
        """``size`` bytes from ``offset``, fewer at the end alone. Raises OciError."""
        size = max(0, min(size, self.size - offset))
        with self._lock:
            for start, window in self._windows.items():
                if start <= offset and offset + size <= start + len(window):
                    self._windows.move_to_end(start)
                    return window[offset - start : offset - start + size]
        data = read_all(self._range(offset, min(max(size, WINDOW), self.size - offset)))
        if size <= WINDOW:
            with self._lock:
                self._windows[offset] = data
                while len(self._windows) > _WINDOWS:
                    self._windows.popitem(last=False)
        return data[:size]

    def stream(self, offset: int, size: int) -> BlobStream:
        """``size`` bytes from ``offset``. Raises OciError for few of them, which are had at once."""
        if size <= _FEW:
            return io.BytesIO(self.pread(size, offset))
        return self._range(offset, size)

    def _range(self, offset: int, size: int) -> RemoteStream:
        return RemoteStream(self._remote, offset, offset + size, self._version)

    def close(self) -> None:
        """Nothing to let go of: connections are the task's."""
        self._windows.clear()


class RemoteStream:
    """The bytes from ``position`` to before ``end`` of ``remote``, as its content ``version`` has them. A connection
    that breaks is replaced by one that goes on from there. ``first`` is the answer to begin with, None to ask."""

    def __init__(self, remote: Remote, position: int, end: int, version: str, first: Answer | None = None) -> None:
        self._remote = remote
        self._position = position
        self._end = end
        self._version = version
        self._answer = first
        self._mark = position
        self._failures = 0
        self._backoff = Backoff(cap=_PAUSE)
        #: Whether the bytes came in more than one answer.
        self.resumed = False

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` of the next bytes, b"" at the end. Raises OciError when going on did not help either."""
        size = min(size, self._end - self._position)
        if size <= 0:
            return b""
        while True:
            try:
                if self._answer is None:
                    self._answer = self._ask()
                data = self._answer.stream.read(size)
                if not data:
                    raise NetworkError(f"{self._remote.name} ended after {self._position} bytes, before its end")
            except NetworkError as exc:
                self.close()
                self._failed(exc)
                continue
            self._position += len(data)
            if self._position >= self._end:
                self.close()
            return data

    def close(self) -> None:
        """Let go of the connection."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.stream.close()

    def _ask(self) -> Answer:
        answer = self._remote.fetch(self._position, self._end, self._version)
        if answer is None:
            raise changed(self._remote.name)
        if not answer.ranged:
            answer.stream.close()
            raise StorageError(f"{self._remote.name} can be read in parts at one time, and not at another")
        return answer

    def _failed(self, exc: NetworkError) -> None:
        if self._position - self._mark >= PROGRESS:
            self._mark, self._failures, self._backoff = self._position, 0, Backoff(cap=_PAUSE)
        self._failures += 1
        if not exc.transient or self._failures > self._remote.retries:
            if self._failures > 1:
                exc.message += f" (asked {self._failures} times for what comes after byte {self._position})"
                exc.args = (exc.message,)
            raise exc
        self.resumed = True
        if self._failures > 1:
            time.sleep(self._backoff.next())


def read_all(stream: RemoteStream) -> bytes:
    """All that is left of ``stream``, which is closed."""
    pieces: list[bytes] = []
    try:
        while True:
            data = stream.read()
            if not data:
                return b"".join(pieces)
            pieces.append(data)
    finally:
        stream.close()
