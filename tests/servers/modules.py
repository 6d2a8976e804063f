# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the collection, as Ansible does or nearly so."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

NAMESPACE = "longshore.oci"
_COLLECTIONS = pathlib.Path(os.path.abspath(__file__)).parents[5]
# Variables that would change what a module does.
_DROPPED = ("ANSIBLE_", "LONGSHORE_", "DOCKER_", "REGISTRY_AUTH_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class ModuleFailed(Exception):
    """A module ended without a result: what it printed."""


class ModuleRunner:
    """Runs modules and returns their results.

    Calling it runs the module's own file in a Python process, which takes a fraction of the time that Ansible takes;
    `ansible` runs the ``ansible`` command, for what only that does. Neither raises when the module fails: look at
    ``result.get("failed")``.

    Modules run on the Python that runs the tests. They import the ansible-core that this one has, and `ansible` is its
    command, unless LONGSHORE_CORE names the directory of another one's commands: so a module meets what a managed host of
    that Python gets from a controller of that core.

    Args:
        directory: The home directory of what it runs, so that nobody's credentials get in, and the working directory.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.home = directory / "home"
        self.home.mkdir(exist_ok=True)
        self.environment: dict[str, str] = {}
        core = os.environ.get("LONGSHORE_CORE")
        self._commands = pathlib.Path(core) if core else pathlib.Path(sys.executable).parent
        self._library = [_library(self._commands, directory / "core")] if core else []

    def __call__(self, name: str, /, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        """Run ``longshore.oci.NAME`` with these options by itself, and return what it prints."""
        done = self._run(self.command(name), self.arguments(check, diff, **options))
        lines = done.stdout.strip().splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise ModuleFailed(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
        result: dict[str, Any] = json.loads(lines[-1])
        if "warnings" in result:
            # The newest cores make texts of them on the controller.
            found = result["warnings"]
            result["warnings"] = [one["event"]["msg"] if isinstance(one, dict) else one for one in found]
        return result

    def start(self, name: str, /, **options: Any) -> subprocess.Popen[str]:
        """Begin to run ``longshore.oci.NAME`` by itself; what it prints, errors included, is on ``stdout``."""
        process = subprocess.Popen(
            self.command(name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.whole_environment(),
            cwd=self.home,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(self.arguments(**options))
        process.stdin.close()
        # So that `communicate` does not want to write.
        process.stdin = None
        return process

    def command(self, name: str) -> list[str]:
        """The command that runs ``longshore.oci.NAME`` with the `arguments` on its standard input."""
        return [sys.executable, "-m", f"ansible_collections.{NAMESPACE}.plugins.modules.{name}"]

    def arguments(self, check: bool = False, diff: bool = False, **options: Any) -> str:
        """What a module reads from its standard input."""
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": str(self.home)}
        return json.dumps({"ANSIBLE_MODULE_ARGS": {**options, **internal}})

    def ansible(
        self, name: str, /, check: bool = False, diff: bool = False, arguments: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run ``ansible -m longshore.oci.NAME`` on localhost and return the result that it shows.

        ``arguments`` replaces the options by a text for ``-a``, such as the flat ``key=value`` form.
        """
        command = [str(self._commands / "ansible"), "localhost", "--inventory", "localhost,"]
        command += ["--connection", "local", "--module-name", f"{NAMESPACE}.{name}"]
        command += ["--args", json.dumps(options) if arguments is None else arguments]
        command += ["--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable})]
        command += (["--check"] if check else []) + (["--diff"] if diff else [])
        done = self._run(command, "")
        head, arrow, text = done.stdout.partition("=> {")
        if not arrow:
            raise ModuleFailed(f"ansible ended with {done.returncode}: {done.stdout}{done.stderr}")
        # With --diff a text in colour follows the result.
        result: dict[str, Any] = json.JSONDecoder().raw_decode("{" + text)[0]
        result.setdefault("failed", "FAILED" in head)
        return result

    def whole_environment(self) -> dict[str, str]:
        """The environment of what it runs: nobody's settings, and `environment` over all."""
        kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(_DROPPED)}
        return {
            **kept,
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([*self._library, str(_COLLECTIONS)]),
            "ANSIBLE_COLLECTIONS_PATH": str(_COLLECTIONS),
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
            "ANSIBLE_NOCOLOR": "true",
            **self.environment,
        }

    def _run(self, command: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=stdin,
            env=self.whole_environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


def _library(commands: pathlib.Path, place: pathlib.Path) -> str:
    """A directory with the package ``ansible`` that belongs to ``commands``, and nothing else of what is beside it."""
    (package,) = commands.parent.glob("lib/python3*/site-packages/ansible")
    place.mkdir(exist_ok=True)
    link = place / "ansible"
    if not link.exists():
        link.symlink_to(package)
    return str(place)
