# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small images made of bytes: the same arguments make the same digests on every machine.

app = image("linux/amd64", [layer({"hello": b"world"})])
both = index([app, image("linux/arm64/v8", [layer({"hello": b"world"})])])
write_layout("app", {"1.0": both})
digest = push(registry, "team/app", both, tags=["1.0"])
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from .process import ServerFailed
from .registry import Registry

OCI = "oci"
DOCKER = "docker"
CREATED = "2026-01-01T00:00:00Z"

# What each kind calls its parts.
MEDIA_TYPES = {
    OCI: {
        "index": "application/vnd.oci.image.index.v1+json",
        "manifest": "application/vnd.oci.image.manifest.v1+json",
        "config": "application/vnd.oci.image.config.v1+json",
        "layer": "application/vnd.oci.image.layer.v1.tar",
        "layer.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    },
    DOCKER: {
        "index": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifest": "application/vnd.docker.distribution.manifest.v2+json",
        "config": "application/vnd.docker.container.image.v1+json",
        "layer": "application/vnd.docker.image.rootfs.diff.tar",
        "layer.gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
}


class Blob(NamedTuple):
    """Bytes with the media type that a descriptor gives them."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes."""
        return sha256(self.data)

    @property
    def descriptor(self) -> dict[str, Any]:
        """The descriptor, with nothing optional."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}

    @property
    def json(self) -> dict[str, Any]:
        """The bytes as a JSON object."""
        parsed: dict[str, Any] = json.loads(self.data)
        return parsed


class Layer(NamedTuple):
    """A layer's bytes as they travel, and the digest of the tar inside."""

    data: bytes
    diff_id: str
    compressed: bool


class Image(NamedTuple):
    """One platform's image: the manifest, and the config and layers that it names."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    platform: dict[str, str]

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return self.manifest.digest

    @property
    def top(self) -> Blob:
        """What a tag points at."""
        return self.manifest

    def blobs(self) -> Iterable[Blob]:
        """Everything below the manifest, once each."""
        return {blob.digest: blob for blob in (self.config, *self.layers)}.values()

    def manifests(self) -> Iterable[Blob]:
        """Every manifest, children first."""
        return (self.manifest,)


class Index(NamedTuple):
    """An index and the images that it names."""

    document: Blob
    images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        """The index's digest."""
        return self.document.digest

    @property
    def top(self) -> Blob:
        """What a tag points at."""
        return self.document

    def blobs(self) -> Iterable[Blob]:
        """Everything below the manifests, once each."""
        return {blob.digest: blob for one in self.images for blob in one.blobs()}.values()

    def manifests(self) -> Iterable[Blob]:
        """Every manifest, children first."""
        return (*{one.digest: one.manifest for one in self.images}.values(), self.document)


Pushable = Union[Image, Index]


def sha256(data: bytes) -> str:
    """``sha256:...`` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def to_json(value: Mapping[str, Any]) -> bytes:
    """JSON in one fixed form."""
    return json.dumps(value, indent=2).encode()


def noise(size: int, seed: int) -> bytes:
    """``size`` bytes that cannot be compressed, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def layer(
    files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, mode: int = 0o755, compressed: bool = True
) -> Layer:
    """A layer of files (path to content) and symbolic links (path to target), their folders made, all owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = {parent for path in (*files, *(links or {})) for parent in pathlib.PurePosixPath(path).parents}
        for folder in sorted(str(one) for one in folders if one.name):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for path, target in sorted((links or {}).items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    data = buffer.getvalue()
    return Layer(gzip.compress(data, mtime=0) if compressed else data, sha256(data), compressed)


def noise_layer(size: int, seed: int) -> Layer:
    """A layer with one file of ``size`` random bytes."""
    return layer({f"data/{seed}": noise(size, seed)})


def parse_platform(platform: str) -> dict[str, str]:
    """``os/architecture[/variant]`` as a descriptor's platform object."""
    parts = platform.split("/")
    return dict(zip(("os", "architecture", "variant"), parts))


def image(
    platform: str,
    layers: Sequence[Layer],
    *,
    kind: str = OCI,
    config: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    subject: Blob | None = None,
    artifact_type: str | None = None,
) -> Image:
    """An image of one platform; ``config`` is laid over the config's ``config`` object (``Cmd``, ``Env``, ...)."""
    types = MEDIA_TYPES[kind]
    parts = parse_platform(platform)
    document: dict[str, Any] = {"created": CREATED, **parts, "config": dict(config or {})}
    if labels:
        document["config"]["Labels"] = dict(labels)
    document["rootfs"] = {"type": "layers", "diff_ids": [one.diff_id for one in layers]}
    document["history"] = [
        {"created": CREATED, "created_by": f"layer {number}"} for number, dummy in enumerate(layers, start=1)
    ]
    blob = Blob(types["config"], to_json(document))
    below = tuple(Blob(types["layer.gzip" if one.compressed else "layer"], one.data) for one in layers)
    manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": types["manifest"]}
    if artifact_type is not None:
        manifest["artifactType"] = artifact_type
    manifest["config"] = blob.descriptor
    manifest["layers"] = [one.descriptor for one in below]
    if subject is not None:
        manifest["subject"] = subject.descriptor
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(Blob(types["manifest"], to_json(manifest)), blob, below, parts)


def index(images: Sequence[Image], *, kind: str = OCI, annotations: Mapping[str, str] | None = None) -> Index:
    """An index (or manifest list) of images."""
    rows = [{**one.manifest.descriptor, "platform": one.platform} for one in images]
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": MEDIA_TYPES[kind]["index"], "manifests": rows}
    if annotations:
        document["annotations"] = dict(annotations)
    return Index(Blob(MEDIA_TYPES[kind]["index"], to_json(document)), tuple(images))


def sample(
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64/v8"),
    *,
    kind: str = OCI,
    layers: int = 2,
    layer_size: int = 4096,
    seed: int = 0,
) -> Pushable:
    """An image of the given platforms: an index if there are several, else one manifest.

    The first of its layers is the same for every platform, the others are each platform's own. ``seed`` makes another.
    """
    images = []
    for number, platform in enumerate(platforms):
        own = [noise_layer(layer_size, seed * 1000 + number * 100 + depth) for depth in range(1, layers)]
        labels = {"org.opencontainers.image.version": f"{seed}"}
        below = [noise_layer(layer_size, seed * 1000), *own]
        images.append(image(platform, below, kind=kind, labels=labels, config={"Cmd": ["/hello"]}))
    return images[0] if len(images) == 1 else index(images, kind=kind)


def write_layout(path: str | os.PathLike[str], tags: Mapping[str, Pushable]) -> pathlib.Path:
    """Write an OCI image layout with these tags, over what is there."""
    root = pathlib.Path(path)
    blobs = root / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    rows = []
    for tag, content in tags.items():
        for blob in (*content.blobs(), *content.manifests()):
            (blobs / blob.digest.split(":")[1]).write_bytes(blob.data)
        rows.append({**content.top.descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})
    (root / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
    document = {"schemaVersion": 2, "mediaType": MEDIA_TYPES[OCI]["index"], "manifests": rows}
    (root / "index.json").write_bytes(to_json(document))
    return root


def make_layout(
    path: str | os.PathLike[str],
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64/v8"),
    *,
    tags: Sequence[str] = ("latest",),
    kind: str = OCI,
    layers: int = 2,
    layer_size: int = 4096,
    seed: int = 0,
) -> dict[str, str]:
    """Write an OCI layout with one `sample` for each tag (seeds ``seed``, ``seed + 1``, ...).

    Returns each tag's digest.
    """
    content = {
        tag: sample(platforms, kind=kind, layers=layers, layer_size=layer_size, seed=seed + number)
        for number, tag in enumerate(tags)
    }
    write_layout(path, content)
    return {tag: one.digest for tag, one in content.items()}


def push(
    registry: Registry,
    repository: str,
    content: Pushable,
    tags: Sequence[str] = ("latest",),
    *,
    authorization: str | None = None,
) -> str:
    """Put an image into a registry by the shortest way, and return its digest. Without tags it stays untagged."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for blob in content.blobs():
        push_blob(registry, repository, blob.data, authorization=authorization)
    for manifest in content.manifests():
        for reference in tags if tags and manifest is content.top else [manifest.digest]:
            target = f"/v2/{repository}/manifests/{reference}"
            fields = {**headers, "Content-Type": manifest.media_type}
            _expect(201, registry.request("PUT", target, manifest.data, fields), f"PUT {target}")
    return content.digest


def push_blob(registry: Registry, repository: str, data: bytes, *, authorization: str | None = None) -> str:
    """Put one blob into a repository and return its digest."""
    headers = {} if authorization is None else {"Authorization": authorization}
    digest = sha256(data)
    status, dummy, unused = registry.request("HEAD", f"/v2/{repository}/blobs/{digest}", headers=headers)
    if status == 200:
        return digest
    begun = registry.request("POST", f"/v2/{repository}/blobs/uploads/", b"", headers)
    _expect(202, begun, f"POST /v2/{repository}/blobs/uploads/")
    location = begun[1]["location"].replace(registry.url, "")
    target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
    put = registry.request("PUT", target, data, {**headers, "Content-Type": "application/octet-stream"})
    _expect(201, put, f"PUT {location}")
    return digest


def _expect(status: int, answer: tuple[int, Mapping[str, str], bytes], what: str) -> None:
    if answer[0] != status:
        raise ServerFailed(f"{what}: {answer[0]} {answer[2][:500].decode(errors='replace')}")
