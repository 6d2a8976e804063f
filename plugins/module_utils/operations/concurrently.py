# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same question asked of many things at once, answers in the order of the things."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..model.errors import Cancelled

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def each(
    function: Callable[[Thing], Answer], things: Iterable[Thing], parallel: int, stop: threading.Event | None = None
) -> list[Answer]:
    """``function`` of every one of ``things``, at most ``parallel`` at a time.

    The first failure, in the order of the things, is raised after those that run have ended; what has not begun by
    then never does. Raises Cancelled when ``stop`` is set.
    """
    wanted = list(things)
    failed = threading.Event()

    def ask(thing: Thing) -> Answer:
        if failed.is_set() or (stop is not None and stop.is_set()):
            raise Cancelled("stopped before everything was asked for")
        try:
            return function(thing)
        except BaseException:
            failed.set()
            raise

    if parallel <= 1 or len(wanted) <= 1:
        return [ask(thing) for thing in wanted]
    with ThreadPoolExecutor(min(parallel, len(wanted)), thread_name_prefix="each") as pool:
        futures = [pool.submit(ask, thing) for thing in wanted]
    # All have ended. A failure makes the others end with Cancelled: the cause is what the user has to hear of.
    failures = [failure for failure in (future.exception() for future in futures) if failure is not None]
    causes = [failure for failure in failures if not isinstance(failure, Cancelled)]
    if causes or failures:
        raise (causes or failures)[0]
    return [future.result() for future in futures]
