# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that nobody goes on with: garbage that the collector never touches."""

from __future__ import annotations

import os
import pathlib
import shutil
import time
from typing import NamedTuple

from .files import Files


class Upload(NamedTuple):
    """An upload's directory and the bytes below it."""

    path: pathlib.Path
    size: int


def abandoned(files: Files, age_hours: float | None) -> list[Upload]:
    """Uploads without a write for ``age_hours``; none if that is None."""
    if age_hours is None:
        return []
    latest = time.time() - age_hours * 3600
    found = []
    for unused, path, parts in files.places():
        if "_uploads" not in parts:
            continue
        for entry in sorted((path / "_uploads").iterdir()):
            try:
                touched, size = _measure(entry)
            except FileNotFoundError:
                continue  # somebody goes on with it: it ended, or grew, while it was looked at
            if touched <= latest:
                found.append(Upload(entry, size))
    return found


def remove(uploads: list[Upload]) -> int:
    """Remove them; the bytes that went."""
    freed = 0
    for upload in uploads:
        shutil.rmtree(upload.path, ignore_errors=False)
        freed += upload.size
    return freed


def _measure(path: pathlib.Path) -> tuple[float, int]:
    """The last write below ``path``, and the size of the files."""
    touched, size = path.stat().st_mtime, 0
    for directory, dummy, names in os.walk(path):
        touched = max(touched, os.stat(directory).st_mtime)
        for name in names:
            found = os.stat(os.path.join(directory, name))
            touched, size = max(touched, found.st_mtime), size + found.st_size
    return touched, size
