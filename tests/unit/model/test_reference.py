# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image references (R1.1-R1.9)."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidReference
from ansible_collections.longshore.oci.plugins.module_utils.model.reference import (
    Reference,
    api_host,
    check_repository,
    check_tag,
    is_tag,
    looks_like_host,
)

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "reference.json").read_bytes())["vectors"]
# R1.8: the grammar lets these through, and no registry can have such a host.
REFUSED_ON_PURPOSE = {"a.b_c/d", "256.256.256.256/a", "host:65536/a", "host:99999999/a", "host:0/a"}
SHA = "sha256:" + "f" * 64
HEX = "f" * 64


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 149
    assert {vector["in"] for vector in VECTORS if vector["ok"]} >= REFUSED_ON_PURPOSE


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector["in"])[:60])
def test_r1_1_to_r1_8_vector(vector: dict[str, Any]) -> None:
    text = vector["in"]
    if not vector["ok"] or text in REFUSED_ON_PURPOSE:
        with pytest.raises(InvalidReference):
            Reference.parse(text)
        return
    parsed = Reference.parse(text)
    assert parsed.host == vector["domain"]
    assert parsed.repository == vector["path"]
    assert parsed.tag == vector.get("tag")
    assert (str(parsed.digest) if parsed.digest else None) == vector.get("digest")
    assert str(parsed) == vector["canonical"]


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("test.com:tag", "docker.io", "library/test.com", "tag"),
        ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080"),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com"),
        (f"[2001:db8::1]:5000/repo:tag@{SHA}", "[2001:db8::1]:5000", "repo", "tag"),
        (
            "registry.io/foo/project--id.module--name.ver---sion--name",
            "registry.io",
            "foo/project--id.module--name.ver---sion--name",
            None,
        ),
        ("d/docker", "docker.io", "d/docker", None),
        ("Docker/docker", "Docker", "docker", None),
        ("example.com/" + "a" * 255, "example.com", "a" * 255, None),
        ("localhost/a", "localhost", "a", None),
        ("localhost:5000/a:b", "localhost:5000", "a", "b"),
        ("localhost:5000", "docker.io", "library/localhost", "5000"),
        ("192.168.1.1", "docker.io", "library/192.168.1.1", None),
        ("host:1/a", "host:1", "a", None),
        ("host:65535/a", "host:65535", "a", None),
    ],
)
def test_r1_3_must_accept(text: str, host: str, repository: str, tag: str | None) -> None:
    parsed = Reference.parse(text)
    assert (parsed.host, parsed.repository, parsed.tag) == (host, repository, tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-foo",
        "docker/Docker",
        "docker///docker",
        "dock..er/docker",
        "dock_.er/docker",
        "a___b/c",
        "[fe80::1%eth0]:5000/r",
        "[2001:db8:3:4::192.0.2.33]:5000/d",
        "[::1::]/d",
        "fc00::1:5000/d",
        "a:",
        "a@sha256:" + "F" * 64,
        "a@md5:" + "f" * 32,
        "repo@sha256:" + "f" * 34,
        "a:" + "t" * 129,
        "busybox\n",
        "a$(id)",
        "a%2fb",
        "user:pw@host/a",
        "user@host/a",
        "https://host/a",
        "docker://host/a",
        "host:000080/a",
        "host:0000065536/a",
        HEX,
        SHA,
        "a@" + SHA + "@" + SHA,
        "\u00e4/b",
        "a:\u0661\u0662",
        "\uff41/b",
        "../../etc/passwd",
        "a/../b",
        "example.com/" + "a" * 256,
    ],
)
def test_r1_1_to_r1_8_must_reject(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)


def test_r1_4_the_hubs_names_are_one() -> None:
    for text in ("busybox", "library/busybox", "docker.io/busybox", "index.docker.io/library/busybox"):
        assert Reference.parse(text).name == "docker.io/library/busybox"
    assert Reference.parse("DOCKER.IO/a/b").host == "DOCKER.IO"
    assert Reference.parse("docker.io:443/a").host == "docker.io:443"


