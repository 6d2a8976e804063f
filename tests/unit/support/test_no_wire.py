# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that meets no registry goes through the same `run`, without what belongs to the wire."""

from __future__ import annotations

from ansible_collections.longshore.oci.plugins.module_utils.support.file_attributes import FileAttributes
from ansible_collections.longshore.oci.tests.unit.support.running import make, outcome

SPEC = {
    "path": {"type": "path"},
    "password": {"type": "str", "no_log": True},
    "users": {"type": "list", "elements": "dict", "options": {"name": {"type": "str"}, "hash": {"type": "str", "no_log": True}}},
}


def test_nothing_of_the_wire_is_told(capsys):
    result, dummy = outcome(capsys, lambda task: {"changed": True}, SPEC)
    assert result["changed"] is True
    assert "requests" not in result


def test_the_credentials_of_registries_are_not_its_own(capsys, monkeypatch):
    monkeypatch.setenv("LONGSHORE_PASSWORD", "that of a registry")
    seen = []
    outcome(capsys, lambda task: seen.append(task.params["password"]) or {}, SPEC)
    outcome(capsys, lambda task: seen.append(task.params["password"]) or {}, SPEC, password="")
    assert seen == [None, None]


def test_secrets_in_lists_are_secrets(capsys):
    def verb(task):
        return {"text": "has s3cret-one", "also": "has s3cret-two", "s3cret-one": 1}

    users = [{"name": "alice", "hash": "s3cret-two"}]
    result, printed = outcome(capsys, verb, SPEC, password="s3cret-one", users=users)
    assert result["text"] == "has ********"
    assert "s3cret-one" not in printed
    assert "s3cret-two" not in printed


FILE_SPEC = {
    name: {"type": kind}
    for name, kind in [
        ("mode", "raw"), ("owner", "str"), ("group", "str"), ("seuser", "str"), ("serole", "str"), ("setype", "str"),
        ("selevel", "str"), ("attributes", "str"),
    ]
}


def test_the_mode_of_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    path.chmod(0o600)
    module = make(FILE_SPEC, mode="0640")
    module.check_mode = True
    told = FileAttributes(module, str(path))
    assert told.settle() is True
    assert path.stat().st_mode & 0o777 == 0o600
    module.check_mode = False
    done = FileAttributes(module, str(path))
    assert done.settle() is True
    assert path.stat().st_mode & 0o777 == 0o640
    assert told.diff == done.diff
    assert done.diff["after"]["mode"] == "0640"
    assert done.settle() is False
    assert done.finish() is False
    other = tmp_path / "other"
    other.write_text("")
    done.prepare(str(other))
    assert other.stat().st_mode & 0o777 == 0o640
