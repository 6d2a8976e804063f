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
