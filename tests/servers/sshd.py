# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenSSH server on the loopback, for tests of what runs over ssh."""

from __future__ import annotations

import getpass
import os
import pathlib
import socket
from typing import Any

from .process import Child, free_port, run, working_directory


class Sshd:
    """A server that lets one new key in as the user who runs the tests; started on entering its ``with`` block.

    It needs to run as root, which OpenSSH's server does to be of any use.
    """

    def __enter__(self) -> Sshd:
        self._place = working_directory(None, "sshd")
        self.directory = self._place.__enter__()
        self.port = free_port()
        self.key = self.directory / "key"
        host_key = self.directory / "host_key"
        for path in (self.key, host_key):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)])
        # Where it puts its children before anybody has logged in; Debian makes it when the service starts.
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = self.directory / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {host_key}\n"
            f"AuthorizedKeysFile {self.key}.pub\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n"
            f"SetEnv PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8\n",
            encoding="utf-8",
        )
        self._child = Child(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], self.directory, "sshd")
        self._child.wait_ready(self._listens)
        return self

    def __exit__(self, *unused: object) -> None:
        self._child.stop()
        self._place.__exit__(None, None, None)

    def variables(self) -> dict[str, Any]:
        """What a host has to know in Ansible's inventory to be this machine, by way of this server."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
            f" -o IdentitiesOnly=yes -o ControlPath={self.directory}/%C -F {os.devnull}",
        }

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
