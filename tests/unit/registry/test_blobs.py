# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.21-R1.27: existence and downloads, whole and resumed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    DigestMismatch,
    NetworkError,
    NotFound,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import blobs as module
from ansible_collections.longshore.oci.plugins.module_utils.registry.blobs import Blobs, Download
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, Step

DATA = random.Random(1).randbytes(100_000)
DIGEST = Digest.of(DATA)
BLOB = Descriptor("application/octet-stream", DIGEST, len(DATA))
GET, HEAD = f"GET /v2/a/b/blobs/{DIGEST}", f"HEAD /v2/a/b/blobs/{DIGEST}"


def blobs(*script: Step, push: bool = False, retries: int = 5) -> tuple[Blobs, FakeSession]:
    session = FakeSession(*script, retries=retries)
    return Blobs(session, push), session


def part(start: int, data: bytes = DATA, content_range: str = "", **more: Any) -> Answer:
    content_range = content_range or f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    return Answer(206, data[start:], content_range=content_range, **more)


def read(stream: Any, size: int = 7000) -> bytes:
    parts = []
    while True:
        data = stream.read(size)
        assert len(data) <= size
        if not data:
            return b"".join(parts)
        parts.append(data)


def opened(client: Blobs, blob: Descriptor = BLOB, offset: int = 0) -> Download:
    stream = client.open("a/b", blob, offset)
    assert isinstance(stream, Download)
    return stream


def test_head() -> None:
    client, session = blobs((HEAD, Answer(200, DATA)))
    assert client.head("a/b", DIGEST) == len(DATA)
    assert session.calls[0].scopes == ("repository:a/b:pull",)
    client, session = blobs((HEAD, Answer(404)))
    assert client.head("a/b", DIGEST) is None
    client, session = blobs((HEAD, Answer(200, DATA, chunked=True)))
    assert client.head("a/b", DIGEST) is None


def test_a_refused_head_at_a_destination_is_answered_by_the_upload() -> None:
    """R1.27"""
    client, session = blobs((HEAD, Answer(403)), push=True)
    assert client.head("a/b", DIGEST) is None
    client, session = blobs((HEAD, Answer(403)))
    with pytest.raises(AccessDenied):
        client.head("a/b", DIGEST)


def test_one_request_for_a_whole_blob() -> None:
    client, session = blobs((GET, Answer(200, DATA)))
    stream = opened(client)
    assert read(VerifyingReader(stream, DIGEST, len(DATA))) == DATA
    assert not stream.resumed
    (call,) = session.calls
    assert call.headers == {}
    stream.close()


def test_not_there() -> None:
    client, session = blobs((GET, Answer(404)))
    with pytest.raises(NotFound, match=f"blob {DIGEST} of registry.test/a/b"):
        client.open("a/b", BLOB)


def test_embedded_data_needs_no_request() -> None:
    client, session = blobs()
    blob = replace(BLOB, data=DATA)
    assert read(client.open("a/b", blob)) == DATA
    assert read(client.open("a/b", blob, 99_990)) == DATA[99_990:]
    assert client.read("a/b", blob, 10) == DATA


def test_nothing_is_not_asked_for() -> None:
    """R1.24"""
    client, session = blobs()
    assert read(client.open("a/b", replace(BLOB, size=0))) == b""
    assert read(client.open("a/b", BLOB, len(DATA))) == b""


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_another_size_is_refused_before_a_byte_is_read(size: int) -> None:
    """R1.21"""
    client, session = blobs((GET, Answer(200, DATA)))
    with pytest.raises(SizeMismatch, match="100000 bytes"):
        client.open("a/b", replace(BLOB, size=size))
    assert session.answers[0].closed and session.answers[0]._position == 0


def test_an_endless_blob_is_read_to_one_byte_past_its_size() -> None:
    """R1.21"""
    client, session = blobs((GET, Answer(200, DATA, chunked=True)))
    assert len(read(opened(client, replace(BLOB, size=50_000)), 1 << 20)) == 50_001
    assert session.answers[0]._position == 50_001
    client, session = blobs((GET, Answer(200, DATA, chunked=True)))
    with pytest.raises(SizeMismatch):
        read(VerifyingReader(opened(client, replace(BLOB, size=50_000)), DIGEST, 50_000))


def test_resumed_by_range() -> None:
    """R1.23"""
    client, session = blobs((GET, Answer(200, DATA, breaks_after=60_000, etag='"x"')), (GET, part(60_000)))
    stream = opened(client)
    assert read(stream) == DATA
    assert stream.resumed
    assert session.calls[1].headers == {"Range": "bytes=60000-", "If-Range": '"x"'}
    assert session.answers[0].closed
    assert session.pauses == []


@pytest.mark.parametrize("etag", ['W/"x"', "x", '"', ""])
def test_only_strong_etags_are_conditions(etag: str) -> None:
    more = {"etag": etag} if etag else {}
    client, session = blobs((GET, Answer(200, DATA, breaks_after=60_000, **more)), (GET, part(60_000)))
    assert read(opened(client)) == DATA
    assert session.calls[1].headers == {"Range": "bytes=60000-"}


def test_resumed_after_an_end_that_came_too_early() -> None:
    """No Content-Length, so that only the descriptor tells: trunceof."""
    client, session = blobs((GET, Answer(200, DATA[:60_000], chunked=True)), (GET, part(60_000)))
    stream = opened(client)
    assert read(stream) == DATA
    assert stream.resumed


