# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a secret could show while something runs and afterwards: process lists, the system's log, files, texts."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.longshore.oci.tests.interop.accounts import USER
from ansible_collections.longshore.oci.tests.servers.modules import ModuleRunner

SYSLOG = pathlib.Path("/dev/log")
#: User names that secrets go with: their Basic credentials are looked for as well.
USERS = (USER, "proxy-user", "")
# Larger files are images.
_LARGEST = 4 * 1024 * 1024


@contextlib.contextmanager
def again_and_again(look: Callable[[], None], pause: float) -> Iterator[None]:
    """A ``with`` block in which a thread looks every ``pause`` seconds."""
    end = threading.Event()

    def watch() -> None:
        while not end.wait(pause):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


class ProcessList:
    """The command lines of the processes whose home is ``home``, looked at again and again in a `watching` block."""

    def __init__(self, home: pathlib.Path) -> None:
        self._home = f"HOME={home}".encode()
        self.seen: set[str] = set()

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """See `again_and_again`."""
        return again_and_again(self._look, 0.05)

    def _look(self) -> None:
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if self._home in path.with_name("environ").read_bytes().split(b"\0"):
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))


class SystemLog:
    """What goes to the system's log, if nothing else on this machine listens there."""

    def __init__(self) -> None:
        #: Whether this is so.
        self.listens = not SYSLOG.exists()
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> SystemLog:
        if self.listens:
            self._socket.bind(str(SYSLOG))
            self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        if self.listens:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(SYSLOG))
            self._thread.join()
            SYSLOG.unlink()
        self._socket.close()

    def _read(self) -> None:
        # Whoever writes there waits as long as nobody reads.
        while line := self._socket.recv(65536):
            self.lines.append(line.decode(errors="replace"))


@dataclass(frozen=True)
class Ran:
    """A command that was watched. ``processes`` are command lines, ``logged`` is what the system's log got of it, None if
    something else listens there."""

    done: subprocess.CompletedProcess[bytes]
    processes: set[str]
    logged: str | None


def run_watched(module: ModuleRunner, command: Sequence[str], seconds: float = 300) -> Ran:
    """Run a command where `ModuleRunner` would. Its standard error is in its standard output."""
    processes = ProcessList(module.home)
    with processes.watching(), SystemLog() as log:
        done = subprocess.run(
            command,
            env=module.whole_environment(),
            cwd=module.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    return Ran(done, processes.seen, "\n".join(log.lines) if log.listens else None)


def spellings(secret: str) -> set[str]:
    """The forms in which a secret could be seen."""
    found = {secret, urllib.parse.quote(secret, safe=""), urllib.parse.unquote(secret), json.dumps(secret)[1:-1]}
    for user in USERS:
        for text in (secret, urllib.parse.unquote(secret)):
            found.add(base64.b64encode(f"{user}:{text}".encode()).decode().rstrip("="))
    return found


def found_in(text: str, secrets: Sequence[str]) -> list[str]:
    """What of the secrets is in ``text``, each with what stands around it."""
    rows = []
    for secret in secrets:
        for form in spellings(secret):
            place = text.find(form)
            if place >= 0:
                rows.append(f"{form!r} in ...{text[max(0, place - 200) : place + len(form) + 60]!r}")
    return rows


def found_in_files(paths: Iterable[pathlib.Path], secrets: Sequence[str]) -> list[str]:
    """What of the secrets is in files, and in those below directories. Files that go away meanwhile do not count."""
    rows = []
    for top in paths:
        for path in [top, *top.rglob("*")] if top.is_dir() else [top]:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if path.is_file() and path.stat().st_size <= _LARGEST:
                    rows += [f"{path}: {row}" for row in found_in(path.read_bytes().decode(errors="replace"), secrets)]
    return rows


class Files:
    """Directories in which no secret may lie at any time, looked at again and again in a `watching` block."""

    def __init__(self, directories: Iterable[pathlib.Path], secrets: Sequence[str]) -> None:
        self._directories = list(directories)
        self._secrets = list(secrets)
        #: What was found.
        self.rows: list[str] = []
        #: Names of all the files that there were.
        self.seen: set[str] = set()

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """See `again_and_again`."""
        return again_and_again(self._look, 0.15)

    def _look(self) -> None:
        for directory in self._directories:
            with contextlib.suppress(OSError):
                self.seen.update(path.name for path in directory.rglob("*"))
        self.rows += found_in_files(self._directories, self._secrets)
