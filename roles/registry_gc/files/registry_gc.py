# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the garbage collection of longshore.oci: ``python3 registry_gc.py collect|repair --settings FILE``."""

from __future__ import annotations

import sys

from longshore_gc.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
