# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collection did or would do, as JSON for the role and as metrics for node_exporter."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from typing import Any

from . import durable
from .plan import Plan
from .settings import Settings

_HELP = {
    "last_run_timestamp_seconds": "When the last garbage collection ended",
    "last_success_timestamp_seconds": "When the last garbage collection without an error ended",
    "last_exit_code": "Exit code of the last garbage collection, 0 for success",
    "duration_seconds": "How long the last garbage collection took",
    "read_only_seconds": "How long the registry took no uploads for it",
    "bytes_promised": "Bytes of the blobs that were to go",
    "bytes_freed": "Bytes of the blobs that went",
    "upload_bytes_freed": "Bytes of abandoned uploads that went",
    "blobs_marked": "Blobs that manifests need",
    "blobs_deleted": "Blobs that went",
    "manifests_deleted": "Untagged manifests that went",
    "uploads_deleted": "Abandoned uploads that went",
}


@dataclasses.dataclass
class Report:
    """One collection. Counts are of what would go in a dry run, and of what went otherwise; bytes and seconds."""

    instance: str
    dry_run: bool
    started: float = dataclasses.field(default_factory=time.time)
    finished: float = 0
    changed: bool = False
    failed: bool = False
    exit_code: int = 0
    msg: str = ""
    read_only_proofs: dict[str, str] = dataclasses.field(default_factory=dict)
    back_proofs: dict[str, str] = dataclasses.field(default_factory=dict)
    read_only_seconds: float = 0
    duration_seconds: float = 0
    blobs_marked: int = 0
    blobs: int = 0
    layer_links: int = 0
    manifests: int = 0
    untagged: list[str] = dataclasses.field(default_factory=list)
    bytes_total: int | None = None
    bytes_promised: int = 0
    bytes_freed: int = 0
    blobs_of_unknown_size: int = 0
    uploads: int = 0
    upload_bytes: int = 0
    cache_keys: int = 0
    tags_verified: int = 0
    tags_incomplete_before: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    repaired: bool = False
    last_success: float = 0

    def promise(self, found: Plan) -> None:
        """What would go."""
        self.blobs_marked, self.blobs = found.marked, len(found.blobs)
        self.manifests, self.layer_links = len(found.untagged), found.links
        self.untagged = [f"{one.repository}@{one.digest}" for one in found.untagged]
        self.bytes_promised, self.bytes_total = found.promised, found.total_bytes
        self.blobs_of_unknown_size = len(found.blobs) - len(found.sizes)
        self.uploads, self.upload_bytes = len(found.uploads), sum(one.size for one in found.uploads)

    def nothing_gone(self, uploads: int, upload_bytes: int) -> None:
        """From now on the counts are of what went, which is these uploads so far."""
        self.blobs = self.manifests = self.layer_links = 0
        self.uploads, self.upload_bytes = uploads, upload_bytes

    def warn(self, *lines: str) -> None:
        """Add warnings, once each."""
        self.warnings = list(dict.fromkeys([*self.warnings, *lines]))

    def end(self) -> None:
        """Take the time."""
        self.finished = time.time()
        self.duration_seconds = round(self.finished - self.started, 3)
        if not self.failed:
            self.last_success = self.finished

    def json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)


def path(settings: Settings, instance: str) -> pathlib.Path:
    """Where the last report is kept."""
    return settings.state_directory / f"{instance}.report.json"


def last_success(settings: Settings, instance: str) -> float:
    """When the last collection without an error ended; 0 if there was none."""
    try:
        found: dict[str, Any] = json.loads(path(settings, instance).read_bytes())
    except (FileNotFoundError, ValueError):
        return 0
    return float(found.get("last_success", 0))


def keep(settings: Settings, report: Report) -> None:
    """Keep the report, and write the metrics if a file for them is set."""
    settings.state_directory.mkdir(parents=True, exist_ok=True)
    durable.write(path(settings, report.instance), report.json().encode() + b"\n")
    if settings.textfile is not None:
        durable.write(settings.textfile, metrics(report).encode())


def metrics(report: Report) -> str:
    """The report in Prometheus's text format."""
    values: dict[str, float] = {
        "last_run_timestamp_seconds": report.finished,
        "last_success_timestamp_seconds": report.last_success,
        "last_exit_code": report.exit_code,
        "duration_seconds": report.duration_seconds,
        "read_only_seconds": report.read_only_seconds,
        "bytes_promised": report.bytes_promised,
        "bytes_freed": report.bytes_freed,
        "upload_bytes_freed": report.upload_bytes,
        "blobs_marked": report.blobs_marked,
        "blobs_deleted": report.blobs,
        "manifests_deleted": report.manifests,
        "uploads_deleted": report.uploads,
    }
    lines = []
    for name, value in values.items():
        metric = f"longshore_registry_gc_{name}"
        lines += [f"# HELP {metric} {_HELP[name]}", f"# TYPE {metric} gauge"]
        lines.append(f'{metric}{{instance="{report.instance}"}} {value}')
    return "\n".join(lines) + "\n"
