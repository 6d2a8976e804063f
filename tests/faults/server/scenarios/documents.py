# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests that are not what they claim: what is in them a test stores itself; here is what comes with them."""

from __future__ import annotations

from ..faults import cut, page, spoilt, with_body, with_headers
from ..kinds import Kind
from ..rules import Scenario, on

_MANIFEST = (Kind.HEAD_MANIFEST, Kind.GET_MANIFEST)
_INDEX = "application/vnd.oci.image.index.v1+json"
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

SCENARIOS = (
    Scenario("ctmismatch", (on(_MANIFEST, with_headers(content_type=_INDEX)),)),
    Scenario("cttext", (on(_MANIFEST, with_headers(content_type="text/plain; charset=utf-8")),)),
    Scenario("ctnone", (on(_MANIFEST, with_headers(content_type=None)),)),
    Scenario("ctschema1", (on(_MANIFEST, with_headers(content_type=_SCHEMA1)),)),
    Scenario("nodigest", (on(_MANIFEST, with_headers(docker_content_digest=None)),)),
    Scenario("lyingdigest", (on(Kind.GET_MANIFEST, with_headers(docker_content_digest="sha256:" + "0" * 64)),)),
    Scenario("baddigest", (on(_MANIFEST, with_headers(docker_content_digest="md5:nothing")),)),
    Scenario("wrongmanifest", (on(Kind.GET_MANIFEST, with_body(spoilt)),)),
    Scenario("pagemanifest", (on(_MANIFEST, page()),)),
    Scenario("cutmanifest", (on(Kind.GET_MANIFEST, cut(), 1),)),
    Scenario("encodedmanifest", (on(Kind.GET_MANIFEST, with_headers(content_encoding=", ".join(["gzip"] * 50))),)),
)
