# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small images of known bytes, and a hand-made layout of them, for the tests of transports."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.longshore.oci.plugins.module_utils.model import media_types
from ansible_collections.longshore.oci.plugins.module_utils.model.descriptor import Descriptor
from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import AnyManifest, Index, Manifest, parse_manifest
from ansible_collections.longshore.oci.plugins.module_utils.transports.base import ImageDestination, ImageSource


def encode(document: dict[str, Any]) -> bytes:
    """As some other tool might write it: indented, so that a re-serialisation would show."""
    return json.dumps(document, indent=2).encode()


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """The JSON of a descriptor of ``content``; ``more`` are further fields."""
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


@dataclass
class Image:
    """A manifest or an index and everything below it."""

    manifest: AnyManifest
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    children: list[Image] = field(default_factory=list)

    @property
    def digest(self) -> Digest:
        return self.manifest.digest

    def everything(self) -> dict[Digest, bytes]:
        """Blobs of all levels, by digest, manifests not included."""
        found = dict(self.blobs)
        for child in self.children:
            found.update(child.everything())
        return found

    def store(self, destination: ImageDestination, name: str | None) -> None:
        """Write it through the interface, children and blobs first."""
        for child in self.children:
            child.store(destination, None)
        if isinstance(self.manifest, Manifest):
            for one in (*self.manifest.layers, self.manifest.config):
                destination.write_blob(one, functools.partial(io.BytesIO, self.blobs[one.digest]))
        destination.write_manifest(self.manifest, name)


def layer(text: bytes) -> tuple[bytes, Digest]:
    """A gzipped tar with one file, and the digest of the tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("file.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return gzip.compress(packed.getvalue(), mtime=0), Digest.of(packed.getvalue())


def image(text: str = "one", architecture: str = "amd64", docker: bool = False, **more: Any) -> Image:
    """An image of one gzip layer; ``more`` are further fields of the manifest."""
    data, diff_id = layer(text.encode() * 50)
    config = encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]},
        }
    )
    kinds = (
        (media_types.DOCKER_MANIFEST, media_types.DOCKER_CONFIG, media_types.DOCKER_LAYER_GZIP)
        if docker
        else (media_types.OCI_MANIFEST, media_types.OCI_CONFIG, media_types.OCI_LAYER_GZIP)
    )
    raw = encode(
        {
            "schemaVersion": 2,
            "mediaType": kinds[0],
            "config": descriptor(config, kinds[1]),
            "layers": [descriptor(data, kinds[2])],
            **more,
        }
    )
    return Image(parse_manifest(raw), {Digest.of(config): config, Digest.of(data): data})


def index(*children: Image, docker: bool = False) -> Image:
    """An index of images, each for the architecture its config names."""
    entries = []
    for child in children:
        configs = (json.loads(data) for data in child.blobs.values() if data.startswith(b"{"))
        (architecture,) = (config["architecture"] for config in configs)
        platform = {"os": "linux", "architecture": architecture}
        entries.append(descriptor(child.manifest.raw, child.manifest.media_type, platform=platform))
    kind = media_types.DOCKER_LIST if docker else media_types.OCI_INDEX
    raw = encode({"schemaVersion": 2, "mediaType": kind, "manifests": entries})
    return Image(parse_manifest(raw), {}, list(children))


def two_platforms(text: str = "multi", docker: bool = False) -> Image:
    """An index of an amd64 and an arm64 image."""
    return index(
        image(text + "-amd64", "amd64", docker), image(text + "-arm64", "arm64", docker), docker=docker
    )


def artifact(subject: Image, kind: str = "application/vnd.example.signature") -> Image:
    """A referrer of ``subject``."""
    config = b"{}"
    raw = encode(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": kind,
            "config": descriptor(config, media_types.OCI_EMPTY),
            "layers": [descriptor(config, media_types.OCI_EMPTY)],
            "subject": descriptor(subject.manifest.raw, subject.manifest.media_type),
        }
    )
    return Image(parse_manifest(raw), {Digest.of(config): config})


def put(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def write_layout(path: str, images: dict[str, Image]) -> str:
    """A layout written by hand: ``images`` maps names to images (a name that starts with '-' is left out)."""
    entries = []
    for name, one in images.items():
        annotations = {} if name.startswith("-") else {"org.opencontainers.image.ref.name": name}
        entries.append(descriptor(one.manifest.raw, one.manifest.media_type, annotations=annotations))
        waiting = [one]
        while waiting:
            current = waiting.pop()
            waiting += current.children
            for digest, data in [*current.blobs.items(), (current.digest, current.manifest.raw)]:
                put(os.path.join(path, "blobs", digest.algorithm, digest.hex), data)
    put(os.path.join(path, "oci-layout"), b'{"imageLayoutVersion": "1.0.0"}')
    put(os.path.join(path, "index.json"), encode({"schemaVersion": 2, "manifests": entries}))
    return path


def read_all(source: ImageSource, digest: Digest | None = None) -> set[Digest]:
    """The digests of everything that ``source`` gives for one image, each read and verified."""
    manifest = source.manifest(digest)
    found = {manifest.digest}
    if isinstance(manifest, Index):
        for child in manifest.manifests:
            found |= read_all(source, child.digest)
    else:
        for one in (manifest.config, *manifest.layers):
            stream = source.open_blob(one)
            data = b""
            while True:
                part = stream.read(7000)
                if not part:
                    break
                data += part
            stream.close()
            one.digest.verify(data)
            found.add(one.digest)
    return found


def entry(named: Image, name: str | None = None, full_name: str | None = None, **more: Any) -> Descriptor:
    """A parsed descriptor of an index.json."""
    annotations = {}
    if name:
        annotations["org.opencontainers.image.ref.name"] = name
    if full_name:
        annotations["io.containerd.image.name"] = full_name
    value = descriptor(named.manifest.raw, named.manifest.media_type, **more)
    value["annotations"] = {**annotations, **more.get("annotations", {})}
    return Descriptor.parse(value, "entry")
