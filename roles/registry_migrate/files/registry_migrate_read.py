# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about a registry that runs by hand, as JSON on the standard output. Reads only.

registry_migrate_read.py container NAME KEPT_NAME [FILE]
registry_migrate_read.py package CONFIGURATION UNIT [FILE]

FILE is a path as the registry has it, such as that of its users: the answer has its text as ``file``.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from typing import Any

_CONFIGURATIONS = ("/etc/docker/registry/config.yml", "/etc/distribution/config.yml")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def run(*command: str) -> tuple[int, bytes]:
    """The status and the output of a command."""
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stdout


def series(*command: str) -> str:
    """The series of a registry, by the version that it tells."""
    told = re.search(rb"\sv?([23])\.", run(*command)[1])
    return "3" if told and told.group(1) == b"3" else "2.8"


def read_file(path: str) -> str | None:
    """The text of a file of the host."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def read_inside(container: str, path: str) -> str | None:
    """The text of a file in a container, running or not."""
    status, data = run("docker", "cp", "--follow-link", f"{container}:{path}", "-")
    if status:
        return None
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        first = archive.next()
        # A directory is no file, whatever is in it.
        file = archive.extractfile(first) if first is not None and first.isfile() else None
        return None if file is None else file.read().decode("utf-8", "replace")


def container(name: str, kept: str, file: str) -> dict[str, Any]:
    """A container, by its name or by the one it has once it is taken over."""
    found: dict[str, Any] = {}
    for one in (name, kept):
        status, data = run("docker", "container", "inspect", one)
        if status == 0:
            found = json.loads(data)[0]
            break
    if not found:
        return {"found": ""}
    settings, state, host = found["Config"], found["State"], found["HostConfig"]
    environment = dict(one.partition("=")[::2] for one in settings.get("Env") or [])
    arguments = [one for one in found.get("Args") or [] if one.endswith((".yml", ".yaml"))]
    mounts = {one["Destination"]: one["Source"] for one in found.get("Mounts") or [] if one.get("Source")}
    anonymous = [
        one["Source"]
        for one in found.get("Mounts") or []
        if one.get("Type") == "volume" and _ANONYMOUS.fullmatch(one.get("Name") or "")
    ]
    given = [environment.get("REGISTRY_CONFIGURATION_PATH", ""), *arguments]
    paths = [path for path in given if path] or list(_CONFIGURATIONS)
    texts = [(path, read_inside(found["Id"], path)) for path in paths]
    path, text = next((row for row in texts if row[1] is not None), ("", None))
    ports: dict[str, list[list[Any]]] = {}
    # A container that is stopped publishes nothing: it is what it was started with that counts.
    for inside, places in (host.get("PortBindings") or {}).items():
        rows = [one for one in places or [] if one.get("HostPort")]
        ports[inside.partition("/")[0]] = [[one.get("HostIp", ""), int(one["HostPort"])] for one in rows]
    return {
        "found": one,
        "kept": one == kept and one != name,
        "running": bool(state.get("Running")),
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "image": settings["Image"],
        "user": settings.get("User") or "",
        "environment": {key: value for key, value in environment.items() if key.startswith("REGISTRY_")},
        "config_path": path,
        "config": text,
        "mounts": mounts,
        "anonymous_volumes": anonymous,
        "ports": ports,
        "host_network": host.get("NetworkMode") == "host",
        "series": series("docker", "run", "--rm", "--network", "none", settings["Image"], "--version"),
        "file": read_inside(found["Id"], file) if file else None,
    }


def package(path: str, unit: str, file: str) -> dict[str, Any]:
    """The package's registry, under systemd."""
    text = read_file(path)
    if text is None:
        return {"found": ""}
    shown = run("systemctl", "show", unit, "--property=Environment", "--value")[1].decode()
    environment = dict(one.partition("=")[::2] for one in shlex.split(shown))
    return {
        "found": path,
        "kept": False,
        "running": run("systemctl", "is-active", "--quiet", unit)[0] == 0,
        "enabled": run("systemctl", "is-enabled", unit)[1].decode().strip(),
        "environment": {key: value for key, value in environment.items() if key.startswith("REGISTRY_")},
        "config_path": path,
        "config": text,
        "series": series("docker-registry", "--version"),
        "file": read_file(file) if file and os.path.isfile(file) else None,
    }


def main(arguments: list[str]) -> None:
    """Print what is found."""
    kind, first, second, *file = arguments
    result = (container if kind == "container" else package)(first, second, file[0] if file else "")
    json.dump({"kind": kind, **result}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
