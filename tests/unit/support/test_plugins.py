# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam for plugins without a module: an answer or a sentence, and no secret in either."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import AccessDenied, InvalidInput, OciError
from ansible_collections.longshore.oci.plugins.module_utils.support.plugins import END, ask


def test_the_answer_of_the_verb():
    def verb(task):
        task.warn("mind the gap")
        return [task.params["username"], task.params["timeout"], task.params["retries"], task.parallel, task.check_mode]

    assert ask({"username": "robot", "password": "secret", "retries": 1}, ["a"], verb) == (
        ["robot", 60.0, 1, 16, False],
        "",
        ["mind the gap"],
    )


def test_the_options_of_one_end():
    assert set(END) >= {"username", "password", "token", "auth_file", "ca_path", "plain_http", "proxy"}
    assert not {"timeout", "parallel", "bandwidth_limit"} & set(END)


def test_an_empty_option_is_none_and_the_environment_counts(monkeypatch):
    monkeypatch.setenv("LONGSHORE_USERNAME", "robot")
    monkeypatch.setenv("LONGSHORE_PASSWORD", "from the environment")
    options = dict.fromkeys(END)
    answer, failure, unused = ask({**options, "username": ""}, [], lambda task: task.params["username"])
    assert (answer, failure) == ("robot", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"username": "robot"}, "username is given without password"),
        ({"token": "tokens", "username": "robot", "password": "passwords"}, "give token or username, not both"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"auth_file": "/nowhere/auth.json"}, "auth_file /nowhere/auth.json does not exist"),
    ],
)
def test_options_are_checked_as_those_of_modules(options, words):
    answer, failure, unused = ask(options, [], lambda task: pytest.fail("asked"))
    assert answer is None and words in failure


@pytest.mark.parametrize("error", [OciError, AccessDenied, ValueError, RuntimeError])
def test_no_failure_has_a_secret(error):
    def verb(task):
        task.warn("hunter-two was refused")
        raise error("they said hunter-two and https://s3.example.com/x?X-Signature=0123456789abcdef0123")

    options = {"username": "robot", "password": "hunter-two"}
    answer, failure, warnings = ask(options, ["https://s3.example.com/x?X-Signature=0123456789abcdef0123"], verb)
    assert "they said" in failure and "hunter-two" not in failure + "".join(warnings) and "0123456789" not in failure


def test_a_missing_library_has_a_sentence():
    def verb(task):
        raise ModuleNotFoundError("No module named 'urllib3.util'", name="urllib3.util")

    assert "the Python library urllib3 is missing on the controller" in ask({}, [], verb)[1]


def test_a_plugin_starts_no_program():
    def verb(task):
        task.engine().start_podman()

    assert "podman's API is not running, and a plugin does not start it" in ask({}, [], verb)[1]


def test_only_errors_of_a_user_are_not_called_a_fault():
    def verb(task):
        raise InvalidInput("no")

    assert ask({}, [], verb)[1] == "no"
    assert "unexpected ValueError" in ask({}, [], lambda task: int("x"))[1]
