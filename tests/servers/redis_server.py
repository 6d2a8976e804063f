# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A redis that wants a password."""

from __future__ import annotations

import pathlib

from .process import Child, free_port


class RedisServer:
    """Started on entering its ``with`` block, on loopback alone; keeps nothing in ``directory`` but its output."""

    def __init__(self, directory: pathlib.Path, password: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._password = password

    def __enter__(self) -> RedisServer:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", self._password]
        self._child = Child([*command, "--dir", str(self._directory)], self._directory, "redis")
        self._child.wait_ready(lambda: "Ready to accept connections" in self._child.output.read_text())
        return self

    def __exit__(self, *unused: object) -> None:
        self._child.stop()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def client(self) -> list[str]:
        """The command of its client; what to do follows."""
        return ["redis-cli", "-p", str(self.port), "-a", self._password, "--no-auth-warning"]
