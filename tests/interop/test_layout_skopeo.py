# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci:`` and ``dir:`` against skopeo and podman: what one writes the other reads, with the same digests."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports.directory import (
    DirectoryDestination,
    DirectorySource,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports.layout import LayoutDestination, LayoutSource
from ansible_collections.longshore.oci.tests.servers.engines import Podman
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.unit.transports import images

OCI = {"image": images.image("image"), "multi": images.two_platforms()}
DOCKER = {"docker": images.image("docker", docker=True), "list": images.two_platforms("list", docker=True)}
EVERYTHING = {**OCI, **DOCKER}


def everything_of(image: images.Image) -> set[object]:
    """The digests of all that belongs to ``image``."""
    return {image.digest, *image.everything(), *(child.digest for child in image.children)}


def store_layout(path: str, **wanted: images.Image) -> str:
    """Write images into a layout through the transport."""
    destination = LayoutDestination(path)
    for name, image in wanted.items():
        image.store(destination, name)
    destination.commit()
    return path


def store_directory(path: str, image: images.Image) -> str:
    """Write an image into a directory through the transport."""
    destination = DirectoryDestination(path)
    image.store(destination, "")
    destination.commit()
    return path


@pytest.mark.parametrize("name", OCI)
def test_a_layout_of_skopeo_is_read(skopeo: Skopeo, tmp_path: pathlib.Path, name: str) -> None:
    by_hand = images.write_layout(str(tmp_path / "hand"), {name: OCI[name]})
    skopeo.copy(f"oci:{by_hand}:{name}", f"oci:{tmp_path}/skopeo:{name}")
    source = LayoutSource(f"{tmp_path}/skopeo", name)
    assert source.resolve() == OCI[name].digest
    assert images.read_all(source) == everything_of(OCI[name])
    assert source.tags() == [name]


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_directory_of_skopeo_is_read(skopeo: Skopeo, tmp_path: pathlib.Path, name: str) -> None:
    if name in OCI:
        given = f"oci:{images.write_layout(str(tmp_path / 'hand'), {name: OCI[name]})}:{name}"
    else:
        given = f"dir:{store_directory(f'{tmp_path}/ours', DOCKER[name])}"
    skopeo.copy(given, f"dir:{tmp_path}/skopeo")
    source = DirectorySource(f"{tmp_path}/skopeo")
    assert source.resolve() == EVERYTHING[name].digest
    assert source.manifest().media_type == EVERYTHING[name].manifest.media_type
    assert images.read_all(source) == everything_of(EVERYTHING[name])


@pytest.mark.parametrize("name", DOCKER)
def test_docker_types_that_skopeo_turned_into_oci_are_read(skopeo: Skopeo, tmp_path: pathlib.Path, name: str) -> None:
    ours = store_directory(f"{tmp_path}/ours", DOCKER[name])
    skopeo.copy(f"dir:{ours}", f"oci:{tmp_path}/skopeo:x")
    source = LayoutSource(f"{tmp_path}/skopeo", "x")
    found = images.read_all(source)
    assert str(source.resolve()) == skopeo.digest(f"oci:{tmp_path}/skopeo:x")
    # The layers are what they were; configs and manifests were written anew.
    layers = {
        layer.digest for image in [DOCKER[name], *DOCKER[name].children] for layer in getattr(image.manifest, "layers", ())
    }
    assert layers <= found


@pytest.mark.parametrize("name", OCI)
def test_our_layout_is_read_by_skopeo(skopeo: Skopeo, tmp_path: pathlib.Path, name: str) -> None:
    # skopeo passes over entries of Docker's types; they must not be in the way of the others.
    path = store_layout(f"{tmp_path}/ours", **EVERYTHING)
    assert skopeo.raw(f"oci:{path}:{name}") == EVERYTHING[name].manifest.raw
    skopeo.copy(f"oci:{path}:{name}", f"dir:{tmp_path}/copy")
    assert skopeo.raw(f"dir:{tmp_path}/copy") == EVERYTHING[name].manifest.raw
    assert images.read_all(DirectorySource(f"{tmp_path}/copy")) == everything_of(EVERYTHING[name])


