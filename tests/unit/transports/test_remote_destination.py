# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing archives to a storage: one stream of known length, whole or not at all, nothing when nothing changes."""

from __future__ import annotations

import dataclasses
import functools
import io
import pathlib
import tarfile
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    ArchiveError,
    ContentError,
    DigestMismatch,
    NetworkError,
    NotFound,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.streams import BlobStream
from ansible_collections.longshore.oci.plugins.module_utils.transports import image_list, table, tar_body
from ansible_collections.longshore.oci.plugins.module_utils.transports.archive_source import ArchiveSource
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote_content import RemoteArchive
from ansible_collections.longshore.oci.plugins.module_utils.transports.remote_destination import RemoteDestination
from ansible_collections.longshore.oci.tests.unit.transports import images
from ansible_collections.longshore.oci.tests.unit.transports.stored import Stored

ONE, TWO, MULTI = images.image("first"), images.image("second"), images.two_platforms("multi")


def write(stored: Stored, keep: object = None, **wanted: images.Image) -> None:
    destination = RemoteDestination(stored)
    destination.presume(None, replace=keep is not None)
    for name, image in wanted.items():
        image.store(destination, f"localhost/{name}:1")
    destination.commit(None if keep is None else [f"localhost/{name}:1" for name in wanted])


def names(stored: Stored) -> dict[str, Digest]:
    held = RemoteDestination(stored).held()
    for name in held:
        images.read_all(ArchiveSource(RemoteArchive(stored), name))
    return held


def members(stored: Stored) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(stored.data or b"")) as tar:
        return tar.getnames()


def test_what_is_written_is_read_and_the_small_files_come_first() -> None:
    stored = Stored()
    write(stored, one=ONE, multi=MULTI)
    assert names(stored) == {"localhost/one:1": ONE.digest, "localhost/multi:1": MULTI.digest}
    listed = members(stored)
    assert listed[:4] == ["oci-layout", "index.json", "manifest.json", image_list.FILE]
    with tarfile.open(fileobj=io.BytesIO(stored.data or b"")) as tar:
        sizes = [tar.getmember(name).size for name in listed[4 + 4 :]]
    assert sizes == sorted(sizes)


def test_the_bytes_depend_on_the_images_alone() -> None:
    first, second = Stored(), Stored()
    write(first, one=ONE, multi=MULTI)
    write(second, multi=MULTI, one=ONE)
    assert first.data == second.data


def test_a_file_and_an_object_hold_the_same(tmp_path: pathlib.Path) -> None:
    stored = Stored()
    write(stored, one=ONE, multi=MULTI)
    destination, unused = table.open_destination(table.parse(f"oci-archive:{tmp_path}/a.tar:x"), Places())
    ONE.store(destination, "localhost/one:1")
    MULTI.store(destination, "localhost/multi:1")
    destination.commit()
    with tarfile.open(tmp_path / "a.tar") as tar, tarfile.open(fileobj=io.BytesIO(stored.data or b"")) as ours:
        assert sorted(tar.getnames()) == sorted(ours.getnames())
        for name in tar.getnames():
            theirs, own = tar.extractfile(name), ours.extractfile(name)
            assert theirs is not None and own is not None and theirs.read() == own.read(), name


def test_nothing_is_sent_when_nothing_changes() -> None:
    stored = Stored()
    write(stored, keep=True, one=ONE, multi=MULTI)
    destination = RemoteDestination(stored)
    assert destination.resolve("localhost/multi:1") == MULTI.digest
    assert destination.has_manifest(ONE.digest) and destination.has_manifest(MULTI.digest)
    destination.commit(["localhost/one:1", "localhost/multi:1"])
    write(stored, keep=True, one=ONE, multi=MULTI)
    assert stored.stored == 1


def test_what_stays_comes_from_the_archive_that_is_there() -> None:
    stored = Stored()
    write(stored, one=ONE, multi=MULTI)
    destination = RemoteDestination(stored)
    TWO.store(destination, "localhost/two:1")
    destination.commit()
    assert names(stored) == {f"localhost/{name}:1": one.digest for name, one in (("one", ONE), ("two", TWO), ("multi", MULTI))}
    # As if it had been written in one go.
    at_once = Stored()
    write(at_once, one=ONE, two=TWO, multi=MULTI)
    assert sorted(members(at_once)) == sorted(members(stored))


def test_what_is_not_to_be_kept_goes() -> None:
    stored = Stored()
    write(stored, one=ONE, multi=MULTI)
    destination = RemoteDestination(stored)
    destination.commit(["localhost/one:1"])
    assert names(stored) == {"localhost/one:1": ONE.digest}
    assert not [name for name in members(stored) if MULTI.digest.hex in name]


def broken_at(digest: Digest) -> images.Image:
    """MULTI, with other bytes for one of its blobs."""
    children = [
        images.Image(child.manifest, {one: data[:-1] + b"?" if one == digest else data for one, data in child.blobs.items()})
        for child in MULTI.children
    ]
    return images.Image(MULTI.manifest, {}, children)


