# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action looks at a module from a thread beside it: what it asks for, what it shows, and what it never breaks."""

from __future__ import annotations

import json
import re
import signal
import threading
from types import SimpleNamespace

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.support.lifeline import OPTION
from ansible_collections.longshore.oci.plugins.plugin_utils import watched_action
from ansible_collections.longshore.oci.plugins.plugin_utils.watched_action import WatchedAction
from ansible_collections.longshore.oci.tests.servers.process import wait_until

STATE = {"seconds": 4, "images": 2, "planned": 2, "done": 1, "failed": 0, "to_move": 8_000_000, "moved": 4_000_000}
LINE = "[web1] 1 of 2 images, 4.0 MB of 8.0 MB, 1.0 MB/s, 4s left"


class Shell:
    """As much of a shell plugin as is needed."""

    tmpdir = None

    def get_option(self, name):
        return {"system_tmpdirs": ["/var/tmp", "/tmp"]}[name]

    def quote(self, text):
        return f"'{text}'"


def blocked_signals():
    """The signals that the thread does not let in."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


class Action(WatchedAction):
    """One whose module runs until it is told to end, and whose target answers as it is told."""

    answer = None

    def __init__(self, task, transport="ssh"):
        self._task = task
        self._connection = SimpleNamespace(transport=transport, become=None, _shell=Shell())
        self.asked = []
        self.blocked = []
        self.given = None
        self.end = threading.Event()

    def _low_level_execute_command(self, command):
        self.asked.append((command, self._connection))
        self.blocked.append(blocked_signals())
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _executed(self, *args, **kwargs):
        self.given = kwargs
        assert self.end.wait(60), "nobody ended it"
        return {"changed": True}


class Screen:
    """What would be shown."""

    def __init__(self):
        self.lines = []
        self.details = []

    def display(self, text, stderr=False):
        assert stderr
        self.lines.append(text)

    def vvv(self, text):
        self.details.append(text)


@pytest.fixture
def screen(monkeypatch):
    shown = Screen()
    monkeypatch.setattr(watched_action, "display", shown)
    monkeypatch.setattr(watched_action, "FIRST", 0.01)
    monkeypatch.setattr(watched_action, "PAUSES", ((float("inf"), 0.01),))
    return shown


def task(no_log=False, async_val=0, delegate_to=None, **args):
    return SimpleNamespace(args={"src": "a", **args}, no_log=no_log, async_val=async_val, delegate_to=delegate_to)


def answer(text=None, rc=0):
    return {"rc": rc, "stdout": json.dumps(STATE) if text is None else text, "stderr": ""}


def run(action, until):
    """The result of ``action``, which is ended when ``until`` is true."""

    came = []

    def ending():
        try:
            wait_until(until, "the moment to end")
            came.append(True)
        finally:
            action.end.set()

    thread = threading.Thread(target=ending)
    thread.start()
    result = action._execute_module(task_vars={"inventory_hostname": "web1"})
    thread.join()
    assert came, "the moment to end never came"
    return result


def test_lines_are_shown_and_the_lease_is_kept(screen):
    action = Action(task())
    action.answer = answer()
    assert run(action, lambda: len(screen.lines) >= 2) == {"changed": True}
    assert screen.lines[0] == LINE
    directory = action.given["module_args"][OPTION]
    assert re.fullmatch(r"/var/tmp/longshore-[0-9a-f]{32}", directory)
    assert {command for command, dummy in action.asked} == {
        f"cd '{directory}' 2>/dev/null && touch lease && cat progress.json"
    }
    # The task's options are as they were, and so is its connection.
    assert action._task.args == {"src": "a"}
    assert all(connection is not action._connection for dummy, connection in action.asked)
    count = len(screen.lines)
    threading.Event().wait(0.1)
    assert len(screen.lines) == count


def test_signals_reach_the_thread_that_waits_for_the_module(screen):
    """Given to the other, ^C would be forgotten until the module ends by itself."""
    before = blocked_signals()
    action = Action(task())
    action.answer = answer()
    run(action, lambda: action.blocked)
    assert all({signal.SIGINT, signal.SIGTERM, signal.SIGALRM} <= blocked for blocked in action.blocked)
    assert blocked_signals() == before and signal.SIGINT not in before


@pytest.mark.parametrize("quiet", [{"no_log": True}, {"progress": False}, {"progress": "no"}])
def test_quiet_keeps_the_lease(screen, quiet):
    action = Action(task(**quiet))
    action.answer = answer()
    run(action, lambda: len(action.asked) >= 3)
    assert screen.lines == []


@pytest.mark.parametrize("wanted", [True, "yes", None])
def test_wanted_is_shown(screen, wanted):
    action = Action(task(progress=wanted))
    action.answer = answer()
    run(action, lambda: screen.lines)


def test_what_means_nothing_is_for_the_module_to_refuse(screen):
    action = Action(task(progress="perhaps"))
    action.answer = answer()
    run(action, lambda: action.asked)
    assert action.given["module_args"]["progress"] == "perhaps"


@pytest.mark.parametrize("how", [{"task": task(async_val=30)}, {"task": task(), "transport": "libssh"}])
def test_nothing_is_asked_where_that_does_not_go(screen, how):
    action = Action(**how)
    action.answer = answer()
    action.end.set()
    action._execute_module(task_vars={}, wrap_async=30)
    threading.Event().wait(0.1)
    assert action.asked == [] and action.given == {"task_vars": {}, "wrap_async": 30}


@pytest.mark.parametrize(
    "wrong", [answer(rc=1), answer(""), answer("{}"), answer("[1]"), answer('"x"'), {}, RuntimeError("the line is down")]
)
def test_whatever_the_target_says_the_result_is_the_module_s(screen, wrong):
    action = Action(task())
    action.answer = wrong
    assert run(action, lambda: len(action.asked) >= 3) == {"changed": True}
    assert screen.lines == []


def test_a_playbook_that_is_gone_gives_the_lease_up(screen, monkeypatch):
    action = Action(task())
    action.answer = answer()
    parents = iter([1234, 1])
    monkeypatch.setattr(watched_action.os, "getppid", lambda: next(parents))
    run(action, lambda: action.asked)
    threading.Event().wait(0.1)
    assert [command.rpartition("&& ")[2] for command, dummy in action.asked] == ["touch given-up"]


def test_a_delegated_task_names_both_hosts(screen):
    action = Action(task(delegate_to="bastion\n"))
    action.answer = answer()
    run(action, lambda: screen.lines)
    assert screen.lines[0].startswith("[web1 -> bastion] 1 of 2")
