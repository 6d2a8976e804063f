# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S4 and S22: token servers, and who gets to see credentials."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.secure import DEST, IMAGE, SRC, basic_at
from ansible_collections.longshore.oci.tests.faults.server import Kind, Login, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import redirect, with_body
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.faults.server.scenarios.logins import REALMS
from ansible_collections.longshore.oci.tests.servers import images

OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])


def test_s04_over_plain_http_only_the_registrys_own_host_gets_the_password(module, faulty):
    """Others have sent it to whatever host is named (CVE-2026-48978)."""
    repository = faulty.put("realmother", IMAGE)
    options = {"plain_http": True, "username": USER, "password": PASSWORD}
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], **options)
    other = faulty.origin(OTHER_HOME)
    assert result["failed"] and f"the token server {other}, which may not see the credentials" in result["msg"], result
    assert "list 127.0.0.2 in trusted_realms" in result["msg"]
    assert not len(faulty.log.of(repository).with_credentials) and not len(faulty.log.of(repository).at(other))
    result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], trusted_realms=["127.0.0.2"], **options)
    assert not result.get("failed"), result
    assert basic_at(faulty.log, repository) == {other}


def test_s04_another_port_of_the_same_host_is_the_same_place(copies):
    """Where the fix of others went too far: GitLab's registry is at another port than its token server."""
    scenario = Scenario("realmport", login=Login(realm="{tls}/token", users={USER: PASSWORD}))
    outcome = copies.pull(scenario, IMAGE, src_ca_path=str(copies.place.server.ca) if copies.place.played else None, **SRC)
    outcome.succeeded()


def test_s04_verified_tls_may_name_one_other_realm(secure):
    repository = secure.faulty.put("realmother", IMAGE)
    assert not secure.inspect(repository).get("failed")
    assert basic_at(secure.log, repository) == {secure.faulty.origin(OTHER_HOME, tls=True)}


def test_s04_tls_that_nobody_verified_may_not(secure):
    repository = secure.faulty.put("realmother", IMAGE)
    result = secure.inspect(repository, validate_certs=False)
    assert result["failed"] and "may not see the credentials" in result["msg"], result
    assert basic_at(secure.log, repository) == set()


def test_s04_a_realm_without_tls_is_refused_to_a_registry_with_it(secure):
    repository = secure.faulty.put("realmplain", IMAGE)
    result = secure.inspect(repository)
    assert result["failed"] and "is plain HTTP, the registry is not" in result["msg"], result
    assert basic_at(secure.log, repository) == set() and len(secure.log.of(repository)) == 1


@pytest.mark.parametrize("name", REALMS)
def test_s04_realms_at_forbidden_places_are_refused(faults, name):
    outcome = faults.pull(f"realm-{name}", IMAGE, OTHER, **SRC)
    outcome.failed("sends us to a realm that is not allowed")
    assert not len(outcome.log.with_credentials)


@pytest.mark.parametrize("scenario", ["realmrelative", "realmquery"])
def test_s04_realms_in_other_forms_are_understood(copies, scenario):
    outcome = copies.pull(scenario, IMAGE, **SRC)
    outcome.succeeded()
    if copies.place.played and scenario == "realmquery":
        (token,) = outcome.log.kind(Kind.TOKEN)
        assert token.target.startswith("/token?tenant=a%2Fb&service=faulty&")


def test_s04_a_challenge_without_realm_gets_nothing(faults):
    outcome = faults.pull("realmnone", IMAGE, OTHER, **SRC)
    outcome.failed("(HTTP 401", "it asks for an authentication we do not have", status_code=401)
    assert not len(outcome.log.with_credentials)


def test_s04_a_token_server_that_redirects_takes_no_credentials_along(faults):
    scenario = Scenario(
        "tokenmoved",
        (on(Kind.TOKEN, redirect("{other}{target}"), when=lambda one: "127.0.0.1" in one.origin),),
        Login(users={USER: PASSWORD}),
    )
    outcome = faults.pull(scenario, IMAGE, OTHER, **SRC)
    outcome.failed("rejected the credentials of")
    at_other = outcome.log.at(faults.place.server.origin(OTHER_HOME))
    assert len(at_other) and not len(at_other.with_credentials)


def test_s04_a_challenge_that_is_missing_is_told(faults):
    outcome = faults.pull("nochallenge", IMAGE, OTHER, **SRC)
    outcome.failed("(HTTP 401", "without saying how to log in, so the credentials of", "were not sent")
    assert not len(outcome.log.with_credentials)


def test_s04_a_token_that_would_be_a_header_more_is_refused(faults):
    outcome = faults.pull("tokencontrol", IMAGE, OTHER, **SRC)
    outcome.failed("answered without a valid token")
    assert not any("x-injected" in one.headers for one in outcome.log)


def test_s22_a_token_allows_what_is_needed_and_no_more(module, faulty):
    source, dest = faulty.put("login", IMAGE), faulty.repository("login")
    hosts = faulty.host, faulty.origin(OTHER_HOME).partition("://")[2]
    options = {"src_plain_http": True, "dest_plain_http": True, **SRC, **DEST}
    result = module("image_copy", src=f"{hosts[0]}/{source}:1", dest=f"{hosts[1]}/{dest}:1", **options)
    assert not result.get("failed"), result
    asked = {name: [one.target for one in faulty.log.of(name, Kind.TOKEN)] for name in (source, dest)}
    assert all(f"repository%3A{source.replace('/', '%2F')}%3Apull&" in one for one in asked[source]), asked
    assert all(f"repository%3A{dest.replace('/', '%2F')}%3Apull%2Cpush&" in one for one in asked[dest]), asked
    assert not any("*" in target or "%2A" in target for targets in asked.values() for target in targets)


def test_s22_two_registries_with_one_realm_share_no_token(module, faulty):
    scenario = faulty.add(Scenario("onerealm", login=Login(realm="{plain}/token", users={USER: PASSWORD})))
    source, dest = faulty.put(scenario, IMAGE), faulty.repository(scenario)
    other = faulty.origin(OTHER_HOME)
    options = {"src_plain_http": True, "dest_plain_http": True, "dest_trusted_realms": ["127.0.0.1"], **SRC, **DEST}
    result = module("image_copy", src=f"{faulty.host}/{source}:1", dest=f"{other.partition('://')[2]}/{dest}:1", **options)
    assert not result.get("failed"), result
    shown = {
        origin: {one.credential for one in faulty.log.of(name).with_credentials if one.scheme == "bearer"}
        for origin, name in ((faulty.origin(), source), (other, dest))
    }
    assert shown[other] and not shown[other] & shown[faulty.origin()]


def test_s22_a_token_of_another_repository_is_not_enough(faults):
    """The token server gives less than was asked for: told as what it is."""
    scenario = Scenario("lesstoken", (on(Kind.TOKEN, with_body(b'{"token": "worth-nothing"}')),), Login(users={USER: PASSWORD}))
    outcome = faults.pull(scenario, IMAGE, OTHER, **SRC)
    outcome.failed("accepted the credentials of", "but denies access", status_code=401)
