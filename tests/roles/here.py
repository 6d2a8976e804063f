# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This host as a host of playbooks: roles run on it, with every path of theirs below a directory."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.longshore.oci.tests.servers.playbooks import PlaybookRunner


class Here:
    """``run`` runs playbooks, ``inventory`` has the host ``here`` in the group ``registry``, with ``variables``."""

    def __init__(self, place: pathlib.Path, python: str, variables: Mapping[str, Any]) -> None:
        self.run = PlaybookRunner(place / "ansible")
        self.inventory = place / "inventory.json"
        local = {"ansible_connection": "local", "ansible_python_interpreter": python, "longshore_become": False}
        hosts = {"here": {**local, **variables}}
        self.inventory.write_text(json.dumps({"all": {"children": {"registry": {"hosts": hosts}}}}))
