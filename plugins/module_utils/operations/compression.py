# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressors that use several threads and give the same bytes for the same input however many these are.

No time, no file name and no size of the machine goes into what comes out. Memory is bounded, whatever the level.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from ..model.errors import MissingRequirement
from ..model.form import GZIP, NONE, ZSTD

#: Threads that one layer is compressed with at most.
THREADS = max(1, min(4, os.cpu_count() or 1))

#: Bytes that gzip's threads take at once, each piece with the end of the one before it as its dictionary.
_PIECE = 256 * 1024
_WINDOW = 32 * 1024
# RFC 1952: deflate, no name, no time, no operating system.
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# Exponents of two: most of window and tables, which every thread has. The higher levels of zstd would take hundreds of
# megabytes for a percent.
_ZSTD_WINDOW, _ZSTD_TABLE = 21, 20
_ZSTD_JOB = 2 * 1024 * 1024
_ZSTD_THREADS = min(THREADS, 2)
#: From this level on zstd's tables are so large that one layer at a time has to do.
_ZSTD_HIGH = 6


class Compressor(Protocol):
    """Takes bytes and gives compressed ones."""

    def compress(self, data: bytes, /) -> bytes:
        """Take in ``data``; what is ready by now."""

    def flush(self) -> bytes:
        """The rest, after the last `compress`."""

    def close(self) -> None:
        """End the threads. May be called at any time."""


def compressor(kind: str, level: int) -> Compressor:
    """A compressor of `model.form`'s ``kind``. Raises MissingRequirement without the library zstandard."""
    if kind == NONE:
        return _Plain()
    return _Gzip(level) if kind == GZIP else _Zstd(level)


def is_heavy(kind: str, level: int) -> bool:
    """Whether it takes so much memory that one is enough."""
    return kind == ZSTD and level >= _ZSTD_HIGH


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""

    def close(self) -> None:
        return


class _Gzip:
    """One gzip member whose deflate blocks are made by several threads, as RFC 1951 lets them be put together."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="gzip")
        self._pending: deque[Future[bytes]] = deque()
        self._held = bytearray()
        self._dictionary = b""
        self._crc = 0
        self._size = 0
        self._out = [_GZIP_HEAD]

    def compress(self, data: bytes, /) -> bytes:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._held += data
        while len(self._held) > _PIECE:
            # Never all that is held: the last piece is told to be the last.
            self._begin(bytes(self._held[:_PIECE]), False)
            del self._held[:_PIECE]
        return self._ready(2 * THREADS)

    def flush(self) -> bytes:
        self._begin(bytes(self._held), True)
        self._held.clear()
        tail = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return self._ready(0) + tail

    def close(self) -> None:
        for future in self._pending:
            future.cancel()
        self._pool.shutdown()

    def _begin(self, piece: bytes, last: bool) -> None:
        self._pending.append(self._pool.submit(_deflate, piece, self._dictionary, self._level, last))
        self._dictionary = piece[-_WINDOW:]

    def _ready(self, most: int) -> bytes:
        # In their order; waited for only when more than ``most`` are under way, so that memory stays bounded.
        while self._pending and (len(self._pending) > most or self._pending[0].done()):
            self._out.append(self._pending.popleft().result())
        ready = b"".join(self._out)
        self._out.clear()
        return ready


def _deflate(piece: bytes, dictionary: bytes, level: int, last: bool) -> bytes:
    """One piece as deflate blocks that end at a byte."""
    # wbits -15: no header, 32 KiB of window.
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return deflate.compress(piece) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


class _Zstd:
    """One zstd frame. Needs the library zstandard."""

    def __init__(self, level: int) -> None:
        try:
            import zstandard
        except ImportError:
            raise MissingRequirement(
                "compressing layers with zstd needs the Python library zstandard: install it, or use compression gzip",
                library="zstandard",
            ) from None
        usual = zstandard.ZstdCompressionParameters.from_level(level)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            window_log=min(usual.window_log, _ZSTD_WINDOW),
            chain_log=min(usual.chain_log, _ZSTD_TABLE),
            hash_log=min(usual.hash_log, _ZSTD_TABLE),
            job_size=_ZSTD_JOB,
            # Each job looks back over the whole window at what the one before it had: smaller by 8 %, and no slower.
            overlap_log=9,
            # Never without threads of its own, which would give other bytes than with some.
            threads=_ZSTD_THREADS,
        )
        self._object: Any = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def compress(self, data: bytes, /) -> bytes:
        ready: bytes = self._object.compress(data)
        return ready

    def flush(self) -> bytes:
        ready: bytes = self._object.flush()
        return ready

    def close(self) -> None:
        # The library ends its threads with the object.
        self._object = None
