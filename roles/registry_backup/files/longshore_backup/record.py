# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role registry says about an instance: ``/etc/longshore/registry/NAME/instance.json``."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

from .errors import BackupFailed

VERSION = 1


class Record:
    """One instance, as its record describes it."""

    def __init__(self, path: str, document: dict[str, Any]) -> None:
        self.path = path
        self.name = str(document["name"])
        self.url = str(document["url"])
        self.probe: dict[str, Any] = document["probe"]
        self.config = str(document["config"])
        self.readwrite = str(document["readwrite"])
        self.readonly_config = str(document["readonly_config"])
        self.declared_readonly = bool(document.get("readonly"))
        self.environment_file: str | None = document.get("environment_file")
        self.uid, self.gid = int(document["uid"]), int(document["gid"])
        self.storage: dict[str, Any] = document["storage"]
        self.cache: dict[str, Any] = document.get("cache") or {"kind": "none"}
        self.control: dict[str, list[str]] | None = document.get("control")
        self.peers = [str(one) for one in document.get("peers") or []]
        self.lock = str(document["lock"])
        self.sentinel: str | None = document.get("sentinel")

    @property
    def directory(self) -> str:
        """Where its configuration is."""
        return os.path.dirname(self.config)

    @property
    def root(self) -> str:
        """The root directory of its storage. Raises `BackupFailed` where that is not in a file system."""
        if self.storage.get("driver") == "filesystem":
            return str(self.storage["path"])
        place = self.storage.get("bucket") or self.storage.get("driver")
        raise BackupFailed(
            f"instance {self.name} keeps its images in the bucket {place}, which this program does not copy: have the bucket "
            "keep old versions (versioning with a lifecycle rule) and copy itself to another place (replication). "
            "The configuration, users and certificates alone are backed up with config_only."
        )

    def require_storage(self) -> str:
        """`root`, once it is sure that the storage is mounted there."""
        root = self.root
        if self.sentinel and not os.path.exists(self.sentinel):
            raise BackupFailed(
                f"{self.sentinel} is not there: the storage of instance {self.name} is not mounted, or was never set up. "
                "Mount it, or run the role registry first."
            )
        if not os.path.isdir(root):
            raise BackupFailed(f"the storage {root} of instance {self.name} is not there")
        return root


def read(path: str) -> Record:
    """Read a record. Raises `BackupFailed`."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document.get("version") != VERSION:
            raise BackupFailed(f"{path} is of version {document.get('version')}, and this program knows {VERSION}")
        return Record(path, document)
    except FileNotFoundError:
        raise BackupFailed(f"{path} is not there: run the role registry for this instance first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BackupFailed(f"{path} cannot be read as a record of an instance: {exc!r}") from None


def on_one_storage(record: Record) -> list[Record]:
    """An instance and every other of this host on its storage: its peers, and those that are declared read-only."""
    beside = glob.glob(f"{os.path.dirname(record.directory)}/*/{os.path.basename(record.path)}")
    paths = {os.path.realpath(path) for path in [*record.peers, *beside]} - {os.path.realpath(record.path)}
    others = [read(path) for path in sorted(paths)]
    return [record, *(one for one in others if one.lock == record.lock)]
