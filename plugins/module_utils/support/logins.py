# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of registry_login to its verb."""

from __future__ import annotations

import os
from typing import Any

from ..model.errors import InvalidInput
from ..operations.login import Change, default_path, hiding, log_in, log_out, target_of, verify
from .clients import Task


def login_verb(task: Task) -> dict[str, Any]:
    """What registry_login does."""
    params = task.params
    target = target_of(params["registry"])
    home = os.environ.get("HOME") or os.path.expanduser("~")
    path = params["auth_file"] or default_path(os.environ, home)
    result = {"registry": target.name, "auth_file": path}
    if params["state"] == "absent":
        change = log_out(target, path, task.check_mode)
        return {**result, **_facts(change, path)}

    username, password = params["username"], params["password"]
    if not username:
        raise InvalidInput("username and password are missing: state=present needs both, as options or in the environment")
    result["verified"] = False
    if params["verify"]:
        asked = task.meter.requests
        verify(target, task.registries())
        # One request without credentials, and at least one with them.
        result["verified"] = task.meter.requests > asked + 1
        if not result["verified"]:
            task.warn(f"{target.host} asks nobody for credentials, so that these could not be checked")
    change = log_in(target, username, password, path, task.check_mode)
    if not params["auth_file"] and not os.environ.get("REGISTRY_AUTH_FILE"):
        other = hiding(target, os.environ, home)
        if other:
            task.warn(
                f"{other} has an entry for {target.name} too, which podman, skopeo and this collection use instead of the one in"
                f" {path}: set auth_file to it, or remove the entry"
            )
    return {**result, "username": username, **_facts(change, path)}


def _facts(change: Change, path: str) -> dict[str, Any]:
    before, after = change.user_before, change.user_after
    if change.changed and after is not None and before == after:
        # What differs is not to be shown.
        after = f"{after} (with another password)"
    sides = ((change.before, before), (change.after, after))
    shown = [{"auth_file": path, "registries": file.registries(), "username": user} for file, user in sides]
    return {
        "changed": change.changed,
        "helper": change.helper.program if change.helper is not None else None,
        "diff": {"before": shown[0], "after": shown[1]},
    }
