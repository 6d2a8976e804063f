# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bounded pool of threads that runs jobs when what they need is done; small jobs are never stuck behind large ones."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable

from ..model.errors import Cancelled

#: Jobs that move more bytes than this are large: they never take all the workers.
LARGE = 4 * 1024 * 1024


class Group:
    """Jobs that are waited for together. ``asks``: they only ask, and take turns with jobs that do, so that what is to
    be done next is known by the time it can be done."""

    __slots__ = ("asks", "open")

    def __init__(self, asks: bool = False) -> None:
        self.asks = asks
        self.open = 0


class Job:
    """One piece of work: ``run`` is called in a worker once every job in ``needs`` is done.

    A job whose needs failed fails with the same error without running, unless it is ``tolerant``.
    ``size`` is in bytes moved.
    """

    __slots__ = ("error", "finished", "group", "run", "size", "tolerant", "waiters", "waits")

    def __init__(
        self,
        run: Callable[[], None],
        needs: Iterable[Job] = (),
        size: int = 0,
        tolerant: bool = False,
        group: Group | None = None,
    ) -> None:
        self.run: Callable[[], None] | None = run
        self.group = group
        self.size = size
        self.tolerant = tolerant
        self.error: BaseException | None = None
        self.finished = False
        self.waits: list[Job] = list(needs)
        self.waiters: list[Job] = []


class Scheduler:
    """Runs jobs with at most ``parallel`` threads. Jobs may add jobs. Use: ``add`` some, then ``wait``."""

    def __init__(self, parallel: int, stop: threading.Event | None = None) -> None:
        self._parallel = max(1, parallel)
        # A quarter of the workers (one at least, where there are two) stays free of large transfers.
        self._large_at_once = max(1, self._parallel - max(1, self._parallel // 4))
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._work_waits = threading.Condition(self._lock)
        self._all_done = threading.Condition(self._lock)
        self._small: deque[Job] = deque()
        self._asking: deque[Job] = deque()
        self._asked_last = False
        self._large: list[tuple[int, int, Job]] = []
        self._large_running = 0
        self._open = 0
        self._idle = 0
        self._order = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def add(self, job: Job) -> Job:
        """Take ``job`` in; it runs as soon as its needs are done. Returns it."""
        with self._lock:
            self._open += 1
            if job.group is not None:
                job.group.open += 1
            unfinished = [need for need in job.waits if not need.finished]
            failed = next((need.error for need in job.waits if need.error is not None), None)
            job.waits = unfinished
            for need in unfinished:
                need.waiters.append(job)
            if failed is not None and not job.tolerant:
                job.error = failed
            if not unfinished:
                self._ready(job)
        return job

    def wait(self, group: Group | None = None) -> None:
        """Block until every job (of ``group``) added so far, and by them, is finished. Raises Cancelled when the task
        is stopped."""
        with self._lock:
            while self._open if group is None else group.open:
                # Woken now and then so that signals reach the main thread.
                self._all_done.wait(1.0)
        if self._stop.is_set():
            raise Cancelled("stopped before the end")

    def close(self) -> None:
        """End the threads; jobs that have not started will not."""
        with self._lock:
            self._closed = True
            self._work_waits.notify_all()
        for thread in self._threads:
            thread.join()

    def _ready(self, job: Job) -> None:
        if job.error is not None or self._stop.is_set():
            if job.error is None:
                job.error = Cancelled("stopped before the end")
            self._finish(job)
            return
        if job.size > LARGE:
            # The largest first: what is left at the end is short.
            heapq.heappush(self._large, (-job.size, self._order, job))
        elif job.group is not None and job.group.asks:
            self._asking.append(job)
        else:
            self._small.append(job)
        self._order += 1
        if self._idle:
            self._work_waits.notify()
        # More jobs than workers that wait for one: those woken above may not have taken theirs yet.
        if len(self._small) + len(self._asking) + len(self._large) > self._idle and len(self._threads) < self._parallel:
            thread = threading.Thread(target=self._work, name=f"longshore-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _finish(self, job: Job) -> None:
        # An explicit stack: a chain of thousands of waiting jobs must not exhaust Python's.
        ended = [job]
        while ended:
            one = ended.pop()
            one.finished = True
            one.run = None
            self._open -= 1
            if one.group is not None:
                one.group.open -= 1
                if not one.group.open:
                    self._all_done.notify_all()
            for waiter in one.waiters:
                waiter.waits.remove(one)
                if one.error is not None and not waiter.tolerant and waiter.error is None:
                    waiter.error = one.error
                if not waiter.waits:
                    if waiter.error is not None or self._stop.is_set():
                        if waiter.error is None:
                            waiter.error = Cancelled("stopped before the end")
                        ended.append(waiter)
                    else:
                        self._ready(waiter)
            one.waiters = []
        if not self._open:
            self._all_done.notify_all()

    def _take(self) -> Job | None:
        while not self._closed:
            if self._stop.is_set():
                for job in [*self._small, *self._asking, *(entry[2] for entry in self._large)]:
                    job.error = Cancelled("stopped before the end")
                    self._finish(job)
                self._small.clear()
                self._asking.clear()
                self._large.clear()
            if self._large and self._large_running < self._large_at_once:
                self._large_running += 1
                return heapq.heappop(self._large)[2]
            if self._asking and not (self._asked_last and self._small):
                self._asked_last = True
                return self._asking.popleft()
            self._asked_last = False
            if self._small:
                return self._small.popleft()
            self._idle += 1
            self._work_waits.wait(1.0)
            self._idle -= 1
        return None

    def _work(self) -> None:
        while True:
            with self._lock:
                job = self._take()
            if job is None or job.run is None:
                return
            error: BaseException | None = None
            try:
                job.run()
            except BaseException as exc:
                error = exc
            with self._lock:
                if job.size > LARGE:
                    self._large_running -= 1
                job.error = error
                self._finish(job)
