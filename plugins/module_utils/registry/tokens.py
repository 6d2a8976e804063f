# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to put into Authorization: challenges answered with Basic or with tokens that threads share (R1.60-R1.70)."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Protocol
from urllib.parse import quote, urlencode, urljoin

from ..model import strict_json
from ..model.errors import AccessDenied, ContentError, InvalidInput, RateLimited, RefusedTarget, RegistryError
from ..model.text import shown
from .challenge import Challenge, parse_challenges
from .credentials import Credentials, basic_authorization, check_credentials
from .destination import Origin, check_target, may_send_credentials, origin_of_target
from .http_errors import parse
from .proxies import proxy_for
from .retry import retry_after
from .token_cache import KEPT, Token, TokenCache

if TYPE_CHECKING:
    from .credentials import CredentialStore
    from .settings import Settings

CLIENT_ID = "longshore.oci"

_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_SCOPE = re.compile(r"[\x21-\x7e]{1,1024}")
_SHORTEST, _LONGEST = 60.0, 86400.0
# What token servers answer to a POST they do not know, or whose grant they do not take: ask by GET instead (R1.62).
_POST_UNKNOWN = frozenset({400, 401, 403, 404, 405})
# The user name by which Azure's registry marks a refresh token.
_ACR_TOKEN_USER = "00000000-0000-0000-0000-000000000000"