def test_range_ignored_is_a_new_start() -> None:
    """R1.23: resetnorange"""
    client, session = blobs((GET, Answer(200, DATA, breaks_after=60_000)), (GET, Answer(200, DATA)))
    assert read(opened(client)) == DATA
    assert session.done


@pytest.mark.parametrize(
    "second",
    [
        part(60_000, content_range=f"bytes 59999-99999/{len(DATA)}"),
        part(60_000, content_range=f"bytes 60000-99998/{len(DATA)}"),
        part(60_000, content_range="bytes 60000-99999/100001"),
        part(60_000, content_range="60000-99999/100000"),
        part(60_000, content_range="bytes 60000-99999/100000, bytes 0-1/2"),
        part(60_000, DATA[:-1]),
        Answer(206, DATA[60_000:]),
        Answer(416, b"x" * 33, content_length=str(len(DATA))),
    ],
)
def test_what_does_not_fit_is_never_spliced(second: Answer) -> None:
    """R1.23: resetbadrange; R1.24: the body of a 416 is not read"""
    client, session = blobs((GET, Answer(200, DATA, breaks_after=60_000)), (GET, second), (GET, Answer(200, DATA)))
    assert read(opened(client)) == DATA
    assert session.answers[1].closed and session.answers[1]._position == 0
    assert session.calls[2].headers == {}


def test_an_unknown_total_is_fine() -> None:
    client, session = blobs((GET, Answer(200, DATA, breaks_after=60_000)), (GET, part(60_000, content_range="bytes 60000-99999/*")))
    assert read(opened(client)) == DATA


def test_a_broken_restart_is_resumed_where_the_reader_is() -> None:
    client, session = blobs(
        (GET, Answer(200, DATA, breaks_after=60_000)),
        (GET, Answer(200, DATA, breaks_after=30_000)),
        (GET, Answer(200, DATA, breaks_after=80_000)),
        (GET, part(80_000)),
    )
    assert read(opened(client)) == DATA
    assert [call.headers.get("Range") for call in session.calls] == [
        None,
        "bytes=60000-",
        "bytes=60000-",
        "bytes=80000-",
    ]


def test_no_end_of_breaks_is_an_end() -> None:
    """resetalways: a thousand bytes at a time are no progress"""
    script = [(GET, Answer(200, DATA, breaks_after=1000))]
    script += [(GET, part(1000 * n, breaks_after=1000)) for n in range(1, 6)]
    client, session = blobs(*script)
    stream = opened(client)
    with pytest.raises(NetworkError, match=f"blob {DIGEST} of registry.test/a/b.*asked 6 times.*after byte 6000"):
        read(stream)
    assert session.done
    assert len(session.pauses) == 4
    assert max(session.pauses) <= 2


def test_retries_can_be_turned_off() -> None:
    client, session = blobs((GET, Answer(200, DATA, breaks_after=1000)), retries=0)
    with pytest.raises(NetworkError, match="closed the connection$"):
        read(opened(client))


def test_progress_begins_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 4.1"""
    monkeypatch.setattr(module, "PROGRESS", 1000)
    script = [(GET, Answer(200, DATA, breaks_after=10_000))]
    script += [(GET, part(10_000 * n, breaks_after=10_000)) for n in range(1, 10)]
    client, session = blobs(*script)
    assert read(opened(client)) == DATA
    assert session.done


def test_a_break_after_the_last_byte_is_none() -> None:
    client, session = blobs((GET, Answer(200, DATA, breaks_after=len(DATA), chunked=True)))
    stream = opened(client)
    assert read(VerifyingReader(stream, DIGEST, len(DATA))) == DATA
    assert not stream.resumed


def test_errors_that_cannot_pass_are_not_tried_again() -> None:
    class Broken(Answer):
        def read(self, size: int = 0) -> bytes:
            raise NetworkError("no TLS", transient=False)

    client, session = blobs((GET, Broken(200, DATA)))
    with pytest.raises(NetworkError, match="no TLS"):
        read(opened(client))


def test_from_an_offset() -> None:
    client, session = blobs((GET, part(40_000)))
    stream = opened(client, offset=40_000)
    assert read(stream) == DATA[40_000:]
    assert not stream.resumed
    client, session = blobs((GET, Answer(200, DATA)))
    assert read(opened(client, offset=40_000)) == DATA[40_000:]


def test_read_whole() -> None:
    client, session = blobs((GET, Answer(200, DATA)))
    assert client.read("a/b", BLOB, len(DATA)) == DATA
    client, session = blobs()
    with pytest.raises(SizeMismatch, match="100.0 kB"):
        client.read("a/b", BLOB, len(DATA) - 1)
    client, session = blobs((GET, Answer(200, bytes(len(DATA)))))
    with pytest.raises(DigestMismatch):
        client.read("a/b", BLOB, len(DATA))


def test_a_wrong_digest_after_a_resume_is_read_once_more_in_one_piece() -> None:
    """R1.25: resetbadtail"""
    wrong = bytes(len(DATA))

    def spliced() -> list[Step]:
        return [(GET, Answer(200, DATA, breaks_after=60_000)), (GET, part(60_000, wrong))]

    client, session = blobs(*spliced(), (GET, Answer(200, DATA)))
    assert client.read("a/b", BLOB, len(DATA)) == DATA
    client, session = blobs(*spliced(), (GET, Answer(200, wrong)))
    with pytest.raises(DigestMismatch):
        client.read("a/b", BLOB, len(DATA))
    assert session.done
