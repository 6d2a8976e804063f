# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter registry_config: what it returns, and that it says what is wrong."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.longshore.oci.plugins.filter.registry_config import FilterModule

registry_config = FilterModule().filters()["registry_config"]


def test_what_comes_back():
    made = registry_config({"anonymous": True, "storage": {"path": "/srv/r"}, "proxy": {"url": "https://x", "password": "p"}}, 3)
    assert sorted(made) == ["config", "environment", "has_secrets", "readonly", "storage_identity"]
    assert made["config"]["storage"]["filesystem"] == {"rootdirectory": "/srv/r"}
    assert made["environment"] == {"REGISTRY_PROXY_PASSWORD": "p"}
    assert (made["storage_identity"], made["has_secrets"]) == ("filesystem:/srv/r", False)


@pytest.mark.parametrize(
    ("settings", "series", "message"),
    [
        ([], "2.8", "registry_config takes keys and values, not list"),
        ({"anonymous": True}, "2.9", "series is one of 2.8, 3, not '2.9'"),
        ({"anonymous": True, "config_extra": {"htttp": {}}}, "3", "htttp is no key of the registry's configuration"),
    ],
)
def test_what_is_wrong(settings, series, message):
    with pytest.raises(AnsibleFilterError, match=message):
        registry_config(settings, series)
