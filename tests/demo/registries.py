# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry, from wherever this machine has one."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from servers.process import Child, ServerFailed
from servers.registry import Registry

IMAGE = "docker.io/library/registry:2"
_NOTHING = (
    "no registry to demonstrate with: run this as root on Debian or Ubuntu (it installs the package docker-registry), "
    "or install docker or podman (it runs the image registry:2), or name registries of your own with --image and --to"
)


def available() -> str:
    """How a registry can be had: ``docker-registry``, ``docker`` or ``podman``. Raises ServerFailed, saying what to install."""
    if shutil.which("docker-registry"):
        return "docker-registry"
    for engine in ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    raise ServerFailed(_NOTHING)


def start(kind: str, directory: pathlib.Path, password: str) -> Registry:
    """A registry of that kind with TLS and the user ``demo``; start it with ``with``."""
    users = {"demo": password}
    if kind == "docker-registry":
        return Registry(directory, tls=True, users=users)
    return EngineRegistry(kind, directory, password)


class EngineRegistry(Registry):
    """`Registry`, run by docker or podman from the image registry:2."""

    def __init__(self, engine: str, directory: pathlib.Path, password: str) -> None:
        config = {
            "http": {"addr": ":5000"},
            "auth": {"htpasswd": {"realm": "longshore", "path": str(directory / "htpasswd")}},
        }
        super().__init__(directory, tls=True, config=config)
        self._engine = engine
        self._password = password

    def _start(self) -> None:
        # Not the htpasswd command, which only root can install where it is missing.
        import bcrypt

        hashed = bcrypt.hashpw(self._password.encode(), bcrypt.gensalt(6, prefix=b"2b")).decode()
        (self.directory / "htpasswd").write_text(f"demo:{hashed}\n", encoding="utf-8")
        command = [self._engine, "run", "--rm", "--name", f"longshore-demo-{os.getpid()}-{self.port}"]
        command += ["--publish", f"127.0.0.1:{self.port}:5000", "--volume", f"{self.directory}:{self.directory}"]
        self._child = Child([*command, IMAGE, "serve", str(self._path)], self.directory, "registry")
        # The engine may have to pull the image first.
        self._child.wait_ready(self._listens, 300)
