# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a home directory for ansible-test where only package registries can be reached.

Usage: python ansible_test_pip.py HOME, with the Python of the environment that has ansible-core.

ansible-test puts pip into the environments that it makes with a bootstrap script, which it downloads from a file host
of its own unless its cache has one. This fills the cache with a script that takes the same version of pip from its
wheel, fetched by the ordinary means. It also hands on the pip settings of the caller, those in environment variables
too, which ansible-test would drop.
"""

from __future__ import annotations

import ast
import configparser
import os
import pathlib
import re
import subprocess
import sys

import ansible_test

BOOTSTRAP = '''\
"""Install pip from its own wheel, in place of the bootstrap script that ansible-test would download."""
import sys

sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall"] + arguments))
'''


def pip(*arguments: str) -> str:
    """Run pip of this interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def write(path: pathlib.Path, text: str) -> None:
    """Replace ``path`` in one step: parts that run side by side may share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def pip_versions() -> list[str]:
    """The versions of pip that this ansible-test wants in its environments."""
    package = pathlib.Path(next(iter(ansible_test.__path__)))
    source = (package / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
    versions = sorted(set(re.findall(r"\bpip='([0-9.]+)'", source)))
    if not versions:
        raise SystemExit("this ansible-test no longer names its version of pip where it used to")
    return versions


def main() -> None:
    home = pathlib.Path(sys.argv[1]).resolve()
    for version in pip_versions():
        script = home / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        wheel = script.with_name(f"pip-{version}-py3-none-any.whl")
        if tuple(int(part) for part in version.split(".")[:2]) < (22, 0):
            continue  # for Pythons older than 3.7, which no part uses
        if not wheel.exists():
            pip("download", "-qq", "--no-deps", "--dest", str(wheel.parent), f"pip=={version}")
        write(script, BOOTSTRAP.format(wheel=str(wheel)))

    settings = configparser.RawConfigParser()
    # Errors only: a log is read for what the checks say.
    settings.read_dict({"global": {"quiet": "2"}})
    # What the environment says comes last: it counts for more than any file.
    for line in sorted(pip("config", "list").splitlines(), key=lambda line: line.startswith(":env:")):
        key, value = line.split("=", 1)
        section, option = key.rsplit(".", 1)
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, option, ast.literal_eval(value))
    with (home / f"pip.conf.{os.getpid()}").open("w", encoding="utf-8") as stream:
        settings.write(stream)
    target = home / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(home / f"pip.conf.{os.getpid()}", target)


main()
