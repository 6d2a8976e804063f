# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blob cache in redis: what it says of deleted blobs makes pushes succeed that cannot be pulled.

registry_backup has this file by a link.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any, BinaryIO

from . import environment_file

_PATTERNS = ("blobs::*", "repository::*::blobs::*", "repository::*::blobs")
_TIMEOUT = 30.0


class RedisError(Exception):
    """It cannot be reached, does not answer, or refuses; a sentence that names it."""


class Redis:
    """A connection to the redis of an instance's cache, for a ``with`` block. `RedisError` if it cannot be had.

    ``cache`` is the record's ``cache``; ``secrets`` is the environment of the service.
    """

    def __init__(self, cache: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self.address = str(cache["address"])
        host, unused, port = self.address.rpartition(":")
        try:
            plain = socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), _TIMEOUT)
            self._socket = plain
            if cache.get("tls"):
                self._socket = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            self._stream: BinaryIO = self._socket.makefile("rb")
            password = secrets.get("REGISTRY_REDIS_PASSWORD")
            if password:
                user = cache.get("username")
                self.call("AUTH", *([str(user)] if user else []), environment_file.plain(password))
            if cache.get("db"):
                self.call("SELECT", str(cache["db"]))
            self.call("PING")
        except OSError as error:
            raise RedisError(f"the cache in redis at {self.address} cannot be reached: {error}") from error

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stream.close()
        self._socket.close()

    def flush(self) -> int:
        """Remove the descriptors of blobs and nothing else; how many keys went."""
        removed = 0
        for pattern in _PATTERNS:
            cursor = b"0"
            while True:
                cursor, keys = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
                if keys:
                    removed += self.call("DEL", *keys)
                if cursor == b"0":
                    break
        return removed

    def call(self, *words: str | bytes) -> Any:
        """One command and its answer, in the redis protocol (RESP2)."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        message = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self._socket.sendall(message)
            return self._answer(str(words[0]))
        except OSError as error:
            raise RedisError(f"the cache in redis at {self.address} does not answer: {error}") from error

    def _answer(self, command: str) -> Any:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(f"the cache in redis at {self.address} refuses {command}: {rest.decode(errors='replace')}")
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._stream.read(size + 2)[:-2]
        if kind == b"*":
            return [self._answer(command) for dummy in range(int(rest))]
        raise ConnectionError(f"no answer of redis: {line!r}")
