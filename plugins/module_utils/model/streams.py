# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from: the shape that sockets, files, archives and tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, ``b""`` only at the end. Raises OciError."""


class BlobStream(Readable, Protocol):
    """The bytes of one blob."""

    def close(self) -> None:
        """Let go of what is behind it. May be called twice."""


#: Opens one blob from its first byte; may be called again when a transfer has to start over.
OpenBlob = Callable[[], BlobStream]


@runtime_checkable
class OpensAt(Protocol):
    """What an `OpenBlob` may be able to do beside: spare the bytes that are not needed again."""

    def at(self, offset: int) -> BlobStream:
        """The blob from byte ``offset`` on."""
