# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration, users, secrets and certificates of an instance: into a backup, and back."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from . import files
from .errors import BackupFailed
from .record import Record

#: What a restore takes back. The rest is rendered by the role registry, and a backup has it for people to read.
RESTORED = ("auth", "tls", "secrets.env")
_INSTANCE, _FURTHER = "instance", "further"


def save(record: Record, further: Sequence[str], target: str) -> list[dict[str, Any]]:
    """Copy the directory of the instance, and ``further`` files and directories; returns a row for each file."""
    rows = []
    places = [(record.directory, _INSTANCE), *((path, f"{_FURTHER}/{path.strip('/')}") for path in further)]
    for path, name in places:
        if not os.path.lexists(path):
            raise BackupFailed(f"{path} is to be part of the backup, and is not there")
        for one in _files(path):
            inner = os.path.relpath(one, path)
            relative = name if inner == "." else f"{name}/{inner}"
            rows.append(_save(one, target, relative))
    return rows


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path) or os.path.islink(path):
        yield path
        return
    for directory, directories, names in os.walk(path):
        directories.sort()
        links = [name for name in directories if os.path.islink(f"{directory}/{name}")]
        for name in sorted([*names, *links]):
            kind = os.lstat(f"{directory}/{name}").st_mode
            if (stat.S_ISREG(kind) or stat.S_ISLNK(kind)) and not name.endswith(".new"):
                yield f"{directory}/{name}"


def _save(path: str, target: str, relative: str) -> dict[str, Any]:
    place = f"{target}/{relative}"
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    status = os.lstat(path)
    row: dict[str, Any] = {"path": relative, "from": path, "uid": status.st_uid, "gid": status.st_gid}
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(path), place)
        return {**row, "link": os.readlink(path)}
    files.copy(path, place)
    return {**row, "mode": f"{status.st_mode & 0o7777:04o}", "digest": files.digest_of(place)}


def faults(target: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What of a saved configuration is not as it was saved."""
    found = []
    for row in rows:
        place = f"{target}/{row['path']}"
        try:
            good = os.readlink(place) == row["link"] if "link" in row else files.digest_of(place) == row["digest"]
        except OSError:
            good = False
        if not good:
            found.append(f"the copy of {row['from']} is missing or damaged")
    return found


def differing(record: Record, target: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The paths that `restore` would change."""
    changed = []
    for row in _wanted(rows):
        path = f"{record.directory}/{row['path'].partition('/')[2]}"
        if "link" in row:
            same = os.path.islink(path) and os.readlink(path) == row["link"]
        else:
            same = os.path.isfile(path) and files.digest_of(path) == row["digest"]
        if not same:
            changed.append(path)
    return changed


def restore(record: Record, target: str, rows: Sequence[dict[str, Any]]) -> str:
    """Put users, certificates and secrets back, all in one step. Returns where what was there before is kept."""
    directory = record.directory
    parent, name = os.path.split(directory)
    staged = f"{parent}/.{name}.restore"
    files.remove_tree(staged)
    shutil.copytree(directory, staged, symlinks=True)
    _like(directory, staged)
    for part in {row["path"].split("/")[1] for row in _wanted(rows)}:
        place = f"{staged}/{part}"
        files.remove_tree(place) if os.path.isdir(place) and not os.path.islink(place) else files.remove(place)
    for row in _wanted(rows):
        place = f"{staged}/{row['path'].partition('/')[2]}"
        _directories(directory, staged, os.path.dirname(place))
        if "link" in row:
            os.symlink(row["link"], place)
        else:
            files.copy(f"{target}/{row['path']}", place)
            os.chmod(place, int(row["mode"], 8))
            os.utime(place)  # by the time of change a registry notices other users
        # Numbers of users differ from host to host, so only root is told from the registry's own user.
        owner = record.uid if row["uid"] else 0, record.gid if row["gid"] else 0
        os.chown(place, *owner, follow_symlinks=False)
    files.sync_file_system(staged)
    kept = files.dated(f"{parent}/.{name}.before-")
    if files.exchange(staged, directory):
        os.rename(staged, kept)
    else:
        raise BackupFailed(f"the file system of {parent} cannot exchange two directories; copy {target} back by hand")
    files.sync_directory(parent)
    return kept


def _wanted(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    parts = [(row, row["path"].split("/")) for row in rows]
    return [row for row, part in parts if part[0] == _INSTANCE and part[1] in RESTORED]


def _directories(model: str, staged: str, path: str) -> None:
    """Make the directories from ``staged`` down to ``path`` as the role registry does: with the instance's owner and mode."""
    if os.path.isdir(path):
        return
    _directories(model, staged, os.path.dirname(path))
    os.mkdir(path)
    os.chmod(path, stat.S_IMODE(os.stat(model).st_mode))
    _owned_like(model, path)


def _like(model: str, path: str) -> None:
    """Give a copy of a directory the owners that the original has: copytree leaves them to whoever runs it."""
    for directory, directories, names in os.walk(model):
        for name in (".", *directories, *names):
            _owned_like(f"{directory}/{name}", f"{path}/{os.path.relpath(directory, model)}/{name}")


def _owned_like(model: str, path: str) -> None:
    status = os.lstat(model)
    os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
