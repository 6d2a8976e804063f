# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module answered, and whether it went as it should."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Result = Mapping[str, Any]


def ok(result: Result) -> Result:
    """The result of a module that has not failed."""
    assert not result.get("failed"), result.get("msg")
    return result


def sentence(result: Result, longest: int = 500) -> str:
    """The message of a failure that a user can cause: one line, shorter than ``longest``, no traceback."""
    assert result.get("failed"), result
    message = str(result["msg"])
    assert "\n" not in message and len(message) < longest and "exception" not in result
    return message
