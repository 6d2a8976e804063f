# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a module is, as one line for a person."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ..module_utils.model.text import size_words

#: The rate is that of so many seconds that went before.
RATE_SECONDS = 30.0


class Lines:
    """The lines of one module's run. ``label`` stands in front of each, such as the host's name."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._past: deque[tuple[float, int]] = deque()

    def line(self, snapshot: Mapping[str, Any]) -> str:
        """The line for what `Progress.snapshot` gave. Raises ValueError for what it cannot have given.

        A line has numbers and the label alone, whatever comes from the target.
        """
        try:
            seconds = float(snapshot["seconds"])
            names = ("images", "planned", "done", "failed", "to_move", "moved")
            images, planned, done, failed, to_move, moved = (int(snapshot[name]) for name in names)
        except (KeyError, TypeError, OverflowError) as exc:
            raise ValueError(f"no state of a module: {exc}") from None
        rate = self._rate(seconds, moved)
        # Before it is known which images there are, repositories are listed.
        parts = [f"{done} of {images} images" if images else "looking for images"]
        if failed:
            parts.append(f"{failed} of them failed")
        whole = to_move
        if 0 < planned < images:
            # What is not planned yet is taken for what the others are like.
            whole = to_move * images // planned
        if whole:
            about = "" if planned >= images else "about "
            parts.append(f"{size_words(moved)} of {about}{size_words(max(whole, moved))}")
            parts.append(f"{size_words(int(rate))}/s")
        left = None
        if whole > moved:
            left = (whole - moved) / rate if rate >= 1 else None
        elif 0 < done < images and not whole:
            left = seconds / done * (images - done)
        if left is not None:
            parts.append(f"{duration(left)} left")
        return f"[{self._label}] {', '.join(parts)}"

    def _rate(self, seconds: float, moved: int) -> float:
        """Bytes a second of late."""
        self._past.append((seconds, moved))
        # One that is older stays, so that the whole of the time is looked at.
        while len(self._past) > 2 and self._past[1][0] <= seconds - RATE_SECONDS:
            self._past.popleft()
        then, before = self._past[0] if len(self._past) > 1 else (0.0, 0)
        return max(0.0, (moved - before) / (seconds - then)) if seconds > then else 0.0


def duration(seconds: float) -> str:
    """``seconds`` as a person reads them: ``8s``, ``2m30s``, ``3h05m``, ``2d04h``."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
