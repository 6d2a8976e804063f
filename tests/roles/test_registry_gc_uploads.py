# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which uploads the program of registry_gc takes for abandoned, while others come and go."""

from __future__ import annotations

import os
import pathlib
import shutil
import threading
import time

from ansible_collections.longshore.oci.roles.registry_gc.files.longshore_gc import uploads
from ansible_collections.longshore.oci.roles.registry_gc.files.longshore_gc.files import Files


def _upload(path: pathlib.Path) -> pathlib.Path:
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"x" * 1000)
    (path / "startedat").write_text("2026-01-01T00:00:00Z")
    return path


def test_uploads_that_end_meanwhile_are_nobody_s_garbage(tmp_path: pathlib.Path) -> None:
    top = tmp_path / "docker" / "registry" / "v2" / "repositories" / "team" / "app" / "_uploads"
    old = _upload(top / "old")
    for path in (*old.iterdir(), old):
        os.utime(path, (1000, 1000))
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            for number in range(20):
                shutil.rmtree(_upload(top / f"new-{number}"))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            found = uploads.abandoned(Files(tmp_path), 1)
            assert [(one.path.name, one.size) for one in found] == [("old", 1020)]
    finally:
        over.set()
        thread.join()
