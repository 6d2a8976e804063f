# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.10-R1.18, R1.40-R1.43."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    BlobUnknown,
    DigestMismatch,
    InvalidDigest,
    InvalidManifest,
    InvalidReference,
    NotFound,
    RegistryError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Index, parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.model.media_types import (
    ACCEPT_MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
)
from ansible_collections.longshore.oci.plugins.module_utils.registry.manifests import PUSH_LIMIT, Manifests
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, Step, errors

RAW = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
DIGEST = f"sha256:{hashlib.sha256(RAW).hexdigest()}"
SHA512 = f"sha512:{hashlib.sha512(RAW).hexdigest()}"
OTHER = "sha256:" + "0" * 64
MANIFEST = parse_manifest(RAW, OCI_INDEX)


def stored(body: bytes = RAW, digest: str | None = DIGEST, media_type: str = OCI_INDEX, **more: Any) -> Answer:
    headers = {"content_type": media_type} if media_type else {}
    if digest:
        headers["docker_content_digest"] = digest
    return Answer(200, body, **headers, **more)


def manifests(*script: Step, push: bool = False) -> tuple[Manifests, FakeSession]:
    session = FakeSession(*script)
    return Manifests(session, push), session


HEAD, GET, PUT = (f"{method} /v2/a/b/manifests/1" for method in ("HEAD", "GET", "PUT"))


def test_head_is_one_request() -> None:
    client, session = manifests((HEAD, stored()))
    found = client.head("a/b", "1")
    assert found is not None
    assert (str(found.digest), found.size, found.media_type) == (DIGEST, len(RAW), OCI_INDEX)
    (call,) = session.calls
    assert call.headers == {"Accept": ACCEPT_MANIFESTS}
    assert call.scopes == ("repository:a/b:pull",)


def test_reads_of_a_destination_ask_for_the_token_of_its_writes() -> None:
    client, session = manifests((HEAD, stored()), push=True)
    client.head("a/b", "1")
    assert session.calls[0].scopes == ("repository:a/b:pull,push",)


def test_head_404_is_none_and_nothing_more() -> None:
    client, session = manifests((HEAD, Answer(404)))
    assert client.head("a/b", "1") is None
    assert len(session.calls) == 1


@pytest.mark.parametrize(
    "head",
    [
        stored(digest=None),
        stored(digest="sha256:abcd"),
        stored(digest="sha256:../../../etc/x"),
        stored(digest="md5:" + "0" * 32),
        stored(media_type="application/octet-stream"),
        stored(media_type=""),
        stored(chunked=True),
        stored(content_length="12, 13"),
        Answer(403),
        Answer(405),
        Answer(406),
        Answer(501),
    ],
)
def test_head_that_tells_too_little_is_followed_by_get(head: Answer) -> None:
    """R1.17"""
    client, session = manifests((HEAD, head), (GET, stored(digest=None)))
    found = client.head("a/b", "1")
    assert found is not None
    assert (str(found.digest), found.size, found.media_type) == (DIGEST, len(RAW), OCI_INDEX)
    assert session.done


def test_the_reason_of_a_refused_head_is_that_of_the_get() -> None:
    client, session = manifests((HEAD, Answer(403)), (GET, Answer(403, errors("DENIED", "no quota left"))))
    with pytest.raises(AccessDenied, match="no quota left"):
        client.head("a/b", "1")
    assert session.done


def test_other_failures_of_head_are_not_asked_again() -> None:
    client, session = manifests((HEAD, Answer(502)))
    with pytest.raises(RegistryError) as caught:
        client.head("a/b", "1")
    assert caught.value.status_code == 502
    assert len(session.calls) == 1


def test_head_by_digest_knows_the_digest() -> None:
    line = f"HEAD /v2/a/b/manifests/{DIGEST}"
    client, session = manifests((line, stored(digest=None)))
    found = client.head("a/b", DIGEST)
    assert found is not None and str(found.digest) == DIGEST
    assert len(session.calls) == 1