def test_r1_5_api_host() -> None:
    assert Reference.parse("busybox").api_host == "registry-1.docker.io"
    for host in ("docker.io", "index.docker.io", "DOCKER.IO"):
        assert api_host(host) == "registry-1.docker.io"
    assert api_host("quay.io") == "quay.io"
    assert api_host("localhost:5000") == "localhost:5000"


def test_r1_6_the_digest_is_asked_for_and_the_tag_is_kept() -> None:
    parsed = Reference.parse(f"quay.io/a:v1@{SHA}")
    assert parsed.target == SHA
    assert parsed.tag == "v1"
    assert Reference.parse("quay.io/a:v1").target == "v1"
    assert Reference.parse("quay.io/a").target == "latest"


def test_default_tag_only_where_nothing_is_named() -> None:
    assert str(Reference.parse("quay.io/a").with_default_tag()) == "quay.io/a:latest"
    assert str(Reference.parse("quay.io/a:b").with_default_tag()) == "quay.io/a:b"
    assert str(Reference.parse(f"quay.io/a@{SHA}").with_default_tag()) == f"quay.io/a@{SHA}"


def test_derived_references() -> None:
    parsed = Reference.parse(f"quay.io/a:b@{SHA}")
    assert str(parsed.with_tag("c")) == "quay.io/a:c"
    assert str(parsed.with_digest(Digest.of(b""))) == f"quay.io/a@{Digest.of(b'')}"


def test_r1_7_a_bare_image_id_is_explained() -> None:
    with pytest.raises(InvalidReference, match="image ID"):
        Reference.parse(HEX)


def test_r1_8_a_password_in_a_reference_is_not_shown() -> None:
    with pytest.raises(InvalidReference, match="username and password") as caught:
        Reference.parse("user:hunter2@host/a")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("tag", ["a", "_", "A.b-c_d", "1", "t" * 128])
def test_r1_9_tags_a_server_may_send(tag: str) -> None:
    assert is_tag(tag)
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "../../etc", "a\n", "a\x1b[31m", "t" * 129, "\u0661", "a b", None, 1, b"a"])
def test_r1_9_tags_a_server_may_not_send(tag: Any) -> None:
    assert not is_tag(tag)
    if isinstance(tag, str):
        with pytest.raises(InvalidReference) as caught:
            check_tag(tag)
        assert "\x1b" not in caught.value.message
        assert "\n" not in caught.value.message


def test_r1_9_repositories_a_server_may_send() -> None:
    assert check_repository("a/b-c/d__e.f") == "a/b-c/d__e.f"
    for name in ("", "A", "a//b", "/a", "a/", "a\n", "../a", "a:b", "a" * 256):
        with pytest.raises(InvalidReference):
            check_repository(name)


def test_r1_2_the_path_has_255_characters_without_the_host() -> None:
    path = "/".join(["a" * 51] * 4 + ["a" * 47])
    assert len(path) == 255
    assert Reference.parse("a-long-host-name.example.com:5000/" + path).repository == path
    with pytest.raises(InvalidReference, match="longer than 255"):
        Reference.parse("h.example/" + path + "a")
    # library/ counts.
    with pytest.raises(InvalidReference):
        Reference.parse("a" * 248)
    assert Reference.parse("a" * 247).repository == "library/" + "a" * 247


def test_upper_case_is_explained() -> None:
    with pytest.raises(InvalidReference, match="lower case"):
        Reference.parse("quay.io/Team/app")


def test_r1_3_a_name_that_only_looks_like_a_host() -> None:
    for text in ("localhost:5000", "registry.example:443"):
        assert looks_like_host(text)
    for text in ("localhost:5000/a", "busybox:latest", "busybox:1", "busybox", "a.b:v1"):
        assert not looks_like_host(text)
