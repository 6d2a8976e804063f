# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal gets."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
