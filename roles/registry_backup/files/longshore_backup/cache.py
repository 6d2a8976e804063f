# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry's cache in redis, which must not tell of blobs that a restore took away."""

from __future__ import annotations

from . import environment_file
from .errors import BackupFailed
from .record import Record
from .redis import Redis, RedisError


def forget_blobs(record: Record) -> int:
    """Remove what the registry has cached in redis, and nothing else; returns how many keys there were.

    Does nothing for another kind of cache: that ends with the process. Raises `BackupFailed`.
    """
    if record.cache.get("kind") != "redis":
        return 0
    try:
        with Redis(record.cache, environment_file.read(record.environment_file)) as redis:
            return redis.flush()
    except (RedisError, OSError, ValueError) as exc:
        raise BackupFailed(f"the cache in redis at {record.cache['address']} cannot be emptied: {exc}") from None