def test_a_wrong_source_never_completes() -> None:
    stored = Stored()
    write(stored, one=ONE)
    before = stored.data
    for digest in MULTI.everything():
        with pytest.raises(DigestMismatch):
            write(stored, multi=broken_at(digest))
    assert stored.data == before and stored.stored == 1


def test_a_source_that_ends_early_and_one_that_is_gone() -> None:
    stored = Stored()
    destination = RemoteDestination(stored)
    ONE.store(destination, "localhost/one:1")
    for blob in ONE.manifest.blobs():  # type: ignore[union-attr]
        destination._blobs[blob.digest] = blob, functools.partial(io.BytesIO, b"")
    with pytest.raises(SizeMismatch):
        destination.commit()

    def gone() -> BlobStream:
        raise NotFound("blob of the registry is gone")

    destination._blobs = {digest: (blob, gone) for digest, (blob, unused) in destination._blobs.items()}
    with pytest.raises(NotFound, match="is gone"):
        destination.commit()
    assert stored.data is None


def test_an_error_of_the_source_is_not_taken_for_one_that_passes() -> None:
    def failing() -> BlobStream:
        raise NetworkError("the registry is down")

    blob = ONE.manifest.blobs()[0]  # type: ignore[union-attr]
    stream = tar_body.TarBody([tar_body.blob("a", blob, failing)]).open()
    with pytest.raises(NetworkError) as info:
        while stream.read(1000):
            pass
    assert not info.value.transient


def test_one_digest_with_two_sizes() -> None:
    destination = RemoteDestination(Stored())
    blob = ONE.manifest.blobs()[0]  # type: ignore[union-attr]
    destination.write_blob(blob, functools.partial(io.BytesIO, b""))
    with pytest.raises(ContentError, match="bytes, and before"):
        destination.write_blob(dataclasses.replace(blob, size=blob.size + 1), functools.partial(io.BytesIO, b""))


def test_what_may_only_be_written_is_written_each_time() -> None:
    stored = Stored()

    def refuse() -> None:
        raise AccessDenied("no", status_code=403)

    stored.before = refuse
    for times in (1, 2):
        destination = RemoteDestination(stored)
        assert destination.resolve("localhost/one:1") is None and not destination.has_manifest(ONE.digest)
        ONE.store(destination, "localhost/one:1")
        destination.commit([])
        assert stored.stored == times
    assert "every run writes it anew" in stored.warnings[0] and "HTTP 403" in stored.warnings[0]


def test_without_ranges_nothing_is_copied_to_find_out() -> None:
    stored = Stored()
    write(stored, one=ONE)
    stored.ranges = False
    write(stored, one=ONE)
    assert stored.stored == 2 and "cannot be read in parts" in stored.warnings[0]


def test_something_else_is_not_written_over() -> None:
    stored = Stored(b"precious" * 1000)
    with pytest.raises(ArchiveError, match="exists and is no image archive"):
        RemoteDestination(stored).resolve("x")
    assert stored.data is not None and stored.data.startswith(b"precious")


def test_an_empty_object_is_none() -> None:
    stored = Stored(b"")
    write(stored, one=ONE)
    assert names(stored) == {"localhost/one:1": ONE.digest}


def test_a_delta_leaves_out_what_the_earlier_one_has() -> None:
    earlier, stored = Stored(), Stored()
    write(earlier, one=ONE)
    since = image_list.together([ArchiveSource(RemoteArchive(earlier)).image_list()])
    more = images.index(ONE, images.image("arm", "arm64"))
    for times in (1, 1):
        destination = RemoteDestination(stored)
        destination.presume(since, replace=True)
        if destination.resolve("localhost/more:1") != more.digest:
            more.store(destination, "localhost/more:1")
            for blob in ONE.manifest.layers:  # type: ignore[union-attr]
                assert destination.has_blob(blob)
                del destination._blobs[blob.digest]
        destination.commit(["localhost/more:1"])
        assert stored.stored == times
    listed = members(stored)
    layer = ONE.manifest.layers[0].digest.hex  # type: ignore[union-attr]
    assert not [name for name in listed if layer in name]
    source = ArchiveSource(RemoteArchive(stored))
    found = source.earlier()
    assert found is not None and [digest.hex for digest in found.blobs] == [layer]
    # Whole images take its place.
    write(stored, keep=True, more=more)
    assert stored.stored == 2 and [name for name in members(stored) if layer in name]


def test_fetching_ends_with_the_stream() -> None:
    begun, before = threading.Event(), threading.active_count()

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            begun.set()
            return bytes(size or 1)

    blob = ONE.manifest.blobs()[0]  # type: ignore[union-attr]
    part = tar_body.blob("a", dataclasses.replace(blob, size=1 << 40), Endless)
    stream = tar_body.TarBody([part]).open()
    assert begun.wait(5) and stream.read(10)
    stream.close()
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() == before
