# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 /usr/local/lib/longshore/longshore_backup VERB ...``."""

from __future__ import annotations

import os
import sys

if not __package__:
    # Run by its directory: the package is to be found beside, not within.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from longshore_backup.cli import main

if __name__ == "__main__":
    sys.exit(main())
