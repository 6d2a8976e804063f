# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From page to page: ``Link`` headers (RFC 8288), where they may lead and when to stop following them (R1.47-R1.49)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..model.errors import ContentError, RefusedTarget
from ..model.text import shown
from .redirects import MAX_URL

if TYPE_CHECKING:
    from .response import Response

MAX_PAGES = 10_000
MAX_BYTES = 256 * 1024 * 1024
#: Largest page, in bytes (R1.18).
MAX_PAGE = 32 * 1024 * 1024

_TARGET = re.compile(r"[\s,]*<([^>]*)>")
_PARAMETER = re.compile(r';\s*([A-Za-z0-9!#$&+.^_`|~*-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?\s*')
_REST = re.compile(r"[^,]*")
_QUERY = re.compile(r"[\x21-\x7e]*")


def next_link(value: str | None) -> str | None:
    """The target of the first link with the relation ``next`` in a ``Link`` header, as it is written; None for none."""
    position = 0
    value = value or ""
    while True:
        target = _TARGET.match(value, position)
        if target is None:
            return None
        position = target.end()
        relations: set[str] = set()
        parameter = _PARAMETER.match(value, position)
        while parameter is not None:
            name, quoted, plain = parameter.groups()
            if name.lower() == "rel" and not relations:
                relations = set((quoted or plain or "").lower().split())
            position = parameter.end()
            parameter = _PARAMETER.match(value, position)
        if "next" in relations:
            return target.group(1)
        rest = _REST.match(value, position)
        position = rest.end() if rest else len(value)


class Pages:
    """Walks one list. ``target`` is the page to ask for next; ``what`` names the list in messages.

    Every page is asked for at the list's own ``path``: of a link only the query counts, which holds the cursor. So no
    registry can send us elsewhere (S9), and links that lost a part of their path behind a proxy work all the same (R1.47).
    """

    def __init__(self, path: str, query: str, what: str) -> None:
        self._path = path
        self._what = what
        self._seen = {query}
        self._bytes = 0
        self.target = f"{path}?{query}" if query else path
        #: Whether the list ended otherwise than by a last page: there may be more that nobody can ask for.
        self.circular = False

    def follow(self, response: Response, brought_new: bool) -> bool:
        """Whether there is another page after ``response``; `target` is it then.

        ``brought_new``: whether this page had something that none before had; a list that stops to do so is at its end.
        Raises RefusedTarget for a link that leads nowhere in this list, ContentError for a list without end.
        """
        self._bytes += len(response.body)
        if self._bytes > MAX_BYTES or len(self._seen) >= MAX_PAGES:
            raise ContentError(f"{self._what}: a list of more than {len(self._seen)} pages or {self._bytes} bytes")
        link = next_link(response.headers.get("link"))
        if link is None:
            return False
        path, mark, query = link.partition("#")[0].partition("?")
        if not query or len(query) > MAX_URL or _QUERY.fullmatch(query) is None:
            raise RefusedTarget(f"{self._what}: the next page is said to be at '{shown(path, 200)}', which is no page of it")
        if not brought_new or query in self._seen:
            self.circular = True
            return False
        self._go(query)
        return True

    def after(self, count: int, last: str) -> bool:
        """Try a page of ``count`` entries after the entry ``last``, though no link names one (R1.48).

        False if that was tried before.
        """
        query = f"n={count}&last={quote(last, safe='')}"
        if query in self._seen:
            return False
        self._go(query)
        return True

    def _go(self, query: str) -> None:
        self._seen.add(query)
        self.target = f"{self._path}?{query}"
