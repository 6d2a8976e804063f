# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer: status, headers, and a body of which every byte is counted before anybody may take it for complete."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..model.digest import CHUNK
from ..model.errors import Cancelled, ContentError, NetworkError
from ..model.text import shown
from .failures import network_error

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .meter import Meter

#: Seconds to wait for more of an error's body.
PATIENCE = 5.0

_FOLD = re.compile(r"\s*[\r\n]+\s*")


class Headers:
    """Header fields by name, whatever the case of their letters."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in pairs:
            if "\n" in value or "\r" in value:
                value = _FOLD.sub(" ", value)
            self._fields.setdefault(name.lower(), []).append(value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of ``name``, several fields joined by a comma as RFC 9110 5.3 says."""
        values = self._fields.get(name.lower())
        if values is None:
            return default
        return values[0] if len(values) == 1 else ", ".join(values)

    def get_all(self, name: str) -> list[str]:
        """Every value of ``name``, one for each field, in their order."""
        return list(self._fields.get(name.lower(), ()))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value


class Response:
    """What came back. ``body`` is empty when the request was made with ``stream=True``: then `read` and `close` it."""

    def __init__(
        self,
        answer: http.client.HTTPResponse,
        url: str,
        name: str,
        finish: Callable[[bool], None],
        meter: Meter,
        bandwidth: Bandwidth | None = None,
        stop: threading.Event | None = None,
        wait_at_most: Callable[[float], None] | None = None,
    ) -> None:
        self._answer = answer
        self._name = name
        self._finish: Callable[[bool], None] | None = finish
        self._meter = meter
        self._bandwidth = bandwidth if bandwidth is not None and bandwidth.limit is not None else None
        self._stop = stop
        self._wait_at_most = wait_at_most
        self.status = answer.status
        self.headers = Headers(answer.headers.items())
        #: The URL that gave this answer, after redirects.
        self.url = url
        self.body = b""
        #: How many times the request was sent for this answer.
        self.attempts = 1
        #: Bytes of the body read so far.
        self.count = 0
        self.length = self._declared_length()
        if self.length == 0:
            self._end(True)

    def _declared_length(self) -> int | None:
        # Bytes of the body; None if only its end tells. http.client knows about HEAD, 204 and 304.
        if self._answer.length == 0 or self._answer.fp is None:
            return 0
        if self._answer.chunked:
            return None
        values = {part.strip() for value in self.headers.get_all("content-length") for part in value.split(",")}
        if not values:
            return None
        text = values.pop()
        if values or not (text.isascii() and text.isdigit() and len(text) < 20):
            self.close()
            raise NetworkError(f"{self._name} sent an invalid Content-Length", transient=False)
        return int(text)

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes, at most ``size``; b"" only at the end of the body.

        Returns as soon as there is something, so that the caller keeps control of a slow transfer. Raises NetworkError
        when the connection fails or the body ends before its Content-Length, ContentError for an encoded body (S11).
        """
        if self._finish is None:
            if self.length is None or self.count >= self.length:
                return b""
            raise NetworkError(f"the answer of {self._name} was closed after {self.count} of {self.length} bytes")
        if self.count == 0:
            self._refuse_encoding()
        if self.length is not None:
            size = min(size, self.length - self.count)
        if self._stop is not None and self._stop.is_set():
            self.close()
            raise Cancelled("the task was told to stop")
        if self._bandwidth is not None:
            size = min(size, self._bandwidth.chunk)
            self._bandwidth.take(size, self._stop)
        try:
            # read1 gives what is there. read would wait for all of size, and a peer that drips would keep us for hours.
            data = self._answer.read1(size)
        except (OSError, http.client.HTTPException, NetworkError, Cancelled) as exc:
            self.close()
            if isinstance(exc, (NetworkError, Cancelled)):
                raise
            raise network_error(exc, self._name, f"after {self._progress()}") from exc
        if self._bandwidth is not None:
            self._bandwidth.give_back(size - len(data))
        count = len(data)
        self.count += count
        if count:
            self._meter.received(count)
            if self.count == self.length:
                self._end(True)
        elif self.length is None:
            self._end(self._answer.chunked)
        else:
            self.close()
            raise NetworkError(f"{self._name} closed the connection after {self._progress()}")
        return data

    def _progress(self) -> str:
        return f"{self.count} bytes" if self.length is None else f"{self.count} of {self.length} bytes"

    def _refuse_encoding(self) -> None:
        encoding = self.headers.get("content-encoding")
        if encoding is not None and encoding.strip().lower() not in ("", "identity"):
            self.close()
            raise ContentError(
                f"{self._name} sent the content encoded as '{shown(encoding, 40)}' although it was asked for as it is; "
                "a proxy in between may do that"
            )

    def read_all(self, limit: int) -> bytes:
        """The rest of the body, which ends the response. Raises ContentError if it has more than ``limit`` bytes."""
        if self.length is not None and self.length > limit:
            self.close()
            raise ContentError(f"{self._name} sent {self.length} bytes where at most {limit} are sensible")
        parts: list[bytes] = []
        count = 0
        while True:
            data = self.read(min(CHUNK, limit - count + 1))
            if not data:
                return b"".join(parts)
            parts.append(data)
            count += len(data)
            if count > limit:
                self.close()
                raise ContentError(f"{self._name} sent more than the {limit} bytes that are sensible")

    def read_some(self, limit: int) -> bytes:
        """What can be had of the body of an error, at most ``limit`` bytes; never raises for what is missing of it."""
        parts: list[bytes] = []
        count = 0
        if self._wait_at_most is not None and self._finish is not None:
            # Some servers announce more of an error than they send (R1.24).
            self._wait_at_most(PATIENCE)
        try:
            while count < limit:
                data = self.read(limit - count)
                if not data:
                    break
                parts.append(data)
                count += len(data)
        except (NetworkError, ContentError):
            # Half an error page is still the best there is to show; the connection has been given up.
            return b"".join(parts)
        self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the connection; if the body was not read to its end, it is closed. May be called twice."""
        self._end(False)

    def _end(self, complete: bool) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            reusable = complete and not self._answer.will_close
            self._answer.close()
            finish(reusable)
