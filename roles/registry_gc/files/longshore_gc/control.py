# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and restart of an instance by the commands of its record."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from .errors import CollectError, UsageError
from .record import Control, Instance
from .settings import Settings

_SECONDS = 600


class Controls:
    """The commands of the instances; those of an instance without a service manager of ours come from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def of(self, instance: Instance) -> Control:
        """An instance's commands; `UsageError` if there are none."""
        if instance.control is not None:
            return instance.control
        if instance.source.resolve() == self._settings.record.resolve() and self._settings.stop_command:
            return Control(self._settings.start_command, self._settings.stop_command)
        raise UsageError(
            f"the registry {instance.name} is run by somebody else's service manager (registry_deployment: files), and this has "
            "to restart it: set registry_gc_stop_command and registry_gc_start_command to the commands that stop it and start it"
        )

    def restart(self, instance: Instance) -> None:
        """Stop it, running uploads first ended as the configuration says, and start it."""
        control = self.of(instance)
        if control.restart:
            _run(control.restart, f"restart {instance.name}")
        else:
            self.stop(instance)
            self.start(instance)

    def stop(self, instance: Instance) -> None:
        """Stop it."""
        _run(self.of(instance).stop, f"stop {instance.name}")

    def start(self, instance: Instance) -> None:
        """Start it."""
        _run(self.of(instance).start, f"start {instance.name}")

    def active(self, instance: Instance) -> bool | None:
        """Whether it runs, or None if no command tells."""
        active = self.of(instance).active
        if not active:
            return None
        return _call(active)[0] == 0


def _run(command: Sequence[str], what: str) -> None:
    code, output = _call(command)
    if code:
        raise CollectError(f"cannot {what}: {' '.join(command)} ended with {code}: {output}")


def _call(command: Sequence[str]) -> tuple[int, str]:
    # A file rather than a pipe: what a command starts may keep its output open for ever.
    output = os.memfd_create("output")
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            timeout=_SECONDS,
            check=False,
        )
        size = os.lseek(output, 0, os.SEEK_END)
        text = os.pread(output, 2000, max(0, size - 2000)).decode(errors="replace").strip()
        return done.returncode, text
    except subprocess.TimeoutExpired:
        return 124, f"no end after {_SECONDS} s"
    except OSError as error:
        return 127, str(error)
    finally:
        os.close(output)
