# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tar that passes by: whether it is one, and whole. Any member a root file system can hold is allowed."""

from __future__ import annotations

from collections.abc import Callable

from ..model.errors import ArchiveError
from ..model.text import sanitise
from . import tar_headers
from .tar_headers import BLOCK, ZERO, Header

#: Largest pax header, in bytes, as tar_reader's.
_EXTENSION = 1024 * 1024
# Links, devices, directories and pipes have no data, whatever their header says of a size.
_WITHOUT_DATA = frozenset(b"123456"[at : at + 1] for at in range(6))
_GNU_SPARSE = b"S"
# Where a sparse file of GNU's tells that more of its map follows: in the header, and in the blocks after that.
_IN_HEADER, _IN_BLOCK = 482, 504


class TarCheck:
    """Told the bytes of a tar in pieces of any size; raises ArchiveError as soon as it is none. Keeps no data."""

    def __init__(self) -> None:
        #: Bytes of data, and of the padding behind them, that are to be passed over.
        self._data = 0
        self._padding = 0
        # What is gathered of the block or pax header that comes next, its length, and who looks at it.
        self._gathered = b""
        self._wanted = BLOCK
        self._look: Callable[[bytes], None] = self._header
        self._has_members = False
        #: What a pax header says of the size of the member after it.
        self._size: int | None = None
        self._is_announced = False

    def update(self, data: bytes) -> None:
        """Take in the next piece. Raises ArchiveError."""
        position, end = 0, len(data)
        while position < end:
            if self._data:
                step = min(self._data, end - position)
                self._data -= step
            elif self._padding:
                step = min(self._padding, end - position)
                self._padding -= step
            else:
                step = min(self._wanted - len(self._gathered), end - position)
                self._gathered += data[position : position + step]
                if len(self._gathered) == self._wanted:
                    gathered, self._gathered = self._gathered, b""
                    self._look(gathered)
            position += step

    def finish(self) -> None:
        """All has passed. Raises ArchiveError unless it ended where a tar may end."""
        at_end = self._look == self._after_end
        if at_end:
            self._after_end(self._gathered)
        elif not self._has_members:
            raise ArchiveError("it is no tar archive")
        # The padding of the last member may be missing, its bytes may not.
        if self._data or self._is_announced or not (at_end or self._look == self._header and not self._gathered):
            raise ArchiveError("it is cut short")

    def _header(self, block: bytes) -> None:
        if block == ZERO:
            self._look = self._after_end
            return
        try:
            header = tar_headers.decode(block)
        except ArchiveError:
            if not self._has_members:
                raise ArchiveError("it is no tar archive") from None
            raise
        self._has_members = True
        kind = header.kind
        if kind in (tar_headers.PAX, tar_headers.PAX_GLOBAL):
            self._pax(header)
            return
        if kind in (tar_headers.LONG_NAME, tar_headers.LONG_LINK):
            self._is_announced = True
            self._pass_over(header.size)
            return
        size = header.size if self._size is None else self._size
        self._size = None
        self._is_announced = False
        if kind in _WITHOUT_DATA:
            return
        if kind == _GNU_SPARSE and block[_IN_HEADER]:
            # The rest of the map comes before the data.
            self._size = size
            self._look = self._sparse
            return
        self._pass_over(size)

    def _pass_over(self, size: int) -> None:
        self._data = size
        self._padding = tar_headers.padded(size) - size

    def _pax(self, header: Header) -> None:
        self._is_announced = header.kind == tar_headers.PAX
        if header.size > _EXTENSION:
            raise ArchiveError(f"an extended header has {header.size} bytes, more than the {_EXTENSION} allowed")
        if not header.size:
            return
        self._wanted = header.size
        self._padding = 0
        self._look = self._records if self._is_announced else self._global_records

    def _records(self, data: bytes) -> None:
        size = tar_headers.records(data).get("size")
        if size is not None:
            if not (size.isascii() and size.isdigit() and len(size) < 20):
                raise ArchiveError(f"a member has the impossible size {sanitise(size, 40)}")
            self._size = tar_headers.checked_size(int(size))
        self._back_to_headers(len(data))

    def _global_records(self, data: bytes) -> None:
        # Readers disagree about whether it holds for the members that follow.
        if "size" in tar_headers.records(data):
            raise ArchiveError("it has a global header for sizes")
        self._back_to_headers(len(data))

    def _back_to_headers(self, length: int) -> None:
        self._wanted = BLOCK
        self._padding = tar_headers.padded(length) - length
        self._look = self._header

    def _sparse(self, block: bytes) -> None:
        if block[_IN_BLOCK]:
            return
        self._look = self._header
        self._pass_over(self._size or 0)
        self._size = None

    def _after_end(self, block: bytes) -> None:
        # Without members it is an empty layer; but file systems and disks begin with zeros, too.
        if block.strip(b"\0"):
            follows = "something follows the end of the tar archive"
            raise ArchiveError(follows if self._has_members else "it is no tar archive")
