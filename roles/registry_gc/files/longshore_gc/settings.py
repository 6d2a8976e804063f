# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role sets: a JSON file of root's, 0600, since it may hold a password."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from .errors import UsageError

READONLY = "readonly"
STOP = "stop"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one instance's collection.

    Attributes:
        record: The instance's instance.json.
        state_directory: Where the state of a running collection, the last report and first sightings are kept.
        mode: ``readonly`` serves pulls meanwhile, ``stop`` stops the registry.
        username, password: A user of the registry, for the upload that has to be refused.
        untagged: Whether manifests that nothing reaches are removed.
        untagged_age_hours: Those that came more recently stay.
        uploads_age_hours: Abandoned uploads without a write for so long go; None keeps all.
        max_percent, max_bytes, max_manifests: Guard rails; None for no limit.
        verify_tags: How many tags are looked at afterwards; 0 means all.
        lock_wait_seconds: How long to wait for somebody else's run.
        start_timeout_seconds: How long an instance may take until it answers after a restart.
        stop_command, start_command: For an instance without a service manager of ours.
        textfile: A file for node_exporter's textfile collector.
    """

    record: pathlib.Path
    state_directory: pathlib.Path = pathlib.Path("/var/lib/longshore/registry-gc")
    mode: str = READONLY
    username: str | None = None
    password: str | None = None
    untagged: bool = False
    untagged_age_hours: float = 24
    uploads_age_hours: float | None = 24
    max_percent: float | None = None
    max_bytes: int | None = None
    max_manifests: int | None = None
    verify_tags: int = 0
    lock_wait_seconds: float = 0
    start_timeout_seconds: float = 60
    stop_command: tuple[str, ...] = ()
    start_command: tuple[str, ...] = ()
    textfile: pathlib.Path | None = None

    @property
    def pending(self) -> pathlib.Path:
        """Where the state files of runs that have not ended are."""
        return self.state_directory / "pending"


def load(path: pathlib.Path) -> Settings:
    """Read the file; `UsageError` names what is wrong with it."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict) or "record" not in data:
        raise UsageError(f"{path} has no 'record'")
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise UsageError(f"{path} has unknown settings: {', '.join(unknown)}")
    settings = Settings(**{name: _value(name, value) for name, value in data.items()})
    if settings.mode not in (READONLY, STOP):
        raise UsageError(f"mode is {settings.mode!r}, but has to be {READONLY} or {STOP}")
    if bool(settings.username) != bool(settings.password):
        raise UsageError("username and password have to be given together")
    if bool(settings.stop_command) != bool(settings.start_command):
        raise UsageError("stop_command and start_command have to be given together")
    return settings


def _value(name: str, value: Any) -> Any:
    if name in ("record", "state_directory", "textfile"):
        return pathlib.Path(value) if value else None
    if name in ("stop_command", "start_command"):
        return tuple(value or ())
    return value
