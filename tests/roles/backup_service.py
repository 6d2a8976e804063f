# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry as the role registry leaves it, with a service manager of a few lines, and the backup program to try on it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from ansible_collections.longshore.oci.tests.roles.far_registry import FarRegistry
from ansible_collections.longshore.oci.tests.servers.process import ServerFailed, free_port

ROOT = pathlib.Path(os.path.abspath(__file__)).parents[2]
PROGRAMS = ROOT / "roles" / "registry_backup" / "files"
#: The Python that the program runs on.
PYTHON = os.environ.get("LONGSHORE_BACKUP_PYTHON", sys.executable)

# start, stop, restart and active, as systemctl has them.
_CONTROL = """\
#!/bin/sh
# One that has ended, and that nobody has waited for, does not run.
running() { [ -s {pid} ] && grep -q ') [^Z] ' "/proc/$(cat {pid})/stat" 2>/dev/null; }
start() {
    running && return
    [ ! -e {directory}/broken ] || exit 1
    setsid docker-registry serve {config} >>{directory}/out 2>>{directory}/err </dev/null &
    echo $! >{pid}
}
stop() {
    running || return 0
    kill "$(cat {pid})"
    while running; do sleep 0.02; done
    rm {pid}
}
echo "$1" >>{directory}/calls
case $1 in
start) start ;;
stop) stop ;;
restart) stop; start ;;
active) running ;;
esac
"""


