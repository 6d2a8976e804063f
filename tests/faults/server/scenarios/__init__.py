# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios by name, a file for each family. ``fault/<name>/...`` is a repository in which one is played."""

from __future__ import annotations

from ..rules import Scenario
from . import bursts, documents, downloads, lists, logins, places, pushes, uploads

_FAMILIES = (downloads, bursts, documents, uploads, pushes, places, logins, lists)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for family in _FAMILIES for scenario in family.SCENARIOS}
