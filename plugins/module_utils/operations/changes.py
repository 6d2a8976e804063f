# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers of layers that change on their way: what they become is known when they are compressed, and sent then."""

from __future__ import annotations

import threading

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK
from ..model.errors import ContentError, NotFound
from ..model.form import Blob, Change
from ..model.streams import BlobStream
from ..transports.base import ImageSource
from .progress import Part
from .recompress import Recompressor, Spool
from .transfers import COPY, EXISTING, MOUNT, Transfer


def carry_out_change(
    transfer: Transfer, source: ImageSource, recompressor: Recompressor, part: Part | None = None
) -> None:
    """Do one transfer of a layer that changes. Its result is in the transfer then. Raises OciError.

    ``source`` is an image that holds the layer. ``part`` counts what is read of it; without one it is sent once more,
    whatever the destination says of it (R1.27).
    """
    if transfer.change is None:
        raise ValueError("a transfer of a layer that does not change")
    content = Changed(transfer.descriptor, transfer.change, transfer.sources or [source], recompressor)
    again = part is None
    try:
        shared = transfer.shares.result if transfer.shares is not None else None
        if shared is not None and not again:
            # Mounted; only where that is refused its bytes are needed, and made once more.
            transfer.result = shared
            content.expect(shared)
            mounted = transfer.destination.mount_blob(_descriptor(transfer, shared), transfer.repository, content)
            transfer.done = MOUNT if mounted else COPY
            return
        transfer.result = content.make(part)
        descriptor = _descriptor(transfer, transfer.result)
        if not again and transfer.destination.has_blob(descriptor):
            transfer.done = EXISTING
            return
        transfer.destination.write_blob(descriptor, content)
        transfer.done = COPY
    except BaseException:
        if part is not None:
            part.give_up()
        raise
    finally:
        content.release()


def _descriptor(transfer: Transfer, blob: Blob) -> Descriptor:
    return Descriptor(transfer.descriptor.media_type, blob.digest, blob.size)


class Changed:
    """The new content of a layer, to be opened as often as wanted: from a spool until `release`, made anew after it.

    The same layer always becomes the same bytes, so that a destination may fetch them whenever it wants. ``sources``
    are images that hold the layer: the next one is tried where one gives something wrong.
    """

    def __init__(self, layer: Descriptor, change: Change, sources: list[ImageSource], recompressor: Recompressor) -> None:
        self._layer = layer
        self._change = change
        # A copy: what a transfer holds is let go of when it is over.
        self._sources = list(sources)
        self._recompressor = recompressor
        self._lock = threading.Lock()
        self._spool: Spool | None = None
        self._expected: Blob | None = None

    def expect(self, blob: Blob) -> None:
        """Told what the content is by someone who has made it."""
        self._expected = blob

    def make(self, part: Part | None = None) -> Blob:
        """Make the content and keep it until `release`; ``part`` counts what is read. Raises OciError."""
        with self._lock:
            self._spool, self._expected = self._made(part)
            return self._expected

    def release(self) -> None:
        """Give the space back."""
        with self._lock:
            held, self._spool = self._spool, None
            if held is not None:
                held.close()

    def __call__(self) -> BlobStream:
        return self.at(0)

    def at(self, offset: int) -> BlobStream:
        """The content from byte ``offset`` on."""
        with self._lock:
            if self._spool is not None:
                return _Stream(self._spool, offset, owned=False)
        room, found = self._made()
        if self._expected not in (None, found):
            room.close()
            raise ContentError(f"layer {self._layer.digest} became {found.digest}, and before {self._expected.digest}")
        return _Stream(room, offset, owned=True)

    def _made(self, part: Part | None = None) -> tuple[Spool, Blob]:
        # Two at most: a third image has no better chance.
        *others, last = self._sources[:2]
        for source in others:
            try:
                return self._recompress(source, part)
            except (ContentError, NotFound):
                continue
        return self._recompress(last, part)

    def _recompress(self, source: ImageSource, part: Part | None) -> tuple[Spool, Blob]:
        def opened() -> BlobStream:
            stream = source.open_blob(self._layer)
            return stream if part is None else part.counted(stream)

        return self._recompressor.recompress(opened, self._layer, self._change)


class _Stream:
    def __init__(self, room: Spool, position: int, owned: bool) -> None:
        self._room = room
        self._position = position
        self._owned = owned

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._room.read_at(self._position, size)
        self._position += len(data)
        return data

    def close(self) -> None:
        if self._owned:
            self._room.close()
