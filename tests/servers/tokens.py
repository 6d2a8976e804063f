# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token server, as distribution's token authentication wants one.

The protocol is distribution's docs/spec/auth/token.md (GET with Basic) and oauth.md (POST, with ``password`` and
``refresh_token`` grants); the token is a JWT signed with RS256 as jwt.md has it, with the certificate in ``x5c``, which
distribution 2.8 and 3 both check against ``rootcertbundle``.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import pathlib
import secrets
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .certificates import Authority, signing_pair
from .process import run, working_directory

ANONYMOUS = ""


class TokenRequest(NamedTuple):
    """One request that the token server answered.

    ``grant`` is ``basic`` or ``anonymous`` for GET and the grant type for POST; ``scopes`` as asked for.
    """

    method: str
    grant: str
    user: str
    service: str
    scopes: tuple[str, ...]
    status: int


class TokenServer:
    """A token server, started on entering its ``with`` block and stopped on leaving it.

    Args:
        users: Names and passwords.
        grants: For each user the repositories and what is allowed there: ``{"alice": {"team/app": ["pull"]}}``.
            The repository ``*`` stands for all, the user `ANONYMOUS` for whoever gives no credentials. A user who has
            no row may do everything; `ANONYMOUS` without a row may do nothing.
        expires_in: How long a token lives, in seconds. Distribution allows a minute more.
        tls: Serve HTTPS, with a certificate of an authority of its own; see `ca`.
        accept_post: Whether the OAuth2 POST is understood; if not, it is answered with 404 as older servers do.
        token_field: The field that the answer to a GET has the token in: ``token``, ``access_token`` or both.
        directory: Where keys and certificates go; by default a temporary one.
    """

    issuer = "longshore test issuer"
    service = "longshore-test-registry"

    def __init__(
        self,
        *,
        users: Mapping[str, str],
        grants: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        expires_in: int = 300,
        tls: bool = False,
        accept_post: bool = True,
        token_field: Sequence[str] = ("token",),
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.users = dict(users)
        self.grants = {user: dict(rows) for user, rows in (grants or {}).items()}
        self.expires_in = expires_in
        self.tls = tls
        self.accept_post = accept_post
        self.token_field = tuple(token_field)
        self.requests: list[TokenRequest] = []
        self._given_directory = directory
        self._refresh: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        self._authority: Authority | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> TokenServer:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "tokens"))
            self._signer = signing_pair(self.directory, "signer")
            pem = self._signer.certificate.read_text(encoding="ascii")
            self._x5c = "".join(pem.split("-----")[2].split())
            server = _HTTPServer(("127.0.0.1", 0), _Handler)
            stack.callback(server.server_close)
            server.owner = self
            if self.tls:
                self._authority = Authority(self.directory)
                pair = self._authority.server("tokens")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pair.certificate, pair.key)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            self.port: int = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def realm(self) -> str:
        """The URL that the registry's challenge names."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/token"

    @property
    def ca(self) -> pathlib.Path:
        """The certificate for clients to trust; only with ``tls``."""
        if self._authority is None:
            raise ValueError("this token server has no TLS")
        return self._authority.certificate

    def registry_settings(self) -> dict[str, str]:
        """The ``auth.token`` section of a registry's configuration."""
        return {
            "realm": self.realm,
            "service": self.service,
            "issuer": self.issuer,
            "rootcertbundle": str(self._signer.certificate),
        }

    def allowed(self, user: str, scope: str) -> dict[str, Any] | None:
        """What ``user`` gets of a scope, as an entry of the token's ``access``; ``None`` for nothing."""
        kind, dummy, rest = scope.partition(":")
        name, dummy, wanted = rest.rpartition(":")
        rows = self.grants.get(user)
        asked = wanted.split(",")
        if rows is None:
            actions = asked if user != ANONYMOUS else []
        else:
            granted = set(rows.get(name, rows.get("*", ())))
            actions = [one for one in asked if one in granted]
        return {"type": kind, "name": name, "actions": actions} if actions else None

    def issue(self, user: str, scopes: Sequence[str], *, expires_in: int | None = None) -> str:
        """A signed token for ``user`` with what it may do of ``scopes``."""
        now = int(time.time())
        access = [entry for entry in (self.allowed(user, scope) for scope in scopes) if entry is not None]
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._x5c]}
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "exp": now + (self.expires_in if expires_in is None else expires_in),
            "nbf": now - 5,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        signed = f"{_segment(header)}.{_segment(claims)}"
        signature = run(["openssl", "dgst", "-sha256", "-sign", str(self._signer.key)], stdin=signed.encode())
        return f"{signed}.{_base64url(signature)}"

    def refresh_token(self, user: str) -> str:
        """A new refresh token for ``user``."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._refresh[token] = user
        return token

    def revoke_refresh_tokens(self) -> None:
        """Make every refresh token so far worthless."""
        with self._lock:
            self._refresh.clear()

    def answer_get(self, query: Mapping[str, list[str]], authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a GET: Basic credentials or none."""
        user, grant, good = ANONYMOUS, "anonymous", True
        if authorization is not None:
            grant = "basic"
            user, password = _basic(authorization)
            good = user in self.users and self.users[user] == password
        service, scopes = _one(query, "service"), _scopes(query)
        if not good:
            return self._refuse("GET", grant, user, service, scopes, "incorrect username or password")
        token = self.issue(user, scopes)
        body: dict[str, Any] = dict.fromkeys(self.token_field, token)
        body.update(expires_in=self.expires_in, issued_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        if user != ANONYMOUS and _one(query, "offline_token") == "true":
            body["refresh_token"] = self.refresh_token(user)
        self._record("GET", grant, user, service, scopes, 200)
        return 200, body

    def answer_post(self, form: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a POST: the ``password`` or the ``refresh_token`` grant."""
        grant, service, scopes = _one(form, "grant_type"), _one(form, "service"), _scopes(form)
        if not self.accept_post:
            self._record("POST", grant, ANONYMOUS, service, scopes, 404)
            return 404, {"error": "not found"}
        if grant == "password":
            user = _one(form, "username")
            good = user in self.users and self.users[user] == _one(form, "password")
        elif grant == "refresh_token":
            with self._lock:
                user = self._refresh.get(_one(form, "refresh_token"), ANONYMOUS)
            good = user != ANONYMOUS
        else:
            self._record("POST", grant, ANONYMOUS, service, scopes, 400)
            return 400, {"error": "unsupported_grant_type"}
        if not good:
            return self._refuse("POST", grant, user, service, scopes, "incorrect credentials")
        body: dict[str, Any] = {
            "access_token": self.issue(user, scopes),
            "expires_in": self.expires_in,
            "scope": " ".join(scopes),
        }
        if _one(form, "access_type") == "offline":
            body["refresh_token"] = self.refresh_token(user)
        self._record("POST", grant, user, service, scopes, 200)
        return 200, body

    def _refuse(
        self, method: str, grant: str, user: str, service: str, scopes: tuple[str, ...], message: str
    ) -> tuple[int, dict[str, Any]]:
        self._record(method, grant, user, service, scopes, 401)
        return 401, {"errors": [{"code": "UNAUTHORIZED", "message": message}]}

    def _record(self, method: str, grant: str, user: str, service: str, scopes: tuple[str, ...], status: int) -> None:
        with self._lock:
            self.requests.append(TokenRequest(method, grant, user, service, scopes, status))


class _HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    owner: TokenServer


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _HTTPServer

    def do_GET(self) -> None:
        path, query = self._target()
        if path != "/token":
            self._send(404, {"error": "not found"})
            return
        self._send(*self.server.owner.answer_get(query, self.headers.get("Authorization")))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path, dummy = self._target()
        if path != "/token":
            self._send(404, {"error": "not found"})
            return
        self._send(*self.server.owner.answer_post(urllib.parse.parse_qs(body.decode())))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet: requests are recorded as `TokenRequest`."""

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        parts = urllib.parse.urlsplit(self.path)
        return parts.path, urllib.parse.parse_qs(parts.query)

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _segment(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _basic(authorization: str) -> tuple[str, str]:
    scheme, dummy, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ANONYMOUS, ""
    user, dummy, password = base64.b64decode(value).decode().partition(":")
    return user, password


def _one(values: Mapping[str, list[str]], key: str) -> str:
    return values.get(key, [""])[0]


def _scopes(values: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Scopes come as several parameters (GET) or in one, parted by spaces (POST)."""
    return tuple(scope for value in values.get("scope", []) for scope in value.split())
