# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.51-R1.55."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    Cancelled,
    NotFound,
    RegistryError,
    TagDeleteUnsupported,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.model.media_types import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.client import RegistryClient
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, Call, FakeSession, Step, errors

SUBJECT = Digest.of(b"subject")
DELETE_TAG = "DELETE /v2/a/b/manifests/1"
HEAD_TAG, GET_TAG = "HEAD /v2/a/b/manifests/1", "GET /v2/a/b/manifests/1"


def image(media_type: str = OCI_MANIFEST, subject: bool = False) -> bytes:
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if media_type in (OCI_INDEX, DOCKER_LIST):
        document["manifests"] = []
    else:
        document["config"] = {"mediaType": OCI_CONFIG, "digest": str(Digest.of(b"")), "size": 0}
        document["layers"] = []
    if subject:
        document["subject"] = {"mediaType": OCI_MANIFEST, "digest": str(SUBJECT), "size": 7}
    return json.dumps(document).encode()


RAW = image()
DIGEST = Digest.of(RAW)
LINE = f"/v2/a/b/manifests/{DIGEST}"


def stored(raw: bytes = RAW, media_type: str = OCI_MANIFEST) -> Answer:
    return Answer(200, raw, content_type=media_type, docker_content_digest=str(Digest.of(raw)))


def client(*script: Step, host: str = "registry.test") -> tuple[RegistryClient, FakeSession]:
    session = FakeSession(*script)
    session.host = host
    return RegistryClient(session), session


def test_tag() -> None:
    one, session = client((DELETE_TAG, Answer(202)))
    assert one.delete_tag("a/b", "1") is True
    (call,) = session.calls
    assert call.scopes == ("repository:a/b:pull,push,delete",)
    assert call.idempotent is True


def test_a_tag_that_is_not_there() -> None:
    gone = errors("MANIFEST_UNKNOWN")
    one, session = client((DELETE_TAG, Answer(404, gone)))
    assert one.delete_tag("a/b", "1") is False
    # The first answer was lost: it was us.
    one, session = client((DELETE_TAG, Answer(404, gone, attempts=2)))
    assert one.delete_tag("a/b", "1") is True


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, errors("DIGEST_INVALID", "provided digest did not match uploaded content")),
        Answer(400, errors("UNSUPPORTED")),
        Answer(405, errors("UNSUPPORTED", "The operation is unsupported.")),
        Answer(404, errors("UNSUPPORTED")),
        Answer(404, b"404 page not found"),
    ],
)
def test_tags_that_cannot_be_removed_alone(answer: Answer) -> None:
    """R1.52: the digest is never deleted instead"""
    one, session = client((DELETE_TAG, answer), (HEAD_TAG, stored()))
    with pytest.raises(TagDeleteUnsupported, match="registry.test/a/b:1.*cannot remove a tag alone") as caught:
        one.delete_tag("a/b", "1")
    assert caught.value.status_code == answer.status
    assert session.done
    one, session = client((DELETE_TAG, answer), (HEAD_TAG, Answer(404)))
    assert one.delete_tag("a/b", "1") is False


def test_read_only() -> None:
    answer = Answer(405, b"Method not allowed\n", content_type="text/plain")
    one, session = client((DELETE_TAG, answer), (f"DELETE /v2/a/b/blobs/{DIGEST}", answer))
    with pytest.raises(RegistryError, match="read-only") as caught:
        one.delete_tag("a/b", "1")
    assert not isinstance(caught.value, TagDeleteUnsupported)
    with pytest.raises(RegistryError, match="read-only"):
        one.delete_blob("a/b", DIGEST)


def test_the_wildcard_is_asked_for_where_delete_is_not_understood() -> None:
    """R1.51: Quay. A 400 of the token server comes as an exception, the registry's own as an answer."""
    for refusal in (RegistryError("invalid scope", status_code=400), AccessDenied("no", status_code=401)):
        one, session = client((DELETE_TAG, refusal), (DELETE_TAG, Answer(202)), (DELETE_TAG, Answer(202)))
        assert one.delete_tag("a/b", "1")
        assert one.delete_tag("a/b", "1")
        assert [call.scopes for call in session.calls] == [
            ("repository:a/b:pull,push,delete",),
            ("repository:a/b:*",),
            ("repository:a/b:*",),
        ]


