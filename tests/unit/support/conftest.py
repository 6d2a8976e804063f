# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run on a target, where Ansible's controller has not been imported."""

from __future__ import annotations

import pytest
from ansible import module_utils


@pytest.fixture(autouse=True)
def on_a_target(monkeypatch):
    """As if no test before had imported a plugin of the controller: ansible-core 2.19 and later warn another way then."""
    internal = getattr(module_utils, "_internal", None)
    if internal is not None:
        monkeypatch.setattr(internal, "is_controller", False, raising=False)
