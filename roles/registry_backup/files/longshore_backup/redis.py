# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry's cache in redis, which must not tell of blobs that a restore took away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from .errors import BackupFailed
from .record import Record

_PATTERNS = ("blobs::*", "repository::*::blobs::*")
_PASSWORD = "REGISTRY_REDIS_PASSWORD="
_ONE_SCAN = 1000


def forget_blobs(record: Record) -> int:
    """Remove what the registry has cached in redis, and nothing else; returns how many keys there were.

    Does nothing for another kind of cache: that ends with the process. Raises `BackupFailed`.
    """
    if record.cache.get("kind") != "redis":
        return 0
    host, dummy, port = str(record.cache["address"]).rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=15) as connection:
            with connection.makefile("rwb") as stream:
                return _forget(stream, _password(record.environment_file), int(record.cache.get("db") or 0))
    except (OSError, ValueError) as exc:
        raise BackupFailed(f"the cache in redis at {record.cache['address']} cannot be emptied: {exc}") from None


def _forget(stream: Any, password: str | None, database: int) -> int:
    if password:
        _ask(stream, "AUTH", password)
    _ask(stream, "SELECT", str(database))
    count = 0
    for pattern in _PATTERNS:
        for keys in _scan(stream, pattern):
            if keys:
                _ask(stream, "DEL", *keys)
            count += len(keys)
    return count


def _scan(stream: Any, pattern: str) -> Iterator[list[str]]:
    cursor = "0"
    while True:
        cursor, keys = _ask(stream, "SCAN", cursor, "MATCH", pattern, "COUNT", str(_ONE_SCAN))
        yield keys
        if cursor == "0":
            return


def _password(path: str | None) -> str | None:
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(_PASSWORD):
                return line[len(_PASSWORD) :].strip().strip("\"'")
    return None


def _ask(stream: Any, *words: str) -> Any:
    """One command of RESP; raises ValueError with what redis has against it."""
    encoded = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded))
    stream.flush()
    return _answer(stream)


def _answer(stream: Any) -> Any:
    line = stream.readline().decode().rstrip("\r\n")
    kind, rest = line[:1], line[1:]
    if kind == "-" or not kind:
        raise ValueError(rest or "the connection ended")
    if kind == "*":
        return [_answer(stream) for dummy in range(int(rest))]
    if kind == "$":
        data = stream.read(int(rest) + 2)
        return data[:-2].decode()
    return rest