class Reply(Protocol):
    """What we read of an answer of the token server. ``headers`` has a ``get``."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Any:
        """The header fields."""

    @property
    def body(self) -> bytes:
        """The body, as far as it was read."""


#: Sends method, URL, headers and body to a token server, with the session's retries, and gives any answer back. It must
#: put each redirect to `check_target` and must take Authorization off on the way to another origin.
Send = Callable[[str, str, Mapping[str, str], Optional[bytes]], Reply]


class _Refusal(NamedTuple):
    # The last 401 or 403 of a thread, for explain().
    used: str | None
    status: int
    scopes: tuple[str, ...]
    problem: str


class Authenticator:
    """Authorization headers for one registry, shared by all threads that speak to it.

    ``host`` is the registry as the user names it (what credential files are keyed by), ``origin`` where its API is.
    Credentials of ``settings`` come before those of ``store``; nothing is sent before the registry asked for it,
    but for ``settings.token``. Raises InvalidInput for credentials that no header can carry (R1.68).
    """

    def __init__(
        self,
        origin: Origin,
        host: str,
        settings: Settings,
        store: CredentialStore | None,
        send: Send,
        *,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._origin = origin
        self._host = host
        self._settings = settings
        self._store = store
        self._send = send
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._given = _given(settings)
        self._cache = TokenCache(clock)
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._first: Origin | None = None
        self._more: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._refusal = threading.local()

    def authorization(self, scopes: Sequence[str], spare: float = 0.0) -> str | None:
        """The header to send with a request that needs ``scopes``; None for none.

        The first scope names the repository the request is for. ``spare``: seconds the token should still live, as
        for a long upload (R1.65). Once the registry has asked for tokens, fetches one if there is none; raises
        AccessDenied when the token server refuses, RefusedTarget when it is at a place we do not send credentials to.
        """
        if self._settings.token:
            return f"Bearer {self._settings.token}"
        with self._lock:
            challenge = self._challenge
        if challenge is None:
            return None
        credentials = self._credentials(scopes)
        if challenge.scheme == "basic":
            return basic_authorization(credentials) if credentials and not credentials.identity_token else None
        wanted = self._wanted(scopes)
        user = (credentials.username or "<token>") if credentials else ""
        key = (challenge.params["realm"], challenge.params.get("service", ""), tuple(sorted(wanted)), user)
        token = self._cache.get(key, spare, lambda: self._fetch(challenge, scopes, wanted, credentials))
        return f"Bearer {token}"

    def rejected(self, used: str | None, challenges: Sequence[str], scopes: Sequence[str], status: int) -> bool:
        """Learn from a 401 or 403 to a request sent with ``used`` (what `authorization` gave, None for nothing).

        ``challenges`` are the WWW-Authenticate lines. True: another `authorization` may help; a caller sends a
        request again at most once after it was refused with a token (R1.64). False: `explain` says why not.
        """
        problem = ""
        try:
            parsed = parse_challenges(challenges)
        except ContentError as exc:
            parsed, problem = [], exc.message
        asked = _choose(parsed)
        insufficient = asked is not None and asked.params.get("error") == "insufficient_scope"
        if parsed and asked is None:
            names = ", ".join(sorted({one.scheme for one in parsed}))
            problem = f"it asks for an authentication we do not have ({shown(names, 80)})"
        self._refusal.last = _Refusal(used, status, tuple(scopes), problem)
        if self._settings.token or (status == 403 and not insufficient and (used or asked is None)):
            return False
        with self._lock:
            if asked is not None:
                self._challenge = asked
            challenge = self._challenge
        if challenge is None:
            return False
        if challenge.scheme == "basic":
            again = self.authorization(scopes)
            return again is not None and again != used
        if asked is not None:
            self._widen(tuple(scopes), asked, insufficient or used is not None)
        if used and used.startswith("Bearer "):
            self._cache.drop(used[len("Bearer ") :])
        return True

    def explain(self) -> str:
        """Why this thread's last request was refused for good, and what to do: never with a secret in it."""
        last: _Refusal | None = getattr(self._refusal, "last", None)
        name = (scope_repository(last.scopes[0]) if last and last.scopes else "") or "what was asked for"
        if last is not None and last.problem and self._challenge is None:
            return f"{self._host} refused access: {last.problem}"
        if self._settings.token:
            return f"{self._host} refused the token that was given: it may have expired, or does not cover {name}"
        credentials = self._credentials(last.scopes if last else ())
        if credentials is None:
            why = f"{name} is unknown at {self._host} or is private, and no credentials for it were found"
            return f"{why}: give username and password{self._places()}"
        if last is not None and last.used and last.used.startswith("Bearer "):
            accepted = f"{self._host} accepted the credentials of {credentials.source}"
            return f"{accepted} but denies access: {name} does not exist, or they have no right to this"
        if credentials.identity_token and self._challenge is not None and self._challenge.scheme == "basic":
            return f"{self._host} wants a username and a password, {credentials.source} has an identity token"
        if last is not None and last.used and last.status == 403:
            return f"{self._host} denies access to {name} to the credentials of {credentials.source}"
        if last is not None and last.used:
            return f"{self._host} rejected the credentials of {credentials.source}, or they may not see {name}"
        unsent = f"the credentials of {credentials.source} were not sent"
        return f"{self._host} refused access to {name} without saying how to log in, so {unsent}"

    def source(self) -> str | None:
        """Where the credentials for the whole registry were found, in words; None if there are none."""
        if self._settings.token:
            return "token as given"
        credentials = self._credentials(())
        return credentials.source if credentials is not None else None

    def _places(self) -> str:
        if self._store is None:
            return ""
        return f", or an auth_file that has them{self._store.searched()}"

    def _credentials(self, scopes: Sequence[str]) -> Credentials | None:
        if self._given is not None or self._store is None:
            return self._given
        found = self._store.find(self._host, scope_repository(scopes[0]) if scopes else "")
        if found is not None:
            check_credentials(found)
        return found

    def _wanted(self, scopes: Sequence[str]) -> tuple[str, ...]:
        with self._lock:
            more = self._more.get(tuple(scopes), ())
        # The challenge's own scope first: some servers read only one (R1.64).
        return tuple(OrderedDict.fromkeys((*more, *scopes)))

    def _widen(self, scopes: tuple[str, ...], challenge: Challenge, refused: bool) -> None:
        # Asks for no more than the request needs (S22), unless the registry turned just that down, or gives the
        # repository another name than we do.
        own = {scope.rpartition(":")[0]: set(scope.rpartition(":")[2].split(",")) for scope in scopes}
        more = []
        for scope in challenge.params.get("scope", "").split()[:8]:
            name, unused, actions = scope.rpartition(":")
            if _SCOPE.fullmatch(scope) and (name not in own or (refused and set(actions.split(",")) - own[name])):
                more.append(scope)
        if not more:
            return
        with self._lock:
            if len(self._more) >= KEPT:
                self._more.clear()
            self._more[scopes] = tuple(more)

    def _fetch(
        self, challenge: Challenge, scopes: Sequence[str], wanted: Sequence[str], credentials: Credentials | None
    ) -> Token:
        try:
            return self._ask(challenge, wanted, credentials)
        except RateLimited:
            raise
        except RegistryError:
            # A mount's second scope may name a repository that the server does not know: go without it (R1.28).
            name = scope_repository(scopes[0]) if scopes else ""
            main = [scope for scope in wanted if scope_repository(scope) == name]
            if not name or len(main) == len(wanted):
                raise
            return self._ask(challenge, main, credentials)

    def _ask(self, challenge: Challenge, scopes: Sequence[str], credentials: Credentials | None) -> Token:
        url = urljoin(f"{self._origin.url}/v2/", challenge.params["realm"]).partition("#")[0]
        origin_of_target(self._origin, url, "realm")
        proxied = proxy_for(url, self._settings.proxy, self._environ) is not None
        allow = self._settings.trusted_realms
        realm = check_target(self._origin, url, kind="realm", proxied=proxied, allow=allow)
        with self._lock:
            first = self._first = self._first or realm
        if credentials and not may_send_credentials(self._origin, realm, self._settings, first):
            raise RefusedTarget(
                f"{self._host} sends us to the token server {realm.url}, which may not see the credentials of "
                f"{credentials.source}: if it is the right one, list {realm.host} in trusted_realms"
            )
        service = challenge.params.get("service", "")
        refresh = _refresh_token(credentials) if credentials else None
        if refresh:
            reply = self._post(url, service, scopes, refresh)
            if reply.status not in _POST_UNKNOWN:
                return self._read(reply, realm, scopes, credentials)
        return self._read(self._get(url, service, scopes, credentials), realm, scopes, credentials)

    def _post(self, url: str, service: str, scopes: Sequence[str], refresh: str) -> Reply:
        form = {"grant_type": "refresh_token", "service": service, "client_id": CLIENT_ID, "refresh_token": refresh}
        if scopes:
            form["scope"] = " ".join(scopes)
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, headers, urlencode(form).encode("ascii"))

    def _get(self, url: str, service: str, scopes: Sequence[str], credentials: Credentials | None) -> Reply:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        query.append(("client_id", CLIENT_ID))
        headers = {"Accept": "application/json"}
        if credentials:
            if credentials.username:
                query.append(("account", credentials.username))
            headers["Authorization"] = basic_authorization(credentials)
        return self._send("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}", headers, None)

    def _read(self, reply: Reply, realm: Origin, scopes: Sequence[str], credentials: Credentials | None) -> Token:
        now = self._clock()
        if reply.status != 200:
            raise _token_error(reply, realm, scopes, credentials)
        try:
            answer = strict_json.load_object(reply.body, f"the answer of the token server {realm.url}")
        except ContentError as exc:
            raise RegistryError(exc.message, status_code=200) from None
        value = answer.get("token") or answer.get("access_token")
        if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
            raise RegistryError(f"the token server {realm.url} answered without a valid token", status_code=200)
        life = _lifetime(answer.get("expires_in"))
        # issued_at is the server's clock, which may be wrong; ours since the answer is not (R1.63).
        return Token(value, now, now + life - max(10.0, life / 10))


