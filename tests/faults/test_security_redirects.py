# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S5 to S7: uploads and redirects that lead elsewhere."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.tests.faults.secure import DEST, IMAGE, SRC
from ansible_collections.longshore.oci.tests.faults.server import Kind, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import redirect
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.faults.server.scenarios.places import FORBIDDEN
from ansible_collections.longshore.oci.tests.servers import images

OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])


def test_s05_an_upload_at_another_host_gets_no_token(copies):
    """Others have sent it there (CVE-2026-50151)."""
    outcome = copies.push("locother", IMAGE, **DEST)
    if copies.place.played:
        # Without a token that host does not take it; the point is that it has not seen one.
        outcome.failed("(HTTP 401")
        at_other = outcome.log.at(copies.place.server.origin(OTHER_HOME))
        assert len(at_other.kind(Kind.PUT_UPLOAD)) and not len(at_other.with_credentials)
    else:
        outcome.succeeded()


def test_s05_an_upload_at_another_host_that_wants_no_token_arrives(copies):
    """Where the fix of others went too far: oras refuses any other host."""
    outcome = copies.push("locopen", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert len(outcome.log.at(copies.place.server.origin(OTHER_HOME)).kind(Kind.PUT_UPLOAD)) == 2


@pytest.mark.parametrize("scenario", ["locmetadata", "locmetadatatls", "locfile"])
def test_s05_an_upload_at_a_forbidden_place_is_not_begun(faults, scenario):
    outcome = faults.push(scenario, IMAGE, OTHER)
    place = "file:///etc/passwd" if scenario == "locfile" else "169.254.169.254"
    outcome.failed("the registry", "that is not allowed: ", place)
    assert not len(outcome.log.kind(Kind.PUT_UPLOAD, Kind.PATCH_UPLOAD))


def test_s05_an_upload_without_tls_is_refused_to_a_registry_with_it(secure, real):
    result, scene = secure.push(real, "locotherplain")
    assert result["failed"] and "is plain HTTP, the registry is not" in result["msg"], result
    assert not len(secure.log.of(scene, Kind.PUT_UPLOAD))


def test_s05_a_registry_that_forgets_its_own_tls_is_spoken_to_with_it(secure, real):
    """As Harbor behind a proxy does."""
    result, scene = secure.push(real, "locdowngrade")
    assert not result.get("failed"), result
    assert any("points to itself by plain HTTP; https is used instead" in one for one in result["warnings"])
    assert {one.origin for one in secure.log.of(scene)} == {secure.faulty.origin(tls=True)}


@pytest.mark.parametrize("scenario", ["redirect", "redirother"])
def test_s06_a_redirect_to_storage_is_followed_without_the_token(copies, scenario):
    """But where it stays at the registry's own origin, it goes along."""
    outcome = copies.pull(scenario, IMAGE, **SRC)
    outcome.succeeded()
    if copies.place.played:
        stored = outcome.log.kind(Kind.STORAGE)
        assert len(stored) == 2
        assert len(stored.with_credentials) == (2 if scenario == "redirect" else 0)


def test_s06_another_scheme_of_the_same_host_is_another_place(secure, tmp_path):
    scenario = Scenario("redirscheme", (on(Kind.GET_BLOB, redirect("{other_tls}/storage/{repository}/blobs/{reference}")),))
    repository = secure.faulty.add(scenario)
    result, scene = secure.pull(repository, tmp_path)
    assert not result.get("failed"), result
    assert len(secure.log.of(scene, Kind.STORAGE)) == 2 and not len(secure.log.of(scene, Kind.STORAGE).with_credentials)


@pytest.mark.parametrize("scenario", ["redirdown", "redirdownsame"])
def test_s06_a_redirect_out_of_tls_is_refused(secure, tmp_path, scenario):
    result, scene = secure.pull(scenario, tmp_path)
    if scenario == "redirdown":
        assert result["failed"] and "is plain HTTP, the registry is not" in result["msg"], result
        assert not len(secure.log.of(scene, Kind.STORAGE))
    else:
        # To itself: https is used instead.
        assert not result.get("failed"), result
        assert {one.origin for one in secure.log.of(scene)} == {secure.faulty.origin(tls=True)}


def test_s06_the_way_back_does_not_bring_the_token_back(faults):
    outcome = faults.pull("redirback", IMAGE, OTHER, **SRC)
    outcome.failed("(HTTP 401", status_code=401)
    again = [one for one in outcome.log if one.target.endswith("?again")]
    assert again and all(one.credential is None for one in again)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_s06_redirects_to_forbidden_places_are_refused(faults, name):
    outcome = faults.pull(f"redirto-{name}", IMAGE, OTHER)
    outcome.failed("sends us to a redirect that is not allowed")
    assert len(outcome.message) < 1000


@pytest.mark.parametrize("status", [301, 302, 303])
def test_s06_an_upload_that_is_redirected_without_its_body_is_refused(faults, status):
    """requests would make a GET of it, or an empty PUT."""
    outcome = faults.push(f"redirput-{status}", IMAGE, OTHER)
    outcome.failed("a redirect that may not be followed", status_code=status)
    assert not len(outcome.log.at(faults.place.server.origin(OTHER_HOME)))


@pytest.mark.parametrize("status", [307, 308])
def test_s06_one_that_keeps_its_body_is_followed_with_it(copies, status):
    outcome = copies.push(f"redirput-{status}", IMAGE)
    outcome.succeeded()


@pytest.mark.parametrize("scenario", ["redirbasic", "redirbearer"])
def test_s07_a_challenge_of_a_storage_is_never_answered(faults, scenario):
    """regclient gave the registry's password to whoever asked (GHSA-qvqc-4c52-x6qp)."""
    outcome = faults.pull(scenario, IMAGE, OTHER, **SRC)
    outcome.failed("(HTTP 401", status_code=401)
    other = faults.place.server.origin(OTHER_HOME)
    assert not len(outcome.log.at(other).with_credentials)
    assert len(outcome.log.at(other).kind(Kind.STORAGE)) <= 2 and not len(outcome.log.at(other).kind(Kind.TOKEN))


def test_s06_a_signed_redirect_is_asked_for_anew_on_resuming(copies):
    """Signed URLs expire: it is the registry that is asked again (R1.72)."""
    outcome = copies.pull("redircut", IMAGE)
    outcome.succeeded()
    if copies.place.played:
        assert len(outcome.log.kind(Kind.GET_BLOB)) == len(outcome.log.kind(Kind.STORAGE)) == 4
