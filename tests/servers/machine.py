# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine: a container with systemd as its first process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from .machine_daemon import MachineDaemon
from .process import ServerFailed, wait_until

# Two seconds on a quiet machine.
BOOT_SECONDS = 180.0
_RUN_SECONDS = 600.0


class Machine:
    """A machine that `Machines.start` started; leaving its ``with`` block removes it.

    Args:
        daemon: Who runs it.
        name: By which the other machines reach it.
        release: What runs on it.
        address: By which everybody here reaches it; it stays the same over a reboot.
    """

    def __init__(self, daemon: MachineDaemon, name: str, release: str, address: str) -> None:
        self._daemon = daemon
        self.name = name
        self.release = release
        self.address = address

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *unused: object) -> None:
        self.remove()

    def run(
        self, command: Sequence[str], *, check: bool = True, stdin: str = "", timeout: float = _RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root and return its end, its standard output and error; `ServerFailed` if it fails and ``check``."""
        done = subprocess.run(
            self._daemon.command("exec", "--interactive", self.name, *command),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stdout}\n{done.stderr}".strip()[-3000:]
            raise ServerFailed(f"{self.name}: {' '.join(command)[:300]} ended with {done.returncode}: {said}")
        return done

    def shell(self, script: str, *, check: bool = True, timeout: float = _RUN_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a script of the shell, which stops at the first command that fails; otherwise as `run`."""
        return self.run(["sh", "-euc", script], check=check, timeout=timeout)

    def read(self, path: str) -> str:
        """The text of a file."""
        return self.run(["cat", path]).stdout

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file of root's, and make its directory if need be."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-euc", script, "sh", path, mode], stdin=text)

    def exists(self, path: str) -> bool:
        """Whether there is something at a path."""
        return self.run(["test", "-e", path], check=False).returncode == 0

    def reboot(self) -> None:
        """Shut down in order and boot again."""
        self._daemon.run("restart", "--time", "60", self.name)
        self.wait_booted()

    def lose_power(self) -> None:
        """End everything at once, as a power failure does, and boot again."""
        self._daemon.run("kill", self.name)
        self._daemon.run("wait", self.name)
        self._daemon.run("start", self.name)
        self.wait_booted()

    def wait_booted(self) -> str:
        """Wait until systemd has started everything, and return its state: ``running``, or ``degraded`` if a unit failed."""
        state = ""

        def booted() -> bool:
            nonlocal state
            state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
            if state not in ("running", "degraded"):
                time.sleep(0.2)
                return False
            return True

        try:
            wait_until(booted, f"{self.name} ({self.release})", BOOT_SECONDS)
        except ServerFailed as failure:
            raise ServerFailed(f"{failure}: {state or self._daemon.run('logs', '--tail', '30', self.name)}") from failure
        return state

    def failed_units(self) -> list[str]:
        """The units of systemd that failed."""
        listed = self.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout
        return [line.split()[0] for line in listed.splitlines()]

    def journal(self, unit: str) -> str:
        """What a unit has said since the machine booted."""
        return self.run(["journalctl", "--no-pager", "--boot", "--unit", unit, "--output", "cat"]).stdout

    def remove(self) -> None:
        """Remove it with everything on it."""
        self._daemon.run("rm", "--force", "--volumes", self.name)
