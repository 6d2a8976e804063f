# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell all at once what is on the host: each look by itself would take as long as this does.

Usage: python3 registry_survey.py JSON

JSON has ``directory`` (the instance's), ``sentinel``, ``paths`` (to look for), ``imports`` and ``programs`` (to look for) and
``version`` (a command that tells the version). The answer is JSON, too, and holds secrets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys


def text(path: str) -> str:
    """What a file holds; '' if it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def said(command: list[str]) -> str:
    """What a command prints; '' if it fails or is not there."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=120)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace").strip()


def main() -> int:
    asked = json.loads(sys.argv[1])
    directory = asked["directory"]
    link = os.path.join(directory, "tls", "current")
    variables = (line.partition("=") for line in text(os.path.join(directory, "secrets.env")).splitlines())
    found = {
        "record": json.loads(text(os.path.join(directory, "instance.json")) or "{}"),
        "paths": [path for path in [directory, asked["sentinel"], *asked["paths"]] if path and os.path.lexists(path)],
        "pair": os.readlink(link) if os.path.islink(link) else "",
        "readwrite": text(os.path.join(directory, "readwrite.yml")),
        "secret": "".join(value for name, dummy, value in variables if name == "REGISTRY_HTTP_SECRET"),
        "missing": [name for name in asked["imports"] if importlib.util.find_spec(name) is None]
        + [name for name in asked["programs"] if shutil.which(name) is None],
        "version": said(asked["version"]) if asked["version"] else "",
        "package_unit": said(["systemctl", "is-enabled", "docker-registry.service"]),
    }
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
