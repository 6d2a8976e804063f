# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the client do for one another, and the pool of clients."""

from __future__ import annotations

import io
import json
import threading

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.model.media_types import OCI_INDEX, OCI_MANIFEST
from ansible_collections.longshore.oci.plugins.module_utils.registry.client import RegistryClient
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.pool import Registries
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, errors

SUBJECT = Digest.of(b"subject")
RAW = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": str(SUBJECT), "size": 7},
    }
).encode()
REFERRER = parse_manifest(RAW, OCI_INDEX)
PUT = f"PUT /v2/a/b/manifests/{REFERRER.digest}"
TAG = f"/v2/a/b/manifests/sha256-{SUBJECT.hex}"
UNKNOWN = ("GET /v2/a/b/tags/list?n=1", Answer(404, errors("NAME_UNKNOWN")))


def test_a_subject_the_registry_has_seen_needs_nothing_more() -> None:
    """R1.58"""
    answer = Answer(201, docker_content_digest=str(REFERRER.digest), oci_subject=str(SUBJECT))
    session = FakeSession((PUT, answer))
    RegistryClient(session).put_manifest("a/b", REFERRER)
    assert session.done


def test_a_subject_the_registry_has_not_seen_is_listed_by_us() -> None:
    """R1.58"""
    state: dict[str, bytes] = {}

    def put(call: object) -> Answer:
        state["index"] = session.calls[-1].body or b""
        return Answer(201, docker_content_digest=str(Digest.of(state["index"])))

    session = FakeSession(
        (PUT, Answer(201, docker_content_digest=str(REFERRER.digest))),
        ("GET " + TAG, Answer(404)),
        ("PUT " + TAG, put),
        ("GET " + TAG, lambda call: Answer(200, state["index"], content_type=OCI_INDEX)),
    )
    RegistryClient(session).put_manifest("a/b", REFERRER)
    assert session.done
    assert json.loads(state["index"])["manifests"][0]["digest"] == str(REFERRER.digest)


def test_what_was_written_to_is_known() -> None:
    data = b"hello"
    blob = Descriptor("text/plain", Digest.of(data), len(data))
    quoted = str(blob.digest).replace(":", "%3A")
    mount = f"POST /v2/a/b/blobs/uploads/?mount={quoted}&from=c"
    upload = [
        ("POST /v2/a/b/blobs/uploads/", Answer(202, location="/up")),
        (f"PUT https://registry.test/up?digest={quoted}", Answer(201)),
    ]
    for steps, act in (
        (upload, lambda client: client.upload_blob("a/b", blob, lambda: io.BytesIO(data))),
        ([(mount, Answer(201))], lambda client: client.mount_blob("a/b", blob, "c")),
    ):
        client = RegistryClient(FakeSession(UNKNOWN, *steps))
        assert client.is_unknown("a/b") is True
        act(client)
        assert client.is_unknown("a/b") is False


def test_a_mount_that_was_refused_writes_nothing() -> None:
    blob = Descriptor("text/plain", SUBJECT, 7)
    mount = f"POST /v2/a/b/blobs/uploads/?mount={str(SUBJECT).replace(':', '%3A')}&from=c"
    client = RegistryClient(FakeSession(UNKNOWN, (mount, Answer(404))))
    assert client.is_unknown("a/b") is True
    assert client.mount_blob("a/b", blob, "c") is False
    assert client.is_unknown("a/b") is True


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Registries:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json")
    return Registries(Settings(), Meter(), push=True)


def test_one_client_for_each_registry(registries: Registries) -> None:
    """R1.5: Docker Hub has many names"""
    hub = registries.client("docker.io")
    assert registries.client("index.docker.io") is hub
    assert registries.client("registry-1.docker.io") is hub
    assert hub.session.base == "https://registry-1.docker.io"
    assert hub.host == "docker.io"
    one = registries.client("Registry.test:5000")
    assert registries.client("registry.test:5000") is one
    assert registries.client("registry.test") is not one
    registries.close()


def test_one_client_for_all_threads(registries: Registries) -> None:
    found: list[RegistryClient] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(registries.client("registry.test"))

    threads = [threading.Thread(target=ask) for unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len({id(one) for one in found}) == 1
    registries.close()
    registries.close()
