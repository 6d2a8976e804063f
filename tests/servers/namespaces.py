# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a network of their own on this machine: Linux's network namespaces, joined by a bridge."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys

from .process import ServerFailed, run


class Hosts:
    """``count`` namespaces that reach this machine at `address`, made on entering the ``with`` block and removed on leaving it.

    It needs to run as root.
    """

    def __init__(self, count: int) -> None:
        self._prefix = f"ls{os.getpid() % 100000}"
        self._names = [f"{self._prefix}-{number}" for number in range(count)]
        self._stack = contextlib.ExitStack()
        #: Where this machine is for them.
        self.address = ""

    def __enter__(self) -> Hosts:
        with contextlib.ExitStack() as stack:
            network = self._add_bridge(stack)
            for number, name in enumerate(self._names):
                inside = f"{self._prefix}i{number}"
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)
                # Both ends go with the namespace.
                _ip("link", "add", self._outside(number), "type", "veth", "peer", "name", inside)
                _ip("link", "set", self._outside(number), "master", self._bridge, "up")
                _ip("link", "set", inside, "netns", name)
                _ip("-n", name, "addr", "add", f"{network}.{number + 2}/24", "dev", inside)
                for device in (inside, "lo"):
                    _ip("-n", name, "link", "set", device, "up")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    def interpreter(self, number: int, directory: pathlib.Path) -> pathlib.Path:
        """A program that is this Python on host ``number``, for Ansible; made in ``directory``."""
        path = directory / f"python-{number}"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self._names[number]} {sys.executable} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def cut(self, number: int) -> None:
        """Take host ``number`` off the network: what it sends is lost, and nobody tells it."""
        _ip("link", "set", self._outside(number), "down")

    def join(self, number: int) -> None:
        """Put it back."""
        _ip("link", "set", self._outside(number), "up")

    @property
    def _bridge(self) -> str:
        return f"{self._prefix}br"

    def _outside(self, number: int) -> str:
        return f"{self._prefix}o{number}"

    def _add_bridge(self, stack: contextlib.ExitStack) -> str:
        """The first three numbers of a network that nobody here has."""
        taken = run(["ip", "-4", "-o", "addr", "show"]).decode()
        network = next((one for one in (f"10.213.{number}" for number in range(1, 255)) if f" {one}." not in taken), None)
        if network is None:
            raise ServerFailed("every network from 10.213.1.0 to 10.213.254.0 is in use")
        _ip("link", "add", self._bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", self._bridge)
        self.address = f"{network}.1"
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        return network


def _ip(*arguments: str) -> None:
    run(["ip", *arguments])
