# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that came from a server or a file, made fit to be shown: no control characters, no secrets, no signed URLs."""

from __future__ import annotations

import re

# C0, DEL and C1 controls, bidirectional overrides and isolates, zero-width and line separators (S18).
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
# Up to a '#': behind it is the name of an image in an archive, which several of one URL need to be told apart.
_QUERY = re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>#]*")
_USERINFO = re.compile(r"(https?://)[^\s/@\"'<>]+@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)

SHOWN = 500


def sanitise(text: object, limit: int = SHOWN) -> str:
    """``text`` on one line of at most ``limit`` characters, without control characters or invalid UTF-8 (S18)."""
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "replace")
    clean = _UNSAFE.sub(" ", str(text)).strip()
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def redact(text: str) -> str:
    """``text`` without queries of URLs (signatures, upload state), user information and Authorization values (S18)."""
    text = _QUERY.sub(r"\1?...", text)
    text = _USERINFO.sub(r"\1...@", text)
    return _AUTHORIZATION.sub(r"\1 ...", text)


def shown(text: object, limit: int = SHOWN) -> str:
    """`sanitise` and `redact` in one: what any message may hold of a server's words."""
    return redact(sanitise(text, limit))


def size_words(size: int) -> str:
    """``size`` in bytes as a person reads it: ``512 B``, ``3.1 MB``, ``2.1 GB`` (powers of ten)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
