# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs of a registry, read: a download that goes on where it broke off (R1.21-R1.26)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..model.descriptor import Descriptor
from ..model.digest import CHUNK, Digest, VerifyingReader
from ..model.errors import DigestMismatch, NetworkError, RegistryError, SizeMismatch
from ..model.text import size_words
from . import scopes
from .answers import content_length
from .retry import Backoff

if TYPE_CHECKING:
    from .response import Response
    from .session import Session

#: Bytes that make a resumed download count as getting on, so that its tries begin anew (section 4.1).
PROGRESS = 1024 * 1024
#: The longest pause in seconds before a download is resumed; the session has its own for a registry that is down.
_PAUSE = 2.0

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
# What an upload answers better than a HEAD: whether it may be written is what is asked at a destination (R1.27).
_UNTOLD = frozenset((400, 401, 403, 405, 406, 501))


class Blobs:
    """The blobs of one registry. ``push``: it is the destination of a task. Thread-safe."""

    def __init__(self, session: Session, push: bool = False) -> None:
        self._session = session
        self._push = push

    def head(self, repository: str, digest: Digest) -> int | None:
        """The size of a blob in bytes; None if it is not there, or, at a destination, if that is not to be learnt (R1.27)."""
        try:
            response = self._session.request(
                "HEAD",
                f"/v2/{repository}/blobs/{digest}",
                scopes=[scopes.reading(repository, self._push)],
                accept_status=(200, 404),
                what=self._name(repository, digest),
            )
        except RegistryError as exc:
            if self._push and exc.status_code in _UNTOLD:
                return None
            raise
        return content_length(response) if response.status == 200 else None

    def open(self, repository: str, descriptor: Descriptor, offset: int = 0) -> Download | io.BytesIO:
        """The bytes of a blob from ``offset``, not yet verified, one more than its size at most. Raises NotFound,
        SizeMismatch when the registry announces another size. Data embedded in the descriptor needs no request."""
        if descriptor.data is not None:
            return io.BytesIO(descriptor.data[offset:])
        path = f"/v2/{repository}/blobs/{descriptor.digest}"
        name = self._name(repository, descriptor.digest)

        def ask(start: int, etag: str) -> Response:
            headers = {}
            if start:
                headers["Range"] = f"bytes={start}-"
                if etag:
                    headers["If-Range"] = etag
            return self._session.request(
                "GET",
                path,
                scopes=[scopes.reading(repository, self._push)],
                headers=headers,
                accept_status=(200, 206, 416) if start else (200,),
                what=name,
                stream=True,
            )

        session = self._session
        return Download(ask, name, session.base + path, descriptor.size, offset, session.settings.retries, session.pause)

    def read(self, repository: str, descriptor: Descriptor, limit: int) -> bytes:
        """A blob of at most ``limit`` bytes, whole and verified. Raises SizeMismatch beyond the limit, DigestMismatch."""
        if descriptor.data is not None:
            return descriptor.data
        name = self._name(repository, descriptor.digest)
        if descriptor.size > limit:
            raise SizeMismatch(f"{name} has {size_words(descriptor.size)}, more than the {size_words(limit)} read at once")
        first = self.open(repository, descriptor)
        try:
            return _whole(first, descriptor)
        except DigestMismatch:
            # R1.25: put together from parts, it may be the joint that is wrong. Once more in one piece.
            if not getattr(first, "resumed", False):
                raise
        return _whole(self.open(repository, descriptor), descriptor)

    def _name(self, repository: str, digest: Digest) -> str:
        return f"blob {digest} of {self._session.host}/{repository}"


def _whole(stream: Download | io.BytesIO, descriptor: Descriptor) -> bytes:
    try:
        return b"".join(VerifyingReader(stream, descriptor.digest, descriptor.size))
    finally:
        stream.close()


