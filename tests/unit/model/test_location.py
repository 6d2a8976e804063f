# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locations: transport and details."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, InvalidReference
from ansible_collections.longshore.oci.plugins.module_utils.model.location import Location

TRANSPORTS = ("docker", "oci", "oci-archive", "docker-archive", "dir")


@pytest.mark.parametrize(
    ("text", "transport", "details"),
    [
        ("busybox", "docker", "busybox"),
        ("docker://busybox", "docker", "busybox"),
        ("quay.io/a/b:c", "docker", "quay.io/a/b:c"),
        ("localhost:5000/a", "docker", "localhost:5000/a"),
        ("busybox:latest", "docker", "busybox:latest"),
        ("docker:dind", "docker", "docker:dind"),
        ("oci:/srv/images:v1", "oci", "/srv/images:v1"),
        ("oci:relative", "oci", "relative"),
        ("oci-archive:/a.tar", "oci-archive", "/a.tar"),
        ("dir:./here", "dir", "./here"),
    ],
)
def test_parse(text: str, transport: str, details: str) -> None:
    location = Location.parse(text, TRANSPORTS)
    assert (location.transport, location.details) == (transport, details)
    assert Location.parse(str(location), TRANSPORTS) == location


@pytest.mark.parametrize("text", ["ocy:/srv", "tarball:./a", "containers-storage:~/x", "docker-daemon:../x"])
def test_an_unknown_transport_is_not_taken_for_a_repository(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"unknown transport .* known are dir:, docker://, docker-archive:"):
        Location.parse(text, TRANSPORTS)


def test_a_transport_without_a_place() -> None:
    with pytest.raises(InvalidInput, match="no place after 'oci:'"):
        Location.parse("oci:", TRANSPORTS)


def test_r1_8_another_scheme_is_refused_as_a_reference() -> None:
    for text in ("https://quay.io/a", "http://quay.io/a"):
        with pytest.raises(InvalidInput):
            Location.parse(text, TRANSPORTS).reference()
    with pytest.raises(InvalidReference):
        Location.parse("docker://docker://a", TRANSPORTS).reference()
    assert Location.parse("docker://quay.io/a:b", TRANSPORTS).reference().tag == "b"


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("/srv", ("/srv", "", None)),
        ("/srv:v1", ("/srv", "v1", None)),
        ("/srv:quay.io/a:v1", ("/srv", "quay.io/a:v1", None)),
        ("/srv:@0", ("/srv", "", 0)),
        ("/srv:@12", ("/srv", "", 12)),
    ],
)
def test_path_and_rest(details: str, expected: tuple[str, str, int | None]) -> None:
    assert Location("oci", details).path_and_rest() == expected


@pytest.mark.parametrize("details", ["", ":v1", "/srv:", "/srv:@", "/srv:@x", "/srv:@-1", "/srv:@\u00b2"])
def test_path_and_rest_invalid(details: str) -> None:
    with pytest.raises(InvalidInput):
        Location("oci", details).path_and_rest()


WITH_URLS = (*TRANSPORTS, "http", "https", "s3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/a.tar", ("https://h/a.tar", "", None)),
        ("https://h:1/a.tar?sig=1#quay.io/a:v1", ("https://h:1/a.tar?sig=1", "quay.io/a:v1", None)),
        ("http://h/a.tar#@2", ("http://h/a.tar", "", 2)),
        ("s3://bucket/dir/a.tar#x", ("s3://bucket/dir/a.tar", "x", None)),
    ],
)
def test_a_url_and_the_name_of_an_image_behind_it(text: str, expected: tuple[str, str, int | None]) -> None:
    location = Location.parse(text, WITH_URLS)
    assert location.is_url and location.path_and_rest() == expected
    name = text.partition("#")[2]
    assert not name or Location.parse(expected[0], WITH_URLS).named(name) == location


def test_the_query_of_a_url_is_not_shown() -> None:
    location = Location.parse("https://h/a.tar?X-Amz-Signature=abc#quay.io/a:v1", WITH_URLS)
    assert str(location) == "https://h/a.tar?...#quay.io/a:v1"


@pytest.mark.parametrize("text", ["http:2.4", "s3:latest", "https:x"])
def test_an_image_that_is_called_like_a_scheme(text: str) -> None:
    assert Location.parse(text, WITH_URLS) == Location("docker", text)


@pytest.mark.parametrize("text", ["https://", "https:///#x", "s3://#a", "https://h/a.tar#", "https://h/a.tar#@x"])
def test_a_url_that_names_nothing(text: str) -> None:
    with pytest.raises(InvalidInput):
        Location.parse(text, WITH_URLS).path_and_rest()


def test_a_name_behind_a_path() -> None:
    assert Location("oci", "/srv").named("a:1") == Location("oci", "/srv:a:1")
