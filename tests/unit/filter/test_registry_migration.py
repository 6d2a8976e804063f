# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter registry_migration: YAML in, variables out, and nothing secret in what it says."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.longshore.oci.plugins.filter.registry_migration import FilterModule

CONFIG = """
version: 0.1
storage:
  filesystem:
    rootdirectory: /srv/registry
http:
  addr: :5000
"""


def apply(found):
    return FilterModule().filters()["registry_migration"](found)


def test_variables():
    environment = {"REGISTRY_HTTP_HEADERS": "{A: [b]}", "REGISTRY_HTTP_SECRET": "hidden-1"}
    environment["REGISTRY_STORAGE_DELETE_ENABLED"] = "true"
    made = apply({"kind": "package", "config": CONFIG, "environment": environment})
    assert made["variables"]["registry_headers"] == {"A": ["b"]}
    assert made["variables"]["registry_delete"] is True
    assert made["variables"]["registry_http_secret"] == "hidden-1"
    assert "hidden-1" not in str(made["shown"])
    assert (made["storage"], made["htpasswd"], made["blockers"]) == ("/srv/registry", "", {})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("text", "takes keys and values"),
        ({"kind": "package"}, "takes keys and values"),
        ({"config": "[hidden-1]"}, "is no mapping"),
        ({"config": "a: b\nhidden-1: ["}, "is no YAML at line"),
        ({"config": CONFIG, "environment": {"REGISTRY_HTTP_HEADERS": "[hidden-1"}}, "is no YAML"),
    ],
)
def test_what_it_does_not_take(found, words):
    with pytest.raises(AnsibleFilterError, match=words) as caught:
        apply(found)
    assert "hidden-1" not in str(caught.value)
