# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WWW-Authenticate: what a registry asks for."""

from __future__ import annotations

from ansible_collections.longshore.oci.plugins.module_utils.registry.challenge import Challenge, parse_challenges
from ansible_collections.longshore.oci.tests.fuzz.oracle import expect, tried


def check(data: bytes) -> None:
    """Each line of ``data`` is one header line, decoded as HTTP does."""
    lines = data.decode("latin-1").split("\n")
    found = tried(parse_challenges, lines)
    if found is None:
        return
    expect(len(found) <= 32 * len(lines), "there are not more challenges than a line may have")
    for challenge in found:
        expect(challenge.scheme == challenge.scheme.lower() and bool(challenge.scheme), "a scheme is in lower case")
        for name, value in challenge.params.items():
            expect(name == name.lower() and bool(name), "the name of a parameter is in lower case")
            expect(not any(ord(char) < 32 and char != "\t" for char in value), "a parameter has no control characters")
    expect(parse_challenges(_written(found)) == found, "challenges written anew are the same")


def _written(challenges: list[Challenge]) -> list[str]:
    lines = []
    for scheme, params in challenges:
        if set(params) == {"token68"} and _is_token68(params["token68"]):
            lines.append(f"{scheme} {params['token68']}")
            continue
        pairs = (f'{name}="{_escaped(value)}"' for name, value in params.items())
        lines.append(f"{scheme} {', '.join(pairs)}")
    return lines


def _is_token68(value: str) -> bool:
    return bool(value.rstrip("=")) and all(char.isascii() and (char.isalnum() or char in "._~+/-") for char in value.rstrip("="))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
