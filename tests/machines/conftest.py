# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines for the tests of the roles.

One daemon runs them all. A file of tests starts those it needs, once, and removes them at its end; three may run at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from ansible_collections.longshore.oci.tests.servers.machines import Machines


def _end(number: int, dummy: FrameType | None) -> None:
    # Not sys.exit: to pytest that is one test that failed, and it goes on with the next.
    pytest.exit(f"ended by signal {number}", 128 + number)


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """Starts machines; see `Machines`."""
    # Asked to stop, the session leaves its fixtures, and with them the machines, in order.
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with Machines() as running:
            yield running
    finally:
        signal.signal(signal.SIGTERM, before)
