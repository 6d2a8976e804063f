# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves a module: plain JSON types, valid UTF-8, no control characters, no secrets (S18)."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

from ansible.module_utils.common.parameters import remove_values

from ..model.text import redact

# Line breaks and tabs belong to labels and histories; zero-width joiners to emoji. What moves a terminal's cursor or
# turns the order of the text around does not, and lone surrogates make ansible-core 2.19 and later refuse the result.
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: Shorter secrets are left to Ansible: their other spellings would mask half of every result.
_SHORTEST = 4


class Verbatim(str):
    """Text that has to arrive as it is: a raw manifest, whose digest the reader may want to compute."""


def spellings(username: str | None, secret: str) -> set[str]:
    """The forms in which a secret may show up: as it is, in a URL, and in a Basic credential."""
    found = {secret}
    if len(secret) >= _SHORTEST:
        found.add(quote(secret, safe=""))
        found.add(base64.b64encode(f"{username or ''}:{secret}".encode("utf-8", "replace")).decode("ascii"))
    return found


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret masked as Ansible masks it, and without signed URLs."""
    return str(remove_values(redact(text), set(secrets)))


def plain(value: Any, secrets: Iterable[str] = ()) -> Any:
    """``value`` as JSON types only. Keys are scrubbed too: Ansible masks values alone."""
    secrets = set(secrets)
    if value is None or isinstance(value, (bool, int)) and not isinstance(value, Enum):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Verbatim):
        return str.__str__(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, Enum):
        return plain(value.value, secrets)
    if isinstance(value, Mapping):
        return {_key(key, secrets): plain(one, secrets) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, secrets) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one, secrets) for one in value), key=str)
    return _UNSAFE.sub("", str(value))


def _key(key: Any, secrets: set[str]) -> str:
    text = _UNSAFE.sub("", str(key))
    # A secret of one letter would rename every key that has it.
    long = [one for one in secrets if len(one) >= _SHORTEST]
    return scrubbed(text, long) if any(one in text for one in long) else text
