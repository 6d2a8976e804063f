# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R1.56-R1.59."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidManifest, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import AnyManifest, parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.model.media_types import OCI_INDEX, OCI_MANIFEST
from ansible_collections.longshore.oci.plugins.module_utils.registry.manifests import Manifests
from ansible_collections.longshore.oci.plugins.module_utils.registry.referrers import UPDATES, Referrers, fallback_tag
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, Step, errors

SUBJECT = Digest.of(b"subject")
TAG = f"sha256-{SUBJECT.hex}"
API = f"GET /v2/a/b/referrers/{SUBJECT}"
GET, PUT = f"GET /v2/a/b/manifests/{TAG}", f"PUT /v2/a/b/manifests/{TAG}"
NO_API = (API, Answer(404, b"404 page not found\n", content_type="text/plain"))
NO_TAG = (GET, Answer(404, errors("MANIFEST_UNKNOWN")))


def row(name: str, artifact_type: str = "application/x") -> dict[str, Any]:
    digest = str(Digest.of(name.encode()))
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": 7, "artifactType": artifact_type}


def index(*rows: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(rows), **more}).encode()


def listed(*rows: dict[str, Any], media_type: str = OCI_INDEX, **more: Any) -> Answer:
    return Answer(200, index(*rows), content_type=media_type, **more)


def artifact(name: str = "one", **more: Any) -> AnyManifest:
    config = {"mediaType": "application/vnd.example.config", "digest": str(Digest.of(name.encode())), "size": 3}
    subject = {"mediaType": OCI_MANIFEST, "digest": str(SUBJECT), "size": 7}
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [], "subject": subject, **more,
    }  # fmt: skip
    return parse_manifest(json.dumps(document).encode(), OCI_MANIFEST)


def referrers(*script: Step, push: bool = False) -> tuple[Referrers, FakeSession]:
    session = FakeSession(*script)
    return Referrers(session, Manifests(session, push), push), session


def names(found: list[Any]) -> list[str]:
    known = {str(Digest.of(name.encode())): name for name in ("one", "two", "three")}
    return [known[str(one.digest)] for one in found]


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        ("sha256:" + "a" * 64, "sha256-" + "a" * 64),
        ("sha512:" + "b" * 128, "sha512-" + "b" * 64),
        (
            "test+algorithm+using+algorithm+separators+and+lots+of+characters+to+excercise+overall+truncation"
            ":alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsOfCharactersToExcerciseEncodedTruncation",
            "test-algorithm-using-algorithm-s-alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot",
        ),
    ],
)
def test_fallback_tag(digest: str, tag: str) -> None:
    """R1.57, with the specification's examples."""
    assert fallback_tag(digest) == tag


def test_api() -> None:
    client, session = referrers((API, listed(row("one"), row("two"), row("one"))), (API, listed()))
    assert names(client.of("a/b", SUBJECT)) == ["one", "two"]
    assert client.supported is True
    assert client.of("a/b", SUBJECT) == []
    assert session.calls[0].headers == {"Accept": OCI_INDEX}
    assert session.calls[0].scopes == ("repository:a/b:pull",)


def test_pages() -> None:
    link = f'</v2/a/b/referrers/{SUBJECT}?next=2>; rel="next"'
    client, session = referrers((API, listed(row("one"), link=link)), (f"{API}?next=2", listed(row("two"))))
    assert names(client.of("a/b", SUBJECT)) == ["one", "two"]
    assert session.done


def test_pages_in_a_circle() -> None:
    """R1.59, S9"""
    link = f"</v2/a/b/referrers/{SUBJECT}?next=2>; rel=next"
    client, session = referrers((API, listed(row("one"), link=link)), (f"{API}?next=2", listed(row("one"), link=link)))
    assert names(client.of("a/b", SUBJECT)) == ["one"]
    assert "circle" in session.meter.warnings[0]


@pytest.mark.parametrize("applied", [{}, {"oci_filters_applied": "something"}])
def test_filtered_here_where_the_registry_did_not(applied: dict[str, str]) -> None:
    """R1.59"""
    line = f"{API}?artifactType=application%2Fx"
    answer = listed(row("one"), row("two", "application/y"), **applied)
    client, session = referrers((line, answer))
    assert names(client.of("a/b", SUBJECT, "application/x")) == ["one"]


def test_filtered_by_the_registry() -> None:
    answer = listed(row("one"), oci_filters_applied="artifactType")
    client, session = referrers((f"{API}?artifactType=application%2Fx", answer))
    assert names(client.of("a/b", SUBJECT, "application/x")) == ["one"]


NOT_SUPPORTED: list[Any] = [
    NO_API[1],
    Answer(400, errors("UNSUPPORTED")),
    Answer(405),
    Answer(406),
    Answer(501),
    Answer(500, b"<html>"),
    Answer(200, b"<html>hello</html>", content_type="text/html"),
    Answer(200, b'{"hello":1}', content_type="application/json"),
    Answer(200, b"hello"),
]


@pytest.mark.parametrize("answer", NOT_SUPPORTED)
def test_without_the_api_the_tag_is_asked_and_that_is_remembered(answer: Answer) -> None:
    """R1.56"""
    stored = listed(row("one"), row("two", "application/y"))
    client, session = referrers((API, answer), (GET, stored), NO_TAG)
    assert names(client.of("a/b", SUBJECT)) == ["one", "two"]
    assert client.supported is False
    assert client.of("a/b", SUBJECT) == []
    assert session.done


