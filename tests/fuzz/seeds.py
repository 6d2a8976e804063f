# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the mutations begin with: small images in every form, and the vectors of the unit tests."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pathlib
import tarfile
from collections.abc import Iterator
from typing import Any

from ansible_collections.longshore.oci.plugins.module_utils.transports import image_list
from ansible_collections.longshore.oci.tests.fuzz import archives, documents
from ansible_collections.longshore.oci.tests.servers import images

_VECTORS = pathlib.Path(__file__).parent.parent / "unit" / "vectors"
_DIGEST = "sha256:" + "0123456789abcdef" * 4


def _vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((_VECTORS / name).read_text(encoding="utf-8"))["vectors"]
    return found


def names() -> Iterator[bytes]:
    """References of the vectors, locations and platforms."""
    for vector in _vectors("reference.json"):
        yield vector["in"].encode("utf-8", "surrogatepass")
    for text in (
        "docker://registry.example:5000/team/app:1.0@" + _DIGEST,
        "oci:/srv/images:1.0",
        "oci-archive:/srv/a.tar:registry.example/app:1",
        "docker-archive:a.tar:@12",
        "https://storage.example/a.tar?X-Amz-Signature=0#app:1",
        "s3://bucket/key#@0",
        "dir:./here",
        "containers-storage:app",
        "docker-daemon:" + _DIGEST,
        "linux/arm64/v8",
        "windows/amd64:10.0.17763.1",
        "local",
        "linux/arm/v\u00b2",
        "linux/arm/v" + "9" * 40,
        "oci-archive:a.tar:@" + "9" * 40,
    ):
        yield text.encode()


def manifests() -> Iterator[bytes]:
    """Documents behind a byte that chooses their Content-Type."""
    for kind in (images.OCI, images.DOCKER):
        content = images.sample(kind=kind, layer_size=64)
        for blob in content.manifests():
            yield b"\0" + blob.data
            yield bytes([documents.CONTENT_TYPES.index(blob.media_type)]) + blob.data
        for blob in content.blobs():
            if blob.data.startswith(b"{"):
                yield b"\0" + blob.data
    yield b"\0" + json.dumps({"mediaType": image_list.MEDIA_TYPE, "images": [], "blobs": []}).encode()
    yield b"\0" + _listed()
    yield b"\0" + json.dumps([{"Config": "a.json", "RepoTags": ["app:1"], "Layers": ["a/layer.tar"]}]).encode()
    subject = images.image("linux/amd64", [], subject=images.image("linux/amd64", []).manifest, artifact_type="a/b")
    yield b"\0" + subject.manifest.data
    named = {"org.opencontainers.image.ref.name": "1.0", "io.containerd.image.name": "registry.example/app:1.0"}
    platform = {"os": "linux", "architecture": "arm64", "variant": "v\u00b2", "os.version": "1"}
    entry = {**subject.manifest.descriptor, "annotations": named, "platform": platform, "urls": ["https://a.example/b"]}
    yield b"\0" + json.dumps({"schemaVersion": 2, "manifests": [entry], "annotations": {"a": "b\ud83d\ude00"}}).encode()
    entry = {**images.Blob("a/b", b"{}").descriptor, "data": "e30=", "annotations": {"a": "\ud800"}}
    yield b"\0" + json.dumps({"schemaVersion": 2, "manifests": [entry]}, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _listed() -> bytes:
    blob = {"digest": _DIGEST, "size": 3, "images": [0]}
    platform = {"platform": "linux/amd64", "digest": _DIGEST, "size": 3}
    image = {"names": ["app:1"], "digest": _DIGEST, "mediaType": "a/b", "size": 3, "platforms": [platform]}
    since = {"images": [{"names": ["app:0"], "digest": _DIGEST}], "blobs": [blob]}
    return json.dumps({"mediaType": image_list.MEDIA_TYPE, "images": [image], "blobs": [blob], "since": since}).encode()


def challenges() -> Iterator[bytes]:
    """The header lines of the vectors."""
    for vector in _vectors("www-authenticate.json"):
        yield "\n".join(vector["header_lines"]).encode("latin-1", "replace")


def auth_files() -> Iterator[bytes]:
    """Auth files as docker and podman write them, and what others make of them."""
    auth = "dXNlcjpwYXNzd29yZC1tYXJrZWQ="
    for document in (
        {},
        {"auths": {"registry.example": {"auth": auth}}},
        {"auths": {"https://index.docker.io/v1/": {"auth": auth, "email": "a@b.example"}}, "HttpHeaders": {"User-Agent": "x"}},
        {"auths": {"docker.io/library": {"auth": auth}, "registry.example/a/b": {"username": "u", "password": "marked-password"}}},
        {"auths": {"https://registry.example/v2/": {"identitytoken": "marked-identity-token", "auth": "PHRva2VuPjo="}}},
        {"auths": {"registry.example": {}}, "credsStore": "desktop", "credHelpers": {"registry.example": "pass"}},
        {"auths": {"Registry.Example:5000": {"auth": "bm8tY29sb24="}, "[::1]:5000": {"auth": "not base64!"}}},
        {"auths": {"registry.example": {"identitytoken": "marked-\ud800-token"}}},
        {"auths": {"registry.example": {"username": "u\udfff", "password": "marked-password"}}},
        {"auths": None, "credsStore": None, "detachKeys": "ctrl-e,e", "currentContext": "x", "plugins": {"a": {"b": "c"}}},
    ):
        yield json.dumps(document).encode()
        yield json.dumps(document, indent="\t").encode()


def mirrors() -> Iterator[bytes]:
    """Files of skopeo sync, patterns and ranges."""
    document: dict[str, Any] = {
        "registry.example": {
            "images": {"busybox": [], "a/b": ["1.0", _DIGEST, "1.0@" + _DIGEST], "c": None},
            "images-by-tag-regex": {"nginx": "^1\\.13\\.[12]-alpine-perl$", "x": "(?i)v[[:digit:]]+\\z"},
            "images-by-semver": {"alpine": ">= 3.12.0, < 4 || ~1.2 || ^2.x - 3", "y": "1.2 - 2.3.4"},
            "credentials": {"username": "john", "password": "marked-password"},
            "tls-verify": "true",
            "cert-dir": "/home/john/certs",
        },
        "localhost:5000": {"tls-verify": False, "unknown": 1},
    }
    yield json.dumps(document).encode()
    for key, value in document["registry.example"].items():
        yield json.dumps({"quay.io": {key: value}}).encode()
    for text in (
        r"^\pL+\Q.+\E(?P<n>a|b){1,3}?$",
        r"[^\d\s[:^alpha:]]*\x{10FFFF}",
        r"(?s-m:.)\B\C",
        ">=1.2.3-0 <2 || !=1.5",
        "~> 1.x",
        "*",
        "=<1",
        'registry.example: &a {images: {"x": [1.0, !!int 2, "\\U0001F600"]}}\nother: {<<: *a, tls-verify: !!bool no}',
        "a: !!timestamp 2001-01-02\nb: !!float .inf\nc: !!binary |\n  YQ==\n? [d]\n: !!set {e, f}",
    ):
        yield text.encode()


def tars() -> Iterator[bytes]:
    """Tar files of every format, with long names, links, and all that is refused."""
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
            for name in ("manifest.json", "./index.json", "a/b/layer.tar", "blobs/sha256/" + "a" * 64, "l/" * 60 + "long"):
                _add(out, name, b"content of " + name[:9].encode())
            for name, kind, link in (
                ("links/layer.tar", tarfile.SYMTYPE, "../a/b/layer.tar"),
                ("hard.json", tarfile.LNKTYPE, "manifest.json"),
                ("d", tarfile.DIRTYPE, ""),
            ):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, link
                out.addfile(entry)
        yield buffer.getvalue()
    for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, tarfile.AREGTYPE):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as out:
            _add(out, "../x", b"1")
            entry = tarfile.TarInfo("manifest.json")
            entry.type = kind
            out.addfile(entry)
        yield buffer.getvalue()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}) as out:
        entry = tarfile.TarInfo("a.json")
        entry.size, entry.pax_headers = 3, {"path": "manifest.json", "size": "3", "mtime": "1.5"}
        out.addfile(entry, io.BytesIO(b"[ ]"))
    yield buffer.getvalue()


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    out.addfile(entry, io.BytesIO(content))


