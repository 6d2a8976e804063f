# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a delta leaves out: found at the destination before anything moves, mounted from where it is, or missed."""

from __future__ import annotations

import json
import pathlib
import threading
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    AccessDenied,
    ContentError,
    InvalidInput,
    NotFound,
    OciError,
    RegistryError,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.operations import perform as performing
from ansible_collections.longshore.oci.plugins.module_utils.operations.delta import Completed, Elsewhere, Neighbour
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How, perform
from ansible_collections.longshore.oci.plugins.module_utils.operations.plan import Item, Wish
from ansible_collections.longshore.oci.plugins.module_utils.operations.save_load import save
from ansible_collections.longshore.oci.plugins.module_utils.transports.image_list import Earlier, ListedBlob, NamedImage
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source
from ansible_collections.longshore.oci.tests.unit.operations.memory import image as in_memory
from ansible_collections.longshore.oci.tests.unit.transports import images

ONE, TWO, THREE = (images.image(text) for text in ("first", "second", "third"))
BASE, OWN = b"a layer of last month", b"a layer of this month"


def how(check: bool = False) -> How:
    return How(1, threading.Event(), check)


class Partial(Source):
    """An image of which blobs are left out."""

    def lacks(self, descriptor):
        return descriptor.digest not in self.blobs


class Month:
    """A registry that has last month's images, and this month's as a delta against them."""

    def __init__(self, count=1, own=OWN):
        self.host = Host()
        self.digest = Digest.of(BASE)
        self.known, blobs = in_memory([BASE])
        self.old = self.host.repository("old")
        self.old.blobs.update(blobs)
        self.old.manifests[self.known.digest] = self.known
        self.earlier = Earlier(
            (NamedImage(self.known.digest, ("old", "denied")),), {self.digest: ListedBlob(self.digest, len(BASE), (0,))}
        )
        self.asked = []
        self.items = [self.item(number, own) for number in range(count)]

    def find(self, name):
        self.asked.append(name)
        repository = self.host.repository(name)
        return Neighbour(repository, Source(name, self.known, [], dict(repository.blobs)))

    def item(self, number, own=OWN):
        manifest, blobs = in_memory([BASE, own + bytes([number])], architecture=f"amd64-{number}")
        del blobs[self.digest]
        partial = Partial(f"delta:{number}", manifest, [], blobs)
        elsewhere = Elsewhere(self.earlier, self.find)
        source = Completed(partial, elsewhere, "/srv/delta.tar")
        return Item(source, self.host.repository(f"new{number}"), ["1"], f"delta:{number}", f"new{number}:1")

    @staticmethod
    def whole():
        manifest, blobs = in_memory([OWN])
        return Source("whole", manifest, [], blobs)

    def load(self, check=False):
        return perform(self.items, Places(), how(check))


@pytest.mark.parametrize("check", [True, False])
def test_a_blob_is_mounted_from_where_the_earlier_image_went(check):
    month = Month()
    outcome = month.load(check)
    assert outcome.blobs == {"copied": 2, "mounted": 1, "existing": 0}
    assert outcome.bytes_transferred == sum(len(data) for data in month.items[0].source._image.blobs.values())
    if check:
        assert not month.host.writes()
    else:
        assert month.host.repository("new0").blobs[month.digest] == BASE
        assert not month.load().changed


def test_a_blob_that_the_repository_has_is_existing():
    month = Month()
    month.host.repository("new0").blobs[month.digest] = BASE
    assert month.load().blobs == {"copied": 2, "mounted": 0, "existing": 1}
    assert month.asked == []


def test_each_neighbour_is_asked_once_for_a_blob():
    month = Month(3)
    shared = month.items[0].source.elsewhere
    for item in month.items:
        item.source.elsewhere = shared
    assert month.load().blobs["mounted"] == 3
    heads = [entry for entry in month.host.log if entry == ("has_blob", month.digest)]
    # None of the new repositories is known yet: one neighbour alone is asked, and once, or by several at once.
    assert 1 <= len(heads) <= 3


