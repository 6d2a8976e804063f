# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci-archive:`` and ``docker-archive:`` against skopeo, podman and docker: what one writes the others load."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports import table, tar_headers
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.servers.engines import Dockerd, Podman
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.unit.transports import images

OCI = images.image("oci archive")
DOCKER = images.image("docker archive", docker=True)
MULTI = images.two_platforms("archived")
SCHEMES = ["oci-archive", "docker-archive"]


def save(path: object, scheme: str = "docker-archive", **wanted: images.Image) -> str:
    """Write images into one archive under ``localhost/NAME:1``, and return its path."""
    places = Places()
    for name, image in wanted.items():
        destination, found = table.open_destination(table.parse(f"{scheme}:{path}:localhost/{name}:1"), places)
        image.store(destination, found)
    for destination in places.open_destinations():
        destination.commit()
    return str(path)


def load(location: str) -> Manifest:
    """Read and verify all of an image; its manifest, which must be no index."""
    places = Places()
    try:
        source = table.open_source(table.parse(location), places)
        images.read_all(source)
        manifest = source.manifest()
        assert isinstance(manifest, Manifest)
        return manifest
    finally:
        places.close()


def image_id(image: images.Image) -> str:
    """What docker and podman call an image's ID."""
    assert isinstance(image.manifest, Manifest)
    return image.manifest.config.digest.hex


@pytest.mark.parametrize("scheme", SCHEMES)
def test_docker_loads_what_we_save(dockerd: Dockerd, tmp_path: pathlib.Path, scheme: str) -> None:
    path = save(tmp_path / "a.tar", scheme, one=OCI, two=DOCKER, multi=MULTI)
    said = dockerd.run("load", "--input", path)
    assert said.count("Loaded image: localhost/") == 3
    for name, image in (("one", OCI), ("two", DOCKER), ("multi", MULTI.children[0])):
        assert dockerd.inspect(f"localhost/{name}:1")["Id"] == f"sha256:{image_id(image)}"
    dockerd.run("image", "rm", *(f"localhost/{name}:1" for name in ("one", "two", "multi")))


def test_docker_loads_an_image_with_a_free_name(dockerd: Dockerd, tmp_path: pathlib.Path) -> None:
    destination, name = table.open_destination(table.parse(f"oci-archive:{tmp_path}/a.tar:stable"), Places())
    OCI.store(destination, name)
    destination.commit()
    assert f"Loaded image ID: sha256:{image_id(OCI)}" in dockerd.run("load", "--input", str(tmp_path / "a.tar"))
    dockerd.run("image", "rm", image_id(OCI))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_podman_loads_what_we_save(podman: Podman, tmp_path: pathlib.Path, scheme: str) -> None:
    path = save(tmp_path / "a.tar", scheme, one=OCI, two=DOCKER, multi=MULTI)
    podman.run("load", "--input", path)
    for name, image in (("one", OCI), ("two", DOCKER), ("multi", MULTI.children[0])):
        assert podman.inspect(f"localhost/{name}:1")["Id"] == image_id(image)
    podman.run("image", "rm", "--all", "--force")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("image", [OCI, MULTI])
def test_skopeo_reads_ours_as_oci_archive(
    skopeo: Skopeo, tmp_path: pathlib.Path, scheme: str, image: images.Image
) -> None:
    path = save(tmp_path / "a.tar", scheme, app=image, other=DOCKER)
    skopeo.copy(f"oci-archive:{path}:localhost/app:1", f"oci:{tmp_path}/out:app")
    assert skopeo.digest(f"oci:{tmp_path}/out:app") == str(image.digest)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("image", [OCI, DOCKER, MULTI])
def test_skopeo_reads_ours_as_docker_archive(
    skopeo: Skopeo, tmp_path: pathlib.Path, scheme: str, image: images.Image
) -> None:
    path = save(tmp_path / "a.tar", scheme, app=image, other=images.image("another"))
    expected = image.children[0] if image.children else image
    for name in ("localhost/app:1", "@0"):
        found = skopeo.inspect(f"docker-archive:{path}:{name}", None, "--config")
        assert found == json.loads(expected.blobs[expected.manifest.config.digest])  # type: ignore[union-attr]
    skopeo.copy(f"docker-archive:{path}:localhost/app:1", f"dir:{tmp_path}/out", all_platforms=False)
    assert skopeo.run("list-tags", f"docker-archive:{path}").count(b"localhost/") == 2


