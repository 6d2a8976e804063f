# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one registry: logged in, redirected within the rules, sent again where that can help.

Sections 1.9, 1.10, 3.2 and 4.1 of the rules.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ..model.errors import Cancelled, NetworkError, OciError, RateLimited, RefusedTarget, RegistryError
from ..model.reference import api_host
from ..model.text import redact
from . import tls
from .base import Base, sent_plain_to_tls
from .call import READS, Call
from .destination import Origin, check_address, check_target, not_allowed, origin_of_target, upgraded
from .dial import Proxy
from .http_errors import ERROR_LIMIT, error_for, wait_words
from .meter import Meter
from .pace import Paces
from .proxies import proxy_for
from .quota import Quota
from .redirects import KEEPING, MAX_HOPS, REDIRECTS, resolve, split
from .response import Response
from .retry import REFUSED_FOR_NOW, TRANSIENT, Backoff, retry_after
from .route import Body, Route, SourceFailed
from .settings import Settings
from .tokens import Authenticator

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .credentials import CredentialStore

__all__ = ["Body", "Response", "Session"]

#: Counts pulls.
HUB = "https://registry-1.docker.io"
#: Seconds a token should still live when a long body is sent with it (R1.65).
_SPARE = 60.0
_TOKEN_BODY = 1024 * 1024


