# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry with one image, whose layer is as large as you like and takes no disk, and a sink beside it.

The layer is a sparse file with a mark every 509 MiB, so that no two large parts of it are alike. The repository ``sink`` takes
everything: each byte of the layer is compared with what it should be, counted, and forgotten.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import pathlib
import re
import sys
import threading
from typing import Any

from ansible_collections.longshore.oci.tests.servers import images

_CHUNK = 1 << 20
_STEP = 509 * _CHUNK
_UPLOAD = "/v2/sink/blobs/uploads/"
_KIND = images.MEDIA_TYPES[images.OCI]


class Endless(http.server.ThreadingHTTPServer):
    """The registry. ``size`` is the layer's, in bytes; ``directory`` is where the sparse file goes."""

    daemon_threads = True

    def __init__(self, size: int, directory: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.size = size
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.file = os.open(directory / "layer", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.truncate(self.file, size)
        for offset in range(0, size, _STEP):
            os.pwrite(self.file, b"%d" % offset, offset)
        self.layer = _digest(self.file, size)
        config = images.Blob(_KIND["config"], b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}')
        layer = {"mediaType": _KIND["layer"], "digest": self.layer, "size": size}
        document = {"schemaVersion": 2, "mediaType": _KIND["manifest"], "config": config.descriptor, "layers": [layer]}
        self.manifest = images.Blob(_KIND["manifest"], images.to_json(document))
        self.config = config
        #: Bytes of the layer that the sink was given, in all tries, and what was wrong with them.
        self.taken = 0
        self.wrong: list[str] = []
        #: What the sink holds: digests of blobs, and manifests by tag.
        self.blobs: set[str] = set()
        self.tags: dict[str, bytes] = {}

    def __enter__(self) -> Endless:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what a test wants; all else is told as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def forget(self) -> None:
        """Empty the sink."""
        self.blobs.clear()
        self.tags.clear()
        self.wrong.clear()
        self.taken = 0

    def __exit__(self, *unused: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        os.close(self.file)


def _digest(file: int, size: int) -> str:
    found = hashlib.sha256()
    for offset in range(0, size, _CHUNK):
        found.update(os.pread(file, min(_CHUNK, size - offset), offset))
    return f"sha256:{found.hexdigest()}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600
    server: Endless

    def do_GET(self) -> None:
        owner = self.server
        blob = {owner.config.digest: owner.config.data}.get(self.path.rpartition("/")[2])
        if self.path == "/v2/":
            self._answer(200)
        elif self.path in ("/v2/source/manifests/1", f"/v2/source/manifests/{owner.manifest.digest}"):
            self._answer(200, owner.manifest.data, owner.manifest.media_type)
        elif self.path == f"/v2/source/blobs/{owner.layer}":
            self._layer()
        elif self.path.startswith("/v2/source/blobs/") and blob is not None:
            self._answer(200, blob)
        elif self.path.startswith("/v2/sink/blobs/") and self.path.rpartition("/")[2] in owner.blobs:
            self._answer(200)
        elif self.path.startswith("/v2/sink/manifests/") and self.path.rpartition("/")[2] in owner.tags:
            self._answer(200, owner.tags[self.path.rpartition("/")[2]], owner.manifest.media_type)
        else:
            self._answer(404, b'{"errors": [{"code": "UNKNOWN", "message": "not here"}]}', "application/json")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(202, headers={"Location": _UPLOAD + "1"})

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        if self.path.startswith(_UPLOAD):
            match = re.search(r"digest=([^&]+)", self.path)
            digest = match.group(1).replace("%3A", ":") if match else ""
            if digest == self.server.layer:
                self._take(length)
            else:
                self.rfile.read(length)
            self.server.blobs.add(digest)
            self._answer(201, headers={"Location": f"/v2/sink/blobs/{digest}", "Docker-Content-Digest": digest})
            return
        raw = self.rfile.read(length)
        digest = images.sha256(raw)
        for tag in (digest, self.path.rpartition("/")[2]):
            self.server.tags[tag] = raw
        self._answer(201, headers={"Docker-Content-Digest": digest})

    def _layer(self) -> None:
        start, status = 0, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        size = self.server.size
        if match:
            start, status = int(match.group(1)), 206
        self.send_response(status)
        self.send_header("Content-Length", str(size - start))
        if match:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.flush()
        with open(self.server.file, "rb", buffering=0, closefd=False) as file:
            self.connection.sendfile(file, start, size - start)

    def _take(self, length: int) -> None:
        owner, offset = self.server, 0
        buffer, wanted = memoryview(bytearray(_CHUNK)), memoryview(bytearray(_CHUNK))
        if length != owner.size:
            owner.wrong.append(f"{length} bytes were announced, and the layer has {owner.size}")
        while offset < length:
            count = self.rfile.readinto1(buffer[: min(_CHUNK, length - offset)])  # type: ignore[attr-defined]
            if not count:
                owner.wrong.append(f"the layer ended after {offset} bytes")
                return
            if os.preadv(owner.file, [wanted[:count]], offset) != count or buffer[:count] != wanted[:count]:
                owner.wrong.append(f"other bytes than the layer's between {offset} and {offset + count}")
            offset += count
            owner.taken += count

    def _answer(self, status: int, body: bytes = b"", media_type: str = "", headers: dict[str, Any] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type or "application/octet-stream", **(headers or {})}.items():
            self.send_header(name, value)
        if media_type:
            self.send_header("Docker-Content-Digest", images.sha256(body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""
