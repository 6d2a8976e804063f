# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that serve something, and the waiting for them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

READY_SECONDS = 30.0
STOP_SECONDS = 15.0


class ServerFailed(Exception):
    """A server did not start, or a tool that it needs failed. The message holds the end of what it printed."""


def run(command: Sequence[str], *, stdin: bytes | None = None, timeout: float = 120.0) -> bytes:
    """Run a command to its end and return its standard output; `ServerFailed` if it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()
        raise ServerFailed(f"{' '.join(command[:3])} ... ended with {done.returncode}: {text[-2000:]}")
    return done.stdout


def free_port(address: str = "127.0.0.1") -> int:
    """A port of ``address`` that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Ask ``ready`` until it says yes; `ServerFailed` once ``seconds`` have passed."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise ServerFailed(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.02)


@contextlib.contextmanager
def working_directory(directory: str | os.PathLike[str] | None, prefix: str) -> Iterator[pathlib.Path]:
    """``directory``, made if need be and kept, or a new one that is removed afterwards."""
    if directory is not None:
        path = pathlib.Path(directory).resolve()
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"longshore-{prefix}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Child:
    """A process in a group of its own, whose standard output and error go to files.

    Args:
        command: What to run.
        directory: Where ``NAME.out`` and ``NAME.err`` go.
        name: For those files and for messages.
        environment: The whole environment; this process's own if not given.
    """

    def __init__(
        self, command: Sequence[str], directory: pathlib.Path, name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.output = directory / f"{name}.out"
        self.errors = directory / f"{name}.err"
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def wait_ready(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Wait until ``ready`` says yes; `ServerFailed` if it takes too long or the process ends first."""

        def alive_and_ready() -> bool:
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self._process.returncode}: {self._last_words()}")
            return ready()

        try:
            wait_until(alive_and_ready, self.name, seconds)
        except ServerFailed:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, gently first, and whatever it started that is still in its group."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nothing was left of it, as it should be

    def _last_words(self) -> str:
        return self.errors.read_text(errors="replace")[-2000:].strip()
