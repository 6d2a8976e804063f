# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 19 to 27 of the fault matrix: uploads that break off, are forgotten or refused."""

from __future__ import annotations

import time

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import Kind
from ansible_collections.longshore.oci.tests.faults.server.scenarios.uploads import LASTING
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(400_000, seed=1)])
LARGE = images.image("linux/amd64", [images.noise_layer(5_000_000, seed=2)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
LOGIN = {"dest_username": USER, "dest_password": PASSWORD}
#: The bytes that are to arrive.
SIZE = sum(len(blob.data) for blob in IMAGE.blobs())


def kinds(outcome, *chosen):
    """The requests of these kinds."""
    return list(outcome.log.kind(*chosen))


def nothing_open(outcome):
    """No upload was left behind at the fault registry."""
    if outcome.place.played:
        assert not outcome.place.server.storage[outcome.scene].uploads, str(outcome.log)


def test_f4_2_19_a_token_that_expires_at_an_upload_is_replaced(copies):
    """skopeo and oras fail."""
    outcome = copies.push("pushtokenexp", IMAGE, parallel=1, **LOGIN)
    outcome.succeeded()
    if copies.place.played:
        puts = kinds(outcome, Kind.PUT_UPLOAD)
        assert sorted(one.status for one in puts) == [201, 201, 401]
        # What the refused one carried was sent again, whole.
        assert puts[0].received == puts[1].received
        assert len(kinds(outcome, Kind.TOKEN)) == 2
        assert len({one.credential for one in puts}) == 2


@pytest.mark.parametrize("scenario", ["pushreset", "pushlost"])
def test_f4_2_20_an_upload_that_is_reset_once_begins_anew(copies, scenario):
    """skopeo and oras fail."""
    outcome = copies.push(scenario, IMAGE, parallel=1)
    outcome.succeeded()
    nothing_open(outcome)
    if copies.place.played:
        # Each blob once, and the one that broke off a second time, unless it had arrived.
        assert len(kinds(outcome, Kind.POST_UPLOAD)) == (3 if scenario == "pushreset" else 2)


def test_f4_2_20_an_upload_goes_on_where_the_registry_kept_it(copies):
    outcome = copies.push("pushresetkept", LARGE, parallel=1)
    outcome.succeeded()
    nothing_open(outcome)
    if copies.place.played:
        status = kinds(outcome, Kind.GET_UPLOAD)
        assert [one.status for one in status] == [204]
        assert sum(one.received for one in outcome.log) < 1.3 * len(LARGE.layers[0].data)


def test_f4_2_21_an_upload_that_always_breaks_is_given_up_after_three_sessions(copies):
    outcome = copies.push("pushresetalways", IMAGE, OTHER)
    outcome.failed("upload of blob sha256:", "closed the connection")
    nothing_open(outcome)
    if copies.place.played:
        assert len(kinds(outcome, Kind.POST_UPLOAD)) <= 2 * 3
        assert not kinds(outcome, Kind.PUT_MANIFEST)


def test_f4_2_22_an_upload_that_was_forgotten_begins_anew(copies):
    """skopeo, crane, regclient and oras fail."""
    outcome = copies.push("pushsess", IMAGE, parallel=1)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in kinds(outcome, Kind.PUT_UPLOAD)].count(404) == 1
        assert Kind.HEAD_BLOB in [one.kind for one in outcome.log]


def test_f4_2_22_a_blob_that_was_stored_all_the_same_is_not_sent_again(copies):
    """As GHCR does it: 404 for what it has taken."""
    outcome = copies.push("pushsessstored", IMAGE, parallel=1)
    outcome.succeeded()
    if copies.place.played:
        assert sum(one.received for one in kinds(outcome, Kind.PUT_UPLOAD)) == SIZE


def test_f4_2_22_a_registry_that_forgets_every_upload_is_told(copies):
    outcome = copies.push("pushsessalways", IMAGE, OTHER)
    outcome.failed("upload of blob sha256:", "upload unknown (HTTP 404 BLOB_UPLOAD_UNKNOWN)", status_code=404)


@pytest.mark.parametrize("scenario", ["put500", "put502", "put503", "put504"])
def test_f4_2_23_an_error_at_the_last_request_begins_anew(copies, scenario):
    outcome = copies.push(scenario, IMAGE, parallel=1)
    outcome.succeeded()
    nothing_open(outcome)
    if copies.place.played:
        assert sorted(one.status for one in kinds(outcome, Kind.PUT_UPLOAD)) == [201, 201, int(scenario[3:])]


@pytest.mark.parametrize("scenario", ["patch500", "patch503"])
def test_f4_2_23_an_error_at_a_part_is_got_over(copies, scenario):
    outcome = copies.push(scenario, LARGE, parallel=1)
    outcome.succeeded()
    nothing_open(outcome)
    if copies.place.played:
        assert [one.status for one in kinds(outcome, Kind.PATCH_UPLOAD)].count(int(scenario[5:])) == 1


@pytest.mark.parametrize("scenario", ["post429", "post503", "postafter"])
def test_f4_2_24_a_registry_too_busy_to_begin_is_waited_for(copies, scenario):
    outcome = copies.push(scenario, IMAGE, parallel=1)
    outcome.succeeded()
    nothing_open(outcome)


def test_f4_2_24_a_mount_that_is_denied_is_an_upload(module, faulty):
    """Harbor answers 401 to a mount from a project that is not ours."""
    source, dest = faulty.put("none", IMAGE), faulty.repository("mountdenied")
    options = {"src_plain_http": True, "dest_plain_http": True}
    result = module("image_copy", src=f"{faulty.host}/{source}:1", dest=f"{faulty.host}/{dest}:1", **options)
    assert not result.get("failed") and result["blobs"] == {"copied": 2, "mounted": 0, "existing": 0}, result
    assert [one.status for one in faulty.log.of(dest, Kind.POST_UPLOAD)].count(401) >= 1


def test_f4_2_25_a_blob_that_arrived_garbled_is_sent_once_more(copies):
    outcome = copies.push("garbledonce", IMAGE, parallel=1)
    outcome.succeeded()
    if copies.place.played:
        assert sorted(one.status for one in kinds(outcome, Kind.PUT_UPLOAD)) == [201, 201, 400]


def test_f4_2_25_a_blob_that_arrives_garbled_twice_is_given_up(copies):
    outcome = copies.push("garbled", IMAGE, OTHER, parallel=1)
    outcome.failed("provided digest did not match (HTTP 400 DIGEST_INVALID)", error_code="DIGEST_INVALID")
    nothing_open(outcome)
    if copies.place.played:
        # Each of the two blobs twice.
        assert len(kinds(outcome, Kind.PUT_UPLOAD)) == 4


def test_f4_2_26_an_early_413_is_read_and_told(copies):
    """regclient goes on for 45 seconds."""
    began = time.monotonic()
    outcome = copies.push("pushearly413", LARGE, OTHER)
    outcome.failed("limits the size of request bodies", "raise that limit there", status_code=413)
    assert time.monotonic() - began < 30
    nothing_open(outcome)


def test_f4_2_26_where_shorter_requests_get_through_they_are_sent(copies):
    """Where others name an option for it, the parts are made by themselves."""
    outcome = copies.push("smallbodies", LARGE)
    outcome.succeeded()
    if copies.place.played:
        assert all(one.length <= 2 * 1024 * 1024 for one in map(Sent, kinds(outcome, Kind.PATCH_UPLOAD)) if one.status == 202)


class Sent:
    """A request, and what it announced."""

    def __init__(self, entry):
        self.status = entry.status
        self.length = int(entry.headers.get("content-length", "0"))


@pytest.mark.parametrize("reason", LASTING)
def test_f4_2_27_a_refusal_of_blobs_is_told_in_the_registrys_words(faults, reason):
    outcome = faults.push(f"refuses-{reason}", IMAGE, OTHER, parallel=1)
    outcome.failed("Method not allowed" if reason == "readonlytext" else "the words of the server", attempts=1)
    posts = kinds(outcome, Kind.POST_UPLOAD)
    # Once for each of the two blobs.
    assert [one.status for one in posts] == [outcome.result["status_code"]] * 2
    assert not kinds(outcome, Kind.PUT_MANIFEST)


@pytest.mark.parametrize("reason", LASTING)
def test_f4_2_27_a_refusal_of_the_tag_is_told_in_the_registrys_words(faults, reason):
    outcome = faults.push(f"refuses-tag-{reason}", IMAGE, OTHER)
    outcome.failed("Method not allowed" if reason == "readonlytext" else "the words of the server", attempts=1)
    (put,) = kinds(outcome, Kind.PUT_MANIFEST)
    assert outcome.result["status_code"] == put.status
