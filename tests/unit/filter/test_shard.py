# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter shard: everything once, and nothing twice."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.longshore.oci.plugins.filter.shard import FilterModule
from ansible_collections.longshore.oci.plugins.module_utils.operations.sharding import shard_of

shard = FilterModule().filters()["shard"]
NAMES = [f"registry.example.com/team/app{number}:{tag}" for number in range(200) for tag in ("1.0", "2.0")]


def test_all_workers_together_get_every_entry_once_in_its_order() -> None:
    shares = [shard(NAMES, index, 7) for index in range(7)]
    assert sorted(name for share in shares for name in share) == sorted(NAMES)
    for share in shares:
        assert share == [name for name in NAMES if name in set(share)]
        # Both tags of a repository are one worker's.
        assert {name.rpartition(":")[0] for name in share if name.endswith("1.0")} == {
            name.rpartition(":")[0] for name in share if name.endswith("2.0")
        }


def test_it_is_the_worker_of_image_sync() -> None:
    for index in range(3):
        assert all(shard_of(name.rpartition(":")[0], 3) == index for name in shard(NAMES, index, 3))


def test_one_worker_more_takes_its_share_and_nothing_else_moves() -> None:
    before = {name: index for index in range(9) for name in shard(NAMES, index, 9)}
    after = {name: index for index in range(10) for name in shard(NAMES, index, 10)}
    moved = {name for name in NAMES if before[name] != after[name]}
    assert {after[name] for name in moved} == {9}
    assert 0 < len(moved) < len(NAMES) / 5


def test_one_worker_has_it_all_and_text_will_do_for_numbers() -> None:
    assert shard(NAMES, "0", "1") == NAMES
    assert shard((), 0, 5) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((NAMES, 3, 3), "0 to 2"),
        ((NAMES, -1, 3), "0 to 2"),
        ((NAMES, 0, 0), "1 or more"),
        ((NAMES, "x", 3), "number"),
        ((NAMES, None, 3), "number"),
        (("nginx", 0, 1), "list"),
        ((5, 0, 1), "list"),
        (([5], 0, 1), "int"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        shard(*arguments)
