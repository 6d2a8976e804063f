# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WWW-Authenticate: the challenges in it (RFC 9110 section 11.6.1; R1.60)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..model.errors import ContentError

_LONGEST = 16 * 1024
_MOST = 32

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SEPARATOR = re.compile(r"[ \t,]*")
_BLANKS = re.compile(r"[ \t]*")
_SCHEME = re.compile(_TOKEN)
_TOKEN68 = re.compile(r"[ \t]+([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|$)")
_NAME = re.compile(rf"[ \t]*({_TOKEN})[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Wider than a token: realms and scopes are sent without quotation marks now and then.
_BARE = re.compile(r'[^\s",]+')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Challenge(NamedTuple):
    """One challenge: its scheme and the names of its parameters in lower case. A token68 is parameter ``token68``."""

    scheme: str
    params: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all WWW-Authenticate header lines, in their order. Raises ContentError for a malformed line."""
    return [challenge for header in headers for challenge in _parse(header)]


def _parse(line: str) -> list[Challenge]:
    if len(line) > _LONGEST or _CONTROL.search(line):
        raise _malformed("too long, or with control characters in it")
    found: list[Challenge] = []
    at = _skip(line, 0)
    while at < len(line):
        scheme = _SCHEME.match(line, at)
        if scheme is None or len(found) == _MOST:
            raise _malformed("no scheme where one is expected")
        at = scheme.end()
        params: dict[str, str] = {}
        token68 = _TOKEN68.match(line, at)
        if token68:
            params["token68"] = token68.group(1)
            at = token68.end()
        elif at < len(line) and line[at] in " \t":
            at = _params(line, at, params)
        if at < len(line) and line[at] != ",":
            raise _malformed("no comma where one is expected")
        found.append(Challenge(scheme.group().lower(), params))
        at = _skip(line, at)
    return found


def _params(line: str, at: int, params: dict[str, str]) -> int:
    # Fills ``params`` and returns where they end: at a comma, or at the end of the line.
    while True:
        name = _NAME.match(line, at)
        if name is None:
            # A lone scheme with blanks behind it.
            return _skip(line, at, _BLANKS)
        key = name.group(1).lower()
        if key in params:
            raise _malformed(f"parameter {key} is there twice")
        quoted = _QUOTED.match(line, name.end())
        value = quoted or _BARE.match(line, name.end())
        if value is None:
            raise _malformed(f"parameter {key} has no complete value")
        params[key] = re.sub(r"\\(.)", r"\1", quoted.group(1)) if quoted else value.group()
        end = _skip(line, value.end(), _BLANKS)
        if end < len(line) and line[end] != ",":
            raise _malformed("no comma where one is expected")
        after = _skip(line, end)
        if after == len(line) or _NAME.match(line, after) is None:
            return end
        at = after


def _skip(line: str, at: int, what: re.Pattern[str] = _SEPARATOR) -> int:
    skipped = what.match(line, at)
    return skipped.end() if skipped else at


def _malformed(why: str) -> ContentError:
    return ContentError(f"malformed WWW-Authenticate header: {why}")
