# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman's API, started for one task where it is not running, and ended with it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..model.errors import Cancelled, MissingRequirement, OciError
from ..model.text import shown

#: Seconds without a connection after which podman ends by itself, should this process be killed.
INACTIVITY = 30
#: Seconds until it has to answer, and until it has to be gone when asked to end.
START, END = 60.0, 10.0
#: Longest path of a socket (sun_path).
_PATH = 100


class PodmanService:
    """``podman system service`` on a socket in a directory of its own. Thread-safe; `close` ends it."""

    def __init__(self, module: AnsibleModule, stop: threading.Event) -> None:
        self._module = module
        self._stop = stop
        self._lock = threading.Lock()
        self._directory = ""
        self._thread: threading.Thread | None = None
        self._process: Any = None
        self._said = ""

    def url(self) -> str:
        """Where the API is; starts it if it does not run. Raises MissingRequirement, OciError, Cancelled."""
        with self._lock:
            path = os.path.join(self._directory, "podman.sock")
            if self._thread is None or not self._thread.is_alive():
                path = self._start()
            return f"unix://{path}"

    def close(self) -> None:
        """End it and remove its directory. May be called twice."""
        with self._lock:
            thread, self._thread = self._thread, None
            directory, self._directory = self._directory, ""
        if thread is not None and self._process is not None:
            self._process.terminate()
            thread.join(END)
            if thread.is_alive():
                self._process.kill()
                thread.join(END)
        if directory:
            shutil.rmtree(directory, ignore_errors=True)

    def _start(self) -> str:
        program = self._module.get_bin_path("podman")
        if program is None:
            raise MissingRequirement("containers-storage: needs podman, which is not installed on the host that runs this task")
        if not self._directory:
            self._directory = _short_directory(self._module.tmpdir)
        path = os.path.join(self._directory, "podman.sock")
        if os.path.exists(path):
            os.unlink(path)
        command = [program, "system", "service", f"--time={INACTIVITY}", f"unix://{path}"]
        self._process, self._said = None, ""
        self._thread = threading.Thread(target=self._run, args=(command,), name="longshore-podman", daemon=True)
        self._thread.start()
        self._wait(self._thread, path)
        return path

    def _run(self, command: list[str]) -> None:
        def begun(process: Any) -> None:
            self._process = process

        try:
            # data: so that it does not hold the standard input of the task, which may be an ssh connection.
            unused, out, err = self._module.run_command(
                command, data=" ", before_communicate_callback=begun, handle_exceptions=False, errors="replace"
            )
            self._said = err or out
        except Exception as exc:
            self._said = str(exc)

    def _wait(self, thread: threading.Thread, path: str) -> None:
        end = time.monotonic() + START
        while not _answers(path):
            if self._stop.is_set():
                raise Cancelled("stopped before the end")
            if not thread.is_alive():
                raise OciError(f"podman cannot start its API: {shown(self._said.strip()[-400:], 400) or 'it says nothing'}")
            if time.monotonic() > end:
                raise OciError(f"podman did not start its API within {START:.0f} seconds")
            time.sleep(0.02)


def _short_directory(usual: str) -> str:
    # Ansible removes its own directory, whatever becomes of this process; but a socket's path must be short.
    parent = usual if len(os.fsencode(usual)) < _PATH - 40 else None
    directory = tempfile.mkdtemp(prefix="podman-", dir=parent)
    if len(os.fsencode(directory)) < _PATH - 12:
        return directory
    os.rmdir(directory)
    return tempfile.mkdtemp(prefix="longshore-podman-", dir="/tmp")


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(path)
        except OSError:
            return False
    return True
