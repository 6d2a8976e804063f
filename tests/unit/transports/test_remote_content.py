# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading archives where they lie: few requests, on from where a connection broke, a change noticed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pathlib
import random
import tempfile

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    NetworkError,
    NotFound,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports import tar_body
from ansible_collections.longshore.oci.plugins.module_utils.transports.archive_source import ArchiveSource
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote_content import (
    NotInPlace,
    RemoteArchive,
    open_remote,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote_destination import RemoteDestination
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote_reader import WINDOW, RemoteReader
from ansible_collections.longshore.oci.tests.unit.transports import images
from ansible_collections.longshore.oci.tests.unit.transports.stored import Stored

LARGE = random.Random(7).randbytes(3 * WINDOW)
IMAGE = images.two_platforms("read me")


def archive(**wanted: images.Image) -> bytes:
    stored = Stored()
    destination = RemoteDestination(stored)
    for name, image in wanted.items():
        image.store(destination, name)
    destination.commit()
    assert stored.data is not None
    return stored.data


@pytest.fixture
def temporary(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def with_large(where: str = "blobs/sha256/aa") -> bytes:
    """IMAGE behind a large file."""
    stream = tar_body.TarBody([tar_body.small(where, LARGE)]).open()
    head = b""
    while data := stream.read(100_000):
        head += data
    return head[:-1024] + archive(multi=IMAGE)


def test_a_small_archive_takes_one_request() -> None:
    stored = Stored(archive(multi=IMAGE))
    source = ArchiveSource(RemoteArchive(stored), "multi")
    assert set(IMAGE.everything()) <= images.read_all(source)
    assert stored.fetched == [(0, WINDOW)]
    assert source.name == "https://storage/a.tar?...#multi"


def test_large_files_are_passed_over() -> None:
    stored = Stored(with_large())
    assert set(IMAGE.everything()) <= images.read_all(ArchiveSource(RemoteArchive(stored), "multi"))
    assert sum(min(end, len(stored.data or b"")) - start for start, end in stored.fetched) <= 2 * WINDOW


def test_reads_are_those_of_a_file() -> None:
    stored = Stored(LARGE)
    reader = RemoteReader(stored, len(LARGE), stored.version, LARGE[:1000])
    chosen = random.Random(1)
    for unused in range(60):
        offset, size = chosen.randrange(len(LARGE) + 10), chosen.randrange(2 * WINDOW)
        assert reader.pread(size, offset) == LARGE[offset : offset + size]
        stream, got = reader.stream(offset, max(0, min(size, len(LARGE) - offset))), b""
        while data := stream.read(50_000):
            got += data
        assert got == LARGE[offset : offset + size]


def test_a_stream_goes_on_from_where_it_broke() -> None:
    stored = Stored(LARGE)
    reader = RemoteReader(stored, len(LARGE), stored.version, b"")
    stored.breaks = [1000, 0, 5000]
    stream, got = reader.stream(10, len(LARGE) - 10), b""
    with pytest.raises(NetworkError, match="what comes after byte"):
        while data := stream.read(50_000):
            got += data
    assert got == LARGE[10 : 10 + 6000] and len(stored.fetched) == 3
    stored.breaks = [2 << 20]
    stream, got = reader.stream(10, len(LARGE) - 10), b""
    while data := stream.read(50_000):
        got += data
    assert got == LARGE[10:]


def test_a_change_is_noticed() -> None:
    stored = Stored(with_large())
    source = ArchiveSource(RemoteArchive(stored), "multi")
    source.resolve()
    stored.data = with_large("blobs/sha256/bb")
    blob = Descriptor("x", Digest.of(LARGE), len(LARGE))
    content = source._archive.content()
    content.member = lambda digest: content.tar.member("blobs/sha256/aa")  # type: ignore[method-assign]
    stream = source.open_blob(blob)
    with pytest.raises(StorageError, match="was changed while it was read"):
        stream.read(10)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_archive_is_unpacked_while_it_comes(pack: object, temporary: pathlib.Path) -> None:
    stored = Stored(pack(with_large()))  # type: ignore[operator]
    stored.breaks = [100, 200_000]
    source = ArchiveSource(RemoteArchive(stored), "multi")
    assert set(IMAGE.everything()) <= images.read_all(source)
    source.close()
    assert list(temporary.iterdir()) == []


def test_a_server_without_ranges_is_asked_once(temporary: pathlib.Path) -> None:
    stored = Stored(with_large(), ranges=False)
    stored.breaks = [400_000]
    source = ArchiveSource(RemoteArchive(stored), "multi")
    assert set(IMAGE.everything()) <= images.read_all(source)
    # Once more, because the first time it broke.
    assert len(stored.fetched) == 2
    stored = Stored(gzip.compress(with_large()), ranges=False)
    assert set(IMAGE.everything()) <= images.read_all(ArchiveSource(RemoteArchive(stored), "multi"))
    stored.breaks = [10, 10, 10]
    with pytest.raises(NetworkError):
        ArchiveSource(RemoteArchive(stored), "multi").resolve()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_nothing_there(ranges: bool) -> None:
    for data in (None, b""):
        with pytest.raises(NotFound, match=r"a.tar\?\.\.\. does not exist or is empty"):
            ArchiveSource(RemoteArchive(Stored(data, ranges))).resolve()


@pytest.mark.parametrize("data", [b"hello" * 1000, gzip.compress(b"hello"), gzip.compress(with_large())[:-9]])
def test_what_is_no_archive(data: bytes, temporary: pathlib.Path) -> None:
    with pytest.raises(ArchiveError):
        ArchiveSource(RemoteArchive(Stored(data))).resolve()
    assert list(temporary.iterdir()) == []


def test_no_copy_is_made_unasked() -> None:
    for stored in (Stored(with_large(), ranges=False), Stored(gzip.compress(with_large()))):
        with pytest.raises(NotInPlace):
            open_remote(stored, None)


def test_a_server_that_does_not_tell_the_size() -> None:
    stored = Stored(LARGE)
    fetch = stored.fetch

    def without(start: int, end: int, version: str = "") -> object:
        answer = fetch(start, end, version)
        assert answer is not None and isinstance(answer.stream, io.BytesIO)
        answer.total = None
        return answer

    stored.fetch = without  # type: ignore[assignment,method-assign]
    with pytest.raises(StorageError, match="how large"):
        open_remote(stored, None)
