# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in a URL is masked wherever Ansible shows an option."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.longshore.oci.plugins.module_utils.support.module import Module, secrets_of
from ansible_collections.longshore.oci.tests.unit.support.running import arguments

SIGNATURE = "2f0c%2Fb81e5a9d44d7c6e3b2a190f8e6d7c2b3"
QUERY = f"X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Signature={SIGNATURE}"
URL = f"https://storage.example.com/images/a.tar?{QUERY}"


def test_queries_long_values_and_passwords_are_secret() -> None:
    found = secrets_of({"path": URL + "#quay.io/a:1", "images": [{"src": "http://me:hidden@h/x"}, "quay.io/a:1"], "n": 3})
    assert found == {QUERY, SIGNATURE, SIGNATURE.replace("%2F", "/"), "20260101T000000Z", "hidden"}


@pytest.mark.parametrize("text", ["https://h/a.tar", "https://h/a.tar?v=2", "/srv/a.tar?what=is-no-url-at-all", "s3://b/k"])
def test_what_is_no_signature_is_not_masked(text: str) -> None:
    assert secrets_of({"path": text}) == set()


def said(capsys: pytest.CaptureFixture[str], leave: Callable[[], object], **values: Any) -> dict[str, Any]:
    """The result that ``leave`` prints, called while options are ``values``."""
    with arguments(values), pytest.raises(SystemExit):
        leave()
    found: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return found


def test_nothing_that_leaves_the_module_has_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, text, log_args=None: logged.append(f"{text} {log_args}"))
    # The newest cores give the invocation back only when they are told to, as -vvv tells them.
    verbose = "_ansible_inject_invocation"
    told = {verbose: True} if verbose in inspect.getsource(basic) else {}
    result = said(capsys, lambda: Module({"path": {"type": "str"}}).exit_json(seen=URL), path=URL, **told)
    assert result["invocation"]["module_args"]["path"].startswith("https://storage.example.com/images/a.tar?")
    assert logged
    for text in (str(result), *logged):
        assert SIGNATURE not in text and "a.tar" in text


def test_also_when_the_options_are_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    result = said(capsys, lambda: Module({"path": {"type": "str"}}), path=URL, unknown=1)
    assert result["failed"] and SIGNATURE not in str(result)