class Instance(FarRegistry):
    """One instance: its directory, its storage, its record, and a registry behind it once it is started."""

    def __init__(self, directory: pathlib.Path, name: str = "main", storage: pathlib.Path | None = None, **record: Any) -> None:
        self.directory = directory / name
        self.home = directory / "etc" / name
        self.storage = storage or directory / "storage"
        self.calls = self.directory / "calls"
        for path in (self.directory, self.home / "auth", self.home / "tls", self.storage):
            path.mkdir(parents=True, exist_ok=True)
        super().__init__("127.0.0.1", free_port())
        self.host = f"127.0.0.1:{self.port}"
        (self.storage / ".longshore-storage").touch()
        for kind in ("readwrite", "readonly"):
            (self.home / f"{kind}.yml").write_text(json.dumps(self._configuration(kind == "readonly")))
        (self.home / "config.yml").symlink_to("readwrite.yml")
        (self.home / "secrets.env").write_text("REGISTRY_HTTP_SECRET=of-the-registry\n")
        (self.home / "secrets.env").chmod(0o600)
        (self.home / "auth" / "htpasswd").write_text("alice:$2y$04$" + "a" * 53 + "\n")
        (self.home / "tls" / "registry.key").write_text("a key\n")
        control = self.directory / "control"
        text = _CONTROL
        for key, value in {"pid": self.directory / "pid", "directory": self.directory, "config": self.home / "config.yml"}.items():
            text = text.replace(f"{{{key}}}", str(value))
        control.write_text(text)
        control.chmod(0o755)
        self.record = self.home / "instance.json"
        self.document: dict[str, Any] = {
            "version": 1,
            "name": name,
            "deployment": "package",
            "series": "2.8",
            "readonly": False,
            "url": self.url,
            "probe": {"host": "127.0.0.1", "port": self.port, "tls": False, "server_name": None, "ca": None},
            "config": str(self.home / "config.yml"),
            "readwrite": str(self.home / "readwrite.yml"),
            "readonly_config": str(self.home / "readonly.yml"),
            "environment_file": str(self.home / "secrets.env"),
            "user": "root",
            "group": "root",
            "uid": os.getuid(),
            "gid": os.getgid(),
            "storage": {"driver": "filesystem", "path": str(self.storage)},
            "cache": {"kind": "inmemory"},
            "htpasswd": None,
            "control": {verb: [str(control), verb] for verb in ("start", "stop", "restart", "active")},
            "peers": [],
            "lock": str(directory / "storage.lock"),
            "sentinel": str(self.storage / ".longshore-storage"),
            **record,
        }
        self.write()
        self.control = str(control)

    def write(self, **changes: Any) -> None:
        """Write the record, changed."""
        self.document.update(changes)
        self.record.write_text(json.dumps(self.document))

    @contextlib.contextmanager
    def running(self) -> Iterator[Instance]:
        """The registry runs meanwhile."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        subprocess.run([self.control, "start"], check=True)
        self.wait()

    def stop(self) -> None:
        """Stop it, if it runs."""
        subprocess.run([self.control, "stop"], check=True)

    def _configuration(self, readonly: bool) -> dict[str, Any]:
        purging = {"enabled": False, "age": "168h", "interval": "24h", "dryrun": False}
        return {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
                "maintenance": {"readonly": {"enabled": readonly}, "uploadpurging": purging},
            },
            "http": {"addr": self.host, "secret": "the same at every start"},
        }


class Program:
    """The program, for one instance and one directory of backups."""

    def __init__(self, directory: pathlib.Path, instance: Instance) -> None:
        self.instance = instance
        self.backups = directory / "backups"
        self.state = directory / "state" / "main.json"
        self.site = directory / "site"
        self.textfile = directory / "metrics" / "backup.prom"
        self.report = directory / "state" / "report.json"

    def command(self, verb: str, *options: str) -> list[str]:
        """The command of a verb."""
        usual = ["--record", str(self.instance.record), "--destination", str(self.backups), "--state", str(self.state)]
        if verb == "create":
            usual += ["--report", str(self.report), "--textfile", str(self.textfile)]
        return [PYTHON, str(PROGRAMS / "longshore_backup"), verb, *usual, *options]

    def run(self, verb: str, *options: str, patch: str = "") -> tuple[int, dict[str, Any]]:
        """Run it to its end, after the Python in ``patch``; its status (negative: the signal) and its result."""
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        if patch:
            self.site.mkdir(exist_ok=True)
            (self.site / "sitecustomize.py").write_text(textwrap.dedent(patch))
            environment["PYTHONPATH"] = f"{self.site}:{PROGRAMS}"
        done = subprocess.run(
            self.command(verb, *options), env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode < 0:
            return done.returncode, {}
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            raise ServerFailed(f"{verb} ended with {done.returncode}: {done.stdout}{done.stderr}") from None

    def good(self, verb: str, *options: str, patch: str = "") -> dict[str, Any]:
        """`run` what has to end well."""
        status, result = self.run(verb, *options, patch=patch)
        assert status == 0, result
        assert not result["failed"]
        return result

    def bad(self, verb: str, *options: str, patch: str = "") -> str:
        """`run` what has to fail; its message."""
        status, result = self.run(verb, *options, patch=patch)
        assert status == 1 and result["failed"], result
        return str(result["msg"])

    def killed(self, verb: str, *options: str, at: str, call: int = 1) -> None:
        """Run it until it kills itself at a call of the function ``at``, as ``snapshot.Snapshot.settle``."""
        module, dummy, name = at.partition(".")
        owner, dummy, attribute = name.rpartition(".")
        patch = f"""
            import os
            from longshore_backup import {module}
            owner = {module}{f'.{owner}' if owner else ''}
            true, calls = getattr(owner, {attribute!r}), []
            def last(*args, **options):
                calls.append(1)
                if len(calls) == {call}:
                    os.kill(os.getpid(), {int(signal.SIGKILL)})
                return true(*args, **options)
            setattr(owner, {attribute!r}, last)
            """
        status, result = self.run(verb, *options, patch=patch)
        assert status == -signal.SIGKILL, (status, result)

    def complete(self) -> list[str]:
        """The names of the complete backups."""
        found = sorted(path.name for path in self.backups.iterdir()) if self.backups.exists() else []
        return [name for name in found if "." not in name]

    def leftovers(self) -> list[str]:
        """What is there that is no complete backup."""
        return sorted(path.name for path in self.backups.iterdir() if "." in path.name and path.name != ".lock")
