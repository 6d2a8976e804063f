# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index file of archives, and archives that leave out what earlier ones have."""

from __future__ import annotations

import io
import json
import os
import pathlib
import tarfile
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    ContentError,
    InvalidInput,
    InvalidManifest,
    NotFound,
    OciError,
    SizeMismatch,
)
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest, parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import image_list, table
from ansible_collections.longshore.oci.plugins.module_utils.transports.image_list import (
    Earlier,
    ImageList,
    ListedBlob,
    ListedImage,
    ListedPlatform,
    NamedImage,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images


def with_layers(base: images.Image, text: str) -> images.Image:
    """An image over the layers of ``base``, with one of its own."""
    own = images.image(text)
    assert isinstance(own.manifest, Manifest) and isinstance(base.manifest, Manifest)
    document = json.loads(own.manifest.raw)
    document["layers"] = [*(one.to_json() for one in base.manifest.layers), *document["layers"]]
    shared = {one.digest: base.blobs[one.digest] for one in base.manifest.layers}
    return images.Image(parse_manifest(images.encode(document)), {**own.blobs, **shared})


ONE, MULTI = images.image("one"), images.two_platforms()
NEXT = with_layers(ONE, "next")
NOTHING = Earlier((), {})


def layers(image: images.Image) -> list[Digest]:
    assert isinstance(image.manifest, Manifest)
    return [one.digest for one in image.manifest.layers]


def save(
    path: object, wanted: dict[str, images.Image], since: list[str] | None = None, replace: bool = True, keep: Any = ()
) -> None:
    """Write images under names as the engine does: what the destination has is not written."""
    places = Places()
    earlier = image_list.together([listed(one) for one in since]) if since is not None else None
    destinations = [table.open_destination(table.parse(f"oci-archive:{path}:{name}"), places) for name in wanted]
    try:
        for (destination, name), image in zip(destinations, wanted.values()):
            destination.presume(earlier, replace)
            if destination.resolve(name) == image.digest:
                continue
            for one in (*image.children, image):
                blobs = one.manifest.blobs() if isinstance(one.manifest, Manifest) else []
                for blob in blobs:
                    if destination.is_empty() or not destination.has_blob(blob):
                        destination.write_blob(blob, lambda data=one.blobs[blob.digest]: io.BytesIO(data))  # type: ignore[misc]
                destination.write_manifest(one.manifest, name if one is image else None)
        kept = None if keep is None else {*keep, *wanted}
        for destination in places.open_destinations():
            destination.commit(kept)
    finally:
        for destination in places.open_destinations():
            destination.abort()
        places.close()


def listed(location: str) -> ImageList:
    places = Places()
    try:
        return table.open_source(table.parse(location), places).image_list()
    finally:
        places.close()


def members(path: object) -> dict[str, bytes]:
    with tarfile.open(str(path)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


def rewrite(path: object, files: dict[str, bytes]) -> None:
    with tarfile.open(str(path), "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def held(path: object) -> set[str]:
    return {name.rpartition("/")[2] for name in members(path) if name.startswith("blobs/")}


@pytest.fixture
def base(tmp_path: pathlib.Path) -> str:
    """An archive of two images."""
    save(tmp_path / "base.tar", {"example.com/one:1": ONE, "example.com/multi:1": MULTI})
    return f"oci-archive:{tmp_path}/base.tar"


def test_every_archive_has_its_index(tmp_path: pathlib.Path, base: str) -> None:
    raw = members(tmp_path / "base.tar")["images.json"]
    document = json.loads(raw)
    assert list(document) == ["mediaType", "images", "blobs"]
    # In the order in which the archive's index.json has them.
    multi, one = document["images"]
    (layer,) = layers(ONE)
    config = ONE.manifest.config  # type: ignore[union-attr]
    size = len(ONE.blobs[layer]) + config.size
    assert one == {
        "names": ["example.com/one:1"],
        "digest": str(ONE.digest),
        "mediaType": media_types.OCI_MANIFEST,
        "size": size,
        "platforms": [{"platform": "linux/amd64", "digest": str(ONE.digest), "size": size}],
    }
    assert multi["size"] == sum(map(len, MULTI.everything().values()))
    assert [(one["platform"], one["digest"]) for one in multi["platforms"]] == [
        ("linux/amd64", str(MULTI.children[0].digest)),
        ("linux/arm64", str(MULTI.children[1].digest)),
    ]
    blobs = {blob["digest"]: (blob["size"], blob["images"]) for blob in document["blobs"]}
    assert blobs == {
        **{str(digest): (len(data), [1]) for digest, data in ONE.blobs.items()},
        **{str(digest): (len(data), [0]) for digest, data in MULTI.everything().items()},
    }
    assert raw == image_list.serialise(listed(base))


def test_it_is_worked_out_where_there_is_none(tmp_path: pathlib.Path, base: str) -> None:
    files = members(tmp_path / "base.tar")
    raw = files.pop("images.json")
    rewrite(tmp_path / "plain.tar", files)
    assert image_list.serialise(listed(f"oci-archive:{tmp_path}/plain.tar")) == raw
    for name in ("index.json", "oci-layout"):
        files.pop(name)
    rewrite(tmp_path / "docker.tar", files)
    (one,) = [one for one in listed(f"docker-archive:{tmp_path}/docker.tar").images if one.names == ("example.com/one:1",)]
    assert [platform.platform for platform in one.platforms] == ["linux/amd64"]
    layout = images.write_layout(str(tmp_path / "layout"), {"example.com/multi:1": MULTI, "example.com/one:1": ONE})
    assert image_list.serialise(listed(f"oci:{layout}")) == raw


def test_only_what_is_there_counts(tmp_path: pathlib.Path, base: str) -> None:
    (layer,) = layers(ONE)
    layout = images.write_layout(str(tmp_path / "layout"), {"one": ONE, "multi": MULTI})
    os.unlink(os.path.join(layout, "blobs", "sha256", layer.hex))
    found = listed(f"oci:{layout}")
    assert layer not in found.blobs and len(found.images) == 2
    files = members(tmp_path / "base.tar")
    files.pop(f"blobs/sha256/{layer.hex}")
    rewrite(tmp_path / "lie.tar", files)
    with pytest.raises(ArchiveError, match=f"does not hold the blob {layer} that its images.json lists"):
        listed(f"oci-archive:{tmp_path}/lie.tar")
    files.pop("images.json")
    rewrite(tmp_path / "part.tar", files)
    assert layer not in listed(f"oci-archive:{tmp_path}/part.tar").blobs


def test_a_file_of_that_name_from_others_says_nothing(tmp_path: pathlib.Path, base: str) -> None:
    files = members(tmp_path / "base.tar")
    for other in (b'{"images": 3}', b'{"mediaType": "text/plain"}'):
        rewrite(tmp_path / "other.tar", {**files, "images.json": other})
        assert listed(f"oci-archive:{tmp_path}/other.tar").images == listed(base).images


def test_where_the_list_ends(tmp_path: pathlib.Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(base)
    monkeypatch.setattr(image_list, "LIMIT", 100)
    # The archive is worth more than the index.
    save(tmp_path / "a.tar", {"a:1": ONE})
    assert "images.json" not in members(tmp_path / "a.tar")
    with pytest.raises(ContentError, match="so many blobs"):
        image_list.file_of(ImageList(found.images, found.blobs, NOTHING), "a.tar")


FOUND = ImageList(
    (ListedImage(ONE.digest, ("a:1", "ä:2"), media_types.OCI_MANIFEST, 7, (ListedPlatform("linux/amd64", ONE.digest, 7),)),),
    {Digest.of(b"a"): ListedBlob(Digest.of(b"a"), 7, (0,))},
    Earlier((NamedImage(NEXT.digest, ()),), {Digest.of(b"b"): ListedBlob(Digest.of(b"b"), 9, (0,))}),
)


def test_it_is_read_as_it_was_written() -> None:
    raw = image_list.serialise(FOUND)
    assert image_list.parse(raw, "it") == FOUND
    assert image_list.parse_since(raw, "it") == FOUND.since
    assert image_list.parse_since(b'{"since": 1}', "it") is image_list.parse(b"{}", "it") is None
    empty = ImageList((), {}, NOTHING)
    assert image_list.parse(image_list.serialise(empty), "it") == empty
    # An image or a blob a line, for those who look at it or compare two.
    assert [line for line in raw.decode().splitlines() if str(Digest.of(b"b")) in line] == [
        f'   {{"digest": "{Digest.of(b"b")}", "size": 9, "images": [0]}}'
    ]


def broken(*path: Any, value: Any) -> bytes:
    document = json.loads(image_list.serialise(FOUND))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{",
        broken("images", value=None),
        broken("images", 0, value="image"),
        broken("images", 0, "names", value=[1]),
        broken("images", 0, "digest", value="sha256:1"),
        broken("images", 0, "mediaType", value=1),
        broken("images", 0, "size", value=-1),
        broken("images", 0, "platforms", value={}),
        broken("images", 0, "platforms", 0, "platform", value=None),
        broken("blobs", 0, "size", value="7"),
        broken("blobs", 0, "size", value=True),
        broken("blobs", 0, "images", value=[1]),
        broken("blobs", 0, "images", value=[-1]),
        broken("blobs", 0, "images", value=[False]),
        broken("blobs", value=[{"digest": str(ONE.digest), "size": 1, "images": []}] * 2),
        broken("since", value=[]),
        broken("since", "images", value=[]),
        broken("since", "blobs", value=[{}]),
    ],
)
def test_what_is_no_list(raw: bytes) -> None:
    with pytest.raises(InvalidManifest, match="it is "):
        image_list.parse(raw, "it is what this names:")


def test_lists_together() -> None:
    shared = ListedBlob(Digest.of(b"a"), 7, (1,))
    other = ImageList(
        (ListedImage(MULTI.digest, ("m:1",)), FOUND.images[0], ListedImage(NEXT.digest, ("n:1",))),
        {shared.digest: shared, ONE.digest: ListedBlob(ONE.digest, 3, (0, 2))},
    )
    earlier = image_list.together([FOUND, other])
    assert [one.digest for one in earlier.images] == [ONE.digest, NEXT.digest, MULTI.digest, NEXT.digest]
    assert earlier.names(Digest.of(b"a")) == ["a:1", "ä:2"]
    assert earlier.names(Digest.of(b"b")) == [] and Digest.of(b"b") in earlier.blobs
    assert earlier.names(ONE.digest) == ["m:1", "n:1"]
    assert earlier.names(MULTI.digest) == []
    wrong = ImageList((), {shared.digest: ListedBlob(shared.digest, 8, ())})
    with pytest.raises(ContentError, match="7 bytes, and 8"):
        image_list.together([FOUND, wrong])


def test_a_delta_leaves_out_what_is_known(tmp_path: pathlib.Path, base: str) -> None:
    delta = tmp_path / "delta.tar"
    save(delta, {"example.com/one:1": ONE, "example.com/next:1": NEXT}, [base])
    own = [one for one in layers(NEXT) if one not in layers(ONE)]
    configs = [one.manifest.config.digest for one in (ONE, NEXT)]  # type: ignore[union-attr]
    assert held(delta) == {one.hex for one in (*own, *configs, ONE.digest, NEXT.digest)}
    # No docker could load any of its images.
    assert "manifest.json" not in members(delta)
    found = listed(f"oci-archive:{delta}")
    assert found.since is not None
    assert [one.names for one in found.since.images] == [("example.com/multi:1",), ("example.com/one:1",)]
    assert set(found.since.blobs) == set(layers(ONE))
    assert found.since.names(layers(ONE)[0]) == ["example.com/one:1"]
    source = table.open_source(table.parse(f"oci-archive:{delta}:example.com/next:1"), Places())
    known, new = (Descriptor(media_types.OCI_LAYER, one, len(NEXT.blobs[one])) for one in (layers(ONE)[0], own[0]))
    assert source.lacks(known) and not source.lacks(new)
    with pytest.raises(NotFound, match=f"{known.digest} .* left out there: the archive is a delta"):
        source.open_blob(known)
    source.close()


def test_a_delta_of_a_delta(tmp_path: pathlib.Path, base: str) -> None:
    third = with_layers(NEXT, "third")
    save(tmp_path / "second.tar", {"next:1": NEXT}, [base])
    save(tmp_path / "third.tar", {"third:1": third, "multi:1": MULTI}, [f"oci-archive:{tmp_path}/second.tar"])
    # Of the first archive counts what the second one relies on, and nothing else.
    lacking = set(layers(third)) & set(layers(NEXT))
    assert len(lacking) == 2
    expected = {*third.blobs, third.digest, *MULTI.everything(), MULTI.digest, *(one.digest for one in MULTI.children)} - lacking
    assert held(tmp_path / "third.tar") == {one.hex for one in expected}
    found = listed(f"oci-archive:{tmp_path}/third.tar").since
    assert found is not None and set(found.blobs) == lacking
    assert "example.com/one:1" in found.names(layers(ONE)[0])
    # MULTI is whole: others can load it.
    assert [one["RepoTags"] for one in json.loads(members(tmp_path / "third.tar")["manifest.json"])] == [
        ["docker.io/library/multi:1"]
    ]


def inode(path: pathlib.Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_the_same_again_is_no_change(tmp_path: pathlib.Path, base: str) -> None:
    delta = tmp_path / "delta.tar"
    save(delta, {"next:1": NEXT}, [base])
    before, data = inode(delta), delta.read_bytes()
    save(delta, {"next:1": NEXT}, [base])
    assert inode(delta) == before
    save(delta, {"next:1": NEXT}, [base], replace=False, keep=None)
    assert inode(delta) == before
    os.unlink(delta)
    save(delta, {"next:1": NEXT}, [base])
    assert delta.read_bytes() == data
    # What an older release wrote has no index, and is none the worse.
    plain = tmp_path / "plain.tar"
    save(plain, {"one:1": ONE})
    files = members(plain)
    files.pop("images.json")
    rewrite(plain, files)
    before = inode(plain)
    save(plain, {"one:1": ONE})
    assert inode(plain) == before


def test_another_base_makes_another_archive(tmp_path: pathlib.Path, base: str) -> None:
    path = tmp_path / "a.tar"
    everything = {one.hex for one in (*NEXT.blobs, NEXT.digest)}
    save(path, {"next:1": NEXT}, [base])
    assert held(path) != everything
    save(path, {"next:1": NEXT})
    assert held(path) == everything and "manifest.json" in members(path)
    save(path, {"next:1": NEXT}, [base])
    assert held(path) == everything - {one.hex for one in layers(ONE)}
    save(tmp_path / "other.tar", {"multi:1": MULTI})
    save(path, {"next:1": NEXT}, [f"oci-archive:{tmp_path}/other.tar"])
    assert held(path) == everything


def test_a_delta_that_is_added_to(tmp_path: pathlib.Path, base: str) -> None:
    path = tmp_path / "a.tar"
    save(path, {"next:1": NEXT}, [base])
    before = path.read_bytes()
    for since in (None, [f"oci-archive:{path}"]):
        with pytest.raises(InvalidInput, match="is a delta, .* the same since"):
            save(path, {"one:1": ONE}, since, replace=False, keep=None)
    assert path.read_bytes() == before
    save(path, {"multi:1": MULTI}, [base], replace=False, keep=None)
    assert [one.digest for one in listed(f"oci-archive:{path}").images] == [NEXT.digest, MULTI.digest]
    assert not held(path) & {one.hex for one in layers(ONE)}
    whole = tmp_path / "whole.tar"
    save(whole, {"one:1": ONE})
    with pytest.raises(InvalidInput, match="holds whole images"):
        save(whole, {"next:1": NEXT}, [base], replace=False, keep=None)


def test_a_base_that_tells_another_size(tmp_path: pathlib.Path) -> None:
    (layer,) = layers(ONE)
    destination, name = table.open_destination(table.parse(f"oci-archive:{tmp_path}/a.tar:one:1"), Places())
    destination.presume(Earlier((), {layer: ListedBlob(layer, 1, ())}), True)
    (descriptor,) = ONE.manifest.layers  # type: ignore[union-attr]
    with pytest.raises(SizeMismatch, match="has 1 bytes in an earlier archive"):
        destination.has_blob(descriptor)
    destination.abort()


@pytest.mark.parametrize("location", ["oci:{}/layout:one", "dir:{}/directory"])
def test_other_places_leave_nothing_out(tmp_path: pathlib.Path, location: str) -> None:
    destination, unused = table.open_destination(table.parse(location.format(tmp_path)), Places())
    destination.presume(None, True)
    with pytest.raises(InvalidInput, match="since"):
        destination.presume(NOTHING, True)


def test_other_sources_have_no_list(tmp_path: pathlib.Path) -> None:
    for location in (f"dir:{tmp_path}", f"oci-archive:{tmp_path}/nothing.tar", f"oci:{tmp_path}/nothing"):
        with pytest.raises(OciError, match="neither an archive|does not exist|no OCI layout"):
            listed(location)
