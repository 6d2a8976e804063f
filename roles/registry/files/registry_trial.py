# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a registry for a moment with a configuration that is not in place yet, on a port of loopback that nobody knows.

Usage: python3 registry_trial.py CONFIG --environment FILE [--seconds N] [--user USER --group GROUP] -- COMMAND...

COMMAND and ``serve CONFIG`` is what is run. Exits 0 once the registry listens, and 1 with its last words if it ends before it
does. The running registry is not touched: the address, the debug server and the purging of uploads are set aside.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import grp
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time

# What the registry is started with besides the variables of its own.
SET_ASIDE = {
    "REGISTRY_HTTP_ADDR": "127.0.0.1:0",
    "REGISTRY_HTTP_DEBUG": "{}",
    "REGISTRY_LOG_LEVEL": "info",
    "REGISTRY_STORAGE_MAINTENANCE": "{uploadpurging: {enabled: false}}",
    "OTEL_TRACES_EXPORTER": "none",
}
LISTENS = re.compile(rb"listening on ")
LAST_WORDS = 2000
BINARY = re.compile(r"!!binary ([A-Za-z0-9+/=]+)")


def variables(path: str) -> dict[str, str]:
    """The variables in a file of NAME=VALUE lines."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, equals, value = line.rstrip("\n").partition("=")
            if equals and not name.startswith("#"):
                found[name] = value
    return found


def redacted(text: str, secrets: dict[str, str]) -> str:
    """``text`` without the values of the variables, and what stands in them in base64."""
    values = list(secrets.values())
    values += [base64.b64decode(binary).decode(errors="replace") for binary in BINARY.findall("\n".join(values))]
    for value in sorted(values, key=len, reverse=True):
        if len(value) > 3:
            text = text.replace(value, "...")
    return text


def reason(text: str) -> str:
    """The part of the registry's output that says why it ended: it prints its usage and the stack of a panic, too."""
    # A registry that starts logs the headers of its notifications, which hold tokens.
    lines = [line for line in text.splitlines() if line.strip() and "configuring endpoint" not in line]
    telling = [line for line in lines if re.search(r"panic:|level=(fatal|error)|\"level\":\"(fatal|error)\"|error", line)]
    return "\n".join((telling or lines)[:5])[-LAST_WORDS:]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start a registry for a moment with a new configuration.")
    parser.add_argument("config")
    parser.add_argument("--environment", required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--user")
    parser.add_argument("--group")
    # A client of an engine passes on what is in its own environment by name only.
    parser.add_argument("--container", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    own = variables(options.environment)
    command = list(options.command)
    if options.container:
        # Behind `run`: further variables, which win over those of the file.
        place = command.index("run") + 1
        command[place:place] = [word for name, value in SET_ASIDE.items() for word in ("--env", f"{name}={value}")]
    command += ["serve", options.config]
    # A service has nothing of the environment of whoever is logged in, and so nothing of a proxy or an authority in it.
    environment = {"PATH": os.environ.get("PATH", os.defpath), **own, **SET_ASIDE} if not options.container else dict(os.environ)
    identity = {}
    if options.user and os.geteuid() == 0:
        identity = {"user": pwd.getpwnam(options.user).pw_uid, "group": grp.getgrnam(options.group).gr_gid, "extra_groups": []}

    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd="/",
                start_new_session=True, **identity,
            )  # fmt: skip
        except OSError as exc:
            sys.stderr.write(f"{command[0]} cannot be started: {exc.strerror}\n")
            return 1
        end = time.monotonic() + options.seconds
        try:
            while True:
                ended = process.poll()
                output.seek(0)
                said = output.read()
                if LISTENS.search(said):
                    return 0
                if ended is not None:
                    text = reason(redacted(said.decode(errors="replace"), own))
                    sys.stderr.write(f"the registry does not start with this configuration (it ends with {ended}):\n{text}\n")
                    return 1
                if time.monotonic() > end:
                    text = reason(redacted(said.decode(errors="replace"), own))
                    sys.stderr.write(f"the registry does not listen after {options.seconds:.0f} s:\n{text}\n")
                    return 1
                time.sleep(0.05)
        finally:
            stop(process)


if __name__ == "__main__":
    sys.exit(main())
