# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.27-R1.38: mounts, uploads, and what becomes of uploads that fail."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    Cancelled,
    ContentError,
    DigestMismatch,
    NetworkError,
    OciError,
    RateLimited,
    RegistryError,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.blobs import Blobs
from ansible_collections.longshore.oci.plugins.module_utils.registry.uploads import MOUNTED, UPLOADED, Uploads
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, Call, FakeSession, Step, errors

DATA = random.Random(1).randbytes(700_000)
DIGEST = Digest.of(DATA)
BLOB = Descriptor("application/octet-stream", DIGEST, len(DATA))
QUOTED = str(DIGEST).replace(":", "%3A")
UPLOADS = "/v2/a/b/blobs/uploads/"
POST = f"POST {UPLOADS}"
MOUNT = f"POST {UPLOADS}?mount={QUOTED}&from=c%2Fd"
HEAD = f"HEAD /v2/a/b/blobs/{DIGEST}"
PLACE = "https://registry.test/v2/a/b/blobs/uploads/1?_state=x%3D%7e"
PUT = f"PUT {PLACE}&digest={QUOTED}"
DELETE = f"DELETE {PLACE}"
WRITE = ("repository:a/b:pull,push",)


class Opener:
    """Opens the blob, and knows how often and whether every stream was closed."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.streams: list[io.BytesIO] = []

    def __call__(self) -> io.BytesIO:
        self.streams.append(io.BytesIO(self.data))
        return self.streams[-1]

    @property
    def count(self) -> int:
        assert all(stream.closed for stream in self.streams)
        return len(self.streams)


def uploads(*script: Step) -> tuple[Uploads, FakeSession]:
    session = FakeSession(*script)
    return Uploads(session, Blobs(session, True)), session


def begun(location: str = PLACE) -> Answer:
    return Answer(202, location=location)


def created() -> Answer:
    return Answer(201, docker_content_digest=str(DIGEST))


def dropped(*unused: Call) -> NetworkError:
    return NetworkError("registry registry.test closed the connection")


def test_post_and_put() -> None:
    client, session = uploads((POST, begun()), (PUT, created()))
    opener = Opener()
    assert client.upload("a/b", BLOB, opener) == UPLOADED
    post, put = session.calls
    assert (post.body, post.scopes, post.idempotent) == (b"", WRITE, True)
    assert (put.body, put.scopes, put.idempotent) == (DATA, WRITE, False)
    assert put.headers == {"Content-Type": "application/octet-stream"}
    assert opener.count == 1


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/a/b/blobs/uploads/1", "https://registry.test/v2/a/b/blobs/uploads/1?"),
        ("/v2/a/b/blobs/uploads/1?", "https://registry.test/v2/a/b/blobs/uploads/1?"),
        ("1?_state=a%2Fb%2bc%3D&e=~%7E", "https://registry.test/v2/a/b/blobs/uploads/1?_state=a%2Fb%2bc%3D&e=~%7E&"),
        ("//other.test//up/1?x=y&", "https://other.test//up/1?x=y&"),
        ("https://other.test/up/../1", "https://other.test/up/../1?"),
    ],
)
def test_locations(location: str, target: str) -> None:
    """R1.30"""
    client, session = uploads((POST, begun(location)), (f"PUT {target}digest={QUOTED}", created()))
    client.upload("a/b", BLOB, Opener())
    assert session.done


def test_no_location() -> None:
    """R1.29"""
    client, session = uploads((POST, Answer(202)))
    with pytest.raises(RegistryError, match="no Location"):
        client.upload("a/b", BLOB, Opener())


def test_a_post_that_finds_the_blob() -> None:
    """R1.29"""
    client, session = uploads((POST, Answer(201)), (HEAD, Answer(200, DATA)))
    opener = Opener()
    assert client.upload("a/b", BLOB, opener) == UPLOADED
    assert opener.count == 0


def test_an_empty_blob() -> None:
    """R1.36"""
    empty = replace(BLOB, digest=Digest.of(b""), size=0)
    put = f"PUT {PLACE}&digest={str(empty.digest).replace(':', '%3A')}"
    client, session = uploads((POST, begun()), (put, Answer(201)))
    opener = Opener(b"")
    client.upload("a/b", empty, opener)
    assert session.calls[1].body == b""
    assert opener.count == 1
    client, session = uploads((POST, begun()), (DELETE, Answer(204)))
    with pytest.raises(SizeMismatch):
        client.upload("a/b", empty, Opener(b"x"))
    assert session.done
    client, session = uploads((POST, begun()), (DELETE, Answer(204)))
    with pytest.raises(DigestMismatch):
        client.upload("a/b", replace(BLOB, size=0), Opener(b""))


def test_mounted() -> None:
    """R1.28"""
    client, session = uploads((MOUNT, created()))
    opener = Opener()
    assert client.upload("a/b", BLOB, opener, "c/d") == MOUNTED
    assert opener.count == 0
    (call,) = session.calls
    assert call.scopes == (*WRITE, "repository:c/d:pull")
    assert call.body == b""


def test_a_mount_that_opens_an_upload_is_used_for_it() -> None:
    """R1.28: no second POST"""
    client, session = uploads((MOUNT, begun()), (PUT, created()))
    assert client.upload("a/b", BLOB, Opener(), "c/d") == UPLOADED
    assert session.done


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 415, 500])
def test_a_refused_mount_is_an_upload(status: int) -> None:
    """R1.28"""
    client, session = uploads((MOUNT, Answer(status, errors("X"))), (POST, begun()), (PUT, created()))
    assert client.upload("a/b", BLOB, Opener(), "c/d") == UPLOADED
    assert session.done


def test_a_mount_for_which_there_is_no_token_is_an_upload() -> None:
    client, session = uploads((MOUNT, AccessDenied("no token")), (POST, begun()), (PUT, created()))
    assert client.upload("a/b", BLOB, Opener(), "c/d") == UPLOADED


def test_mount_alone() -> None:
    client, session = uploads((MOUNT, created()))
    assert client.mount("a/b", BLOB, "c/d") is True
    client, session = uploads((MOUNT, begun()), (DELETE, Answer(204)))
    assert client.mount("a/b", BLOB, "c/d") is False
    assert session.done
    client, session = uploads((MOUNT, Answer(404)))
    assert client.mount("a/b", BLOB, "c/d") is False


@pytest.mark.parametrize("status", [200, 202, 204])
def test_other_successes_are_looked_into(status: int) -> None:
    """R1.32"""
    client, session = uploads((POST, begun()), (PUT, Answer(status)), (HEAD, Answer(200, DATA)))
    assert client.upload("a/b", BLOB, Opener()) == UPLOADED
    assert session.done


def test_a_success_that_stored_nothing_is_tried_again_and_then_an_error() -> None:
    one = [(POST, begun()), (PUT, Answer(200)), (HEAD, Answer(404)), (HEAD, Answer(404)), (DELETE, Answer(204))]
    client, session = uploads(*one, *one, *one)
    with pytest.raises(RegistryError, match="does not have it"):
        client.upload("a/b", BLOB, Opener())
    assert session.done


def test_another_digest_in_the_answer_is_no_success() -> None:
    """R1.32"""
    other = Answer(201, docker_content_digest="sha256:" + "0" * 64)
    client, session = uploads(
        (POST, begun()), (PUT, other), (HEAD, Answer(404)), (DELETE, Answer(204)), (POST, begun()), (PUT, created())
    )
    assert client.upload("a/b", BLOB, Opener()) == UPLOADED
    digest = Digest.of(DATA, "sha512")
    put = f"PUT {PLACE}&digest={str(digest).replace(':', '%3A')}"
    client, session = uploads((POST, begun()), (put, created()))
    assert client.upload("a/b", replace(BLOB, digest=digest), Opener()) == UPLOADED


LOST: list[Any] = [
    dropped,
    Answer(404, errors("BLOB_UPLOAD_UNKNOWN")),
    Answer(404, b"404 page not found"),
    Answer(416, errors("BLOB_UPLOAD_INVALID")),
    Answer(400, errors("BLOB_UPLOAD_INVALID")),
    Answer(500, errors("UNKNOWN")),
    Answer(504, b"<html>"),
    Answer(429),
]


@pytest.mark.parametrize("failure", LOST)
def test_a_lost_answer_is_found_without_sending_again(failure: Any) -> None:
    """R1.34 (1)"""
    client, session = uploads((POST, begun()), (PUT, failure), (HEAD, Answer(200, DATA)))
    opener = Opener()
    assert client.upload("a/b", BLOB, opener) == UPLOADED
    assert opener.count == 1
    assert session.done


@pytest.mark.parametrize("failure", LOST)
@pytest.mark.parametrize("after", [Answer(404), Answer(200, DATA[:10]), NetworkError("gone")])
def test_a_lost_session_is_replaced(failure: Any, after: Any) -> None:
    """R1.34 (3), R1.35"""
    second = "https://registry.test/v2/a/b/blobs/uploads/2"
    client, session = uploads(
        (POST, begun()),
        (PUT, failure),
        (HEAD, after),
        (DELETE, Answer(404)),
        (POST, begun(second)),
        (f"PUT {second}?digest={QUOTED}", created()),
    )
    opener = Opener()
    assert client.upload("a/b", BLOB, opener) == UPLOADED
    assert session.calls[-1].body == DATA
    assert opener.count == 2
    assert len(session.pauses) == 1


@pytest.mark.parametrize("failure", LOST)
def test_three_sessions_and_no_more(failure: Any) -> None:
    one = [(POST, begun()), (PUT, failure), (HEAD, Answer(404)), (DELETE, dropped)]
    client, session = uploads(*one, *one, *one)
    with pytest.raises(OciError) as caught:
        client.upload("a/b", BLOB, Opener())
    assert session.done
    assert isinstance(caught.value, (RegistryError, NetworkError))


@pytest.mark.parametrize("code", ["DIGEST_INVALID", "SIZE_INVALID"])
def test_a_garbled_upload_is_sent_once_more(code: str) -> None:
    first = [(POST, begun()), (PUT, Answer(400, errors(code))), (HEAD, Answer(404)), (DELETE, Answer(204))]
    client, session = uploads(*first, (POST, begun()), (PUT, Answer(400, errors(code))), (DELETE, Answer(204)))
    with pytest.raises(RegistryError):
        client.upload("a/b", BLOB, Opener())
    assert session.done


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, errors("DENIED", "quota exceeded")),
        Answer(401, errors("UNAUTHORIZED", "who")),
        Answer(403, errors("DENIED", "quota exceeded")),
        Answer(405, b"Method not allowed\n"),
        Answer(412, errors("DENIED")),
        Answer(413, b"<html>too large</html>"),
        Answer(429, retry_after="86400"),
        Answer(507),
    ],
)
def test_a_refusal_is_final(answer: Answer) -> None:
    """Section 4.1, R1.38"""
    client, session = uploads((POST, begun()), (PUT, answer), (DELETE, Answer(204)))
    with pytest.raises(RegistryError, match=f"upload of blob {DIGEST} to registry.test/a/b") as caught:
        client.upload("a/b", BLOB, Opener())
    assert caught.value.status_code == answer.status
    assert session.done
    assert isinstance(caught.value, RateLimited) == (answer.status == 429)


def test_413_says_where_to_look() -> None:
    client, session = uploads((POST, begun()), (PUT, Answer(413)), (DELETE, Answer(204)))
    with pytest.raises(RegistryError, match="limit"):
        client.upload("a/b", BLOB, Opener())


@pytest.mark.parametrize(
    ("data", "kind"), [(bytes(len(DATA)), DigestMismatch), (DATA[:-1], SizeMismatch), (DATA + b"x", SizeMismatch)]
)
def test_a_wrong_source_is_never_completed(data: bytes, kind: type[ContentError]) -> None:
    client, session = uploads((POST, begun()), (PUT, created()), (DELETE, Answer(204)))
    opener = Opener(data)
    with pytest.raises(kind):
        client.upload("a/b", BLOB, opener)
    assert session.done
    # The fake gives up as the wire does: with the exception, before the last byte.
    assert len(session.calls) == 2
    assert opener.count == 1


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.closed = False

    def read(self, size: int = 0) -> bytes:
        raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "error", [NetworkError("the source's registry is gone"), OSError("disk"), ValueError("bug"), KeyboardInterrupt()]
)
def test_the_sources_errors_come_out_as_they_are(error: BaseException) -> None:
    """Not taken for the destination's, and never answered by another upload session."""
    client, session = uploads((POST, begun()), (PUT, created()), (DELETE, Answer(204)))
    stream = Failing(error)
    with pytest.raises(type(error)) as caught:
        client.upload("a/b", BLOB, lambda: stream)
    assert caught.value is error
    assert session.done
    assert stream.closed