def test_no_wildcard_for_other_refusals() -> None:
    one, session = client((DELETE_TAG, Answer(403, errors("DENIED", "not yours"))))
    with pytest.raises(AccessDenied, match="not yours"):
        one.delete_tag("a/b", "1")
    denied = Answer(401, errors("UNAUTHORIZED"))
    one, session = client((DELETE_TAG, denied), (DELETE_TAG, denied), (DELETE_TAG, denied), (DELETE_TAG, denied))
    for unused in range(2):
        with pytest.raises(AccessDenied):
            one.delete_tag("a/b", "1")
    assert session.done


@pytest.mark.parametrize(
    ("host", "words"), [("docker.io", "Docker Hub"), ("registry-1.docker.io", "Docker Hub"), ("ghcr.io", "GitHub")]
)
def test_where_only_the_vendor_can_delete(host: str, words: str) -> None:
    """R1.54"""
    denied = Answer(401, errors("UNAUTHORIZED"))
    one, session = client((DELETE_TAG, denied), (DELETE_TAG, denied), host=host)
    with pytest.raises(AccessDenied, match=words):
        one.delete_tag("a/b", "1")
    one, session = client((DELETE_TAG, Answer(405, errors("UNSUPPORTED"))), (HEAD_TAG, stored()), host=host)
    with pytest.raises(TagDeleteUnsupported, match=words):
        one.delete_tag("a/b", "1")
    line = ("DELETE " + LINE, Answer(405, errors("UNSUPPORTED")))
    one, session = client(("GET " + LINE, stored()), line, host=host)
    with pytest.raises(RegistryError, match=words):
        one.delete_manifest("a/b", DIGEST)


def test_manifest() -> None:
    """R1.53"""
    one, session = client(("GET " + LINE, stored()), ("DELETE " + LINE, Answer(202)), ("HEAD " + LINE, Answer(404)))
    assert one.delete_manifest("a/b", DIGEST) is True
    assert session.done
    assert not session.meter.warnings


def test_a_manifest_that_is_not_there() -> None:
    one, session = client(("GET " + LINE, Answer(404)))
    assert one.delete_manifest("a/b", DIGEST) is False
    one, session = client(("GET " + LINE, stored()), ("DELETE " + LINE, Answer(404)))
    assert one.delete_manifest("a/b", DIGEST) is False


def test_a_manifest_that_stays() -> None:
    one, session = client(("GET " + LINE, stored()), ("DELETE " + LINE, Answer(202)), ("HEAD " + LINE, stored()))
    assert one.delete_manifest("a/b", DIGEST) is True
    assert "still has" in session.meter.warnings[0]


def test_a_broken_manifest_can_be_deleted() -> None:
    raw = b"{}"
    line = f"/v2/a/b/manifests/{Digest.of(raw)}"
    one, session = client(("GET " + line, stored(raw)), ("DELETE " + line, Answer(202)), ("HEAD " + line, Answer(404)))
    assert one.delete_manifest("a/b", Digest.of(raw)) is True


def test_a_referrer_leaves_the_list_of_its_subject() -> None:
    """R1.53"""
    raw = image(subject=True)
    line, tag = f"/v2/a/b/manifests/{Digest.of(raw)}", f"/v2/a/b/manifests/sha256-{SUBJECT.hex}"
    row = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(raw)), "size": len(raw)}
    before = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row]}).encode()
    after = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % OCI_INDEX.encode()
    one, session = client(
        ("GET " + line, stored(raw)),
        ("DELETE " + line, Answer(202)),
        ("HEAD " + line, Answer(404)),
        ("GET " + tag, stored(before, OCI_INDEX)),
        ("PUT " + tag, Answer(201, docker_content_digest=str(Digest.of(after)))),
        ("GET " + tag, stored(after, OCI_INDEX)),
    )
    assert one.delete_manifest("a/b", Digest.of(raw)) is True
    assert session.calls[4].body == after
    assert session.done


