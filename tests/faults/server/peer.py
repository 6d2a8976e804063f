# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of one connection, for an answer to misuse."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

#: A client that takes nothing for so long has gone.
_SECONDS = 60.0


class Peer:
    """What can be done to whoever is connected. ``ended`` is set when the server stops."""

    def __init__(self, sock: socket.socket, number: int, ended: threading.Event) -> None:
        self._sock = sock
        self.number = number
        self.open = True
        self._ended = ended
        sock.settimeout(_SECONDS)
        self._stream = sock.makefile("rb")

    def speaks_tls(self) -> bool:
        """Whether what comes first is a TLS handshake. Waits for it."""
        return self._stream.peek(1)[:1] == b"\x16"

    def line(self) -> str | None:
        """The next line, without its end; None where the client has closed."""
        text = self._stream.readline(65536).decode("latin-1")
        return text.rstrip("\r\n") if text else None

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer if the client went away."""
        return self._stream.read(size)

    def send(self, data: bytes) -> None:
        """Send it all."""
        self._sock.sendall(data)

    def close(self) -> None:
        """Send what is pending, then FIN."""
        self.open = False

    def reset(self) -> None:
        """RST, after what was sent has had a moment to arrive: what has not is lost."""
        self.wait(0.03)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False

    def wait(self, seconds: float) -> bool:
        """Pause; whether the server has been told to stop meanwhile, or the client has gone."""
        return self._ended.wait(seconds)

    def stall(self, seconds: float) -> None:
        """Say nothing for ``seconds``, or until the client or the server gives up."""
        self._sock.settimeout(seconds)
        with contextlib.suppress(OSError):
            while self._sock.recv(65536):
                continue
        self.open = False

    def end(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self._stream.close()
            self._sock.close()
