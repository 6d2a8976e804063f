# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounded pool: order, bounds, failures, stopping."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled
from ansible_collections.longshore.oci.plugins.module_utils.operations.scheduler import LARGE, Group, Job, Scheduler


@pytest.fixture
def scheduler():
    made = Scheduler(4)
    yield made
    made.close()


def hold_up(scheduler):
    """Keep the only worker busy until the event returned is set."""
    started, gate = threading.Event(), threading.Event()
    scheduler.add(Job(lambda: (started.set(), gate.wait())))
    assert started.wait(5)
    return gate


def test_runs_after_what_it_needs(scheduler):
    order = []
    first = Job(lambda: (time.sleep(0.02), order.append("first")))
    second = Job(lambda: order.append("second"), [first])
    third = Job(lambda: order.append("third"), [second, first])
    scheduler.add(third)
    scheduler.add(second)
    scheduler.add(first)
    scheduler.wait()
    assert order == ["first", "second", "third"]


def test_a_failure_reaches_those_that_need_it_but_not_the_tolerant(scheduler):
    ran = []
    bad = scheduler.add(Job(lambda: 1 / 0))
    waits = scheduler.add(Job(lambda: ran.append("waits"), [bad]))
    later = scheduler.add(Job(lambda: ran.append("later"), [waits]))
    end = scheduler.add(Job(lambda: ran.append("end"), [later], tolerant=True))
    scheduler.wait()
    assert ran == ["end"]
    assert isinstance(later.error, ZeroDivisionError) and end.error is None


def test_a_job_added_after_its_need_failed_fails_too(scheduler):
    bad = scheduler.add(Job(lambda: 1 / 0))
    scheduler.wait()
    late = scheduler.add(Job(lambda: None, [bad]))
    scheduler.wait()
    assert isinstance(late.error, ZeroDivisionError)


def test_never_more_at_once_than_allowed(scheduler):
    lock, running, most = threading.Lock(), [0], [0]

    def work():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1

    for unused in range(40):
        scheduler.add(Job(work))
    scheduler.wait()
    assert most[0] == 4


def test_small_jobs_are_not_stuck_behind_large_ones(scheduler):
    release = threading.Event()
    small_done = threading.Event()
    for unused in range(8):
        scheduler.add(Job(release.wait, size=LARGE + 1))
    scheduler.add(Job(small_done.set))
    assert small_done.wait(5), "every worker was taken by a large job"
    release.set()
    scheduler.wait()


def test_the_largest_goes_first():
    order = []
    scheduler = Scheduler(1)
    gate = hold_up(scheduler)
    for size in (1, 3, 2):
        scheduler.add(Job(lambda size=size: order.append(size), size=LARGE + size))
    gate.set()
    scheduler.wait()
    scheduler.close()
    assert order == [3, 2, 1]


def test_a_long_chain_does_not_exhaust_the_stack(scheduler):
    gate = threading.Event()
    job = scheduler.add(Job(lambda: (gate.wait(), 1 / 0)))
    for unused in range(20000):
        job = scheduler.add(Job(lambda: None, [job]))
    gate.set()
    scheduler.wait()
    assert isinstance(job.error, ZeroDivisionError)


def test_jobs_may_add_jobs(scheduler):
    ran = []

    def grow(depth):
        ran.append(depth)
        if depth:
            scheduler.add(Job(lambda: grow(depth - 1)))
            scheduler.add(Job(lambda: grow(depth - 1)))

    scheduler.add(Job(lambda: grow(5)))
    scheduler.wait()
    assert len(ran) == 63


def test_stopping_ends_at_once_and_leaves_no_thread():
    stop = threading.Event()
    scheduler = Scheduler(2, stop)
    started = threading.Event()
    for unused in range(50):
        scheduler.add(Job(lambda: (started.set(), stop.wait(5))))
    started.wait(5)
    stop.set()
    with pytest.raises(Cancelled):
        scheduler.wait()
    scheduler.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("longshore-")]


def test_those_that_ask_take_turns_with_those_that_do():
    scheduler = Scheduler(1)
    order, gate = [], hold_up(scheduler)
    asking = Group(asks=True)
    for number in range(3):
        scheduler.add(Job(lambda number=number: order.append(f"do {number}")))
        scheduler.add(Job(lambda number=number: order.append(f"ask {number}"), group=asking))
    gate.set()
    scheduler.wait(asking)
    assert order.index("ask 2") <= 4
    scheduler.wait()
    scheduler.close()
    assert [one for one in order if one.startswith("do")] == ["do 0", "do 1", "do 2"]


def test_a_group_is_waited_for_by_itself():
    scheduler = Scheduler(2)
    gate = threading.Event()
    group = Group()
    slow = scheduler.add(Job(gate.wait))
    quick = scheduler.add(Job(lambda: None, group=group))
    scheduler.wait(group)
    assert quick.finished and not slow.finished
    gate.set()
    scheduler.wait()
    scheduler.close()
