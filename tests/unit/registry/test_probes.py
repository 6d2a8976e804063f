# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded from the answers of registries with different habits, and that nothing else is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import AccessDenied, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.registry.probes import Probes
from ansible_collections.longshore.oci.tests.unit.registry.fake_session import Answer, FakeSession, errors

REFERRERS = f"GET /v2/a/b/referrers/{Digest.of(b'')}"
OPTIONS = "OPTIONS /v2/a/b/manifests/latest"
POST = "POST /v2/a/b/blobs/uploads/"
INDEX = "application/vnd.oci.image.index.v1+json"


class Random(FakeSession):
    """A session whose script has ``*`` where a request has what is random."""

    def request(self, method: str, target: str, **options: Any) -> Answer:
        expected = self._script[0][0]
        head = expected.rstrip("*")
        if expected != head and f"{method} {target}".startswith(head):
            self.made_up = f"{method} {target}"[len(head) :]
            self._script[0] = (f"{method} {target}", self._script[0][1])
        return super().request(method, target, **options)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (Answer(200, {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, content_type=INDEX), True),
        (Answer(200, {"manifests": []}, content_type="application/json"), True),
        (Answer(200, b"<html>", content_type="text/html"), False),
        (Answer(404, b"404 page not found", content_type="text/plain"), False),
        (Answer(404, errors("NAME_UNKNOWN")), None),
        (Answer(404, errors("MANIFEST_UNKNOWN")), None),
        (Answer(400, errors("DIGEST_INVALID")), False),
        (Answer(405, errors("UNSUPPORTED")), False),
        (Answer(501), False),
        (Answer(401, errors("UNAUTHORIZED")), None),
        (Answer(403, errors("DENIED")), None),
        (RegistryError("broken", 500), False),
        (RegistryError("overloaded", 503), None),
        (AccessDenied("no token", 401), None),
    ],
)
def test_referrers(answer: Any, value: bool | None) -> None:
    """R1.56"""
    session = FakeSession((REFERRERS, answer))
    found = Probes(session).referrers("a/b")
    assert found.value is value
    assert bool(found.why) == (value is None)
    assert session.calls[0].scopes == ("repository:a/b:pull",)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (Answer(200, allow="DELETE, GET, HEAD, PUT"), False),
        (Answer(200, allow="GET, HEAD"), True),
        (Answer(405, allow="get,head"), True),
        (Answer(200), None),
        (Answer(204, allow="OPTIONS"), None),
        (Answer(401, errors("UNAUTHORIZED")), None),
        (RegistryError("broken", 500), None),
    ],
)
def test_read_only(answer: Any, value: bool | None) -> None:
    found = Probes(FakeSession((OPTIONS, answer))).read_only("a/b")
    assert found.value is value
    assert bool(found.why) == (value is None)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (Answer(404, errors("MANIFEST_UNKNOWN")), True),
        (Answer(404, errors("NAME_UNKNOWN")), True),
        (Answer(202), True),
        (Answer(400, errors("DIGEST_INVALID")), False),
        (Answer(405, errors("UNSUPPORTED")), False),
        (Answer(405, b"Method not allowed"), False),
        (Answer(404, b"404 page not found", content_type="text/plain"), None),
        (Answer(401, errors("UNAUTHORIZED")), None),
        (Answer(403, errors("DENIED")), None),
        (AccessDenied("no token", 403), None),
        (RegistryError("broken", 502), None),
    ],
)
def test_deletion_is_asked_of_what_cannot_be_there(answer: Any, value: bool | None) -> None:
    session = Random(("DELETE /v2/a/b/manifests/sha256:*", answer), ("DELETE /v2/a/b/manifests/longshore-probe-*", answer))
    probes = Probes(session)
    assert probes.deletes_manifests("a/b").value is value
    first = session.made_up
    assert probes.deletes_tags("a/b").value is value
    assert (len(first), len(session.made_up)) == (64, 32)
    assert {call.scopes for call in session.calls} == {("repository:a/b:pull,push,delete",)}
    again = Random(("DELETE /v2/a/b/manifests/sha256:*", answer))
    Probes(again).deletes_manifests("a/b")
    assert again.made_up != first


def test_an_upload_that_was_begun_is_cancelled() -> None:
    for status, clean in ((204, True), (202, True), (404, False), (405, False)):
        session = FakeSession((POST, Answer(202, location="/v2/a/b/blobs/uploads/1?state=x")),
                              ("DELETE https://registry.test/v2/a/b/blobs/uploads/1?state=x", Answer(status)))
        upload = Probes(session).uploads("a/b")
        assert (upload.possible.value, upload.read_only.value, upload.clean) == (True, False, clean)
        assert session.done
    assert not Probes(FakeSession((POST, Answer(202)))).uploads("a/b").clean


@pytest.mark.parametrize(
    ("answer", "possible", "read_only"),
    [
        (Answer(405, b"Method not allowed"), False, True),
        (Answer(405, errors("UNSUPPORTED")), False, True),
        (Answer(401, errors("UNAUTHORIZED")), False, None),
        (Answer(403, errors("DENIED")), False, None),
        (Answer(404, errors("NAME_UNKNOWN")), None, None),
        (AccessDenied("no token", 403), None, None),
        (RegistryError("broken", 500), None, None),
    ],
)
def test_an_upload_that_is_refused(answer: Any, possible: bool | None, read_only: bool | None) -> None:
    upload = Probes(FakeSession((POST, answer))).uploads("a/b")
    assert (upload.possible.value, upload.read_only.value, upload.clean) == (possible, read_only, True)


@pytest.mark.parametrize(
    ("answer", "value", "first"),
    [
        (Answer(200, {"repositories": ["x/y", "z"]}), True, "x/y"),
        (Answer(200, {"repositories": None}), True, None),
        (Answer(200, {"repositories": [7]}), True, None),
        (Answer(200, {"repositories": "x"}), None, None),
        (Answer(401, errors("UNAUTHORIZED")), False, None),
        (Answer(404), False, None),
        (RegistryError("broken", 500), None, None),
    ],
)
def test_the_catalogue(answer: Any, value: bool | None, first: str | None) -> None:
    finding, name = Probes(FakeSession(("GET /v2/_catalog?n=1", answer))).repository()
    assert (finding.value, name) == (value, first)


@pytest.mark.parametrize("answer", [Answer(404), Answer(200, b"<html>"), Answer(200, b"[1]"), RegistryError("x", 500)])
def test_no_document(answer: Any) -> None:
    assert Probes(FakeSession(("GET /api", answer))).document("/api") is None
