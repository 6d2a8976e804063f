# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a registry's configuration as environment variables, for what no configuration file should hold.

The registry parses each value as YAML. The file with the variables is read by systemd, docker and podman, which agree on
little: systemd drops backslashes and outer blanks, docker and podman keep quotes. So what is written here has none of these where
it would matter.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Text that YAML takes for nothing but itself.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+=-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
# What single quotes can hold on one line of every reader.
_QUOTABLE = re.compile(r"[^\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]*")


def text(value: str) -> str:
    """``value`` as it stands if YAML reads that as the same text, else its bytes in base64 with YAML's tag for that."""
    if not value or _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _binary(value)


def tree(value: Any) -> str:
    """A mapping, a list or a plain value in YAML's flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(key))}: {tree(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(tree(inner) for inner in value) + "]"
    return "null"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'" if _QUOTABLE.fullmatch(value) else _binary(value)


def _binary(value: str) -> str:
    return "!!binary " + base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")
