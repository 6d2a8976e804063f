# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what in the registries of conftest.py."""

from __future__ import annotations

USER = "alice"
# With what a careless client would cut, quote or encode wrongly.
PASSWORD = "wonder:land/ü"
CREDENTIALS = f"{USER}:{PASSWORD}"
# May only pull, and only with tokens.
READER = "reader"
READER_PASSWORD = "looks-but-does-not-touch"
READER_CREDENTIALS = f"{READER}:{READER_PASSWORD}"
