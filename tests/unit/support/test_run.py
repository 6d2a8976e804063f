# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens ends in one result: no secret, no traceback for what a user can cause, nothing that is no JSON."""

from __future__ import annotations

import os
import signal

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import Digest
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import (
    Cancelled,
    MissingRequirement,
    RegistryError,
)
from ansible_collections.longshore.oci.tests.unit.support.running import outcome

SECRET = "s3cr3t/wörd"
CREDENTIAL = "QWxhZGRpbjpvcGVu"
LOGIN = {"username": "u", "password": SECRET}


def raising(error):
    def verb(task):
        raise error

    return verb


def test_a_result(capsys):
    result, dummy = outcome(capsys, lambda task: {"digest": Digest.of(b""), "names": ("a",), "changed": True})
    assert result["changed"] is True
    assert result["digest"].startswith("sha256:e3b0")
    assert result["names"] == ["a"]
    assert result["requests"] == 0


def test_a_known_failure_is_a_sentence_with_facts_and_no_traceback(capsys):
    error = RegistryError("r.example/a: no such tag", 404, "MANIFEST_UNKNOWN", attempts=3, msg="other", rc=1)
    result, printed = outcome(capsys, raising(error))
    assert result["failed"] is True
    assert result["msg"] == "r.example/a: no such tag"
    assert (result["status_code"], result["error_code"], result["attempts"]) == (404, "MANIFEST_UNKNOWN", 3)
    assert "rc" not in result
    assert "Traceback" not in printed


def test_an_unexpected_failure_has_a_traceback_without_secrets(capsys):
    def verb(task):
        raise RuntimeError(f"broken with {SECRET} and Authorization: Basic {CREDENTIAL}")

    result, printed = outcome(capsys, verb, **LOGIN)
    assert result["failed"] is True
    assert "unexpected RuntimeError" in result["msg"]
    assert "a fault of this collection" in result["msg"]
    assert "test_run.py" in result.get("exception", "test_run.py"), "ansible-core 2.19 shows it only when asked to"
    assert SECRET not in printed
    assert CREDENTIAL not in printed


@pytest.mark.parametrize("form", [SECRET, "s3cr3t%2Fw%C3%B6rd", "dTpzM2NyM3Qvd8O2cmQ="])
def test_no_form_of_a_secret_gets_out(capsys, form):
    for verb in (
        raising(RegistryError(f"refused {form}", 401, url=f"https://u:{form}@r.example/")),
        lambda task: {form: {"deep": [f"x{form}x"]}, "changed": False},
        lambda task: task.warn(f"careless {form}") or {},
    ):
        dummy, printed = outcome(capsys, verb, **LOGIN)
        assert form not in printed.replace('"password": "VALUE', "")
        assert form.encode("unicode_escape").decode() not in printed


def test_a_secret_from_the_environment_is_one_too(capsys, monkeypatch):
    monkeypatch.setenv("LONGSHORE_PASSWORD", SECRET)
    for given in ({}, {"password": ""}):
        dummy, printed = outcome(capsys, raising(RegistryError(f"refused {SECRET}", 401)), username="u", **given)
        assert "refused ****" in printed
        assert SECRET not in printed


def test_a_very_short_secret_leaves_the_names_of_facts_alone(capsys):
    result, dummy = outcome(capsys, lambda task: {"sets": 1, "changed": False}, token="s")
    assert result["sets"] == 1
    assert result["requests"] == 0


def test_the_password_of_a_proxy_is_one_too(capsys):
    result, printed = outcome(capsys, raising(OSError("pr0xy-w0rd")), proxy="http://me:pr0xy-w0rd@proxy.example:3128")
    assert "pr0xy-w0rd" not in printed
    # ansible-core 2.21 leaves the invocation out of what a module prints.
    shown = result.get("invocation", {"module_args": {"proxy": "http://me:********@proxy.example:3128"}})
    assert shown["module_args"]["proxy"] == "http://me:********@proxy.example:3128"


def test_what_a_server_says_is_made_fit(capsys):
    texts = {"label": "a\x1b[31mb\u202ec\n\td", "bad": "tar\udcff", "emoji": "\U0001f468\u200d\U0001f4bb", "c1": "x\x9by"}
    result, printed = outcome(capsys, lambda task: {"texts": texts, "changed": False})
    assert result["texts"] == {"label": "a[31mbc\n\td", "bad": "tar", "emoji": texts["emoji"], "c1": "xy"}
    result, dummy = outcome(capsys, raising(RegistryError("said \x1b[2J\r\nboo", 500)))
    assert result["msg"] == "said  [2J boo"


def test_a_missing_library(capsys):
    result, dummy = outcome(capsys, raising(MissingRequirement("needs it", library="zstandard")))
    assert "Failed to import the required Python library (zstandard)" in result["msg"]

    def verb(task):
        import longshore_no_such_library  # noqa: F401

    result, dummy = outcome(capsys, verb)
    assert "required Python library (longshore_no_such_library)" in result["msg"]
    result, dummy = outcome(capsys, raising(MissingRequirement("install the program foo")))
    assert result["msg"] == "install the program foo"


def test_a_signal_sets_stop_and_the_old_handlers_come_back(capsys):
    before = signal.getsignal(signal.SIGTERM)

    def verb(task):
        os.kill(os.getpid(), signal.SIGTERM)
        assert task.stop.wait(5)
        raise Cancelled("stopped; what was begun has been undone")

    result, dummy = outcome(capsys, verb)
    assert result["msg"] == "stopped; what was begun has been undone"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_ends_it_at_once(capsys):
    def verb(task):
        os.kill(os.getpid(), signal.SIGTERM)
        assert task.stop.wait(5)
        os.kill(os.getpid(), signal.SIGTERM)
        return {"changed": False}

    result, dummy = outcome(capsys, verb)
    assert result["failed"] is True
    assert "stopped at once" in result["msg"]


def test_warnings_of_registries_are_shown(capsys):
    def verb(task):
        task.meter.warn("r.example: deprecated\x1b[0m")
        return {}

    result, dummy = outcome(capsys, verb)
    assert any("r.example: deprecated" in str(one) and "\x1b" not in str(one) for one in result["warnings"])
