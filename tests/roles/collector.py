# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the program of the role registry_gc as its timer does."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.managed import ManagedRegistry

PROGRAM = pathlib.Path(__file__).parents[2] / "roles/registry_gc/files/registry_gc.py"
ACCEPT = {"Accept": ", ".join(kind[name] for kind in images.MEDIA_TYPES.values() for name in ("index", "manifest"))}


def delete(registry: ManagedRegistry, repository: str, digest: str) -> None:
    """Delete a manifest."""
    assert registry.request("DELETE", f"/v2/{repository}/manifests/{digest}")[0] == 202


def pullable(registry: ManagedRegistry, repository: str, content: images.Pushable, reference: str | None = None) -> bool:
    """Whether everything of an image can be had, byte for byte."""
    for manifest in content.manifests():
        name = reference if reference and manifest is content.top else manifest.digest
        status, unused, body = registry.request("GET", f"/v2/{repository}/manifests/{name}", headers=ACCEPT)
        if (status, body) != (200, manifest.data):
            return False
    blobs = content.blobs()
    return all(registry.request("GET", f"/v2/{repository}/blobs/{blob.digest}")[::2] == (200, blob.data) for blob in blobs)


def stored(registry: ManagedRegistry, content: images.Pushable) -> int:
    """How many of an image's blobs and manifests are stored."""
    return sum(registry.blob_path(blob.digest).exists() for blob in (*content.blobs(), *content.manifests()))


def writable(registry: ManagedRegistry) -> bool:
    """Whether it takes pushes, and is configured to."""
    return registry.link == "readwrite.yml" and images.push_blob(registry, "probe", os.urandom(16)).startswith("sha256:")


class Collector:
    """The program with settings for ``registry``; those given are laid over defaults without age limits."""

    def __init__(self, registry: ManagedRegistry, **settings: Any) -> None:
        self.registry = registry
        self.state = registry.directory.parent / "gc-state"
        self.settings = registry.directory.parent / f"gc-{registry.name}.json"
        given = {"record": str(registry.record), "state_directory": str(self.state), **settings}
        self.settings.write_text(json.dumps(given))

    @property
    def pending(self) -> list[pathlib.Path]:
        """State files of runs that have not ended."""
        return sorted(self.state.glob("pending/*.json"))

    @property
    def step(self) -> str | None:
        """The step that a run is in."""
        for path in self.pending:
            with contextlib.suppress(FileNotFoundError):
                step: str = json.loads(path.read_bytes())["step"]
                return step
        return None

    def command(self, verb: str) -> list[str]:
        """The program's arguments."""
        return [str(PROGRAM), verb, "--settings", str(self.settings)]

    def collect(self, *options: str, code: int = 0) -> dict[str, Any]:
        """Collect, and return the report; the exit code has to be ``code``."""
        with self.running(*options) as process:
            output, errors = process.communicate(timeout=120)
        said = f"exit code {process.returncode}: {output.decode()[-3000:]}{errors.decode()[-3000:]}"
        assert process.returncode == code, said
        report: dict[str, Any] = json.loads(output)
        assert report["exit_code"] == code and report["failed"] is bool(code), said
        return report

    def repair(self, code: int = 0) -> str:
        """Repair; what it said."""
        command = [sys.executable, *self.command("repair")]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=_environment())
        assert done.returncode == code, done.stderr.decode()
        return done.stderr.decode()

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """The program, started; killed at the end if it still runs."""
        command = [sys.executable, *self.command("collect"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment())
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def wait_step(self, step: str, seconds: float = 60) -> None:
        """Wait until a run is in ``step``."""
        end = time.monotonic() + seconds
        while self.step != step:
            assert time.monotonic() < end, f"never saw the step {step}"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
