# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task shows how far it is."""

from __future__ import annotations


class ModuleDocFragment:
    """How a task shows how far it is."""

    DOCUMENTATION = r"""
---
options:
  progress:
    description:
      - Whether a task that takes longer than a few seconds shows how far it is. It shows one line for each host every few
        seconds, with images done, bytes moved, the rate and the time left, at the terminal (standard error) and in the
        output of an AWX job.
      - Nothing is shown for a task with C(no_log) or C(async).
      - Whatever it is, a task that was interrupted stops on the host that it runs on. One with C(async) goes on.
    type: bool
    default: true
"""
