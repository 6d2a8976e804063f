# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that answers from a script, in the order and only to the requests that the script foresees."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Union

from ansible_collections.longshore.oci.plugins.module_utils.model.digest import CHUNK
from ansible_collections.longshore.oci.plugins.module_utils.model.errors import NetworkError
from ansible_collections.longshore.oci.plugins.module_utils.registry.http_errors import error_for
from ansible_collections.longshore.oci.plugins.module_utils.registry.meter import Meter
from ansible_collections.longshore.oci.plugins.module_utils.registry.response import Headers
from ansible_collections.longshore.oci.plugins.module_utils.registry.settings import Settings

BASE = "https://registry.test"


class Call(NamedTuple):
    """A request as it was made; ``body`` holds the bytes that were sent."""

    method: str
    target: str
    scopes: tuple[str, ...]
    headers: dict[str, str]
    body: bytes | None
    idempotent: bool | None


class Answer:
    """A response. ``body`` is bytes, or something for JSON; with ``breaks_after`` the connection breaks there; ``chunked``
    leaves the length unsaid."""

    def __init__(
        self,
        status: int = 200,
        body: Any = b"",
        breaks_after: int | None = None,
        chunked: bool = False,
        attempts: int = 1,
        **headers: str,
    ) -> None:
        self.status = status
        self._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if not chunked:
            fields.setdefault("content-length", str(len(self._content)))
        self.headers = Headers(fields.items())
        self.length = int(fields["content-length"]) if fields.get("content-length", "").isdigit() else None
        self.url = ""
        self.attempts = attempts
        self.body = b""
        self.closed = False
        self._breaks_after = breaks_after
        self._position = 0

    def read_whole(self) -> None:
        self.body = self._content

    def read(self, size: int = CHUNK) -> bytes:
        if self.closed:
            return b""
        end = min(self._position + size, len(self._content))
        if self._breaks_after is not None:
            end = min(end, self._breaks_after)
            if self._position >= self._breaks_after:
                raise NetworkError("registry registry.test closed the connection")
        data = self._content[self._position : end]
        self._position = end
        return data

    def close(self) -> None:
        self.closed = True


Step = tuple[str, Union[Answer, Exception, Callable[[Call], Union[Answer, Exception]]]]


class FakeSession:
    """Takes the script as ``(request line, answer)`` pairs; `done` tells whether all of it was played."""

    host = "registry.test"
    base = BASE

    def __init__(self, *script: Step, retries: int = 5) -> None:
        self.settings = Settings(retries=retries)
        self.meter = Meter()
        self.calls: list[Call] = []
        self.answers: list[Answer] = []
        #: Seconds of every pause that was asked for; none is made.
        self.pauses: list[float] = []
        self._script = list(script)

    @property
    def lines(self) -> list[str]:
        return [f"{call.method} {call.target}" for call in self.calls]

    @property
    def done(self) -> bool:
        return not self._script

    def request(
        self,
        method: str,
        target: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        accept_status: Collection[int] = (200,),
        what: str = "",
        idempotent: bool | None = None,
        max_body: int = 1024 * 1024,
        stream: bool = False,
    ) -> Answer:
        assert not isinstance(scopes, str)
        line = f"{method} {target}"
        assert self._script, f"one request too many: {line}"
        expected, answer = self._script.pop(0)
        assert line == expected
        sent = self._send(body) if body is not None and not isinstance(body, bytes) else body
        call = Call(method, target, tuple(scopes), dict(headers or {}), sent, idempotent)
        self.calls.append(call)
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, Exception):
            raise answer
        answer.url = target if target.startswith("http") else BASE + target
        self.answers.append(answer)
        if not stream or answer.status not in accept_status:
            answer.read_whole()
        if method == "HEAD":
            answer.body = b""
        if answer.status not in accept_status:
            raise error_for(answer, what, answer.body)
        return answer

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def close(self) -> None:
        return

    @staticmethod
    def _send(body: Any) -> bytes:
        sent = b""
        stream = body.open()
        try:
            while len(sent) < body.length:
                data = stream.read(CHUNK)
                assert data, "the source ended early without saying so"
                sent += data
        finally:
            stream.close()
        return sent


def errors(code: str, message: str = "no", detail: Any = None) -> dict[str, Any]:
    """The body of an error in distribution's form."""
    return {"errors": [{"code": code, "message": message, "detail": detail}]}
