# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dir:``: one image as plain files."""

from __future__ import annotations

import io
import os

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    ContentError,
    DigestMismatch,
    InvalidInput,
    InvalidManifest,
    NotFound,
    SizeMismatch,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.directory import (
    DirectoryDestination,
    DirectorySource,
    blob_name,
    digest_of,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "image")


def store(path, image):
    destination = DirectoryDestination(path)
    image.store(destination, "")
    destination.commit()


def by_hand(path, image):
    """As skopeo writes it."""
    images.put(os.path.join(path, "version"), b"Directory Transport Version: 1.1\n")
    images.put(os.path.join(path, "manifest.json"), image.manifest.raw)
    for digest, data in image.everything().items():
        images.put(os.path.join(path, digest.hex), data)
    for child in image.children:
        images.put(os.path.join(path, f"{child.digest.hex}.manifest.json"), child.manifest.raw)
    return path


@pytest.mark.parametrize("docker", [False, True])
def test_images_and_indexes_are_read_with_their_own_digest(path, docker):
    for image in (images.image(docker=docker), images.two_platforms(docker=docker)):
        source = DirectorySource(by_hand(path, image))
        assert source.resolve() == image.digest
        assert source.manifest().raw == image.manifest.raw
        assert source.manifest().media_type == image.manifest.media_type
        expected = {image.digest, *image.everything(), *(child.digest for child in image.children)}
        assert images.read_all(source) == expected
        assert source.tags() == []


def test_a_manifest_without_a_media_type_is_known_by_its_shape(path):
    image = images.image()
    raw = image.manifest.raw.replace(b'  "mediaType": "application/vnd.oci.image.manifest.v1+json",\n', b"", 1)
    assert len(raw) < len(image.manifest.raw)
    by_hand(path, images.Image(images.parse_manifest(raw), image.blobs))
    assert DirectorySource(path).manifest().media_type == media_types.OCI_MANIFEST


def test_what_is_no_image_says_why(tmp_path):
    with pytest.raises(ArchiveError, match="there is no such directory"):
        DirectorySource(str(tmp_path / "none")).resolve()
    with pytest.raises(ArchiveError, match="it has no manifest.json"):
        DirectorySource(str(tmp_path)).resolve()
    images.put(str(tmp_path / "manifest.json"), b'{"schemaVersion":1,"fsLayers":[]}')
    with pytest.raises(InvalidManifest, match="schema 1"):
        DirectorySource(str(tmp_path)).resolve()
    images.put(str(tmp_path / "version"), b"Directory Transport Version: 2.0\n")
    with pytest.raises(ArchiveError, match="2.0"):
        DirectorySource(str(tmp_path)).resolve()


def test_broken_content_is_refused(path):
    image = images.two_platforms()
    child = image.children[0]
    source = DirectorySource(by_hand(path, image))
    layer = child.manifest.layers[0]
    images.put(os.path.join(path, layer.digest.hex), b"short")
    with pytest.raises(SizeMismatch):
        source.open_blob(layer)
    os.unlink(os.path.join(path, layer.digest.hex))
    with pytest.raises(NotFound):
        source.open_blob(layer)
    os.symlink("/etc/passwd", os.path.join(path, layer.digest.hex))
    with pytest.raises(ArchiveError):
        source.open_blob(layer)
    images.put(os.path.join(path, f"{child.digest.hex}.manifest.json"), image.children[1].manifest.raw)
    with pytest.raises(DigestMismatch):
        source.manifest(child.digest)
    with pytest.raises(NotFound):
        source.manifest(Digest.of(b"none"))


def test_names_of_other_algorithms_keep_the_algorithm():
    for algorithm in ("sha256", "sha384", "sha512"):
        digest = Digest.of(b"x", algorithm)
        assert digest_of(blob_name(digest)) == digest
    assert blob_name(Digest.of(b"x")) == Digest.of(b"x").hex


def test_nothing_is_created_by_asking(path):
    destination = DirectoryDestination(path)
    assert destination.is_empty() and destination.resolve("") is None
    assert not destination.has_manifest(images.image().digest)
    destination.commit()
    destination.abort()
    assert not os.path.exists(path)


@pytest.mark.parametrize("image", [images.image(), images.two_platforms(), images.two_platforms(docker=True)])
def test_what_is_written_is_what_skopeo_would_write(path, tmp_path, image):
    store(path, image)
    wanted = by_hand(str(tmp_path / "wanted"), image)
    assert sorted(os.listdir(path)) == sorted(os.listdir(wanted))
    for name in os.listdir(path):
        with open(os.path.join(path, name), "rb") as ours, open(os.path.join(wanted, name), "rb") as theirs:
            assert ours.read() == theirs.read()
    assert DirectoryDestination(path).resolve("") == image.digest
    assert DirectoryDestination(path).resolve(str(image.digest)) == image.digest


def test_a_new_image_replaces_the_former_and_keeps_what_both_have(path):
    one, two = images.image("one"), images.image("two")
    both = images.index(one, two)
    store(path, one)
    layer = os.path.join(path, one.manifest.layers[0].digest.hex)
    before = os.stat(layer).st_mtime_ns
    # The copy engine writes only what is missing: the manifest of `one` is there, as the image itself.
    destination = DirectoryDestination(path)
    assert destination.has_manifest(one.digest)
    two.store(destination, None)
    destination.write_manifest(both.manifest, "")
    destination.commit()
    assert images.read_all(DirectorySource(path)) == {both.digest, one.digest, two.digest, *both.everything()}
    assert os.stat(layer).st_mtime_ns == before
    store(path, two)
    assert sorted(os.listdir(path)) == sorted(["version", "manifest.json", *(digest.hex for digest in two.blobs)])


