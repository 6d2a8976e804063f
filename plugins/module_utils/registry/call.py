# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request of a caller, the same through all its tries, redirects and questions about who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .destination import Origin
from .redirects import split
from .route import Payload

READS = frozenset(("GET", "HEAD"))
_IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS"))


class Call:
    """``target`` at ``origin`` is where it goes first; ``scopes`` is what a token for it must allow."""

    def __init__(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str] | None = None,
        payload: Payload = None,
        scopes: Sequence[str] = (),
    ) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers: Mapping[str, str] = headers or {}
        self.payload = payload
        self.scopes = scopes
        #: The payload is opened anew for every try, and so is not sent again lightly.
        self.streams = payload is not None and not isinstance(payload, bytes)
        #: Whether to act on it twice is the same as once.
        self.idempotent = method in _IDEMPOTENT
        self.is_manifest = "/manifests/" in target
        #: Whether registries that limit pulls count it: Docker Hub counts each GET of a manifest, and no HEAD.
        self.is_pull = method == "GET" and self.is_manifest
        #: Not the session's to log in for: a token server, or the question how to log in.
        self.private = False
        #: What a private call brings along to show who asks.
        self.authorization: str | None = None
        #: Whether a byte of the current try went out.
        self.sent = False

    @classmethod
    def private_to(cls, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Call:
        """A call to a token server. No redirect may carry its credentials, in headers or body, to another origin."""
        public = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        call = cls(method, Origin.of(url), split(url)[2], public, body)
        call.private = True
        call.idempotent = True
        call.authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), None)
        return call

    def sending(self) -> None:
        """The first byte of a try is about to go out."""
        self.sent = True
