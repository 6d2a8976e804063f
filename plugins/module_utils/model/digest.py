# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests, and a reader that counts and hashes every byte that passes (OCI image-spec, descriptor.md "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .errors import DigestMismatch, InvalidDigest, SizeMismatch
from .streams import Readable
from .text import sanitise

if TYPE_CHECKING:
    from collections.abc import Iterator

ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}
_SHAPE = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([0-9a-f]+)", re.ASCII)

#: Bytes read at once: large enough that hashlib and the sockets work outside the interpreter lock, small enough
#: that many transfers at once stay far below the memory limit.
CHUNK = 256 * 1024


class Hasher(Protocol):
    """What hashlib's objects offer."""

    def update(self, data: bytes, /) -> None:
        """Take ``data`` in."""

    def hexdigest(self) -> str:
        """The digest of all that was taken in."""

    def copy(self) -> Hasher:
        """Another one that has taken in the same."""


@dataclass(frozen=True)
class Digest:
    """``algorithm:hex``. Only algorithms we can verify exist (sha256, sha384, sha512)."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: object) -> Digest:
        """The digest written as ``text``. Raises InvalidDigest; never lets through what could be a path (S3)."""
        match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidDigest(
                f"invalid digest '{sanitise(text, 140)}': expected sha256: and 64 lower-case hex characters"
            )
        algorithm, encoded = match.groups()
        length = ALGORITHMS.get(algorithm)
        if length is None:
            raise InvalidDigest(
                f"unsupported digest algorithm '{sanitise(algorithm, 40)}': sha256, sha384 and sha512 are known"
            )
        if len(encoded) != length:
            raise InvalidDigest(
                f"invalid digest '{sanitise(text, 140)}': {algorithm} has {length} hex characters, not {len(encoded)}"
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of ``data``."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def hasher(self) -> Hasher:
        """A new hashlib object of this algorithm."""
        return hashlib.new(self.algorithm)

    def verify(self, data: bytes, what: str = "content") -> None:
        """Raise DigestMismatch unless ``data`` has this digest."""
        found = Digest.of(data, self.algorithm)
        if found != self:
            raise mismatch(what, self, found)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def mismatch(what: str, wanted: Digest, found: Digest) -> DigestMismatch:
    """The error that names both digests."""
    return DigestMismatch(f"digest mismatch of {what}: expected {wanted}, the bytes received have {found}")


class VerifyingReader:
    """Reads ``stream`` and raises unless exactly ``size`` bytes with ``digest`` come out of it.

    The last byte is handed on only after the digest was found right, so that whoever sends these bytes with
    a Content-Length can never complete a wrong upload. Reads one byte past ``size`` at most (R1.21).

    ``mark``: what `mark` gave when the bytes before those of ``stream`` had been read; None if it begins at the first.
    """

    def __init__(
        self, stream: Readable, digest: Digest, size: int, what: str = "blob", mark: tuple[int, Hasher] | None = None
    ) -> None:
        self._stream = stream
        self._digest = digest
        self._what = what
        self.size = size
        #: Bytes read so far, those before the mark included.
        self.count = mark[0] if mark else 0
        self._hasher = mark[1].copy() if mark else digest.hasher()

    def mark(self) -> tuple[int, Hasher]:
        """Where the reader is and the hash of all before: what another reader can go on from."""
        return self.count, self._hasher.copy()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to ``size`` bytes. Raises SizeMismatch and DigestMismatch."""
        left = self.size - self.count
        if left == 0:
            if self.size == 0 and self.count == 0:
                self._finish()
            return b""
        data = self._stream.read(min(size, left) if size > 0 else left)
        if not data:
            raise SizeMismatch(f"{self._what} {self._digest} ended after {self.count} of {self.size} bytes")
        self._hasher.update(data)
        self.count += len(data)
        if self.count >= self.size:
            self._finish()
        return data

    def _finish(self) -> None:
        if self.count > self.size or self._stream.read(1):
            raise SizeMismatch(
                f"{self._what} {self._digest} is longer than the {self.size} bytes its descriptor promises"
            )
        found = Digest(self._digest.algorithm, self._hasher.hexdigest())
        if found != self._digest:
            raise mismatch(self._what, self._digest, found)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self.read(CHUNK)
            if not data:
                return
            yield data
