# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in processes of their own, whose memory and threads are looked at while they run."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.longshore.oci.tests.servers.modules import ModuleFailed, ModuleRunner

_INTERVAL = 0.02
_TIMEOUT = 3600


class Measured(NamedTuple):
    """What a module gave, and what it took."""

    result: Mapping[str, Any]
    #: Most memory that the process held, in bytes.
    peak: int
    #: Most threads at one time.
    threads: int
    seconds: float
    #: Between the result and the end of the process.
    seconds_to_end: float

    @classmethod
    def run(cls, runner: ModuleRunner, name: str, /, **options: Any) -> Measured:
        """Run a module to its end. Raises `ModuleFailed` if it fails."""
        measured = cls.start(runner, name, **options).wait()
        if measured.result.get("failed"):
            raise ModuleFailed(str(measured.result.get("msg")))
        return measured

    @staticmethod
    def start(runner: ModuleRunner, name: str, /, **options: Any) -> Running:
        """Start a module; several may run at once."""
        return Running(runner, name, options)


class Running:
    """A module at work."""

    def __init__(self, runner: ModuleRunner, name: str, options: Mapping[str, Any]) -> None:
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            runner.command(name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=runner.whole_environment(),
            cwd=runner.home,
        )
        self._peak = self._threads = 0
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()
        self._give(runner.arguments(**options))

    def _give(self, arguments: str) -> None:
        if self._process.stdin is None:
            raise ModuleFailed("it has no standard input")
        self._process.stdin.write(arguments)
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def _watch(self) -> None:
        # The high water mark is that of the program, not of the one that started it, as getrusage's would be.
        status = pathlib.Path(f"/proc/{self._process.pid}/status")
        while self._process.returncode is None:
            try:
                text = status.read_text(encoding="utf-8")
            except OSError:
                return
            for key, value in re.findall(r"^(VmHWM|Threads):\s+(\d+)", text, re.MULTILINE):
                if key == "Threads":
                    self._threads = max(self._threads, int(value))
                else:
                    self._peak = max(self._peak, int(value) * 1024)
            time.sleep(_INTERVAL)

    def wait(self) -> Measured:
        """Wait for its end. Raises `ModuleFailed` if it ends without a result."""
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            raise ModuleFailed("it has no standard output")
        killer = threading.Timer(_TIMEOUT, self._process.kill)
        killer.start()
        try:
            # One line; it is flushed before the process ends.
            line = stdout.readline()
            told = time.monotonic()
            rest, errors = stdout.read(), stderr.read()
            status = self._process.wait()
            ended = time.monotonic()
        finally:
            killer.cancel()
            stdout.close()
            stderr.close()
        self._watching.join()
        if not (line.strip() or rest).lstrip().startswith("{"):
            raise ModuleFailed(f"it ended with {status}: {line}{rest}{errors}")
        result = json.loads(line if line.strip() else rest)
        return Measured(result, self._peak, self._threads, ended - self._begun, ended - told)
