# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the storage in a state in which the collector can be trusted? Found out by walking it, before anything changes."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import Refused
from .files import Files
from .record import Instance

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_MANY = 10


class Preflight(NamedTuple):
    """What was found: ``problems`` forbid to collect, ``warnings`` do not; ``missing_layers`` are to be made (3.x)."""

    problems: list[str]
    warnings: list[str]
    missing_layers: list[pathlib.Path]

    @property
    def sentence(self) -> str:
        """The problems, the first of them at least."""
        rest = len(self.problems) - _MANY
        return "; ".join(self.problems[:_MANY]) + (f"; and {rest} more" if rest > 0 else "")


def check(instance: Instance, files: Files) -> Preflight:
    """Look for what makes the collector stop half-way or, worse, overlook a repository."""
    problems: list[str] = []
    warnings: list[str] = []
    missing: list[pathlib.Path] = []
    for name, path, parts in files.places():
        if not parts & {"_manifests", "_layers"}:
            continue
        if not _NAME.fullmatch(name):
            problems.append(f"{path} is no repository, as its name is not valid: move it out of the storage")
            continue
        if "_manifests" in parts and "_layers" not in parts:
            if instance.third:
                missing.append(path / "_layers")
            else:
                problems.append(
                    f"{path} has _manifests, but no _layers: distribution 2.8 would overlook the repository and delete its "
                    f"blobs; make the directory {path / '_layers'} as the registry's user, or remove the repository"
                )
        problems += _manifests(files, name, path)
        layers = list(_empty(path / "_layers"))
        if layers and instance.third:
            problems += [f"{one} is empty (power loss or a full disk): remove its directory" for one in layers]
        elif layers:
            warnings.append(f"{len(layers)} empty layer links in {name}, such as {layers[0]}: distribution 3.x would stop at them")
    problems += [f"{one} is a link that leads nowhere: mount what it leads to" for one in _dangling(files.base)]
    return Preflight(problems, warnings, missing)


def make_missing(instance: Instance, paths: list[pathlib.Path]) -> None:
    """Make the directories without which distribution 3.x stops (an index without children was pushed)."""
    for path in paths:
        path.mkdir(mode=0o755, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, instance.uid, instance.gid)


def _manifests(files: Files, name: str, path: pathlib.Path) -> Iterator[str]:
    for algorithm in _directories(path / "_manifests" / "revisions"):
        for revision in _directories(algorithm):
            link, digest = revision / "link", f"{algorithm.name}:{revision.name}"
            try:
                size = link.stat().st_size
            except FileNotFoundError:
                continue  # deleted, as it is done
            if size == 0:
                yield f"{link} is empty (power loss or a full disk): remove its directory, or push {name}@{digest} again"
                continue
            try:
                empty = files.blob(digest).stat().st_size == 0
            except FileNotFoundError:
                yield (
                    f"{name}@{digest} is listed in {revision}, but its manifest is not there: remove that directory and the tags "
                    "that name it, or push the image again"
                )
                continue
            if empty:
                yield f"{files.blob(digest)} is empty (power loss or a full disk): push {name}@{digest} again, or remove {revision}"
                continue
            try:
                files.manifest(name, digest)
            except Refused as error:
                yield str(error)
    for link in _empty(path / "_manifests" / "tags"):
        yield f"{link} is empty (power loss or a full disk): push that tag again, or remove its directory"


def _empty(path: pathlib.Path) -> Iterator[pathlib.Path]:
    for directory, dummy, names in os.walk(path):
        if "link" in names:
            link = pathlib.Path(directory, "link")
            try:
                if link.stat().st_size == 0:
                    yield link
            except FileNotFoundError:
                continue  # removed by a live registry meanwhile


def _dangling(base: pathlib.Path) -> Iterator[pathlib.Path]:
    for name in ("repositories", "blobs"):
        path = base / name
        if path.is_symlink() and not path.exists():
            yield path


def _directories(path: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(one for one in path.iterdir() if one.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
