# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the roles' programs have in common."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from ansible_collections.longshore.oci.tests.servers.process import working_directory


@pytest.fixture
def place() -> Iterator[pathlib.Path]:
    """A directory that the registry's user can reach."""
    with working_directory(None, "gc") as path:
        path.chmod(0o755)
        yield path
