# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 1 to 10 of the fault matrix: blobs that break off, are others than they claim, or never end."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.tests.faults.server import Kind
from ansible_collections.longshore.oci.tests.faults.server.faults import spoilt
from ansible_collections.longshore.oci.tests.servers import images

#: Large enough that half of it is on its way when a connection breaks.
SIZE = 400_000
IMAGE = images.image("linux/amd64", [images.noise_layer(SIZE, seed=1)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
LAYER = IMAGE.layers[0]
MIB = 1024 * 1024


def blobs(outcome, digest=LAYER.digest):
    """The GETs of one blob."""
    return [one for one in outcome.log.kind(Kind.GET_BLOB) if one.reference == digest]


def test_f4_2_01_a_blob_that_is_reset_once_is_resumed(copies):
    outcome = copies.pull("resetonce", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        first, second = blobs(outcome)
        assert second.status == 206 and second.headers["range"].startswith("bytes=")
        assert second.headers["if-range"] == f'"{LAYER.digest}"'
        assert sum(one.sent for one in blobs(outcome)) < 1.1 * len(LAYER.data)


def test_f4_2_02_a_registry_that_ignores_range_is_read_from_the_start(copies):
    """skopeo, crane, regclient and oras all fail here."""
    outcome = copies.pull("resetnorange", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in blobs(outcome)] == [200, 200]


@pytest.mark.parametrize("scenario", ["resetbadrange", "reset416"])
def test_f4_2_03_a_part_that_does_not_fit_is_never_spliced(copies, scenario):
    outcome = copies.pull(scenario, IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.headers.get("range") is None for one in blobs(outcome)] == [True, False, True]


def test_f4_2_04_a_resumed_blob_with_another_digest_is_read_once_more(copies):
    outcome = copies.pull("resetbadtail", IMAGE)
    outcome.succeeded()


def test_f4_2_04_a_blob_that_stays_wrong_is_refused(copies):
    outcome = copies.pull("resetbadtails", IMAGE, OTHER)
    wrong = images.sha256(spoilt(LAYER.data))
    outcome.failed(f"digest mismatch of blob: expected {LAYER.digest}, the bytes received have {wrong}")
    if copies.place.played:
        assert len(blobs(outcome)) == 3


def test_f4_2_05_an_error_on_resuming_is_waited_out(copies):
    outcome = copies.pull("reset500", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in blobs(outcome)] == [200, 500, 206]


def test_f4_2_06_a_blob_that_never_gets_on_is_given_up(copies):
    outcome = copies.pull("resetalways", IMAGE, OTHER, parallel=1)
    outcome.failed("(asked 6 times for what comes after byte 6000)", attempts=6)
    if copies.place.played:
        assert "/manifests/" not in outcome.result["url"] and outcome.scene in outcome.result["url"]
        assert len(outcome.log.kind(Kind.GET_BLOB)) == 7


def test_f4_2_07_a_blob_that_ends_early_is_no_success(copies):
    outcome = copies.pull("trunc", IMAGE, OTHER, retries=2)
    outcome.failed("closed the connection after", "bytes")


def test_f4_2_07_a_blob_that_ends_early_once_is_resumed(copies):
    outcome = copies.pull("trunconce", IMAGE)
    outcome.succeeded()


@pytest.mark.parametrize("scenario", ["trunceof", "truncchunk", "trunclies"])
def test_f4_2_08_half_a_blob_without_a_length_is_no_success(copies, scenario):
    """oras-py takes the half for the whole."""
    outcome = copies.pull(scenario, IMAGE, OTHER, retries=2)
    outcome.failed("blob sha256:")


def test_f4_2_08_a_length_that_is_too_short_is_refused(copies):
    outcome = copies.pull("trunclie", IMAGE, OTHER)
    outcome.failed("its descriptor promises")


@pytest.mark.parametrize("scenario", ["wrongblob", "wrongconfig"])
def test_f4_2_09_wrong_bytes_are_refused_and_both_digests_named(copies, scenario):
    outcome = copies.pull(scenario, IMAGE, OTHER)
    blob = LAYER if scenario == "wrongblob" else IMAGE.config
    wrong = images.sha256(spoilt(blob.data))
    outcome.failed(f"digest mismatch of blob: expected {blob.digest}, the bytes received have {wrong}")


@pytest.mark.parametrize("scenario", ["infblob", "infblobchunks"])
def test_f4_2_10_a_blob_without_end_is_cut_off(copies, scenario):
    outcome = copies.pull(scenario, IMAGE, OTHER)
    outcome.failed("is longer than the", "bytes its descriptor promises")
    # What lies ready in sockets' buffers has gone out, too; the server would go on to 64 MiB.
    assert all(one.sent < 16 * MIB for one in blobs(outcome))


def test_f4_2_10_a_blob_that_is_announced_longer_is_not_read(copies):
    outcome = copies.pull("longblob", IMAGE, OTHER)
    outcome.failed("its descriptor promises")
