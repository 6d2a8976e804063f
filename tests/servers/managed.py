# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry with what the role registry leaves for it: two configurations, a record, commands that start and stop it."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import pathlib
import shutil
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from .certificates import KeyPair
from .process import ServerFailed, run, wait_until
from .registry import Registry

#: Debian's nobody and nogroup: whom the registry runs as.
UID = GID = 65534

_CONTROL = """#!/bin/sh
# control ACTION: what a service manager does. Holds still while flags/hold-ACTION is there.
set -eu
cd {directory}
alive() {{ [ -s pid ] && [ -n "$(tr '\\0' ' ' <"/proc/$(cat pid)/cmdline" 2>/dev/null)" ]; }}
hold() {{ if [ -e "flags/hold-$1" ]; then : >"flags/held-$1"; while [ -e "flags/hold-$1" ]; do sleep 0.02; done; fi; }}
stop() {{ if alive; then kill "$(cat pid)"; while alive; do sleep 0.01; done; fi; rm -f pid; }}
start() {{
    if alive; then return; fi
    set -- setpriv --reuid {uid} --regid {gid} --clear-groups docker-registry serve config.yml
    set -- env -i PATH="$PATH" $(cat secrets.env) "$@"
    setsid "$@" >>out.log 2>>err.log </dev/null 9>&- &
    echo $! >pid
}}
hold "$1"
exec 9>control.lock
flock 9
case $1 in
active) alive ;;
start) start ;;
stop) stop ;;
restart) stop; start ;;
esac
"""

_BINARY = """#!/bin/sh
# The registry's binary. Holds still before a serve and a dry run, and after a sweep, while flags/hold-... is there.
set -eu
cd {directory}
hold() {{ if [ -e "flags/hold-$1" ]; then : >"flags/held-$1"; while [ -e "flags/hold-$1" ]; do sleep 0.02; done; fi; }}
case "$1 ${{2:-}}" in
serve*) echo "$*" >>flags/served; hold serve; exec docker-registry "$@" ;;
"garbage-collect --dry-run") hold dry-run; exec {collector} "$@" ;;
*) echo "$*" >>flags/swept; {collector} "$@"; hold sweep ;;
esac
"""


