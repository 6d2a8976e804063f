# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives: tar files byte by byte, image archives document by document, and what is compressed as a whole."""

from __future__ import annotations

import io
import os
import re
import tarfile

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import OciError
from ansible_collections.longshore.oci.plugins.module_utils.model.manifest import Manifest
from ansible_collections.longshore.oci.plugins.module_utils.model.streams import Readable
from ansible_collections.longshore.oci.plugins.module_utils.transports import compressed, image_list, tar_headers
from ansible_collections.longshore.oci.plugins.module_utils.transports.archive_content import Content, content_in
from ansible_collections.longshore.oci.plugins.module_utils.transports.tar_reader import Tar
from ansible_collections.longshore.oci.tests.fuzz.oracle import check_message, expect, tried

BLOCK = tar_headers.BLOCK
#: Parts the files of an input of `images`.
JOINT = b"\n\xff\n"
_PLACE = re.compile(rb"%([0-9])([dsh])")


def tar(data: bytes) -> None:
    """``data`` is a tar file, but that the checksums of what looks like headers are made right."""
    data = with_checksums(data)
    found = tried(Tar, _file(data), "archive")
    if found is None:
        return
    try:
        theirs = _as_python_reads(data)
        for name in theirs if theirs is not None else ():
            if name not in found:
                continue
            member = tried(found.member, name)
            if member is None:
                continue
            expect(member.offset >= 0 and member.offset + member.size <= len(data), f"{name!r} lies in the archive")
            read = found.content(member, len(data), name)
            expect(read == data[member.offset : member.offset + member.size], f"{name!r} is what lies there")
            # Two readers that find different files under one name are how a scanner is got past (S13).
            expect(name.startswith("blobs/") or theirs is None or theirs[name] == read, f"{name!r} is the same to all")
            expect(_all(found.stream(member)) == read, f"{name!r} is streamed as it is read")
    finally:
        found.close()


def _all(stream: Readable) -> bytes:
    pieces: list[bytes] = []
    while True:
        piece = stream.read(1000)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def with_checksums(data: bytes) -> bytes:
    """A tar file with the checksum of each header made right: no mutation would hit it by chance."""
    blocks = bytearray(data)
    for start in range(0, len(blocks) - BLOCK + 1, BLOCK):
        if blocks[start + 257 : start + 262] == b"ustar":
            blocks[start + 148 : start + 156] = b" " * 8
            blocks[start + 148 : start + 156] = b"%06o\0 " % sum(blocks[start : start + BLOCK])
    return bytes(blocks)


def _as_python_reads(data: bytes) -> dict[str, bytes] | None:
    """The regular files as the standard library finds them; None for what it does not read, or reads otherwise by rule."""
    for start in range(0, len(data) - BLOCK + 1, BLOCK):
        # It takes the prefix of old GNU headers, which have other things there, for a name (tar and Go do not).
        if data[start + 257 : start + 265] == b"ustar  \0" and any(data[start + 345 : start + 500]):
            return None
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for one in archive:
                if one.isreg():
                    found[re.sub(r"^(\./+)+", "", one.name)] = data[one.offset_data : one.offset_data + one.size]
    except (tarfile.TarError, ValueError, OSError, OverflowError):
        return None
    return found


def images(data: bytes) -> None:
    """``data`` is index.json, manifest.json, images.json and blobs, parted by `JOINT`.

    An empty part is not there. ``%3d`` in one stands for the digest, ``%3s`` for the size, ``%3h`` for the file of the
    third blob after it, so that mutations reach what digests protect.
    """
    parts = data.split(JOINT)[:12]
    blobs: list[bytes] = []
    # From the last to the first: each names those behind it.
    for part in reversed(parts[3:]):
        blobs.insert(0, _filled(part, blobs))
    files = {f"blobs/sha256/{Digest.of(blob).hex}": blob for blob in blobs}
    for name, part in zip(("index.json", "manifest.json", "images.json"), parts):
        if part:
            files[name] = _filled(part, blobs)
    body = b"".join(
        tar_headers.encode(name, len(content)) + content + bytes(tar_headers.padded(len(content)) - len(content))
        for name, content in files.items()
    )
    content = tried(content_in, _file(body + tar_headers.END), "archive")
    if content is not None:
        try:
            _use(content)
        finally:
            content.close()


def _filled(part: bytes, blobs: list[bytes]) -> bytes:
    def value(match: re.Match[bytes]) -> bytes:
        number = int(match.group(1))
        blob = blobs[number] if number < len(blobs) else b""
        kind = match.group(2)
        if kind == b"s":
            return b"%d" % len(blob)
        digest = Digest.of(blob)
        return str(digest).encode() if kind == b"d" else f"blobs/sha256/{digest.hex}".encode()

    return _PLACE.sub(value, part)


def _use(content: Content) -> None:
    """Everything that a task may ask of an archive."""
    index = tried(content.index)
    tried(content.earlier)
    listed = tried(content.image_list)
    if listed is not None:
        expect(image_list.parse(image_list.serialise(listed), "list") == listed, "a list of images is written as it is read")
    for name in content.names():
        number = int(name[1:]) if name.startswith("@") and name[1:].isdigit() else None
        digest = tried(content.select, "" if number is not None else name, number)
        tried(content.sibling, "" if number is not None else name, number, "latest")
        if digest is None:
            continue
        tried(content.holds, digest)
        tried(content.referrers, digest)
        manifest = tried(content.manifest, digest)
        if manifest is None:
            continue
        expect(manifest.digest == digest and Digest.of(manifest.raw) == digest, "a manifest has its digest")
        if isinstance(manifest, Manifest):
            for descriptor in manifest.blobs():
                member = tried(content.blob, descriptor)
                if member is not None:
                    read = content.tar.content(member, 1 << 20, "blob")
                    expect(len(read) == descriptor.size, "a blob has the size of its descriptor")
    if index is not None:
        for entry in index.manifests[:3]:
            tried(content.lacks, entry)


def packed(data: bytes) -> None:
    """``data`` is a compressed file."""
    kind = compressed.kind(data)
    if kind is None:
        return
    try:
        stream = compressed.Unpacked(io.BytesIO(data), kind, "archive")
        count = 0
        while True:
            piece = stream.read(65536)
            expect(len(piece) <= 65536, "not more is read than was asked for")
            if not piece:
                break
            count += len(piece)
            if count > 80 * 1024 * 1024:
                # Bombs are refused by the ratio; that is tested elsewhere and takes long.
                return
    except OciError as exc:
        check_message(exc.message)


def _file(data: bytes) -> int:
    """A descriptor of a nameless file with ``data`` in it."""
    handle = os.memfd_create("archive", os.MFD_CLOEXEC)
    os.write(handle, data)
    return handle
