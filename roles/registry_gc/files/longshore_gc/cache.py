# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blob cache in redis: what it says of deleted blobs makes pushes succeed that cannot be pulled."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any, BinaryIO

from . import commands
from .errors import CollectError
from .record import Instance

_PATTERNS = ("blobs::*", "repository::*::blobs::*", "repository::*::blobs")
_TIMEOUT = 30.0


class Redis:
    """A connection to the redis of an instance's cache. `CollectError` if it cannot be had."""

    def __init__(self, instance: Instance) -> None:
        self.address = str(instance.cache["address"])
        host, unused, port = self.address.rpartition(":")
        secrets = commands.read_environment(instance.environment_file) if instance.environment_file else {}
        try:
            plain = socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), _TIMEOUT)
            self._socket = plain
            if instance.cache.get("tls"):
                self._socket = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            self._stream: BinaryIO = self._socket.makefile("rb")
            password = secrets.get("REGISTRY_REDIS_PASSWORD")
            if password:
                user = instance.cache.get("username")
                self.call("AUTH", *([str(user)] if user else []), _plain(password))
            if instance.cache.get("db"):
                self.call("SELECT", str(instance.cache["db"]))
            self.call("PING")
        except OSError as error:
            raise CollectError(f"the cache in redis at {self.address} cannot be reached: {error}") from error

    def close(self) -> None:
        """Let go."""
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
            raise CollectError(f"the cache in redis at {self.address} does not answer: {error}") from error

    def _answer(self, command: str) -> Any:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise CollectError(f"the cache in redis at {self.address} refuses {command}: {rest.decode(errors='replace')}")
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


@contextlib.contextmanager
def _connected(instance: Instance) -> Iterator[Redis]:
    redis = Redis(instance)
    try:
        yield redis
    finally:
        redis.close()


def in_redis(instances: list[Instance]) -> list[Instance]:
    """One instance for each redis that holds their caches."""
    found = {str(one.cache): one for one in instances if one.cache.get("kind") == "redis"}
    return list(found.values())


def check(instances: list[Instance]) -> None:
    """Whether every redis answers."""
    for one in in_redis(instances):
        with _connected(one):
            pass


def flush(instances: list[Instance]) -> int:
    """Drop what the caches of the instances say; how many keys went."""
    removed = 0
    for one in in_redis(instances):
        with _connected(one) as redis:
            removed += redis.flush()
    return removed


def _plain(value: str) -> str | bytes:
    """A value as the registry understands it, which reads its environment as YAML: the role registry writes what YAML could
    take for something else in base64."""
    kind, blank, text = value.partition(" ")
    return base64.b64decode(text) if blank and kind == "!!binary" else value
