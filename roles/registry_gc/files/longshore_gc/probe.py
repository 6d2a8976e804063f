# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a registry: does it answer, does it take an upload."""

from __future__ import annotations

import base64
import contextlib
import http.client
import pathlib
import re
import shutil
import socket
import ssl
import time
import urllib.parse
from typing import NamedTuple

from .errors import CollectError
from .record import Probe

#: A repository for the upload that is begun, where there is none yet.
REPOSITORY = "longshore/gc-probe"
_TIMEOUT = 30.0
_UUID = re.compile(r"[0-9a-f-]{36}")
ANSWERS = (200, 401)


class Answer(NamedTuple):
    """Status, header fields in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Endpoint:
    """A registry that listens on an address of this host."""

    def __init__(self, probe: Probe, username: str | None = None, password: str | None = None) -> None:
        self.probe = probe
        self._authorization = {}
        if username is not None:
            token = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._authorization = {"Authorization": f"Basic {token}"}

    @property
    def authenticates(self) -> bool:
        """Whether requests carry a user's name and password."""
        return bool(self._authorization)

    def connect(self) -> http.client.HTTPConnection:
        """A new connection."""
        plain = socket.create_connection((self.probe.host, self.probe.port), _TIMEOUT)
        connection = http.client.HTTPConnection(self.probe.host, self.probe.port, timeout=_TIMEOUT)
        try:
            if self.probe.tls:
                context = ssl.create_default_context(cafile=self.probe.ca)
                connection.sock = context.wrap_socket(plain, server_hostname=self.probe.server_name or self.probe.host)
            else:
                connection.sock = plain
        except BaseException:
            plain.close()
            raise
        return connection

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, connection: http.client.HTTPConnection | None = None
    ) -> Answer:
        """One exchange without a body, on a connection of its own unless one is given. `OSError` if it fails."""
        with contextlib.ExitStack() as stack:
            if connection is None:
                connection = stack.enter_context(contextlib.closing(self.connect()))
            try:
                fields = {**self._authorization, **(headers or {})}
                if method in ("POST", "PUT"):
                    fields["Content-Length"] = "0"
                connection.request(method, target, headers=fields)
                response = connection.getresponse()
                return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{type(error).__name__} {error}") from error

    def refuses_connections(self) -> bool:
        """Whether nobody listens."""
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    def wait(self, seconds: float) -> None:
        """Wait until ``/v2/`` answers 200 or 401; `CollectError` if it does not within ``seconds``."""
        end = time.monotonic() + seconds
        while True:
            try:
                status = self.request("GET", "/v2/").status
                said = f"answers /v2/ with {status}"
            except ssl.SSLCertVerificationError as error:
                raise CollectError(f"the certificate of {self} cannot be verified: {error.verify_message}") from error
            except OSError as error:
                status, said = 0, f"does not answer: {error}"
            if status in ANSWERS:
                return
            if time.monotonic() > end:
                raise CollectError(f"{self} {said}, for {seconds:.0f} s now")
            time.sleep(0.02)

    def begin_upload(self, repository: str, storage: pathlib.Path | None = None) -> int:
        """The status with which it answers the beginning of an upload; one that is accepted is ended at once.

        Distribution 2.8 leaves a directory of an upload that was ended. It is removed where ``storage``, the directory above
        ``docker/registry/v2``, is at hand.
        """
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        if answer.status == 202:
            place = urllib.parse.urlsplit(answer.headers.get("location", ""))
            ended = self.request("DELETE", place.path + (f"?{place.query}" if place.query else ""))
            name = answer.headers.get("docker-upload-uuid", "")
            if ended.status == 204 and storage is not None and _UUID.fullmatch(name):
                path = storage / "docker/registry/v2/repositories" / repository / "_uploads" / name
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path)
        return answer.status

    def __str__(self) -> str:
        return f"the registry at {self.probe.host}:{self.probe.port}"


class Witness:
    """A connection to a running process, to see that this very process has gone."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = endpoint.connect()
        endpoint.request("GET", "/v2/", connection=self._connection)

    def gone(self, seconds: float = 5.0) -> bool:
        """Whether the other end has closed the connection, which only its process does."""
        if self._connection.sock is None:
            return True
        self._connection.sock.settimeout(seconds)
        try:
            return self._connection.sock.recv(1) == b""
        except (TimeoutError, socket.timeout):  # two classes until Python 3.10
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Let go."""
        self._connection.close()