def test_head_by_digest_of_another_algorithm() -> None:
    client, session = manifests((f"HEAD /v2/a/b/manifests/{SHA512}", stored()))
    found = client.head("a/b", Digest.parse(SHA512))
    assert found is not None and str(found.digest) == SHA512
    assert len(session.calls) == 1


def test_head_by_digest_that_names_another_is_looked_into() -> None:
    client, session = manifests((f"HEAD /v2/a/b/manifests/{OTHER}", stored()), (f"GET /v2/a/b/manifests/{OTHER}", stored()))
    with pytest.raises(DigestMismatch):
        client.head("a/b", OTHER)


def test_a_broken_manifest_has_a_digest_all_the_same() -> None:
    """What a push is to replace need not be valid."""
    broken = b'{"schemaVersion":2,"manifests":[],"layers":[]}'
    client, session = manifests((HEAD, stored(broken, None)), (GET, stored(broken, None)))
    found = client.head("a/b", "1")
    assert found is not None and found.digest == Digest.of(broken)


def test_a_web_page_is_no_manifest() -> None:
    page = b"<html>hello</html>"
    client, session = manifests((HEAD, stored(page, None, "text/html")), (GET, stored(page, None, "text/html; charset=utf-8")))
    with pytest.raises(InvalidManifest):
        client.head("a/b", "1")


@pytest.mark.parametrize("target", ["a/../b", "x?y", "-1", "", "a%2fb", "t" * 129])
def test_nothing_but_tags_and_digests_comes_into_a_url(target: str) -> None:
    """R1.9"""
    client, session = manifests()
    with pytest.raises(InvalidReference):
        client.head("a/b", target)
    with pytest.raises(InvalidReference):
        client.get("a/b", target)


def test_bad_digests_are_not_asked_for() -> None:
    client, session = manifests()
    with pytest.raises(InvalidDigest):
        client.get("a/b", "sha256:../../../etc/x")


def test_get_verifies() -> None:
    """R1.16"""
    client, session = manifests((GET, stored()))
    assert client.get("a/b", "1").raw == RAW
    client, session = manifests((GET, stored(digest=None)))
    assert str(client.get("a/b", "1").digest) == DIGEST
    client, session = manifests((GET, stored(digest=SHA512)))
    assert str(client.get("a/b", "1").digest) == SHA512
    client, session = manifests((GET, stored(digest=OTHER)))
    with pytest.raises(DigestMismatch, match=f"registry.test/a/b:1.*{OTHER}.*{DIGEST}"):
        client.get("a/b", "1")
    client, session = manifests((f"GET /v2/a/b/manifests/{OTHER}", stored(digest=OTHER)))
    with pytest.raises(DigestMismatch, match=f"registry.test/a/b@{OTHER}"):
        client.get("a/b", OTHER)


def test_get_of_what_is_not_there() -> None:
    client, session = manifests((GET, Answer(404, errors("MANIFEST_UNKNOWN", "manifest unknown"))))
    with pytest.raises(NotFound, match="registry.test/a/b:1: manifest unknown"):
        client.get("a/b", "1")


def test_406_is_asked_again_for_json() -> None:
    """R1.10"""
    client, session = manifests((GET, Answer(406)), (GET, stored(media_type="application/json")))
    assert isinstance(client.get("a/b", "1"), Index)
    assert [call.headers["Accept"] for call in session.calls] == [ACCEPT_MANIFESTS, "application/json"]


def test_type_confusion_is_refused() -> None:
    """R1.12, S2"""
    client, session = manifests((GET, stored(media_type=OCI_MANIFEST)))
    with pytest.raises(InvalidManifest, match="CVE-2021-41190"):
        client.get("a/b", "1")


