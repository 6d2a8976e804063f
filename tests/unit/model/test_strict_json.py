# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that has one meaning only (R1.14)."""

from __future__ import annotations

import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import strict_json
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidManifest


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a": [1, -2, 3.5, null, true, "\\u00e4\xc3\xa4"]}\n', {"a": [1, -2, 3.5, None, True, "\u00e4\u00e4"]}),
        (b'{"a": {"a": {"a": 1}}}', {"a": {"a": {"a": 1}}}),
        (b'["\\ud83d\\ude00", "\\\\ud800"]', ["\U0001f600", "\\ud800"]),
        (b"[" * 64 + b"]" * 64, None),
        (b'{"a": "' + b"[" * 1000 + b'"}', {"a": "[" * 1000}),
        (b'{"a\\"[": "\\\\' + b"{" * 100 + b'"}', {'a"[': "\\" + "{" * 100}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"[" + b"{}," * 500 + b"{}]", [{}] * 501),
    ],
)
def test_r1_14_valid(raw: bytes, value: object) -> None:
    parsed = strict_json.loads(raw)
    if value is not None:
        assert parsed == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"nothing",
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"layers": [], "config": {"x": 1, "x": 2}}',
        b'[{"b": {"a": 1, "a": 2}}]',
        b"{} {}",
        b"{}x",
        b"{}\x00",
        b"{}\x0b",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b'{"\\uDFFF": 1}',
        b'["\\udc00\\ud800"]',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b"9" * 5000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 200_000,
        b"{'a': 1}",
        b'{"a": 01}',
        b'{"a": 1,}',
        b'{"a": "\n"}',
        b"// x\n{}",
    ],
)
def test_r1_14_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidManifest, match="manifest of x is not valid JSON"):
        strict_json.loads(raw, "manifest of x")


def test_an_object_is_expected() -> None:
    assert strict_json.load_object(b'{"a": 1}') == {"a": 1}
    for raw in (b"[]", b"1", b"null", b'"x"'):
        with pytest.raises(InvalidManifest, match="not a JSON object"):
            strict_json.load_object(raw)


def test_s8_depth_is_checked_in_linear_time() -> None:
    raw = b'{"a": [' + b'"[\\\\\\"",' * 300_000 + b"1]}"
    started = time.process_time()
    assert len(strict_json.loads(raw)["a"]) == 300_001
    assert time.process_time() - started < 5
