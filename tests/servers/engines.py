# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker daemon and a podman storage that are nobody else's. Both need root."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from .certificates import Authority
from .process import Child, free_port, run, working_directory

# Limits that a container gets: in a sandbox without CAP_SYS_RESOURCE podman's defaults cannot be set.
_PODMAN_ULIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")


class Dockerd:
    """A Docker daemon on a socket of its own, with no network but the host's.

    Args:
        directory: Where its data, socket and log are; by default a temporary one. Keep it short: a socket's path has
            107 bytes at most.
        insecure_registries: ``HOST:PORT`` to use without TLS. Loopback ones are so by themselves.
        options: Further options of dockerd.
        tls: Whether it also listens on a port of 127.0.0.1, with TLS and for clients whose certificate is of the same
            authority. They are then in `certificates`, named as docker names them, and the port is in `tls_host`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        insecure_registries: Sequence[str] = (),
        options: Sequence[str] = (),
        tls: bool = False,
    ) -> None:
        self._given_directory = directory
        self._options = [f"--insecure-registry={host}" for host in insecure_registries] + list(options)
        self._port = free_port() if tls else 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Dockerd:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "dockerd"))
            tls = self._tls() if self._port else []
            # fmt: off
            command = [
                "dockerd", *tls, "--host", self.host, "--data-root", str(self.directory / "data"),
                "--exec-root", str(self.directory / "exec"), "--pidfile", str(self.directory / "dockerd.pid"),
                # What works in a sandbox too: no kernel filesystem, no firewall rule, no bridge.
                "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", *self._options,
            ]
            # fmt: on
            environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
            child = Child(command, self.directory, "dockerd", environment)
            # Called last: a container with the host's network leaves a mount behind.
            stack.callback(self._unmount)
            stack.callback(child.stop)
            child.wait_ready(self._answers)
            self.pid = child.pid
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def socket(self) -> pathlib.Path:
        """The daemon's socket."""
        return self.directory / "docker.sock"

    @property
    def host(self) -> str:
        """What to put into ``DOCKER_HOST``."""
        return f"unix://{self.socket}"

    @property
    def tls_host(self) -> str:
        """``HOST:PORT`` where it speaks TLS."""
        return f"127.0.0.1:{self._port}"

    @property
    def certificates(self) -> pathlib.Path:
        """A directory with ``ca.pem``, ``cert.pem`` and ``key.pem``, as ``DOCKER_CERT_PATH`` has it."""
        return self.directory / "certificates"

    def kill(self) -> None:
        """End it at once, as a crash would. What it stored is still there for another one on the same directory."""
        os.kill(self.pid, signal.SIGKILL)

    def run(self, *arguments: str) -> str:
        """``docker ARGUMENTS`` against this daemon: its output without the last newline."""
        return run(["docker", "--host", self.host, *arguments]).decode().rstrip("\n")

    def inspect(self, image: str) -> dict[str, Any]:
        """What the daemon says of an image."""
        answer: dict[str, Any] = json.loads(self.run("image", "inspect", image))[0]
        return answer

    def run_container(self, image: str, *command: str, network: str = "none") -> str:
        """Start a container, wait for its end, remove it, and return what it printed. Networks: ``none``, ``host``."""
        return self.run("run", "--rm", f"--network={network}", image, *command)

    def _tls(self) -> list[str]:
        self.certificates.mkdir(exist_ok=True)
        authority = Authority(self.certificates)
        server, client = authority.server(), authority.client("client")
        shutil.copy(authority.certificate, self.certificates / "ca.pem")
        client.certificate.replace(self.certificates / "cert.pem")
        client.key.replace(self.certificates / "key.pem")
        # fmt: off
        return [
            "--host", f"tcp://{self.tls_host}", "--tlsverify", "--tlscacert", str(self.certificates / "ca.pem"),
            "--tlscert", str(server.certificate), "--tlskey", str(server.key),
        ]
        # fmt: on

    def _unmount(self) -> None:
        mounts = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for place in reversed([line.split()[1] for line in mounts]):
            if place.startswith(f"{self.directory}/"):
                run(["umount", place])

    def _answers(self) -> bool:
        command = ["docker", "--host", self.host, "version", "--format", "{{.Server.Version}}"]
        return self.socket.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


class Podman:
    """Podman as root on a storage of its own (driver vfs).

    Args:
        directory: Where storage and run state are; by default a temporary one.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._given_directory = directory
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Podman:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "podman"))
            stack.callback(self._clear)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def graph_root(self) -> pathlib.Path:
        """The storage (podman's ``--root``)."""
        return self.directory / "root"

    @property
    def run_root(self) -> pathlib.Path:
        """The run state (podman's ``--runroot``)."""
        return self.directory / "run"

    @property
    def storage(self) -> str:
        """This storage, as ``containers-storage:`` references name it: ``[vfs@ROOT+RUNROOT]``."""
        return f"[vfs@{self.graph_root}+{self.run_root}]"

    def run(self, *arguments: str) -> str:
        """``podman ARGUMENTS`` on this storage: its output without the last newline."""
        # fmt: off
        command = [
            "podman", "--root", str(self.graph_root), "--runroot", str(self.run_root), "--storage-driver", "vfs",
            "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc", *arguments,
        ]
        # fmt: on
        return run(command).decode().rstrip("\n")

    @property
    def environment(self) -> dict[str, str]:
        """What makes any ``podman`` use this storage."""
        storage, engine = self.directory / "storage.conf", self.directory / "containers.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{self.graph_root}"\nrunroot = "{self.run_root}"\n', encoding="utf-8"
        )
        engine.write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n', encoding="utf-8")
        return {"CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(engine)}

    @contextlib.contextmanager
    def service(self) -> Iterator[str]:
        """Podman's API on a socket, as ``podman.socket`` of systemd has it: ``unix://PATH``."""
        socket = self.directory / "podman.sock"
        environment = {**os.environ, **self.environment}
        # With this level it writes down what it is asked.
        command = ["podman", "--log-level=info", "system", "service", "--time=0", f"unix://{socket}"]
        child = Child(command, self.directory, "service", environment)
        try:
            child.wait_ready(socket.exists)
            yield f"unix://{socket}"
        finally:
            child.stop()
            socket.unlink(missing_ok=True)

    def inspect(self, image: str) -> dict[str, Any]:
        """What podman says of an image."""
        answer: dict[str, Any] = json.loads(self.run("image", "inspect", image))[0]
        return answer

    def run_container(self, image: str, *command: str) -> str:
        """Start a container with no network, wait for its end, remove it, and return what it printed."""
        return self.run("run", "--rm", "--network=none", *_PODMAN_ULIMITS, image, *command)

    def _clear(self) -> None:
        """Unmount and remove everything, so that the directory can be removed."""
        self.run("rm", "--all", "--force")
        self.run("image", "rm", "--all", "--force")
