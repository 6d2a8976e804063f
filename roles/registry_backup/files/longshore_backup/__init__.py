# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a registry's storage and configuration: made while it runs, restored beside and put into place at once.

Python 3.9 and its standard library, and nothing else: it runs on the registry's host.
"""
