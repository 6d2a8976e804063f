# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve the files of a directory over HTTP until it is removed, ten minutes at most: the answers to an ACME authority's challenges.

Usage: python3 registry_acme.py DIRECTORY PORT
"""

from __future__ import annotations

import functools
import http.server
import os
import socket
import sys
import threading
import time

SECONDS = 600.0


class Server(http.server.ThreadingHTTPServer):
    """Listens on all addresses, of IPv6 as well where the host has that."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Says nothing of what it is asked for, and lists no directory."""

    def log_message(self, *unused: object) -> None:
        pass

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        self.send_error(404)


def main() -> int:
    directory, port = sys.argv[1], int(sys.argv[2])
    server = Server(("", port), functools.partial(Handler, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    end = time.monotonic() + SECONDS
    while os.path.isdir(directory) and time.monotonic() < end:
        time.sleep(0.5)
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