def test_our_layout_has_the_shape_the_specification_asks_for(tmp_path: pathlib.Path) -> None:
    path = store_layout(f"{tmp_path}/ours", **EVERYTHING)
    with open(f"{path}/oci-layout", "rb") as file:
        assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
    with open(f"{path}/index.json", "rb") as file:
        index = json.load(file)
    assert (index["schemaVersion"], index["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    for entry in index["manifests"]:
        data = pathlib.Path(path, "blobs", *entry["digest"].split(":")).read_bytes()
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (entry["size"], entry["digest"])
    assert {one for one in os.listdir(path) if not one.startswith(".")} == {"oci-layout", "index.json", "blobs"}


@pytest.mark.parametrize("name", EVERYTHING)
def test_our_directory_is_read_by_skopeo(skopeo: Skopeo, tmp_path: pathlib.Path, name: str) -> None:
    # Over a former image, so that what skopeo reads is what is left of two writes.
    store_directory(f"{tmp_path}/ours", images.image("former"))
    path = store_directory(f"{tmp_path}/ours", EVERYTHING[name])
    assert skopeo.raw(f"dir:{path}") == EVERYTHING[name].manifest.raw
    skopeo.copy(f"dir:{path}", f"dir:{tmp_path}/copy")
    assert images.read_all(DirectorySource(f"{tmp_path}/copy")) == everything_of(EVERYTHING[name])
    if name in OCI:
        skopeo.copy(f"dir:{path}", f"oci:{tmp_path}/layout:x")
        assert LayoutSource(f"{tmp_path}/layout", "x").resolve() == EVERYTHING[name].digest


def test_both_write_into_one_layout_in_turns(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    path = store_layout(f"{tmp_path}/both", ours=OCI["image"])
    other = images.write_layout(str(tmp_path / "hand"), {"x": OCI["multi"]})
    skopeo.copy(f"oci:{other}:x", f"oci:{path}:theirs")
    store_layout(path, again=images.image("again"), ours=OCI["multi"])
    # skopeo moves a name and leaves the former image without one: it is listed by its number.
    skopeo.copy(f"oci:{path}:ours", f"oci:{path}:again")
    left, *names = sorted(LayoutSource(path).tags())
    assert names == ["again", "ours", "theirs"]
    assert LayoutSource(path, number=int(left[1:])).resolve() == images.image("again").digest
    for name in ("again", "ours", "theirs"):
        assert images.read_all(LayoutSource(path, name)) == everything_of(OCI["multi"])
        assert skopeo.raw(f"oci:{path}:{name}") == OCI["multi"].manifest.raw


def test_skopeo_writes_into_our_directory(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    path = store_directory(f"{tmp_path}/image", OCI["image"])
    other = images.write_layout(str(tmp_path / "hand"), {"x": OCI["multi"]})
    skopeo.copy(f"oci:{other}:x", f"dir:{path}")
    assert images.read_all(DirectorySource(path)) == everything_of(OCI["multi"])
    store_directory(path, OCI["image"])
    assert skopeo.raw(f"dir:{path}") == OCI["image"].manifest.raw


def test_a_name_with_a_registry_is_read_by_skopeo(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    name = "registry.example:5000/team/app:1.0"
    path = store_layout(f"{tmp_path}/ours", **{name: OCI["image"], "other": OCI["multi"]})
    assert skopeo.raw(f"oci:{path}:{name}") == OCI["image"].manifest.raw


def test_an_image_beside_its_referrer_is_read_by_skopeo(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    destination = LayoutDestination(f"{tmp_path}/ours")
    OCI["image"].store(destination, "x")
    images.artifact(OCI["image"]).store(destination, None)
    assert skopeo.raw(f"oci:{tmp_path}/ours:x") == OCI["image"].manifest.raw


def test_six_processes_and_skopeo_after_them(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    code = (
        "import sys\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.transports.layout import LayoutDestination\n"
        "from ansible_collections.longshore.oci.tests.unit.transports import images\n"
        "images.image(sys.argv[2]).store(LayoutDestination(sys.argv[1]), sys.argv[2])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    names = [f"tag-{number}" for number in range(6)]
    writers = [
        subprocess.Popen([sys.executable, "-c", code, f"{tmp_path}/layout", name], env=environment) for name in names
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 6
    for name in names:
        assert skopeo.raw(f"oci:{tmp_path}/layout:{name}") == images.image(name).manifest.raw


def test_podman_reads_our_layout_and_directory(podman: Podman, tmp_path: pathlib.Path) -> None:
    layout = store_layout(f"{tmp_path}/layout", x=OCI["image"])
    directory = store_directory(f"{tmp_path}/directory", DOCKER["docker"])
    for location, image in ((f"oci:{layout}:x", OCI["image"]), (f"dir:{directory}", DOCKER["docker"])):
        pulled = podman.run("pull", "--quiet", location).split()[-1]
        assert isinstance(image.manifest, Manifest)
        assert pulled == image.manifest.config.digest.hex
