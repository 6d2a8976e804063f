# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the headers of an answer say of the content: its digest, its size, its type. Nothing of it is trusted unread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model.digest import Digest
from ..model.errors import InvalidDigest
from ..model.media_types import bare

if TYPE_CHECKING:
    from .response import Response


def content_digest(response: Response) -> Digest | None:
    """``Docker-Content-Digest``; None if there is none, or none that could be verified (R1.16)."""
    value = response.headers.get("docker-content-digest")
    if value is None:
        return None
    try:
        return Digest.parse(value.strip())
    except InvalidDigest:
        return None


def content_length(response: Response) -> int | None:
    """``Content-Length`` in bytes, which tells the size of the content also where no body comes (HEAD)."""
    values = {part.strip() for part in (response.headers.get("content-length") or "").split(",")}
    value = values.pop()
    # isdigit alone takes other scripts' digits, and int a number of thousands of them.
    return int(value) if not values and value.isascii() and value.isdigit() and len(value) < 20 else None


def content_type(response: Response) -> str:
    """``Content-Type`` in lower case and without parameters; '' if there is none."""
    return bare(response.headers.get("content-type"))
