# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.31, R1.33, R1.34: uploads that break off, go on, and go in parts; over a real connection."""

from __future__ import annotations

import contextlib
import io
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    Cancelled,
    DigestMismatch,
    NetworkError,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry import upload_delivery, upload_parts, uploads
from ansible_collections.longshore.oci.plugins.module_utils.registry.blobs import Blobs
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.plugins.module_utils.registry.upload_parts import MIB, PartSizes
from ansible_collections.longshore.oci.plugins.module_utils.registry.upload_source import UploadSource
from ansible_collections.longshore.oci.tests.servers.wire import UP, Fault, Wire
from ansible_collections.longshore.oci.tests.unit.registry.fake import Answer, Fake, by_path, in_turn, reply
from ansible_collections.longshore.oci.tests.unit.registry.upload_registry import UploadRegistry

DATA = random.Random(3).randbytes(20 * MIB)
DIGEST = Digest.of(DATA)
BLOB = Descriptor("application/octet-stream", DIGEST, len(DATA))


class Opener:
    """The blob, from any byte; knows from which it was opened, how much was read, and whether all was closed."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.starts: list[int] = []
        self.streams: list[io.BytesIO] = []
        self.read = 0

    def __call__(self) -> Any:
        return self.at(0)

    def at(self, offset: int) -> Any:
        self.starts.append(offset)
        opener = self

        class Counting(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                data = super().read(size)
                opener.read += len(data)
                return data

        self.streams.append(Counting(self.data[offset:]))
        return self.streams[-1]

    @property
    def closed(self) -> bool:
        return all(stream.closed for stream in self.streams)


class Line:
    """An upload to a registry over a line with faults."""

    def __init__(self, registry: UploadRegistry, faults: list[Fault], every: Fault | None, stack: contextlib.ExitStack) -> None:
        self.registry = registry
        self.fake = stack.enter_context(Fake(registry))
        self.wire = stack.enter_context(Wire(self.fake.port, faults, every))
        self.stop = threading.Event()
        settings = Settings(plain_http=True, retries=2)
        self.session = Session(self.wire.host, settings, Meter(), stop=self.stop)
        self.uploads = uploads.Uploads(self.session, Blobs(self.session, True))

    def upload(self, opener: Callable[[], Any], blob: Descriptor = BLOB) -> None:
        self.uploads.upload("a/b", blob, opener)

    @property
    def methods(self) -> list[str]:
        # As they began: one that broke off is noted only when its end is seen, which others may overtake.
        return [one.method for one in sorted(self.fake.log, key=lambda one: one.moment)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_delivery.Backoff, "next", lambda unused: 0.1)


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    with contextlib.ExitStack() as stack:

        def made(registry: UploadRegistry, *faults: Fault, every: Fault | None = None) -> Line:
            return Line(registry, list(faults), every, stack)

        yield made


def test_what_does_not_break_goes_in_one_request(line: Callable[..., Line]) -> None:
    one = line(UploadRegistry())
    opener = Opener()
    one.upload(opener)
    assert one.methods == ["POST", "PUT"]
    assert opener.starts == [0] and opener.closed


def test_a_broken_upload_goes_on_where_the_registry_says(line: Callable[..., Line]) -> None:
    """R1.34 (2), R1.31: the same session, the newest Location, the rest alone, on both sides."""
    one = line(UploadRegistry(), Fault(UP, 11 * MIB))
    opener = Opener()
    one.upload(opener)
    assert one.registry.blobs == {str(DIGEST): DATA}
    assert one.registry.begun == 1
    assert one.methods[:4] == ["POST", "PUT", "HEAD", "GET"] and set(one.methods[4:-1]) == {"PATCH"}
    assert one.wire.bytes(UP) < len(DATA) + MIB
    # From the last noted state of the hash on, not from the beginning.
    assert opener.starts[0] == 0 and 4 * MIB <= opener.starts[1] <= 11 * MIB
    assert opener.read < len(DATA) + 8 * MIB
    assert opener.closed


@pytest.mark.parametrize("loses", [0, 1, 300_000, 3 * MIB])
def test_it_breaks_again_and_again(line: Callable[..., Line], loses: int) -> None:
    """As long as it gets on, no count of breaks ends it."""
    one = line(UploadRegistry(loses=loses), every=Fault(UP, 4 * MIB + 200_000))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA}
    assert one.registry.begun == 1


def test_a_source_that_opens_at_the_beginning_only(line: Callable[..., Line]) -> None:
    one = line(UploadRegistry(), Fault(UP, 11 * MIB))
    opener = Opener()
    one.upload(lambda: opener.at(0))
    assert one.registry.blobs == {str(DIGEST): DATA}
    assert opener.starts == [0, 0]
    assert one.registry.begun == 1


@pytest.mark.parametrize(
    "registry",
    [
        lambda: UploadRegistry(patch_status=201, says_range="part"),
        lambda: UploadRegistry(patch_status=204, says_range="none"),
        lambda: UploadRegistry(says_range="stale"),
        lambda: UploadRegistry(forgets=True),
    ],
    ids=["aliyun", "gitea", "stale", "forgetful"],
)
def test_registries_differ(line: Callable[..., Line], registry: Callable[[], UploadRegistry]) -> None:
    """R1.33: what a 2xx says of the range is not believed; a wrong answer to GET costs time, never a wrong blob."""
    one = line(registry(), Fault(UP, 10 * MIB), Fault(UP, 3 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA}
    assert one.registry.begun <= 3


def test_parts_are_as_long_as_the_registry_wants(line: Callable[..., Line]) -> None:
    """OCI-Chunk-Min-Length"""
    one = line(UploadRegistry(minimum=5 * MIB), Fault(UP, 9 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA}
    assert [end - start + 1 for start, end in one.registry.parts][0] == 5 * MIB


def test_a_part_that_does_not_fit_is_asked_about(line: Callable[..., Line]) -> None:
    """416, then GET: on from what is there."""
    refuse: dict[int, Answer] = {2: reply(416, b'{"errors":[{"code":"RANGE_INVALID"}]}')}
    one = line(UploadRegistry(refuse=refuse), Fault(UP, 10 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA} and one.registry.begun == 1
    assert one.methods.count("GET") == 2


@pytest.mark.parametrize("answer", [reply(429, headers={"Retry-After": "1"}), reply(503, headers={"Retry-After": "1"})])
def test_retry_after_between_parts(line: Callable[..., Line], answer: Answer) -> None:
    """R1.74: waited for, and the same part sent again."""
    one = line(UploadRegistry(refuse={2: answer}), Fault(UP, 10 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA} and one.registry.begun == 1
    refused, again = [one for one in one.fake.log if one.method == "PATCH"][1:3]
    assert again.moment - refused.moment >= 1
    assert refused.headers["content-range"] == again.headers["content-range"]
    assert refused.body == again.body


def test_no_retry_after_and_429_is_a_pause(line: Callable[..., Line]) -> None:
    one = line(UploadRegistry(refuse={2: reply(429)}), Fault(UP, 10 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA} and one.registry.begun == 1


@pytest.mark.parametrize("status", [400, 404, 405, 415, 416, 501])
def test_a_registry_that_takes_no_parts_gets_none(line: Callable[..., Line], status: int) -> None:
    refuse = dict.fromkeys(range(1, 100), reply(status, b"{}"))
    one = line(UploadRegistry(forgets=True, refuse=refuse), Fault(UP, 10 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA} and one.registry.begun == 3
    assert [method for method in one.methods if method in ("PUT", "PATCH")] == ["PUT", "PATCH", "PUT"]


def test_a_blob_that_changes_between_the_tries_is_never_completed(line: Callable[..., Line]) -> None:
    """What is sent after the break is verified together with all before it."""
    one = line(UploadRegistry(), Fault(UP, 11 * MIB))

    class Changing(Opener):
        def at(self, offset: int) -> Any:
            self.data = DATA if not self.starts else DATA[:-1] + bytes([DATA[-1] ^ 1])
            return super().at(offset)

    opener = Changing()
    with pytest.raises(DigestMismatch):
        one.upload(opener)
    assert one.registry.blobs == {} and one.registry.uploads == {}
    assert len(opener.starts) == 2 and opener.closed


@pytest.mark.parametrize(("loses", "after"), [(0, 200_000), (5 * MIB, 3 * MIB)])
def test_it_ends(line: Callable[..., Line], loses: int, after: int) -> None:
    """Three sessions that never get on."""
    one = line(UploadRegistry(loses=loses), every=Fault(UP, after))
    opener = Opener()
    with pytest.raises(NetworkError):
        one.upload(opener)
    assert one.registry.blobs == one.registry.uploads == {} and opener.closed
    assert one.registry.begun == 3


def test_parts_that_never_fit_end_the_session(line: Callable[..., Line]) -> None:
    """416 for ever: so many tries without getting on, then another session."""
    refuse = dict.fromkeys(range(2, 6), reply(416, b"{}"))
    one = line(UploadRegistry(refuse=refuse), Fault(UP, 10 * MIB))
    one.upload(Opener())
    assert one.registry.blobs == {str(DIGEST): DATA} and one.registry.begun == 2
    assert one.methods.count("GET") == 5


def test_to_be_told_to_stop_ends_a_pause(line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_delivery.Backoff, "next", lambda unused: 60.0)
    one = line(UploadRegistry(), Fault(UP, 11 * MIB))
    threading.Timer(1.0, one.stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        one.upload(Opener())
    assert time.monotonic() - began < 10
    assert one.methods[-1] == "DELETE" and one.registry.uploads == {}


def limited(limit: int, registry: UploadRegistry) -> Answer:
    def answer(request: Any, peer: Any) -> None:
        (reply(413, b"<html>") if len(request.body) > limit else registry)(request, peer)

    return answer


def test_413_is_answered_by_shorter_requests() -> None:
    registry = UploadRegistry()
    with Fake(limited(3 * MIB, registry)) as fake:
        client = Session(fake.host, Settings(plain_http=True), Meter())
        one = uploads.Uploads(client, Blobs(client, True))
        one.upload("a/b", BLOB, Opener())
        assert registry.blobs == {str(DIGEST): DATA} and registry.begun == 1
        assert [len(one.body) // MIB for one in fake.log if one.method in ("PUT", "PATCH")] == [20, 16, 8, 4, *[2] * 10, 0]
        # The next one knows.
        other = DATA[: 5 * MIB]
        before = len(fake.log)
        one.upload("a/b", Descriptor("x/y", Digest.of(other), len(other)), Opener(other))
        assert [f"{one.method} {len(one.body) // MIB}" for one in fake.log[before:]] == [
            "POST 0",
            "PATCH 2",
            "PATCH 2",
            "PATCH 1",
            "PUT 0",
        ]


def test_413_for_everything_is_told_with_what_was_tried() -> None:
    registry = UploadRegistry()
    with Fake(limited(1000, registry)) as fake:
        client = Session(fake.host, Settings(plain_http=True), Meter())
        with pytest.raises(RegistryError, match=r"raise that limit there.*even parts of 1\.0 MB") as caught:
            uploads.Uploads(client, Blobs(client, True)).upload("a/b", BLOB, Opener())
        assert caught.value.status_code == 413
        assert registry.blobs == registry.uploads == {}


@pytest.mark.parametrize("host", ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"])
def test_google_gets_no_parts(host: str) -> None:
    sizes = PartSizes(host)
    assert sizes.refused(100 * MIB) == 0 and sizes.broken(100 * MIB, 0) == 0 and not sizes.tells


def test_lengths() -> None:
    """R1.33"""
    github, amazon = PartSizes("ghcr.io"), PartSizes("1.dkr.ecr.eu-west-1.amazonaws.com")
    assert github.refused(100 * MIB) == 4 * MIB and github.broken(500 * MIB, 0) == 4 * MIB
    assert amazon.broken(9 * MIB, 0) >= 5 * MIB and not amazon.tells
    assert amazon.refused(8 * MIB) == 0 and amazon.refused(100 * MIB) == 64 * MIB
    plain = PartSizes("registry.test:5000")
    assert plain.tells and plain.first(1 << 40) == 0
    assert plain.broken(upload_parts.GOOD_WAY - 1, 0) == 0
    assert plain.broken(100 * MIB, 0) == 32 * MIB
    assert plain.broken(32 * MIB, 32 * MIB) == 8 * MIB
    assert plain.broken(100 * MIB, 0, minimum=50 * MIB) == 50 * MIB
    assert plain.refused(100_000_000) == 64 * MIB and plain.first(65 * MIB) == 64 * MIB and plain.first(64 * MIB) == 0
    assert plain.refused(64 * MIB) == 32 * MIB and plain.refused(64 * MIB) == 32 * MIB
    assert plain.refused(MIB) == 0 and plain.first(1 << 40) == 0


def test_marks_are_few_however_large_the_blob() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

        def close(self) -> None:
            return

    source = UploadSource(Descriptor("x/y", DIGEST, 1 << 40), Endless)
    part = source.part(0, 1 << 40).open()
    while source.reached < 300 * MIB:
        part.read(MIB)
    assert len(source._marks) == 32
    assert source._marks[-1][0] == 300 * MIB


def test_an_answer_to_get_that_cannot_be_true() -> None:
    """More than was sent, none at all, none or one (distribution-spec issue 577): another session."""
    for said in ("0-99999999999", "1-5", "", "0-0", "0--1", "nonsense"):
        registry = UploadRegistry()
        place = {"Location": "/up/x?v=1"}
        answers = {"POST": reply(202, headers=place), "PUT": in_turn(reply(500), reply(201)), "DELETE": reply(404)}
        answers["GET"] = reply(204, headers={**place, "Range": said} if said else place)
        with Fake(by_path({f"{method} {path}": answer for method, answer in answers.items() for path in PATHS})) as fake:
            client = Session(fake.host, Settings(plain_http=True), Meter())
            uploads.Uploads(client, Blobs(client, True)).upload("a/b", SMALL, Opener(DATA[: 2 * MIB]))
            assert [one.method for one in fake.log] == ["POST", "PUT", "HEAD", "GET", "DELETE", "POST", "PUT"], said
        assert registry.blobs == {}


PATHS = ("/v2/a/b/blobs/uploads/", "/up/x")
SMALL = Descriptor("x/y", Digest.of(DATA[: 2 * MIB]), 2 * MIB)
