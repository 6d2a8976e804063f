# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container engine on a unix socket that answers as it is told, for the faults that no real one shows on demand."""

from __future__ import annotations

import http.server
import io
import json
import socket
import socketserver
import tarfile
import tempfile
import threading
from pathlib import Path


class FakeEngine:
    """Used as ``with FakeEngine() as engine``. What it loads it holds; the attributes say what it does otherwise."""

    def __init__(self):
        #: Images by name and by ID: what inspecting them gives.
        self.images = {}
        #: What exporting an image gives.
        self.archive = b""
        self.version = {"Os": "linux", "Arch": "amd64"}
        self.info = {"Architecture": "x86_64"}
        #: Answers for a path (without its query), instead of the usual: (status, body).
        self.scripted = {}
        #: Called with the handler before the body of a load is read; True: it has answered.
        self.on_load = None
        #: Before a load is answered; before an export begins.
        self.hold = threading.Event()
        self.hold.set()
        self.asked = []
        #: The archives that arrived whole, as {member: bytes}, and how many were cut.
        self.loaded = []
        self.cut = 0
        self.alive = True

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="engine-")
        self.path = str(Path(self._folder.name) / "e.sock")
        self._server = _Server(self.path, _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    @property
    def url(self):
        return f"unix://{self.path}"

    def writes(self):
        return [one for one in self.asked if not one.startswith("GET")]

    def take(self, members):
        """What loading an archive makes of it."""
        self.loaded.append(members)
        for entry in json.loads(members["manifest.json"]):
            image_id = "sha256:" + entry["Config"].rpartition("/")[2]
            for name in entry["RepoTags"]:
                self.images[name] = {"Id": image_id, "RepoTags": [name]}
            self.images[image_id] = {"Id": image_id, "RepoTags": entry["RepoTags"]}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, request, client_address):
        """A connection that the other side broke off says nothing."""


class _Cut(Exception):
    """The body ended too early."""


def _handler(engine):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def address_string(self):
            return "local"

        def log_message(self, *unused):
            return

        def answer(self, status, body=b"", document=None):
            data = body if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            engine.asked.append(f"GET {self.path}")
            path = self.path.partition("?")[0]
            if not engine.alive:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif path in engine.scripted:
                self.answer(*engine.scripted[path])
            elif path == "/_ping":
                self.answer(200, b"OK")
            elif path in ("/version", "/info"):
                self.answer(200, document=getattr(engine, path[1:]))
            elif path == "/images/json":
                self.answer(200, document=list(engine.images.values()))
            elif path.endswith("/json"):
                found = engine.images.get(path[len("/images/") : -len("/json")])
                self.answer(404 if found is None else 200, document=found or {"message": "no such image"})
            elif path.endswith("/get"):
                engine.hold.wait(20)
                self.answer(200, engine.archive)
            else:
                self.answer(404, document={"message": "page not found"})

        def do_POST(self):
            engine.asked.append(f"POST {self.path}")
            path = self.path.partition("?")[0]
            if path.endswith("/tag"):
                query = dict(part.split("=") for part in self.path.partition("?")[2].split("&"))
                name = f"{query['repo'].replace('%2F', '/')}:{query['tag']}"
                found = engine.images[path[len("/images/") : -len("/tag")]]
                engine.images[name] = {**found, "RepoTags": [name]}
                self.answer(201)
                return
            if engine.on_load is not None and engine.on_load(self):
                return
            try:
                body = self.body()
            except _Cut:
                engine.cut += 1
                return
            engine.hold.wait(20)
            if path in engine.scripted:
                self.answer(*engine.scripted[path])
                return
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                engine.take({member.name: tar.extractfile(member).read() for member in tar})
            self.answer(200, b'{"stream":"Loaded image: ..."}\r\n')

        def body(self):
            """The whole chunked body."""
            pieces = []
            while True:
                line = self.rfile.readline().strip()
                if not line:
                    raise _Cut
                size = int(line, 16)
                data = self.rfile.read(size)
                if len(data) < size:
                    raise _Cut
                self.rfile.readline()
                if not size:
                    return b"".join(pieces)
                pieces.append(data)

    return Handler
