# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in archives and layouts, filtered and sorted as tags are."""

from __future__ import annotations

import json
import pathlib
import tarfile

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, NotFound, OciError
from ansible_collections.longshore.oci.plugins.module_utils.operations import held_names
from ansible_collections.longshore.oci.plugins.module_utils.operations.tag_filter import TagFilter
from ansible_collections.longshore.oci.plugins.module_utils.operations.tags import Query
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

ONE, MULTI = images.image("one"), images.two_platforms()
NAMES = ["example.com/b:1.9", "example.com/a:2.0", "example.com/a:1.10", "example.com/a:edge", "example.com/a:1.9"]


def names(place: str, wish: Query) -> list[str]:
    location = held_names.place_of(place)
    assert location is not None
    found: list[str] = held_names.query(location, wish)["tags"]
    return found


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> str:
    named = {name: MULTI if name.endswith("a:2.0") else ONE for name in NAMES}
    return f"oci:{images.write_layout(str(tmp_path / 'layout'), named)}"


@pytest.mark.parametrize(
    ("wish", "numbers"),
    [
        (Query(sort="none"), [0, 1, 2, 3, 4]),
        (Query(), [4, 2, 1, 3, 0]),
        (Query(sort="version"), [3, 4, 2, 1, 0]),
        (Query(sort="version", descending=True, limit=2), [0, 1]),
        (Query(TagFilter.of(semver="^1.9")), [4, 2, 0]),
        (Query(TagFilter.of([r"example\.com/a:.*"], [".*edge"])), [4, 2, 1]),
    ],
)
def test_names_are_chosen_and_ordered(layout: str, wish: Query, numbers: list[int]) -> None:
    assert names(layout, wish) == [NAMES[number] for number in numbers]


def test_details(layout: str) -> None:
    location = held_names.place_of(layout)
    assert location is not None
    result = held_names.query(location, Query(TagFilter.of(["example.com/a:2.0"]), details=True))
    assert result == {
        "repository": layout,
        "tags": ["example.com/a:2.0"],
        "total": 5,
        "details": [
            {
                "tag": "example.com/a:2.0",
                "digest": str(MULTI.digest),
                "media_type": MULTI.manifest.media_type,
                "size": sum(map(len, MULTI.everything().values())),
                "created": None,
                "platforms": ["linux/amd64", "linux/arm64"],
            }
        ],
    }


def test_images_without_a_name_have_a_number(tmp_path: pathlib.Path) -> None:
    for scheme in ("oci-archive", "docker-archive"):
        places = Places()
        destination, name = table.open_destination(table.parse(f"oci-archive:{tmp_path}/a.tar"), places)
        ONE.store(destination, name)
        destination.commit()
        place = f"{scheme}:{tmp_path}/a.tar"
        assert names(place, Query(details=True)) == ["@0"]
    # As docker save writes one that was named by its ID, and another one.
    folder = tmp_path / "saved"
    folder.mkdir()
    entries = []
    for number, image in enumerate((ONE, images.image("two"), images.image("three"))):
        for one in image.blobs:
            (folder / one.hex).write_bytes(image.blobs[one])
        manifest = image.manifest
        layers = [layer.digest.hex for layer in manifest.layers]  # type: ignore[union-attr]
        tags = ["example.com/named:1"] if number == 1 else None
        entries.append({"Config": manifest.config.digest.hex, "RepoTags": tags, "Layers": layers})  # type: ignore[union-attr]
    (folder / "manifest.json").write_text(json.dumps(entries))
    with tarfile.open(tmp_path / "saved.tar", "w") as tar:
        tar.add(folder, ".")
    place = f"docker-archive:{tmp_path}/saved.tar"
    assert names(place, Query(sort="none")) == ["example.com/named:1", "@0", "@2"]
    found = table.open_source(table.parse(f"{place}:@2"), Places()).manifest()
    assert found.config.digest == images.image("three").manifest.config.digest  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["registry.example.com/team/app", "app"])
def test_repositories_are_for_others(text: str) -> None:
    assert held_names.place_of(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [("dir:/srv/a", "has no tags"), ("oci:/srv/a:1", "names one image"), ("oci-archive:/srv/a:@0", "names one image")],
)
def test_what_is_no_such_place(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        held_names.place_of(text)


def test_nothing_there(tmp_path: pathlib.Path) -> None:
    for place, error in ((f"oci-archive:{tmp_path}/a.tar", NotFound), (f"oci:{tmp_path}/layout", OciError)):
        with pytest.raises(error, match="does not exist|no such directory"):
            names(place, Query())