def test_the_manifest_is_not_read_where_the_registry_keeps_the_list() -> None:
    api = (f"GET /v2/a/b/referrers/{SUBJECT}", stored(image(OCI_INDEX), OCI_INDEX))
    one, session = client(api, ("DELETE " + LINE, Answer(202)), ("HEAD " + LINE, Answer(404)))
    one.referrers("a/b", SUBJECT)
    assert one.delete_manifest("a/b", DIGEST) is True


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(405, errors("UNSUPPORTED", "The operation is unsupported.")), "delete.enabled"),
        (Answer(405, b"Method not allowed\n", content_type="text/plain"), "read-only"),
        (Answer(400, errors("GOOGLE_MANIFEST_DANGLING_TAG")), "tags still point at it"),
        (Answer(400, errors("OTHER", "something else")), "something else"),
        (Answer(403, errors("DENIED", "immutable")), "immutable"),
    ],
)
def test_refusals_say_what_to_do(answer: Answer, words: str) -> None:
    one, session = client(("GET " + LINE, stored()), ("DELETE " + LINE, answer))
    with pytest.raises(RegistryError, match=f"registry.test/a/b@{DIGEST}.*{words}"):
        one.delete_manifest("a/b", DIGEST)


def test_blob() -> None:
    """R1.55"""
    line = f"DELETE /v2/a/b/blobs/{DIGEST}"
    one, session = client((line, Answer(202)), (line, Answer(404)), (line, Answer(405, errors("UNSUPPORTED"))))
    assert one.delete_blob("a/b", DIGEST) is True
    assert one.delete_blob("a/b", DIGEST) is False
    with pytest.raises(RegistryError, match="delete.enabled"):
        one.delete_blob("a/b", DIGEST)


class Registry(FakeSession):
    """One repository with one tag, as distribution 2.8 treats it: only digests can be deleted."""

    def __init__(self, raw: bytes = RAW, media_type: str = OCI_MANIFEST) -> None:
        super().__init__()
        self.manifests = {str(Digest.of(raw)): (raw, media_type)}
        self.tags = {"1": str(Digest.of(raw))}
        self.blobs: dict[str, bytes] = {}
        self.delete_status = 202
        self.probe_status = 404
        self.pushed: list[bytes] = []
        self.on_delete: Any = None

    def request(self, method: str, target: str, **more: Any) -> Answer:
        self._script = [(f"{method} {target}", self._answer)]
        return super().request(method, target, **more)

    def _answer(self, call: Call) -> Answer:
        kind, name = call.target.split("?")[0].rsplit("/", 2)[1:]
        if kind == "uploads" and call.method == "POST":
            return Answer(202, location="/v2/a/b/blobs/uploads/1")
        if kind == "uploads":
            digest = call.target.partition("digest=")[2].replace("%3A", ":")
            self.blobs[digest] = call.body or b""
            return Answer(201)
        if kind == "blobs":
            return Answer(200, self.blobs[name]) if name in self.blobs else Answer(404)
        if call.method == "PUT":
            raw = call.body or b""
            self.pushed.append(raw)
            self.manifests[str(Digest.of(raw))] = (raw, call.headers["Content-Type"])
            self.tags[name] = str(Digest.of(raw))
            return Answer(201, docker_content_digest=str(Digest.of(raw)))
        digest = self.tags.get(name, name)
        if call.method == "DELETE":
            if digest not in self.manifests:
                return Answer(self.probe_status, errors("MANIFEST_UNKNOWN" if self.probe_status == 404 else "UNSUPPORTED"))
            if self.on_delete is not None:
                self.on_delete()
            if self.delete_status == 202:
                del self.manifests[digest]
                self.tags = {tag: value for tag, value in self.tags.items() if value != digest}
            return Answer(self.delete_status, errors("DENIED", "go away"))
        if digest not in self.manifests:
            return Answer(404, errors("MANIFEST_UNKNOWN"))
        return stored(*self.manifests[digest])


@pytest.mark.parametrize(
    ("media_type", "family", "config"),
    [
        (OCI_MANIFEST, OCI_MANIFEST, OCI_CONFIG),
        (OCI_INDEX, OCI_MANIFEST, OCI_CONFIG),
        (DOCKER_MANIFEST, DOCKER_MANIFEST, DOCKER_CONFIG),
        (DOCKER_LIST, DOCKER_MANIFEST, DOCKER_CONFIG),
    ],
)
def test_untag_leaves_the_manifest_and_its_other_tags(media_type: str, family: str, config: str) -> None:
    """R1.52"""
    raw = image(media_type)
    registry = Registry(raw, media_type)
    registry.tags["2"] = registry.tags["1"]
    assert RegistryClient(registry).untag("a/b", "1") is True
    assert registry.tags == {"2": str(Digest.of(raw))}
    assert list(registry.manifests) == [str(Digest.of(raw))]
    (placeholder,) = registry.pushed
    parsed = parse_manifest(placeholder, family)
    assert parsed.media_type == family
    document = json.loads(placeholder)
    assert document["config"]["mediaType"] == config
    assert {document["config"]["digest"], document["layers"][0]["digest"]} == set(registry.blobs)
    # Another time another placeholder: deleting one never takes a tag that another task is removing.
    registry.tags["1"] = str(Digest.of(raw))
    RegistryClient(registry).untag("a/b", "1")
    assert registry.pushed[1] != placeholder


