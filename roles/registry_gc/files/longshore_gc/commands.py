# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the registry binary, run once or as a private server, as the user who owns the storage."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, TypeVar, Union

from . import environment_file
from .errors import CollectError
from .record import Instance

_PR_SET_PDEATHSIG = 1
_TAIL_LINES = 20
_LIBC = ctypes.CDLL(None, use_errno=True)

Read = TypeVar("Read")
_Stream = Union[IO[bytes], int]


def environment(instance: Instance, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the registry binary: that of the service, and nothing of the caller's for the host's binary."""
    if instance.in_container:
        # It is that of the container engine's client; the container gets its own by the command.
        return {**os.environ, **(further or {})}
    found = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/", "OTEL_TRACES_EXPORTER": "none"}
    found.update(environment_file.read(instance.environment_file))
    return {**found, **(further or {})}


def run(instance: Instance, arguments: Sequence[str], lock: int | None, read: Callable[[Iterator[str]], Read]) -> Read:
    """Run ``command + arguments`` to its end, and give what ``read`` makes of its lines. `CollectError` if it fails.

    The child inherits ``lock``: if this process is killed, nobody takes the storage for free while the child works on
    it. A child on this host is killed with its parent besides.
    """
    child = _start(instance, [*instance.command, *arguments], lock, subprocess.PIPE, subprocess.PIPE, environment(instance))
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with child:
        try:
            streams = _Streams(child)
            thread = threading.Thread(target=lambda: tail.extend(streams.errors()), daemon=True)
            thread.start()
            result: Read | None = None
            trouble = None
            try:
                result = read(streams.lines())
            except CollectError as error:
                trouble = error
            for dummy in streams.lines():
                continue
            code = child.wait()
            thread.join()
        except BaseException:
            child.terminate()
            raise
    if code:
        raise CollectError(f"{' '.join(arguments)} ended with {code}: {' '.join(tail).strip()[-2000:]}")
    if trouble is not None or result is None:
        raise trouble or CollectError(f"{' '.join(arguments)} printed nothing")
    return result


def start(
    instance: Instance, command: Sequence[str], output: IO[bytes], further: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server of the registry binary; both its outputs go to ``output``."""
    return _start(instance, command, None, output, output, environment(instance, further))


def _start(
    instance: Instance,
    command: Sequence[str],
    lock: int | None,
    output: _Stream,
    errors: _Stream,
    variables: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if os.geteuid() == 0 and not instance.in_container:
        identity = {"user": instance.uid, "group": instance.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=dict(variables),
            cwd="/",
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
            # The client of a container engine does not take its container along, so it had better live on with the lock.
            preexec_fn=None if instance.in_container else _die_with(os.getpid()),
            **identity,
        )
    except OSError as error:
        raise CollectError(f"{command[0]} cannot be run: {error}") from error


def _die_with(parent: int) -> Callable[[], None]:
    def preexec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return preexec


class _Streams:
    """A child's outputs as lines."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdout is None or child.stderr is None:
            raise ValueError("the child has no pipes")
        self._output, self._errors = child.stdout, child.stderr

    def lines(self) -> Iterator[str]:
        """Standard output."""
        for line in self._output:
            yield line.decode(errors="replace").rstrip("\n")

    def errors(self) -> Iterator[str]:
        """Standard error."""
        for line in self._errors:
            yield line.decode(errors="replace").rstrip("\n")
