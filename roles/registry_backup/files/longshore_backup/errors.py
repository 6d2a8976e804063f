# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, in one sentence for the user."""

from __future__ import annotations


class BackupFailed(Exception):
    """The run cannot go on. The message says why, and what to do."""


class Interrupted(BackupFailed):
    """Somebody asked the program to end."""
