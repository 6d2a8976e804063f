# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way through which every module goes: whatever happens ends in one ``exit_json`` or one ``fail_json``."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..model.errors import Cancelled, MissingRequirement, OciError
from ..model.text import sanitise, shown
from .clients import Task
from .results import plain, scrubbed

#: What a module does: reads ``task.params`` and returns its result, ``changed`` among it. Raises OciError.
Verb = Callable[[Task], "dict[str, Any]"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Facts that would change what fail_json itself means.
_RESERVED = frozenset({"msg", "failed", "exception", "warnings", "deprecations", "invocation", "rc"})


def run(module: AnsibleModule, verb: Verb, new_auth_file: bool = False) -> NoReturn:
    """Call ``verb`` and leave the module with its result or its failure. Never returns, never shows a secret.

    What a user, a file or a registry can cause (OciError) becomes one sentence without a traceback; only a fault of
    our own carries one, as text, because ansible-core 2.19 and later show exception objects unscrubbed.
    ``new_auth_file``: the module makes the file of ``auth_file``, which need not be there before.
    """
    task = Task(module)
    result: dict[str, Any] = {}
    failure: dict[str, Any] | None = None
    try:
        with _stopping(task.stop), _watched(module, task):
            try:
                task.check(new_auth_file)
                result = verb(task)
            finally:
                task.close()
    except OciError as exc:
        failure = _known(exc)
    except ImportError as exc:
        library = (exc.name or str(exc)).partition(".")[0]
        failure = {"msg": missing_required_lib(library), "exception": traceback.format_exc()}
    except KeyboardInterrupt:
        failure = _known(Cancelled("stopped at once, before what was begun could be undone"))
    except Exception as exc:
        failure = {
            "msg": f"unexpected {type(exc).__name__}: {shown(exc)} (a fault of this collection: please report it)",
            "exception": traceback.format_exc(),
        }
    # Outside the handlers on purpose: while an exception is being handled, fail_json of ansible-core 2.19 and later
    # would attach that exception, with texts that no_log has not been applied to.
    _leave(module, task, result, failure)


def _known(error: OciError) -> dict[str, Any]:
    facts = {key: value for key, value in error.facts.items() if key not in _RESERVED}
    message = error.message
    library = facts.pop("library", None)
    if isinstance(error, MissingRequirement) and library:
        message = missing_required_lib(str(library), reason=str(facts.pop("reason", "")) or None)
    return {"msg": sanitise(message, 4000), **facts}


def _leave(module: AnsibleModule, task: Task, result: dict[str, Any], failure: dict[str, Any] | None) -> NoReturn:
    secrets = task.secrets
    module.no_log_values.update(secrets)
    # Not module.warn as it is: on ansible-core 2.19 and later that shows no_log values.
    for text in task.warnings():
        module.warn(scrubbed(sanitise(text), secrets))
    facts = task.facts()
    if failure is None:
        result.setdefault("changed", False)
        module.exit_json(**plain({**facts, **result}, secrets))
    else:
        texts = {key: scrubbed(failure[key], secrets) for key in ("msg", "exception") if key in failure}
        module.fail_json(**plain({**facts, **failure, **texts}, secrets))
    raise SystemExit(1)  # both leave the process


def _watched(module: AnsibleModule, task: Task) -> AbstractContextManager[object]:
    """Tells the action plugin on the controller how far the task is, where there is one that wants to know."""
    directory = getattr(module, "lifeline", "")
    if not directory:
        return nullcontext()
    from .lifeline import Lifeline

    return Lifeline(directory, task.progress, partial(_abandon, task.stop, threading.Event()))


def _abandon(stop: threading.Event, before: threading.Event) -> None:
    # Not by a signal at first: the one that took the controller away may have come to us as well, and two interrupt at once.
    if before.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    before.set()
    stop.set()


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """While it lasts, a signal sets ``stop``, so that transfers abort and clean up; a second one interrupts at once."""

    def handler(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
