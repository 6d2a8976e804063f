# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storages: a small one that can be told to misbehave, and moto's S3."""

from __future__ import annotations

import hashlib
import http.server
import pathlib
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from .certificates import KeyPair
from .process import Child, free_port, working_directory

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Asked(NamedTuple):
    """One request: ``path`` without the query, names of ``headers`` in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


#: Told the request and the handler; True if it has answered.
Fault = Callable[[Asked, "_Handler"], bool]


class Storage(http.server.ThreadingHTTPServer):
    """Keeps what is PUT under its path, and gives it away, in ranges too. Started and stopped by a ``with`` block.

    Args:
        ranges: Whether it knows ranges.
        etags: Whether it tells contents apart.
        write_only: Refuse every GET with 403, as a storage does for a URL that is signed for PUT.
        keep: Whether to keep what is PUT; otherwise only its length and digest are (`digests`).
        tls: Serve HTTPS with this certificate.
    """

    daemon_threads = True

    def __init__(
        self,
        *,
        ranges: bool = True,
        etags: bool = True,
        write_only: bool = False,
        keep: bool = True,
        tls: KeyPair | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranges, self.etags, self.write_only, self.keep = ranges, etags, write_only, keep
        self.objects: dict[str, bytes] = {}
        self.digests: dict[str, tuple[int, str]] = {}
        self.log: list[Asked] = []
        #: What happens to the next requests of a method, one each, before the usual.
        self.faults: dict[str, list[Fault]] = {"GET": [], "PUT": []}
        #: What happens to every request for a path.
        self.always: dict[str, Fault] = {}
        self.scheme = "http"
        if tls is not None:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Storage:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def url(self, path: str, query: str = "") -> str:
        """The URL of an object."""
        return f"{self.scheme}://{self.host}{path}{'?' if query else ''}{query}"

    def asked(self, method: str) -> list[Asked]:
        """The requests with ``method``."""
        return [one for one in self.log if one.method == method]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Storage

    def _begin(self) -> tuple[Asked, bool]:
        path, unused, query = self.path.partition("?")
        asked = Asked(self.command, path, query, {name.lower(): value for name, value in self.headers.items()})
        self.server.log.append(asked)
        if path in self.server.always:
            return asked, self.server.always[path](asked, self)
        faults = self.server.faults[self.command]
        return asked, bool(faults) and faults.pop(0)(asked, self)

    def do_GET(self) -> None:
        asked, done = self._begin()
        if done:
            return
        if self.server.write_only:
            self.refuse(403, "<Error><Code>AccessDenied</Code><Message>Not for reading</Message></Error>")
            return
        data = self.server.objects.get(asked.path)
        if data is None:
            self.refuse(404, "<Error><Code>NoSuchKey</Code><Message>There is none</Message></Error>")
            return
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        match = _RANGE.fullmatch(asked.headers.get("range", "")) if self.server.ranges else None
        if match is not None and asked.headers.get("if-range", etag) == etag:
            start, end = int(match.group(1)), int(match.group(2) or len(data) - 1)
            if start >= len(data):
                self.refuse(416, "", {"Content-Range": f"bytes */{len(data)}"})
                return
            end = min(end, len(data) - 1)
            self.give(206, data[start : end + 1], etag, {"Content-Range": f"bytes {start}-{end}/{len(data)}"})
        else:
            self.give(200, data, etag)

    def do_PUT(self) -> None:
        asked, done = self._begin()
        if done:
            return
        length = asked.headers.get("content-length")
        if length is None:
            self.refuse(411, "")
            return
        left, pieces, digest = int(length), [], hashlib.sha256()
        while left:
            data = self.rfile.read(min(1 << 20, left))
            if not data:
                # It broke off: what was there stays.
                self.close_connection = True
                return
            left -= len(data)
            if self.server.keep:
                digest.update(data)
                pieces.append(data)
        if self.server.keep:
            self.server.objects[asked.path] = b"".join(pieces)
        self.server.digests[asked.path] = int(length), digest.hexdigest()
        self.give(200, b"")

    def give(self, status: int, body: bytes, etag: str = "", headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        if etag and self.server.etags:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        """An error, and the end of the connection."""
        self.close_connection = True
        self.give(status, body.encode(), headers={"Content-Type": "application/xml", "Connection": "close", **(headers or {})})

    def reset(self) -> None:
        """RST."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def answering(status: int, body: str = "", headers: dict[str, str] | None = None) -> Fault:
    """That status."""

    def fault(asked: Asked, handler: _Handler) -> bool:
        handler.refuse(status, body, headers)
        return True

    return fault


def cut_after(count: int) -> Fault:
    """A reset in the middle: after ``count`` bytes of a PUT have come, or of a GET gone."""

    def fault(asked: Asked, handler: _Handler) -> bool:
        if asked.method == "PUT":
            handler.rfile.read(count)
        else:
            data = handler.server.objects[asked.path]
            match = _RANGE.fullmatch(asked.headers.get("range", ""))
            start = int(match.group(1)) if match and handler.server.ranges else 0
            end = min(int(match.group(2) or len(data) - 1), len(data) - 1) if match and handler.server.ranges else len(data) - 1
            handler.send_response(206 if handler.server.ranges else 200)
            handler.send_header("Content-Length", str(end + 1 - start))
            if handler.server.ranges:
                handler.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
            if handler.server.etags:
                handler.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')
            handler.end_headers()
            handler.wfile.write(data[start : min(start + count, end)])
        time.sleep(0.05)
        handler.reset()
        return True

    return fault


def usual(asked: Asked, handler: _Handler) -> bool:
    """No fault."""
    return False


class Moto:
    """moto's S3 in a process of its own, started on entering its ``with`` block. It lets everybody in."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL is to be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-of-a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A boto3 client of its own."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing-of-a-secret",
            config=Config(signature_version="s3v4"),
        )

    def __enter__(self) -> Moto:
        self._directory = working_directory(None, "moto")
        place = self._directory.__enter__()
        command = [str(pathlib.Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]
        self._child = Child(command, place, "moto")
        self._child.wait_ready(self._answers)
        return self

    def __exit__(self, *unused: object) -> None:
        self._child.stop()
        self._directory.__exit__(None, None, None)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                return True
        except OSError:
            return False
