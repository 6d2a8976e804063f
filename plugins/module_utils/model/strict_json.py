# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict JSON: what two parsers could read in two ways is refused (R1.14)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .errors import InvalidManifest
from .text import sanitise

_DEPTH = 64
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, unused in pairs:
            if key in seen:
                raise InvalidManifest(f"duplicate JSON key '{sanitise(key, 60)}'")
            seen.add(key)
    return found


def _constant(name: str) -> Any:
    raise InvalidManifest(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidManifest("a number too large to be kept")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)


def _check_depth(text: str) -> None:
    # Without escapes every second piece between quotation marks lies outside of strings.
    depth = 0
    for part in text.replace("\\\\", "").replace('\\"', "").split('"')[::2]:
        for char in part:
            if char in "[{":
                depth += 1
                if depth > _DEPTH:
                    raise InvalidManifest(f"nested deeper than {_DEPTH}")
            elif char in "]}":
                depth -= 1


def _check_characters(value: Any) -> None:
    # Half of a surrogate pair: Go reads another character, and it cannot be written as UTF-8.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidManifest("half of a surrogate pair") from None


def loads(data: bytes, what: str = "document") -> Any:
    """The value in ``data``. Raises InvalidManifest for duplicate keys, a BOM, other encodings than UTF-8, trailing
    data, NaN and Infinity, numbers of thousands of digits, halves of surrogate pairs, and nesting deeper than 64."""
    try:
        text = data.decode("utf-8").strip(" \t\r\n")
        if text.count("[") + text.count("{") > _DEPTH:
            _check_depth(text)
        value, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise InvalidManifest("data after the end of the JSON value")
        if _HALF.search(text):
            _check_characters(value)
    except InvalidManifest as exc:
        raise InvalidManifest(f"{what} is not valid JSON: {exc.message}") from None
    except (ValueError, RecursionError) as exc:
        if data.lstrip()[:1] == b"<":
            # A proxy, a log-in page or a wall against robots has answered in the registry's place (S23).
            raise InvalidManifest(f"{what} is not JSON but a web page, as proxies and web servers send it") from None
        raise InvalidManifest(f"{what} is not valid JSON: {sanitise(exc, 120)}") from None
    return value


def load_object(data: bytes, what: str = "document") -> dict[str, Any]:
    """`loads`, for a document that must be an object."""
    value = loads(data, what)
    if not isinstance(value, dict):
        raise InvalidManifest(f"{what} is not a JSON object")
    return value
