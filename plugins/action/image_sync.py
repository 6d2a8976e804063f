# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_sync shows how far it is."""

from __future__ import annotations

from ansible_collections.longshore.oci.plugins.plugin_utils.watched_action import WatchedAction


class ActionModule(WatchedAction):
    """What runs on the controller for image_sync."""