class ManagedRegistry(Registry):
    """A `Registry` under a service manager of its own, a script; everything is below `directory`.

    Args:
        name: The instance's name.
        place: The directory of all instances: each has its own in it.
        series: What the record calls the version.
        collector: What to run instead of ``docker-registry`` for ``garbage-collect``.
        s3: Parameters of a storage in S3, instead of the file system.
        secrets: Variables for secrets.env.
        record: Further fields of the record.
        further: As for `Registry`.
    """

    def __init__(
        self,
        place: pathlib.Path,
        name: str = "main",
        *,
        series: str = "2.8",
        collector: Sequence[str] = ("docker-registry",),
        s3: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        record: dict[str, Any] | None = None,
        **further: Any,
    ) -> None:
        super().__init__(place / name, **further)
        self.name = name
        self._place = place
        self._series = series
        self._collector = tuple(collector)
        self._s3 = s3
        self._secrets = {"REGISTRY_HTTP_SECRET": "secret", **(secrets or {})}
        self._record = record or {}

    @property
    def record(self) -> pathlib.Path:
        """instance.json."""
        return self.directory / "instance.json"

    @property
    def flags(self) -> pathlib.Path:
        """Where files make the scripts hold still."""
        return self.directory / "flags"

    @property
    def link(self) -> str:
        """Which configuration the service reads."""
        return os.readlink(self.directory / "config.yml")

    @property
    def access_log(self) -> pathlib.Path:
        """The file of the access log."""
        return self.directory / "out.log"

    @property
    def error_log(self) -> pathlib.Path:
        """The file of the application's log."""
        return self.directory / "err.log"

    @property
    def pid(self) -> int:
        """The process's number; `ServerFailed` if it does not run."""
        if not self.alive:
            raise ServerFailed(f"{self.name} does not run")
        return int((self.directory / "pid").read_text())

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        with contextlib.suppress(ServerFailed):
            self.control("active")
            return True
        return False

    def control(self, action: str) -> None:
        """Run the service manager."""
        run([str(self.directory / "control"), action])

    @contextlib.contextmanager
    def held(self, action: str) -> Iterator[None]:
        """While this lasts, ``action`` of the scripts holds still."""
        (self.flags / f"hold-{action}").touch()
        try:
            yield
        finally:
            self.release(action)

    def release(self, action: str) -> None:
        """Let it go on."""
        for flag in (self.flags / f"hold-{action}", self.flags / f"held-{action}"):
            with contextlib.suppress(FileNotFoundError):
                flag.unlink()

    def wait_held(self, action: str) -> None:
        """Wait until ``action`` holds still."""
        wait_until((self.flags / f"held-{action}").exists, f"{self.name} {action}", 60)

    def repository_directory(self, repository: str) -> pathlib.Path:
        """Where a repository is stored."""
        return self.storage / "docker/registry/v2/repositories" / repository

    def blob_path(self, digest: str) -> pathlib.Path:
        """Where a blob is stored."""
        algorithm, encoded = digest.split(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def _start(self) -> None:
        if not (self.directory / "config.yml").is_symlink():
            self._arrange()
        self.control("start")
        wait_until(self._listens, self.name)

    def _stop(self) -> None:
        self.control("stop")

    def _arrange(self) -> None:
        for path in (self._place, self.directory):
            path.chmod(path.stat().st_mode | stat.S_IXGRP | stat.S_IRGRP | stat.S_IXOTH | stat.S_IROTH)
        self.flags.mkdir()
        self.flags.chmod(0o1777)
        (self.storage).mkdir(exist_ok=True)
        shutil.chown(self.storage, UID, GID)
        (self.storage / ".longshore-storage").touch()
        words = {"directory": self.directory, "uid": UID, "gid": GID, "collector": " ".join(self._collector)}
        for name, text in (("control", _CONTROL), ("binary", _BINARY)):
            (self.directory / name).write_text(text.format(**words))
            (self.directory / name).chmod(0o755)
        (self.directory / "secrets.env").write_text("".join(f"{key}={value}\n" for key, value in self._secrets.items()))
        readwrite = json.loads(self._path.read_bytes())
        readonly = copy.deepcopy(readwrite)
        readonly["storage"]["maintenance"]["readonly"]["enabled"] = True
        (self.directory / "readwrite.yml").write_text(json.dumps(readwrite, indent=1))
        (self.directory / "readonly.yml").write_text(json.dumps(readonly, indent=1))
        self._path.unlink()
        self._path.symlink_to("readonly.yml" if self._readonly else "readwrite.yml")
        self.record.write_text(json.dumps({**self._own_record(), **self._record}, indent=1))

    def _own_record(self) -> dict[str, Any]:
        identity = hashlib.sha256(f"filesystem:{self.storage}".encode()).hexdigest()[:16]
        server = "127.0.0.1" if self.tls else None
        return {
            "version": 1,
            "name": self.name,
            "deployment": "package",
            "series": self._series,
            "readonly": self._readonly,
            "url": self.url,
            "probe": {
                "host": "127.0.0.1",
                "port": self.port,
                "tls": self.tls,
                "server_name": server,
                "ca": str(self.ca) if self.tls else None,
            },
            "config": str(self.directory / "config.yml"),
            "readwrite": str(self.directory / "readwrite.yml"),
            "readonly_config": str(self.directory / "readonly.yml"),
            "environment_file": str(self.directory / "secrets.env"),
            "user": "nobody",
            "group": "nogroup",
            "uid": UID,
            "gid": GID,
            "storage": {"driver": "filesystem", "path": str(self.storage)} if self._s3 is None else {"driver": "s3", **self._s3},
            "cache": {"kind": "none"},
            "htpasswd": str(self.directory / "htpasswd") if self.users else None,
            "command": [str(self.directory / "binary")],
            "serve": [str(self.directory / "binary")],
            "control": {action: [str(self.directory / "control"), action] for action in ("start", "stop", "restart", "active")},
            "peers": [],
            "lock": str(self._place / f"longshore-registry-{identity}.lock"),
            "sentinel": str(self.storage / ".longshore-storage") if self._s3 is None else None,
        }

    def _configuration(self, pair: KeyPair | None) -> dict[str, Any]:
        config = super()._configuration(pair)
        config["storage"]["maintenance"]["readonly"]["enabled"] = False
        config["http"]["draintimeout"] = "30s"
        if self._s3 is not None:
            del config["storage"]["filesystem"]
            config["storage"]["s3"] = self._s3
        for path in (self.directory / "htpasswd", pair.key if pair is not None else self.directory / "htpasswd"):
            if path.exists():
                path.chmod(0o644)
        return config
