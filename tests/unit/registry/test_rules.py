# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that hold for the whole client, seen from the wire."""

from __future__ import annotations

import io
import pathlib
import re

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import ContentError, RegistryError
from ansible_collections.longshore.oci.plugins.module_utils.registry.client import RegistryClient
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.session import Session
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import VERSION, Settings
from ansible_collections.longshore.oci.tests.unit.registry.fake import Fake, by_path, in_turn, raw, reply

DATA = b"layer" * 1000
BLOB = Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(DATA), len(DATA))


def client(fake: Fake) -> RegistryClient:
    return RegistryClient(Session(fake.host, Settings(plain_http=True, retries=2, timeout=5), Meter()))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_r1_10_r1_11_every_question_for_a_manifest_names_ocis_types_and_dockers(method: str) -> None:
    with Fake(reply(404)) as fake:
        one = client(fake)
        if method == "HEAD":
            one.head_manifest("a", "b")
        else:
            with pytest.raises(RegistryError):
                one.get_manifest("a", "b")
        accepted = {part.strip() for part in fake.log[0].headers["accept"].split(",")}
        assert fake.log[0].method == method
        assert accepted == media_types.MANIFESTS


def test_r1_22_a_blob_comes_as_it_is_or_not_at_all() -> None:
    with Fake(reply(200, DATA, {"Content-Encoding": "gzip"})) as fake:
        with pytest.raises(ContentError, match="gzip"):
            client(fake).open_blob("a", BLOB).read(10)
        assert fake.log[0].headers["accept-encoding"] == "identity"


def test_r1_26_a_resumed_download_asks_for_one_range() -> None:
    half = len(DATA) // 2
    cut = raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA) + DATA[:half])
    rest = reply(206, DATA[half:], {"Content-Range": f"bytes {half}-{len(DATA) - 1}/{len(DATA)}"})
    with Fake(in_turn(cut, rest)) as fake:
        stream = client(fake).open_blob("a", BLOB)
        assert b"".join(VerifyingReader(stream, BLOB.digest, BLOB.size)) == DATA
        assert [one.headers.get("range") for one in fake.log] == [None, f"bytes={half}-"]


def test_r1_31_the_newest_location_is_used() -> None:
    """The session that the last try opened, not the first one's."""
    first, second = "/v2/a/blobs/uploads/1?_state=one", "/v2/a/blobs/uploads/2?_state=two"
    quoted = str(BLOB.digest).replace(":", "%3A")
    answers = {
        "POST /v2/a/blobs/uploads/": in_turn(reply(202, headers={"Location": first}), reply(202, headers={"Location": second})),
        "PUT /v2/a/blobs/uploads/1": reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'),
        "PUT /v2/a/blobs/uploads/2": reply(201, headers={"Docker-Content-Digest": str(BLOB.digest)}),
    }
    with Fake(by_path(answers)) as fake:
        assert client(fake).upload_blob("a", BLOB, lambda: io.BytesIO(DATA)) == "uploaded"
        puts = [one.target for one in fake.log if one.method == "PUT"]
        assert puts == [f"{first}&digest={quoted}", f"{second}&digest={quoted}"]


def test_r1_45_what_a_registry_says_of_a_manifest_it_refuses_is_shown() -> None:
    from ansible_collections.longshore.oci.tests.unit.operations.memory import image

    words = b'{"errors":[{"code":"MANIFEST_INVALID","message":"artifact type \\u001b[31mnot allowed"}]}'
    with Fake(reply(400, words)) as fake:
        with pytest.raises(RegistryError, match=r"artifact type .*not allowed") as caught:
            client(fake).put_manifest("a", image([b"x"])[0], "1")
        assert caught.value.error_code == "MANIFEST_INVALID"
        assert "\x1b" not in caught.value.message


def test_the_version_that_registries_are_told_is_galaxys() -> None:
    galaxy = pathlib.Path(__file__).parents[3] / "galaxy.yml"
    found = re.search(r"^version: (\S+)$", galaxy.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None and found.group(1) == VERSION
