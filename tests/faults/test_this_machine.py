# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows 32 to 37, 45 and 46 of the fault matrix: full disks, processes that are killed, stopped, or several at once."""

from __future__ import annotations

import json
import os
import resource
import signal
import time

import pytest

from ansible_collections.longshore.oci.tests.faults.running import result_of
from ansible_collections.longshore.oci.tests.faults.server import Kind
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.process import run, wait_until

IMAGE = images.image("linux/amd64", [images.noise_layer(400_000, seed=1)])
LARGE = images.image("linux/amd64", [images.noise_layer(3_000_000, seed=6)])
OTHER = images.image("linux/amd64", [images.noise_layer(1000, seed=3)])
PLAIN = {"src_plain_http": True, "dest_plain_http": True}
DAY = 24 * 3600


def temporary(folder):
    """What we have left in a folder."""
    return [one for one in folder.rglob("*") if one.name.startswith(".longshore-")]


@pytest.fixture
def disk(tmp_path):
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)])
    try:
        yield place
    finally:
        run(["umount", str(place)])


def holding(place, scenario, content):
    """The whole name of an image in a scenario."""
    repository = place.repository(scenario)
    place.put(repository, content, ["1"])
    return f"{place.host}/{repository}:1"


@pytest.mark.parametrize(
    "form", ["docker-archive:{}/images.tar:app:1", "oci-archive:{}/images.tar:app", "oci:{}/layout:app", "dir:{}/images"]
)
def test_f4_2_32_a_disk_too_small_is_known_beforehand(module, played, disk, form):
    """skopeo and crane leave a truncated archive of 2 MiB."""
    before = holding(played, "none", OTHER)
    dest = form.format(disk)
    done = module("image_copy", src=before, dest=dest, src_plain_http=True)
    assert not done.get("failed"), done
    kept = {one: one.read_bytes() for one in disk.rglob("*") if one.is_file()}
    name = holding(played, "none", LARGE)
    mark = len(played.server.log)
    result = module("image_copy", src=name, dest=dest, src_plain_http=True)
    assert result["failed"] and "not enough space" in result["msg"] and str(disk) in result["msg"], result
    assert {one: one.read_bytes() for one in disk.rglob("*") if one.is_file()} == kept
    assert not [one for one in played.server.log.since(mark).kind(Kind.GET_BLOB) if one.reference == LARGE.layers[0].digest]


