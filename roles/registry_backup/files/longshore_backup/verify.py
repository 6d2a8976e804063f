# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup is what it says: every tag walked, every file of the configuration compared."""

from __future__ import annotations

from typing import Any

from . import configuration, files, walk
from .create import count
from .destination import CONFIGURATION, Destination
from .layout import Storage

_SHOWN = 100


class Faults:
    """Sentences, of which some are kept and all are counted."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.count = 0

    def add(self, text: str) -> None:
        """One more."""
        self.count += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(text)


def verify(destination: Destination, name: str, checksum: bool) -> dict[str, Any]:
    """Walk a backup; with ``checksum`` every byte of every blob is read as well.

    Returns:
        ``faults`` (the first 100, in sentences) and ``fault_count``, and what was looked at.
    """
    summary = destination.summary(name)
    faults = Faults()
    for text in configuration.faults(f"{destination.place(name)}/{CONFIGURATION}", summary["configuration"]):
        faults.add(text)
    result: dict[str, Any] = {"changed": False, "backup": name, "path": destination.place(name), "checksum": checksum}
    if not summary["config_only"]:
        result.update(verify_storage(destination.storage(name), summary, checksum, faults))
    return {**result, "faults": faults.shown, "fault_count": faults.count}


def verify_storage(storage: Storage, summary: dict[str, Any], checksum: bool, faults: Faults) -> dict[str, Any]:
    """Walk a storage that is to hold what the summary of a backup says."""
    known = summary["broken_in_registry"]
    found = {"repositories": 0, "tags": 0}
    for repository in storage.repositories():
        found["repositories"] += 1
        for tag in storage.tags(repository):
            found["tags"] += 1
            if f"{repository}:{tag}" in known:
                continue
            for text in walk.faults(storage, repository, tag):
                faults.add(text)
    if checksum:
        for digest in storage.blobs():
            if files.digest_of(storage.path(storage.blob(digest)), digest.partition(":")[0]) != digest:
                faults.add(f"the blob {digest} is damaged")
    counted = {**found, **count(storage)}
    for what, number in counted.items():
        if number != summary[what]:
            faults.add(f"there are {number} {what} and not {summary[what]}")
    return counted