def test_a_source_that_does_not_open() -> None:
    error = NetworkError("the source's registry is gone")

    def opener() -> Any:
        raise error

    client, session = uploads((POST, begun()), (PUT, created()), (DELETE, Answer(204)))
    with pytest.raises(NetworkError) as caught:
        client.upload("a/b", BLOB, opener)
    assert caught.value is error
    assert session.done


def test_a_wrapped_source_error_is_unwrapped() -> None:
    """A sender that takes every OSError for one of its connection."""
    error = OSError("disk")

    class Wrapping(FakeSession):
        def request(self, method: str, *arguments: Any, **more: Any) -> Answer:
            try:
                return super().request(method, *arguments, **more)
            except OSError:
                raise NetworkError("registry registry.test closed the connection") from None

    session = Wrapping((POST, begun()), (PUT, created()), (DELETE, Answer(204)))
    with pytest.raises(OSError) as caught:
        Uploads(session, Blobs(session, True)).upload("a/b", BLOB, lambda: Failing(error))
    assert caught.value is error


@pytest.mark.parametrize("error", [Cancelled("the task was told to stop"), KeyboardInterrupt()])
def test_an_abort_cancels_the_upload(error: BaseException) -> None:
    """R1.35"""

    def stop(call: Call) -> Any:
        raise error

    client, session = uploads((POST, begun()), (PUT, stop), (DELETE, dropped))
    with pytest.raises(type(error)):
        client.upload("a/b", BLOB, Opener())
    assert session.done
    assert session.calls[-1].scopes == WRITE


def test_the_first_push_to_a_repository_may_be_refused_once() -> None:
    """Quay, GitLab: section 2"""
    denied = Answer(401, errors("UNAUTHORIZED"))
    client, session = uploads((POST, denied), (POST, begun()), (PUT, created()), (POST, denied))
    client.upload("a/b", BLOB, Opener())
    with pytest.raises(AccessDenied):
        client.upload("a/b", BLOB, Opener())
    client, session = uploads((POST, Answer(403)))
    with pytest.raises(AccessDenied):
        client.upload("a/b", BLOB, Opener())


def test_opened_anew_for_every_try_of_the_session() -> None:
    """After 401 or 429 the session opens the body again itself."""

    class Twice(FakeSession):
        @staticmethod
        def _send(body: Any) -> bytes:
            FakeSession._send(body)
            return FakeSession._send(body)

    session = Twice((POST, begun()), (PUT, created()))
    opener = Opener()
    Uploads(session, Blobs(session, True)).upload("a/b", BLOB, opener)
    assert opener.count == 2
