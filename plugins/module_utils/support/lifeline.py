# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module that runs for long and its action plugin on the controller have in common: one directory on the target.

The plugin picks its name and hands it over as `OPTION`, beside the options that the user knows. The module makes it, for
its own user alone, and keeps in it how far it is. The plugin reads that now and then and touches the lease; a module whose
lease has run out, or was given up, stops, because nobody waits for it any more.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import threading
import time
from collections.abc import Callable

from ..operations.progress import Progress

#: How the name of the directory reaches the module. No user gives it, and no argument spec has it.
OPTION = "_longshore_progress"
PROGRESS_FILE = "progress.json"
LEASE_FILE = "lease"
#: Made by a plugin that has outlived its play.
GIVEN_UP_FILE = "given-up"
#: A lease that was not touched for so long has run out. The plugin touches it three times as often at least.
LEASE_SECONDS = 60.0
#: How often the module looks, and tells how far it is.
EVERY_SECONDS = 1.0


class Lifeline:
    """While its ``with`` block lasts: tells how far ``progress`` is, and calls ``stop`` when the controller is gone.

    The controller is gone when the lease, once touched, has not been touched for ``lease`` seconds, when it was given up, or
    when nobody reads any more what the module prints. ``stop`` is called again each time that as many seconds have passed.

    Nothing that goes wrong here does anything to the module's work: a directory that cannot be made or written to is no
    directory.
    """

    def __init__(
        self,
        directory: str,
        progress: Progress,
        stop: Callable[[], None],
        lease: float = LEASE_SECONDS,
        every: float = EVERY_SECONDS,
        output: int = 1,
    ) -> None:
        self._directory = directory
        self._progress = progress
        self._stop = stop
        self._lease = lease
        self._every = every
        self._output = output
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="longshore-lifeline", daemon=True)
        self._made = False
        self._touched: int | None = None
        self._heard = 0.0

    def __enter__(self) -> Lifeline:
        try:
            # 0700, and it must not be there: nobody else can have prepared it.
            os.mkdir(self._directory, 0o700)
            self._made = True
        except OSError:
            # No room, or no such place: it works in silence then.
            self._made = False
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._over.set()
        self._thread.join()
        if self._made:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self) -> None:
        stopped = None
        while not self._over.wait(self._every):
            if self._made:
                self._tell()
            now = time.monotonic()
            if self._is_abandoned(now) and (stopped is None or now - stopped > self._lease):
                stopped = now
                self._stop()

    def _tell(self) -> None:
        path = os.path.join(self._directory, PROGRESS_FILE)
        try:
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(json.dumps(self._progress.snapshot()) + "\n")
            # Renamed: whoever reads has one whole state.
            os.replace(f"{path}.new", path)
        except OSError:
            # A full disk: what was told last stays, and the lease goes on.
            return

    def _is_abandoned(self, now: float) -> bool:
        if self._hung_up() or os.path.exists(os.path.join(self._directory, GIVEN_UP_FILE)):
            return True
        touched = self._lease_touched()
        if touched != self._touched:
            # By the clock that nobody sets: the time of the file only tells that it was touched.
            self._touched, self._heard = touched, now
        # Never touched: the controller has not got this far, or has no way to.
        return touched is not None and now - self._heard > self._lease

    def _lease_touched(self) -> int | None:
        try:
            return os.stat(os.path.join(self._directory, LEASE_FILE)).st_mtime_ns
        except OSError:
            return None

    def _hung_up(self) -> bool:
        """Whether nobody reads the module's output: its controller was interrupted, or the connection is gone."""
        poll = select.poll()
        poll.register(self._output, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for dummy, events in poll.poll(0))
