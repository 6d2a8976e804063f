# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's docker-registry (distribution 2.8) in a directory of its own."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import access_log
from .access_log import Request
from .certificates import Authority, KeyPair
from .process import Child, ServerFailed, free_port, run, working_directory
from .tokens import TokenServer

_FENCE_AGENT = "longshore-fence"
_SETTLE_SECONDS = 0.03


def htpasswd(users: Mapping[str, str]) -> str:
    """An htpasswd file for ``users`` (names to passwords), in bcrypt, the only kind that distribution takes."""
    return "".join(
        run(["htpasswd", "-niB", "-C", "4", name], stdin=password.encode()).decode().strip() + "\n"
        for name, password in users.items()
    )


class Registry:
    """A registry, started on entering its ``with`` block and stopped on leaving it.

    Args:
        directory: Where it keeps configuration, storage, certificates and logs; by default a temporary one.
        tls: Serve HTTPS with a certificate of an authority of its own, for localhost and 127.0.0.1; see `ca`.
        users: Names and passwords that it asks for (htpasswd). Without them, and without ``token``, it is open.
        token: The token server that it sends clients to; entered by the caller.
        delete: Whether manifests and blobs may be deleted.
        readonly: Refuse every write with 405.
        relative_urls: Answer uploads with a relative ``Location``.
        client_ca: Ask clients for a certificate that this authority signed (with ``tls``).
        storage: A storage directory to serve, such as another registry's.
        port: A port to use instead of any free one.
        config: Further settings, laid over the configuration section by section.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        tls: bool = False,
        users: Mapping[str, str] | None = None,
        token: TokenServer | None = None,
        delete: bool = True,
        readonly: bool = False,
        relative_urls: bool = False,
        client_ca: pathlib.Path | None = None,
        storage: pathlib.Path | None = None,
        port: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if users and token:
            raise ValueError("a registry has either users or a token server")
        self.users = dict(users or {})
        self.tls = tls
        self._given_directory = directory
        self._token = token
        self._delete = delete
        self._readonly = readonly
        self._relative_urls = relative_urls
        self._client_ca = client_ca
        self._given_storage = storage
        self._given_port = port
        self._further = config or {}
        self._fences = itertools.count()
        self._stack = contextlib.ExitStack()
        self._authority: Authority | None = None
        self._child: Child | None = None

    def __enter__(self) -> Registry:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "registry"))
            self.storage = self._given_storage or self.directory / "storage"
            self.port = self._given_port or free_port()
            pair = None
            if self.tls:
                self._authority = Authority(self.directory)
                pair = self._authority.server()
            path = self.directory / "config.yml"
            # JSON is YAML, and needs no library.
            path.write_text(json.dumps(self._configuration(pair), indent=2), encoding="utf-8")
            self._path = path
            self._start()
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``: what image names begin with."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The scheme and host, with no slash at the end."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def authority(self) -> Authority:
        """The authority behind the registry's certificate; only with ``tls``."""
        if self._authority is None:
            raise ValueError("this registry has no TLS")
        return self._authority

    @property
    def ca(self) -> pathlib.Path:
        """The certificate for clients to trust; only with ``tls``."""
        return self.authority.certificate

    @property
    def access_log(self) -> pathlib.Path:
        """The file of the access log."""
        return self._running.output

    @property
    def error_log(self) -> pathlib.Path:
        """The file of the application's log."""
        return self._running.errors

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running.pid

    def restart(self) -> None:
        """Stop it and start it again on the same port: what it kept in memory is forgotten."""
        self._stop()
        self._start()

    def mark(self) -> int:
        """A place in the access log, for `requests_since` and `writes_since`: after every request answered so far."""
        self._settle()
        return self.access_log.stat().st_size

    def requests_since(self, mark: int = 0) -> list[Request]:
        """The requests answered since ``mark``, in the order in which their answers ended."""
        self._settle()
        return [one for one in access_log.read(self.access_log, mark) if one.agent != _FENCE_AGENT]

    def writes_since(self, mark: int = 0) -> list[Request]:
        """Those of `requests_since` whose method is neither GET nor HEAD, whatever came of them."""
        return [one for one in self.requests_since(mark) if one.writes]

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One plain HTTP exchange, no redirect followed: the status, the header fields in lower case, the body."""
        connection: http.client.HTTPConnection
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.ca))
            if self._client_ca is not None:
                raise ServerFailed("this registry asks for a client certificate, which this request has not")
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise ServerFailed("the registry is not running")
        return self._child

    def _start(self) -> None:
        command = ["docker-registry", "serve", str(self._path)]
        # Settings of the caller's own registry, or of Go's, have no business here.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        self._child = Child(command, self.directory, "registry", environment)
        self._child.wait_ready(self._listens)

    def _stop(self) -> None:
        self._running.stop()

    def _listens(self) -> bool:
        if self._client_ca is not None:
            return "listening on" in self.error_log.read_text(errors="replace")
        try:
            return self.request("GET", "/v2/", headers={"User-Agent": _FENCE_AGENT})[0] in (200, 401)
        except (ConnectionError, http.client.HTTPException):
            return False

    def _settle(self) -> None:
        """Wait until the log has every request that was answered so far.

        A line is written a moment after the answer. So ask something of our own, wait for its line, and then until no
        more lines come.
        """
        if self._client_ca is None:
            fence = f"/v2/?fence={next(self._fences)}-{time.monotonic_ns()}"
            self.request("GET", fence, headers={"User-Agent": _FENCE_AGENT})
            end = time.monotonic() + 10
            while fence.encode() not in self.access_log.read_bytes():
                if time.monotonic() > end:
                    raise ServerFailed("the registry does not log its requests")
                time.sleep(0.005)
        size = -1
        while size != self.access_log.stat().st_size:
            size = self.access_log.stat().st_size
            time.sleep(_SETTLE_SECONDS)

    def _configuration(self, pair: KeyPair | None) -> dict[str, Any]:
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": self._delete},
                "maintenance": {
                    "readonly": {"enabled": self._readonly},
                    "uploadpurging": {"enabled": False, "age": "168h", "interval": "24h", "dryrun": False},
                },
            },
            "http": {
                "addr": self.host,
                "secret": "the same at every start, so that uploads outlive a restart",
                "relativeurls": self._relative_urls,
            },
        }
        if pair is not None:
            tls: dict[str, Any] = {"certificate": str(pair.certificate), "key": str(pair.key)}
            if self._client_ca is not None:
                tls["clientcas"] = [str(self._client_ca)]
            config["http"]["tls"] = tls
        if self.users:
            path = self.directory / "htpasswd"
            path.write_text(htpasswd(self.users), encoding="utf-8")
            config["auth"] = {"htpasswd": {"realm": "longshore", "path": str(path)}}
        if self._token is not None:
            config["auth"] = {"token": self._token.registry_settings()}
        _lay_over(config, self._further)
        return config


def _lay_over(config: dict[str, Any], further: Mapping[str, Any]) -> None:
    for key, value in further.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _lay_over(config[key], value)
        else:
            config[key] = value


def describe(requests: Sequence[Request]) -> str:
    """Requests as lines of text, for the message of a failing test."""
    return "\n".join(f"{one.method} {one.target} {one.status}" for one in requests)
