# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object at an ``http://`` or ``https://`` URL, such as a presigned one: GET with Range, and one PUT."""

from __future__ import annotations

import re

from ..model.errors import StorageError
from ..model.text import redact
from ..registry.destination import Origin
from ..registry.response import Response
from ..registry.web import Web
from .remote import Answer, Body, Remote, changed

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)
# RFC 9110 13.1.5: a weak validator is no use for a range.
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_STORED = (200, 201, 204)
#: Azure's storage wants to be told what kind of blob a PUT makes.
_AZURE = ".blob.core."


class WebObject(Remote):
    """The object at ``url``."""

    def __init__(self, url: str, web: Web) -> None:
        # What is wrong with the URL is told before anything is done.
        Origin.of(url)
        self.name = redact(url)
        self.retries = web.settings.retries
        self._url = url
        self._web = web

    def fetch(self, start: int, end: int, version: str = "") -> Answer | None:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if _STRONG.fullmatch(version):
            headers["If-Range"] = version
        response = self._web.request("GET", self._url, headers=headers, accept_status=(200, 206, 404, 410, 416))
        if response.status in (404, 410) or (response.status == 416 and start == 0):
            response.close()
            if version:
                raise changed(self.name)
            return None
        found = response.headers.get("etag") or response.headers.get("last-modified") or ""
        # Where the server ignores If-Range, or has only a weak validator, the difference shows all the same.
        if response.status == 416 or (version and found != version):
            response.close()
            raise changed(self.name)
        if response.status == 200:
            return Answer(response, False, response.length, found)
        return Answer(response, True, self._total(response, start, end), found)

    def _total(self, response: Response, start: int, end: int) -> int | None:
        match = _RANGE.fullmatch((response.headers.get("content-range") or "").strip())
        if match is not None and int(match.group(1)) == start:
            total = None if match.group(3) == "*" else int(match.group(3))
            last = end - 1 if total is None else min(end, total) - 1
            if int(match.group(2)) == last and response.length in (None, last - start + 1):
                return total
        response.close()
        raise StorageError(f"{self.name} answers with another range than it was asked for")

    def store(self, body: Body) -> None:
        host = self._url.partition("://")[2].partition("/")[0]
        headers = {"x-ms-blob-type": "BlockBlob"} if _AZURE in host else {}
        self._web.request("PUT", self._url, headers=headers, body=body, accept_status=_STORED).close()

    def warn(self, text: str) -> None:
        self._web.meter.warn(text)
