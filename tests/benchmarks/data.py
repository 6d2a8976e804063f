# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images the benchmark moves: made from a seed, so that every run on every machine moves the same bytes.

Layers are tar files of random, incompressible bytes in gzip's stored blocks: valid for everything that unpacks them
(skopeo does, to write a docker-archive), and as cheap to unpack as gzip can be, which favours those that do. They are
pushed straight into a registry as they are made.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import tarfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .registry import RegistryError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CHUNK = 1 << 20
#: Tags of each repository of part ``many``.
TAGS_EACH = 20
#: Of lengths like those of a language's.
WORDS = [
    bytes(random.Random(f"word-{number}").choices(b"etaoinshrdlucmfwypvbgkjqxz", k=2 + number % 11))
    for number in range(20_000)
]


@dataclass(frozen=True)
class Sizes:
    """How much there is of everything. ``scaled`` keeps the shape and shrinks bytes and numbers."""

    layer_bytes: int = 512 << 20
    layers: int = 4
    images: int = 200
    bases: int = 8
    base_bytes: int = 30_000_000
    own_bytes: int = 300_000
    tags: int = 10_000
    points: int = 100
    text_bytes: int = 256 << 20
    many: int = 1000

    def scaled(self, factor: float) -> Sizes:
        if factor == 1:
            return self
        return Sizes(
            layer_bytes=max(64 << 10, int(self.layer_bytes * factor)),
            layers=self.layers,
            images=max(5, int(self.images * factor)),
            bases=max(2, min(self.bases, int(self.images * factor) // 5)),
            base_bytes=max(64 << 10, int(self.base_bytes * factor)),
            own_bytes=max(16 << 10, int(self.own_bytes * min(1.0, factor * 4))),
            tags=max(50, int(self.tags * factor)),
            points=max(5, int(self.points * factor)),
            text_bytes=max(64 << 10, int(self.text_bytes * factor)),
            many=max(10, int(self.many * factor)),
        )


@dataclass(frozen=True)
class Blob:
    digest: str
    size: int
    diff_id: str = ""


@dataclass(frozen=True)
class Image:
    """``blobs``: the layers, base first, then the config. ``manifest``: the exact bytes, as text."""

    repository: str
    tag: str
    digest: str
    manifest: str
    blobs: tuple[Blob, ...]

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


class Pusher:
    """Puts blobs and manifests into one registry with plain requests over one connection."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=120)

    def close(self) -> None:
        self.connection.close()

    def request(
        self, method: str, path: str, expect: int, body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(
            method, path, body=body, headers=named, encode_chunked=body is not None and not isinstance(body, bytes)
        )
        response = self.connection.getresponse()
        text = response.read()
        if response.status != expect:
            raise RegistryError(f"{method} {path}: {response.status} {text[:300]!r}")
        return response

    def blob(self, repository: str, body: bytes) -> Blob:
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        where = self.request("POST", f"/v2/{repository}/blobs/uploads/", 202).headers["Location"]
        self._finish(where, digest, body)
        return Blob(digest, len(body))

    def layer(
        self, repository: str, seed: str, size: int, words: Callable[[random.Random, int], bytes] = random.Random.randbytes,
        level: int = 0,
    ) -> Blob:  # fmt: skip
        """Make a layer of ``size`` bytes, random ones or what ``words`` makes, and push it while it is made; nothing of it
        is kept. ``level``: gzip's.
        """
        compressed, plain, count = hashlib.sha256(), hashlib.sha256(), 0

        def body() -> Iterator[bytes]:
            nonlocal count
            packer = zlib.compressobj(level=level, wbits=31)
            for chunk in tar_chunks(seed, size, words):
                plain.update(chunk)
                packed = packer.compress(chunk)
                if packed:
                    compressed.update(packed)
                    count += len(packed)
                    yield packed
            last = packer.flush()
            compressed.update(last)
            count += len(last)
            yield last

        where = self.request("POST", f"/v2/{repository}/blobs/uploads/", 202).headers["Location"]
        where = self.request(
            "PATCH", where, 202, body=body(), Transfer_Encoding="chunked", Content_Type="application/octet-stream"
        ).headers["Location"]
        digest = "sha256:" + compressed.hexdigest()
        self._finish(where, digest, b"")
        return Blob(digest, count, "sha256:" + plain.hexdigest())

    def _finish(self, where: str, digest: str, body: bytes) -> None:
        joint = "&" if "?" in where else "?"
        self.request("PUT", f"{where}{joint}digest={digest}", 201, body=body, Content_Type="application/octet-stream")

    def mount(self, repository: str, blob: Blob, origin: str) -> None:
        self.request("POST", f"/v2/{repository}/blobs/uploads/?mount={blob.digest}&from={origin}", 201)

    def image(self, repository: str, tag: str, layers: list[Blob], label: str = "") -> Image:
        """Push config and manifest over layers that are already in ``repository``; ``label`` tells it from others there."""
        config_bytes = encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Labels": {"repository": repository + label}},
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
                "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "benchmark"} for dummy in layers],
            }
        )
        config = self.blob(repository, config_bytes)
        manifest = encode(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {"mediaType": CONFIG_TYPE, "digest": config.digest, "size": config.size},
                "layers": [{"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size} for layer in layers],
            }
        )
        digest = self.tag(repository, tag, manifest)
        return Image(repository, tag, digest, manifest.decode(), (*layers, config))

    def tag(self, repository: str, tag: str, manifest: bytes) -> str:
        response = self.request(
            "PUT", f"/v2/{repository}/manifests/{tag}", 201, body=manifest, Content_Type=MANIFEST_TYPE
        )
        return str(response.headers["Docker-Content-Digest"])

    def digest_of(self, repository: str, tag: str) -> str | None:
        self.connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
        response = self.connection.getresponse()
        response.read()
        return response.headers["Docker-Content-Digest"] if response.status == 200 else None

    def document(self, repository: str, tag: str) -> Any:
        """A manifest, parsed."""
        self.connection.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
        return json.loads(self.connection.getresponse().read())


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def text(source: random.Random, size: int) -> bytes:
    """``size`` bytes of words, which gzip shrinks to a third or so, as it does programs and their texts."""
    words = source.choices(WORDS, k=size // 6)
    return b" ".join(words)[:size].ljust(size, b"\n")


def tar_chunks(seed: str, size: int, words: Callable[[random.Random, int], bytes]) -> Iterator[bytes]:
    """A tar file holding one file of ``size`` bytes that ``words`` makes."""
    member = tarfile.TarInfo(f"data/{seed}")
    member.size = size
    header = member.tobuf(tarfile.USTAR_FORMAT)
    yield header
    source = random.Random(seed)
    for start in range(0, size, CHUNK):
        yield words(source, min(CHUNK, size - start))
    # The file is padded to a block, two empty blocks end the archive.
    yield bytes(-size % 512 + 1024)


def make_large(address: str, sizes: Sizes) -> list[Image]:
    pusher = Pusher(address)
    layers = [pusher.layer("bench/large", f"large-{number}", sizes.layer_bytes) for number in range(sizes.layers)]
    image = pusher.image("bench/large", "1", layers)
    pusher.close()
    return [image]


def make_text(address: str, sizes: Sizes) -> list[Image]:
    """An image of one layer that is worth compressing."""
    pusher = Pusher(address)
    image = pusher.image("bench/text", "1", [pusher.layer("bench/text", "text", sizes.text_bytes, text, 6)])
    pusher.close()
    return [image]


def make_fleet(address: str, sizes: Sizes) -> list[Image]:
    """Images over shared bases, dealt out in turn; each in a repository of its own, with two layers of its own."""
    pusher = Pusher(address)
    bases: dict[int, tuple[Blob, str]] = {}
    images = []
    for number in range(sizes.images):
        repository = f"bench/app{number:03d}"
        which = number % sizes.bases
        if which in bases:
            base, origin = bases[which]
            pusher.mount(repository, base, origin)
        else:
            base = pusher.layer(repository, f"base-{which}", sizes.base_bytes)
            bases[which] = (base, repository)
        own = [pusher.layer(repository, f"own-{number}-{each}", sizes.own_bytes) for each in range(2)]
        images.append(pusher.image(repository, "1", [base, *own]))
    pusher.close()
    return images


def make_many(address: str, sizes: Sizes) -> list[Image]:
    """Small images, `TAGS_EACH` in a repository, all over one base."""

    def push(names: list[str]) -> list[Image]:
        pusher = Pusher(address)
        made = []
        for name in names:
            base = pusher.layer(name, "many", 10_000)
            made += [pusher.image(name, f"1.{number}", [base], f":{number}") for number in range(TAGS_EACH)]
        pusher.close()
        return made

    names = [f"bench/many{number:03d}" for number in range(-(-sizes.many // TAGS_EACH))]
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(push, [[name] for name in names]))
    return [image for share in shares for image in share][: sizes.many]


def make_small(address: str, repository: str) -> Image:
    pusher = Pusher(address)
    image = pusher.image(repository, "source", [pusher.layer(repository, "small", 10_000)])
    pusher.close()
    return image


def make_tags(address: str, sizes: Sizes) -> list[Image]:
    """One small image under ``sizes.tags`` tags."""
    image = make_small(address, "bench/tags")
    names = [f"v{number:05d}" for number in range(sizes.tags - 1)]

    def push(share: list[str]) -> None:
        pusher = Pusher(address)
        for name in share:
            pusher.tag(image.repository, name, image.manifest.encode())
        pusher.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, [names[start::4] for start in range(4)]))
    return [image]


def save(path: Path, sizes: Sizes, images: list[Image]) -> None:
    """Write down what a registry's storage holds, for ``load``."""
    path.write_text(
        json.dumps({"sizes": asdict(sizes), "images": [asdict(image) for image in images]}), encoding="utf-8"
    )


def load(path: Path, sizes: Sizes) -> list[Image]:
    """What ``save`` wrote, or nothing if it was of other sizes."""
    if not path.exists():
        return []
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["sizes"] != asdict(sizes):
        return []
    return [Image(**{**image, "blobs": tuple(Blob(**blob) for blob in image["blobs"])}) for image in stored["images"]]
