# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that ask to stop: obeyed between two steps of the work, ignored while the registry is brought back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from .errors import Interrupted

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextlib.contextmanager
def obeyed() -> Iterator[None]:
    """Raise `Interrupted` once when one of the signals comes."""
    before = {number: signal.signal(number, _raise) for number in _ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore() -> None:
    """From now on nothing interrupts: what follows undoes what was done."""
    for number in _ASKING:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, frame: FrameType | None) -> None:
    ignore()
    raise Interrupted(number)
