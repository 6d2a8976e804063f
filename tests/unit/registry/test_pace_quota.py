# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit of requests a second, and the pulls that a registry counts."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled, RateLimited
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter, Tally
from ansible_collections.longshore.oci.plugins.module_utils.registry.pace import Pace, Paces
from ansible_collections.longshore.oci.plugins.module_utils.registry.quota import IGNORE, STOP, WAIT, Quota
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, reply


def test_requests_go_out_evenly_whoever_sends_them():
    pace, stop = Pace(50), threading.Event()
    begun = time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.take(stop) for unused in range(5)]) for unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Twenty requests, the first at once.
    assert time.monotonic() - begun >= 19 / 50 * 0.95


def test_each_host_has_a_pace_and_none_without_a_limit():
    paces = Paces(5)
    assert paces.of("a", 443) is paces.of("a", 443) is not paces.of("b", 443)
    assert Paces(None).of("a", 443) is None


def test_a_wait_ends_when_the_task_is_told_to_stop():
    pace, stop = Pace(0.001), threading.Event()
    pace.take(stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Cancelled):
        pace.take(stop)


def test_both_ends_of_a_task_share_the_pace_of_a_host():
    with Fake(reply(200, b"{}", {"Content-Type": "application/json"})) as fake:
        paces = Paces(20)
        sessions = [Session(fake.host, Settings(plain_http=True), Meter(), paces=paces) for unused in range(2)]
        begun = time.monotonic()
        for session in sessions * 5:
            session.request("GET", "/v2/")
        # Ten requests through two sessions, the first at once. One that is late may have the next at its heels, but none is early.
        assert len(fake.log) == 10
        assert all(one.moment - begun >= number / 20 * 0.95 for number, one in enumerate(fake.log))


def quota(policy, **more):
    told, waited = [], []
    made = Quota("docker.io", policy, threading.Event(), told.append, waited.append, **more)
    return made, told, waited


def never():
    raise AssertionError("nothing was to be asked")


def test_counts_down_and_stops_before_the_limit():
    made, told, unused = quota(STOP)
    assert made.is_metered, "unknown: a HEAD comes first"
    made.told("100;w=21600", "2;w=21600", made.moment())
    for unused_too in range(2):
        with made.pull(never):
            pass
    looked = []
    with pytest.raises(RateLimited, match="docker.io allows 100 pulls in 6 hours and none is left"):
        with made.pull(lambda: looked.append(1)):
            raise AssertionError("this one was too much")
    assert looked and not told


def test_waits_for_pulls_to_come_back():
    made, told, waited = quota(WAIT)
    made.told("2;w=1", "0;w=1", made.moment())
    answers = iter(["0;w=1", "1;w=1"])
    with made.pull(lambda: made.told(None, next(answers), made.moment())):
        pass
    assert "none was left" in told[0] and waited[0] >= 0.4


def test_what_was_asked_before_a_pull_does_not_undo_it():
    made, unused, unused_too = quota(STOP)
    made.told("5;w=60", "5;w=60", made.moment())
    early = made.moment()
    with made.pull(never):
        assert made.moment() is None
        made.told(None, "4;w=60", made.moment())
    made.told(None, "5;w=60", early)
    assert made._remaining == 4
    made.told(None, "5;w=60", made.moment())
    assert made._remaining == 5, "the window has moved on"


def test_headers_without_a_window_are_no_limit_of_pulls():
    made, unused, unused_too = quota(STOP)
    made.told("100", "0", made.moment())
    made.settled()
    assert not made.is_metered
    with made.pull(never):
        pass


def test_only_one_asks_as_long_as_nothing_is_known():
    made, unused, unused_too = quota(STOP)
    inside, most = [], []

    def pull():
        with made.pull(never):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            if len(most) == 3:
                made.settled()
            inside.pop()

    threads = [threading.Thread(target=pull) for unused in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most[:3]) == 1


def test_a_registry_that_is_known_to_count_is_asked_how_many_are_left_first():
    made, unused, unused_too = quota(STOP, counts=True)
    with pytest.raises(RateLimited):
        with made.pull(lambda: made.told("100;w=60", "0;w=60", made.moment())):
            raise AssertionError("none was left")
    ignoring, unused, unused_too = quota(IGNORE, counts=True)
    with ignoring.pull(never):
        pass


def test_a_tally_has_the_requests_of_its_own_steps():
    meter, one, other = Meter(), Tally(), Tally()
    one.run(lambda: [meter.asked(False), other.run(lambda: meter.asked(True)), meter.asked(False)])
    meter.asked(False)
    assert (one.requests, other.requests, meter.requests) == (2, 1, 4)
    assert one.seconds >= other.seconds >= 0 and Tally().seconds == 0
