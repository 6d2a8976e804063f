# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S4 to S7, S9, S11, S12, S17 and S22: where a registry may send us, and who gets to see credentials."""

from __future__ import annotations

import base64
import pathlib
import socket
import threading

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.server import Kind, Login, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import redirect, with_body, with_headers
from ansible_collections.longshore.oci.tests.faults.server.log import fingerprint
from ansible_collections.longshore.oci.tests.faults.server.registry import OTHER as OTHER_HOME
from ansible_collections.longshore.oci.tests.faults.server.scenarios.logins import REALMS
from ansible_collections.longshore.oci.tests.faults.server.scenarios.places import FORBIDDEN
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry

IMAGE = images.image("linux/amd64", [images.noise_layer(20_000, seed=1)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
SRC = {"src_username": USER, "src_password": PASSWORD}
DEST = {"dest_username": USER, "dest_password": PASSWORD}
BASIC = fingerprint("Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())


class Secure:
    """image_inspect and image_copy against the TLS origin of the fault registry."""

    def __init__(self, module, faulty):
        self._module = module
        self.faulty = faulty
        self.host = faulty.origin(tls=True).partition("://")[2]
        self.log = faulty.log

    def inspect(self, repository, **options):
        given = {"ca_path": str(self.faulty.ca), "username": USER, "password": PASSWORD, **options}
        return self._module("image_inspect", name=[f"{self.host}/{repository}:1"], **given)

    def push(self, real, scenario, **options):
        """Push an image into a new repository of a scenario: the result, and the repository."""
        source, scene = real.repository("secure"), self.faulty.repository(scenario)
        real.put(source, IMAGE, ["1"])
        given = {"src_plain_http": True, "dest_ca_path": str(self.faulty.ca), **DEST, **options}
        return self._module("image_copy", src=f"{real.host}/{source}:1", dest=f"{self.host}/{scene}:1", **given), scene

    def pull(self, scenario, folder, **options):
        """Copy an image of a scenario into a layout: the result, and the repository."""
        scene = self.faulty.put(scenario, IMAGE)
        given = {"src_ca_path": str(self.faulty.ca), **SRC, **options}
        return self._module("image_copy", src=f"{self.host}/{scene}:1", dest=f"oci:{folder}/layout:1", **given), scene


@pytest.fixture
def secure(module, faulty):
    return Secure(module, faulty)


def basic_at(log, repository):
    """The origins that have seen the password."""
    return {one.origin for one in log.of(repository) if one.credential == BASIC}


# -- S4: realms --------------------------------------------------------------------------------------------------


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


# -- S5: where uploads go ----------------------------------------------------------------------------------------


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


# -- S6, S7: redirects -------------------------------------------------------------------------------------------


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


# -- S9: lists ---------------------------------------------------------------------------------------------------


def tags_of(module, faulty, scenario, **options):
    """image_tags of a repository with the tags 1 and 2 and with what the scenario makes of them."""
    repository = faulty.put(scenario, IMAGE, ["1", "2"])
    return module("image_tags", repository=f"{faulty.host}/{repository}", plain_http=True, **options), faulty.log.of(repository)


@pytest.mark.parametrize("scenario", ["linkloop", "linkcircle"])
def test_s09_a_list_in_a_circle_ends(module, faulty, scenario):
    """Others have never come to an end (GHSA-298f-872v-2rcx)."""
    result, log = tags_of(module, faulty, scenario)
    assert not result.get("failed") and result["tags"] == ["1", "2"], result
    assert any("the pages go in a circle; 2 entries were read" in one for one in result["warnings"])
    assert len(log) <= 2


def test_s09_a_list_without_end_is_given_up(module, faulty, monkeypatch):
    from ansible_collections.longshore.oci.plugins.module_utils.registry import links

    monkeypatch.setattr(links, "MAX_PAGES", 50)
    result, log = tags_of(module, faulty, "linkendless")
    assert result["failed"] and "a list of more than 50 pages" in result["msg"], result
    assert len(log) == 50


@pytest.mark.parametrize("scenario", ["linkother", "linknexus"])
def test_s09_links_are_followed_at_the_registry_alone(module, faulty, scenario):
    """What counts of a link is its cursor: Nexus and Artifactory give paths that are not there."""
    result, log = tags_of(module, faulty, scenario)
    assert not result.get("failed") and result["tags"] == ["1", "2"], result
    assert {one.origin for one in log} == {faulty.origin()} and log[-1].target.endswith("/tags/list?n=1&last=1")


def test_s09_a_link_that_leads_nowhere_in_the_list_is_refused(module, faulty):
    result, log = tags_of(module, faulty, "linkmetadata")
    assert result["failed"] and "which is no page of it" in result["msg"] and "169.254.169.254" in result["msg"], result
    assert len(log) == 1


def test_s09_names_that_are_no_tags_are_left_out(module, faulty):
    """To fail at them hides the tags that are fine; to show them as they are is worse."""
    result, unused = tags_of(module, faulty, "mixedtags")
    assert result["tags"] == ["1", "2"], result
    (warning,) = result["warnings"]
    assert "10 invalid names were left out" in warning and "../../etc/passwd" in warning and "\x1b" not in warning


@pytest.mark.parametrize("scenario", ["nulltags", "notags"])
def test_s09_no_list_is_an_empty_one(module, faulty, scenario):
    """Go writes null for it, and distribution has none for a repository whose manifests have no tags."""
    result, unused = tags_of(module, faulty, scenario)
    assert not result.get("failed") and result["tags"] == [], result


# -- S11, S12, S17, S22 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["gzipped", "encodedmanifest"])
def test_s11_an_encoding_nobody_asked_for_is_refused(faults, scenario):
    outcome = faults.pull(scenario, IMAGE, OTHER, retries=0)
    outcome.failed("encoded as 'gzip", "a proxy in between may do that")
    assert all(one.headers["accept-encoding"] == "identity" for one in outcome.log)


@pytest.mark.parametrize("kind", [Kind.TOKEN, Kind.GET_BLOB])
def test_s11_nor_is_one_of_a_token_or_a_redirect_unpacked(faults, kind):
    many = ", ".join(["gzip"] * 50)
    encoded = {
        Kind.TOKEN: Scenario("encodedtoken", (on(kind, with_headers(content_encoding=many)),), Login(users={USER: PASSWORD})),
        Kind.GET_BLOB: Scenario("encodedredirect", (on(kind, with_headers(302, content_encoding=many, location="{target}")),)),
    }
    outcome = faults.pull(encoded[kind], IMAGE, OTHER, retries=0, **SRC)
    outcome.failed("encoded as 'gzip" if kind is Kind.TOKEN else "redirects in a circle")


def test_s12_netrc_is_not_looked_at(faults):
    """requests would send its password in place of our token, and to the host of a redirect."""
    netrc = pathlib.Path.home() / ".netrc"
    netrc.write_text("machine 127.0.0.1 login n password netrc\nmachine 127.0.0.2 login n password netrc\n", encoding="utf-8")
    netrc.chmod(0o600)
    outcome = faults.pull("redirother", IMAGE, **SRC)
    outcome.succeeded()
    assert fingerprint("Basic " + base64.b64encode(b"n:netrc").decode()) not in {one.credential for one in outcome.log}
    assert not len(outcome.log.kind(Kind.STORAGE).with_credentials)


def test_s12_certificates_are_verified_by_each_task_for_itself(secure, monkeypatch):
    """requests keeps a connection that was made without verification, and lets the environment overrule an option."""
    repository = secure.faulty.put("none", IMAGE)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(secure.faulty.ca))
    assert not secure.inspect(repository, ca_path=None, validate_certs=False).get("failed")
    mark = len(secure.log)
    result = secure.inspect(repository, ca_path=None)
    assert result["failed"] and "is not trusted" in result["msg"] and "'ca_path'" in result["msg"], result
    assert not len(secure.log.since(mark))


def test_s17_plain_http_is_never_tried_by_itself(module, faulty):
    repository = faulty.put("none", IMAGE)
    mark = len(faulty.log)
    for options in ({}, {"validate_certs": False}):
        result = module("image_inspect", name=[f"{faulty.host}/{repository}:1"], **options)
        assert result["failed"] and "does not speak TLS on this port" in result["msg"] and "plain_http" in result["msg"], result
    assert not len(faulty.log.since(mark))


def test_s17_nor_is_a_handshake_that_fails_a_reason_to(module):
    """A port that ends every handshake: what comes to it begins with TLS each time."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    sock, unused = server.accept()
                except OSError:
                    return
                with sock:
                    seen.append(sock.recv(1))

        thread = threading.Thread(target=serve, name="test-handshakes", daemon=True)
        thread.start()
        result = module("image_inspect", name=[f"127.0.0.1:{server.getsockname()[1]}/app:1"], retries=2)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert result["failed"] and "during the handshake" in result["msg"] and result["attempts"] == 3, result
    assert seen == [b"\x16"] * 3


def test_s17_tls_spoken_to_in_plain_http_is_told(module):
    with Registry(tls=True) as registry:
        result = module("image_inspect", name=[f"{registry.host}/app:1"], plain_http=True, retries=0)
    assert result["failed"] and "speaks HTTPS, not plain HTTP, on this port" in result["msg"], result


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
