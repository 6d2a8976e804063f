# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group, mode and labels of a file that a module writes, by the options that all of Ansible's file modules have."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule


class FileAttributes:
    """What the options of ``add_file_common_args`` say of the file ``path``.

    A file that is there is set right before it is changed, a new one before it gets its name: what fails then has
    changed nothing. Only ``attributes`` (chattr) come last, because some of them keep a file from being replaced.
    """

    def __init__(self, module: AnsibleModule, path: str) -> None:
        self._module = module
        self._arguments: dict[str, Any] = module.load_file_common_arguments(module.params, path=path)
        #: What differed, in the form of a result's ``diff``.
        self.diff: dict[str, Any] = {}

    def settle(self) -> bool:
        """Set right what is there; in check mode, tell. Whether anything differed."""
        return self._set({**self._arguments, "attributes": None}, self.diff)

    def prepare(self, path: str) -> None:
        """Give a file that is going to take the name the owner, group, mode and labels."""
        self._set({**self._arguments, "attributes": None, "path": path}, {})

    def finish(self) -> bool:
        """Set the attributes of the file in its place. Whether they differed."""
        if self._arguments.get("attributes") is None:
            return False
        everything_else = dict.fromkeys(("owner", "group", "mode"))
        return self._set({**self._arguments, **everything_else, "secontext": [None, None, None]}, self.diff)

    def _set(self, arguments: dict[str, Any], diff: dict[str, Any]) -> bool:
        return bool(self._module.set_fs_attributes_if_different(arguments, False, diff))
