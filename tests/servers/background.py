# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers in the background, for playbooks and shell scripts, described in a JSON file.

A specification is a list of objects, each with ``kind`` (``registry``, ``tokens``, ``dockerd`` or ``podman``), ``name``
(the kind if not given) and the keyword arguments of the class; a registry's ``token`` is the name of a ``tokens``
before it::

    [{"kind": "registry", "name": "plain"},
     {"kind": "registry", "name": "safe", "tls": true, "users": {"alice": "wonderland"}},
     {"kind": "tokens", "users": {"bob": "builder"}},
     {"kind": "registry", "name": "guarded", "token": "tokens"}]

The state file has ``pid``, the keeper's, and under ``servers`` for each name what a client needs to know.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .engines import Dockerd, Podman
from .process import STOP_SECONDS, ServerFailed, wait_until
from .registry import Registry
from .tokens import TokenServer

START_SECONDS = 90.0


def keep(specification: Sequence[Mapping[str, Any]], state: pathlib.Path) -> None:
    """Start servers, write ``state``, wait for SIGTERM or SIGINT, and stop them."""
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *unused: asked_to_stop.set())
    with contextlib.ExitStack() as stack:
        servers: dict[str, Any] = {}
        described: dict[str, dict[str, Any]] = {}
        for row in specification:
            settings = dict(row)
            kind = settings.pop("kind")
            name = settings.pop("name", kind)
            if kind == "registry" and "token" in settings:
                settings["token"] = servers[settings["token"]]
            servers[name] = stack.enter_context(_KINDS[kind](**settings))
            described[name] = {"kind": kind, **_describe(servers[name])}
        partial = state.with_name(f"{state.name}.{os.getpid()}")
        partial.write_text(json.dumps({"pid": os.getpid(), "servers": described}, indent=2), encoding="utf-8")
        partial.replace(state)
        asked_to_stop.wait()
        state.unlink()


def start(specification: Sequence[Mapping[str, Any]], state: pathlib.Path) -> dict[str, Any]:
    """Start a keeper in the background, and return its state once all servers are ready."""
    if state.exists():
        raise ServerFailed(f"{state} is there already: stop those servers first")
    log = state.with_name(f"{state.name}.log")
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", __package__, "keep", "--state", str(state.resolve()), json.dumps(specification)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=pathlib.Path(__file__).parents[len(__package__.split("."))],
        )

    def ready() -> bool:
        if keeper.poll() is not None:
            raise ServerFailed(f"the servers did not start: {log.read_text(errors='replace')[-3000:]}")
        return state.exists()

    try:
        wait_until(ready, "the set of servers", START_SECONDS)
    except ServerFailed:
        keeper.terminate()
        raise
    content: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    return content


def stop(state: pathlib.Path) -> None:
    """Stop the servers that ``state`` tells of, and wait until they have ended. Without a state there are none."""
    if not state.exists():
        return
    pid = json.loads(state.read_text(encoding="utf-8"))["pid"]
    end = time.monotonic() + 2 * STOP_SECONDS
    while alive(pid):
        if time.monotonic() > end:
            raise ServerFailed(f"process {pid} does not end")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    state.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def _describe(server: Registry | TokenServer | Dockerd | Podman) -> dict[str, Any]:
    facts: dict[str, Any] = {"directory": str(server.directory)}
    if isinstance(server, Registry):
        facts.update(
            host=server.host,
            port=server.port,
            url=server.url,
            users=server.users,
            ca=str(server.ca) if server.tls else None,
            storage=str(server.storage),
            access_log=str(server.access_log),
            pid=server.pid,
        )
    elif isinstance(server, TokenServer):
        facts.update(realm=server.realm, service=server.service, users=server.users)
        facts["ca"] = str(server.ca) if server.tls else None
    elif isinstance(server, Dockerd):
        facts.update(host=server.host, pid=server.pid)
    else:
        facts.update(root=str(server.graph_root), runroot=str(server.run_root), storage=server.storage)
    return facts


_KINDS: dict[str, Any] = {"registry": Registry, "tokens": TokenServer, "dockerd": Dockerd, "podman": Podman}
