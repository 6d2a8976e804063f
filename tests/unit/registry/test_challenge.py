# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WWW-Authenticate (R1.60)."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ContentError
from ansible_collections.longshore.oci.plugins.module_utils.registry.challenge import Challenge, parse_challenges

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "www-authenticate.json").read_bytes())["vectors"]


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 28


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: " | ".join(vector["header_lines"])[:60])
def test_r1_60_vector(vector: dict[str, Any]) -> None:
    if vector["expect"] == "ERROR":
        with pytest.raises(ContentError, match="malformed WWW-Authenticate"):
            parse_challenges(vector["header_lines"])
    else:
        assert parse_challenges(vector["header_lines"]) == [Challenge(*one) for one in vector["expect"]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        (" , ", []),
        ("Basic ", [("basic", {})]),
        ("Basic , Bearer realm=x", [("basic", {}), ("bearer", {"realm": "x"})]),
        ("NTLM\t,Basic", [("ntlm", {}), ("basic", {})]),
        ("Negotiate a==", [("negotiate", {"token68": "a=="})]),
        ('Basic realm="a",, charset="UTF-8"', [("basic", {"realm": "a", "charset": "UTF-8"})]),
        (
            'Digest realm="a, Basic realm=b", qop="auth,auth-int"',
            [("digest", {"realm": "a, Basic realm=b", "qop": "auth,auth-int"})],
        ),
        ("Bearer realm=https://a/t?x=1,service=s", [("bearer", {"realm": "https://a/t?x=1", "service": "s"})]),
    ],
)
def test_r1_60_forms_beyond_the_vectors(line: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges([line]) == [Challenge(*one) for one in expected]


@pytest.mark.parametrize(
    "line",
    ["=", '"x"', "Basic a=b,realm=", 'Basic realm="a" Basic', "Basic realm=\n", "Basic a b", "x," * 33, "Basic " + "a" * 20000],
)
def test_r1_60_what_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises(ContentError):
        parse_challenges([line])


def test_a_long_line_is_read_in_linear_time() -> None:
    line = "Basic " + ",".join(f"k{number}=v" for number in range(1800))
    started = time.process_time()
    assert len(parse_challenges([line])[0].params) == 1800
    assert time.process_time() - started < 1
