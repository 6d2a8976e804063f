# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry says at ``/v2/`` to somebody it does not know: that it is one, and how to log in (R1.60, R1.61)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..model.errors import NetworkError, RegistryError
from ..model.text import redact
from .failures import plain_to_tls
from .http_errors import error_for

if TYPE_CHECKING:
    from .response import Response

#: How servers that speak TLS answer plain HTTP.
_TO_TLS = (b"Client sent an HTTP request to an HTTPS server", b"plain HTTP request was sent to HTTPS port")


def sent_plain_to_tls(response: Response, host: str) -> NetworkError | None:
    """The error for plain HTTP that met a TLS port, if that is what ``response`` says."""
    if response.status == 400 and any(sign in response.body for sign in _TO_TLS):
        return plain_to_tls(f"registry {host}")
    return None


class Base:
    """``ask`` sends ``GET /v2/`` without credentials and gives any answer, its body read."""

    def __init__(self, host: str, url: str, ask: Callable[[], Response]) -> None:
        self._host = host
        self._url = url
        self._ask = ask
        self._lock = threading.Lock()
        self._checked = False
        self._challenges: list[str] | None = None

    def check(self) -> None:
        """Make sure that a registry is there; asks until it was, then never again. Threads that come meanwhile wait.

        Raises RegistryError if something else answers, NetworkError.
        """
        with self._lock:
            if not self._checked:
                self._judge(self._answer())
                self._checked = True

    def greet(self) -> Response:
        """Ask now, and give the answer, which is 200 or a refusal with a challenge. Raises as `check`."""
        response = self._answer()
        self._judge(response)
        return response

    def challenges(self) -> list[str]:
        """The challenges of ``/v2/``, for answers of 401 that have none of their own (R1.60). Asked for once."""
        with self._lock:
            if self._challenges is None:
                self._answer()
            return self._challenges or []

    def _answer(self) -> Response:
        response = self._ask()
        self._challenges = response.headers.get_all("www-authenticate") if response.status in (401, 403) else []
        return response

    def _judge(self, response: Response) -> None:
        kind = (response.headers.get("content-type") or "").lower()
        html = "html" in kind or response.body.lstrip()[:1] == b"<"
        if response.status == 200 and not html:
            return
        if response.status in (401, 403) and self._challenges:
            return
        misled = sent_plain_to_tls(response, self._host)
        if misled is not None:
            raise misled
        if html or response.status < 400 or response.status == 404:
            raise RegistryError(
                f"{self._host} is not a registry: {self._url}/v2/ answered HTTP {response.status}"
                f"{' with an HTML page' if html else ''}; check host and port",
                status_code=response.status,
                attempts=response.attempts,
                url=redact(response.url),
            )
        raise error_for(response, f"registry {self._host}", response.body)
