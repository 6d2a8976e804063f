# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry's own words about a failure, found in whatever it sent, and the error they become (S18, S23)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..model.errors import AccessDenied, NotFound, RateLimited, RegistryError
from ..model.text import redact, sanitise, shown
from .retry import retry_after

if TYPE_CHECKING:
    from .response import Response

#: Bytes of an error's body that are looked at.
ERROR_LIMIT = 64 * 1024

_HINTS = {
    405: "the registry does not allow this: it may be read-only, or deletion may not be enabled",
    407: "the proxy wants a user and a password",
    413: "something in front of the registry limits the size of request bodies: raise that limit there",
    507: "the registry's storage is full",
}

#: Where words are found: the Distribution form, OAuth 2, Docker Hub, others.
_WORDS = ("message", "error_description", "details", "error")


def parse(body: bytes, content_type: str | None = None) -> tuple[str | None, str]:
    """(error code or None, words or '') of an error's ``body``: the Distribution form and its cousins, else plain text.

    Never raises. The words are safe to show; an HTML page is named as such, not quoted.
    """
    text = body[:ERROR_LIMIT].lstrip()
    if text[:1] == b"{" or text[:1] == b"[" or "json" in (content_type or "").lower():
        try:
            document = json.loads(text.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return _from_document(document)
    if text[:1] == b"<" or "html" in (content_type or "").lower():
        return None, "an HTML page, which no registry sends: a proxy or a web server may have answered in its place"
    return None, shown(text, 300)


def _from_document(document: dict[str, Any]) -> tuple[str | None, str]:
    errors = document.get("errors")
    if not isinstance(errors, list):
        errors = [document.get("error") if isinstance(document.get("error"), dict) else document]
    code: str | None = None
    words: list[str] = []
    for error in errors[:3]:
        if not isinstance(error, dict):
            continue
        own_code = _text(error.get("code"), 80)
        code = code or own_code or None
        said = next(filter(None, (_text(error.get(key), 300) for key in _WORDS)), "")
        detail = error.get("detail")
        if isinstance(detail, str) and detail and detail not in said:
            said = f"{said} ({shown(detail, 200)})" if said else shown(detail, 200)
        elif not said and detail:
            said = shown(json.dumps(detail), 200)
        if said and said not in words:
            words.append(said)
    return code, "; ".join(words)


def _text(value: object, limit: int) -> str:
    return shown(value, limit) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def error_for(response: Response, what: str, body: bytes, explanation: str = "", host: str = "") -> RegistryError:
    """The error for an answer with a status nobody asked for. ``what`` says what was being done, to whom."""
    status = response.status
    code, words = parse(body, response.headers.get("content-type"))
    if not words and status in (301, 302, 303, 307, 308):
        words = "a redirect that may not be followed"
    message = ": ".join(part for part in (what, words) if part)
    message = f"{message} (HTTP {status}{' ' + code if code else ''})"
    if explanation:
        message = f"{message}; {explanation}"
    elif status in _HINTS:
        message = f"{message}; {_HINTS[status]}"
    facts: dict[str, Any] = {"attempts": response.attempts, "url": redact(sanitise(response.url, 1000))}
    wait = retry_after(response.headers.get("retry-after"))
    if wait is not None:
        facts["retry_after"] = round(wait)
    if status == 429 and wait is not None:
        message = f"{message}; the registry asks to wait {wait_words(wait)}"
    return kind(status)(message, status_code=status, error_code=code, **facts)


def kind(status: int) -> type[RegistryError]:
    """The error that stands for an HTTP status."""
    if status == 404:
        return NotFound
    if status in (401, 403):
        return AccessDenied
    return RateLimited if status == 429 else RegistryError


def wait_words(seconds: float) -> str:
    """``seconds`` as a person reads it: ``45 s``, ``10 min``, ``24 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
