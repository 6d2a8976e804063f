# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the registry binary, run once or as a private server, as the user who owns the storage."""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from .errors import CollectError
from .record import Instance

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Done(NamedTuple):
    """The end of a command: its exit code, standard output, and the end of its standard error."""

    code: int
    output: list[str]
    errors: str


def environment(instance: Instance, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the registry binary: that of the service, and nothing of the caller's for the host's binary."""
    if instance.in_container:
        # It is that of the container engine's client; the container gets its own by the command.
        return {**os.environ, **(further or {})}
    found = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/", "OTEL_TRACES_EXPORTER": "none"}
    if instance.environment_file is not None:
        found.update(read_environment(instance.environment_file))
    return {**found, **(further or {})}


def read_environment(path: pathlib.Path) -> dict[str, str]:
    """The variables of an environment file: ``NAME=value`` lines, values perhaps in quotes, comments."""
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[name] = value
    return found


def run(instance: Instance, arguments: Sequence[str], lock: int | None) -> Done:
    """Run ``command + arguments`` to its end.

    The child inherits ``lock``: if this process is killed, nobody takes the storage for free while the child works on
    it. A child on this host is killed with its parent besides.
    """
    command = [*instance.command, *arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with _start(instance, command, lock, output, errors, environment(instance)) as child:
            try:
                code = child.wait()
            except BaseException:
                child.terminate()
                child.wait()
                raise
        return Done(code, _text(output).splitlines(), _text(errors)[-4000:])


def start(
    instance: Instance, command: Sequence[str], lock: int | None, output: IO[bytes], further: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server of the registry binary; both its outputs go to ``output``."""
    return _start(instance, command, lock, output, output, environment(instance, further))


def _start(
    instance: Instance,
    command: Sequence[str],
    lock: int | None,
    output: IO[bytes],
    errors: IO[bytes],
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


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