def test_where_mounts_are_refused_the_blob_is_read_from_there():
    month = Month()
    destination = month.items[0].destination

    def refuse(descriptor, repository, open_blob):
        destination.write_blob(descriptor, open_blob)
        return False

    destination.mount_blob = refuse
    outcome = month.load()
    assert outcome.blobs == {"copied": 3, "mounted": 0, "existing": 0}
    assert destination.blobs[month.digest] == BASE


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("window", [2, 256])
def test_what_is_nowhere_is_told_before_anything_moves(check, window, monkeypatch):
    monkeypatch.setattr(performing, "WINDOW", window)
    month = Month(5)
    month.old.blobs.clear()
    # The first one could be loaded: nothing of it is.
    month.items[0].source = month.whole()
    with pytest.raises(ContentError) as caught:
        month.load(check)
    assert not month.host.writes()
    message = caught.value.message
    assert message == (
        f"nothing was loaded: /srv/delta.tar is a delta, and a blob (21 B) that 4 of its images need of an earlier archive"
        f" cannot be found at the destination: {month.digest} of delta:1. Load that archive first, the one with old"
    )
    assert caught.value.facts["missing_blobs"] == [
        {"digest": str(month.digest), "size": len(BASE), "images": [f"delta:{number}" for number in range(1, 5)]}
    ]


@pytest.mark.parametrize("window", [2, 256])
def test_many_images_of_a_delta(window, monkeypatch):
    monkeypatch.setattr(performing, "WINDOW", window)
    month = Month(5)
    assert month.load().blobs["mounted"] == 5
    month.host.log.clear()
    assert not month.load().changed
    assert not month.host.writes() and not month.host.verbs()["has_blob"]


@pytest.mark.parametrize("error", [AccessDenied("no", 401), NotFound("no", 404)])
def test_a_neighbour_that_does_not_answer_is_none(error):
    month = Month()
    month.host.fails[("has_blob", month.digest)] = error
    with pytest.raises(ContentError, match="nothing was loaded"):
        month.load()
    month = Month()
    month.host.fails[("has_blob", month.digest)] = RegistryError("broken", 500)
    with pytest.raises(RegistryError, match="broken"):
        month.load()
    assert not month.host.writes()


def test_an_archive_that_is_not_complete_fails_by_itself():
    month = Month(2)
    month.old.blobs.clear()
    for item in month.items:
        item.source = item.source._image
    month.items[0].source = month.whole()
    with pytest.raises(NotFound, match=f"delta:1: the blob {month.digest} can be found neither there nor at new1:1"):
        month.load()
    assert month.host.repository("new0").names and not month.host.repository("new1").names


def test_one_image_may_bring_what_another_one_lacks():
    month = Month()
    lacking = month.items[0]
    lacking.source = lacking.source._image
    manifest, blobs = in_memory([BASE])
    month.old.blobs.clear()
    whole = Item(Source("whole", manifest, [], blobs), month.host.repository("other"), ["1"], "whole", "other:1")
    month.items = [whole, lacking]
    assert month.load().blobs["mounted"] == 1


def saved(path: Any, layout: str, *names: str, check: bool = False, **more: Any) -> dict[str, Any]:
    places = Places()
    try:
        wanted = [f"oci:{layout}:localhost/{name}:1" for name in names]
        return save(wanted, str(path), Wish(), more.pop("append", False), places, how(check), **more)
    finally:
        places.close()


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> str:
    named = {"localhost/one:1": ONE, "localhost/two:1": TWO, "localhost/three:1": THREE}
    return images.write_layout(str(tmp_path / "source"), named)


def test_saving_since_an_archive_or_its_index(layout: str, tmp_path: pathlib.Path) -> None:
    base, index = tmp_path / "base.tar", tmp_path / "base.json"
    result = saved(base, layout, "one", "two", index_file=str(index))
    assert result["index_file"] == str(index)
    contents = []
    for since in (str(base), f"oci-archive:{base}", str(index)):
        path = tmp_path / "delta.tar"
        would = saved(path, layout, "one", "three", since=[since], check=True)
        assert not path.exists()
        done = saved(path, layout, "one", "three", since=[since])
        assert {**would, "requests": 0} == {**done, "requests": 0}
        assert done["blobs"] == {"copied": 3, "mounted": 0, "existing": 1}
        assert not saved(path, layout, "one", "three", since=[since])["changed"]
        contents.append(path.read_bytes())
        path.unlink()
    assert contents[0] == contents[1] == contents[2]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["base.json", "base.tar", "source"]


