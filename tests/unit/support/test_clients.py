# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From parameters to settings: what is refused before a single request, and what each end gets."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.support.argspec import one_end, two_ends
from ansible_collections.longshore.oci.plugins.module_utils.support.clients import Task, settings_of
from ansible_collections.longshore.oci.tests.unit.support.running import make, outcome


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for end in ("", "SRC_", "DEST_"):
        for name in ("USERNAME", "PASSWORD", "TOKEN"):
            monkeypatch.delenv(f"LONGSHORE_{end}{name}", raising=False)


def settings(spec=None, end="", **values):
    task = Task(make(spec or one_end(), **values))
    task.check()
    return settings_of(task.params, end)


def test_defaults():
    found = settings()
    assert found.validate_certs
    assert not found.plain_http
    assert (found.username, found.password, found.token, found.auth_file, found.proxy) == (None,) * 5
    assert (found.timeout, found.retries, found.max_retry_after, found.parallel) == (60.0, 5, 120, 16)


def test_the_empty_string_is_not_given():
    found = settings(username="", password="", token="", ca_path="", auth_file="", proxy="")
    assert (found.username, found.password, found.token, found.ca_path, found.auth_file, found.proxy) == (None,) * 6


def test_the_flat_form_of_an_ad_hoc_call():
    # ansible -m module -a 'retries=2 ...' gives everything as text.
    found = settings(retries="2", timeout="7.5", parallel="4", validate_certs="no", plain_http="yes")
    assert (found.retries, found.timeout, found.parallel) == (2, 7.5, 4)
    assert (found.validate_certs, found.plain_http) == (False, True)


@pytest.mark.parametrize(("text", "limit"), [("10M", 10 << 20), ("1500000", 1500000), (2048, 2048), ("", None)])
def test_bandwidth(text, limit):
    task = Task(make(one_end(), bandwidth_limit=text) if text != "" else make(one_end()))
    task.check()
    assert task.bandwidth.limit == limit


def test_credentials_from_the_environment(monkeypatch):
    monkeypatch.setenv("LONGSHORE_USERNAME", "eve")
    monkeypatch.setenv("LONGSHORE_PASSWORD", "from there")
    assert settings().username == "eve"
    assert settings(username="", password="").password == "from there"
    assert settings(username="bob", password="own").username == "bob"


def test_each_end_has_its_own_and_no_other(monkeypatch):
    monkeypatch.setenv("LONGSHORE_PASSWORD", "of one end")
    monkeypatch.setenv("LONGSHORE_DEST_USERNAME", "d")
    monkeypatch.setenv("LONGSHORE_DEST_PASSWORD", "of dest")
    given = {"src_token": "t", "src_ca_path": "/ca", "dest_plain_http": True}
    source, destination = (settings(two_ends(), end, **given) for end in ("src", "dest"))
    assert (source.token, source.username, source.password, source.ca_path) == ("t", None, None, "/ca")
    assert (destination.token, destination.username, destination.password) == (None, "d", "of dest")
    assert (source.plain_http, destination.plain_http, destination.ca_path) == (False, True, None)


def test_the_auth_file_of_both_ends(tmp_path):
    given = {"auth_file": str(tmp_path / "both"), "dest_auth_file": str(tmp_path / "dest")}
    with pytest.raises(InvalidInput, match="auth_file .*both does not exist"):
        settings(two_ends(), "src", **given)
    for path in given.values():
        open(path, "w").close()
    assert settings(two_ends(), "src", **given).auth_file == given["auth_file"]
    assert settings(two_ends(), "dest", **given).auth_file == given["dest_auth_file"]


def test_the_unprefixed_forms_do_not_exist_with_two_ends(capsys):
    with pytest.raises(SystemExit):
        make(two_ends(), username="u")
    assert "Unsupported parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"username": "a:b", "password": "x"}, "username must not hold ':'"),
        ({"username": "a"}, "username is given without password"),
        ({"password": "a"}, "password is given without username"),
        ({"username": "a", "password": "x", "token": "t"}, "token or username, not both"),
        ({"username": "a\nb", "password": "x"}, "username must not hold line breaks"),
        ({"token": "a\r\nX: y"}, "token must not hold line breaks"),
        ({"client_key": "/k"}, "client_key is given without client_cert"),
        ({"parallel": 0}, "parallel must be 1 to 256, not 0"),
        ({"parallel": 999}, "parallel must be 1 to 256"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"retries": -1}, "retries must not be negative"),
        ({"max_retry_after": -1}, "max_retry_after must not be negative"),
        ({"bandwidth_limit": "10"}, "bandwidth_limit must be at least 1024"),
    ],
)
def test_what_cannot_be_meant(given, words, capsys):
    with pytest.raises(InvalidInput, match=words):
        settings(**given)
    result, dummy = outcome(capsys, lambda task: {"changed": True}, **given)
    assert result["failed"] is True
    assert result["requests"] == 0


def test_the_end_is_named():
    with pytest.raises(InvalidInput, match="dest_username must not hold ':'"):
        settings(two_ends(), "dest", dest_username="a:b", dest_password="x")


def test_a_password_may_have_lines():
    key = '{\n  "type": "service_account"\n}'
    assert settings(username="_json_key", password=key).password == key


def test_repr_shows_no_secret():
    found = settings(username="u", password="very secret")
    assert "very secret" not in repr(found)
