# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry of a list belongs to the worker that its repository at the destination belongs to."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.shard_key import repository_of

MIRROR = "registry.example.com/mirror"


@pytest.mark.parametrize(
    ("entry", "repository"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("registry.example.com:5000/a/b:1.0", "registry.example.com:5000/a/b"),
        ("docker://registry.example.com/a@sha256:" + "0" * 64, "registry.example.com/a"),
        ("registry.example.com/team/", "registry.example.com/team"),
        ("docker://registry.example.com/team/", "registry.example.com/team"),
        ("registry.example.com/", "registry.example.com"),
        ("oci:/srv/layout:app", "oci:/srv/layout"),
        ({"src": "nginx:1", "dest": f"{MIRROR}/nginx:1"}, f"{MIRROR}/nginx"),
        ({"src": "nginx", "dest": [f"{MIRROR}/nginx", "elsewhere.example/nginx"]}, f"{MIRROR}/nginx"),
        ({"src": "quay.io/prometheus/prometheus", "dest": [f"{MIRROR}/"]}, f"{MIRROR}/prometheus"),
        ({"src": "quay.io/a/b", "dest": MIRROR, "scoped": True}, f"{MIRROR}/quay.io/a/b"),
        ({"src": "quay.io/a/b", "dest": f"{MIRROR}/", "rename": "{namespace}-{name}:{tag}"}, f"{MIRROR}/a-b"),
        ({"src": "registry.example.com/team/", "dest": f"{MIRROR}/"}, MIRROR),
        ({"src": "oci:/srv/layout", "dest": f"{MIRROR}/"}, MIRROR),
        ({"src": "quay.io/a/b:1"}, "quay.io/a/b"),
        ({"src": "quay.io/a/b:1", "dest": []}, "quay.io/a/b"),
        ({"src": "nginx:1", "dest": "oci-archive:/srv/a.tar"}, "oci-archive:/srv/a.tar"),
    ],
)
def test_the_repository_decides(entry: object, repository: str) -> None:
    assert repository_of(entry) == repository


@pytest.mark.parametrize(
    "entry",
    [7, None, [], {}, {"src": 7}, {"dest": [7]}, {"src": "UPPER/Case"}, "nowhere:/x", {"src": "a/UPPER", "dest": f"{MIRROR}/"},
     {"src": "a", "dest": MIRROR, "rename": "{nothing}"}],
)
def test_what_is_no_entry_is_refused(entry: object) -> None:
    with pytest.raises(InvalidInput):
        repository_of(entry)
