# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Did a side do what it was measured for? Asked of the registries themselves, or of the archive, after the clock has
stopped.
"""

from __future__ import annotations

import json
import re
import tarfile
from typing import Any

from .case import Case, Context
from .data import Pusher
from .machine import run

# Prints the digest of what a zstd blob holds.
_CONTENT = """
import hashlib, sys, urllib.request, zstandard
hasher = hashlib.sha256()
with urllib.request.urlopen(sys.argv[1]) as blob, zstandard.ZstdDecompressor().stream_reader(blob) as reader:
    while chunk := reader.read(1 << 20):
        hasher.update(chunk)
print("sha256:" + hasher.hexdigest())
"""


class Mismatch(Exception):
    """A side did not do its work; the message says what is not as it must be."""


def check(case: Case, side: str, context: Context, output: str, written: int, thorough: bool) -> None:
    """Raise Mismatch unless the side left what it should. ``written``: its write requests. ``thorough``: let skopeo
    read it too.
    """
    if side == "module":
        _module(case, context, _result(output))
    if side == "playbook":
        _playbook(case, output)
    if side in ("module", "playbook") and not case.changes and written:
        raise Mismatch(f"{written} write requests, where nothing was to be done")
    if case.part in ("fleet", "many") or case.key == "a":
        _tags(context, [(image.repository, image.tag, image.digest) for image in context.images])
        if thorough:
            _inspect(context)
    elif case.key == "d" or (case.key == "f" and side != "curl"):
        _archive(side, context, thorough)
    elif case.key == "g":
        _converted(context)
    elif case.key == "f":
        sent, came = (context.scratch / "upload").stat().st_size, context.archive.stat().st_size
        if sent != came:
            raise Mismatch(f"{came} bytes came to the storage, not {sent}")
    elif case.key == "e-list" and side == "skopeo":
        _count(len(json.loads(output)["Tags"]), context)
    elif case.module == "image_sync":
        image = context.images[0]
        count = int(case.key.partition("-")[2])
        _tags(context, [(image.repository, f"v{number:05d}", image.digest) for number in range(count)])
        if side == "module":
            _images(count, _result(output))
    elif case.key == "e-tag":
        image = context.images[0]
        _tags(context, [(image.repository, tag, image.digest) for tag in context.points])


def _result(output: str) -> dict[str, Any]:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Mismatch(f"the module printed no result: {output[-500:]!r}")
    result: dict[str, Any] = json.loads(lines[-1])
    if result.get("failed"):
        raise Mismatch(f"the module failed: {result.get('msg')}")
    return result


def _module(case: Case, context: Context, result: dict[str, Any]) -> None:
    if result.get("changed") is not case.changes:
        raise Mismatch(f"changed is {result.get('changed')}, not {case.changes}")
    if case.key == "e-list":
        _count(len(result["tags"]), context)


def _images(count: int, result: dict[str, Any]) -> None:
    if len(result["images"]) != count:
        raise Mismatch(f"{len(result['images'])} images were chosen, not {count}")


def _playbook(case: Case, output: str) -> None:
    recap = re.search(r"localhost\s*: ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=0", output)
    if recap is None or recap.groups() != ("1", str(int(case.changes))):
        raise Mismatch(f"the playbook's recap is not as expected: {output[-500:]!r}")


def _count(found: int, context: Context) -> None:
    if found != context.sizes.tags:
        raise Mismatch(f"{found} tags listed, not {context.sizes.tags}")


def _tags(context: Context, expected: list[tuple[str, str, str]]) -> None:
    pusher = Pusher(context.target.address)
    try:
        for repository, tag, digest in expected:
            found = pusher.digest_of(repository, tag)
            if found != digest:
                raise Mismatch(f"{repository}:{tag} is {found} at the destination, not {digest}")
    finally:
        pusher.close()


def _converted(context: Context) -> None:
    """The image at the destination must have the config of the source, and zstd layers with the content that it tells."""
    image = context.images[0]
    repository = f"http://{context.target.address}/v2/{image.repository}"
    pusher = Pusher(context.target.address)
    try:
        document = pusher.document(image.repository, image.tag)
    finally:
        pusher.close()
    if document["config"]["digest"] != image.blobs[-1].digest:
        raise Mismatch(f"the config is {document['config']['digest']}, not {image.blobs[-1].digest}")
    for layer, blob in zip(document["layers"], image.blobs[:-1]):
        if not layer["mediaType"].endswith("+zstd"):
            raise Mismatch(f"a layer is {layer['mediaType']}")
        found = run([context.machine.python, "-c", _CONTENT, f"{repository}/blobs/{layer['digest']}"]).strip()
        if found != blob.diff_id:
            raise Mismatch(f"a layer holds {found}, not {blob.diff_id}")


def _skopeo_digest(context: Context, name: str) -> str:
    return run(
        [context.machine.skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", name],
        env=context.machine.environment,
    ).strip()


def _inspect(context: Context) -> None:
    if not context.machine.skopeo:
        return
    for image in context.images:
        found = _skopeo_digest(context, f"docker://{context.target.address}/{image.name}")
        if found != image.digest:
            raise Mismatch(f"skopeo reads {image.name} as {found}, not {image.digest}")


def _archive(side: str, context: Context, thorough: bool) -> None:
    """An OCI archive must name the image's very digest; a docker-archive, which holds it unpacked, its layers' diff
    ids.
    """
    image = context.images[0]
    with tarfile.open(context.archive) as archive:
        # Reads headers alone: the layers are skipped by seeking.
        names = archive.getnames()
        if side != "skopeo":
            index = json.load(_member(archive, "index.json"))
            found = [each["digest"] for each in index["manifests"]]
            if found != [image.digest]:
                raise Mismatch(f"the archive's index names {found}, not {image.digest}")
        if "manifest.json" in names:
            entry = json.load(_member(archive, "manifest.json"))[0]
            config = json.load(_member(archive, entry["Config"]))
            if config["rootfs"]["diff_ids"] != [blob.diff_id for blob in image.blobs[:-1]]:
                raise Mismatch("the archive's config names other layers")
            missing = sorted(set(entry["Layers"]) - set(names))
            if missing:
                raise Mismatch(f"the archive lacks {missing}")
    if thorough and context.machine.skopeo and side != "skopeo":
        digest = _skopeo_digest(context, f"oci-archive:{context.archive}")
        if digest != image.digest:
            raise Mismatch(f"skopeo reads the archive as {digest}, not {image.digest}")
    if thorough and context.machine.skopeo and side != "skopeo-oci":
        text = run(
            [context.machine.skopeo, "inspect", "--config", f"docker-archive:{context.archive}"],
            env=context.machine.environment,
        )
        if json.loads(text)["rootfs"]["diff_ids"] != [blob.diff_id for blob in image.blobs[:-1]]:
            raise Mismatch("skopeo reads other layers from the archive")


def _member(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(name)
    if member is None:
        raise Mismatch(f"{name} in the archive is no file")
    return member
