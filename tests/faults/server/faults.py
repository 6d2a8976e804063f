# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with one exchange. Each is made once and played as often as a rule says; none keeps anything."""

from __future__ import annotations

from .downs import chunked, cut, drip, endless, short_length, stall, unframed
from .fault import FIN, RESET, Fault
from .refusals import changed, early, moment_in, page, redirect, refused, spoilt, with_body, with_headers
from .ups import broken, done_then, expired, hung_up, kept_and_broken, late, lost, session_lost, stalled

__all__ = [
    "FIN",
    "Fault",
    "RESET",
    "broken",
    "changed",
    "chunked",
    "cut",
    "done_then",
    "drip",
    "early",
    "endless",
    "expired",
    "hung_up",
    "kept_and_broken",
    "late",
    "lost",
    "moment_in",
    "page",
    "redirect",
    "refused",
    "session_lost",
    "short_length",
    "spoilt",
    "stall",
    "stalled",
    "unframed",
    "with_body",
    "with_headers",
]
