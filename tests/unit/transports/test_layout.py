# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``oci:``: reading and writing a layout, also by several processes and under kill -9."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    ArchiveError,
    ContentError,
    DigestMismatch,
    InvalidInput,
    NotFound,
    SizeMismatch,
    StorageError,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports import table
from ansible_collections.longshore.oci.plugins.module_utils.transports.layout import (
    LayoutDestination,
    LayoutSource,
)
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.unit.transports import images

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "layout")


def held(path):
    """Every file below ``path`` but the lock."""
    found = set()
    for directory, unused, names in os.walk(path):
        found.update(os.path.relpath(os.path.join(directory, name), path) for name in names)
    return found - {".lock"}


# Reading


def test_every_kind_of_image_is_read_with_its_own_digest(path):
    wanted = {
        "one": images.image(),
        "docker": images.image("docker", docker=True),
        "multi": images.two_platforms(),
        "list": images.two_platforms("list", docker=True),
        "nested": images.Image(
            images.index(images.image("n")).manifest, {}, [images.image("n")]
        ),
    }
    images.write_layout(path, wanted)
    for name, image in wanted.items():
        source = LayoutSource(path, name)
        assert source.resolve() == image.digest
        assert source.manifest().raw == image.manifest.raw
        assert source.manifest().media_type == image.manifest.media_type
        assert images.read_all(source) >= {image.digest, *image.everything()}
    assert LayoutSource(path, "one").tags() == list(wanted)


def test_an_index_within_an_index(path):
    inner = images.two_platforms("inner")
    raw = images.encode(
        {"schemaVersion": 2, "manifests": [images.descriptor(inner.manifest.raw, inner.manifest.media_type)]}
    )
    outer = images.Image(images.parse_manifest(raw), {}, [inner])
    images.write_layout(path, {"outer": outer})
    found = images.read_all(LayoutSource(path))
    assert found == {outer.digest, inner.digest, *(child.digest for child in inner.children), *inner.everything()}


def test_an_image_is_chosen_by_name_number_digest_or_alone(path):
    one, two = images.image("one"), images.image("two")
    images.write_layout(path, {"one": one})
    assert LayoutSource(path).resolve() == one.digest
    images.write_layout(path, {"one": one, "two": two})
    assert LayoutSource(path, number=1).resolve() == two.digest
    assert LayoutSource(path, str(two.digest)).resolve() == two.digest
    with pytest.raises(InvalidInput, match="one, two"):
        LayoutSource(path).resolve()
    with pytest.raises(NotFound, match="one, two"):
        LayoutSource(path, "three").resolve()


def test_a_child_of_an_index_is_found_by_its_digest(path):
    multi = images.two_platforms()
    images.write_layout(path, {"multi": multi})
    child = multi.children[1]
    source = LayoutSource(path, str(child.digest))
    assert source.resolve() == child.digest
    assert source.manifest().raw == child.manifest.raw
    with pytest.raises(NotFound):
        LayoutSource(path, str(Digest.of(b"none"))).resolve()


def test_blobs_are_read_from_an_offset(path):
    image = images.image()
    images.write_layout(path, {"x": image})
    layer = image.manifest.layers[0]
    stream = LayoutSource(path).open_blob(layer, 10)
    assert stream.read(1 << 20) == image.blobs[layer.digest][10:]
    stream.close()


def test_a_blob_of_another_size_is_refused_before_it_is_read(path):
    image = images.image()
    images.write_layout(path, {"x": image})
    layer = image.manifest.layers[0]
    images.put(os.path.join(path, "blobs", "sha256", layer.digest.hex), b"short")
    with pytest.raises(SizeMismatch, match="has 5 bytes"):
        LayoutSource(path).open_blob(layer)


def test_links_in_place_of_files_are_refused(path):
    image = images.image()
    for name in (f"blobs/sha256/{image.manifest.layers[0].digest.hex}", f"blobs/sha256/{image.digest.hex}", "index.json"):
        images.write_layout(path, {"x": image})
        os.unlink(os.path.join(path, name))
        os.symlink("/etc/passwd", os.path.join(path, name))
        with pytest.raises(ArchiveError, match="symbolic link"):
            images.read_all(LayoutSource(path, "x"))
        os.unlink(os.path.join(path, name))


