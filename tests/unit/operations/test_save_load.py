# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive holds after saving to it, once and again, and what a digest behind a destination means."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import DigestMismatch, InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.copy import Entry, copy
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How, perform
from ansible_collections.longshore.oci.plugins.module_utils.operations.plan import Item, Wish
from ansible_collections.longshore.oci.plugins.module_utils.operations.save_load import save
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.operations.memory import Host, Source
from ansible_collections.longshore.oci.tests.unit.operations.memory import image as in_memory
from ansible_collections.longshore.oci.tests.unit.transports import images

ONE, TWO, THREE = (images.image(text) for text in ("first", "second", "third"))


def how(check: bool = False) -> How:
    return How(4, threading.Event(), check)


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> str:
    named = {"localhost/one:1": ONE, "localhost/two:1": TWO, "localhost/three:1": THREE}
    return images.write_layout(str(tmp_path / "source"), named)


def saved(layout: str, path: pathlib.Path, *names: str, append: bool = False, scheme: str = "oci-archive") -> dict[str, Any]:
    places = Places()
    try:
        wanted = [f"oci:{layout}:localhost/{name}:1" for name in names]
        return save(wanted, f"{scheme}:{path}", Wish(), append, places, how())
    finally:
        places.close()


def held(path: pathlib.Path, scheme: str = "oci-archive") -> dict[str, Digest]:
    places = Places()
    try:
        found = table.open_source(table.parse(f"{scheme}:{path}"), places).tags()
        return {name: table.open_source(table.parse(f"{scheme}:{path}:{name}"), places).resolve() for name in found}
    finally:
        places.close()


def test_saving_the_same_again_leaves_the_file_alone(layout: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    assert saved(layout, path, "one", "two")["changed"]
    before = path.stat()
    assert not saved(layout, path, "one", "two")["changed"]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert held(path) == {"localhost/one:1": ONE.digest, "localhost/two:1": TWO.digest}


def test_without_append_the_archive_holds_exactly_what_was_asked_for(layout: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    saved(layout, path, "one", "two")
    result = saved(layout, path, "two", "three")
    assert result["diff"]["before"] == {"localhost/one:1": str(ONE.digest), "localhost/three:1": None}
    assert held(path) == {"localhost/two:1": TWO.digest, "localhost/three:1": THREE.digest}
    saved(layout, path, "one", append=True)
    assert set(held(path)) == {"localhost/one:1", "localhost/two:1", "localhost/three:1"}


def test_a_layout_always_keeps_what_it_holds(layout: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "layout"
    saved(layout, path, "one", scheme="oci")
    assert saved(layout, path, "two", scheme="oci")["diff"]["before"] == {"localhost/two:1": None}
    assert not saved(layout, path, "one", scheme="oci")["changed"]
    assert set(held(path, "oci")) == {"localhost/one:1", "localhost/two:1"}


@pytest.mark.parametrize("check", [False, True])
def test_a_digest_behind_the_destination_is_what_may_be_written(check: bool) -> None:
    host = Host()
    manifest, blobs = in_memory([b"layer"])
    source, destination = Source("a", manifest, [], blobs), host.repository("b")
    item = Item(source, destination, ["1"], "a", "b:1@digest", expected=Digest.parse("sha256:" + "0" * 64))
    with pytest.raises(InvalidInput, match=f"a is {manifest.digest}, and not sha256:0{{64}} as the destination"):
        perform([item], Places(), how(check))
    assert not host.writes()
    item.expected = manifest.digest
    assert perform([item], Places(), how(check)).changed


def test_a_blob_that_is_wrong_is_told_with_the_name_of_each_image(tmp_path: pathlib.Path) -> None:
    layout = images.write_layout(str(tmp_path / "source"), {"localhost/one:1": ONE, "localhost/same:1": ONE})
    layer = ONE.manifest.layers[0].digest  # type: ignore[union-attr]
    path = tmp_path / "source" / "blobs" / "sha256" / layer.hex
    path.write_bytes(bytes(path.stat().st_size))
    names = [f"oci:{layout}:localhost/{name}:1" for name in ("one", "same")]
    entries = [Entry(name, f"oci-archive:{tmp_path}/a.tar:localhost/{number}:1") for number, name in enumerate(names)]
    with pytest.raises(DigestMismatch) as caught:
        copy(entries, Places(), how())
    errors = [image["error"] for image in caught.value.facts["images"]]
    assert [error.split(": ")[0] for error in errors] == names
    assert all(str(layer) in error for error in errors)
