# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is changed about a running registry for a while, written down first, so that it is put right whatever happens.

The note outlives a crash and a reboot. Whoever finds it (the end of the unit, the next start of the machine, the next run)
puts things right by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from . import files, record, service
from .errors import BackupFailed
from .record import Record


class Interlude:
    """The note ``path`` of one instance."""

    def __init__(self, path: str) -> None:
        self.path = path
        #: How long the registry was read-only or stopped.
        self.seconds = 0.0

    @contextlib.contextmanager
    def readonly(self, instance: Record) -> Iterator[None]:
        """The instance, and others on the same storage, refuse writes meanwhile. The lock has to be held."""
        writers = [one for one in record.on_one_storage(instance) if not one.declared_readonly]
        writers = [one for one in writers if service.runs(one)]
        for one in writers:
            if not one.control:
                raise BackupFailed(
                    f"instance {one.name} cannot be made read-only: its service manager is somebody else's. "
                    "Every tag of a backup is whole without that, too."
                )
        begun = time.monotonic()
        self._note({"readonly": [one.path for one in writers]})
        try:
            for one in writers:
                point(one, one.readonly_config)
                service.control(one, "restart")
                service.wait_ready(one)
                if not service.refuses_uploads(one):
                    raise BackupFailed(f"instance {one.name} still takes uploads, though its configuration says read-only")
            yield
        finally:
            self.recover()
            self.seconds += time.monotonic() - begun

    @contextlib.contextmanager
    def stopped(self, instance: Record, **note: Any) -> Iterator[None]:
        """The instance and others on the same storage do not run meanwhile. The lock has to be held."""
        running = [one for one in record.on_one_storage(instance) if service.runs(one)]
        begun = time.monotonic()
        # A note that is still there tells what did not start again, and is to.
        down = (self.read() or {}).get("stopped", [])
        self._note({"stopped": sorted({*down, *(one.path for one in running)}), **note})
        try:
            for one in running:
                service.control(one, "stop")
                if service.runs(one):
                    raise BackupFailed(f"instance {one.name} was stopped and runs all the same")
            yield
        finally:
            self.recover()
            self.seconds += time.monotonic() - begun

    def recover(self) -> list[str]:
        """Put right what the note tells of; returns what was done, in sentences. The lock has to be held."""
        note = self.read()
        if note is None:
            return []
        done = []
        for path in note.get("readonly", []):
            one = record.read(path)
            point(one, one.readwrite)
            service.control(one, "restart")
            done.append(f"instance {one.name} takes uploads again")
        if "missing" in note and not os.path.exists(note["missing"]) and os.path.exists(note["kept"]):
            os.rename(note["kept"], note["missing"])
            done.append(f"{note['missing']} is what it was")
        for path in note.get("stopped", []):
            one = record.read(path)
            service.control(one, "start")
            done.append(f"instance {one.name} runs again")
        for path in [*note.get("readonly", []), *note.get("stopped", [])]:
            service.wait_ready(record.read(path))
        os.unlink(self.path)
        files.sync_directory(os.path.dirname(self.path))
        return done

    def read(self) -> Any:
        """The note, or None."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def _note(self, note: dict[str, Any]) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        files.write_json(self.path, note)


def point(instance: Record, configuration: str) -> None:
    """Have the instance's configuration be another one, from its next start on."""
    link = f"{instance.config}.new"
    files.remove(link)
    os.symlink(os.path.relpath(configuration, os.path.dirname(instance.config)), link)
    os.rename(link, instance.config)
    files.sync_directory(os.path.dirname(instance.config))
