# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry's service: whether it runs, and how to stop, start and ask it."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time

from .errors import BackupFailed
from .record import Record

_COMMAND_SECONDS = 300.0
_READY_SECONDS = 90.0
_ANSWERS = (200, 401)


def runs(record: Record) -> bool:
    """Whether the registry runs: by its service manager, or without one by whether somebody listens where it would."""
    if record.control:
        command = record.control["active"]
        try:
            return subprocess.run(command, capture_output=True, timeout=_COMMAND_SECONDS, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise BackupFailed(f"{' '.join(command)} cannot be run: {exc}") from None
    try:
        socket.create_connection((str(record.probe["host"]), int(record.probe["port"])), timeout=5).close()
    except OSError:
        return False
    return True


def control(record: Record, verb: str) -> None:
    """``start``, ``stop`` or ``restart`` it. Raises `BackupFailed`."""
    if not record.control:
        raise BackupFailed(f"the service manager of instance {record.name} is somebody else's: {verb} the registry yourself")
    command = record.control[verb]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BackupFailed(f"{' '.join(command)} cannot be run: {exc}") from None
    if done.returncode:
        raise BackupFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def wait_ready(record: Record) -> None:
    """Wait until the registry answers. Raises `BackupFailed`."""
    end = time.monotonic() + _READY_SECONDS
    while True:
        try:
            status = request(record, "GET", "/v2/")
            found = f"it answers {status}"
        except (OSError, http.client.HTTPException) as exc:
            status, found = 0, str(exc)
        if status in _ANSWERS:
            return
        if time.monotonic() > end:
            raise BackupFailed(f"instance {record.name} does not answer after {_READY_SECONDS:.0f} s: {found}")
        time.sleep(0.1)


def refuses_uploads(record: Record) -> bool:
    """Whether an upload is refused because the registry is read-only; without a password that may stay unknown: True then."""
    try:
        status = request(record, "POST", "/v2/longshore-backup-probe/blobs/uploads/")
    except (OSError, http.client.HTTPException) as exc:
        raise BackupFailed(f"instance {record.name} does not answer: {exc}") from None
    return status in (401, 403, 405)


def request(record: Record, method: str, target: str) -> int:
    """One request to the instance on this host; returns the status of the answer."""
    probe = record.probe
    host, port = str(probe["host"]), int(probe["port"])
    connection = http.client.HTTPConnection(host, port, timeout=15)
    if probe.get("tls"):
        context = ssl.create_default_context(cafile=probe.get("ca"))
        plain = socket.create_connection((host, port), timeout=15)
        try:
            connection.sock = context.wrap_socket(plain, server_hostname=str(probe.get("server_name") or host))
        except BaseException:
            plain.close()
            raise
    try:
        connection.request(method, target, headers={"Host": str(probe.get("server_name") or host), "Content-Length": "0"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
