# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts is what moved: blobs that are read twice, mounted after all, or never come."""

from __future__ import annotations

import io

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.operations.progress import Part, Progress


def counters(progress: Progress) -> tuple[float, ...]:
    state = progress.snapshot()
    return state["to_move"], state["moved"]


def test_images_and_bytes_are_counted() -> None:
    progress = Progress()
    progress.begin(3)
    progress.plan(2, 100)
    progress.end(1, failed=0)
    progress.end(1, failed=1)
    state = progress.snapshot()
    assert state.pop("seconds") >= 0
    assert state == {"images": 3, "planned": 2, "done": 2, "failed": 1, "to_move": 100, "moved": 0}


def test_a_blob_that_is_read_again_counts_once() -> None:
    progress = Progress()
    progress.plan(1, 10)
    part = Part(progress, 10, planned=True)
    stream = part.counted(io.BytesIO(b"0123456789"))
    assert stream.read(6) == b"012345" and counters(progress) == (10, 6)
    # From byte 4 on, then from the beginning.
    assert part.counted(io.BytesIO(b"456789"), 4).read(2) == b"45" and counters(progress) == (10, 6)
    again = part.counted(io.BytesIO(b"0123456789"))
    assert counters(progress) == (10, 0)
    while again.read(3):
        pass
    assert counters(progress) == (10, 10)
    stream.close()


def test_a_blob_that_was_to_be_mounted_and_is_sent_is_more_to_move() -> None:
    progress = Progress()
    part = Part(progress, 10, planned=False)
    assert counters(progress) == (0, 0)
    part.counted(io.BytesIO(b"0123456789")).read(10)
    part.counted(io.BytesIO(b"0123456789")).read(10)
    assert counters(progress) == (10, 10)


@pytest.mark.parametrize(("planned", "read", "expected"), [(True, 4, (4, 4)), (True, 0, (0, 0)), (False, 0, (0, 0))])
def test_what_never_moves_is_not_waited_for(planned: bool, read: int, expected: tuple[int, int]) -> None:
    progress = Progress()
    progress.plan(1, 10 if planned else 0)
    part = Part(progress, 10, planned=planned)
    if read:
        part.counted(io.BytesIO(b"0123456789")).read(read)
    part.give_up()
    assert counters(progress) == expected
