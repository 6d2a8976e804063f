# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in this process: the whole of a module's code, without the time that a process takes to begin."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import subprocess
import threading
import time
from typing import Any

import pytest
from ansible.module_utils.common import warnings

from ansible_collections.longshore.oci.tests.servers.modules import NAMESPACE, ModuleFailed
from ansible_collections.longshore.oci.tests.unit.support.running import arguments

#: Threads of what the tests themselves have started.
_OURS = ("faulty", "wire", "test")
_SECONDS = 10.0


class InProcess:
    """Runs modules as `ModuleRunner` does and returns their results."""

    def __call__(self, name: str, /, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        """Run ``longshore.oci.NAME``. Fails the test where a thread of the module is left behind (section 4.4)."""
        main = importlib.import_module(f"ansible_collections.{NAMESPACE}.plugins.modules.{name}").main
        before = set(threading.enumerate())
        printed = io.StringIO()
        _forget_warnings()
        given = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        with arguments(given), contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
            main()
        _nothing_left(before)
        lines = printed.getvalue().strip().splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise ModuleFailed(f"{name}: {printed.getvalue()}")
        result: dict[str, Any] = json.loads(lines[-1])
        if "warnings" in result:
            result["warnings"] = [one["event"]["msg"] if isinstance(one, dict) else one for one in result["warnings"]]
        return result


def result_of(child: subprocess.Popen[str]) -> dict[str, Any]:
    """What such a process says at its end."""
    output = child.communicate(timeout=120)[0]
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return result


def _forget_warnings() -> None:
    # Ansible keeps them for the process, which is a module's own otherwise.
    for name in ("_global_warnings", "_global_deprecations"):
        getattr(warnings, name).clear()


def _nothing_left(before: set[threading.Thread]) -> None:
    def left() -> list[str]:
        new = set(threading.enumerate()) - before
        return [one.name for one in new if one.is_alive() and not one.name.startswith(_OURS)]

    end = time.monotonic() + _SECONDS
    while left() and time.monotonic() < end:
        time.sleep(0.01)
    assert not left(), f"threads are left: {left()}"