def test_untag_of_nothing() -> None:
    registry = Registry()
    assert RegistryClient(registry).untag("a/b", "other") is False
    assert registry.lines == ["GET /v2/a/b/manifests/other"]


@pytest.mark.parametrize(("status", "words"), [(400, "HTTP 400 UNSUPPORTED"), (405, "delete.enabled")])
def test_untag_writes_nothing_where_nothing_can_be_deleted(status: int, words: str) -> None:
    registry = Registry()
    registry.probe_status = status
    with pytest.raises(RegistryError, match=words):
        RegistryClient(registry).untag("a/b", "1")
    assert registry.pushed == [] and registry.blobs == {}
    assert registry.tags == {"1": str(DIGEST)}


@pytest.mark.parametrize("status", [400, 403, 405, 404])
def test_untag_sets_the_tag_back_when_it_fails(status: int) -> None:
    registry = Registry()
    registry.delete_status = status
    with pytest.raises(RegistryError, match="points at its image again"):
        RegistryClient(registry).untag("a/b", "1")
    assert registry.tags == {"1": str(DIGEST)}
    assert registry.pushed[-1] == RAW


def test_untag_that_did_not_happen_is_no_success() -> None:
    registry = Registry()
    registry.delete_status = 200
    with pytest.raises(RegistryError, match="still has it; the tag points at its image again"):
        RegistryClient(registry).untag("a/b", "1")
    assert registry.tags == {"1": str(DIGEST)}


def test_untag_says_so_when_the_tag_cannot_be_set_back() -> None:
    registry = Registry()

    def deny(call: Call) -> Answer:
        return Answer(403, errors("DENIED", "now read-only"))

    def now() -> None:
        registry.__dict__["_answer"] = deny

    registry.on_delete = now
    registry.delete_status = 403
    with pytest.raises(RegistryError, match=f"could not be pointed at {DIGEST} again: .*now read-only"):
        RegistryClient(registry).untag("a/b", "1")


@pytest.mark.parametrize("stored_first", [True, False])
def test_untag_that_is_told_to_stop_is_finished(stored_first: bool) -> None:
    """A stopped session lets only deletions through: the tag never stays at the placeholder."""
    registry = Registry()
    answer = registry._answer

    def stop(call: Call) -> Answer:
        if call.method == "DELETE":
            return answer(call)
        if call.method == "PUT" and "/manifests/" in call.target:
            if stored_first:
                answer(call)
            registry.__dict__["stopped"] = True
        if registry.__dict__.get("stopped"):
            raise Cancelled("the task was told to stop")
        return answer(call)

    registry.__dict__["_answer"] = stop
    with pytest.raises(Cancelled):
        RegistryClient(registry).untag("a/b", "1")
    assert registry.tags == ({} if stored_first else {"1": str(DIGEST)})
    assert not registry.meter.warnings


def test_untag_leaves_a_tag_alone_that_somebody_else_has_set() -> None:
    registry = Registry()
    other = image(OCI_INDEX)

    def now() -> None:
        registry.manifests[str(Digest.of(other))] = (other, OCI_INDEX)
        registry.tags["1"] = str(Digest.of(other))

    registry.on_delete = now
    registry.delete_status = 403
    with pytest.raises(RegistryError):
        RegistryClient(registry).untag("a/b", "1")
    assert registry.tags == {"1": str(Digest.of(other))}


def test_a_missing_tag_is_never_an_exception() -> None:
    one, session = client((GET_TAG, Answer(404)))
    assert one.untag("a/b", "1") is False
    with pytest.raises(NotFound):
        client((GET_TAG, Answer(404)))[0].get_manifest("a/b", "1")
