# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters: what they return, and that they say what is wrong."""

from __future__ import annotations

import hashlib

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.longshore.oci.plugins.filter import (
    manifest_digest,
    normalise_reference,
    parse_reference,
    same_reference,
)
from ansible_collections.longshore.oci.tests.unit.transports import images

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
FILTERS = {
    name: function
    for module in (manifest_digest, normalise_reference, parse_reference, same_reference)
    for name, function in module.FilterModule().filters().items()
}


def apply(name, *values, **options):
    return FILTERS[name](*values, **options)


def test_every_file_has_the_filter_of_its_name():
    assert sorted(FILTERS) == ["manifest_digest", "normalise_reference", "parse_reference", "same_reference"]


def test_the_parts_of_a_reference():
    assert apply("parse_reference", f"registry.example.com:5000/team/app:1.0@{DIGEST}") == {
        "registry": "registry.example.com:5000",
        "repository": "team/app",
        "name": "registry.example.com:5000/team/app",
        "tag": "1.0",
        "digest": DIGEST,
        "familiar": f"registry.example.com:5000/team/app:1.0@{DIGEST}",
        "normalised": f"registry.example.com:5000/team/app:1.0@{DIGEST}",
    }
    assert apply("parse_reference", "nginx") == {
        "registry": "docker.io",
        "repository": "library/nginx",
        "name": "docker.io/library/nginx",
        "tag": None,
        "digest": None,
        "familiar": "nginx",
        "normalised": "docker.io/library/nginx:latest",
    }


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/nginx:1", "nginx:1"),
        ("index.docker.io/team/app", "team/app"),
        (f"team/app@{DIGEST}", f"team/app@{DIGEST}"),
        ("docker.io/library/team/app:1", "library/team/app:1"),
        # Short, these would be read as another host or as an image's ID.
        ("docker.io/localhost/app:1", "docker.io/localhost/app:1"),
        ("docker.io/library/" + "a" * 64, "docker.io/library/" + "a" * 64),
        ("docker.io/quay.io/app", "docker.io/quay.io/app"),
    ],
)
def test_the_familiar_form_is_read_as_the_same(text, familiar):
    assert apply("parse_reference", text)["familiar"] == familiar
    assert apply("normalise_reference", familiar) == apply("normalise_reference", text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1", "docker.io/library/nginx:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        (f"quay.io/a/b@{DIGEST}", f"quay.io/a/b@{DIGEST}"),
        (f"quay.io/a/b:1@{DIGEST}", f"quay.io/a/b:1@{DIGEST}"),
    ],
)
def test_a_reference_in_full(text, whole):
    assert apply("normalise_reference", text) == whole == apply("normalise_reference", whole)


def test_a_reference_in_full_without_a_tag():
    assert apply("normalise_reference", "nginx", default_tag=False) == "docker.io/library/nginx"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nginx", "docker.io/library/nginx:latest", True),
        ("index.docker.io/nginx:1", "nginx:1", True),
        ("Registry.example.com/app:1", "registry.example.com/app:1", True),
        ("nginx:1", "nginx:2", False),
        ("nginx:1", "quay.io/nginx:1", False),
        ("nginx:1", "nginx:latest", False),
        (f"nginx:1@{DIGEST}", f"nginx@{DIGEST}", True),
        (f"nginx:1@{DIGEST}", f"nginx:1@{OTHER}", False),
        (f"nginx:1@{DIGEST}", "nginx:1", False),
        (f"nginx@{DIGEST}", f"quay.io/nginx@{DIGEST}", False),
    ],
)
def test_comparing(one, other, same):
    assert apply("same_reference", one, other) is same
    assert apply("same_reference", other, one) is same


def test_the_digest_of_the_bytes():
    raw = images.image("é").manifest.raw
    for given in (raw, raw.decode()):
        assert apply("manifest_digest", given) == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert apply("manifest_digest", raw, algorithm="sha512") == "sha512:" + hashlib.sha512(raw).hexdigest()
    assert apply("manifest_digest", raw + b"\n") != apply("manifest_digest", raw)
    assert apply("manifest_digest", images.two_platforms().manifest.raw) == str(images.two_platforms().digest)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("parse_reference", ["Nginx"], "must be lower case"),
        ("parse_reference", [None], "takes text, not NoneType"),
        ("normalise_reference", ["a b"], "invalid image reference"),
        ("normalise_reference", [["a"]], "takes text, not list"),
        ("same_reference", ["a", "b@sha256:1"], "invalid image reference"),
        ("same_reference", ["a", 1], "takes text, not int"),
        ("manifest_digest", ["/srv/manifest.json"], "manifest"),
        ("manifest_digest", ["{}"], "is no image"),
        ("manifest_digest", [{"schemaVersion": 2}], "what was parsed has lost its bytes"),
        ("manifest_digest", ["{}", "md5"], "algorithm must be one of sha256, sha384, sha512"),
    ],
)
def test_what_is_wrong(name, values, words):
    with pytest.raises(AnsibleFilterError) as caught:
        apply(name, *values)
    assert words in str(caught.value)
    assert caught.value.__cause__ is None
