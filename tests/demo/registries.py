# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real registries, from wherever this machine has one, with what the role registry made for them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

from servers.process import Child, ServerFailed
from servers.registry import Registry

IMAGE = "docker.io/library/registry:2"
PACKAGED = "docker-registry"
_NOTHING = (
    "no registry to demonstrate with: run this as root on Debian or Ubuntu (it installs the package docker-registry), "
    "or install docker or podman (it runs the image registry:2), or name registries of your own with --image and --to"
)


def available() -> str:
    """How a registry can be had: ``docker-registry``, ``docker`` or ``podman``. Raises ServerFailed, saying what to install."""
    if shutil.which(PACKAGED):
        return PACKAGED
    for engine in ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    raise ServerFailed(_NOTHING)


def variables(kind: str, directory: pathlib.Path, ports: dict[str, int], password: str) -> dict[str, object]:
    """What registries.yml needs to make the instances of ``ports`` (names to ports) below ``directory``."""
    # In a container it listens on all of the container's addresses, and the engine publishes on loopback alone.
    packaged = kind == PACKAGED
    return {
        "registries_instances": [{"name": name, "port": port} for name, port in ports.items()],
        "registries_directory": str(directory),
        "registries_bind": "127.0.0.1" if packaged else "",
        "registries_binary": shutil.which(PACKAGED) if packaged else "",
        "registries_password": password,
    }


class Instance(Registry):
    """A registry that runs with what the role registry made for one instance, started by ``with``.

    Args:
        kind: What `available` says.
        directory: The directory that `variables` was called with.
        name: The instance.
    """

    def __init__(self, kind: str, directory: pathlib.Path, name: str) -> None:
        super().__init__(directory, tls=True)
        record = directory / "etc" / name / "instance.json"
        self._kind = kind
        self._record = json.loads(record.read_text(encoding="utf-8"))
        self.directory = directory / "run" / name
        self.port = self._record["probe"]["port"]

    def __enter__(self) -> Instance:
        self.directory.mkdir(parents=True)
        self._start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stop()

    @property
    def ca(self) -> pathlib.Path:
        """The authority that the role made."""
        return pathlib.Path(self._record["probe"]["ca"])

    def _start(self) -> None:
        config, secrets = self._record["config"], self._record["environment_file"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        if self._kind == PACKAGED:
            lines = pathlib.Path(secrets).read_text(encoding="utf-8").splitlines()
            environment.update(line.split("=", 1) for line in lines)
            self._child = Child([PACKAGED, "serve", config], self.directory, "registry", environment)
            self._child.wait_ready(self._listens)
            return
        command = [self._kind, "run", "--rm", "--name", f"longshore-demo-{os.getpid()}-{self.port}", "--env-file", secrets]
        command += ["--publish", f"127.0.0.1:{self.port}:{self.port}"]
        for path in (str(pathlib.Path(config).parent), self._record["storage"]["path"]):
            command += ["--volume", f"{path}:{path}"]
        self._child = Child([*command, IMAGE, "serve", config], self.directory, "registry")
        # The engine may have to pull the image first.
        self._child.wait_ready(self._listens, 300)
