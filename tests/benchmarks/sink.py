# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An object storage with one object: ``sink.py FILE`` prints its port, answers GET with 404, and takes a PUT as such
storages do: it hashes what comes (S3's ETag is an MD5), writes it to the disk, and puts it in its place when all is there.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import sys

CHUNK = 1 << 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        digest = hashlib.md5(usedforsecurity=False)
        buffer = memoryview(bytearray(CHUNK))
        with open(self.target + ".new", "wb", buffering=0) as file:
            while left:
                count = self.rfile.readinto(buffer[: min(left, CHUNK)])
                if not count:
                    self.close_connection = True
                    return
                digest.update(buffer[:count])
                file.write(buffer[:count])
                left -= count
        os.replace(self.target + ".new", self.target)
        self.send_response(200)
        self.send_header("ETag", f'"{digest.hexdigest()}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main() -> None:
    Handler.target = sys.argv[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
