# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on bytes a second: kept over all threads, and left at once when told to stop."""

from __future__ import annotations

import io
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled
from ansible_collections.longshore.oci.plugins.module_utils.registry.bandwidth import Bandwidth
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, reply

LIMIT = 2_000_000


def test_free_costs_nothing() -> None:
    began = time.monotonic()
    for unused in range(10_000):
        Bandwidth(None).take(1 << 20)
    assert time.monotonic() - began < 10


def test_threads_together_stay_within_the_limit() -> None:
    bandwidth = Bandwidth(LIMIT)
    moved = []
    began = time.monotonic()

    def work() -> None:
        while time.monotonic() - began < 4:
            bandwidth.take(10_000)
            moved.append(10_000)

    threads = [threading.Thread(target=work) for unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(moved) / (time.monotonic() - began)
    # Below: a machine that is busy with something else loses time, and time lost is not caught up with.
    assert 0.5 * LIMIT < rate < 1.1 * LIMIT


def test_what_did_not_move_is_not_paid_for() -> None:
    bandwidth = Bandwidth(1000)
    bandwidth.charge(60_000)
    bandwidth.give_back(60_000)
    began = time.monotonic()
    bandwidth.take(50)
    assert time.monotonic() - began < 20


def test_stop_ends_the_wait() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        Bandwidth(10).take(1000, stop)
    assert time.monotonic() - began < 20


class Body:
    length = 1_000_000

    def open(self) -> io.BytesIO:
        return io.BytesIO(bytes(self.length))


def test_transfers_both_ways_are_limited() -> None:
    with Fake(reply(200, bytes(1_000_000))) as fake:
        one = Session(fake.host, Settings(plain_http=True), Meter(), Bandwidth(LIMIT))
        began = time.monotonic()
        one.request("PUT", "/v2/", body=Body(), max_body=2_000_000)
        took = time.monotonic() - began
        assert 0.8 < took < 8


def test_what_moved_without_asking_is_paid_for_by_the_next() -> None:
    bandwidth = Bandwidth(100_000)
    bandwidth.charge(50_000)
    began = time.monotonic()
    bandwidth.take(1)
    assert 0.3 < time.monotonic() - began < 8


def test_headers_count() -> None:
    """Requests without a body would not be limited at all."""
    with Fake(reply(200, headers={"Long": "x" * 2000})) as fake:
        one = Session(fake.host, Settings(plain_http=True), Meter(), Bandwidth(40_000))
        began = time.monotonic()
        for unused in range(20):
            one.request("HEAD", "/v2/")
        assert 0.7 < time.monotonic() - began < 8


def test_what_ends_a_task_is_not_held_back() -> None:
    """R1.35: the upload is cancelled although the limit is used up for long."""
    bandwidth, stop = Bandwidth(1024), threading.Event()
    with Fake(reply(204)) as fake:
        one = Session(fake.host, Settings(plain_http=True), Meter(), bandwidth, stop=stop)
        bandwidth.charge(1024 * 60)
        stop.set()
        began = time.monotonic()
        one.request("DELETE", "/v2/", accept_status=(204,))
        assert time.monotonic() - began < 5
        assert len(fake.log) == 1


def test_receive_windows_are_left_alone_unless_the_limit_is_small() -> None:
    assert Bandwidth(None).window is None and Bandwidth(4_000_000).window is None
    assert Bandwidth(800_000).window == 50_000 and Bandwidth(1024).window == 16 * 1024
