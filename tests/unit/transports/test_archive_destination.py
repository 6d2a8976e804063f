# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci-archive:`` and ``docker-archive:`` as a destination, and what is read back from it."""

from __future__ import annotations

import functools
import io
import json
import os
import pathlib
import tarfile
import threading
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    ContentError,
    DigestMismatch,
    InvalidInput,
    NetworkError,
    NotFound,
    SizeMismatch,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import files, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.base import ImageDestination
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

ONE, TWO, MULTI = images.image("one"), images.image("two"), images.two_platforms()
SCHEMES = ["oci-archive", "docker-archive"]
REF, FULL = "org.opencontainers.image.ref.name", "io.containerd.image.name"


def save(wanted: dict[str, images.Image], keep: Any = None) -> None:
    """Write images under locations, each task's way: one commit for a file."""
    places = Places()
    for location, image in wanted.items():
        destination, name = table.open_destination(table.parse(location), places)
        image.store(destination, name)
    for destination in places.open_destinations():
        destination.commit(keep)
    places.close()


def load(location: str) -> tuple[Digest, set[Digest]]:
    places = Places()
    source = table.open_source(table.parse(location), places)
    try:
        return source.resolve(), images.read_all(source)
    finally:
        places.close()


def tags(location: str) -> list[str]:
    places = Places()
    try:
        return table.open_source(table.parse(location), places).tags()
    finally:
        places.close()


def document(path: object, name: str) -> Any:
    with tarfile.open(str(path)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def opened(location: str) -> tuple[ImageDestination, str]:
    return table.open_destination(table.parse(location), Places())


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "a.tar")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("image", [ONE, MULTI, images.image("docker", docker=True)])
def test_what_is_written_is_read_back(path: str, scheme: str, image: images.Image) -> None:
    save({f"{scheme}:{path}:example.com/app:1": image})
    everything = {image.digest, *image.everything(), *(child.digest for child in image.children)}
    for reader in SCHEMES:
        for name in ("", ":example.com/app:1", ":@0", f":{image.digest}"):
            assert load(f"{reader}:{path}{name}") == (image.digest, everything)
        assert tags(f"{reader}:{path}") == ["example.com/app:1"]


