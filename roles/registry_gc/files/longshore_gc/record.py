# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that the role registry leaves for each instance (instance.json, version 1)."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

from .errors import UsageError

VERSION = 1
CONTAINERS = ("container", "quadlet")


class Probe(NamedTuple):
    """How to reach an instance from its own host. ``ca`` is a file, or None for the system's authorities."""

    host: str
    port: int
    tls: bool
    server_name: str | None
    ca: str | None


class Control(NamedTuple):
    """Commands that start and stop an instance. ``restart`` and ``active`` may be empty."""

    start: tuple[str, ...]
    stop: tuple[str, ...]
    restart: tuple[str, ...] = ()
    active: tuple[str, ...] = ()


class Instance(NamedTuple):
    """One registry process and its storage; the fields of instance.json."""

    source: pathlib.Path
    name: str
    deployment: str
    series: str
    readonly: bool
    proxy: bool
    probe: Probe
    config: pathlib.Path
    readwrite: pathlib.Path
    readonly_config: pathlib.Path
    environment_file: pathlib.Path | None
    uid: int
    gid: int
    storage: dict[str, Any]
    cache: dict[str, Any]
    htpasswd: str | None
    command: tuple[str, ...]
    serve: tuple[str, ...]
    control: Control | None
    peers: tuple[pathlib.Path, ...]
    lock: pathlib.Path
    sentinel: pathlib.Path | None

    @property
    def root(self) -> pathlib.Path | None:
        """The directory above ``docker/registry/v2`` of a storage in the file system, or None."""
        return pathlib.Path(self.storage["path"]) if self.storage["driver"] == "filesystem" else None

    @property
    def in_container(self) -> bool:
        """Whether ``command`` and ``serve`` start containers."""
        return self.deployment in CONTAINERS

    @property
    def third(self) -> bool:
        """Whether this is distribution 3.x."""
        return self.series.split(".")[0] == "3"


def load(path: pathlib.Path) -> Instance:
    """Read a record; `UsageError` if there is none or it cannot be understood."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: set the registry up with the role longshore.oci.registry first") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION:
        raise UsageError(f"{path} has version {version!r}, but this program reads version {VERSION}: run both roles of one release")
    try:
        return _instance(path, data)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a complete record: {type(error).__name__} {error}") from error


def siblings(instance: Instance) -> list[Instance]:
    """The other instances of the same storage on this host: those declared as peers, and those that share the lock."""
    found: dict[str, Instance] = {}
    neighbours = sorted(instance.source.parent.parent.glob("*/instance.json"))
    for path in (*instance.peers, *neighbours):
        if path.resolve() == instance.source.resolve() or str(path.resolve()) in found:
            continue
        other = load(path)
        if other.lock == instance.lock:
            found[str(path.resolve())] = other
        elif path in instance.peers:
            raise UsageError(f"{path} is a peer of {instance.name}, but has another lock: both have to have the same storage")
    return list(found.values())


def _instance(path: pathlib.Path, data: dict[str, Any]) -> Instance:
    storage, probe, control = data["storage"], data["probe"], data["control"]
    if storage["driver"] == "filesystem":
        pathlib.Path(storage["path"])
    readwrite = pathlib.Path(data["readwrite"])
    environment, sentinel = data.get("environment_file"), data.get("sentinel")
    return Instance(
        source=path,
        name=data["name"],
        deployment=data["deployment"],
        series=str(data["series"]),
        readonly=bool(data["readonly"]),
        proxy=bool(data.get("proxy")) or _has_proxy(readwrite),
        probe=Probe(probe["host"], int(probe["port"]), bool(probe["tls"]), probe.get("server_name"), probe.get("ca")),
        config=pathlib.Path(data["config"]),
        readwrite=readwrite,
        readonly_config=pathlib.Path(data["readonly_config"]),
        environment_file=pathlib.Path(environment) if environment else None,
        uid=int(data["uid"]),
        gid=int(data["gid"]),
        storage=storage,
        cache=data.get("cache") or {"kind": "none"},
        htpasswd=data.get("htpasswd"),
        command=tuple(data["command"]),
        serve=tuple(data["serve"]),
        control=None
        if control is None
        else Control(
            tuple(control["start"]), tuple(control["stop"]), tuple(control.get("restart") or ()), tuple(control.get("active") or ())
        ),
        peers=tuple(pathlib.Path(one) for one in data.get("peers") or ()),
        lock=pathlib.Path(data["lock"]),
        sentinel=pathlib.Path(sentinel) if sentinel else None,
    )


def _has_proxy(config: pathlib.Path) -> bool:
    # A proxy writes when it is read from. Its section stands at the left margin of a rendered configuration; JSON is
    # YAML too, and then the key is in quotes.
    try:
        text = config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    if text.lstrip().startswith("{"):
        try:
            return bool(json.loads(text).get("proxy"))
        except ValueError:
            return '"proxy"' in text
    return any(line.split(":")[0].strip("\"'") == "proxy" for line in text.splitlines() if ":" in line)
