# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that holds the backups of one instance: what is complete, what is not, and what may go."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from . import files
from .errors import BackupFailed
from .layout import Storage

SUMMARY = "backup.json"
CONFIGURATION = "configuration"
STORAGE = "storage"
_PARTIAL, _REMOVING = ".partial", ".removing"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z(-\d+)?")


class Destination:
    """The backups below ``path``. A name without an ending is that of a complete one: it got it last of all."""

    def __init__(self, path: str) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the directory, for root alone, and take away what an earlier run was about to remove."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
        except OSError as exc:
            raise BackupFailed(f"{self.path} cannot be made: {exc.strerror}") from None
        for name in os.listdir(self.path):
            if name.endswith(_REMOVING):
                files.remove_tree(self.place(name))

    @property
    def lock(self) -> str:
        """The lock of whoever writes or reads here."""
        return f"{self.path}/.lock"

    def place(self, name: str) -> str:
        """Where a backup is."""
        return f"{self.path}/{name}"

    def storage(self, name: str) -> Storage:
        """The storage in a backup."""
        return Storage(f"{self.place(name)}/{STORAGE}")

    def names(self) -> list[str]:
        """The complete backups, the oldest first."""
        if not os.path.isdir(self.path):
            return []
        return sorted((name for name in os.listdir(self.path) if _NAME.fullmatch(name)), key=_order)

    def partials(self) -> list[str]:
        """What runs that did not end have left, the newest first."""
        found = [name for name in os.listdir(self.path) if name.endswith(_PARTIAL)]
        return sorted(found, key=lambda name: _order(name[: -len(_PARTIAL)]), reverse=True)

    def begin(self) -> str:
        """A new incomplete backup; returns the name it is to have."""
        name = os.path.basename(files.dated(self.place(""), _PARTIAL))
        os.mkdir(self.place(name + _PARTIAL), 0o700)
        return name

    @staticmethod
    def partial(name: str) -> str:
        """What a backup is called until it is complete."""
        return name + _PARTIAL

    def complete(self, name: str, summary: dict[str, Any]) -> None:
        """Give a backup its name, once all of it is on the disk."""
        partial = self.place(name + _PARTIAL)
        files.write_json(f"{partial}/{SUMMARY}", summary)
        files.sync_file_system(partial)
        os.rename(partial, self.place(name))
        files.sync_directory(self.path)

    def resolve(self, name: str) -> str:
        """The name of a complete backup; ``latest`` is the newest. Raises `BackupFailed`."""
        names = self.names()
        if not names:
            raise BackupFailed(f"{self.path} holds no complete backup")
        if name == "latest":
            return names[-1]
        if name not in names:
            raise BackupFailed(f"{self.path} has no complete backup {name}; there are {', '.join(names[-20:])}")
        return name

    def summary(self, name: str) -> dict[str, Any]:
        """What a backup says of itself. Raises `BackupFailed`."""
        path = f"{self.place(name)}/{SUMMARY}"
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError) as exc:
            raise BackupFailed(f"{path} cannot be read, so this is no backup to rely on: {exc}") from None
        if not isinstance(document, dict) or document.get("version") != 1:
            raise BackupFailed(f"{path} is not of a version that this program knows")
        return document

    def newest_with_storage(self) -> str | None:
        """The newest complete backup that holds images."""
        for name in reversed(self.names()):
            if os.path.isdir(f"{self.place(name)}/{STORAGE}"):
                return name
        return None

    def surplus(self, keep: int, new: int = 0) -> list[str]:
        """The backups that go once ``new`` more are there; ``keep`` 0 keeps all."""
        names = self.names()
        return names[: max(0, len(names) + new - keep)] if keep else []

    def retire(self, name: str) -> None:
        """Remove a backup or what is left of one; it loses its name first."""
        going = self.place(name + _REMOVING)
        os.rename(self.place(name), going)
        files.sync_directory(self.path)
        files.remove_tree(going)


def _order(name: str) -> tuple[str, int]:
    stamp, dummy, number = name.partition("Z")
    return stamp, int(number[1:] or 1) if number[1:].isdigit() or not number else 1