class Session:
    """Everything that is said to one registry, by all threads of one end of a task.

    ``host`` is the registry as the user names it, ``base`` and ``origin`` are where its API is. Connections, tokens and
    waits are shared; no lock is held while the network is used.
    """

    def __init__(
        self,
        host: str,
        settings: Settings,
        meter: Meter,
        bandwidth: Bandwidth | None = None,
        credentials: CredentialStore | None = None,
        stop: threading.Event | None = None,
        paces: Paces | None = None,
    ) -> None:
        self.host = host
        self.settings = settings
        self.meter = meter
        self.origin = Origin.of(f"{'http' if settings.plain_http else 'https'}://{api_host(host)}")
        self.base = self.origin.url
        self._bandwidth = bandwidth if bandwidth is not None and bandwidth.limit is not None else None
        self._stop = stop or threading.Event()
        self._authenticator = Authenticator(self.origin, host, settings, credentials, self._send)
        self._lock = threading.Lock()
        self._routes: dict[Origin, Route] = {}
        self._base = Base(host, self.base, self._ask_base)
        self._paces = paces or Paces()
        self.quota = Quota(host, settings.rate_limit, self._stop, meter.warn, meter.waited, self.base == HUB)

    def request(
        self,
        method: str,
        target: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        accept_status: Collection[int] = (200,),
        what: str = "",
        idempotent: bool | None = None,
        max_body: int = 1024 * 1024,
        stream: bool = False,
    ) -> Response:
        """Send a request and give the answer, whose status is one of ``accept_status``.

        ``target``: a path below the registry, or an absolute URL it gave us, which is put to the destination rule (3.2)
        and never sees a credential unless it is the registry's own origin. ``scopes``: what a token must allow, the
        request's own repository first. ``what`` begins every message. ``stream``: leave the body (of any size) to the
        caller, who reads and closes the response; otherwise its ``body`` has it, at most ``max_body`` bytes.

        Sent again, with pauses: an idempotent request after any failure that may pass, others if the registry cannot
        have acted on them (429, 503, no connection). A `Body` is sent again only after 401, and after 429 or 503 with
        Retry-After. Raises NotFound, AccessDenied, RateLimited, RegistryError; NetworkError, TlsError;
        RefusedTarget; ContentError for a body that is too long or encoded; Cancelled; whatever reading a Body raises.
        """
        if self._stop.is_set() and method != "DELETE":
            raise Cancelled("the task was told to stop")
        if target.startswith("/"):
            call = Call(method, self.origin, target, headers, body, scopes)
        else:
            url = self._approved(target, "location")
            call = Call(method, Origin.of(url), split(url)[2], headers, body, scopes)
        if idempotent is not None:
            call.idempotent = idempotent
        try:
            response = self._persist(call, accept_status, max_body, stream)
        except NetworkError as exc:
            if what:
                exc.about(what)
            raise
        except SourceFailed as failed:
            raise failed.error from None
        if response.status in accept_status:
            return response
        raise self._refusal(response, what)

    def pause(self, seconds: float) -> None:
        """Wait before a request of one's own is made again. Raises Cancelled at once when the task is told to stop."""
        if self._stop.wait(seconds):
            raise Cancelled("the task was told to stop")

    def ping(self) -> None:
        """Make sure once that a registry answers at the host (R1.61). Raises RegistryError if something else does."""
        self._base.check()

    def greeting(self) -> Response:
        """What ``GET /v2/`` is answered without credentials: 200, or how to log in. Asked anew. Raises as `ping` does."""
        return self._base.greet()

    def credentials_source(self) -> str | None:
        """Where the credentials for the whole registry come from, in words; None if there are none.

        Raises InvalidInput for an auth file that cannot be read, MissingRequirement and OciError of credential helpers.
        """
        return self._authenticator.source()

    def close(self) -> None:
        """Close the idle connections. The session may be used again."""
        for route in list(self._routes.values()):
            route.close()

    # -- one request, with its tries -----------------------------------------------------------------------------

    def _persist(self, call: Call, accept: Collection[int] | None, max_body: int, stream: bool) -> Response:
        # The answer after as many tries as the policy allows (4.1); any status. ``accept`` None: every status is fine.
        backoff = Backoff()
        attempts = 0
        while True:
            attempts += 1
            call.sent = False
            last = attempts > self.settings.retries
            try:
                response = self._attempt(call)
                response.attempts = attempts
                good = response.status in accept if accept is not None else response.status not in TRANSIENT
                if good:
                    if not stream:
                        response.body = response.read_all(max_body)
                    return response
            except NetworkError as exc:
                if last or not exc.transient or call.streams or not (call.idempotent or not call.sent):
                    exc.facts.setdefault("attempts", attempts)
                    exc.facts.setdefault("url", redact(call.origin.url + call.target))
                    if attempts > 1:
                        exc.message = f"{exc.message} (tried {attempts} times)"
                        exc.args = (exc.message,)
                    raise
                self._route(call.origin).gate.sleep(backoff.next())
                continue
            response.body = response.read_some(ERROR_LIMIT)
            wait = retry_after(response.headers.get("retry-after"))
            if last or not self._may_pass(call, response.status, wait):
                return response
            gate = self._route(Origin.of(response.url)).gate
            if wait is not None or response.status == 429:
                gate.close_for(backoff.next() if wait is None else wait)
            else:
                gate.sleep(backoff.next())

    def _may_pass(self, call: Call, status: int, wait: float | None) -> bool:
        if status not in TRANSIENT or (wait is not None and wait > self.settings.max_retry_after):
            return False
        if call.streams:
            return status in REFUSED_FOR_NOW and wait is not None
        return call.idempotent or status in REFUSED_FOR_NOW

    def _attempt(self, call: Call) -> Response:
        # One try, with the questions about who we are that the registry may ask during it (R1.64).
        refused = False
        home = call.origin == self.origin and not call.private
        while True:
            used = call.authorization
            if home:
                used = (
                    self._authenticator.authorization(call.scopes, _SPARE)
                    if call.streams
                    else self._authenticator.authorization(call.scopes)
                )
            response, at_home = self._answer(call, used)
            if response.status not in (401, 403) or not home or not at_home:
                return response
            challenges = response.headers.get_all("www-authenticate")
            if response.status == 403 and not any("insufficient_scope" in one for one in challenges):
                return response
            if not challenges:
                challenges = self._base.challenges()
            response.body = response.read_some(ERROR_LIMIT)
            again = self._authenticator.rejected(used, challenges, call.scopes, response.status)
            if not again or (refused and used is not None):
                return response
            refused = used is not None

    def _answer(self, call: Call, authorization: str | None) -> tuple[Response, bool]:
        # `_follow`; a request that counts as a pull waits, or fails, where the registry allows no more of them.
        if not call.is_pull or call.origin != self.origin:
            return self._follow(call, authorization)

        def look() -> None:
            self._follow(Call("HEAD", call.origin, call.target, call.headers), authorization)[0].read_some(ERROR_LIMIT)

        with self.quota.pull(look):
            return self._follow(call, authorization)

    def _follow(self, call: Call, authorization: str | None) -> tuple[Response, bool]:
        # The answer at the end of the redirects (R1.71), and whether we never left the origin we may show ourselves to.
        origin, target, hops, home = call.origin, call.target, 0, True
        repeatable = call.idempotent and not call.streams
        seen: set[str] = set()
        while True:
            route = self._route(origin)
            self.meter.asked(call.method not in READS and not call.private)
            moment = self.quota.moment()
            response = route.exchange(
                call.method,
                target,
                call.headers,
                authorization if home else None,
                call.payload,
                repeatable,
                call.sending,
            )
            self._note(route, response, moment)
            if call.is_manifest and response.status == 200:
                self.quota.settled()
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response, home
            response.read_some(ERROR_LIMIT)
            if call.method not in READS and response.status not in KEEPING:
                return response, home
            seen.add(response.url)
            url = self._approved(self._resolved(response, location), "redirect")
            hops += 1
            if hops > MAX_HOPS or url in seen:
                raise RegistryError(
                    f"{route.name} redirects {'in a circle' if url in seen else f'more than {MAX_HOPS} times'}",
                    status_code=response.status,
                    url=redact(response.url),
                )
            origin, target = Origin.of(url), split(url)[2]
            home = home and origin == call.origin
            if call.private and call.payload is not None and not home:
                raise RefusedTarget(f"{route.name} redirects a request with credentials in it to {origin.url}")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        # For the authenticator: a request to a token server, any final answer.
        return self._persist(Call.private_to(method, url, headers, body), None, _TOKEN_BODY, False)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _route(self, origin: Origin) -> Route:
        route = self._routes.get(origin)
        if route is not None:
            return route
        home = origin == self.origin
        proxy_url = proxy_for(origin.url, self.settings.proxy, os.environ)
        context = None
        if origin.scheme == "https":
            build = tls.registry_context if origin.host == self.origin.host else tls.other_context
            context = build(self.settings, self.host)
        made = Route(
            origin,
            f"registry {self.host}" if home else f"host {origin.url.partition('://')[2]}",
            proxy=Proxy(proxy_url) if proxy_url else None,
            context=context,
            proxy_context=lambda: tls.other_context(self.settings, self.host),
            check_peer=None if home else lambda address: check_address(self.origin, origin, address),
            timeout=self.settings.timeout,
            keep=max(self.settings.parallel, 1),
            meter=self.meter,
            bandwidth=self._bandwidth,
            stop=self._stop,
            pace=self._paces.of(origin.host, origin.port),
        )
        with self._lock:
            return self._routes.setdefault(origin, made)

    def _approved(self, url: str, kind: str) -> str:
        # ``url``, to which the registry points, if we may go there; in https form if it is the registry's own (Harbor).
        origin_of_target(self.origin, url, kind)
        better = upgraded(self.origin, url)
        if better != url:
            self.meter.warn(f"{self.host} points to itself by plain HTTP; https is used instead")
        if not better.startswith(self.base + "/"):
            proxied = proxy_for(better, self.settings.proxy, os.environ) is not None
            check_target(self.origin, better, kind=kind, proxied=proxied)
        return better

    def _resolved(self, response: Response, location: str) -> str:
        try:
            return resolve(response.url, location)
        except RefusedTarget as exc:
            raise not_allowed(self.origin, "redirect", exc.message) from None

    def _note(self, route: Route, response: Response, moment: int | None) -> None:
        headers = response.headers
        if "warning" in headers:
            self.meter.note_warnings(self.host, headers.get_all("warning"))
        if route.origin == self.origin:
            self.quota.told(headers.get("ratelimit-limit"), headers.get("ratelimit-remaining"), moment)
        if "ratelimit-limit" in headers or "ratelimit-remaining" in headers:
            self.meter.note_rate_limit(
                headers.get("ratelimit-limit"),
                headers.get("ratelimit-remaining"),
                headers.get("docker-ratelimit-source"),
            )

    def _ask_base(self) -> Response:
        call = Call("GET", self.origin, "/v2/")
        call.private = True
        return self._persist(call, None, _TOKEN_BODY, False)

    def _refusal(self, response: Response, what: str) -> OciError:
        misled = sent_plain_to_tls(response, self.host) if self.settings.plain_http else None
        if misled is not None:
            return misled
        explanation = ""
        if response.status == 401 and Origin.of(response.url) == self.origin:
            explanation = self._authenticator.explain()
        error = error_for(response, what or f"registry {self.host}", response.body, explanation)
        wait = retry_after(response.headers.get("retry-after"))
        if wait is not None and wait > self.settings.max_retry_after and not isinstance(error, RateLimited):
            error.message = f"{error.message}; it asks to wait {wait_words(wait)}"
            error.args = (error.message,)
        return error
