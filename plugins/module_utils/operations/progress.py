# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a task is: counted by those who do the work, read by those who tell."""

from __future__ import annotations

import threading
import time

from ..model.streams import BlobStream


class Progress:
    """Thread-safe counters of one task.

    Images are counted when they are done, however they end. Bytes are those of blobs: ``to_move`` of the images that have
    been planned so far, ``moved`` as they are read from a source. What the wire adds or repeats is not in them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._images = 0
        self._planned = 0
        self._done = 0
        self._failed = 0
        self._to_move = 0
        self._moved = 0

    def begin(self, images: int) -> None:
        """So many more images are going to be planned."""
        with self._lock:
            self._images += images

    def plan(self, images: int, size: int) -> None:
        """So many images have been planned, and ``size`` bytes have to move for them."""
        with self._lock:
            self._planned += images
            self._to_move += size

    def end(self, images: int, failed: int) -> None:
        """So many images are done, ``failed`` of them in vain."""
        with self._lock:
            self._done += images
            self._failed += failed

    def correct(self, size: int) -> None:
        """``size`` bytes more have to move than was planned; less, if negative."""
        with self._lock:
            self._to_move += size

    def move(self, size: int) -> None:
        """``size`` bytes have moved; negative where they have to move again."""
        with self._lock:
            self._moved += size

    def snapshot(self) -> dict[str, int | float]:
        """All counters at one moment, and the ``seconds`` since the task began."""
        with self._lock:
            return {
                "seconds": round(time.monotonic() - self._begun, 3),
                "images": self._images,
                "planned": self._planned,
                "done": self._done,
                "failed": self._failed,
                "to_move": self._to_move,
                "moved": self._moved,
            }


class Part:
    """One blob on its way, which may be opened more than once: what was read before is taken back then.

    ``planned``: its ``size`` is among the bytes to move.
    """

    def __init__(self, progress: Progress, size: int, planned: bool) -> None:
        self._progress = progress
        self._size = size
        self._planned = planned
        self._moved = 0

    def counted(self, stream: BlobStream, offset: int = 0) -> BlobStream:
        """``stream``, which gives the blob from ``offset`` on, and counts what is read from it."""
        if not self._planned:
            # It was to be mounted, and is sent now.
            self._planned = True
            self._progress.correct(self._size)
        self.move(offset - self._moved)
        return _Counted(stream, self)

    def move(self, size: int) -> None:
        """``size`` more bytes were read."""
        self._moved += size
        self._progress.move(size)

    def give_up(self) -> None:
        """What has not moved by now never will."""
        if self._planned:
            self._progress.correct(self._moved - self._size)


class _Counted:
    """A stream that says how much was read from it."""

    def __init__(self, stream: BlobStream, part: Part) -> None:
        self._stream = stream
        self._part = part

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._part.move(len(data))
        return data

    def close(self) -> None:
        self._stream.close()
