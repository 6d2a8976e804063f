# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the frames of zstd data end (RFC 8878, section 3.1): the library does not tell that a file is cut short."""

from __future__ import annotations

from collections.abc import Callable

_MAGIC = b"\x28\xb5\x2f\xfd"
#: Magic numbers of skippable frames: 0x184D2A50 to 0x184D2A5F, little-endian.
_SKIPPABLE = b"\x2a\x4d\x18"
_CONTENT_SIZES = (0, 2, 4, 8)
_DICTIONARY_SIZES = (0, 1, 2, 4)
_RLE = 1


class Frames:
    """Follows zstd data that passes in pieces of any size. Only headers are looked at; no piece is kept."""

    def __init__(self) -> None:
        # Bytes to pass over, and what has been gathered of the header after them.
        self._skip = 0
        self._header = b""
        self._read: Callable[[bytes], None] = self._magic
        self._wanted = 4
        self._has_checksum = False

    def update(self, data: bytes) -> None:
        """Take in the next piece. Raises ValueError for what is not zstd."""
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            piece = data[position : position + self._wanted - len(self._header)]
            self._header += piece
            position += len(piece)
            if len(self._header) == self._wanted:
                header, self._header = self._header, b""
                self._read(header)

    @property
    def is_whole(self) -> bool:
        """Whether what has passed ends where a frame ends."""
        return not self._skip and not self._header and self._read == self._magic

    def _expect(self, read: Callable[[bytes], None], wanted: int) -> None:
        self._read = read
        self._wanted = wanted

    def _magic(self, header: bytes) -> None:
        if header == _MAGIC:
            self._expect(self._descriptor, 1)
        elif header[1:] == _SKIPPABLE and header[0] & 0xF0 == 0x50:
            self._expect(self._skippable, 4)
        else:
            raise ValueError("something that is no zstd follows the first frame")

    def _skippable(self, header: bytes) -> None:
        self._skip = int.from_bytes(header, "little")
        self._expect(self._magic, 4)

    def _descriptor(self, header: bytes) -> None:
        flags = header[0]
        is_single = bool(flags & 0x20)
        self._has_checksum = bool(flags & 0x04)
        size = _CONTENT_SIZES[flags >> 6] or int(is_single)
        self._skip = int(not is_single) + _DICTIONARY_SIZES[flags & 0x03] + size
        self._expect(self._block, 3)

    def _block(self, header: bytes) -> None:
        fields = int.from_bytes(header, "little")
        kind, size = (fields >> 1) & 3, fields >> 3
        self._skip = 1 if kind == _RLE else size
        if fields & 1:
            self._skip += 4 if self._has_checksum else 0
            self._expect(self._magic, 4)
