# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in: challenges, a token server at ``/token``, and what tokens are good for."""

from __future__ import annotations

import base64
import itertools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from .answer import Answer, document, error
from .kinds import READS, Kind

if TYPE_CHECKING:
    from .exchange import Exchange
    from .rules import Login


class Token(NamedTuple):
    """What was issued, for what."""

    scopes: tuple[str, ...]
    user: str


class Doorman:
    """The tokens of one fault registry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._tokens: dict[str, Token] = {}

    def lets_in(self, exchange: Exchange, login: Login) -> bool:
        """Whether the request says who asks, and may be carried out."""
        scheme, unused, value = exchange.headers.get("authorization", "").partition(" ")
        if login.scheme == "basic":
            return scheme.lower() == "basic" and _known(value, login)
        with self._lock:
            token = self._tokens.get(value)
        return scheme.lower() == "bearer" and token is not None and _covers(token, exchange)

    def refusal(self, exchange: Exchange, login: Login, problem: str = "") -> Answer:
        """401, with what is asked for."""
        exchange.body()
        challenge = login.challenge
        if challenge is None and login.scheme == "basic":
            challenge = 'Basic realm="faulty"'
        elif challenge is None:
            actions = "pull" if exchange.kind in READS else "pull,push"
            challenge = f'Bearer realm="{login.realm}",service="{login.service}"'
            challenge += f',scope="repository:{exchange.repository}:{actions}"'
        if problem:
            challenge += f',error="{problem}"'
        headers = {"WWW-Authenticate": exchange.server.expand(challenge, exchange)} if challenge else {}
        return error(401, "UNAUTHORIZED", "authentication required", headers)

    def issue(self, exchange: Exchange, login: Login) -> Answer:
        """What the token server says."""
        body = exchange.body() or b""
        asked = parse_qs(body.decode() if exchange.entry.method == "POST" else exchange.entry.target.partition("?")[2])
        scopes = tuple(one for text in asked.get("scope", []) for one in text.split())
        user = ""
        if login.users:
            scheme, unused, value = exchange.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "basic" or not _known(value, login):
                return error(401, "UNAUTHORIZED", "incorrect username or password")
            user = base64.b64decode(value).decode().partition(":")[0]
        with self._lock:
            name = f"token-{next(self._numbers)}-of-a-faulty-registry"
            self._tokens[name] = Token(scopes, user)
        answer: dict[str, Any] = {"token": name}
        if login.life is not None:
            answer["expires_in"] = login.life
        return document(answer)

    def forget(self) -> None:
        """Every token so far is worth nothing any more."""
        with self._lock:
            self._tokens.clear()


def _known(value: str, login: Login) -> bool:
    try:
        user, unused, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        return False
    return login.users.get(user) == password


def _covers(token: Token, exchange: Exchange) -> bool:
    wanted = "pull" if exchange.kind in (*READS, Kind.TAGS, Kind.REFERRERS) else "push"
    for scope in token.scopes:
        unused, dummy, rest = scope.partition(":")
        name, dummy, actions = rest.rpartition(":")
        if name == exchange.repository and (wanted in actions.split(",") or actions == "*"):
            return True
    return False
