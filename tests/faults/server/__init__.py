# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that plays faults: the Distribution API on several loopback origins, over HTTP and TLS, with a log of all it
was asked. What goes wrong is chosen by the repository's name.

    with FaultRegistry() as faulty:
        repository = faulty.put("resetonce", image, tags=["1"])      # fault/resetonce/1
        copy(f"{faulty.host}/{repository}:1", ...)
        faulty.log.of(repository)

    with faulty.schedule(seed=7) as schedule: ...                    # random faults, the same for the same seed
    schedule.met                                                     # what was played, on what
"""

from __future__ import annotations

from .faults import Fault
from .kinds import Kind
from .log import Entry, Log
from .registry import HEADER, FaultRegistry
from .rules import Login, Rule, Scenario, on
from .schedule import Schedule

__all__ = ["HEADER", "Entry", "Fault", "FaultRegistry", "Kind", "Log", "Login", "Rule", "Scenario", "Schedule", "on"]