@pytest.mark.parametrize("digest", [DIGEST, SHA512])
def test_put_that_is_confirmed_is_not_read_back(digest: str) -> None:
    client, session = manifests((PUT, Answer(201, docker_content_digest=digest)))
    assert client.put("a/b", MANIFEST, "1") is False
    (call,) = session.calls
    assert call.headers == {"Content-Type": OCI_INDEX}
    assert call.body == RAW
    assert call.scopes == ("repository:a/b:pull,push",)
    assert call.idempotent is True


def test_put_without_a_tag_goes_to_the_digest() -> None:
    line = f"PUT /v2/a/b/manifests/{DIGEST}"
    for target in (None, DIGEST, MANIFEST.digest):
        client, session = manifests((line, Answer(201, docker_content_digest=DIGEST)))
        client.put("a/b", MANIFEST, target)
        assert session.done


def test_put_to_another_digest_is_refused_before_anything_is_sent() -> None:
    client, session = manifests()
    with pytest.raises(DigestMismatch):
        client.put("a/b", MANIFEST, OTHER)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(201),
        Answer(201, docker_content_digest=OTHER),
        Answer(200, docker_content_digest=DIGEST),
        Answer(202),
        Answer(204),
    ],
)
def test_put_that_is_not_confirmed_is_read_back(answer: Answer) -> None:
    """R1.41"""
    client, session = manifests((PUT, answer), (HEAD, stored()))
    client.put("a/b", MANIFEST, "1")
    assert session.done
    for instead in (Answer(404), stored(digest=OTHER)):
        client, session = manifests((PUT, answer), (HEAD, instead))
        with pytest.raises(RegistryError, match="accepted the manifest"):
            client.put("a/b", MANIFEST, "1")


def test_a_server_that_says_200_to_everything_is_not_believed() -> None:
    """R1.41"""
    page = stored(b"<html></html>", None, "text/html")
    client, session = manifests((PUT, Answer(200)), (HEAD, page), (GET, page))
    with pytest.raises(InvalidManifest):
        client.put("a/b", MANIFEST, "1")


def test_put_tells_whether_the_subject_was_seen() -> None:
    answer = Answer(201, docker_content_digest=DIGEST, oci_subject=OTHER)
    client, session = manifests((PUT, answer))
    assert client.put("a/b", MANIFEST, "1") is True


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, errors("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", OTHER)),
        (404, errors("BLOB_UNKNOWN")),
        (400, errors("MANIFEST_INVALID", "manifest invalid", "Failed to copy blob sha256:00")),
        (
            400,
            {
                "errors": [
                    {"code": "DIGEST_INVALID", "message": "provided digest did not match uploaded content"},
                    {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": str(OTHER)},
                ]
            },
        ),
    ],
)
def test_missing_blobs_are_an_error_of_their_own(status: int, body: Any) -> None:
    """R1.27"""
    client, session = manifests((PUT, Answer(status, body)))
    with pytest.raises(BlobUnknown) as caught:
        client.put("a/b", MANIFEST, "1")
    assert caught.value.status_code == status
    assert caught.value.facts["error_code"] == body["errors"][0]["code"]
    assert caught.value.facts["attempts"] == 1


def test_other_refusals_keep_the_registrys_words() -> None:
    client, session = manifests((PUT, Answer(400, errors("TAG_IMMUTABLE", "the tag is immutable"))))
    with pytest.raises(RegistryError, match="registry.test/a/b:1: the tag is immutable") as caught:
        client.put("a/b", MANIFEST, "1")
    assert not isinstance(caught.value, BlobUnknown)


def test_large_manifests_are_warned_of() -> None:
    """R1.42"""
    raw = RAW[:-1] + b" " * PUSH_LIMIT + b"}"
    large = parse_manifest(raw, OCI_INDEX)
    client, session = manifests((PUT, Answer(201, docker_content_digest=str(large.digest))))
    client.put("a/b", large, "1")
    assert len(session.meter.warnings) == 1
    assert "4.2 MB" in session.meter.warnings[0]
