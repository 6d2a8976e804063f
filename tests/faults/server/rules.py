# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: which requests of a repository meet which fault, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .kinds import Kind

if TYPE_CHECKING:
    from .exchange import Exchange
    from .faults import Fault

#: How often a rule that never ends is played.
ALWAYS = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """Requests of ``kinds`` meet ``fault``: ``times`` times, once ``after`` of them have passed untouched.

    They are counted for each method and path by itself; with ``together`` for the whole repository. ``when``: which of
    them count at all.
    """

    kinds: frozenset[Kind]
    fault: Fault
    times: int = ALWAYS
    after: int = 0
    together: bool = False
    when: Callable[[Exchange], bool] | None = None

    def counted_as(self, exchange: Exchange) -> str:
        """The name under which the request is counted."""
        return "" if self.together else f"{exchange.entry.method} {exchange.entry.path}"


@dataclass(frozen=True)
class Login:
    """What a repository asks of who comes.

    ``realm`` is a URL with the names that `FaultRegistry.expand` knows. ``life``: what the answer says of the token's
    life, in seconds; None for nothing. ``users``: names and passwords; without them everybody gets a token.
    """

    scheme: str = "bearer"
    realm: str = "{home}/token"
    service: str = "faulty"
    life: float | None = 300
    users: dict[str, str] = field(default_factory=dict)
    #: In place of the challenge that follows from the above.
    challenge: str | None = None


@dataclass(frozen=True)
class Scenario:
    """What happens in the repositories ``fault/<name>/...``: the first rule that has something left is played."""

    name: str
    rules: tuple[Rule, ...] = ()
    login: Login | None = None


def on(
    kinds: Kind | Iterable[Kind],
    fault: Fault,
    times: int = ALWAYS,
    *,
    after: int = 0,
    together: bool = False,
    when: Callable[[Exchange], bool] | None = None,
) -> Rule:
    """A `Rule`."""
    chosen = frozenset((kinds,)) if isinstance(kinds, Kind) else frozenset(kinds)
    return Rule(chosen, fault, times, after, together, when)
