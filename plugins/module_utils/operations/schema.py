# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a part of a document may hold, and the comparison of a document with it: every key that is not known, every value of a
wrong kind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.text import sanitise

_DURATION = re.compile(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
_SHOWN = 60


class Node:
    """What may stand at one place. ``series``: the only one that knows it; '' for all."""

    series: str

    def problems(self, value: Any, path: str, series: str) -> Iterator[str]:
        """One sentence for each thing that is wrong with ``value``, which stands at ``path`` (dotted)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Leaf(Node):
    """A plain value: ``kind`` is text, bool, int, number, duration or any; ``choices`` are all that it can be."""

    kind: str = "text"
    choices: tuple[str, ...] = ()
    series: str = ""

    def problems(self, value: Any, path: str, series: str) -> Iterator[str]:
        wrong = _WRONG[self.kind](value)
        # What stands there may be a secret, so only what has choices, and names one of them wrongly, is shown.
        if wrong:
            yield f"{path} takes {wrong}, not {_described(value)}"
        elif self.choices and value not in self.choices:
            yield f"{path} is one of {', '.join(self.choices)}, not '{sanitise(value, _SHOWN)}'"


@dataclass(frozen=True)
class Section(Node):
    """A mapping with known keys; those in ``required`` have to be there."""

    keys: Mapping[str, Node]
    required: tuple[str, ...] = ()
    series: str = ""
    #: It may be left empty (null), as ``storage.inmemory`` is.
    bare: bool = False

    def problems(self, value: Any, path: str, series: str) -> Iterator[str]:
        if value is None and self.bare:
            return
        if not isinstance(value, Mapping):
            yield f"{path or 'the configuration'} takes keys and values, not {_described(value)}"
            return
        for key, inner in value.items():
            place = f"{path}.{key}" if path else str(key)
            node = self.keys.get(key) if isinstance(key, str) else None
            if node is None:
                yield f"{sanitise(place, 200)} is no key of the registry's configuration{self._meant(key)}"
            elif node.series and node.series != series:
                yield f"{place} is known to series {node.series} only, and this registry is of series {series}"
            else:
                yield from node.problems(inner, place, series)
        for key in self.required:
            if value.get(key) in (None, ""):
                yield f"{path}.{key} is missing: {path} needs it"

    def _meant(self, key: Any) -> str:
        near = difflib.get_close_matches(str(key).lower(), self.keys, 1, 0.7)
        return f". Do you mean {near[0]}?" if near else ""


@dataclass(frozen=True)
class ListOf(Node):
    """A list of ``element``."""

    element: Node = field(default_factory=Leaf)
    series: str = ""

    def problems(self, value: Any, path: str, series: str) -> Iterator[str]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            yield f"{path} takes a list, not {_described(value)}"
            return
        for number, inner in enumerate(value):
            yield from self.element.problems(inner, f"{path}[{number}]", series)


@dataclass(frozen=True)
class MappingOf(Node):
    """A mapping whose keys are the user's own, with values like ``element``."""

    element: Node = field(default_factory=Leaf)
    series: str = ""

    def problems(self, value: Any, path: str, series: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{path} takes keys and values, not {_described(value)}"
            return
        for key, inner in value.items():
            if not isinstance(key, str):
                yield f"{path} takes text as its keys, not {_described(key)}"
            else:
                yield from self.element.problems(inner, f"{path}.{sanitise(key, _SHOWN)}", series)


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "keys and values" if isinstance(value, Mapping) else "a list"


def _duration(value: Any) -> str:
    return "" if isinstance(value, str) and _DURATION.fullmatch(value) else "a duration such as 30s, 10m or 24h"


def _integer(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


#: For each kind: what it takes, in words, if the value is not that; '' if it is.
_WRONG = {
    "any": lambda value: "",
    "text": lambda value: "" if isinstance(value, str) else "text",
    # A string is not good enough: the registry takes "true" for false, or does not start.
    "bool": lambda value: "" if isinstance(value, bool) else "true or false, unquoted",
    "int": _integer,
    "number": lambda value: "" if isinstance(value, (int, float)) and not isinstance(value, bool) else "a number",
    "duration": _duration,
}
