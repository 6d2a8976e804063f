# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with systemd, for tests of roles: started from images of Debian and Ubuntu, reached by Ansible.

with Machines() as machines, machines.start("bookworm", "server") as server:
    server.run(["apt-get", "install", "--yes", "docker-registry"])
    inventory = machines.inventory({"registry": [server]})
    machines.playbook("longshore.oci.registry", inventory, {"registry_name": "main"}).passed()
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from . import machine_images
from .machine import Machine
from .machine_daemon import NETWORK, MachineDaemon
from .playbooks import PlaybookRunner
from .process import ServerFailed, run

_REPOSITORY = pathlib.Path(os.path.abspath(__file__)).parents[2]
# As much as a sandbox can give, which is what services that lock themselves up and engines inside need. A sandbox without
# CAP_SYS_RESOURCE cannot start a privileged container.
# fmt: off
_OPTIONS = (
    "--stop-signal=SIGRTMIN+3", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--tmpfs=/run:exec", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec",
    # Engines inside cannot put their layers on layers.
    "--volume=/var/lib/docker", "--volume=/var/lib/containerd", "--volume=/var/lib/containers",
)
# fmt: on
# podman's units (quadlet) ask for control groups of the second version alone, and for a whole /proc and /sys.
_QUADLET = ("--security-opt=systempaths=unconfined", "--volume=/sys/fs/cgroup/unified:/sys/fs/cgroup:rw")
# Its containers get limits that a sandbox can set.
_CONTAINERS_CONF = """[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
"""
_IMPORT_SECONDS = 600.0
_MOST = 3


class Machines:
    """Machines on a Docker daemon of their own. Needs root.

    Args:
        directory: Where the daemon, inventories and playbooks are; by default a temporary one. Keep it short.
        cache: Where images of systems and packages that machines fetched are kept; by default ``cache/machines`` in the
            directory that ``LONGSHORE_WORK`` names, or in ``.work``.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, cache: str | os.PathLike[str] | None = None) -> None:
        work = pathlib.Path(os.environ.get("LONGSHORE_WORK", _REPOSITORY / ".work"))
        self.cache = pathlib.Path(cache) if cache is not None else work / "cache" / "machines"
        self._daemon = MachineDaemon(directory)
        self._stack = contextlib.ExitStack()
        self._count = 0

    def __enter__(self) -> Machines:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._daemon)
            self.directory = self._daemon.directory
            self.playbook = PlaybookRunner(self.directory / "ansible")
            self.cache.mkdir(parents=True, exist_ok=True)
            # Next to what is kept, since links do not cross file systems.
            self._fetched = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.cache, prefix=".packages-")))
            stack.callback(self._keep_packages)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    def start(self, release: str, name: str, *, quadlet: bool = False, options: Sequence[str] = ()) -> Machine:
        """Start a machine and wait until everything on it runs.

        Args:
            release: One of `machine_images.RELEASES`.
            name: By which the other machines and inventories know it.
            quadlet: Whether podman is to run its units there.
            options: Further options of ``docker run``.
        """
        if len(self._daemon.run("ps", "--quiet").split()) >= _MOST:
            raise ServerFailed(f"{_MOST} machines run already: remove one first")
        image = f"longshore/{release}"
        if not self._daemon.has_image(image):
            tarball = str(machine_images.tarball(release, self.cache))
            changes = ["--change", 'CMD ["/sbin/init"]', "--change", "ENV container=docker"]
            self._daemon.run("import", *changes, tarball, image, timeout=_IMPORT_SECONDS)
        self._count += 1
        machine = Machine(self._daemon, name, release, f"{self._daemon.prefix}.{self._count + 1}")
        # fmt: off
        self._daemon.run(
            "run", "--detach", "--name", name, "--hostname", name, "--network", NETWORK, "--ip", machine.address,
            *[option for option in _OPTIONS if not quadlet or "/sys/fs/cgroup" not in option], *(_QUADLET if quadlet else ()),
            "--volume", f"{self._packages(release, name)}:/var/cache/apt/archives", *options, image,
        )
        # fmt: on
        if machine.wait_booted() != "running":
            raise ServerFailed(f"{name} ({release}) has failed units: {', '.join(machine.failed_units())}")
        if quadlet:
            machine.write("/etc/containers/containers.conf.d/90-limits.conf", _CONTAINERS_CONF)
        return machine

    def inventory(
        self,
        groups: Mapping[str, Sequence[Machine]],
        variables: Mapping[str, Mapping[str, Any]] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> pathlib.Path:
        """Write an inventory and return its path.

        Args:
            groups: The machines of each group.
            variables: Variables of a group or a machine, by its name.
            path: Where to; by default a new file.
        """
        given = dict(variables or {})
        content: dict[str, Any] = {"all": {"vars": dict(given.pop("all", {})), "children": {}}}
        content["all"]["vars"].update(
            ansible_connection="community.docker.docker",
            ansible_docker_extra_args=f"--host={self._daemon.host}",
            ansible_python_interpreter="/usr/bin/python3",
        )
        for group, members in groups.items():
            hosts = {one.name: dict(given.pop(one.name, {})) for one in members}
            content["all"]["children"][group] = {"hosts": hosts, "vars": dict(given.pop(group, {}))}
        if given:
            raise ServerFailed(f"no group or machine of this inventory is called {', '.join(given)}")
        if path is None:
            path = self.directory / f"inventory-{len(list(self.directory.glob('inventory-*.json')))}.json"
        target = pathlib.Path(path)
        target.write_text(json.dumps(content, indent=2), encoding="utf-8")
        return target

    def _packages(self, release: str, name: str) -> pathlib.Path:
        """A directory for apt's packages on a machine, with all that earlier ones fetched.

        Each machine has its own, with links to the same files: apt holds a lock on it.
        """
        self._keep_packages()
        folder = self._fetched / release / f"{name}-{self._count}"
        folder.mkdir(parents=True)
        kept = self.cache / "packages" / release
        kept.mkdir(parents=True, exist_ok=True)
        run(["cp", "--recursive", "--link", "--no-target-directory", str(kept), str(folder)])
        return folder

    def _keep_packages(self) -> None:
        for package in self._fetched.glob("*/*/*.deb"):
            kept = self.cache / "packages" / package.parent.parent.name / package.name
            with contextlib.suppress(FileExistsError):
                os.link(package, kept)
