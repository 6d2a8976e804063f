# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each end's options make of its container engine."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import MissingRequirement
from ansible_collections.longshore.oci.plugins.module_utils.support.argspec import engine, one_end, two_ends
from ansible_collections.longshore.oci.plugins.module_utils.support.clients import Task
from ansible_collections.longshore.oci.tests.unit.support.running import make


def test_each_end_has_its_own():
    spec = {**two_ends(), **engine("src_"), **engine("dest_")}
    given = {"src_daemon_host": "unix:///a", "dest_daemon_host": "tcp://b:2376", "dest_ca_path": "/ca", "timeout": 7}
    task = Task(make(spec, **given, dest_client_cert="/cert", dest_client_key="/key", dest_validate_certs=False))
    source, destination = task.engine("src"), task.engine("dest")
    assert (source.host, source.ca_path, source.client_cert, source.validate_certs) == ("unix:///a", None, None, True)
    assert (destination.host, destination.ca_path, destination.validate_certs) == ("tcp://b:2376", "/ca", False)
    assert (destination.client_cert, destination.client_key, destination.timeout) == ("/cert", "/key", 7.0)
    assert source.stop is destination.stop is task.stop


def test_podman_is_started_once_and_ends_with_the_task(monkeypatch):
    task = Task(make({**one_end(), **engine()}))
    assert task.engine().host is None
    monkeypatch.setattr(task._module, "get_bin_path", lambda name: None)
    for unused in range(2):
        with pytest.raises(MissingRequirement, match="podman, which is not installed"):
            task.engine().start_podman()
    ended = []
    monkeypatch.setattr(task._podman, "close", lambda: ended.append(True))
    task.close()
    assert ended == [True]


def test_a_module_without_the_option_has_the_usual_engine():
    assert Task(make(one_end())).engine().host is None
