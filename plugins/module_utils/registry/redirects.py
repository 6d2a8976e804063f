# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an answer points to: references resolved without a byte of the query changed (R1.30, R1.71)."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, urljoin

from ..model.errors import RefusedTarget
from ..model.text import shown

REDIRECTS = frozenset((301, 302, 303, 307, 308))
#: Redirects that keep the method and the body.
KEEPING = frozenset((307, 308))
MAX_HOPS = 5
MAX_URL = 8 * 1024

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_PLAIN = re.compile(r"[^\x21-\x7e]")


def split(url: str) -> tuple[str, str, str]:
    """(scheme, authority, target) of an absolute ``url``; the target exactly as written, without fragment.

    Raises RefusedTarget for anything else than http and https.
    """
    match = _URL.match(url)
    if match is None:
        raise RefusedTarget(f"'{shown(url, 200)}' is no http or https URL")
    scheme, authority, target = match.groups()
    return scheme.lower(), authority, target if target.startswith("/") else "/" + target


def resolve(base: str, reference: str) -> str:
    """The absolute URL that ``reference`` (a Location or Link, in any of its forms) means on a page at ``base``.

    RFC 3986, but with the reference's own characters left as they are: signatures and upload state in it do not survive
    normalisation. Raises RefusedTarget for control characters, an over-long URL, another scheme than http and https.
    """
    if _CONTROL.search(reference):
        raise RefusedTarget(f"'{shown(reference, 200)}' has control characters in it")
    reference = _NOT_PLAIN.sub(_escape, reference.strip(" ")).partition("#")[0]
    if len(reference) > MAX_URL:
        raise RefusedTarget(f"a URL of {len(reference)} characters, more than the {MAX_URL} allowed")
    scheme, authority, target = split(base)
    if _SCHEME.match(reference):
        split(reference)
        return reference
    if reference.startswith("//"):
        return f"{scheme}:{reference}"
    if reference.startswith("/"):
        return f"{scheme}://{authority}{reference}"
    path = target.partition("?")[0]
    if not reference:
        return f"{scheme}://{authority}{target}"
    if reference.startswith("?"):
        return f"{scheme}://{authority}{path}{reference}"
    own_path, mark, query = reference.partition("?")
    if "." in own_path.split("/") or ".." in own_path.split("/"):
        return urljoin(f"{scheme}://{authority}{path}", own_path) + mark + query
    return f"{scheme}://{authority}{path.rpartition('/')[0]}/{reference}"


def _escape(match: re.Match[str]) -> str:
    # http.client gives header bytes as latin-1 characters; anything else comes from a document.
    character = match.group()
    try:
        return quote_from_bytes(character.encode("latin-1"), safe="")
    except UnicodeEncodeError:
        return quote_from_bytes(character.encode("utf-8"), safe="")