def scope_repository(scope: str) -> str:
    """The repository in ``repository:<path>:<actions>``, '' for other scopes. The path may have colons (R1.67)."""
    kind, unused, rest = scope.partition(":")
    return rest.rpartition(":")[0] if kind.partition("(")[0] == "repository" else ""


def _choose(challenges: Sequence[Challenge]) -> Challenge | None:
    # Bearer before Basic, others we do not speak (R1.60). A Bearer challenge without a realm cannot be answered.
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.params.get("realm"):
            return challenge
    return next((challenge for challenge in challenges if challenge.scheme == "basic"), None)


def _given(settings: Settings) -> Credentials | None:
    if settings.token and _TOKEN.fullmatch(settings.token) is None:
        raise InvalidInput("the token has characters that cannot be sent: blanks, line ends or others than ASCII")
    if settings.password and not settings.username:
        raise InvalidInput("a password was given without a username")
    if not settings.username:
        return None
    credentials = Credentials(settings.username, settings.password or "", source="username and password as given")
    check_credentials(credentials)
    return credentials


def _refresh_token(credentials: Credentials) -> str | None:
    if credentials.identity_token:
        return credentials.identity_token
    return credentials.password if credentials.username in ("<token>", _ACR_TOKEN_USER) else None


def _lifetime(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _SHORTEST
    return float(min(max(value, _SHORTEST), _LONGEST))


def _token_error(reply: Reply, realm: Origin, scopes: Sequence[str], credentials: Credentials | None) -> RegistryError:
    code, words = parse(reply.body, reply.headers.get("content-type"))
    tail = f": {words} (HTTP {reply.status})" if words else f" (HTTP {reply.status})"
    server = f"the token server {realm.url}"
    if reply.status in (401, 403) and credentials:
        why = f"{server} rejected the credentials of {credentials.source}{tail}"
        return AccessDenied(why, reply.status, code, url=realm.url)
    if reply.status in (401, 403):
        name = (scope_repository(scopes[0]) if scopes else "") or "this"
        why = f"{server} gives no token for {name} without credentials: it is unknown or private"
        return AccessDenied(f"{why}; give username and password{tail}", reply.status, code, url=realm.url)
    if reply.status == 429:
        wait = retry_after(reply.headers.get("retry-after"))
        facts = {"url": realm.url, "retry_after": None if wait is None else round(wait)}
        return RateLimited(f"{server} limits our requests{tail}", reply.status, code, **facts)
    return RegistryError(f"{server} gave no token{tail}", reply.status, code, url=realm.url)
