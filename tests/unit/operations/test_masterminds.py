# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version constraints as Masterminds/semver v3 documents and tests them."""

from __future__ import annotations

import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.longshore.oci.plugins.module_utils.operations.masterminds import Constraints


@pytest.mark.parametrize(
    ("constraint", "admits", "refuses"),
    [
        (">= 3.12.0", ["3.12.0", "3.12", "v3.20", "4"], ["3.11.9", "3.13.0-rc.1", "latest", "edge"]),
        ("=2.0.0", ["2.0.0", "v2"], ["1.2.3", "2.0.1", "2.0.0-beta"]),
        ("=2.0", ["2.0.0", "2.0.99"], ["2.1.0", "1.9.0"]),
        ("4.1", ["4.1.0", "4.1.3"], ["4.2.0"]),
        ("!=4.1.0", ["4.1.1", "5.0.0"], ["4.1.0"]),
        ("!=4.1", ["4.2.0", "5.1.0"], ["4.1.0", "4.1.3"]),
        ("!=4", ["5.0.0"], ["4.0.0", "4.9.1"]),
        (">1.1", ["4.1.0", "1.2.0"], ["1.1.0", "1.1.1"]),
        (">11", ["12.0.0", "12.1.0"], ["11.0.0", "11.1.0"]),
        ("<1.1", ["0.1.0", "1.0.9"], ["1.1.0", "1.1.1"]),
        ("<=1.1", ["0.1.0", "1.1.0", "1.1.1"], ["1.2.0", "2.0.0"]),
        ("<=11", ["11.2.0", "1.2.3"], ["12.0.0"]),
        ("=<1.1.0", ["1.1.0"], ["1.1.1"]),
        ("=>2", ["2.0.0"], ["1.9.9"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("~0.0.0", ["0.0.0", "0.1.0", "5.0.0"], []),
        ("~>1.1", ["1.1.8"], ["1.2.0"]),
        ("^1.2.3", ["1.2.3", "1.8.9"], ["2.0.0", "1.2.2"]),
        ("^0.2.3", ["0.2.5"], ["0.3.0", "0.2.2", "1.0.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.1.0"]),
        ("^0.0", ["0.0.0", "0.0.9"], ["0.1.0"]),
        ("^0", ["0.0.0", "0.9.9"], ["1.0.0"]),
        ("*", ["0.0.1", "4.5.6"], ["1.2.3-beta"]),
        ("1.x", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("1.2.X", ["1.2.9"], ["1.3.0"]),
        (">= 1.1, < 2, != 1.2.3", ["1.1.0", "1.2.4"], ["1.2.3", "2.0.0"]),
        (">= 1.1 < 2", ["1.1.0"], ["2.0.0"]),
        ("< 1 || >= 3", ["0.9.0", "3.0.0"], ["1.0.0", "2.0.0"]),
        ("1.1 - 2", ["1.1.0", "2.0.0", "2.9.0"], ["1.0.9", "3.0.0"]),
        # A prerelease counts for every comparator that names one, whatever version that is of.
        (">=1.2.3-0", ["1.2.3-rc.1", "1.3.0-alpha", "1.2.3", "2.0.0-1"], ["1.2.2"]),
        (">=1.2.3-beta <2", ["1.2.3"], ["1.2.3-beta", "1.4.0-beta"]),
        # Dates have leading zeros.
        (">=2024.1", ["2024.01", "2024.02.03", "2025.1"], ["2023.12", "2024.02.03-01"]),
    ],
)
def test_what_a_constraint_admits(constraint, admits, refuses):
    check = Constraints(constraint).check
    assert [tag for tag in admits if check(tag)] == admits
    assert not [tag for tag in refuses if check(tag)]


@pytest.mark.parametrize("constraint", ["", "foo", ">= bar", "1.2.3.4", ">=", "1.2 ||", "== 1", ">>1", "latest"])
def test_what_is_no_constraint(constraint):
    with pytest.raises(InvalidInput, match="no version constraint"):
        Constraints(constraint)
