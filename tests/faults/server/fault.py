# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing that can go wrong with an exchange."""

from __future__ import annotations

from collections.abc import Callable

from .exchange import Exchange

#: How a connection ends.
RESET, FIN = "reset", "fin"


class Fault:
    """``play`` takes the place of the usual answer. ``name`` is how the log calls it."""

    def __init__(self, name: str, play: Callable[[Exchange], None]) -> None:
        self.name = name
        self.play = play

    def __repr__(self) -> str:
        return f"Fault({self.name})"


def end(exchange: Exchange, how: str) -> None:
    """End the connection: `RESET` or `FIN`."""
    if how == RESET:
        exchange.peer.reset()
    else:
        exchange.peer.close()