def test_a_layout_as_a_base_and_several_bases(layout: str, tmp_path: pathlib.Path) -> None:
    result = saved(tmp_path / "a.tar", layout, "one", since=[f"oci:{layout}"])
    assert result["blobs"] == {"copied": 1, "mounted": 0, "existing": 1}
    for name in ("one", "two"):
        saved(tmp_path / f"{name}.tar", layout, name)
    bases = [str(tmp_path / "one.tar"), str(tmp_path / "two.tar")]
    result = saved(tmp_path / "all.tar", layout, "one", "two", "three", since=[*bases, *bases])
    assert result["blobs"] == {"copied": 4, "mounted": 0, "existing": 2}


def test_the_index_file_follows_the_archive(layout: str, tmp_path: pathlib.Path) -> None:
    path, index = tmp_path / "a.tar", tmp_path / "a.json"
    saved(path, layout, "one")
    before = path.stat().st_mtime_ns
    assert saved(path, layout, "one", index_file=str(index), check=True)["changed"] and not index.exists()
    assert saved(path, layout, "one", index_file=str(index))["changed"]
    assert path.stat().st_mtime_ns == before
    for check in (True, False):
        assert not saved(path, layout, "one", index_file=str(index), check=check)["changed"]
    index.write_text("{}")
    assert saved(path, layout, "one", index_file=str(index), check=True)["changed"]
    assert saved(path, layout, "one", index_file=str(index))["changed"]
    assert [one["names"] for one in json.loads(index.read_text())["images"]] == [["localhost/one:1"]]
    assert saved(f"oci:{tmp_path}/layout", layout, "one", index_file=str(index))["changed"]
    assert len(json.loads(index.read_text())["blobs"]) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"since": ["{}/a.tar"]}, InvalidInput, "itself"),
        ({"since": ["oci-archive:{}/./a.tar"]}, InvalidInput, "itself"),
        ({"since": ["{}/no.tar"]}, NotFound, "since: .*no.tar.* does not exist"),
        ({"since": ["{}/text"]}, ContentError, "since: .*text.*tar"),
        ({"since": ["{}/other.json"]}, InvalidInput, "not the images.json of an archive"),
        ({"since": ["{}/broken.json"]}, ContentError, "since: .*broken.json"),
        ({"since": ["oci:{}/no"]}, ContentError, "since: .*no such directory"),
        ({"since": ["{}"]}, ContentError, "since: .*is no file"),
        ({"index_file": "{}/a.tar"}, InvalidInput, "named by path or since too"),
        ({"index_file": "{}/b.tar", "since": ["{}/b.tar"]}, InvalidInput, "named by path or since too"),
        ({"index_file": "{}"}, InvalidInput, "is a directory"),
        ({"index_file": "{}/no/a.json"}, StorageError, "the directory .* does not exist"),
    ],
)
def test_bad_input_is_a_sentence(
    layout: str, tmp_path: pathlib.Path, options: dict[str, Any], error: type[OciError], words: str
) -> None:
    (tmp_path / "text").write_text("no archive" * 100)
    (tmp_path / "other.json").write_text('{"digest": "x"}')
    (tmp_path / "broken.json").write_text('{"mediaType": ')

    def filled(value: Any) -> Any:
        return [filled(one) for one in value] if isinstance(value, list) else value.format(tmp_path)

    with pytest.raises(error, match=words) as caught:
        saved(tmp_path / "a.tar", layout, "one", **{key: filled(value) for key, value in options.items()})
    assert str(tmp_path) in caught.value.message
    assert not (tmp_path / "a.tar").exists()


def test_a_layout_takes_no_since(layout: str, tmp_path: pathlib.Path) -> None:
    saved(tmp_path / "base.tar", layout, "one")
    with pytest.raises(InvalidInput, match="leave out since"):
        saved(f"oci:{tmp_path}/new", layout, "one", since=[str(tmp_path / "base.tar")])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("window", [2, 256])
def test_images_of_a_task_mount_from_each_other(window, monkeypatch):
    monkeypatch.setattr(performing, "WINDOW", window)
    month = Month(5)
    month.old.blobs.clear()
    month.host.repository("new0").blobs[month.digest] = BASE
    outcome = month.load()
    assert outcome.blobs["mounted"] == 4 and outcome.blobs["existing"] == 1
    # But not from one that comes after them.
    month = Month(5)
    month.old.blobs.clear()
    month.host.repository("new4").blobs[month.digest] = BASE
    with pytest.raises(ContentError, match="that 4 of its images need"):
        month.load()
    assert not month.host.writes()
