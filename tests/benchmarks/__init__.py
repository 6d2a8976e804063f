# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark behind ``script/bench``: this collection beside skopeo, on the same two registries, in one run.

Needs nothing but Python's standard library, except ``floor.py``, which runs in the benchmark's virtual environment.
"""
