# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has changed and has to undo, on disk before it is changed, so that a run that died can be repaired."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

from . import durable
from .errors import UsageError
from .record import Instance

VERSION = 1


class Touched(NamedTuple):
    """An instance that a run switches: where its ``config`` has to point afterwards, and whether it has to run."""

    record: str
    target: str
    running: bool


class State(NamedTuple):
    """A run: its step, the instances, containers to remove."""

    step: str
    instances: tuple[Touched, ...]
    containers: tuple[tuple[str, ...], ...] = ()


class StateFile:
    """The file; one for each storage, whichever instance's run wrote it."""

    def __init__(self, pending: pathlib.Path, instance: Instance) -> None:
        self.path = pending / f"{instance.lock.stem}.json"

    def read(self) -> State | None:
        """The state of a run that has not ended, or None."""
        try:
            data: dict[str, Any] = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UsageError(
                f"{self.path} is damaged ({error}): make config.yml of the instance point at readwrite.yml, restart it and remove "
                "the file"
            ) from error
        return State(
            data["step"],
            tuple(Touched(**one) for one in data["instances"]),
            tuple(tuple(one) for one in data.get("containers", ())),
        )

    def write(self, state: State) -> None:
        """Put the state on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        data = {
            "version": VERSION,
            "step": state.step,
            "instances": [one._asdict() for one in state.instances],
            "containers": [list(one) for one in state.containers],
        }
        durable.write(self.path, json.dumps(data, indent=1).encode() + b"\n")

    def remove(self) -> None:
        """The run has ended, and nothing is left to undo."""
        durable.remove(self.path)


class Progress:
    """The state of this run, written at every step."""

    def __init__(self, file: StateFile) -> None:
        self._file = file
        self._state = State("start", ())

    def begin(self, instances: tuple[Touched, ...]) -> None:
        """Before the first change."""
        self._state = State("start", instances)
        self._file.write(self._state)

    def step(self, name: str) -> None:
        """Before the step ``name``."""
        self._state = self._state._replace(step=name)
        self._file.write(self._state)

    def container(self, removal: tuple[str, ...]) -> None:
        """Before a container is started that ``removal`` gets rid of."""
        if removal not in self._state.containers:
            self._state = self._state._replace(containers=(*self._state.containers, removal))
            self._file.write(self._state)

    def end(self) -> None:
        """Nothing is left to undo."""
        self._file.remove()
