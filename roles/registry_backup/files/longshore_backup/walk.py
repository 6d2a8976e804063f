# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a tag to every byte below it: what a pull would ask for, and what of it is not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

from .layout import Storage, is_digest, read_link

_LARGEST_MANIFEST = 16 * 1024 * 1024
_DEEPEST = 8
_FAULT, _LINK, _BLOB = "fault", "link", "blob"


def faults(storage: Storage, repository: str, tag: str) -> list[str]:
    """Why the tag cannot be pulled whole, in sentences; empty if it can."""
    return [text for kind, text in _tag(storage, repository, tag) if kind == _FAULT]


def closure(storage: Storage, repository: str, tag: str) -> Iterator[tuple[str, str]]:
    """What is reached from a tag: ``("link", path)`` and ``("blob", digest)``, the highest first."""
    return (row for row in _tag(storage, repository, tag) if row[0] != _FAULT)


def _tag(storage: Storage, repository: str, tag: str) -> Iterator[tuple[str, str]]:
    yield _LINK, storage.current(repository, tag)
    digest = read_link(storage.path(storage.current(repository, tag)))
    if digest is None:
        yield _FAULT, f"{repository}:{tag} points at nothing: its link is empty, damaged or missing"
        return
    yield from _manifest(storage, repository, f"{repository}:{tag}", digest, 0)


def _manifest(storage: Storage, repository: str, whose: str, digest: str, depth: int) -> Iterator[tuple[str, str]]:
    yield _LINK, storage.revision(repository, digest)
    yield _BLOB, digest
    if read_link(storage.path(storage.revision(repository, digest))) is None:
        yield _FAULT, f"{whose}: the manifest {digest} does not belong to the repository"
    data = _read(storage.path(storage.blob(digest)))
    if data is None:
        yield _FAULT, f"{whose}: the manifest {digest} is missing"
        return
    if hashlib.new(digest.partition(":")[0], data).hexdigest() != digest.partition(":")[2]:
        yield _FAULT, f"{whose}: the manifest {digest} is damaged"
        return
    document = _object(data)
    if document is None or depth > _DEEPEST:
        yield _FAULT, f"{whose}: {digest} is not a manifest that can be read"
        return
    for child in _rows(document, "manifests"):
        if is_digest(str(child.get("digest"))):
            yield from _manifest(storage, repository, whose, str(child["digest"]), depth + 1)
    below = [*_rows(document, "layers"), *_rows(document, "blobs")]
    if isinstance(document.get("config"), dict):
        below.append(document["config"])
    below += [{"digest": row.get("blobSum")} for row in _rows(document, "fsLayers")]
    for one in below:
        yield from _blob(storage, repository, whose, one)


def _blob(storage: Storage, repository: str, whose: str, descriptor: dict[str, Any]) -> Iterator[tuple[str, str]]:
    digest = str(descriptor.get("digest"))
    if not is_digest(digest):
        yield _FAULT, f"{whose}: a descriptor has no digest"
        return
    yield _LINK, storage.layer(repository, digest)
    yield _BLOB, digest
    linked = read_link(storage.path(storage.layer(repository, digest))) is not None
    size = size_of(storage, digest)
    if descriptor.get("urls") and not (linked and size is not None):
        return  # it may be had from elsewhere, and need not be here
    if not linked:
        yield _FAULT, f"{whose}: the blob {digest} does not belong to the repository"
    if size is None:
        yield _FAULT, f"{whose}: the blob {digest} is missing"
    elif isinstance(descriptor.get("size"), int) and descriptor["size"] != size:
        yield _FAULT, f"{whose}: the blob {digest} has {size} bytes and not {descriptor['size']}"


def size_of(storage: Storage, digest: str) -> int | None:
    """The size of a blob in bytes; None if it is not there."""
    try:
        return os.stat(storage.path(storage.blob(digest))).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _rows(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = document.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
