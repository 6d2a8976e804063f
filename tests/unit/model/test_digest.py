# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests and the reader that proves them (R1.16, R1.21; S3)."""

from __future__ import annotations

import hashlib
import io

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest, VerifyingReader
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import DigestMismatch, InvalidDigest, SizeMismatch

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha384", 96), ("sha512", 128)])
def test_algorithms_we_can_verify(algorithm: str, length: int) -> None:
    text = f"{algorithm}:{'a' * length}"
    digest = Digest.parse(text)
    assert (digest.algorithm, digest.hex, str(digest)) == (algorithm, "a" * length, text)
    data = b"some bytes"
    assert str(Digest.of(data, algorithm)) == f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    Digest.of(data, algorithm).verify(data)


@pytest.mark.parametrize(
    "text",
    [
        "sha256:../../../etc/x",
        "sha256:abcd",
        "md5:" + "a" * 32,
        "sha1:" + "a" * 40,
        "sha256:" + "A" * 64,
        "SHA256:" + "a" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:%2f" + "a" * 61,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "g" * 64,
        "sha256:" + "\u0661" * 64,
        "sha256" + "a" * 64,
        "sha256/" + "a" * 64,
        ":" + "a" * 64,
        "sha256:",
        "",
        None,
        5,
        b"sha256:" + b"a" * 64,
        ["sha256:" + "a" * 64],
    ],
)
def test_s3_what_could_be_a_path_is_no_digest(text: object) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


def test_s18_an_invalid_digest_is_shown_without_control_characters() -> None:
    with pytest.raises(InvalidDigest) as caught:
        Digest.parse("sha256:\x1b[31m\r\n\u202e" + "x" * 1000)
    assert not set("\x1b\r\n\u202e") & set(caught.value.message)
    assert len(caught.value.message) < 300


def test_r1_16_both_digests_are_named() -> None:
    wanted = Digest.of(b"a")
    with pytest.raises(DigestMismatch) as caught:
        wanted.verify(b"b", "manifest")
    assert str(wanted) in caught.value.message
    assert str(Digest.of(b"b")) in caught.value.message


def read_all(data: bytes, digest: Digest, size: int, step: int) -> bytes:
    reader = VerifyingReader(io.BytesIO(data), digest, size)
    found = b""
    while True:
        piece = reader.read(step)
        if not piece:
            return found
        found += piece


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 300_000])
@pytest.mark.parametrize("step", [1000, 7, 10**9, -1])
def test_the_right_bytes_pass(size: int, step: int) -> None:
    data = bytes(index % 251 for index in range(size))
    assert read_all(data, Digest.of(data, "sha512"), size, step) == data
    assert b"".join(VerifyingReader(io.BytesIO(data), Digest.of(data), size)) == data


@pytest.mark.parametrize("step", [1, 3, 100])
def test_r1_21_the_last_byte_is_kept_back_until_the_digest_is_right(step: int) -> None:
    reader = VerifyingReader(io.BytesIO(b"abcdef"), Digest.of(b"abcdeF"), 6, "layer")
    passed = b""
    with pytest.raises(DigestMismatch, match="layer"):
        while True:
            passed += reader.read(step)
    assert len(passed) < 6


def test_r1_21_too_few_and_too_many_bytes() -> None:
    for data, size in ((b"abc", 4), (b"", 1)):
        with pytest.raises(SizeMismatch, match=rf"ended after {len(data)} of {size}"):
            read_all(data, Digest.of(data), size, 100)
    for data, size in ((b"abc", 2), (b"a", 0)):
        with pytest.raises(SizeMismatch, match="longer than"):
            read_all(data, Digest.of(data[:size]), size, 100)


def test_no_more_than_one_byte_past_the_end_is_read() -> None:
    stream = io.BytesIO(b"abc" + b"x" * 1000)
    reader = VerifyingReader(stream, Digest.of(b"abc"), 3)
    with pytest.raises(SizeMismatch):
        reader.read(10**6)
    assert stream.tell() == 4


def test_empty_content() -> None:
    assert str(Digest.of(b"")) == EMPTY
    assert VerifyingReader(io.BytesIO(b""), Digest.parse(EMPTY), 0).read(10) == b""
    with pytest.raises(DigestMismatch):
        VerifyingReader(io.BytesIO(b""), Digest.of(b"x"), 0).read(10)
