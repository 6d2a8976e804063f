# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: JSON for programs, a text file for node_exporter."""

from __future__ import annotations

import os
from typing import Any

from . import files
from .destination import Destination

_HELP = {
    "last_run_success": "Whether the last run of the backup ended well.",
    "last_success_timestamp_seconds": "When the newest complete backup was finished.",
    "last_success_duration_seconds": "How long the newest complete backup took.",
    "readonly_seconds": "How long the registry was read-only for it.",
    "size_bytes": "Size of all blobs of the newest complete backup.",
    "copied_bytes": "Size of the blobs that no earlier backup had.",
    "tags": "Tags of the newest complete backup.",
    "broken_tags": "Tags that are broken in the registry itself.",
    "kept": "Complete backups that are there.",
}


def textfile(path: str, instance: str, destination: Destination, good: bool) -> None:
    """Write the metrics for node_exporter's textfile collector."""
    names = destination.names()
    values: dict[str, float | None] = {"last_run_success": int(good), "kept": len(names)}
    if names:
        newest = destination.summary(names[-1])
        values.update(
            last_success_timestamp_seconds=newest["finished_seconds"],
            last_success_duration_seconds=newest["seconds"],
            readonly_seconds=newest["readonly_seconds"],
            size_bytes=newest.get("bytes"),
            copied_bytes=newest.get("copied", {}).get("bytes"),
            tags=newest.get("tags"),
            broken_tags=len(newest.get("broken_in_registry", {})),
        )
    lines = []
    for name, text in _HELP.items():
        if values.get(name) is not None:
            full = f"longshore_registry_backup_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge", f'{full}{{instance="{instance}"}} {values[name]}']
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    files.write(path, ("\n".join(lines) + "\n").encode(), 0o644)


def document(path: str, result: dict[str, Any]) -> None:
    """Write the result of a run for those who come later."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    files.write_json(path, result)
