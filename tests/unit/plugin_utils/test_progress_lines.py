# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of a task under way: sizes, rate, time left."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.plugin_utils.progress_lines import Lines, duration


def state(seconds: float, done: int = 0, moved: int = 0, **others: int) -> dict[str, float]:
    return {"seconds": seconds, "images": 12, "planned": 12, "done": done, "failed": 0, "to_move": 0, "moved": moved, **others}


def test_nothing_is_known_yet() -> None:
    assert Lines("web1").line(state(2, planned=0)) == "[web1] 0 of 12 images"
    assert Lines("web1").line(state(2, planned=0, images=0)) == "[web1] looking for images"


def test_bytes_rate_and_time_left() -> None:
    lines = Lines("web1")
    total = 50_100_000_000
    assert lines.line(state(2, 1, 400_000_000, to_move=total)) == (
        "[web1] 1 of 12 images, 400.0 MB of 50.1 GB, 200.0 MB/s, 4m09s left"
    )
    assert lines.line(state(12, 3, 2_400_000_000, to_move=total)) == (
        "[web1] 3 of 12 images, 2.4 GB of 50.1 GB, 200.0 MB/s, 3m59s left"
    )


def test_the_rate_is_that_of_late() -> None:
    lines = Lines("h")
    moved = 0
    for second in range(0, 100, 5):
        moved += 5_000_000 if second < 50 else 50_000_000
        line = lines.line(state(second + 5, moved=moved, to_move=10**10))
    # 1 MB/s for most of a minute, then 10 MB/s.
    assert "10.0 MB/s" in line


def test_it_stands_still() -> None:
    lines = Lines("h")
    for second in range(0, 60, 5):
        line = lines.line(state(second + 5, moved=1000, to_move=2000))
    assert line == "[h] 0 of 12 images, 1.0 kB of 2.0 kB, 0 B/s"


def test_bytes_that_moved_in_vain_make_no_negative_rate() -> None:
    lines = Lines("h")
    lines.line(state(5, moved=1_000_000, to_move=2_000_000))
    assert lines.line(state(10, moved=0, to_move=2_000_000)) == "[h] 0 of 12 images, 0 B of 2.0 MB, 0 B/s"


def test_what_is_not_planned_yet_is_estimated() -> None:
    line = Lines("h").line(state(10, 1, 1_000_000, planned=4, to_move=4_000_000))
    assert line == "[h] 1 of 12 images, 1.0 MB of about 12.0 MB, 100.0 kB/s, 1m50s left"


def test_nothing_moves() -> None:
    assert Lines("h").line(state(10, 4)) == "[h] 4 of 12 images, 20s left"


def test_all_has_moved_and_it_is_not_over() -> None:
    assert Lines("h").line(state(10, 4, 50_000, to_move=40_000)) == "[h] 4 of 12 images, 50.0 kB of 50.0 kB, 5.0 kB/s"


def test_failures_are_told() -> None:
    assert Lines("h").line(state(10, 12, failed=2)) == "[h] 12 of 12 images, 2 of them failed"


@pytest.mark.parametrize("broken", [{}, {"seconds": 1}, {**state(1), "moved": "secret"}, {**state(1), "images": None}])
def test_what_is_no_state_is_no_line(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no state|invalid literal"):
        Lines("h").line(broken)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (150, "2m30s"), (3599.6, "1h00m"), (11_100, "3h05m"), (187_200, "2d04h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
