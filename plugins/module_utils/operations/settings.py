# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that come from variables: with the kinds that a survey or a file of variables gives them, read as what is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.errors import InvalidInput

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Settings:
    """``given`` by name; ``prefix`` goes before names in messages. What is absent or null is the default."""

    def __init__(self, given: Mapping[str, Any], prefix: str) -> None:
        self._given = given
        self._prefix = prefix

    def text(self, name: str, default: str) -> str:
        """Text, or a number as text."""
        value = self._given.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InvalidInput(f"{self._prefix}{name} takes text")
        return str(value)

    def flag(self, name: str, default: bool) -> bool:
        """A boolean, also one that came as text, as all answers to a survey do."""
        value = self._given.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        if word not in _YES + _NO:
            raise InvalidInput(f"{self._prefix}{name} takes true or false")
        return word in _YES

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Keys and values; none by default."""
        value = self._given.get(name)
        if value is None or value == "":
            return {}
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{self._prefix}{name} takes keys and values")
        return value

    def sequence(self, name: str) -> list[Any]:
        """A list; empty by default."""
        value = self._given.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise InvalidInput(f"{self._prefix}{name} takes a list")
        return list(value)