def test_the_tar_has_both_forms(path: str) -> None:
    save({f"docker-archive:{path}:app": ONE, f"docker-archive:{path}:example.com/team/app:2": TWO})
    with tarfile.open(path) as tar:
        names = tar.getnames()
    blobs = [f"blobs/sha256/{digest.hex}" for image in (ONE, TWO) for digest in (*image.blobs, image.digest)]
    assert sorted(names) == sorted([*blobs, "oci-layout", "index.json", "manifest.json", "images.json"])
    assert document(path, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    entries = document(path, "index.json")["manifests"]
    assert [(one["digest"], one["annotations"]) for one in entries] == [
        (str(ONE.digest), {REF: "docker.io/library/app:latest", FULL: "docker.io/library/app:latest"}),
        (str(TWO.digest), {REF: "example.com/team/app:2", FULL: "example.com/team/app:2"}),
    ]
    first = document(path, "manifest.json")[0]
    assert first["RepoTags"] == ["docker.io/library/app:latest"]
    assert [first["Config"], *first["Layers"]] == sorted(
        (f"blobs/sha256/{digest.hex}" for digest in ONE.blobs), key=lambda name: name != first["Config"]
    )
    with tarfile.open(path) as tar:
        config = tar.extractfile(first["Config"])
        assert config is not None and json.load(config)["os"] == "linux"


@pytest.mark.parametrize(
    ("name", "annotations", "repo_tags"),
    [
        ("1.0", {REF: "1.0"}, None),
        ("app:1.0", {REF: "app:1.0", FULL: "docker.io/library/app:1.0"}, ["docker.io/library/app:1.0"]),
        ("example.com/app", {REF: "example.com/app", FULL: "example.com/app:latest"}, ["example.com/app:latest"]),
        ("", None, None),
    ],
)
def test_names_of_oci_archives_are_kept_as_they_are(path: str, name: str, annotations: Any, repo_tags: Any) -> None:
    save({f"oci-archive:{path}" + (f":{name}" if name else ""): ONE})
    (entry,) = document(path, "index.json")["manifests"]
    assert entry.get("annotations") == annotations
    assert document(path, "manifest.json")[0]["RepoTags"] == repo_tags
    destination, found = opened(f"oci-archive:{path}" + (f":{name}" if name else ""))
    assert destination.resolve(found) == ONE.digest
    assert destination.held() == ({name: ONE.digest} if name else {})
    destination.abort()


@pytest.mark.parametrize("name", ["App:1", "app@sha256:" + "a" * 64, "app:-x", "a b"])
def test_names_of_docker_archives_are_references(path: str, name: str) -> None:
    with pytest.raises(InvalidInput):
        opened(f"docker-archive:{path}:{name}")


@pytest.mark.parametrize("name", ["a b", "a\nb", "-x"])
def test_names_that_cannot_be_shown(path: str, name: str) -> None:
    with pytest.raises(InvalidInput):
        opened(f"oci-archive:{path}:{name}")


def test_a_number_is_no_name_to_write(path: str) -> None:
    with pytest.raises(InvalidInput, match="number"):
        opened(f"oci-archive:{path}:@1")


def test_an_index_is_one_platform_for_docker(path: str) -> None:
    for order in ((0, 1), (1, 0)):
        children = [images.image("arm", "arm64"), images.image("amd", "amd64")]
        index = images.index(*(children[number] for number in order))
        save({f"oci-archive:{path}:app:1": index}, keep=())
        (entry,) = document(path, "manifest.json")
        assert entry["Config"] == f"blobs/sha256/{children[1].manifest.config.digest.hex}"  # type: ignore[union-attr]
    only_arm = images.index(images.image("arm", "arm64"), images.image("s390", "s390x"))
    save({f"oci-archive:{path}:app:1": only_arm}, keep=())
    (entry,) = document(path, "manifest.json")
    assert entry["Config"] == f"blobs/sha256/{only_arm.children[0].manifest.config.digest.hex}"  # type: ignore[union-attr]


def test_linux_comes_before_other_systems(path: str) -> None:
    first, second = images.image("first"), images.image("second", "arm64")
    entries = [
        images.descriptor(first.manifest.raw, first.manifest.media_type, platform={"os": "windows", "architecture": "amd64"}),
        images.descriptor(second.manifest.raw, second.manifest.media_type, platform={"os": "linux", "architecture": "arm64"}),
    ]
    raw = images.encode({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries})
    mixed = images.Image(parse_manifest(raw), {}, [first, second])
    save({f"oci-archive:{path}:app:1": mixed})
    (entry,) = document(path, "manifest.json")
    assert entry["Config"] == f"blobs/sha256/{second.manifest.config.digest.hex}"  # type: ignore[union-attr]


def test_several_names_of_one_image_are_one_entry(path: str) -> None:
    save({f"docker-archive:{path}:app:1": ONE, f"docker-archive:{path}:app:2": ONE, f"docker-archive:{path}:other": TWO})
    first, second = document(path, "manifest.json")
    assert first["RepoTags"] == ["docker.io/library/app:1", "docker.io/library/app:2"]
    assert second["RepoTags"] == ["docker.io/library/other:latest"]
    with tarfile.open(path) as tar:
        assert len(tar.getnames()) == len(set(tar.getnames()))


def test_artifacts_have_no_entry_for_docker(path: str) -> None:
    save({f"oci-archive:{path}:app:1": ONE, f"oci-archive:{path}:thing:1": images.artifact(TWO)})
    assert [one["RepoTags"] for one in document(path, "manifest.json")] == [["docker.io/library/app:1"]]
    os.unlink(path)
    save({f"oci-archive:{path}:thing:1": images.artifact(TWO)})
    with tarfile.open(path) as tar:
        assert "manifest.json" not in tar.getnames()


def test_referrers_are_found_again(path: str) -> None:
    signature = images.artifact(ONE)
    second = images.artifact(signature, "application/vnd.example.note")
    places = Places()
    destination, name = table.open_destination(table.parse(f"oci-archive:{path}:app:1"), places)
    ONE.store(destination, name)
    signature.store(destination, None)
    second.store(destination, None)
    destination.commit()
    source = table.open_source(table.parse(f"oci-archive:{path}"), places)
    assert source.resolve() == ONE.digest
    assert [one.digest for one in source.referrers(ONE.digest)] == [signature.digest]
    assert [one.artifact_type for one in source.referrers(ONE.digest)] == ["application/vnd.example.signature"]
    assert images.read_all(source, signature.digest) == {signature.digest, *signature.blobs}
    places.close()
    # They stay as long as their subject does.
    save({f"oci-archive:{path}:other:1": TWO}, keep=["app:1"])
    source = table.open_source(table.parse(f"oci-archive:{path}:app:1"), Places())
    assert [one.digest for one in source.referrers(signature.digest)] == [second.digest]
    source.close()
    save({f"oci-archive:{path}:other:1": TWO}, keep=["other:1"])
    assert [one["digest"] for one in document(path, "index.json")["manifests"]] == [str(TWO.digest)]


def test_names_are_kept_or_not(path: str) -> None:
    save({f"oci-archive:{path}:a:1": ONE, f"oci-archive:{path}:b:1": TWO})
    save({f"oci-archive:{path}:c:1": MULTI})
    assert sorted(tags(f"oci-archive:{path}")) == [f"docker.io/library/{one}:1" for one in "abc"]
    save({f"oci-archive:{path}:d:1": images.image("four")}, keep=["a:1"])
    assert sorted(tags(f"oci-archive:{path}")) == [f"docker.io/library/{one}:1" for one in "ad"]
    with tarfile.open(path) as tar:
        assert not any(TWO.digest.hex in name for name in tar.getnames())
    assert load(f"oci-archive:{path}:a:1")[1] == {ONE.digest, *ONE.blobs}
    save({f"oci-archive:{path}:e:1": TWO}, keep=())
    assert tags(f"oci-archive:{path}") == ["docker.io/library/e:1"]


def test_a_name_moves(path: str) -> None:
    save({f"oci-archive:{path}:a:1": ONE, f"oci-archive:{path}:b:1": ONE})
    save({f"oci-archive:{path}:a:1": TWO})
    assert load(f"oci-archive:{path}:a:1")[0] == TWO.digest
    assert load(f"oci-archive:{path}:b:1")[0] == ONE.digest
    # The other scheme means the same name.
    save({f"docker-archive:{path}:b:1": TWO})
    assert load(f"oci-archive:{path}:b:1")[0] == TWO.digest
    with tarfile.open(path) as tar:
        assert not any(ONE.digest.hex in name for name in tar.getnames())


def test_an_image_without_a_name_is_replaced(path: str) -> None:
    save({f"oci-archive:{path}": ONE})
    save({f"oci-archive:{path}": TWO})
    assert load(f"oci-archive:{path}")[0] == TWO.digest
    assert len(document(path, "index.json")["manifests"]) == 1
    save({f"oci-archive:{path}:app:1": TWO})
    assert len(document(path, "index.json")["manifests"]) == 1
    destination, name = opened(f"oci-archive:{path}")
    with pytest.raises(InvalidInput, match="give the new one a name"):
        destination.resolve(name)


def test_the_same_again_writes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save({f"docker-archive:{path}:app:1": MULTI, f"docker-archive:{path}:app:2": ONE})
    before = os.stat(path)
    places = Places()
    destination, name = table.open_destination(table.parse(f"docker-archive:{path}:app:1"), places)
    assert destination.resolve(name) == MULTI.digest
    assert destination.held() == {"docker.io/library/app:1": MULTI.digest, "docker.io/library/app:2": ONE.digest}
    assert destination.has_manifest(MULTI.digest) and destination.has_manifest(MULTI.children[0].digest)
    manifest = ONE.manifest
    assert all(destination.has_blob(one) for one in (manifest.config, *manifest.layers))  # type: ignore[union-attr]
    destination.commit(keep=["docker.io/library/app:1", "docker.io/library/app:2"])
    destination.commit()
    save({f"docker-archive:{path}:app:1": MULTI, f"docker-archive:{path}:app:2": ONE})
    save({f"oci-archive:{path}:app:1": MULTI, f"oci-archive:{path}:app:2": ONE}, keep=())
    after = os.stat(path)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(os.path.dirname(path)) == ["a.tar"]


def test_only_what_is_missing_is_asked_for(path: str) -> None:
    save({f"oci-archive:{path}:app:1": ONE})
    destination, name = opened(f"oci-archive:{path}:app:2")
    assert destination.resolve(name) is None
    assert not destination.is_empty()
    assert destination.has_manifest(ONE.digest)
    # No blob is written: all come from the old file.
    destination.write_manifest(ONE.manifest, name)
    destination.commit()
    assert load(f"oci-archive:{path}:app:2")[1] == {ONE.digest, *ONE.blobs}


def test_archives_are_the_same_bytes_every_time(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        save({f"docker-archive:{tmp_path}/{name}:app": MULTI, f"docker-archive:{tmp_path}/{name}:b": ONE})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_is_there_before_the_commit(path: str) -> None:
    destination, name = opened(f"oci-archive:{path}:app:1")
    assert destination.is_empty() and destination.resolve(name) is None and destination.held() == {}
    ONE.store(destination, name)
    assert not os.path.exists(path)
    assert destination.resolve(name) == ONE.digest
    destination.abort()
    destination.abort()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_failed_blob_is_written_again(path: str) -> None:
    destination, name = opened(f"oci-archive:{path}:app:1")
    (layer,) = ONE.manifest.layers  # type: ignore[union-attr]
    good = ONE.blobs[layer.digest]

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise NetworkError("connection reset")
            return super().read(10)

    with pytest.raises(NetworkError):
        destination.write_blob(layer, lambda: Broken(bytes(len(good))))
    with pytest.raises(DigestMismatch):
        destination.write_blob(layer, lambda: io.BytesIO(good[:-1] + b"!"))
    with pytest.raises(SizeMismatch):
        destination.write_blob(layer, lambda: io.BytesIO(good + b"!"))
    assert not destination.has_blob(layer)
    ONE.store(destination, name)
    assert destination.has_blob(layer)
    destination.commit()
    assert load(f"oci-archive:{path}")[1] == {ONE.digest, *ONE.blobs}


def test_a_blob_that_was_given_up_stops_the_archive(path: str) -> None:
    save({f"oci-archive:{path}:app:1": ONE})
    before = pathlib.Path(path).read_bytes()
    destination, name = opened(f"oci-archive:{path}:app:2")
    TWO.store(destination, name)
    lost = Descriptor(media_types.OCI_LAYER, Digest.of(b"lost"), 4)
    with pytest.raises(SizeMismatch):
        destination.write_blob(lost, lambda: io.BytesIO(b"los"))
    with pytest.raises(ContentError, match="did not arrive whole"):
        destination.commit()
    destination.abort()
    assert pathlib.Path(path).read_bytes() == before
    assert os.listdir(os.path.dirname(path)) == ["a.tar"]


def test_a_missing_blob_stops_the_archive(path: str) -> None:
    destination, name = opened(f"oci-archive:{path}:app:1")
    destination.write_manifest(ONE.manifest, name)
    with pytest.raises(ContentError, match="is missing"):
        destination.commit()
    destination.abort()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_part_of_an_index_may_be_missing(path: str) -> None:
    destination, name = opened(f"oci-archive:{path}:app:1")
    MULTI.children[1].store(destination, None)
    destination.write_manifest(MULTI.manifest, name)
    destination.commit()
    (entry,) = document(path, "manifest.json")
    assert entry["Config"].endswith(MULTI.children[1].manifest.config.digest.hex)  # type: ignore[union-attr]
    places = Places()
    source = table.open_source(table.parse(f"oci-archive:{path}"), places)
    assert source.manifest().digest == MULTI.digest
    with pytest.raises(NotFound, match="part of the image only"):
        source.manifest(MULTI.children[0].digest)
    destination, name = table.open_destination(table.parse(f"oci-archive:{path}:app:1"), places)
    assert not destination.has_manifest(MULTI.digest)
    places.close()


def test_threads_write_images_at_once(path: str) -> None:
    many = [images.image(f"image {number}") for number in range(12)]
    destination, unused = opened(f"oci-archive:{path}")
    threads = [
        threading.Thread(target=one.store, args=(destination, f"app:{number % 12}"))
        for number, one in enumerate([*many, *many])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    destination.commit()
    for number, one in enumerate(many):
        assert load(f"oci-archive:{path}:app:{number}") == (one.digest, {one.digest, *one.blobs})


def test_foreign_layers_stay_where_they_are(path: str) -> None:
    foreign = images.descriptor(b"foreign", media_types.DOCKER_FOREIGN, urls=["https://example.com/layer"])
    image = images.image("w", layers=[foreign])
    destination, name = opened(f"oci-archive:{path}:app:1")
    config = image.manifest.config  # type: ignore[union-attr]
    destination.write_blob(config, functools.partial(io.BytesIO, image.blobs[config.digest]))
    destination.write_manifest(image.manifest, name)
    destination.commit()
    with tarfile.open(path) as tar:
        # docker could not load it.
        assert "manifest.json" not in tar.getnames()


@pytest.mark.parametrize("data", [b"hello", b"x" * 5000, b"\x1f\x8b broken", b"\x7fELF" * 500])
def test_a_file_that_is_no_archive_is_left_alone(path: str, data: bytes) -> None:
    pathlib.Path(path).write_bytes(data)
    destination, name = opened(f"oci-archive:{path}:app:1")
    with pytest.raises(ArchiveError, match="exists and is no image archive; remove it or choose another path"):
        destination.resolve(name)
    destination.abort()
    assert pathlib.Path(path).read_bytes() == data


def test_a_tar_that_is_no_image_archive_is_left_alone(path: str) -> None:
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("backup.sql"))
    destination, name = opened(f"oci-archive:{path}:app:1")
    with pytest.raises(ArchiveError, match="is no image archive; remove it"):
        destination.is_empty()


def test_an_empty_file_is_written_over(path: str) -> None:
    pathlib.Path(path).write_bytes(b"")
    save({f"oci-archive:{path}:app:1": ONE})
    assert load(f"oci-archive:{path}")[0] == ONE.digest


def test_directories_and_links_are_no_destinations(tmp_path: pathlib.Path) -> None:
    (tmp_path / "victim").write_bytes(b"")
    os.symlink(tmp_path / "victim", tmp_path / "link")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    os.mkfifo(tmp_path / "pipe")
    for name, words in ((".", "is no file"), ("link", "symbolic link"), ("dangling", "symbolic link"), ("pipe", "is no file")):
        destination, unused = opened(f"oci-archive:{tmp_path}/{name}:app:1")
        with pytest.raises(ArchiveError, match=words):
            destination.resolve("app:1")
    with pytest.raises(StorageError, match="does not exist"):
        opened(f"oci-archive:{tmp_path}/no/a.tar:app:1")[0].expect(1)


def test_too_little_space_is_seen_before(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="not enough space"):
        opened(f"oci-archive:{path}:app:1")[0].expect(10**18)
    opened(f"oci-archive:{path}:app:1")[0].expect(1000)
    save({f"oci-archive:{path}:app:1": ONE})
    asked = []
    monkeypatch.setattr(files, "need", lambda unused, size: asked.append(size))
    save({f"oci-archive:{path}:app:2": TWO})
    assert asked == [sum(map(len, ONE.blobs.values()))]


def test_another_process_that_wrote_meanwhile_is_not_undone(path: str) -> None:
    save({f"oci-archive:{path}:app:1": ONE})
    destination, name = opened(f"oci-archive:{path}:app:2")
    assert destination.resolve(name) is None
    save({f"oci-archive:{path}:app:3": MULTI})
    TWO.store(destination, name)
    with pytest.raises(StorageError, match="changed by another process"):
        destination.commit()
    destination.abort()
    assert sorted(tags(f"oci-archive:{path}")) == ["docker.io/library/app:1", "docker.io/library/app:3"]


def test_a_sha512_image(path: str) -> None:
    manifest = parse_manifest(ONE.manifest.raw, digest=Digest.of(ONE.manifest.raw, "sha512"))
    image = images.Image(manifest, ONE.blobs)
    save({f"oci-archive:{path}:app:1": image})
    assert load(f"oci-archive:{path}:app:1")[0] == manifest.digest
    with tarfile.open(path) as tar:
        assert f"blobs/sha512/{manifest.digest.hex}" in tar.getnames()


def test_entries_that_are_no_manifests_are_kept(path: str) -> None:
    save({f"oci-archive:{path}:app:1": ONE})
    with tarfile.open(path) as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    index = json.loads(members["index.json"])
    index["manifests"].append(images.descriptor(b"note", "text/plain"))
    members["index.json"] = images.encode(index)
    members[f"blobs/sha256/{Digest.of(b'note').hex}"] = b"note"
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    save({f"oci-archive:{path}:app:2": TWO})
    with tarfile.open(path) as tar:
        assert f"blobs/sha256/{Digest.of(b'note').hex}" in tar.getnames()
    assert str(Digest.of(b"note")) in [one["digest"] for one in document(path, "index.json")["manifests"]]
    source = table.open_source(table.parse(f"oci-archive:{path}:app:1"), Places())
    assert source.referrers(ONE.digest) == []
    source.close()


def test_the_list_of_a_fallback_tag_is_read(path: str) -> None:
    signature = images.artifact(ONE)
    entry = images.descriptor(signature.manifest.raw, signature.manifest.media_type)
    raw = images.encode({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]})
    listed = images.Image(parse_manifest(raw), {}, [signature])
    save({f"oci-archive:{path}:app:1": ONE, f"oci-archive:{path}:sha256-{ONE.digest.hex}": listed})
    source = table.open_source(table.parse(f"oci-archive:{path}:app:1"), Places())
    assert [one.digest for one in source.referrers(ONE.digest)] == [signature.digest]
    source.close()
