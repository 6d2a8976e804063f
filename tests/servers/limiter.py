# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on pulls in front of a registry, as Docker Hub has one: it counts each GET of a manifest and no HEAD, tells in its
answers to both how many are left, and refuses what is too much with 429."""

from __future__ import annotations

import http.client
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .registry import Registry

_HOP = ("connection", "keep-alive", "transfer-encoding", "date", "server")


class Limiter:
    """Reads of ``registry``, with at most ``limit`` pulls in ``window`` seconds, the window moving with time. A context
    manager.

    ``pulls``: how many it let through; ``refused``: how many it answered with 429.
    """

    def __init__(self, registry: Registry, limit: int, window: int) -> None:
        self.registry = registry
        self.limit = limit
        self.window = window
        self.pulls = 0
        self.refused = 0
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        limiter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                limiter._answer(self)

            def do_HEAD(self) -> None:
                limiter._answer(self)

            def log_message(self, *unused: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Limiter:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        fields = {}
        if "/manifests/" in handler.path:
            allowed, left = self._count(handler.command == "GET")
            fields = {
                "ratelimit-limit": f"{self.limit};w={self.window}",
                "ratelimit-remaining": f"{left};w={self.window}",
                "docker-ratelimit-source": "192.0.2.1",
            }
            if not allowed:
                self._send(handler, 429, fields, b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "too many pulls"}]}')
                return
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=30)
        try:
            accept = {"Accept": handler.headers["Accept"]} if handler.headers["Accept"] else {}
            connection.request(handler.command, handler.path, headers=accept)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        self._send(handler, answer.status, {**kept, **fields}, body)

    def _count(self, is_pull: bool) -> tuple[bool, int]:
        with self._lock:
            now = time.monotonic()
            while self._recent and now - self._recent[0] >= self.window:
                self._recent.popleft()
            if is_pull and len(self._recent) >= self.limit:
                self.refused += 1
                return False, 0
            if is_pull:
                self._recent.append(now)
                self.pulls += 1
            return True, self.limit - len(self._recent)

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, fields: dict[str, str], body: bytes) -> None:
        handler.send_response_only(status)
        names = {name.lower() for name in fields}
        for name, value in fields.items():
            handler.send_header(name, value)
        if "content-length" not in names:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)
