# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault registry holds, in memory: blobs and manifests by repository, tags, and uploads that are under way."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from typing import Any, NamedTuple

from ...servers.images import Blob, Pushable


class Stored(NamedTuple):
    """A manifest as it was pushed."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Its SHA-256."""
        return digest_of(self.data)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


class Repository:
    """One repository. Everything is replaced whole, so that a reader sees the old or the new."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, Stored] = {}
        #: Tags in the order in which they were first set.
        self.tags: dict[str, str] = {}
        #: Uploads under way: what has arrived.
        self.uploads: dict[str, bytearray] = {}

    def find(self, reference: str) -> Stored | None:
        """The manifest of a tag or a digest."""
        return self.manifests.get(self.tags.get(reference, reference))

    def keep(self, manifest: Stored, tag: str = "") -> str:
        """Store a manifest, and point ``tag`` at it."""
        self.manifests[manifest.digest] = manifest
        if tag:
            self.tags[tag] = manifest.digest
        return manifest.digest

    def missing(self, manifest: Stored) -> list[str]:
        """Digests of what ``manifest`` names and is not here."""
        document: dict[str, Any] = json.loads(manifest.data)
        absent = [one["digest"] for one in document.get("manifests") or [] if one["digest"] not in self.manifests]
        blobs = [document["config"]] if "config" in document else []
        blobs += [one for one in document.get("layers") or [] if not one.get("urls")]
        return absent + [one["digest"] for one in blobs if one["digest"] not in self.blobs]

    def referrers(self, subject: str) -> list[dict[str, Any]]:
        """Descriptors of the manifests whose subject this is."""
        found = []
        for digest, manifest in self.manifests.items():
            document = json.loads(manifest.data)
            if (document.get("subject") or {}).get("digest") == subject:
                kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType", "")
                row = {"mediaType": manifest.media_type, "digest": digest, "size": len(manifest.data), "artifactType": kind}
                found.append({**row, "annotations": document.get("annotations") or {}})
        return found


class Storage:
    """Repositories by name. One lock for all that changes something."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._repositories: dict[str, Repository] = {}
        self._names = itertools.count(1)

    def __getitem__(self, name: str) -> Repository:
        with self.lock:
            return self._repositories.setdefault(name, Repository())

    def known(self, name: str) -> bool:
        """Whether anything was ever stored there."""
        one = self._repositories.get(name)
        return one is not None and bool(one.blobs or one.manifests)

    def size_of(self, digest: str) -> int:
        """The size of a blob that any repository holds; 0 for none."""
        with self.lock:
            return next((len(one.blobs[digest]) for one in self._repositories.values() if digest in one.blobs), 0)

    def names(self) -> list[str]:
        """Every repository that holds something."""
        return sorted(name for name in list(self._repositories) if self.known(name))

    def begin(self, name: str) -> str:
        """A new upload in a repository: its name."""
        with self.lock:
            identity = f"upload-{next(self._names)}"
            self[name].uploads[identity] = bytearray()
            return identity

    def put(self, name: str, content: Pushable, tags: tuple[str, ...] = ("1",)) -> str:
        """Store an image with everything below it."""
        repository = self[name]
        with self.lock:
            for blob in content.blobs():
                repository.blobs[blob.digest] = blob.data
            for manifest in content.manifests():
                repository.keep(Stored(manifest.media_type, manifest.data))
            for tag in tags:
                repository.tags[tag] = content.digest
        return content.digest

    def put_manifest(self, name: str, manifest: Blob, tag: str = "1", *blobs: bytes) -> str:
        """Store any bytes as a manifest, and blobs beside it."""
        repository = self[name]
        with self.lock:
            repository.blobs.update((digest_of(one), one) for one in blobs)
            return repository.keep(Stored(manifest.media_type, manifest.data), tag)
