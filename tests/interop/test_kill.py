# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9, fifty times, at random offsets of a copy, a load, a sync and a save with real registries.

A tag is old or new and never broken; the file that was there is as it was, or completely new; the next run completes and
moves only what had not arrived. Offsets are bytes that have passed on the line, so that a busy machine changes nothing.
"""

from __future__ import annotations

import json
import pathlib
import random
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.longshore.oci.plugins.module_utils.transports import files
from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner
from ansible_collections.longshore.oci.tests.servers.registry import Registry
from ansible_collections.longshore.oci.tests.servers.skopeo import Skopeo
from ansible_collections.longshore.oci.tests.servers.wire import DOWN, UP, Wire

# 13 + 13 + 12 + 12 = 50, each row one image that is brought on its way by what comes before.
KILLS = {"copy": (5, 4, 4), "load": (5, 4, 4), "sync": (6, 6), "save": (6, 6)}
LAYERS, SIZE = 8, 300_000
# Bytes beside blobs: headers, requests without a body, manifests.
BESIDE = 100_000
LIMITS = {"bandwidth_limit": "8MB", "parallel": 2, "timeout": 60}
KINDS = [kinds[part] for kinds in images.MEDIA_TYPES.values() for part in ("index", "manifest")]
SHARED = images.noise_layer(SIZE, seed=1)


def content(seed: int) -> images.Image:
    """An image whose first layer is the same in all of them."""
    layers = [SHARED, *(images.noise_layer(SIZE, seed=1000 + 10 * seed + number) for number in range(1, LAYERS))]
    return images.image("linux/amd64", layers, labels={"seed": str(seed)})


def killed(module: ModuleRunner, name: str, wire: Wire, direction: str, offset: int, pause: float, **options: Any) -> None:
    """Start a module and kill it once so many bytes have passed, and after ``pause`` seconds more."""
    begun = wire.bytes(direction)
    process = module.start(name, **options)
    while process.poll() is None and wire.bytes(direction) - begun < offset:
        time.sleep(0.001)
    time.sleep(pause)
    process.kill()
    process.communicate()


class Place:
    """A repository, looked at without the module."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry, self._repository = registry, repository

    def digest(self, tag: str) -> str:
        """What a tag stands for, '' for nothing. Everything below it is there, whole."""
        status, headers, raw = self._get(tag)
        if status == 404:
            return ""
        assert status == 200 and headers["docker-content-digest"] == images.sha256(raw)
        self._assert_whole(json.loads(raw))
        return images.sha256(raw)

    def _get(self, reference: str) -> tuple[int, Mapping[str, str], bytes]:
        target = f"/v2/{self._repository}/manifests/{reference}"
        return self._registry.request("GET", target, headers={"Accept": ", ".join(KINDS)})

    def _assert_whole(self, document: dict[str, Any]) -> None:
        for child in document.get("manifests", ()):
            status, unused, raw = self._get(child["digest"])
            assert status == 200 and images.sha256(raw) == child["digest"]
            self._assert_whole(json.loads(raw))
        for blob in (*document.get("layers", ()), *([document["config"]] if "config" in document else [])):
            assert self.size(blob["digest"]) == blob["size"], f"{blob['digest']} is missing or cut short"

    def size(self, digest: str) -> int:
        """Bytes of a blob; -1 if it is not there."""
        status, headers, unused = self._registry.request("HEAD", f"/v2/{self._repository}/blobs/{digest}")
        return int(headers["content-length"]) if status == 200 else -1

    def missing(self, image: images.Image) -> int:
        """Bytes of the blobs of an image that are not there."""
        return sum(len(blob.data) for blob in image.blobs() if self.size(blob.digest) < 0)


