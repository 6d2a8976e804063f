# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version ranges and orders: the tables of npm's and Helm's documentation, and what tags have that versions have not."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.semver import Range, Version, version_key


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2.2 1.2.3-rc.1"),
        ("=1.2", "1.2.0 1.2.9 1.2", "1.3.0 1.1.9"),
        ("!=1.2.3", "1.2.4 0.1.0", "1.2.3"),
        ("!=1.2", "1.3.0 1.1.9", "1.2.0 1.2.7"),
        (">1.2", "1.3.0 2.0.0", "1.2.9 1.2.0 1.1.0"),
        (">1.2.3", "1.2.4", "1.2.3"),
        (">=1.2", "1.2.0 1.2.9 3.0.0", "1.1.9"),
        ("<1.2", "1.1.9 0.1.0", "1.2.0 1.2.0-rc.1"),
        ("<=1.2", "1.2.9 1.0.0", "1.3.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("^1.2.3", "1.2.3 1.9.0 v1.3", "1.2.2 2.0.0 2.0.0-rc.1"),
        ("^1", "1.0.0 1.9.9 1", "0.9.9 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 1.0.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.1 0.9.0", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0 1.1.0"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("~>1.2", "1.2.7", "1.3.0"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.0"),
        ("1.2.*", "1.2.0 1.2.8", "1.3.0"),
        ("*", "0.0.1 9.9.9", "1.0.0-rc.1 latest"),
        (">=1.2 <2", "1.2.0 1.9.9", "2.0.0 1.1.9"),
        (">= 1.2, < 2", "1.2.0 1.9.9", "2.0.0 1.1.9"),
        ("1.2 - 1.4", "1.2.0 1.3.5 1.4.9", "1.5.0 1.1.9"),
        ("1.2.3 - 1.4.5", "1.2.3 1.4.5", "1.4.6 1.2.2"),
        ("^1.2 || 3.x", "1.2.0 3.9.9", "2.0.0 4.0.0"),
        (">=1.2.3-rc.2 <2", "1.2.3-rc.2 1.2.3-rc.10 1.2.3 1.5.0", "1.2.3-rc.1 1.3.0-rc.1"),
    ],
)
def test_range(text, inside, outside):
    wanted = Range(text)
    assert [tag for tag in inside.split() if not wanted.matches(tag)] == []
    assert [tag for tag in outside.split() if wanted.matches(tag)] == []


@pytest.mark.parametrize("tag", ["latest", "1.2.3.4", "01.2.3", "2024.01.05", "v", "1.2.3-", "1..2", "-1.2.3", "1.2.3_4", "١.٢.٣"])
def test_what_is_no_version_is_in_no_range(tag):
    assert Version.parse(tag) is None
    assert not Range("*", prereleases=True).matches(tag)


def test_prereleases_only_when_asked():
    assert not Range("^1.2").matches("1.3.0-alpine")
    assert Range("^1.2", prereleases=True).matches("1.3.0-alpine")
    assert not Range("^1.2", prereleases=True).matches("2.0.0-alpine")


@pytest.mark.parametrize("text", ["", "||", "1 ||", "abc", ">", "1.2.3.4", "^", ">>1", "1.2-rc1", "=>1.2", "1 - ", "latest"])
def test_what_is_no_range(text):
    with pytest.raises(InvalidInput, match="invalid version range"):
        Range(text)


def test_order_of_versions():
    # semver.org, item 11, with what is no version before everything.
    in_order = "build9 build10 latest 0.9 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11"
    in_order = [*in_order.split(), "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "v2.0.0"]
    jumbled = in_order[::-1]
    assert sorted(jumbled, key=version_key) == in_order


def test_equal_versions_have_one_order():
    assert sorted(["1.2.0", "1.2", "v1.2"], key=version_key) == sorted(["v1.2", "1.2.0", "1.2"], key=version_key)
