# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When manifests that nothing reaches were first seen: the age of what lies in a storage that tells none."""

from __future__ import annotations

import json
import pathlib
import time

from . import durable, untagged
from .catalogue import Catalogue
from .record import Instance
from .settings import Settings


def read(settings: Settings, instance: Instance) -> dict[str, float]:
    """``repository@digest`` to times."""
    try:
        found: dict[str, float] = json.loads(_path(settings, instance).read_bytes())
    except (FileNotFoundError, ValueError):
        # Without it everything counts as seen for the first time, and stays.
        return {}
    return found


def update(settings: Settings, instance: Instance, catalogue: Catalogue) -> None:
    """Remember what nothing reaches now, and forget the rest."""
    before = read(settings, instance)
    now = time.time()
    unreached = untagged.candidates(catalogue, catalogue.repositories(), now)
    keys = [f"{one.repository}@{one.digest}" for one in unreached]
    after = {key: before.get(key, now) for key in keys}
    if after != before:
        durable.write(_path(settings, instance), json.dumps(after).encode())


def _path(settings: Settings, instance: Instance) -> pathlib.Path:
    return settings.state_directory / f"{instance.lock.stem}.seen.json"