def offsets(chance: random.Random, kills: int, left: int) -> int:
    """Anywhere in what is left to move; the last kill of a row is close to the end, where manifests are written."""
    return chance.randrange(max(1, left)) if kills else left + chance.randrange(BESIDE // 20)


def push_round(
    module: ModuleRunner, place: Place, wire: Wire, tags: Mapping[str, images.Image], kills: int, name: str, **task: Any
) -> int:
    """Kill a task that writes ``tags`` so many times, then let it complete. Returns the bytes that did not move again."""
    chance = random.Random(f"{name} {kills} {sorted(tags)}")
    before = {tag: place.digest(tag) for tag in tags}
    for number in range(kills):
        left = sum(place.missing(one) for one in tags.values())
        pause = chance.uniform(0, 0.02)
        killed(module, name, wire, UP, offsets(chance, kills - number - 1, left), pause, **task, **LIMITS)
        for tag, image in tags.items():
            assert place.digest(tag) in (before[tag], image.digest)
    # What the registry had in hand when the line went down may still arrive.
    time.sleep(0.1)
    whole = sum({blob.digest: len(blob.data) for one in tags.values() for blob in one.blobs()}.values())
    missing = {blob.digest: len(blob.data) for one in tags.values() for blob in one.blobs() if place.size(blob.digest) < 0}
    begun = wire.bytes(UP)
    result = module(name, **task)
    assert not result.get("failed"), result
    assert result["bytes_transferred"] <= sum(missing.values()), (result, missing)
    assert wire.bytes(UP) - begun <= sum(missing.values()) + BESIDE
    assert {tag: place.digest(tag) for tag in tags} == {tag: image.digest for tag, image in tags.items()}
    return whole - sum(missing.values())


def test_a_copy_is_killed(module: ModuleRunner, registry: Registry, second_registry: Registry, repository: str) -> None:
    place, arrived = Place(second_registry, repository), 0
    images.push(second_registry, repository, content(0), ["1"])
    with Wire(second_registry.port) as wire:
        for number, kills in enumerate(KILLS["copy"], start=1):
            image = content(number)
            images.push(registry, repository, image, [str(number)])
            arrived += push_round(
                module, place, wire, {"1": image}, kills, name="image_copy",
                src=f"{registry.host}/{repository}:{number}", dest=f"{wire.host}/{repository}:1",
                src_plain_http=True, dest_plain_http=True,
            )
    # Beside the layer that was there at the beginning.
    assert arrived > len(KILLS["copy"]) * len(SHARED.data)


def test_a_load_is_killed(module: ModuleRunner, second_registry: Registry, repository: str, tmp_path: pathlib.Path) -> None:
    place, arrived = Place(second_registry, repository), 0
    images.push(second_registry, repository, content(0), ["1"])
    with Wire(second_registry.port) as wire:
        for number, kills in enumerate(KILLS["load"], start=1):
            image, path = content(100 + number), tmp_path / f"{number}.tar"
            name = f"registry.example/{repository.rpartition('/')[2]}:1"
            layout = images.write_layout(tmp_path / f"layout-{number}", {name: image})
            made = module("image_copy", src=f"oci:{layout}:{name}", dest=f"oci-archive:{path}:{name}")
            assert not made.get("failed"), made
            before = path.read_bytes()
            arrived += push_round(
                module, place, wire, {"1": image}, kills, name="image_save_load", state="loaded",
                path=str(path), dest=f"{wire.host}/{repository.rpartition('/')[0]}", plain_http=True,
            )
            assert path.read_bytes() == before
    assert arrived > len(KILLS["load"]) * len(SHARED.data)


def test_a_sync_is_killed(module: ModuleRunner, registry: Registry, second_registry: Registry, repository: str) -> None:
    place, arrived = Place(second_registry, repository), 0
    images.push(second_registry, repository, content(0), ["1"])
    with Wire(second_registry.port) as wire:
        for number, kills in enumerate(KILLS["sync"], start=1):
            tags = {"1": content(200 + number), "2": content(300 + number)}
            for tag, image in tags.items():
                images.push(registry, repository, image, [tag])
            mappings = [{"src": f"{registry.host}/{repository}", "dest": [f"{wire.host}/{repository}"]}]
            arrived += push_round(
                module, place, wire, tags, kills, name="image_sync", mappings=mappings,
                src_plain_http=True, dest_plain_http=True,
            )
    assert arrived > len(KILLS["sync"]) * len(SHARED.data)


def test_a_save_is_killed(
    module: ModuleRunner, registry: Registry, skopeo: Skopeo, repository: str, tmp_path: pathlib.Path
) -> None:
    """What is appended to is read from the file, so that what it has is not fetched; a killed run leaves nothing to use."""
    place = Place(registry, repository)
    folder = tmp_path / "archives"
    folder.mkdir()
    path, chance, struck = folder / "a.tar", random.Random(5), 0
    images.push(registry, repository, content(400), ["0"])
    with Wire(registry.port) as wire:
        options = {"state": "saved", "path": str(path), "append": True, "plain_http": True}
        assert not module("image_save_load", images=[f"{wire.host}/{repository}:0"], **options).get("failed")
        for number, kills in enumerate(KILLS["save"], start=1):
            image, name = content(400 + number), f"{wire.host}/{repository}:{number}"
            images.push(registry, repository, image, [str(number)])
            wanted = sum(len(blob.data) for blob in image.blobs()) - len(SHARED.data)
            before = path.read_bytes()
            for kill in range(kills):
                pause = chance.uniform(0, 0.05)
                offset = offsets(chance, kills - kill - 1, wanted)
                killed(module, "image_save_load", wire, DOWN, offset, pause, images=[name], **options, **LIMITS)
                if path.read_bytes() != before:
                    # It was done before it was killed: the last kill is close to the end, and the machine may be busy.
                    break
                struck += 1
            others = [one.name for one in folder.iterdir() if one != path]
            assert all(one.startswith(files.PREFIX) for one in others), others
            is_done = path.read_bytes() != before
            begun = wire.bytes(DOWN)
            result = module("image_save_load", images=[name], **options)
            assert not result.get("failed"), result
            assert result["changed"] != is_done
            assert wire.bytes(DOWN) - begun <= (0 if is_done else wanted) + BESIDE
            for saved in range(number + 1):
                found = skopeo.digest(f"oci-archive:{path}:{wire.host}/{repository}:{saved}")
                assert found == content(400 + saved).digest == place.digest(str(saved))
    assert struck >= sum(KILLS["save"]) / 2


def test_that_makes_fifty() -> None:
    assert sum(map(sum, KILLS.values())) == 50
