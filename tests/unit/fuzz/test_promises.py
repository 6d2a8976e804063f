# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of tests/fuzz without a fuzzer: their first inputs, what was found, and some hundred simple mutations.

So the promises are checked on every Python and with every release of the libraries that the unit tests run with.
"""

from __future__ import annotations

import random
import zlib

import pytest

from ansible_collections.longshore.oci.tests.fuzz import oracle
from ansible_collections.longshore.oci.tests.fuzz.targets import TARGETS

MUTATIONS = 300

# What broke a promise once, by target.
FOUND = {
    "tar": [
        # A size behind NULs: 0 to Python's reader, 20 to us.
        b"manifest.json".ljust(100, b"\0") + bytes(24) + b"\0" * 7 + b"0024\0" + bytes(20) + b"0" + bytes(100) + b"ustar\x0000"
        + bytes(247) + b"[ ]".ljust(512, b"\0") + bytes(1024),
    ],
    "reference": [b"a@", b"https://a?#b", b"oci:a:@", b"linux/arm/\xc2\xb2", b"oci-archive:a:@" + b"9" * 5000],
    "auth-file": [
        b" \n",
        b'{"auths": {"a": {"auth": "\\ud800"}}}',
        b'{"auths": {"registry.example": {"identitytoken": "\\ud800"}}}',
    ],
    "skopeo-yaml": [
        b'{"a\\u001b[31m.example": {"keys": 1, "images": {"\\u202e": 1}}}',
        b'{"a\\nb": {"tls-verify": "maybe"}}',
        b'{"a\\ud800": {"images-by-semver": {"x": 1}}}',
    ],
    "manifest": [b'\0{"schemaVersion": 2, "manifests": [], "annotations": {"a": "\\udc00"}}'],
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_keep_every_promise(name: str) -> None:
    inputs = list(TARGETS[name].seeds())
    assert inputs
    for data in inputs:
        TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_keep_every_promise(name: str) -> None:
    target = TARGETS[name]
    inputs = [data for data in target.seeds() if data]
    chance = random.Random(zlib.crc32(name.encode()))
    for unused in range(MUTATIONS):
        data = bytearray(chance.choice(inputs)[: target.longest])
        for unused in range(chance.choice((1, 1, 2, 8))):
            start = chance.randrange(len(data) + 1)
            end = min(len(data), start + chance.choice((0, 1, 4, 30)))
            data[start:end] = chance.choice((b"", chance.choice(inputs)[start : start + 20], chance.randbytes(2), b'"', b"9" * 25))
        try:
            target.check(bytes(data))
        except Exception as exc:
            raise AssertionError(f"{name} breaks with {bytes(data)!r}") from exc


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, inputs in FOUND.items() for data in inputs])
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    TARGETS[name].check(data)


def test_an_error_of_another_kind_is_a_finding() -> None:
    with pytest.raises(KeyError):
        oracle.tried({"a": 1}.__getitem__, "missing")


@pytest.mark.parametrize("message", ["", " ", "a\x1b[31m", "a\nb", "\ud800", "x" * 5000, "a\u202eb"])
def test_a_message_that_cannot_be_shown_is_a_finding(message: str) -> None:
    with pytest.raises(oracle.Broken):
        oracle.check_message(message)


def test_memory_is_measured() -> None:
    with pytest.raises(oracle.Broken, match="this one took"):
        with oracle.bounded_memory():
            # Above all that the process has had at any time.
            held = b"x" * (1024 * (oracle.resource.getrusage(oracle.resource.RUSAGE_SELF).ru_maxrss + oracle.GROWTH))
            assert held
