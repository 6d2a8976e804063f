# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 11 to 16 of the fault matrix: registries that are busy, slow, silent, or send us round in circles."""

from __future__ import annotations

import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.registry import connection, retry, route
from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import Kind
from ansible_collections.longshore.oci.tests.faults.server.registry import HOME
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.faults.server.scenarios.bursts import LASTING, PASSING, RETRY_AFTER
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
LARGE = images.image("linux/amd64", [images.noise_layer(24_000_000, seed=7)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
LAYER = IMAGE.layers[0]


def layer(outcome):
    """The GETs of the layer."""
    return [one for one in outcome.log.kind(Kind.GET_BLOB) if one.reference == LAYER.digest]


def pauses(entries):
    """Seconds between one request and the next."""
    moments = [one.moment for one in entries]
    return [after - before for before, after in zip(moments, moments[1:])]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_f4_2_11_a_passing_error_is_asked_again(copies, status):
    """skopeo fails at the first one."""
    outcome = copies.pull(f"burst{status}", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in layer(outcome)] == [status, status, 200]
        assert [one.status for one in outcome.log.kind(Kind.GET_MANIFEST)] == [status, status, 200]


@pytest.mark.parametrize("status", sorted(set(PASSING) - {429, 500, 502, 503, 504}))
def test_f4_2_11_so_are_the_rarer_ones(faults, status):
    outcome = faults.pull(f"burst{status}", IMAGE)
    outcome.succeeded()
    assert [one.status for one in layer(outcome)] == [status, status, 200]


def test_f4_2_11_the_waits_between_tries_grow(faults, monkeypatch):
    waits = []
    sleep = retry.Gate.sleep

    def noted(gate, seconds):
        waits.append(seconds)
        sleep(gate, seconds)

    monkeypatch.setattr(retry.Gate, "sleep", noted)
    outcome = faults.pull("down", IMAGE, retries=6)
    outcome.failed("(HTTP 503)", status_code=503, attempts=7)
    assert len(outcome.log) == 7 and len(waits) == 6 and waits == sorted(waits), waits
    assert all(pause >= wait for pause, wait in zip(pauses(outcome.log), waits))


@pytest.mark.parametrize("status", [503, 429])
def test_f4_2_12_a_registry_that_is_busy_twice_is_waited_for(copies, status):
    """regclient gives up at 503."""
    outcome = copies.pull(f"burst{status}", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in layer(outcome)] == [status, status, 200]


def test_f4_2_12_so_is_a_token_server(copies):
    outcome = copies.pull("tokendown", IMAGE, src_username=USER, src_password=PASSWORD)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in outcome.log.kind(Kind.TOKEN)] == [503, 503, 200]


@pytest.mark.parametrize("status", [429, 503])
def test_f4_2_13_retry_after_is_waited_for(copies, status):
    """crane does not look at it."""
    outcome = copies.pull(f"after{status}one", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in layer(outcome)] == [status, status, 200]
        assert all(wait >= 1.0 for wait in pauses(layer(outcome)))


@pytest.mark.parametrize("name", sorted(set(RETRY_AFTER) - {"one"}))
def test_f4_2_13_retry_after_that_names_no_wait_leaves_it_to_us(faults, name):
    outcome = faults.pull(f"after429{name}", IMAGE)
    outcome.succeeded()
    assert [one.status for one in layer(outcome)] == [429, 429, 200]


@pytest.mark.parametrize(
    "scenario, words",
    [("afterday", "24 h"), ("afterdate", "24 h"), ("afterday503", "24 h"), ("afterever", " h")],
)
def test_f4_2_14_a_wait_that_is_too_long_is_told_at_once(copies, scenario, words):
    """regclient sleeps the day, skopeo four minutes of it."""
    began = time.monotonic()
    outcome = copies.pull(scenario, IMAGE, OTHER)
    outcome.failed("to wait", words)
    if copies.place.played:
        assert time.monotonic() - began < 20
        assert outcome.result["attempts"] == 1 and outcome.result["retry_after"] > 86000
        assert outcome.result["status_code"] in (429, 503)


def test_f4_2_14_max_retry_after_is_the_users(faults):
    outcome = faults.pull("after429one", IMAGE, OTHER, max_retry_after=0)
    outcome.failed("the registry asks to wait 1 s", status_code=429, retry_after=1)


@pytest.mark.parametrize("status", LASTING)
def test_f4_2_11_an_error_that_lasts_is_told_at_once(faults, status):
    outcome = faults.pull(f"lasting{status}", IMAGE, OTHER)
    outcome.failed(f"(HTTP {status} DENIED)", status_code=status, error_code="DENIED", attempts=1)
    assert len(outcome.log.kind(Kind.GET_MANIFEST)) == 1


def test_f4_2_11_a_page_of_a_proxy_is_named_as_such(faults):
    outcome = faults.pull("badgateway", IMAGE, OTHER, retries=1)
    outcome.failed("an HTML page, which no registry sends", "(HTTP 502)", status_code=502, attempts=2)


@pytest.mark.parametrize("scenario", ["slowblob", "slowman"])
def test_f4_2_15_a_drip_is_given_up(copies, monkeypatch, scenario):
    """skopeo, crane, regclient and oras wait for ever. For users the window is a minute."""
    monkeypatch.setattr(route, "RATE_WINDOW", 1.0)
    outcome = copies.pull(scenario, IMAGE, OTHER, retries=1)
    outcome.failed("is too slow:", "given up")


@pytest.mark.parametrize("scenario", ["stallblob", "stallman", "silent"])
def test_f4_2_15_a_stall_is_given_up(copies, scenario):
    # The real registry may take its time on a machine that is busy.
    outcome = copies.pull(scenario, IMAGE, OTHER, retries=1, timeout=0.5 if copies.place.played else 30)
    outcome.failed("did not answer in time", "'timeout' sets how long to wait")


@pytest.mark.parametrize("tls", [False, True])
def test_f4_2_15_pauses_are_borne(module, faulty, monkeypatch, tls):
    """Longer than we wait at a stretch, in the middle of a body that fills all buffers, up and down."""
    monkeypatch.setattr(connection, "LOOK_UP", 0.15)
    hosts = [faulty.origin(address, tls).partition("://")[2] for address in (HOME, OTHER_HOME)]
    source, dest = faulty.put("late", LARGE), faulty.repository("late")
    options = {"src_plain_http": not tls, "dest_plain_http": not tls, "src_ca_path": str(faulty.ca), "dest_ca_path": str(faulty.ca)}
    result = module("image_copy", src=f"{hosts[0]}/{source}:1", dest=f"{hosts[1]}/{dest}:1", **options)
    assert not result.get("failed"), result
    assert faulty.storage[dest].tags == {"1": LARGE.digest}
    assert len(faulty.log.of(source, Kind.GET_BLOB)) == len(faulty.log.of(dest, Kind.PUT_UPLOAD)) == 2


def test_f4_2_15_a_stall_once_is_resumed(copies):
    outcome = copies.pull("stallonce", IMAGE, timeout=2)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in layer(outcome)] == [200, 206]


@pytest.mark.parametrize("scenario", ["redirloop", "redirpong"])
def test_f4_2_16_a_circle_of_redirects_is_left(copies, scenario):
    """Where the limit of hops is lost with a policy of one's own, nothing else ends it."""
    outcome = copies.pull(scenario, IMAGE, OTHER)
    outcome.failed("redirects in a circle", status_code=307)
    assert len(layer(outcome)) <= 2


def test_f4_2_16_a_chain_of_redirects_has_five_hops(copies):
    outcome = copies.pull("redirlong", IMAGE, OTHER)
    outcome.failed("redirects more than 5 times", status_code=307)
    if copies.place.played:
        hops = [one for one in outcome.log.kind(Kind.GET_BLOB, Kind.STORAGE) if one.reference == LAYER.digest]
        assert len(hops) == 6
