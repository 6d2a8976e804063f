# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of modules that run for long: it shows how far they are, and they stop when it is gone.

The module runs as every module does, in the main thread, so that its result, time limits and signals are what they are
without this. A thread beside it looks at the directory that the module keeps (`lifeline`).
"""

from __future__ import annotations

import contextvars
import copy
import json
import os
import secrets
import signal
import threading
import time
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display

from ..module_utils.model.text import sanitise
from ..module_utils.support.lifeline import GIVEN_UP_FILE, LEASE_FILE, OPTION, PROGRESS_FILE
from .progress_lines import Lines

#: Seconds until the first look: a short task costs nothing.
FIRST = 2.0
#: So many seconds a module may take to begin, on a slow or busy target: until then it is looked for as often.
BEGINNING = 20.0
#: Seconds between looks, by how long the task has run: a line is a row of a database where AWX shows it.
PAUSES = ((60.0, 5.0), (600.0, 10.0), (float("inf"), 20.0))
#: What ends a task: ^C, the end of the play, the keyword timeout. The system may give a signal to any thread that lets it in,
#: and the one that waits for the module, which alone can act upon it, would go on waiting.
FOR_THE_TASK = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
#: Their one session to the target is not for two threads.
NOT_FOR_THREADS = ("libssh", "ansible.netcommon.libssh")

display = Display()


class WatchedAction(NormalAction):  # type: ignore[misc]
    """What Ansible does for a module without an action of its own, and progress."""

    def _execute_module(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        # With async the task is not waited for, or in a way of Ansible's own, and may outlive the play.
        if self._task.async_val or self._connection.transport in NOT_FOR_THREADS:
            return self._executed(*args, **kwargs)
        directory = f"{self._public_directory()}/longshore-{secrets.token_hex(16)}"
        kwargs["module_args"] = {**self._task.args, OPTION: directory}
        watch = Watch(self, directory, self._label(kwargs.get("task_vars") or {}), self._is_quiet())
        with watch:
            return self._executed(*args, **kwargs)

    def _executed(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        result: dict[str, Any] = super()._execute_module(*args, **kwargs)
        return result

    def _public_directory(self) -> str:
        # Where whoever the task becomes can write, which Ansible's own directory for the task is not.
        found = self._connection._shell.get_option("system_tmpdirs")
        return str(found[0]) if found else "/var/tmp"

    def _is_quiet(self) -> bool:
        wanted = self._task.args.get("progress")
        # What is no truth value is for the module to refuse.
        return bool(self._task.no_log) or (wanted is not None and not boolean(wanted, strict=False))

    def _label(self, task_vars: dict[str, Any]) -> str:
        host = str(task_vars.get("inventory_hostname") or "")
        delegate = str(self._task.delegate_to or "")
        return sanitise(f"{host} -> {delegate}" if delegate and delegate != host else host, 200)


class Watch:
    """While its ``with`` block lasts, a thread looks at ``directory`` on the target of ``action``, keeps the lease and shows
    lines that begin with ``label``; none, if it is to be ``quiet``."""

    def __init__(self, action: WatchedAction, directory: str, label: str, quiet: bool) -> None:
        # Its own: a connection and a way to become somebody remember what they wait for.
        self._action = copy.copy(action)
        self._action._connection = copy.copy(action._connection)
        self._action._connection.become = copy.copy(action._connection.become)
        directory = action._connection._shell.quote(directory)
        self._command = f"cd {directory} 2>/dev/null && touch {LEASE_FILE} && cat {PROGRESS_FILE}"
        self._farewell = f"cd {directory} 2>/dev/null && touch {GIVEN_UP_FILE}"
        self._lines = Lines(label)
        self._quiet = quiet
        self._begun = time.monotonic()
        self._playbook = os.getppid()
        self._over = threading.Event()
        self._showing = threading.Lock()
        # In the context of the task: so ansible-core 2.19 and later know whose thread it is.
        target, argument = contextvars.copy_context().run, self._run
        self._thread = threading.Thread(target=target, args=(argument,), name="longshore-watch", daemon=True)

    def __enter__(self) -> None:
        # The thread begins with what is blocked here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_TASK)
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __exit__(self, *unused: object) -> None:
        # Not waited for: a look that hangs must not hold up the result. But after this no line comes.
        with self._showing:
            self._over.set()

    def _run(self) -> None:
        pause, seen = FIRST, False
        while not self._over.wait(pause):
            try:
                if os.getppid() != self._playbook:
                    # ansible-playbook is gone, and with it whoever waits for the result. If this fails, the lease runs out.
                    self._action._low_level_execute_command(self._farewell)
                    return
                seen = self._look() or seen
            except Exception as exc:
                # Whatever goes wrong here is nothing to the task.
                self._say_why(str(exc))
            elapsed = time.monotonic() - self._begun
            pause = next(seconds for limit, seconds in PAUSES if elapsed < limit)
            if not seen and elapsed < BEGINNING:
                pause = FIRST

    def _look(self) -> bool:
        """Keep the lease and show a line. Whether the module was there."""
        answer = self._action._low_level_execute_command(self._command)
        if answer.get("rc") != 0:
            # Not there yet, or not any more; or no place where the module could have made it.
            return False
        if self._quiet:
            return True
        line = self._lines.line(json.loads(answer["stdout"]))
        with self._showing:
            if not self._over.is_set():
                # Standard error is not held back until the end, and is no part of what callbacks print for programs.
                display.display(line, stderr=True)
        return True

    def _say_why(self, text: str) -> None:
        with self._showing:
            if not self._over.is_set():
                display.vvv(f"longshore.oci: no progress to show: {sanitise(text, 300)}")
