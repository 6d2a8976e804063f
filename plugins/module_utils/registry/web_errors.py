# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of object storages and web servers, each as one sentence that says what to do (S18)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..model.errors import RegistryError
from ..model.text import redact, sanitise, shown
from . import http_errors
from .retry import retry_after

if TYPE_CHECKING:
    from .response import Response

#: What helps, by status.
_READING = {
    401: "the server wants to know who asks: use a URL that is signed for reading",
    403: "a signed URL may have expired, or may not be meant for reading: make a new one",
    405: "the server does not let this URL be read",
    407: "the proxy wants a user and a password: give them in 'proxy'",
    412: "what is there has changed meanwhile: run the task again",
}
_WRITING = {
    401: "the server wants to know who asks: use a URL that is signed for PUT",
    403: "a signed URL may have expired, or may not be meant for PUT: make a new one",
    404: "there is no such bucket or directory to write to",
    405: "the server takes no PUT there",
    407: "the proxy wants a user and a password: give them in 'proxy'",
    409: "the directory to write to may be missing",
    411: "something in between has taken the Content-Length away, which was sent",
    412: "the server wants what is there to be in another state, such as not to exist",
    413: "that is more than the server takes at once: raise its limit; for S3, which takes 5 GiB, write to s3://",
    507: "its storage is full",
}
# How object storages say the same with status 400.
_BY_CODE = {"EntityTooLarge": 413, "ExpiredToken": 403, "MissingContentLength": 411}

_XML = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<Error\b")
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,500})</Message>")


def refusal(response: Response, method: str, url: str) -> RegistryError:
    """The error for an answer with a status nobody asked for; `Response.body` has what was said."""
    code, words = _said(response)
    facts: dict[str, Any] = {"attempts": response.attempts, "url": redact(sanitise(response.url, 1000))}
    wait = retry_after(response.headers.get("retry-after"))
    if wait is not None:
        facts["retry_after"] = round(wait)
        if response.status in (429, 503):
            words = f"{words}; it asks to wait {http_errors.wait_words(wait)}" if words else ""
    return error(method, redact(url), response.status, code, words, **facts)


def error(method: str, shown_url: str, status: int, code: str | None, words: str, **facts: Any) -> RegistryError:
    """The error for ``status`` after ``method`` of what may be shown as ``shown_url``; ``code`` and ``words`` are the
    server's, fit to be shown."""
    message = f"{'writing' if method == 'PUT' else 'reading'} {shown_url} was refused: HTTP {status}"
    if code:
        message += f" {code}"
    if words:
        message += f", {words.rstrip('.')}"
    hint = (_WRITING if method == "PUT" else _READING).get(_BY_CODE.get(code or "", status))
    if hint:
        message += f"; {hint}"
    return http_errors.kind(status)(message, status_code=status, error_code=code, **facts)


def too_many_redirects(response: Response, circle: bool) -> RegistryError:
    """The error for redirects that lead nowhere."""
    where = redact(sanitise(response.url, 1000))
    how = "in a circle" if circle else "too many times"
    return RegistryError(f"{where} redirects {how}", status_code=response.status, url=where)


def _said(response: Response) -> tuple[str | None, str]:
    # S3 and all that speak its language say it in XML, of which the rest may repeat the request.
    body = response.body
    if _XML.match(body):
        code, message = _CODE.search(body), _MESSAGE.search(body)
        return shown(code.group(1), 100) if code else None, shown(message.group(1), 300) if message else ""
    content_type = response.headers.get("content-type") or ""
    if body.lstrip()[:1] == b"<" or "html" in content_type.lower():
        return None, ""
    if response.status in (301, 302, 303, 307, 308):
        return None, "a redirect that may not be followed"
    return http_errors.parse(body, content_type)
