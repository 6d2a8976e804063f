# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words found in the bodies of errors, and Retry-After (S18, S23, R1.73, R1.74)."""

from __future__ import annotations

import email.utils
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled
from ansible_collections.longshore.oci.plugins.module_utils.registry.http_errors import parse, wait_words
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter, warning_texts
from ansible_collections.longshore.oci.plugins.module_utils.registry.retry import Backoff, Gate, retry_after


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no","detail":"quota"}]}', "DENIED", "no (quota)"),
        (b'{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two"}]}', "A", "one; two"),
        (b'{"errors":[{"code":"UNKNOWN","detail":{"a":1}}]}', "UNKNOWN", '{"a": 1}'),
        (b'{"errors":[{"code":"UNKNOWN","message":"x","detail":{"a":1}}]}', "UNKNOWN", "x"),
        (b'{"errors":[]}', None, ""),
        (b'{"errors":[null,"x",{"code":404}]}', "404", ""),
        (b'{"code":"404","message":"nowhere"}', "404", "nowhere"),
        (b'{"error":"invalid_grant","error_description":"expired"}', None, "expired"),
        (b'{"error":{"code":5,"message":"inner"}}', "5", "inner"),
        (b'{"details":"incorrect username or password"}', None, "incorrect username or password"),
        (b"Not found\n", None, "Not found"),
        (b"{broken", None, "{broken"),
        (b"", None, ""),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
        (b'{"errors":[{"message":"a\\u001b[31mb\\r\\nc\\u202ed"}]}', None, "a [31mb c d"),
        (b'{"errors":[{"message":"see https://h/x?X-Amz-Signature=1"}]}', None, "see https://h/x?..."),
        (b"[" * 100_000, None, "[" * 297 + "..."),
    ],
)
def test_parse(body: bytes, code: str | None, words: str) -> None:
    assert parse(body) == (code, words)


def test_long_messages_are_cut() -> None:
    assert len(parse(b'{"errors":[{"message":"' + b"x" * 20_000 + b'"}]}')[1]) == 300


@pytest.mark.parametrize(("body", "kind"), [(b"  <html>boo", None), (b"boo", "text/html; charset=utf-8")])
def test_s23_html_is_named_not_quoted(body: bytes, kind: str | None) -> None:
    code, words = parse(body, kind)
    assert code is None
    assert words.startswith("an HTML page")
    assert "boo" not in words


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), (" 0 ", 0.0), (None, None), ("", None), ("-1", None), ("soon", None), ("1.5", None), ("\u0661", None)],
)
def test_r1_74_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_r1_74_dates() -> None:
    now = 1_700_000_000.0
    assert retry_after(email.utils.formatdate(now + 90, usegmt=True), now) == 90
    assert retry_after(email.utils.formatdate(now - 90, usegmt=True), now) is None


def test_backoff_grows_and_is_capped() -> None:
    for unused in range(50):
        backoff = Backoff(0.5, 4)
        waits = [backoff.next() for unused in range(10)]
        assert waits == sorted(waits)
        assert all(wait <= min(0.5 * 2**number, 4) for number, wait in enumerate(waits))
    assert len({Backoff().next() for unused in range(10)}) > 1


def test_gate_holds_everybody_and_opens() -> None:
    gate = Gate(threading.Event())
    began = time.monotonic()
    gate.close_for(1)
    gate.close_for(0.01)
    gate.pass_through()
    assert 1 <= time.monotonic() - began < 20
    began = time.monotonic()
    gate.pass_through()
    assert time.monotonic() - began < 0.9


def test_gate_is_left_when_stopped() -> None:
    stop = threading.Event()
    stop.set()
    gate = Gate(stop)
    gate.close_for(60)
    with pytest.raises(Cancelled):
        gate.pass_through()


@pytest.mark.parametrize(("seconds", "words"), [(45, "45 s"), (600, "10 min"), (86400, "24 h")])
def test_wait_words(seconds: float, words: str) -> None:
    assert wait_words(seconds) == words


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ('299 - "a"', ["a"]),
        ('299 - "a", 299 - "b"', ["a", "b"]),
        ('299 - "a \\"quoted\\" \\\\ b"', ['a "quoted" \\ b']),
        ('199 - "a"', []),
        ('299 agent "a"', []),
        ('299 - "a" "Wed, 21 Oct 2015 07:28:00 GMT"', []),
        ("299 - a", []),
        ('299 - ""', []),
        ('299 - "a\x1b[31m"', ["a [31m"]),
        ("", []),
    ],
)
def test_r1_73_warnings(value: str, texts: list[str]) -> None:
    assert warning_texts(value) == texts


def test_r1_73_no_more_than_4_kib_of_a_response_and_each_once() -> None:
    meter = Meter()
    meter.note_warnings("h", [f'299 - "{letter * 1000}"' for letter in "abcdef"])
    meter.note_warnings("h", [f'299 - "{letter * 1000}"' for letter in "abcdef"])
    assert len(meter.warnings) == 4
