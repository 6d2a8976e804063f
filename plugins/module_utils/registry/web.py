# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to URLs that the user names and that are no registry's: object storage, web servers.

The wire is that of registries, with its TLS options, proxy, waits and limits, but nobody logs in: no credential and no
client certificate goes there. What such a URL has in its query may be a signature, and is never shown.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..model.errors import Cancelled, NetworkError, RefusedTarget
from ..model.text import redact
from . import tls
from .call import READS
from .destination import Origin, check_address, check_target
from .dial import Proxy
from .http_errors import ERROR_LIMIT
from .proxies import proxy_for
from .redirects import KEEPING, MAX_HOPS, REDIRECTS, resolve, split
from .retry import TRANSIENT, Backoff, retry_after
from .route import Body, Route, SourceFailed
from .web_errors import refusal, too_many_redirects

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .meter import Meter
    from .pace import Paces
    from .response import Response
    from .settings import Settings

#: Connections kept to one server: archives are read by few threads at once.
_KEEP = 8


class Web:
    """What one end of a task says to servers that are no registries. Thread-safe.

    ``meter``, ``bandwidth``, ``stop`` and ``paces`` are the whole task's.
    """

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        bandwidth: Bandwidth | None = None,
        stop: threading.Event | None = None,
        paces: Paces | None = None,
    ) -> None:
        self.settings = settings
        self.meter = meter
        self.bandwidth = bandwidth if bandwidth is not None and bandwidth.limit is not None else None
        self.stop = stop or threading.Event()
        self._paces = paces
        self._lock = threading.Lock()
        self._routes: dict[tuple[Origin, Origin], Route] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept_status: Collection[int] = (200,),
    ) -> Response:
        """Send a request and give the answer, whose status is one of ``accept_status`` and whose body is unread: the
        caller closes it.

        Sent again, with pauses, after any failure that may pass: ``method`` is GET or PUT, both of which may be
        repeated, and a ``body`` is opened anew. What reading the body raises comes out as it is. Raises NotFound,
        AccessDenied, RegistryError; NetworkError, TlsError; RefusedTarget for a URL or a redirect we may not follow;
        Cancelled.
        """
        origin = Origin.of(url)
        backoff = Backoff()
        attempts = 0
        while True:
            if self.stop.is_set():
                raise Cancelled("the task was told to stop")
            attempts += 1
            last = attempts > self.settings.retries
            try:
                response = self._follow(method, url, headers or {}, body)
            except NetworkError as exc:
                if last or not exc.transient:
                    raise _explained(exc, url, attempts) from None
                self._route(origin, origin).gate.sleep(backoff.next())
                continue
            except SourceFailed as failed:
                raise failed.error from None
            response.attempts = attempts
            if response.status in accept_status:
                return response
            response.body = response.read_some(ERROR_LIMIT)
            wait = retry_after(response.headers.get("retry-after"))
            too_long = wait is not None and wait > self.settings.max_retry_after
            if last or too_long or response.status not in TRANSIENT:
                raise refusal(response, method, url)
            gate = self._route(origin, Origin.of(response.url)).gate
            if wait is not None:
                gate.close_for(wait)
            else:
                gate.sleep(backoff.next())

    def close(self) -> None:
        """Close the idle connections."""
        for route in list(self._routes.values()):
            route.close()

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Response:
        # The answer at the end of the redirects (R1.71): a GET follows all of them, a PUT those that keep its body.
        home = Origin.of(url)
        seen: set[str] = set()
        while True:
            route = self._route(home, Origin.of(url))
            self.meter.asked(method not in READS)
            response = route.exchange(method, split(url)[2], headers, None, body, body is None)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response
            if method not in READS and response.status not in KEEPING:
                return response
            response.read_some(ERROR_LIMIT)
            seen.add(url)
            url = self._approved(home, resolve(response.url, location))
            if len(seen) > MAX_HOPS or url in seen:
                raise too_many_redirects(response, url in seen)

    def _approved(self, home: Origin, url: str) -> str:
        proxied = proxy_for(url, self.settings.proxy, os.environ) is not None
        try:
            check_target(home, url, kind="redirect", proxied=proxied)
        except RefusedTarget as exc:
            raise RefusedTarget(exc.message.replace("the registry", "the server")) from None
        return url

    def _route(self, home: Origin, origin: Origin) -> Route:
        # By the origin of the user's URL too: what it may send us to is relative to it.
        route = self._routes.get((home, origin))
        if route is not None:
            return route
        proxy_url = proxy_for(origin.url, self.settings.proxy, os.environ)
        host = origin.url.partition("://")[2]

        def check_peer(address: str) -> None:
            check_address(home, origin, address)

        made = Route(
            origin,
            f"host {host}",
            proxy=Proxy(proxy_url) if proxy_url else None,
            context=tls.other_context(self.settings, host) if origin.scheme == "https" else None,
            proxy_context=lambda: tls.other_context(self.settings, host),
            check_peer=None if origin == home else check_peer,
            timeout=self.settings.timeout,
            keep=_KEEP,
            meter=self.meter,
            bandwidth=self.bandwidth,
            stop=self.stop,
            pace=self._paces.of(origin.host, origin.port) if self._paces is not None else None,
        )
        with self._lock:
            return self._routes.setdefault((home, origin), made)


def _explained(exc: NetworkError, url: str, attempts: int) -> NetworkError:
    if "plain_http" in exc.message:
        # What helps with registries: here the URL itself says which of the two is spoken.
        exc.message = f"{exc.message.partition(';')[0]}; see whether the URL should begin with http:// or with https://"
    if attempts > 1:
        exc.message += f" (tried {attempts} times)"
    exc.args = (exc.message,)
    exc.facts.setdefault("attempts", attempts)
    exc.facts.setdefault("url", redact(url))
    return exc