def test_skopeo_reads_an_archive_with_more_than_8_gib(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    path = save(tmp_path / "a.tar", app=OCI)
    rest = pathlib.Path(path).read_bytes()
    size = 9 * 1024**3
    with open(tmp_path / "large.tar", "wb") as file:
        # A hole that takes no space, in front of the image.
        head = tar_headers.encode("blobs/sha256/" + "0" * 64, size)
        file.write(head)
        file.seek(len(head) + size)
        file.write(rest)
    found = skopeo.inspect(f"docker-archive:{tmp_path}/large.tar", None, "--config")
    assert found["architecture"] == "amd64"
    assert load(f"docker-archive:{tmp_path}/large.tar").digest == OCI.digest


@pytest.mark.parametrize("image", [OCI, MULTI.children[1]])
def test_oci_archives_of_skopeo_are_read(skopeo: Skopeo, tmp_path: pathlib.Path, image: images.Image) -> None:
    layout = images.write_layout(str(tmp_path / "layout"), {"app": image})
    skopeo.copy(f"oci:{layout}:app", f"oci-archive:{tmp_path}/a.tar:app:1")
    for scheme in SCHEMES:
        assert load(f"{scheme}:{tmp_path}/a.tar").digest == image.digest
    assert load(f"oci-archive:{tmp_path}/a.tar:app:1").digest == image.digest
    skopeo.copy(f"oci:{layout}:app", f"oci-archive:{tmp_path}/b.tar")
    assert load(f"oci-archive:{tmp_path}/b.tar").digest == image.digest


def test_docker_archives_of_skopeo_are_read(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    layout = images.write_layout(str(tmp_path / "layout"), {"app": OCI})
    skopeo.copy(f"oci:{layout}:app", f"docker-archive:{tmp_path}/a.tar:localhost/app:1", all_platforms=False)
    for name in ("", ":localhost/app:1", ":@0"):
        manifest = load(f"docker-archive:{tmp_path}/a.tar{name}")
        assert manifest.config.digest.hex == image_id(OCI)
        assert [str(one.digest) for one in manifest.layers] == json.loads(OCI.blobs[manifest.config.digest])["rootfs"]["diff_ids"]


@pytest.fixture
def loaded(dockerd: Dockerd, tmp_path: pathlib.Path) -> Dockerd:
    """A daemon with two images that share nothing but their first layer."""
    dockerd.run("load", "--input", save(tmp_path / "loaded.tar", one=OCI, two=DOCKER))
    dockerd.run("tag", "localhost/one:1", "localhost/one:2")
    return dockerd


def test_what_docker_saves_is_read(loaded: Dockerd, skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "docker.tar")
    loaded.run("save", "--output", path, "localhost/one:1", "localhost/one:2", "localhost/two:1")
    places = Places()
    source = table.open_source(table.parse(f"docker-archive:{path}:localhost/one:2"), places)
    assert sorted(source.tags()) == ["localhost/one:1", "localhost/one:2", "localhost/two:1"]
    places.close()
    for name, image in (("one:1", OCI), ("one:2", OCI), ("two:1", DOCKER)):
        assert load(f"docker-archive:{path}:localhost/{name}").config.digest.hex == image_id(image)
    # As a destination: what docker wrote is kept, and every reader finds old and new.
    save(path, more=images.image("more"))
    said = loaded.run("load", "--input", path)
    assert said.count("Loaded image: localhost/") == 4
    assert skopeo.inspect(f"docker-archive:{path}:localhost/two:1", None, "--config")["architecture"] == "amd64"
    loaded.run("image", "rm", *(f"localhost/{name}" for name in ("one:1", "one:2", "two:1", "more:1")))


@pytest.mark.parametrize("form", SCHEMES)
def test_what_podman_saves_is_read(podman: Podman, tmp_path: pathlib.Path, form: str) -> None:
    podman.run("load", "--input", save(tmp_path / "loaded.tar", one=OCI, two=DOCKER))
    path = str(tmp_path / "podman.tar")
    podman.run("save", "--quiet", "--format", form, "--output", path, "localhost/one:1")
    for scheme in SCHEMES:
        manifest = load(f"{scheme}:{path}:localhost/one:1")
        # Its OCI form has a config written anew; the layers are the same.
        assert form == "oci-archive" or manifest.config.digest.hex == image_id(OCI)
        assert len(manifest.layers) == 1
    if form == "docker-archive":
        both = str(tmp_path / "both.tar")
        podman.run("save", "--quiet", "-m", "--output", both, "localhost/one:1", "localhost/two:1")
        assert load(f"docker-archive:{both}:localhost/two:1").config.digest.hex == image_id(DOCKER)
    podman.run("image", "rm", "--all", "--force")


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
def test_compressed_archives_are_read(skopeo: Skopeo, tmp_path: pathlib.Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    layout = images.write_layout(str(tmp_path / "layout"), {"app": OCI})
    skopeo.copy(f"oci:{layout}:app", f"docker-archive:{tmp_path}/a.tar:localhost/app:1", all_platforms=False)
    for path in (tmp_path / "a.tar", save(tmp_path / "b.tar", app=OCI)):
        packed = subprocess.run([tool, "--stdout", str(path)], check=True, capture_output=True).stdout
        (tmp_path / "packed").write_bytes(packed)
        manifest = load(f"docker-archive:{tmp_path}/packed:localhost/app:1")
        assert manifest.config.digest.hex == image_id(OCI)
