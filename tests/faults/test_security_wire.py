# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows S9, S11, S12 and S17: lists, encodings, the environment, TLS."""

from __future__ import annotations

import base64
import pathlib
import socket
import threading

import pytest

from ansible_collections.longshore.oci.tests.faults.places import PASSWORD, USER
from ansible_collections.longshore.oci.tests.faults.secure import IMAGE, SRC
from ansible_collections.longshore.oci.tests.faults.server import Kind, Login, Scenario, on
from ansible_collections.longshore.oci.tests.faults.server.faults import with_headers
from ansible_collections.longshore.oci.tests.faults.server.log import fingerprint
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.registry import Registry

OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])


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
