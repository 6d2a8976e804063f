# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer before it is sent, so that a fault can make something else of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """``Content-Length`` is added when it is sent, unless ``headers`` has it or ``framed`` is False."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether the end of the body can be told by the client.
    framed: bool = True
    #: Whether the connection ends with it.
    last: bool = False

    def head(self) -> bytes:
        """Status line and headers as they go out."""
        fields = {name.lower() for name in self.headers}
        lines = [f"HTTP/1.1 {self.status} Because", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.framed and not fields & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(self.body)}")
        if self.last and "connection" not in fields:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def document(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """``value`` as JSON."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def error(status: int, code: str = "", message: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """An error in the specification's form; without a code an empty body, as proxies send it."""
    if not code:
        return Answer(status, b"", dict(headers or {}))
    return document({"errors": [{"code": code, "message": message or code.lower().replace("_", " ")}]}, status, headers)