def archive_parts() -> Iterator[bytes]:
    """The documents of layouts and of what docker saves; see `archives.images`."""
    kinds = images.MEDIA_TYPES[images.OCI]
    config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["%0d"]}}'
    manifest = (
        b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%%0d","size":%%0s},'
        b'"layers":[{"mediaType":"%s","digest":"%%1d","size":%%1s}]}'
        % (kinds["manifest"].encode(), kinds["config"].encode(), kinds["layer"].encode())
    )
    entry = (
        b'{"mediaType":"%s","digest":"%%0d","size":%%0s,"platform":{"os":"linux","architecture":"arm64","variant":"v8"},'
        b'"annotations":{"org.opencontainers.image.ref.name":"1.0","io.containerd.image.name":"registry.example/app:1.0"}}'
    )
    index = b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}'
    one = index % (kinds["index"].encode(), entry % kinds["manifest"].encode())
    saved = b'[{"Config":"%1h","RepoTags":["app:1","registry.example/app:2"],"Layers":["%2h"]}]'
    layer = b"a layer"
    yield archives.JOINT.join([one, saved, b"", manifest, config, layer])
    yield archives.JOINT.join([b"", saved, b"", manifest, config, layer])
    yield archives.JOINT.join([b"", saved, b"", manifest, config, gzip.compress(layer, mtime=0)])
    outer = index % (kinds["index"].encode(), entry % kinds["index"].encode())
    yield archives.JOINT.join([outer, b"", b"", one, manifest, config, layer])
    referrer = manifest[:-1] + b',"subject":{"mediaType":"%s","digest":"%%0d","size":%%0s},"artifactType":"a/b"}' % (
        kinds["manifest"].encode()
    )
    yield archives.JOINT.join([one, b"", b"", referrer, manifest, config, layer])
    listed = _listed().replace(_DIGEST.encode(), b"%0d")
    yield archives.JOINT.join([one, saved, listed, manifest, config, layer])


def packed() -> Iterator[bytes]:
    """Something compressed in each way that is read."""
    content = b"".join(tars())[:4000]
    yield gzip.compress(content, mtime=0)
    yield gzip.compress(content[:100], mtime=0) + gzip.compress(b"more", mtime=0)
    yield bz2.compress(content)
    yield lzma.compress(content)
    yield lzma.compress(b"")
    # Two frames, one of them to be skipped; a raw block, a block of one byte repeated.
    yield b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello" + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    yield b"\x28\xb5\x2f\xfd\x20\x40\x03\x02\x00a"
