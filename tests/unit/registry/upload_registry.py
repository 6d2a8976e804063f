# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads as registries keep them: sessions that grow, an offset that is told, and the ways in which they differ."""

from __future__ import annotations

import hashlib
import re
import threading
from urllib.parse import parse_qs, urlsplit

from ansible_collections.longshore.oci.tests.unit.registry.fake import Answer, Peer, Request, reply

_RANGE = re.compile(r"(\d+)-(\d+)")


class UploadRegistry:
    """An answer for `Fake`. It keeps what has arrived of a request that was cut short, as distribution 3 does.

    Args:
        patch_status: What a part is answered with.
        says_range: The ``Range`` of that answer: ``total``, ``part`` (each part's own), ``stale`` (the first part's for
            ever, in the answer to GET as well) or ``none``.
        forgets: An upload that was cut short within a request is lost, as with distribution 2.8.
        loses: Of a request that was cut short so many bytes of what had arrived are not kept.
        minimum: ``OCI-Chunk-Min-Length``.
        refuse: Answers for PATCH requests by their number, from 1, in place of the usual one.
    """

    def __init__(
        self,
        patch_status: int = 202,
        says_range: str = "total",
        forgets: bool = False,
        loses: int = 0,
        minimum: int = 0,
        refuse: dict[int, Answer] | None = None,
    ) -> None:
        self.patch_status = patch_status
        self.says_range = says_range
        self.forgets = forgets
        self.loses = loses
        self.minimum = minimum
        self.refuse = refuse or {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.begun = 0
        self.parts: list[tuple[int, int]] = []
        self._patches = 0
        self._versions: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Request, peer: Peer) -> None:
        with self._lock:
            answer = self._answer(request)
        answer(request, peer)

    def _answer(self, request: Request) -> Answer:
        url = urlsplit(request.target)
        name = url.path.rsplit("/", 1)[-1]
        if request.method == "HEAD":
            return reply(200, self.blobs[name]) if name in self.blobs else reply(404)
        if request.method == "POST":
            self.begun += 1
            identity = f"u{self.begun}"
            self.uploads[identity] = bytearray()
            headers = {"OCI-Chunk-Min-Length": str(self.minimum)} if self.minimum else {}
            return reply(202, headers={**self._place(identity), "Range": "0-0", **headers})
        query = parse_qs(url.query)
        # Only the Location that was given last is good.
        if name not in self.uploads or query["v"] != [str(self._versions[name])]:
            return reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
        if request.method == "GET":
            return reply(204, headers={**self._place(name), "Range": self._range(name, 0)})
        if request.method == "DELETE":
            del self.uploads[name]
            return reply(204)
        return self._patch(request, name) if request.method == "PATCH" else self._put(request, name, query["digest"][0])

    def _patch(self, request: Request, name: str) -> Answer:
        self._patches += 1
        if self._patches in self.refuse:
            return self.refuse[self._patches]
        match = _RANGE.fullmatch(request.headers["content-range"])
        assert match is not None
        start, end = int(match[1]), int(match[2])
        assert int(request.headers["content-length"]) == end - start + 1
        if start != len(self.uploads[name]):
            return reply(416, b'{"errors":[{"code":"RANGE_INVALID"}]}')
        if not self._take(request, name):
            return reply(500)
        self.parts.append((start, end))
        self._first.setdefault(name, end)
        headers = self._place(name)
        said = self._range(name, len(request.body))
        return reply(self.patch_status, headers={**headers, "Range": said} if said else headers)

    def _put(self, request: Request, name: str, digest: str) -> Answer:
        if not self._take(request, name):
            return reply(500)
        data = bytes(self.uploads.pop(name))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            return reply(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        self.blobs[digest] = data
        return reply(201, headers={"Docker-Content-Digest": digest})

    def _take(self, request: Request, name: str) -> bool:
        whole = len(request.body) == int(request.headers["content-length"])
        self.uploads[name] += request.body if whole else request.body[: max(0, len(request.body) - self.loses)]
        if not whole and self.forgets:
            del self.uploads[name]
        return whole

    def _place(self, name: str) -> dict[str, str]:
        self._versions[name] = self._versions.get(name, 0) + 1
        return {"Location": f"/up/{name}?v={self._versions[name]}"}

    def _range(self, name: str, part: int) -> str:
        if self.says_range == "none" and part:
            return ""
        if self.says_range == "part" and part:
            return f"0-{part - 1}"
        if self.says_range == "stale" and name in self._first:
            return f"0-{self._first[name]}"
        return f"0-{max(0, len(self.uploads[name]) - 1)}"