class Download:
    """The bytes of one blob from ``offset`` on. A connection that breaks is replaced by one that goes on from there.

    ``ask(start, etag)`` requests the blob, from ``start`` if that is not 0. Each time it is the registry that is asked,
    never the storage it redirected us to, whose URL may have expired (R1.72). ``url`` is where, for messages. ``retries``:
    how often it is asked again without getting on; ``pause`` waits before it is. The stream ends one byte after ``size``
    if there is more, so that a reader can tell.
    """

    def __init__(
        self,
        ask: Callable[[int, str], Response],
        name: str,
        url: str,
        size: int,
        offset: int,
        retries: int,
        pause: Callable[[float], None],
    ) -> None:
        self._ask = ask
        self._name = name
        self._url = url
        self._size = size
        self._offset = offset
        self._retries = retries
        self._pause = pause
        self._response: Response | None = None
        self._etag = ""
        #: Bytes to be read and thrown away: those we have already, of an answer that begins at 0.
        self._skip = 0
        self._mark = offset
        self._failures = 0
        self._backoff = Backoff(cap=_PAUSE)
        #: Whether the bytes came in more than one answer. If their digest is wrong, one whole download may be right (R1.25).
        self.resumed = False
        # R1.24: distribution answers to a question for nothing with a length that never comes.
        if offset < size:
            self._connect()

    def read(self, size: int = CHUNK) -> bytes:
        """At most ``size`` of the next bytes, b"" at the end. Raises NetworkError when resuming did not help either."""
        while True:
            if self._response is None:
                if self._offset >= self._size:
                    return b""
                self._connect()
            try:
                data = self._next(size)
                if data or self._offset >= self._size:
                    return data
                raise NetworkError(f"{self._name} ended after {self._skipped()} of {self._size} bytes")
            except NetworkError as exc:
                self.close()
                if self._offset < self._size:
                    self._failed(exc)

    def close(self) -> None:
        """Let go of the connection."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _next(self, size: int) -> bytes:
        response = self._response
        if response is None:
            return b""
        while self._skip:
            data = response.read(min(CHUNK, self._skip))
            if not data:
                return b""
            self._skip -= len(data)
        wanted = min(size, self._size + 1 - self._offset)
        data = response.read(wanted) if wanted > 0 else b""
        self._offset += len(data)
        return data

    def _skipped(self) -> int:
        return self._offset - self._skip

    def _failed(self, exc: NetworkError) -> None:
        if self._offset - self._mark >= PROGRESS:
            self._mark, self._failures, self._backoff = self._offset, 0, Backoff(cap=_PAUSE)
        self._failures += 1
        if not exc.transient or self._failures > self._retries:
            exc.about(self._name)
            exc.facts.update(attempts=self._failures, url=self._url)
            if self._failures > 1:
                exc.message += f" (asked {self._failures} times for what comes after byte {self._offset})"
                exc.args = (exc.message,)
            raise exc
        self.resumed = True
        if self._failures > 1:
            self._pause(self._backoff.next())

    def _connect(self) -> None:
        start = self._offset
        response = self._ask(start, self._etag)
        if response.status in (206, 416):
            if response.status == 206 and self._goes_on(response, start):
                self._response = response
                return
            # R1.23: never splice what does not fit exactly; take it from the beginning and drop what we have.
            response.close()
            response = self._ask(0, "")
        announced = response.length
        if announced is not None and announced != self._size:
            response.close()
            raise SizeMismatch(f"{self._name} has {announced} bytes, its descriptor promises {self._size}")
        etag = response.headers.get("etag") or ""
        self._etag = etag if etag.startswith('"') and etag.endswith('"') and len(etag) > 2 else ""
        self._skip = start
        self._response = response

    def _goes_on(self, response: Response, start: int) -> bool:
        # Exactly what was asked for: from ``start`` to the end of a blob of our size, in one part.
        match = _RANGE.fullmatch((response.headers.get("content-range") or "").strip())
        if match is None or int(match.group(1)) != start or int(match.group(2)) != self._size - 1:
            return False
        return match.group(3) in ("*", str(self._size)) and response.length in (None, self._size - start)
