# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker daemon that runs machines, next to any other, and the network that they share.

Machines reach each other by name, the host reaches them by address, and they reach the outside through three rules of the
host's packet filter, which are taken away again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import re
import subprocess

from .process import Child, ServerFailed, run, working_directory

NETWORK = "machines"
# 10.213.N.0/24, the first that nobody here uses.
_PREFIX = "10.213"
# Three systems with engines and their images take 2 GiB.
_MUCH_MEMORY = 12 << 30
_LOCKS = pathlib.Path("/run/lock")
_STOP_SECONDS = 120.0


class MachineDaemon:
    """A Docker daemon with a bridge of its own. Needs root.

    Args:
        directory: Where its data, socket and log are; by default a temporary one. Keep it short: a socket's path has
            107 bytes at most.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._given_directory = directory
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> MachineDaemon:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "machines"))
            stack.callback(self._clear)
            self._use_memory()
            # fmt: off
            command = [
                # The daemon, and with it its machines, ends with the process that started it, however that ends.
                "setpriv", "--pdeathsig", "TERM",
                "dockerd", "--host", self.host, "--data-root", str(self.directory / "data"),
                "--exec-root", str(self.directory / "exec"), "--pidfile", str(self.directory / "dockerd.pid"),
                "--iptables=false", "--ip6tables=false", "--bridge=none",
            ]
            # fmt: on
            environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
            child = Child(command, self.directory, "dockerd", environment)
            stack.callback(child.stop)
            child.wait_ready(self._answers)
            stack.callback(self._remove_machines)
            self._make_network(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        """What to put into ``DOCKER_HOST``."""
        return f"unix://{self.directory / 'docker.sock'}"

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``docker ARGUMENTS`` against this daemon."""
        return ["docker", "--host", self.host, *arguments]

    def run(self, *arguments: str, timeout: float = 120.0) -> str:
        """``docker ARGUMENTS`` against this daemon: its output without the last newline."""
        return run(self.command(*arguments), timeout=timeout).decode().rstrip("\n")

    def has_image(self, name: str) -> bool:
        """Whether an image of this name has been imported."""
        return bool(self.run("image", "ls", "--quiet", name))

    def _make_network(self, stack: contextlib.ExitStack) -> None:
        number = self._take_number(stack)
        bridge = f"longshore{number}"
        self.prefix = f"{_PREFIX}.{number}"
        subnet = f"{self.prefix}.0/24"
        run(["ip", "link", "add", bridge, "type", "bridge"])
        stack.callback(run, ["ip", "link", "del", bridge])
        # fmt: off
        self.run(
            "network", "create", "--subnet", subnet, "--gateway", f"{self.prefix}.1",
            "--opt", f"com.docker.network.bridge.name={bridge}", NETWORK,
        )
        # fmt: on
        for rule in _rules(bridge, subnet):
            run(["iptables", "--wait", *(word.format("--append") for word in rule)])
            stack.callback(run, ["iptables", "--wait", *(word.format("--delete") for word in rule)])

    def _take_number(self, stack: contextlib.ExitStack) -> int:
        """A number for the bridge and its network that nobody else has, and that nobody takes while this process lives."""
        for number in range(1, 255):
            path, bridge = _LOCKS / f"longshore-machines-{number}.lock", f"longshore{number}"
            known = path.exists()
            lock = stack.enter_context(path.open("a+", encoding="utf-8"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if pathlib.Path("/sys/class/net", bridge).exists():
                if not known:
                    continue  # somebody else's, for all we know
                # Of one that was killed: its lock is gone, its bridge is not.
                lock.seek(0)
                _clear_away(bridge, f"{_PREFIX}.{number}.0/24", pathlib.Path(lock.read()))
            lock.truncate(0)
            lock.write(str(self.directory))
            lock.flush()
            return number
        raise ServerFailed("no number for a bridge is free")

    def _remove_machines(self) -> None:
        machines = self.run("ps", "--all", "--quiet").split()
        if machines:
            self.run("rm", "--force", "--volumes", *machines, timeout=_STOP_SECONDS)
        self.run("network", "rm", NETWORK)

    def _use_memory(self) -> None:
        """Have the systems in memory if there is plenty: to write and to remove their files is then a matter of seconds."""
        data = self.directory / "data"
        data.mkdir()
        available = re.search(r"(?m)^MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text(encoding="utf-8"))
        if available is not None and int(available[1]) * 1024 > _MUCH_MEMORY:
            run(["mount", "-t", "tmpfs", "-o", f"size={_MUCH_MEMORY // 2},mode=0711", "longshore", str(data)])

    def _clear(self) -> None:
        """Unmount what is left, so that the directory can be removed, and remove the systems in it."""
        _unmount_below(self.directory)
        run(["rm", "-rf", str(self.directory / "data"), str(self.directory / "exec")], timeout=_STOP_SECONDS * 5)

    def _answers(self) -> bool:
        command = self.command("version", "--format", "{{.Server.Version}}")
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _rules(bridge: str, subnet: str) -> list[list[str]]:
    """What the packet filter needs for machines to reach the outside; ``{}`` stands for what to do with the rule."""
    return [
        ["--table", "nat", "{}", "POSTROUTING", "--source", subnet, "!", "--out-interface", bridge, "--jump", "MASQUERADE"],
        ["{}", "FORWARD", "--in-interface", bridge, "--jump", "ACCEPT"],
        ["{}", "FORWARD", "--out-interface", bridge, "--jump", "ACCEPT"],
    ]


def _unmount_below(directory: pathlib.Path) -> None:
    mounts = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    for place in reversed([line.split()[1] for line in mounts]):
        if place.startswith(f"{directory}/"):
            run(["umount", "--lazy", place])


def _clear_away(bridge: str, subnet: str, directory: pathlib.Path) -> None:
    """Remove what a process left that was killed. Its daemon ended with it, and with that its machines."""
    for rule in _rules(bridge, subnet):
        subprocess.run(["iptables", "--wait", *(word.format("--delete") for word in rule)], capture_output=True, check=False)
    run(["ip", "link", "del", bridge])
    if directory.name and (directory / "data").exists():
        _unmount_below(directory)
        run(["rm", "-rf", str(directory)], timeout=_STOP_SECONDS * 5)