def test_only_files_of_our_own_shape_are_removed(path):
    store(path, images.image("one"))
    for name in ("README", "signature-1", f"{'0' * 64}.signature-2", "0" * 63):
        images.put(os.path.join(path, name), b"")
    store(path, images.image("two"))
    left = set(os.listdir(path))
    assert {"README", "0" * 63} <= left
    assert not any("signature" in name for name in left)
    # Nothing is removed when the image stays what it is.
    images.put(os.path.join(path, "signature-1"), b"")
    store(path, images.image("two"))
    assert "signature-1" in os.listdir(path)


def test_the_former_image_stays_until_the_new_one_is_whole(path):
    one, two = images.image("one"), images.image("two")
    store(path, one)
    destination = DirectoryDestination(path)
    destination.write_blob(two.manifest.config, lambda: io.BytesIO(two.blobs[two.manifest.config.digest]))
    with pytest.raises(StorageError, match="is gone"):
        destination.write_manifest(two.manifest, "")
    with pytest.raises(ContentError):
        destination.write_blob(two.manifest.layers[0], lambda: io.BytesIO(b"wrong"))
    assert images.read_all(DirectorySource(path)) == {one.digest, *one.blobs}
    destination.abort()
    assert images.read_all(DirectorySource(path)) == {one.digest, *one.blobs}
    store(path, two)
    assert images.read_all(DirectorySource(path)) == {two.digest, *two.blobs}


def test_a_directory_created_for_nothing_goes_again(tmp_path):
    destination = DirectoryDestination(str(tmp_path / "a" / "b"))
    layer = images.image().manifest.layers[0]
    with pytest.raises(SizeMismatch):
        destination.write_blob(layer, lambda: io.BytesIO(b""))
    destination.abort()
    assert os.listdir(tmp_path) == []


def test_a_failed_first_write_can_be_taken_up_again(path):
    image = images.image()
    destination = DirectoryDestination(path)
    config = image.manifest.config
    destination.write_blob(config, lambda: io.BytesIO(image.blobs[config.digest]))
    destination.abort()
    assert DirectoryDestination(path).has_blob(config)
    assert DirectoryDestination(path).resolve("") is None
    store(path, image)
    assert images.read_all(DirectorySource(path))


def test_foreign_directories_are_refused(tmp_path):
    images.put(str(tmp_path / "manifest.json"), b"{}")
    destination = DirectoryDestination(str(tmp_path))
    with pytest.raises(InvalidInput, match="other files"):
        destination.resolve("")
    with pytest.raises(InvalidInput, match="other files"):
        images.image().store(destination, "")
    with pytest.raises(InvalidInput, match="not a directory"):
        images.image().store(DirectoryDestination(str(tmp_path / "manifest.json")), "")
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_one_writer_at_a_time(path):
    image = images.image()
    first, second = DirectoryDestination(path), DirectoryDestination(path)
    image.store(first, "")
    with pytest.raises(StorageError, match="another process"):
        images.image("two").store(second, "")
    first.commit()
    images.image("two").store(second, "")
    second.commit()
    assert DirectorySource(path).resolve() == images.image("two").digest


def test_it_has_no_names(path):
    destination = DirectoryDestination(path)
    image = images.image()
    with pytest.raises(InvalidInput, match="without a name"):
        image.store(destination, "latest")
    with pytest.raises(InvalidInput, match="cannot be the name"):
        destination.write_manifest(image.manifest, str(Digest.of(b"x")))
    image.store(destination, str(image.digest))
    destination.commit()
    with pytest.raises(InvalidInput, match="without a name"):
        destination.resolve("latest")
    assert destination.resolve("") == image.digest


def test_referrers_stay_as_long_as_their_subject(path):
    image = images.image()
    signature = images.artifact(image)
    destination = DirectoryDestination(path)
    signature.store(destination, None)
    image.store(destination, "")
    destination.commit()
    (found,) = DirectorySource(path).referrers(image.digest)
    assert found.digest == signature.digest
    assert found.artifact_type == "application/vnd.example.signature"
    multi = images.index(image, images.image("other", "arm64"))
    store(path, multi)
    assert [one.digest for one in DirectorySource(path).referrers(image.digest)] == [signature.digest]
    store(path, images.image("unrelated"))
    assert DirectorySource(path).referrers(image.digest) == []
    assert signature.digest.hex + ".manifest.json" not in os.listdir(path)


def test_sha512_blobs(path):
    data = b"some bytes"
    descriptor = Descriptor("application/octet-stream", Digest.of(data, "sha512"), len(data))
    destination = DirectoryDestination(path)
    destination.write_blob(descriptor, lambda: io.BytesIO(data))
    assert destination.has_blob(descriptor)
    stream = DirectorySource(path).open_blob(descriptor, 5)
    assert stream.read(100) == b"bytes"
    stream.close()
    destination.abort()


def test_locations_open_both_ends(tmp_path):
    places = Places()
    text = f"dir:{tmp_path / 'with:colon'}"
    destination, name = table.open_destination(table.parse(text), places)
    image = images.image()
    image.store(destination, name)
    destination.commit()
    assert table.open_source(table.parse(text), places).resolve() == image.digest
    assert os.listdir(tmp_path) == ["with:colon"]
    places.close()
