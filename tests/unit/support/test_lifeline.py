# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module tells how far it is, and stops when its controller is gone, not before."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from functools import partial

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled
from ansible_collections.longshore.oci.plugins.module_utils.operations.progress import Progress
from ansible_collections.longshore.oci.plugins.module_utils.support import lifeline
from ansible_collections.longshore.oci.plugins.module_utils.support.lifeline import Lifeline
from ansible_collections.longshore.oci.plugins.module_utils.support.module import Module
from ansible_collections.longshore.oci.plugins.module_utils.support.run import run
from ansible_collections.longshore.oci.tests.servers.process import wait_until
from ansible_collections.longshore.oci.tests.unit.support.running import arguments

EVERY = 0.01


class Stops:
    """Counts how often the work was told to stop."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def output():
    """(reading end, writing end) of what a module prints into."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def watched(tmp_path, output, stops, progress=None, lease=60.0):
    return Lifeline(str(tmp_path / "place"), progress or Progress(), stops, lease, EVERY, output[1])


def test_the_state_is_whole_and_for_its_own_user_alone(tmp_path, output):
    progress, stops = Progress(), Stops()
    progress.begin(7)
    place = tmp_path / "place"
    with watched(tmp_path, output, stops, progress):
        wait_until((place / lifeline.PROGRESS_FILE).exists, "the file")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        for number in range(50):
            progress.end(1, failed=0)
            state = json.loads((place / lifeline.PROGRESS_FILE).read_text())
            assert state["images"] == 7 and 0 <= state["done"] <= number + 1
        wait_until(
            lambda: json.loads((place / lifeline.PROGRESS_FILE).read_text())["done"] == 50, "what was counted last"
        )
    assert not place.exists()
    assert stops.count == 0


def test_a_lease_that_is_touched_goes_on_and_one_that_is_not_runs_out(tmp_path, output):
    stops = Stops()
    with watched(tmp_path, output, stops, lease=3.0):
        lease = tmp_path / "place" / lifeline.LEASE_FILE
        wait_until(lease.parent.exists, "the directory")
        paused = threading.Event()
        for number in range(40):
            lease.touch()
            # Whatever the clock says: an hour back is a touch as well.
            os.utime(lease, (1000.0 - number, 1000.0 - number))
            paused.wait(0.1)
        assert stops.count == 0
        # And again after as long, for work that did not hear.
        wait_until(lambda: stops.count == 2, "the second stop")


def test_a_lease_that_nobody_ever_kept_is_none(tmp_path, output):
    stops = Stops()
    with watched(tmp_path, output, stops, lease=0.05):
        threading.Event().wait(0.5)
    assert stops.count == 0


def test_a_lease_that_is_given_up_ends_at_once(tmp_path, output):
    stops = Stops()
    with watched(tmp_path, output, stops):
        wait_until((tmp_path / "place").exists, "the directory")
        (tmp_path / "place" / lifeline.GIVEN_UP_FILE).touch()
        wait_until(lambda: stops.count == 1, "the stop")


def test_nobody_reads_the_output_any_more(tmp_path):
    reading, writing = os.pipe()
    stops = Stops()
    with watched(tmp_path, (reading, writing), stops):
        threading.Event().wait(0.2)
        assert stops.count == 0
        os.close(reading)
        wait_until(lambda: stops.count == 1, "the stop")
    os.close(writing)


@pytest.mark.parametrize("where", ["there", "nowhere/at/all"])
def test_no_place_is_no_reason_to_fail(tmp_path, output, where):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    stops = Stops()
    with Lifeline(str(tmp_path / where), Progress(), stops, 0.05, EVERY, output[1]):
        threading.Event().wait(0.3)
    assert stops.count == 0
    # What somebody else made is not used and not removed.
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine"]


def test_a_state_that_cannot_be_written_is_no_reason_to_fail(tmp_path, output):
    stops = Stops()
    with watched(tmp_path, output, stops):
        place = tmp_path / "place"
        wait_until((place / lifeline.PROGRESS_FILE).exists, "the file")
        # As on a full disk: nothing new can be made under that name.
        (place / lifeline.PROGRESS_FILE).unlink()
        place.rename(tmp_path / "elsewhere")
        threading.Event().wait(0.1)
        assert not place.exists()
        (tmp_path / "elsewhere").rename(place)
        wait_until((place / lifeline.PROGRESS_FILE).exists, "the file again")
    assert stops.count == 0


def test_the_order_is_no_option():
    spec = {"name": {"type": "str"}}
    with arguments({"name": "x", lifeline.OPTION: "/var/tmp/some"}):
        module = Module(spec, supports_check_mode=True)
    assert module.lifeline == "/var/tmp/some"
    assert module.params == {"name": "x"}
    with arguments({"name": "x"}):
        assert Module(spec).lifeline == ""


def outcome_of_an_abandoned_module(capsys, tmp_path, monkeypatch, verb):
    """The failure of a module whose controller gives up, or None if it had a result."""
    place = tmp_path / "place"
    with arguments({lifeline.OPTION: str(place)}):
        module = Module({}, supports_check_mode=True)
        with pytest.raises(SystemExit):
            run(module, partial(verb, place))
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert not place.exists()
    return result.get("msg")


def give_up(place):
    (place / lifeline.GIVEN_UP_FILE).touch()


def test_a_module_stops_as_if_it_was_asked_to_and_a_signal_beside_it_is_not_the_second(capsys, tmp_path, monkeypatch):
    # The defaults: how long a lease lasts, and how often it is looked at.
    monkeypatch.setattr(Lifeline.__init__, "__defaults__", (60.0, EVERY, 1))

    def verb(place, task):
        # As when a terminal sends the signal to the module too.
        os.kill(os.getpid(), signal.SIGTERM)
        give_up(place)
        assert task.stop.wait(30)
        threading.Event().wait(0.5)
        raise Cancelled("stopped; what was begun has been undone")

    found = outcome_of_an_abandoned_module(capsys, tmp_path, monkeypatch, verb)
    assert found == "stopped; what was begun has been undone"


def test_a_module_that_does_not_stop_is_interrupted(capsys, tmp_path, monkeypatch):
    def verb(place, task):
        give_up(place)
        for dummy in range(600):
            threading.Event().wait(0.1)
        return {}

    monkeypatch.setattr(Lifeline.__init__, "__defaults__", (0.3, EVERY, 1))
    found = outcome_of_an_abandoned_module(capsys, tmp_path, monkeypatch, verb)
    assert "stopped at once" in found
