# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection of a distribution registry that loses nothing and always comes back read-write.

`run` is the procedure, `repair` what undoes a run that died. Everything else is one step of it each. Standard library
only, Python 3.9 and newer.
"""