def test_a_changed_manifest_is_refused(path):
    image = images.image()
    images.write_layout(path, {"x": image})
    blob = os.path.join(path, "blobs", "sha256", image.digest.hex)
    images.put(blob, image.manifest.raw.replace(b"sha256", b"sha257", 1))
    with pytest.raises(DigestMismatch):
        LayoutSource(path, "x").manifest()
    images.put(blob, image.manifest.raw + b" ")
    with pytest.raises(SizeMismatch):
        LayoutSource(path, "x").manifest()


def test_an_embedded_blob_needs_no_file(path):
    image = images.image()
    images.write_layout(path, {"x": image})
    value = images.descriptor(b"{}", media_types.OCI_EMPTY, data="e30=")
    stream = LayoutSource(path, "x").open_blob(Descriptor.parse(value, "config"))
    assert stream.read(10) == b"{}"


def test_what_is_no_layout_says_why(tmp_path):
    with pytest.raises(ArchiveError, match="there is no such directory"):
        LayoutSource(str(tmp_path / "none")).resolve()
    with pytest.raises(ArchiveError, match="it has no index.json"):
        LayoutSource(str(tmp_path)).resolve()
    images.put(str(tmp_path / "index.json"), b'{"schemaVersion":2,"manifests":[]}')
    with pytest.raises(NotFound, match="holds no image"):
        LayoutSource(str(tmp_path)).resolve()
    images.put(str(tmp_path / "oci-layout"), b'{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(ArchiveError, match="2.0.0"):
        LayoutSource(str(tmp_path)).resolve()


def test_a_missing_manifest_is_not_found(path):
    image = images.image()
    images.write_layout(path, {"x": image})
    os.unlink(os.path.join(path, "blobs", "sha256", image.digest.hex))
    with pytest.raises(NotFound):
        LayoutSource(path, "x").manifest()
    assert LayoutSource(path, "x").referrers(image.digest) == []


def test_referrers_are_found_in_the_index_and_under_the_fallback_tag(path):
    image = images.image()
    one, two = images.artifact(image, "application/vnd.example.one"), images.artifact(image, "application/vnd.example.two")
    listed = images.descriptor(two.manifest.raw, media_types.OCI_MANIFEST, artifactType="application/vnd.example.two")
    raw = images.encode({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [listed]})
    fallback = images.Image(images.parse_manifest(raw), {}, [two])
    images.write_layout(path, {"x": image, "-": one, f"sha256-{image.digest.hex}": fallback})
    found = LayoutSource(path, "x").referrers(image.digest)
    assert [(ref.digest, ref.artifact_type, ref.size) for ref in found] == [
        (one.digest, "application/vnd.example.one", one.manifest.size),
        (two.digest, "application/vnd.example.two", two.manifest.size),
    ]
    assert LayoutSource(path, "x").referrers(one.digest) == []


# Writing


def test_what_is_written_is_read_again(path):
    destination = LayoutDestination(path)
    assert destination.is_empty() and destination.resolve("one") is None
    assert not os.path.exists(path)
    one, multi, docker = images.image(), images.two_platforms(), images.image("docker", docker=True)
    one.store(destination, "one")
    multi.store(destination, "registry.example:5000/team/multi:1.0")
    docker.store(destination, "docker")
    destination.commit()
    assert not destination.is_empty()
    assert destination.resolve("one") == one.digest
    assert destination.resolve("registry.example:5000/team/multi:1.0") == multi.digest
    assert destination.resolve(str(multi.children[0].digest)) == multi.children[0].digest
    assert destination.resolve("none") is None
    assert LayoutSource(path, "one").tags() == ["one", "registry.example:5000/team/multi:1.0", "docker"]
    for name, image in [("one", one), ("1.0", multi), ("docker", docker)]:
        assert images.read_all(LayoutSource(path, name)) >= {image.digest, *image.everything()}
        assert LayoutSource(path, name).manifest().raw == image.manifest.raw
    with open(os.path.join(path, "oci-layout"), "rb") as file:
        assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
    assert not [name for name in held(path) if ".longshore-" in name]


def test_a_name_moves_and_the_former_image_leaves_the_index(path):
    destination = LayoutDestination(path)
    one, two = images.image("one"), images.image("two")
    one.store(destination, "x")
    two.store(destination, "x")
    assert LayoutSource(path).resolve() == two.digest
    with open(os.path.join(path, "index.json"), "rb") as file:
        assert len(json.load(file)["manifests"]) == 1


def test_writing_the_same_again_touches_no_file(path):
    image = images.two_platforms()
    image.store(LayoutDestination(path), "x")

    def state():
        return {name: os.stat(os.path.join(path, name)).st_mtime_ns for name in held(path)}

    before = state()
    time.sleep(0.01)

    def refuse():
        pytest.fail("a blob that is there was read again")

    again = LayoutDestination(path)
    assert again.has_manifest(image.digest)
    for child in image.children:
        assert all(again.has_blob(one) for one in child.manifest.blobs())
        again.write_blob(child.manifest.layers[0], refuse)
    again.write_manifest(image.manifest, "x")
    again.commit()
    assert state() == before


def test_a_blob_of_another_size_is_written_again(path):
    image = images.image()
    image.store(LayoutDestination(path), "x")
    layer = image.manifest.layers[0]
    blob = os.path.join(path, "blobs", "sha256", layer.digest.hex)
    images.put(blob, b"cut off")
    destination = LayoutDestination(path)
    assert not destination.has_blob(layer)
    image.store(destination, "x")
    assert images.read_all(LayoutSource(path))


def test_a_link_in_place_of_a_blob_is_replaced(path, tmp_path):
    image = images.image()
    layer = image.manifest.layers[0]
    images.put(str(tmp_path / "victim"), bytes(layer.size))
    os.makedirs(os.path.join(path, "blobs", "sha256"))
    images.put(os.path.join(path, "oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')
    os.symlink(tmp_path / "victim", os.path.join(path, "blobs", "sha256", layer.digest.hex))
    image.store(LayoutDestination(path), "x")
    assert (tmp_path / "victim").read_bytes() == bytes(layer.size)
    assert images.read_all(LayoutSource(path))


def test_wrong_bytes_never_get_a_name(path):
    image = images.image()
    layer = image.manifest.layers[0]
    data = image.blobs[layer.digest]
    destination = LayoutDestination(path)
    for wrong in (data[:-1], data + b"x", data[:-1] + b"\1", b""):
        with pytest.raises(ContentError):
            destination.write_blob(layer, lambda wrong=wrong: io.BytesIO(wrong))
    assert held(path) == {"oci-layout", "index.json"}


def test_other_algorithms_have_their_own_directory(path):
    data = b"some bytes"
    digest = Digest.of(data, "sha512")
    descriptor = Descriptor("application/octet-stream", digest, len(data))
    destination = LayoutDestination(path)
    destination.write_blob(descriptor, lambda: io.BytesIO(data))
    assert os.path.getsize(os.path.join(path, "blobs", "sha512", digest.hex)) == len(data)
    stream = LayoutSource(path).open_blob(descriptor)
    assert stream.read(100) == data
    stream.close()


def test_a_referrer_is_found_again_and_hides_no_image(path):
    image = images.image()
    signature = images.artifact(image)
    destination = LayoutDestination(path)
    image.store(destination, "")
    signature.store(destination, None)
    source = LayoutSource(path)
    assert source.resolve() == image.digest
    (found,) = source.referrers(image.digest)
    assert (found.digest, found.artifact_type) == (signature.digest, "application/vnd.example.signature")
    assert source.tags() == ["@0"]
    assert destination.resolve("") == image.digest


def test_without_a_name_the_one_image_is_replaced(path):
    one, two = images.image("one"), images.image("two")
    destination = LayoutDestination(path)
    one.store(destination, "")
    assert destination.resolve("") == one.digest
    two.store(destination, "")
    assert destination.resolve("") == two.digest
    assert LayoutSource(path).resolve() == two.digest


def test_without_a_name_nothing_is_written_beside_named_images(path):
    images.image().store(LayoutDestination(path), "x")
    destination = LayoutDestination(path)
    with pytest.raises(InvalidInput, match="give the new one a name"):
        destination.resolve("")
    with pytest.raises(InvalidInput, match="give the new one a name"):
        images.image("two").store(destination, "")
    assert LayoutSource(path).tags() == ["x"]


@pytest.mark.parametrize("name", ["a b", "a\n", "-x", "x" * 513, "\u0661", "../\0"])
def test_names_that_nobody_could_read_are_refused(path, name):
    destination = LayoutDestination(path)
    with pytest.raises(InvalidInput):
        destination.resolve(name)
    with pytest.raises(InvalidInput):
        destination.write_manifest(images.image().manifest, name)
    assert not os.path.exists(path)


def test_a_digest_names_only_itself(path):
    image = images.image()
    destination = LayoutDestination(path)
    image.store(destination, str(image.digest))
    assert LayoutSource(path).resolve() == image.digest
    assert LayoutSource(path).tags() == ["@0"]
    with pytest.raises(InvalidInput, match="cannot be the name"):
        destination.write_manifest(image.manifest, str(Digest.of(b"other")))


def test_only_the_names_to_keep_are_kept(path):
    LayoutDestination(path).commit(["a"])
    for name in ("a", "b", "c"):
        images.image(name).store(LayoutDestination(path), name)
    destination = LayoutDestination(path)
    images.image("d").store(destination, "d")
    destination.commit(["b"])
    assert LayoutSource(path).tags() == ["b", "d"]


def test_foreign_directories_and_files_are_refused(tmp_path):
    images.put(str(tmp_path / "notes.txt"), b"mine")
    for path in (str(tmp_path), str(tmp_path / "notes.txt")):
        destination = LayoutDestination(path)
        with pytest.raises(InvalidInput):
            destination.resolve("x")
        with pytest.raises(InvalidInput):
            images.image().store(destination, "x")
        destination.abort()
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_broken_layout_is_not_written_into(path):
    images.write_layout(path, {"x": images.image()})
    images.put(os.path.join(path, "index.json"), b"{")
    with pytest.raises(ContentError):
        images.image("y").store(LayoutDestination(path), "y")
    images.put(os.path.join(path, "index.json"), b'{"schemaVersion":2,"manifests":[]}')
    images.put(os.path.join(path, "oci-layout"), b'{"imageLayoutVersion":"9"}')
    with pytest.raises(ArchiveError):
        images.image("y").store(LayoutDestination(path), "y")


def test_a_layout_created_for_nothing_goes_again(tmp_path):
    path = str(tmp_path / "a" / "layout")
    image = images.image()
    destination = LayoutDestination(path)
    with pytest.raises(SizeMismatch):
        destination.write_blob(image.manifest.layers[0], lambda: io.BytesIO(b""))
    assert os.path.isdir(path)
    destination.abort()
    destination.abort()
    assert os.listdir(tmp_path) == []
    image.store(destination, "x")
    assert LayoutSource(path).resolve() == image.digest


def test_abort_leaves_what_others_wrote(path):
    image = images.image()
    ours, theirs = LayoutDestination(path), LayoutDestination(path)
    layer = image.manifest.layers[0]
    with pytest.raises(SizeMismatch):
        ours.write_blob(layer, lambda: io.BytesIO(b""))
    theirs.write_blob(layer, lambda: io.BytesIO(image.blobs[layer.digest]))
    ours.abort()
    image.store(theirs, "x")
    ours.abort()
    assert images.read_all(LayoutSource(path))


def test_abort_between_the_steps_of_another_writer(path):
    image = images.image()
    ours, theirs = LayoutDestination(path), LayoutDestination(path)
    layer = image.manifest.layers[0]
    for destination in (ours, theirs):
        with pytest.raises(SizeMismatch):
            destination.write_blob(layer, lambda: io.BytesIO(b""))
    ours.abort()
    assert not os.path.exists(path)
    image.store(theirs, "x")
    assert images.read_all(LayoutSource(path))


def test_old_temporary_files_go_with_the_next_run(path):
    images.image().store(LayoutDestination(path), "x")
    stale = [os.path.join(path, ".longshore-1"), os.path.join(path, "blobs", "sha256", ".longshore-2")]
    for name in stale:
        images.put(name, b"half")
        os.utime(name, times=(0, 0))
    images.image("y").store(LayoutDestination(path), "y")
    assert not any(map(os.path.exists, stale))


def test_too_little_space_is_told_before_anything_is_written(path):
    destination = LayoutDestination(path)
    destination.expect(1000)
    with pytest.raises(StorageError, match="not enough space"):
        destination.expect(10**18)
    assert not os.path.exists(path)


def test_a_full_disk_is_one_sentence_and_the_layout_stays_whole(path):
    code = (
        "import io, resource, sys\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.transports.layout import LayoutDestination\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.model.errors import StorageError\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest\n"
        "from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "data = bytes(1_000_000)\n"
        f"destination = LayoutDestination({path!r})\n"
        "try:\n"
        "    destination.write_blob(Descriptor('x', Digest.of(data), len(data)), lambda: io.BytesIO(data))\n"
        "except StorageError as exc:\n"
        "    destination.abort()\n"
        "    sys.exit(exc.message)\n"
    )
    image = images.image()
    image.store(LayoutDestination(path), "x")
    before = held(path)
    ended = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1 and "cannot write" in ended.stderr
    assert held(path) == before
    assert images.read_all(LayoutSource(path))


def test_many_threads_write_one_layout(path):
    destination = LayoutDestination(path)
    wanted = {f"tag-{number}": images.image(f"{number % 4}") for number in range(12)}
    failed = []

    def store(name):
        try:
            wanted[name].store(destination, name)
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=store, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(LayoutSource(path).tags()) == set(wanted)
    for name, image in wanted.items():
        assert LayoutSource(path, name).resolve() == image.digest


WRITER = """
import sys
from ansible_collections.longshore.oci.plugins.module_utils.transports.layout import LayoutDestination
from ansible_collections.longshore.oci.tests.unit.transports import images
path, prefix, count = sys.argv[1:]
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
destination = LayoutDestination(path)
for number in range(int(count)):
    images.image(f"{prefix}-{number}").store(destination, f"{prefix}-{number}")
    images.image(f"shared-{number}").store(destination, "shared")
destination.commit()
"""


def writer(path, prefix, count):
    command = [sys.executable, "-c", WRITER, path, prefix, str(count)]
    started = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout is not None and started.stdout.readline() == b"ready\n"
    return started


def test_six_processes_write_one_layout_and_every_name_stays(path):
    writers = [writer(path, f"process-{number}", 5) for number in range(6)]
    for one in writers:
        one.stdin.write(b"go\n")
        one.stdin.flush()
    for one in writers:
        one.communicate()
        assert one.returncode == 0
    wanted = {f"process-{process}-{number}" for process in range(6) for number in range(5)}
    assert set(LayoutSource(path).tags()) == wanted | {"shared"}
    for name in wanted:
        source = LayoutSource(path, name)
        assert source.resolve() == images.image(name).digest
        assert images.read_all(source)


def test_kill_at_any_time_leaves_every_name_readable(path):
    chance = random.Random(20261120)
    named = 0
    for attempt in range(10):
        one = writer(path, f"attempt-{attempt}", 1000)
        one.stdin.write(b"go\n")
        one.stdin.flush()
        time.sleep(chance.uniform(0.0, 0.15))
        one.send_signal(signal.SIGKILL)
        one.communicate()
        assert one.returncode == -signal.SIGKILL
        if not os.path.exists(os.path.join(path, "index.json")):
            continue
        tags = LayoutSource(path).tags()
        for name in tags:
            assert images.read_all(LayoutSource(path, name))
        named = max(named, len(tags))
        assert len(tags) >= named
    assert named > 0
    images.image("after").store(LayoutDestination(path), "after")
    assert LayoutSource(path, "after").resolve() == images.image("after").digest


# Locations


def test_locations_open_both_ends(path, tmp_path):
    places = Places()
    image = images.image()
    for text, name in [(f"oci:{path}:one", "one"), (f"oci:{path}:registry.example:5000/x:1", "registry.example:5000/x:1")]:
        destination, found = table.open_destination(table.parse(text), places)
        assert found == name
        image.store(destination, found)
        assert table.open_source(table.parse(text), places).resolve() == image.digest
    assert len(places.open_destinations()) == 1
    assert table.open_source(table.parse(f"oci:{path}:@0"), places).resolve() == image.digest
    assert table.open_source(table.parse(f"oci:{path}"), places).resolve() == image.digest
    for wrong in ("@0", "a b"):
        with pytest.raises(InvalidInput):
            table.open_destination(table.parse(f"oci:{path}:{wrong}"), places)
    places.close()
