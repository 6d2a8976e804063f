# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls that a registry counts: a limit such as Docker Hub's in front of a real registry."""

from __future__ import annotations

import json

import pytest

from ansible_collections.longshore.oci.tests.servers import images
from ansible_collections.longshore.oci.tests.servers.limiter import Limiter

PLAIN = {"src_plain_http": True, "dest_plain_http": True}
COUNT = 8


@pytest.fixture
def tags(registry, repository):
    """Images of one platform; each of them has two tags."""
    for number in range(COUNT):
        images.push(registry, repository, images.sample(["linux/amd64"], layer_size=64, seed=number), [f"1.{number}", f"v{number}"])


@pytest.fixture
def mirror(module, second_registry, repository, tags):
    def run(limiter, **options):
        mapping = {"src": f"{limiter.host}/{repository}", "dest": f"{second_registry.host}/{repository}"}
        return module("image_sync", mappings=[mapping], **PLAIN, **options)

    return run


def test_heads_are_spent_where_pulls_would_count(mirror, registry):
    with Limiter(registry, 1000, 3600) as limiter:
        result = mirror(limiter)
        assert not result.get("failed") and result["counts"]["copied"] == 2 * COUNT
        # A second tag of an image costs a HEAD.
        assert limiter.pulls == COUNT
        before = limiter.pulls
        again = mirror(limiter)
        assert not again["changed"] and limiter.pulls == before
        assert again["rate_limit"]["limit"] == 1000 and again["rate_limit"]["remaining"] == 1000 - before


@pytest.mark.parametrize("limit", [1, 5])
def test_stops_before_the_limit_is_hit_and_says_so(mirror, registry, limit):
    with Limiter(registry, limit, 3600) as limiter:
        result = mirror(limiter)
        assert limiter.pulls == limit and limiter.refused == 0
    assert result["failed"] and f"allows {limit} pulls in 1 hours and none is left" in result["msg"], result["msg"]
    assert result["counts"]["failed"] == 2 * COUNT - result["counts"]["copied"] > 0
    assert result["rate_limit"] == {"limit": limit, "remaining": 0, "window": 3600, "source": "192.0.2.1"}


def test_waits_until_pulls_are_allowed_again(mirror, registry):
    with Limiter(registry, 3, 2) as limiter:
        result = mirror(limiter, rate_limit="wait")
        assert limiter.refused == 0 and limiter.pulls == COUNT
    assert not result.get("failed"), result.get("msg")
    assert result["counts"]["copied"] == 2 * COUNT
    assert any("3 pulls in 2 seconds and none was left" in one for one in result["warnings"]), result["warnings"]
    assert result["rate_limit"]["waited"] >= 1


def test_ignores_the_limit_until_the_registry_refuses(mirror, registry):
    with Limiter(registry, 3, 3600) as limiter:
        result = mirror(limiter, rate_limit="ignore", retries=0)
        assert limiter.pulls == 3 and limiter.refused > 0
    assert result["failed"] and "too many pulls" in json.dumps(result["images"])


def test_every_module_of_the_wire_has_it(module, registry, second_registry, repository, tags):
    with Limiter(registry, 1, 3600) as limiter:
        name = f"{limiter.host}/{repository}"
        images = [{"src": f"{name}:1.{one}", "dest": f"{second_registry.host}/{repository}:1.{one}"} for one in range(COUNT)]
        copied = module("image_copy", images=images, **PLAIN)
        assert copied["failed"] and limiter.refused == 0 and limiter.pulls == 1
        # A task of its own learns of it from the registry's refusal, and does not ask on.
        inspected = module("image_inspect", name=f"{name}:1.0", plain_http=True)
        assert inspected["failed"] and "none is left" in inspected["msg"] and limiter.refused == 1
