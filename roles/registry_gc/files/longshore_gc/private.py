# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private registry: the same storage behind 127.0.0.1, with no users, no cache, no notifications, for one purpose."""

from __future__ import annotations

import contextlib
import json
import os
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

_PREFIX = ".gc-"
#: The parameters of S3 that a record calls otherwise than distribution does.
_NAMES = {"path": "rootdirectory", "root": "rootdirectory", "endpoint": "regionendpoint"}

#: Told how to remove a container before it is started.
Announce = Callable[[tuple[str, ...]], None]
Serving = contextlib.AbstractContextManager[Endpoint]


@contextlib.contextmanager
def serving(instance: Instance, lock: int | None, announce: Announce, *, delete: bool, seconds: float) -> Iterator[Endpoint]:
    """A registry over the instance's storage that deletes if ``delete`` and else is read-only."""
    config = configuration(instance, delete)

    def write(port: int) -> pathlib.Path:
        config["http"]["addr"] = f"127.0.0.1:{port}"
        handle, name = tempfile.mkstemp(dir=instance.config.parent, prefix=_PREFIX, suffix=".yml")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(config, stream)
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), instance.uid, instance.gid)
        return pathlib.Path(name)

    port = _free_port()
    path = write(port)
    try:
        with _running(instance, path, port, lock, announce, {}, seconds) as endpoint:
            yield endpoint
    finally:
        path.unlink()


@contextlib.contextmanager
def trial(instance: Instance, lock: int | None, announce: Announce, seconds: float) -> Iterator[Endpoint]:
    """The instance's own read-only configuration on 127.0.0.1, without its users and its certificate."""
    port = _free_port()
    further = {
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_HTTP_NET": "tcp",
        "REGISTRY_HTTP_TLS": "{}",
        "REGISTRY_HTTP_DEBUG_ADDR": "",
        "REGISTRY_AUTH": "none",
        "REGISTRY_NOTIFICATIONS": "{}",
    }
    with _running(instance, instance.readonly_config, port, lock, announce, further, seconds) as endpoint:
        yield endpoint


def sweep_leftovers(instance: Instance) -> None:
    """Remove configurations that a killed run has left."""
    for path in instance.config.parent.glob(f"{_PREFIX}*.yml"):
        path.unlink()


def configuration(instance: Instance, delete: bool) -> dict[str, Any]:
    """The configuration as far as it does not depend on the port. It holds no secret: those are in the environment."""
    given = {name: value for name, value in instance.storage.items() if name != "driver" and value is not None}
    parameters = {_NAMES.get(name, name): value for name, value in given.items()}
    if instance.storage["driver"] == "s3" and instance.third and "regionendpoint" in parameters:
        # 2.8 does so for every endpoint.
        parameters.setdefault("forcepathstyle", True)
    return {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            instance.storage["driver"]: parameters,
            "delete": {"enabled": delete},
            "redirect": {"disable": True},
            "maintenance": {
                "readonly": {"enabled": not delete},
                "uploadpurging": {"enabled": False, "age": "168h", "interval": "24h", "dryrun": False},
            },
        },
        "http": {"secret": secrets.token_hex(16)},
    }


@contextlib.contextmanager
def _running(
    instance: Instance,
    config: pathlib.Path,
    port: int,
    lock: int | None,
    announce: Announce,
    further: Mapping[str, str],
    seconds: float,
) -> Iterator[Endpoint]:
    command, removal = _command(instance, config, further)
    if removal:
        announce(removal)
    endpoint = Endpoint(Probe("127.0.0.1", port, False, None, None))
    with tempfile.TemporaryFile() as log:
        child = commands.start(instance, command, lock, log, {} if instance.in_container else further)
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
