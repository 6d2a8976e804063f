# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with a service's variables, which its secrets come from. registry_backup has this file by a link."""

from __future__ import annotations

import base64
import os
import pathlib


def read(path: str | os.PathLike[str] | None) -> dict[str, str]:
    """The variables of an environment file: ``NAME=value`` lines, values perhaps in quotes, comments. None has none."""
    found: dict[str, str] = {}
    if path is None:
        return found
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[name] = value
    return found


def plain(value: str) -> str | bytes:
    """A value as the registry understands it, which reads its environment as YAML: the role registry writes what YAML could
    take for something else in base64."""
    kind, blank, text = value.partition(" ")
    return base64.b64decode(text) if blank and kind == "!!binary" else value
