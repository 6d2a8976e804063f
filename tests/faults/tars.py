# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar archives that no tar program would write."""

from __future__ import annotations

import io
import json
import pathlib
import tarfile
from collections.abc import Iterable

from ansible_collections.longshore.oci.tests.servers import images

END = bytes(1024)
IMAGE = images.image("linux/amd64", [images.layer({"hello": b"world"}, compressed=False)])
CONFIG, LAYER = IMAGE.config.data, IMAGE.layers[0].data
LISTED = json.dumps([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]).encode()


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A member as GNU tar would write it."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + data + bytes(-len(data) % 512)


def header(name: bytes, size: bytes = b"00000000000\0", kind: bytes = b"0") -> bytes:
    """A header whose fields hold whatever is wanted, with a right checksum."""
    fields = bytearray(512)
    fields[: len(name)] = name
    fields[124:136] = size
    fields[156:157] = kind
    fields[257:265] = b"ustar\x0000"
    fields[148:156] = b" " * 8
    fields[148:156] = b"%06o\0 " % sum(fields)
    return bytes(fields)


def pax(**records: str) -> bytes:
    """An extended header for the member that follows."""
    text = b"".join(_record(key.replace("_", "."), value) for key, value in records.items())
    return header(b"PaxHeaders/x", b"%011o\0" % len(text), b"x") + text + bytes(-len(text) % 512)


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    return next(b"%d" % size + rest for size in range(10_000) if size == len(b"%d" % size + rest))


def sound() -> list[bytes]:
    """The members of an archive as docker saves it."""
    return [member("config.json", CONFIG), member("layer.tar", LAYER), member("manifest.json", LISTED)]


def write(path: pathlib.Path, parts: Iterable[bytes], end: bytes = END) -> str:
    """These members in a file; its name."""
    path.write_bytes(b"".join(parts) + end)
    return str(path)


def names(path: pathlib.Path) -> list[str]:
    """What an archive holds."""
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
        return tar.getnames()
