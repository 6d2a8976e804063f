# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Much at once: memory stays flat, nothing is lost, no thread is left behind.

LONGSHORE_LOAD_GIB is the size of the large layer; where it is not set it has a little more than 2 ** 31 bytes, which is
short enough for every run of the checks. ``LONGSHORE_LOAD_GIB=20 script/test load`` is the full size; it takes no disk.
"""

from __future__ import annotations

import json
import os
import pathlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import Cancelled, OciError
from ansible_collections.longshore.oci.plugins.module_utils.operations.copy import Entry, copy
from ansible_collections.longshore.oci.plugins.module_utils.operations.perform import How
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.pool import Registries
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings
from ansible_collections.longshore.oci.plugins.module_utils.transports.places import Places
from ansible_collections.longshore.oci.tests.load.endless import Endless
from ansible_collections.longshore.oci.tests.load.measured import Measured
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry, describe
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.wire import DOWN, Fault, Wire

PLAIN = {"src_plain_http": True, "dest_plain_http": True}
MIB = 1024 * 1024
GIB = 1024 * MIB
SIZE = int(os.environ.get("LONGSHORE_LOAD_GIB") or 2) * GIB + MIB
#: What a process may take above one that copies next to nothing.
FLAT = 64 * MIB
#: Largest manifest that registries take (distribution-spec, "Pushing Manifests").
LARGEST = 4 * MIB
PARALLEL = 8


def test_16_modules_at_once(
    tmp_path: pathlib.Path, registry: Registry, skopeo: Skopeo, repository: str, small: Measured
) -> None:
    """Half of them each to a repository of its own, half all to one tag of one repository."""
    content = images.sample(("linux/amd64", "linux/arm64/v8", "linux/arm/v7"), layers=6, layer_size=200_000)
    images.push(registry, f"{repository}/source", content, ["1"])
    targets = [f"{registry.host}/{repository}/{number if number < 8 else 'shared'}:1" for number in range(16)]
    running = []
    for number, target in enumerate(targets):
        directory = tmp_path / str(number)
        directory.mkdir()
        source = f"{registry.host}/{repository}/source:1"
        running.append(Measured.start(ModuleRunner(directory), "image_copy", src=source, dest=target, **PLAIN))
    ended = [one.wait() for one in running]
    assert [one.result.get("msg") for one in ended if one.result.get("failed")] == []
    assert {one.result["digest"] for one in ended} == {content.digest}
    assert all(one.result["changed"] for one in ended[:8]) and any(one.result["changed"] for one in ended[8:])
    for target in dict.fromkeys(targets):
        assert skopeo.digest(f"docker://{target}") == content.digest
    assert max(one.peak for one in ended) < small.peak + FLAT


def test_10_000_blobs_in_one_task(
    module: ModuleRunner, tmp_path: pathlib.Path, registry: Registry, repository: str, small: Measured
) -> None:
    tags: dict[str, images.Pushable] = {}
    for number in range(40):
        layers = [images.Layer(b"%d.%d" % (number, depth), images.sha256(b"x"), False) for depth in range(249)]
        tags[str(number)] = images.image("linux/amd64", layers, labels={"number": str(number)})
    assert len({blob.digest for content in tags.values() for blob in content.blobs()}) == 10_000
    layout = images.write_layout(tmp_path / "layout", tags)
    entries = [{"src": f"oci:{layout}:{tag}", "dest": f"{registry.host}/{repository}:{tag}"} for tag in tags]
    done = Measured.run(module, "image_copy", images=entries, parallel=PARALLEL, dest_plain_http=True)
    assert done.result["blobs"] == {"copied": 10_000, "existing": 0, "mounted": 0}
    assert done.peak < small.peak + FLAT, done
    assert done.threads <= 2 * PARALLEL + 8
    for tag, content in tags.items():
        accept = {"Accept": content.top.media_type}
        status, headers, unused = registry.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=accept)
        assert (status, headers["docker-content-digest"]) == (200, content.digest)
    links = registry.storage / "docker/registry/v2/repositories" / repository / "_layers/sha256"
    assert len(list(links.iterdir())) == 10_000
    mark = registry.mark()
    again = Measured.run(module, "image_copy", images=entries, parallel=PARALLEL, dest_plain_http=True)
    assert not again.result["changed"]
    requests = registry.requests_since(mark)
    assert {one.method for one in requests} == {"HEAD"} and len(requests) == len(tags), describe(requests[:20])


def largest_manifest(layers: Sequence[images.Blob], config: images.Blob) -> images.Blob:
    """A manifest of just as many bytes as may be."""
    media_type = images.MEDIA_TYPES[images.OCI]["manifest"]
    rows: list[dict[str, Any]] = [{**one.descriptor, "annotations": {"padding": ""}} for one in layers]
    document = {"schemaVersion": 2, "mediaType": media_type, "config": config.descriptor, "layers": rows}
    missing = LARGEST - len(json.dumps(document))
    for number, row in enumerate(rows):
        row["annotations"]["padding"] = "x" * (missing // len(rows) + (1 if number < missing % len(rows) else 0))
    raw = json.dumps(document).encode()
    assert len(raw) == LARGEST
    return images.Blob(media_type, raw)


def test_1_000_layers_and_the_largest_manifest(
    module: ModuleRunner, tmp_path: pathlib.Path, registry: Registry, skopeo: Skopeo, repository: str, small: Measured
) -> None:
    layers = [images.layer({f"{number}": b"content"}) for number in range(1000)]
    plain = images.image("linux/amd64", layers)
    content = plain._replace(manifest=largest_manifest(plain.layers, plain.config))
    layout = images.write_layout(tmp_path / "layout", {"1": content})
    source, target, path = f"{registry.host}/{repository}/source:1", f"{registry.host}/{repository}/copy:1", tmp_path / "a.tar"
    options = {"plain_http": True, "path": str(path)}
    pushed = Measured.run(module, "image_copy", src=f"oci:{layout}:1", dest=source, dest_plain_http=True)
    copied = Measured.run(module, "image_copy", src=source, dest=target, **PLAIN)
    assert copied.result["digest"] == content.digest == skopeo.digest(f"docker://{target}")
    saved = Measured.run(module, "image_save_load", state="saved", images=[source], **options)
    loaded = Measured.run(
        module, "image_save_load", state="loaded", dest=f"{registry.host}/{repository}/loaded", **options
    )
    for one in (pushed, copied, saved, loaded):
        # Two or three of the manifest, as bytes and as what they mean.
        assert one.peak < small.peak + FLAT, one
    assert [one["digest"] for one in loaded.result["images"]] == [content.digest]
    again = module("image_copy", src=source, dest=target, **PLAIN)
    assert not again["changed"], again


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endless]:
    with Endless(SIZE, tmp_path_factory.mktemp("endless")) as server:
        yield server


def test_one_large_layer(module: ModuleRunner, endless: Endless, small: Measured) -> None:
    endless.forget()
    source, target = f"{endless.host}/source:1", f"{endless.host}/sink:1"
    done = Measured.run(module, "image_copy", src=source, dest=target, **PLAIN)
    assert endless.wrong == [] and endless.taken == SIZE
    assert done.result["digest"] == endless.manifest.digest and endless.tags["1"] == endless.manifest.data
    print(f"\n{SIZE / GIB:.0f} GiB in {done.seconds:.1f} s, {SIZE / done.seconds / 1e6:.0f} MB/s, peak {done.peak / 1e6:.1f} MB,")
    print(f"small image: {small.peak / 1e6:.1f} MB")
    assert done.peak < small.peak + FLAT, done


# -- threads ---------------------------------------------------------------------------------------------------------------


def others() -> set[threading.Thread]:
    return set(threading.enumerate())


def carry_out(entries: Sequence[Entry], stop: threading.Event | None = None) -> dict[str, Any]:
    """What image_copy does, in this process."""
    stop, meter, settings = stop or threading.Event(), Meter(), Settings(plain_http=True, timeout=5, retries=1)
    places = Places(Registries(settings, meter, stop=stop), Registries(settings, meter, stop=stop, push=True))
    try:
        return copy(entries, places, How(PARALLEL, stop))
    finally:
        places.close()


def assert_no_thread_is_left(before: set[threading.Thread]) -> None:
    end = time.monotonic() + 30
    while others() - before and time.monotonic() < end:
        time.sleep(0.05)
    assert others() - before == set()


@pytest.fixture
def pushed(registry: Registry, repository: str) -> list[str]:
    """Images to copy."""
    for number in range(6):
        images.push(registry, f"{repository}/{number}", images.sample(seed=number, layer_size=500_000), ["1"])
    return [f"{registry.host}/{repository}/{number}:1" for number in range(6)]


def test_no_thread_is_left_behind(registry: Registry, repository: str, pushed: list[str]) -> None:
    before = others()
    entries = [Entry(one, f"{registry.host}/{repository}/all:{number}") for number, one in enumerate(pushed)]
    assert carry_out(entries)["changed"]
    assert_no_thread_is_left(before)
    assert not carry_out(entries)["changed"]
    assert_no_thread_is_left(before)


def test_no_thread_is_left_behind_by_a_failure(registry: Registry, repository: str, pushed: list[str]) -> None:
    before = others()
    with Wire(registry.port, every=Fault(DOWN, 100_000)) as wire:
        ours = others()
        entries = [
            Entry(one.replace(registry.host, wire.host), f"{registry.host}/{repository}/all:{number}")
            for number, one in enumerate(pushed)
        ]
        with pytest.raises(OciError):
            carry_out(entries)
        assert_no_thread_is_left(ours | {one for one in others() if one.name.startswith("wire")})
    assert_no_thread_is_left(before)


def test_no_thread_is_left_behind_by_a_task_that_is_stopped(tmp_path: pathlib.Path, endless: Endless) -> None:
    before = others()
    for dest in (f"{endless.host}/sink:2", f"oci:{tmp_path / 'layout'}:1"):
        endless.forget()
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(Cancelled):
            carry_out([Entry(f"{endless.host}/source:1", dest)], stop)
    end = time.monotonic() + 30
    while {one for one in others() - before if "process_request_thread" not in one.name} and time.monotonic() < end:
        time.sleep(0.05)
    left = {one for one in others() - before if "process_request_thread" not in one.name}
    assert left == set(), left


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_a_module_ends_with_its_result(
    module: ModuleRunner, registry: Registry, repository: str, pushed: list[str], fails: bool
) -> None:
    """A thread that is not waited for would hold the process up, or die with what it does."""
    entries = [{"src": one, "dest": f"{registry.host}/{repository}/all:{number}"} for number, one in enumerate(pushed)]
    if fails:
        entries.append({"src": f"{registry.host}/{repository}/missing:1", "dest": f"{registry.host}/{repository}/all:x"})
    done = Measured.start(module, "image_copy", images=entries, **PLAIN).wait()
    assert bool(done.result.get("failed")) == fails
    assert done.seconds_to_end < 5
