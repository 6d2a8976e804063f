# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where distribution keeps things below a storage's root directory (2.8 and 3.x alike)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

#: What a registry makes below its root directory.
TOP = "docker"
#: Written in place by the registry, so that a reader may meet one that is empty or cut short.
LINK = "link"
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_HALF_WRITTEN_SECONDS = 2.0


def is_digest(text: str) -> bool:
    """Whether a text is a digest as distribution writes it."""
    return _DIGEST.fullmatch(text) is not None


def read_link(path: str, patience: float = 0.0) -> str | None:
    """The digest in a link file; None for a file that is gone, or that holds none after ``patience`` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            with open(path, "rb") as file:
                text = file.read(256).decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        if is_digest(text):
            return text
        if time.monotonic() >= end:
            return None
        time.sleep(0.02)


def entries(path: str) -> Iterator[os.DirEntry[str]]:
    """What is in a directory; nothing if it is gone, for a registry may delete while it is read."""
    try:
        with os.scandir(path) as found:
            yield from found
    except (FileNotFoundError, NotADirectoryError):
        return


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory, or a link to one: what somebody moved to another disk belongs to the storage."""
    return entry.is_dir()


class Storage:
    """The storage below ``root``. Paths within are relative to it, so that they are the same in storage and backup."""

    VERSION = f"{TOP}/registry/v2"
    REPOSITORIES = f"{VERSION}/repositories"
    BLOBS = f"{VERSION}/blobs"

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, relative: str) -> str:
        """The place of something in the file system."""
        return f"{self.root}/{relative}"

    def repositories(self) -> Iterator[str]:
        """The names of all repositories, those that hold nothing more too."""
        yield from self._below("")

    def _below(self, prefix: str) -> Iterator[str]:
        found = False
        for entry in entries(self.path(f"{self.REPOSITORIES}/{prefix}")):
            if entry.name in ("_manifests", "_layers"):
                found = True
            elif not entry.name.startswith("_") and is_directory(entry):
                yield from self._below(f"{prefix}{entry.name}/")
        if found and prefix:
            yield prefix.rstrip("/")

    def tags(self, repository: str) -> Iterator[str]:
        """The names of a repository's tags."""
        for entry in entries(self.path(f"{self.tag_directory(repository)}")):
            if is_directory(entry):
                yield entry.name

    def tag_directory(self, repository: str, tag: str = "") -> str:
        """Where a repository's tags are, or what belongs to one."""
        return f"{self.REPOSITORIES}/{repository}/_manifests/tags" + (f"/{tag}" if tag else "")

    def current(self, repository: str, tag: str) -> str:
        """The link to what a tag points at."""
        return f"{self.tag_directory(repository, tag)}/current/{LINK}"

    def revisions(self, repository: str) -> str:
        """The links to a repository's manifests."""
        return f"{self.REPOSITORIES}/{repository}/_manifests/revisions"

    def layers(self, repository: str) -> str:
        """The links to a repository's blobs."""
        return f"{self.REPOSITORIES}/{repository}/_layers"

    def revision(self, repository: str, digest: str) -> str:
        """The link to one manifest."""
        return f"{self.revisions(repository)}/{digest.replace(':', '/')}/{LINK}"

    def layer(self, repository: str, digest: str) -> str:
        """The link to one blob."""
        return f"{self.layers(repository)}/{digest.replace(':', '/')}/{LINK}"

    def blob(self, digest: str) -> str:
        """The bytes of a blob or a manifest."""
        algorithm, dummy, value = digest.partition(":")
        return f"{self.BLOBS}/{algorithm}/{value[:2]}/{value}/data"

    def blobs(self) -> Iterator[str]:
        """The digests of all blobs that have bytes."""
        for algorithm in entries(self.path(self.BLOBS)):
            for prefix in entries(algorithm.path):
                for one in entries(prefix.path):
                    digest = f"{algorithm.name}:{one.name}"
                    if is_digest(digest) and os.path.isfile(f"{one.path}/data"):
                        yield digest

    def tag_digest(self, repository: str, tag: str) -> str | None:
        """What a tag points at; None if it is gone or its link is damaged."""
        return read_link(self.path(self.current(repository, tag)), _HALF_WRITTEN_SECONDS)