def test_f4_2_32_a_file_that_may_not_grow_leaves_what_was_there(module, played, tmp_path):
    path = tmp_path / "images.tar"
    options = {"state": "saved", "path": str(path), "plain_http": True}
    assert not module("image_save_load", images=[holding(played, "none", OTHER)], **options).get("failed")
    kept = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        result = module("image_save_load", images=[holding(played, "none", LARGE)], **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert result["failed"] and str(path) in result["msg"], result
    assert path.read_bytes() == kept and not temporary(tmp_path)


def begun(server, repository, kind, status):
    """Wait until a request of that kind is under way."""
    wait_until(lambda: any(one.status == status for one in server.log.of(repository, kind)), f"a {kind.value}")


def test_f4_2_33_a_save_that_is_killed_leaves_the_file_before(process, module, played, tmp_path):
    """crane has overwritten it by then; skopeo has made it empty."""
    folder = tmp_path / "archives"
    folder.mkdir()
    path = folder / "images.tar"
    options = {"state": "saved", "path": str(path), "plain_http": True}
    assert not module("image_save_load", images=[holding(played, "none", OTHER)], **options).get("failed")
    kept = path.read_bytes()
    name = holding(played, "stallblob", IMAGE)
    scene = name.partition("/")[2].rpartition(":")[0]
    child = process.start("image_save_load", images=[name], **options)
    begun(played.server, scene, Kind.GET_BLOB, 200)
    # The first bytes are on their way: wait until they lie in a file of ours.
    wait_until(lambda: any(one.stat().st_size for one in temporary(folder)), "a temporary file")
    child.kill()
    child.communicate()
    assert path.read_bytes() == kept
    (left,) = temporary(folder)
    # The next run does not mind it, and takes it away once it is a day old.
    os.utime(left, (time.time() - 2 * DAY,) * 2)
    again = module("image_save_load", images=[holding(played, "none", IMAGE)], **options)
    assert not again.get("failed") and again["changed"], again
    assert not temporary(folder) and path.read_bytes() != kept


def test_f4_2_34_a_push_that_is_killed_leaves_the_tag_and_what_arrived(process, module, played, real):
    source = real.repository("source")
    real.put(source, IMAGE, ["1"])
    scene = played.repository("stallput")
    played.put(scene, OTHER, ["1"])
    options = {"src": f"{real.host}/{source}:1", "dest": f"{played.host}/{scene}:1", "parallel": 2, **PLAIN}
    child = process.start("image_copy", **options)
    begun(played.server, scene, Kind.PUT_UPLOAD, 100)
    wait_until(lambda: played.has(scene, IMAGE.config.digest), "the config")
    child.kill()
    child.communicate()
    assert played.tags(scene) == {"1": OTHER.digest}
    mark = len(played.server.log)
    result = module("image_copy", **options)
    assert not result.get("failed") and result["changed"], result
    assert played.tags(scene) == {"1": IMAGE.digest}
    # What had arrived is not sent again.
    assert result["blobs"] == {"copied": 1, "mounted": 0, "existing": 1}
    assert len(played.server.log.since(mark).of(scene, Kind.PUT_UPLOAD)) == 1


def test_f4_2_35_six_tasks_write_one_tag(process, real):
    source, dest = real.repository("source"), real.repository("dest")
    real.put(source, IMAGE, ["1"])
    options = {"src": f"{real.host}/{source}:1", "dest": f"{real.host}/{dest}:1", **PLAIN}
    results = [result_of(child) for child in [process.start("image_copy", **options) for unused in range(6)]]
    assert not [one for one in results if one.get("failed")], results
    assert {one["digest"] for one in results} == {IMAGE.digest} and any(one["changed"] for one in results)
    assert real.tags(dest) == {"1": IMAGE.digest}


def test_f4_2_36_six_tasks_save_into_one_layout(process, real, tmp_path):
    """skopeo and regclient lose five of the six tags, and skopeo says nothing of it."""
    names = {}
    for number in range(6):
        content = images.image("linux/amd64", [images.noise_layer(1000, seed=60 + number)])
        names[holding(real, "parallel", content)] = content.digest
    place = tmp_path / "layout"
    children = [
        process.start("image_copy", src=name, dest=f"oci:{place}:tag-{number}", src_plain_http=True)
        for number, name in enumerate(names)
    ]
    results = [result_of(child) for child in children]
    assert not [one for one in results if one.get("failed")], results
    rows = json.loads((place / "index.json").read_bytes())["manifests"]
    found = {row["annotations"]["org.opencontainers.image.ref.name"]: row["digest"] for row in rows}
    assert found == {f"tag-{number}": digest for number, digest in enumerate(names.values())}


def test_f4_2_37_a_blob_that_many_images_share_goes_up_once(module, played, real):
    layer = images.noise_layer(300_000, seed=1)
    source, dest = real.repository("source"), played.repository("none")
    tags = [str(number) for number in range(8)]
    for tag in tags:
        real.put(source, images.image("linux/amd64", [layer], labels={"number": tag}), [tag])
    pairs = [{"src": f"{real.host}/{source}:{tag}", "dest": f"{played.host}/{dest}:{tag}"} for tag in tags]
    result = module("image_copy", images=pairs, **PLAIN)
    assert not result.get("failed"), result
    assert sorted(played.tags(dest)) == tags
    sent = [one for one in played.server.log.of(dest, Kind.PUT_UPLOAD) if one.received > 200_000]
    assert len(sent) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f4_2_46_a_push_that_is_told_to_stop_cancels_its_uploads(process, played, real, number):
    source = real.repository("source")
    real.put(source, IMAGE, ["1"])
    scene = played.repository("stallput")
    played.put(scene, OTHER, ["1"])
    options = {"src": f"{real.host}/{source}:1", "dest": f"{played.host}/{scene}:1", **PLAIN}
    child = process.start("image_copy", **options)
    begun(played.server, scene, Kind.PUT_UPLOAD, 100)
    began = time.monotonic()
    child.send_signal(number)
    result = result_of(child)
    # Whatever it was waiting for, it is not waited for any more; the timeout is a minute.
    assert time.monotonic() - began < 30
    assert result["failed"] and result["msg"].endswith(("stopped before the end", "told to stop")), result
    assert played.tags(scene) == {"1": OTHER.digest}
    assert not played.server.storage[scene].uploads, str(played.server.log.of(scene))


def test_f4_2_46_a_save_that_is_told_to_stop_leaves_nothing(process, played, tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    name = holding(played, "slowblob", IMAGE)
    scene = name.partition("/")[2].rpartition(":")[0]
    child = process.start("image_save_load", state="saved", path=str(folder / "a.tar"), images=[name], plain_http=True)
    begun(played.server, scene, Kind.GET_BLOB, 200)
    child.send_signal(signal.SIGTERM)
    result = result_of(child)
    assert result["failed"] and "stop" in result["msg"], result
    assert list(folder.iterdir()) == []
