# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private registry: the same storage behind 127.0.0.1, with no users, no cache, no notifications, for one purpose.

It reads the instance's own configuration, with what is private about it laid over by variables of the environment.
"""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import commands
from .errors import CollectError
from .probe import Endpoint
from .record import Instance, Probe

# Whole sections, since single keys below some of them are not heeded (storage.maintenance) or add to what is there.
_PRIVATE = {
    "REGISTRY_AUTH": "none",
    "REGISTRY_HEALTH": "{}",
    "REGISTRY_HTTP_DEBUG": "{}",
    "REGISTRY_HTTP_NET": "tcp",
    "REGISTRY_HTTP_TLS": "{}",
    "REGISTRY_LOG_LEVEL": "error",
    "REGISTRY_NOTIFICATIONS": "{}",
    "REGISTRY_PROXY": "{}",
    "REGISTRY_STORAGE_CACHE": "{}",
    "REGISTRY_STORAGE_REDIRECT": "{disable: true}",
}

#: Told how to remove a container before it is started.
Announce = Callable[[tuple[str, ...]], None]
Serving = contextlib.AbstractContextManager[Endpoint]


@contextlib.contextmanager
def serving(instance: Instance, announce: Announce, *, delete: bool, seconds: float) -> Iterator[Endpoint]:
    """The instance's own configuration on 127.0.0.1: the one that takes writes, with deletes, or else the read-only one.

    It does not inherit the lock: left behind in a container it would hold it for ever, and by itself it changes nothing.
    """
    further = {"REGISTRY_STORAGE_DELETE": "{enabled: true}"} if delete else {}
    config = instance.readwrite if delete else instance.readonly_config
    with _running(instance, config, announce, further, seconds) as endpoint:
        yield endpoint


@contextlib.contextmanager
def _running(
    instance: Instance,
    config: pathlib.Path,
    announce: Announce,
    further: Mapping[str, str],
    seconds: float,
) -> Iterator[Endpoint]:
    port = _free_port()
    variables = {**_PRIVATE, "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}", **further}
    command, removal = _command(instance, config, variables)
    if removal:
        announce(removal)
    endpoint = Endpoint(Probe("127.0.0.1", port, False, None, None))
    with tempfile.TemporaryFile() as log:
        child = commands.start(instance, command, log, {} if instance.in_container else variables)
        try:
            _wait(child, endpoint, log, seconds)
            yield endpoint
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if removal:
                remove_container(removal)


def remove_container(removal: Sequence[str]) -> None:
    """Remove a container by the command that was announced; it may have gone by itself."""
    subprocess.run(list(removal), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)


def _wait(child: subprocess.Popen[bytes], endpoint: Endpoint, log: Any, seconds: float) -> None:
    try:
        endpoint.wait(seconds)
    except CollectError as error:
        log.seek(0)
        words = log.read()[-1500:].decode(errors="replace").strip()
        raise CollectError(f"the private registry did not start (exit code {child.poll()}): {error}; {words}") from error


def _command(instance: Instance, config: pathlib.Path, further: Mapping[str, str]) -> tuple[list[str], tuple[str, ...]]:
    """The command that serves ``config``, and what removes its container, if it is one."""
    serve = list(instance.serve)
    if not instance.in_container:
        return [*serve, "serve", str(config)], ()
    place = serve.index("run") + 1
    name = f"longshore-gc-{secrets.token_hex(6)}"
    options = ["--name", name]
    for key, value in further.items():
        options += ["--env", f"{key}={value}"]
    serve[place:place] = options
    return [*serve, "serve", str(config)], (*serve[: place - 1], "rm", "--force", name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
