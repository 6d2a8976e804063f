# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The caches of instances in redis."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from . import environment_file
from .errors import CollectError
from .record import Instance
from .redis import Redis, RedisError


@contextlib.contextmanager
def _connected(instance: Instance) -> Iterator[Redis]:
    try:
        with Redis(instance.cache, environment_file.read(instance.environment_file)) as redis:
            yield redis
    except RedisError as error:
        raise CollectError(str(error)) from error


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
