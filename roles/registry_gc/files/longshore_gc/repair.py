# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that died has left is undone."""

from __future__ import annotations

import pathlib

from . import lock, private, record
from .control import Controls
from .log import say
from .settings import Settings
from .state import StateFile
from .switch import bring_back

#: From these steps on blobs may have gone, and caches speak of them.
_DELETING = ("untagged", "sweep", "uploads", "verify", "bring back")
_LOCK_SECONDS = 3600.0


def repair(settings: Settings) -> bool:
    """Bring the instances of the storage back if a run did not; whether there was anything to do.

    Waits for a run that goes on, and for the collector of a run that was killed.
    """
    instance = record.load(settings.record)
    file = StateFile(settings.pending, instance)
    if file.read() is None:
        return False
    with lock.held(instance.lock, _LOCK_SECONDS):
        if file.read() is None:
            return False
        undo(settings, file)
    return True


def undo(settings: Settings, file: StateFile) -> None:
    """With the lock held: bring back what ``file`` names, and remove it. `NotRestored` leaves it for the next try."""
    state = file.read()
    if state is None:
        return
    say(f"a run ended in the step '{state.step}': bringing the registry back")
    for removal in state.containers:
        private.remove_container(removal)
    switched = [(record.load(pathlib.Path(one.record)), one) for one in state.instances]
    controls = Controls(settings)
    deleted = state.step in _DELETING
    instance = record.load(settings.record)
    family = [instance, *record.siblings(instance)]
    twins = [one for one in family if one.readonly and deleted and one.cache.get("kind") != "none" and controls.active(one)]
    bring_back(switched, controls, settings.start_timeout_seconds, deleted, twins)
    file.remove()
    say("the registry is as before again")
