# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object in memory that counts what is asked of it and can be told to fail, for the tests of archives in storages."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import NetworkError
from ansible_collections.longshore.oci.plugins.module_utils.model.streams import BlobStream
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote import Answer, Body, Remote, changed


class Stored(Remote):
    """``data`` is the object, None for none. ``ranges``: whether parts can be had."""

    def __init__(self, data: bytes | None = None, ranges: bool = True) -> None:
        self.name = "https://storage/a.tar?..."
        self.retries = 2
        self.data = data
        self.ranges = ranges
        self.fetched: list[tuple[int, int]] = []
        self.stored = 0
        self.warnings: list[str] = []
        #: After so many bytes each of the next streams breaks.
        self.breaks: list[int] = []
        #: Done before each fetch.
        self.before: Callable[[], None] = lambda: None

    @property
    def version(self) -> str:
        return hashlib.sha256(self.data or b"").hexdigest()

    def fetch(self, start: int, end: int, version: str = "") -> Answer | None:
        self.before()
        self.fetched.append((start, end))
        if version and version != self.version:
            raise changed(self.name)
        if self.data is None:
            return None
        data = self.data[start:end] if self.ranges else self.data
        stream: BlobStream = io.BytesIO(data)
        if self.breaks:
            stream = Breaking(data, self.breaks.pop(0))
        return Answer(stream, self.ranges, len(self.data), self.version)

    def store(self, body: Body) -> None:
        stream = body.open()
        try:
            pieces = []
            while True:
                data = stream.read(70_000)
                if not data:
                    break
                pieces.append(data)
        finally:
            stream.close()
        data = b"".join(pieces)
        assert len(data) == body.length
        self.data = data
        self.stored += 1

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Breaking(io.BytesIO):
    """Gives ``count`` bytes, then the connection breaks."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__(data)
        self._left = count

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._left:
            raise NetworkError("the connection broke")
        data = super().read(min(size if size is not None and size >= 0 else self._left, self._left))
        self._left -= len(data)
        return data
