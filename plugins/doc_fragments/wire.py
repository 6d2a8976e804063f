# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task speaks to registries."""

from __future__ import annotations


class ModuleDocFragment:
    """How a task speaks to registries."""

    DOCUMENTATION = r"""
---
options:
  timeout:
    description:
      - Seconds without a single byte after which a request is given up. A long transfer that moves is never cut
        off.
    type: float
    default: 60
  retries:
    description:
      - How often a request is tried again after a failure that may pass, such as a broken connection or an
        overloaded registry.
    type: int
    default: 5
  max_retry_after:
    description:
      - Longest wait in seconds that a registry may ask for (C(Retry-After)) before the task fails and says so.
    type: int
    default: 120
  bandwidth_limit:
    description:
      - Bytes a second that all transfers of the task together may take, such as V(10M) or V(1500000). K, M and
        G are powers of 1024.
      - What is received and what is sent count alike, so that a copy from registry to registry goes at half of it.
      - Without it there is no limit.
    type: bytes
  parallel:
    description:
      - How many requests run at once to each registry, from 1 to 256.
    type: int
    default: 16
  max_requests_per_second:
    description:
      - How many requests a second the task sends to each host at most, such as V(20) or V(0.5). They go out evenly.
      - Where many hosts share the quota of one registry, give each its part of it.
      - Without it there is no limit.
    type: float
  rate_limit:
    description:
      - What to do when a registry allows no more pulls for now, as Docker Hub tells in its headers. The task knows how
        many are left and spends requests that do not count (C(HEAD)) where it can.
      - V(stop) fails before the limit is hit, and says what the limit is. What was copied until then stays.
      - V(wait) waits until pulls are allowed again, warns that it did, and tells the seconds in the result.
      - V(ignore) goes on asking until the registry refuses.
    type: str
    choices: [wait, stop, ignore]
    default: stop
"""
