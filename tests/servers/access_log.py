# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log of a registry, as records."""

from __future__ import annotations

import pathlib
import re
from typing import NamedTuple

READS = ("GET", "HEAD")
# Apache's combined format, which distribution writes to its standard output.
_LINE = re.compile(
    r'(?P<client>\S+) \S+ \S+ \[[^]]*\] "(?P<method>[A-Z]+) (?P<target>\S+) [^"]*" '
    r'(?P<status>\d+) (?P<size>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"\s*'
)


class Request(NamedTuple):
    """One request that the registry answered. ``target`` is the path with its query, ``size`` is in bytes sent."""

    method: str
    target: str
    status: int
    size: int
    agent: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split("?", 1)[0]

    @property
    def writes(self) -> bool:
        """Whether it is of a kind that changes something."""
        return self.method not in READS


def parse(line: str) -> Request | None:
    """The request that a line tells of; ``None`` for a line of another kind."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    size = found["size"]
    sent = 0 if size == "-" else int(size)
    return Request(found["method"], found["target"], int(found["status"]), sent, found["agent"])


def read(path: pathlib.Path, offset: int = 0) -> list[Request]:
    """The requests that ``path`` holds from ``offset`` (in bytes) on, whole lines only."""
    with path.open("rb") as stream:
        stream.seek(offset)
        text = stream.read().decode("utf-8", "replace")
    whole, newline, dummy = text.rpartition("\n")
    return [request for request in map(parse, (whole + newline).splitlines()) if request is not None]