def test_the_tags_list_is_filtered() -> None:
    stored = listed(row("one"), row("two", "application/y"))
    client, session = referrers((f"{API}?artifactType=application%2Fy", NO_API[1]), (GET, stored))
    assert names(client.of("a/b", SUBJECT, "application/y")) == ["two"]


@pytest.mark.parametrize("code", ["NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"])
def test_an_unknown_repository_says_nothing_of_the_api(code: str) -> None:
    client, session = referrers((API, Answer(404, errors(code))), NO_TAG, (API, listed(row("one"))))
    assert client.of("a/b", SUBJECT) == []
    assert names(client.of("a/b", SUBJECT)) == ["one"]


def test_a_failing_api_is_not_a_missing_one() -> None:
    client, session = referrers((API, listed(row("one"))), (API, Answer(500)), (API, Answer(503)))
    client.of("a/b", SUBJECT)
    for status in (500, 503):
        with pytest.raises(RegistryError) as caught:
            client.of("a/b", SUBJECT)
        assert caught.value.status_code == status


def test_an_invalid_answer_of_the_api_is_an_error() -> None:
    """R1.9, S3"""
    bad = {**row("one"), "digest": "sha256:../../../etc/x"}
    client, session = referrers((API, listed(bad)))
    with pytest.raises(InvalidManifest):
        client.of("a/b", SUBJECT)


def test_a_tag_that_is_no_index() -> None:
    client, session = referrers(NO_API, (GET, Answer(200, artifact().raw, content_type=OCI_MANIFEST)))
    with pytest.raises(InvalidManifest, match="is no index"):
        client.of("a/b", SUBJECT)


class Store:
    """The fallback tag, as a registry keeps it."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.conditions: list[str | None] = []

    def get(self, *unused: Any) -> Answer:
        if self.content is None:
            return Answer(404, errors("MANIFEST_UNKNOWN"))
        return Answer(200, self.content, content_type=OCI_INDEX, etag=f'"{Digest.of(self.content)}"')

    def put(self, call: Any) -> Answer:
        self.content = call.body
        self.conditions.append(call.headers.get("If-Match"))
        return Answer(201, docker_content_digest=str(Digest.of(call.body)))

    def lose(self, call: Any) -> Answer:
        self.conditions.append(call.headers.get("If-Match"))
        return Answer(201, docker_content_digest=str(Digest.of(call.body)))

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.content or b"")["manifests"]
        return rows


def test_attach_to_nothing() -> None:
    """R1.58"""
    store = Store()
    client, session = referrers((GET, store.get), (PUT, store.put), (GET, store.get))
    one = artifact(annotations={"k": "v"})
    client.attach("a/b", one)
    assert store.rows == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(one.digest),
            "size": one.size,
            "annotations": {"k": "v"},
            "artifactType": "application/vnd.example.config",
        }
    ]
    assert json.loads(store.content or b"")["mediaType"] == OCI_INDEX
    assert store.conditions == [None]
    assert session.done


def test_attach_keeps_the_others() -> None:
    before = index(row("one"), annotations={"x": "y"})
    store = Store(before)
    client, session = referrers((GET, store.get), (PUT, store.put), (GET, store.get))
    two = artifact("two", artifactType="application/own")
    client.attach("a/b", two)
    assert [one["digest"] for one in store.rows] == [row("one")["digest"], str(two.digest)]
    assert store.rows[1]["artifactType"] == "application/own"
    assert json.loads(store.content or b"")["annotations"] == {"x": "y"}
    assert store.conditions == [f'"{Digest.of(before)}"']


def test_attach_once() -> None:
    one = artifact()
    store = Store(index({"mediaType": OCI_MANIFEST, "digest": str(one.digest), "size": one.size}))
    client, session = referrers((GET, store.get))
    client.attach("a/b", one)
    assert session.done


def test_a_lost_update_is_repeated() -> None:
    store = Store()
    refused = (PUT, Answer(412, errors("PRECONDITION_FAILED")))
    client, session = referrers(
        (GET, store.get), (PUT, store.lose), (GET, store.get), refused, (GET, store.get), (PUT, store.put), (GET, store.get)
    )
    client.attach("a/b", artifact())
    assert len(store.rows) == 1
    assert session.done


def test_updates_are_not_repeated_for_ever() -> None:
    store = Store()
    client, session = referrers(*[(GET, store.get), (PUT, store.lose)] * (UPDATES + 1))
    with pytest.raises(RegistryError, match="keeps changing"):
        client.attach("a/b", artifact())
    assert session.done


def test_attach_overwrites_nothing_else() -> None:
    client, session = referrers((GET, Answer(200, artifact().raw, content_type=OCI_MANIFEST)))
    with pytest.raises(InvalidManifest, match="is no index"):
        client.attach("a/b", artifact())


def test_nothing_to_attach() -> None:
    client, session = referrers()
    client.attach("a/b", parse_manifest(index(), OCI_INDEX))


def test_detach() -> None:
    """R1.53"""
    store = Store(index(row("one"), row("two")))
    client, session = referrers((GET, store.get), (PUT, store.put), (GET, store.get))
    client.detach("a/b", Digest.of(b"one"), SUBJECT)
    assert store.rows == [row("two")]
    client, session = referrers((GET, store.get))
    client.detach("a/b", Digest.of(b"one"), SUBJECT)
    client, session = referrers(NO_TAG)
    client.detach("a/b", Digest.of(b"one"), SUBJECT)
    assert session.done
