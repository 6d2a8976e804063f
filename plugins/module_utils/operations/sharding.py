# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several workers a repository belongs to, so that many hosts share a mirror with nobody to coordinate them.

A repository is given to one worker as a whole: its tags share layers, and the worker that has them mounts them. Every host
computes the same answer from the name and the number of workers alone. With one worker more, one in that many repositories
moves, and only to the new worker; all others stay where they were.
"""

from __future__ import annotations

import hashlib

from ..model.errors import InvalidInput

_MULTIPLIER = 2862933555777941757
_MASK = (1 << 64) - 1


def shard_of(repository: str, count: int) -> int:
    """The worker, ``0`` to ``count - 1``, that ``repository`` belongs to.

    ``repository`` is the destination with its host and without a tag, ``registry.example.com/mirror/app``; it is taken as it
    is written, so normalise it first. Raises InvalidInput for a ``count`` below 1.

    The jump consistent hash of Lamping and Veach (2014) over the first eight bytes of the name's SHA-256: even, and as few
    moves as can be when a worker is added or the last one taken away. It has no table and no seed, and it must never change:
    hosts with two versions of this collection have to agree.
    """
    if count < 1:
        raise InvalidInput(f"there has to be at least one shard, not {count}")
    key = int.from_bytes(hashlib.sha256(repository.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    shard, candidate = 0, 0
    while candidate < count:
        shard = candidate
        key = (key * _MULTIPLIER + 1) & _MASK
        candidate = int((shard + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return shard


def check_shard(index: int, count: int) -> None:
    """Raise InvalidInput unless ``index`` is the number of one of ``count`` workers, the first of which is 0."""
    if count < 1:
        raise InvalidInput(f"shard_count is how many workers there are, 1 or more, not {count}")
    if not 0 <= index < count:
        raise InvalidInput(f"shard_index counts from 0: with shard_count {count} it is 0 to {count - 1}, not {index}")
