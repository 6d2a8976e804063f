# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 17, 18, 28 to 31, 38 and 39 of the fault matrix: manifests, tokens, and where an upload goes."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.tests.faults.bent import bent, layer_field
from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import Kind, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import changed
from ansible_collections.longshore.oci.tests.servers import images

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
NEWER = images.image("linux/amd64", [images.noise_layer(20_000, seed=4)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
SIZE = len(IMAGE.layers[0].data)
LOGIN = {"src_username": USER, "src_password": PASSWORD}

SIZES = {
    "smaller": (SIZE - 1, "its descriptor promises"),
    "larger": (SIZE + 1, "its descriptor promises"),
    "negative": (-5, "has no valid size: -5"),
    "fraction": (1.5, "has no valid size: 1.5"),
    "text": (str(SIZE), "has no valid size"),
    "huge": (2**62, "has no valid size"),
}


@pytest.mark.parametrize("size, sentence", SIZES.values(), ids=SIZES.keys())
def test_f4_2_17_a_size_that_is_not_the_blobs_is_refused(copies, size, sentence):
    """skopeo copies both, and a descriptor with a negative size too."""
    outcome = copies.pull("none", bent(IMAGE, layer_field("size", size)), OTHER, sound=IMAGE)
    outcome.failed(sentence)
    # Not a byte of the layer was read.
    assert not [one for one in outcome.log.kind(Kind.GET_BLOB) if one.reference == IMAGE.layers[0].digest and one.sent > 65536]


def test_f4_2_18_a_token_that_expires_during_a_copy_is_replaced(copies):
    """skopeo and regclient fail."""
    outcome = copies.pull("tokenexp", IMAGE, parallel=1, **LOGIN)
    outcome.succeeded()
    if copies.place.played:
        assert len(outcome.log.kind(Kind.TOKEN)) == 2
        assert [one.status for one in outcome.log.kind(Kind.GET_BLOB)] == [200, 401, 200]


def test_f4_2_18_a_token_that_is_refused_twice_is_told(copies):
    outcome = copies.pull("tokenalways", IMAGE, OTHER, parallel=1, **LOGIN)
    outcome.failed("accepted the credentials of", "but denies access", status_code=401)
    if copies.place.played:
        # One at first, and one more for each of the two blobs.
        assert len(outcome.log.kind(Kind.TOKEN)) <= 3 + 2


@pytest.mark.parametrize("scenario", ["man429", "man500", "man502", "man503", "man504"])
def test_f4_2_28_a_manifest_refused_for_now_is_put_again(copies, scenario):
    outcome = copies.push(scenario, IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in outcome.log.kind(Kind.PUT_MANIFEST)] == [int(scenario[3:]), 201]


def test_f4_2_29_a_manifest_whose_answer_was_lost_is_put_again(copies):
    """skopeo and oras fail."""
    outcome = copies.push("pushmanreset", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert len(outcome.log.kind(Kind.PUT_MANIFEST)) == 2


@pytest.mark.parametrize("scenario", ["pushman200", "pushmanlies"])
def test_f4_2_30_what_was_stored_is_read_back(copies, scenario):
    """regclient and oras refuse what is there; skopeo and crane believe whatever comes."""
    outcome = copies.push(scenario, IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert outcome.log[-1].kind is Kind.HEAD_MANIFEST


@pytest.mark.parametrize("scenario", ["pushman200page", "pushman200nothing"])
def test_f4_2_30_a_success_that_was_none_is_told(copies, scenario):
    outcome = copies.push(scenario, IMAGE)
    outcome.failed("the registry accepted the manifest", "(HTTP 200), but does not have it")


def test_f4_2_31_an_upload_that_goes_nowhere_is_refused(copies):
    outcome = copies.push("locnone", IMAGE, OTHER)
    outcome.failed("did not say where it goes (no Location)", status_code=202)


@pytest.mark.parametrize("scenario", ["locabsolute", "locrelative", "locslashes", "locbare", "locquery"])
def test_f4_2_31_an_upload_goes_wherever_it_is_sent_in_any_form(copies, scenario):
    outcome = copies.push(scenario, IMAGE)
    outcome.succeeded()
    if scenario == "locquery" and copies.place.played:
        # Byte for byte, and the digest after it (R1.30).
        assert all("&a=a%2Fb%2bc%3D&e=~%7E&digest=sha256%3A" in one.target for one in outcome.log.kind(Kind.PUT_UPLOAD))


def moves(answer, exchange):
    """The tag is moved once it was looked at."""
    exchange.server.storage[exchange.repository].keep(
        exchange.server.storage[exchange.repository].manifests[NEWER.digest], exchange.reference
    )


def by_tag(exchange):
    return ":" not in exchange.reference


MOVING = Scenario("tagmoves", (on((Kind.HEAD_MANIFEST, Kind.GET_MANIFEST), changed(moves), 1, together=True, when=by_tag),))


def test_f4_2_38_a_tag_that_moves_during_a_copy_changes_nothing(faults, real, played):
    scene = played.server.repository(played.server.add(MOVING))
    played.put(scene, NEWER, ["unused"])
    played.put(scene, IMAGE, ["1"])
    outcome = faults.copy(played, scene, real, real.repository("pulled"), IMAGE, None, scene, {})
    outcome.succeeded()
    assert played.tags(scene)["1"] == NEWER.digest
    # What was read once is what is copied: nobody asks for the tag again.
    assert [one.reference for one in outcome.log.kind(Kind.HEAD_MANIFEST, Kind.GET_MANIFEST)] == ["1"]


@pytest.mark.parametrize("scenario", ["headlies", "headliesalways"])
def test_f4_2_39_blobs_that_were_not_there_after_all_are_sent(copies, scenario):
    """Artifactory's HEAD, or a garbage collection in between."""
    outcome = copies.push(scenario, IMAGE, OTHER)
    outcome.succeeded()
    if copies.place.played:
        assert [one.status for one in outcome.log.kind(Kind.PUT_MANIFEST)] == [400, 201]
