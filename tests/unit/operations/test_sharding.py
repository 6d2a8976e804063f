# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.sharding import check_shard, shard_of

FROZEN = [14, 32, 23, 5, 20, 34, 34, 26, 29, 21]
NAMES = [f"registry.example.com/mirror/team{number % 37}/app{number}" for number in range(5000)]


def test_what_belongs_to_whom_never_changes() -> None:
    # Frozen: hosts that run two versions of this collection have to agree.
    told = [shard_of(f"registry.example.com/mirror/app{number}", 50) for number in range(10)]
    assert told == FROZEN


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_shares_are_even(count: int) -> None:
    shares = Counter(shard_of(name, count) for name in NAMES)
    mean = len(NAMES) / count
    assert set(shares) == set(range(count))
    # Five standard deviations of a fair draw.
    assert all(abs(share - mean) <= 5 * mean**0.5 for share in shares.values())


@pytest.mark.parametrize("count", [1, 2, 5, 49])
def test_another_worker_takes_its_share_and_nothing_else_moves(count: int) -> None:
    moved = [name for name in NAMES if shard_of(name, count) != shard_of(name, count + 1)]
    assert {shard_of(name, count + 1) for name in moved} == {count}
    mean = len(NAMES) / (count + 1)
    assert abs(len(moved) - mean) <= 5 * mean**0.5


def test_no_worker_is_refused() -> None:
    with pytest.raises(InvalidInput):
        shard_of("registry.example.com/app", 0)


@pytest.mark.parametrize(("index", "count"), [(-1, 2), (2, 2), (0, 0), (5, 3)])
def test_an_index_outside_of_the_count_is_refused(index: int, count: int) -> None:
    with pytest.raises(InvalidInput, match="shard_"):
        check_shard(index, count)


def test_an_index_within_the_count_passes() -> None:
    check_shard(0, 1)
    check_shard(49, 50)
