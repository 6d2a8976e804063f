# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: its addresses, what it holds, and which fault each request meets."""

from __future__ import annotations

import contextlib
import itertools
import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ...servers.certificates import Authority
from ...servers.images import Pushable
from ...servers.process import working_directory
from .answer import Answer
from .api import Api
from .exchange import Exchange
from .faults import Fault
from .kinds import Kind, meaning
from .listener import Listener
from .log import Entry, Log, fingerprint
from .login import Doorman
from .peer import Peer
from .rules import Login, Rule, Scenario
from .scenarios import SCENARIOS
from .schedule import MENU, Schedule
from .storage import Storage

#: A request header that names a scenario, for clients that can set one.
HEADER = "X-Longshore-Fault"
#: What the repositories of scenarios begin with.
PREFIX = "fault/"
#: The addresses it listens at. All of 127.0.0.0/8 is this machine.
HOME, OTHER = "127.0.0.1", "127.0.0.2"

#: The scenario in which nothing goes wrong.
NONE = "none"

_CREDENTIALS = frozenset(("authorization", "proxy-authorization", "cookie"))


class FaultRegistry:
    """Started on entering its ``with`` block, stopped on leaving it.

    It listens over HTTP and over TLS on `HOME` and on `OTHER`; all four origins are the same registry. ``tls``: which of
    them `host` is. ``directory`` is for certificates. ``context``: a TLS context in place of one with a good certificate.
    ``base``: what ``/v2/`` meets, which has no repository. Asked for whole URLs it answers as a proxy that knows no other
    registry.
    """

    def __init__(
        self,
        tls: bool = False,
        directory: str | os.PathLike[str] | None = None,
        context: ssl.SSLContext | None = None,
        base: Iterable[Rule] = (),
    ) -> None:
        self.tls = tls
        self.storage = Storage()
        self.log = Log()
        self.connections = 0
        self._given_directory = directory
        self._given_context = context
        self._base = Scenario("", tuple(base))
        self._api = Api(self.storage)
        self._doorman = Doorman()
        self._scenarios = dict(SCENARIOS)
        self._schedule: Schedule | None = None
        self._played: dict[tuple[str, str, int, str], int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._listeners: dict[tuple[bool, str], Listener] = {}
        self._stack = contextlib.ExitStack()
        self._names = itertools.count(1)

    def __enter__(self) -> FaultRegistry:
        with contextlib.ExitStack() as stack:
            self.directory = stack.enter_context(working_directory(self._given_directory, "faulty"))
            authority = Authority(self.directory)
            #: The certificate for clients to trust.
            self.ca = authority.certificate
            context = self._given_context
            if context is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*authority.server())
            for address in (HOME, OTHER):
                for secure in (None, context):
                    listener = Listener(address, secure, self._exchanged, self._connected, self._ended)
                    stack.callback(listener.close)
                    self._listeners[secure is not None, address] = listener
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._ended.set()
        self._stack.close()

    # -- where it is ---------------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``: what image names begin with."""
        return self.origin().partition("://")[2]

    def origin(self, address: str = HOME, tls: bool | None = None) -> str:
        """``scheme://address:port``; the scheme of `host` if ``tls`` does not say."""
        return self._listeners[self.tls if tls is None else tls, address].origin

    def port(self, address: str = HOME, tls: bool | None = None) -> int:
        """The port of an origin."""
        return self._listeners[self.tls if tls is None else tls, address].port

    def expand(self, text: str, exchange: Exchange) -> str:
        """``text`` with names filled in: ``{home}``, the origin that was spoken to, ``{other}``, the same scheme on the
        other address, ``{plain}``, ``{tls}``, ``{other_plain}``, ``{other_tls}``, ``{host}`` and ``{port}`` of what was
        spoken to; ``{repository}``, ``{reference}``, ``{path}``, ``{target}`` of the request."""
        secure = exchange.origin.startswith("https")
        names = {
            "home": exchange.origin,
            "other": self.origin(OTHER, secure),
            "plain": self.origin(HOME, False),
            "tls": self.origin(HOME, True),
            "other_plain": self.origin(OTHER, False),
            "other_tls": self.origin(OTHER, True),
            "host": exchange.origin.partition("://")[2],
            "port": exchange.origin.rpartition(":")[2],
            "repository": exchange.repository,
            "reference": exchange.reference,
            "path": exchange.entry.path,
            "target": exchange.entry.target,
        }
        for name, value in names.items():
            text = text.replace("{" + name + "}", value)
        return text

    # -- what it holds and plays ---------------------------------------------------------------------------------

    def repository(self, scenario: str = NONE) -> str:
        """A repository that nobody has used, in which the scenario is played; with `NONE` none is."""
        if scenario != NONE and scenario not in self._scenarios:
            raise KeyError(f"no scenario is called {scenario}")
        return f"{PREFIX}{scenario}/{next(self._names)}"

    def put(self, scenario: str, content: Pushable, tags: Iterable[str] = ("1",)) -> str:
        """Store an image in a new `repository` of a scenario, and give its name."""
        name = self.repository(scenario)
        self.storage.put(name, content, tuple(tags))
        return name

    def add(self, scenario: Scenario) -> str:
        """One more scenario, for a test's own purposes; its name."""
        self._scenarios[scenario.name] = scenario
        return scenario.name

    @contextlib.contextmanager
    def _scheduled(self, schedule: Schedule) -> Iterator[Schedule]:
        self._schedule = schedule
        try:
            yield schedule
        finally:
            self._schedule = None

    def schedule(
        self, seed: int, rate: float = 0.15, most: int = 3, menu: Mapping[Kind, Sequence[Fault]] = MENU
    ) -> contextlib.AbstractContextManager[Schedule]:
        """While it lasts, random faults in all repositories that no scenario is for, the same for the same seed.

        ``rate``: how many of the requests meet one; ``most``: how often the same request may, one after the other;
        ``menu``: what may happen to what, such as `schedule.PASSING`, which has no lies in it.
        """
        return self._scheduled(Schedule(seed, rate, most, menu))

    def forget_tokens(self) -> None:
        """Make every token so far worthless."""
        self._doorman.forget()

    def drop_connections(self) -> None:
        """Close every open connection, as a server does that is tired of idle ones."""
        for listener in self._listeners.values():
            listener.drop()

    def usual(self, exchange: Exchange) -> Answer:
        """What is done and said where no fault is played: who asks is looked at, then the API answers."""
        login = self._scenario(exchange).login
        if exchange.kind is Kind.TOKEN:
            return self._doorman.issue(exchange, login or Login())
        asks = login is not None and exchange.repository and exchange.kind is not Kind.STORAGE
        if login is not None and asks and not self._doorman.lets_in(exchange, login):
            return self._doorman.refusal(exchange, login)
        return self._api.answer(exchange)

    def _scenario(self, exchange: Exchange) -> Scenario:
        name = exchange.headers.get(HEADER.lower(), "")
        if not name and exchange.repository.startswith(PREFIX):
            name = exchange.repository.split("/")[1]
        return self._scenarios.get(name, self._base if exchange.kind is Kind.BASE else _NOTHING)

    # -- requests ------------------------------------------------------------------------------------------------

    def _exchanged(self, origin: str, peer: Peer, method: str, target: str, headers: dict[str, str]) -> bool:
        # Answers a request whose header has come: whether its body was read, so that another may follow.
        exchange = Exchange(self, self._entry(peer, origin, method, target, headers), headers, peer)
        self._answer(exchange)
        # What a fault left of the body cannot be told from the next request.
        return len(exchange.arrived) == exchange.length

    def _connected(self) -> int:
        with self._lock:
            self.connections += 1
            return self.connections

    def _entry(self, peer: Peer, origin: str, method: str, target: str, headers: dict[str, str]) -> Entry:
        proxied = target.startswith("http://")
        if proxied:
            target = "/" + target.partition("://")[2].partition("/")[2]
        meant = meaning(method, target)
        shown = {name: fingerprint(value) if name in _CREDENTIALS else value for name, value in headers.items()}
        value = headers.get("authorization")
        with self._lock:
            entry = Entry(
                len(self.log) + 1,
                time.monotonic(),
                origin,
                headers.get("host", ""),
                method,
                target,
                meant.kind,
                meant.repository,
                meant.reference,
                shown,
                scheme=value.partition(" ")[0].lower() if value is not None else None,
                credential=fingerprint(value) if value is not None else None,
                connection=peer.number,
                proxied=proxied,
            )
            self.log.add(entry)
        return entry

    def _answer(self, exchange: Exchange) -> None:
        scenario = self._scenario(exchange)
        for number, rule in enumerate(scenario.rules):
            if exchange.kind in rule.kinds and self._takes(exchange, scenario, number, rule):
                exchange.entry.faults.append(rule.fault.name)
                rule.fault.play(exchange)
                return
        if self._schedule is not None and scenario is _NOTHING:
            fault = self._schedule.fault(exchange)
            if fault is not None:
                exchange.entry.faults.append(fault.name)
                fault.play(exchange)
                return
        exchange.give(exchange.usual())

    def _takes(self, exchange: Exchange, scenario: Scenario, number: int, rule: Rule) -> bool:
        if rule.when is not None and not rule.when(exchange):
            return False
        key = (exchange.repository, scenario.name, number, rule.counted_as(exchange))
        with self._lock:
            count = self._played.get(key, 0)
            if count >= rule.after + rule.times:
                return False
            self._played[key] = count + 1
        return count >= rule.after


_NOTHING = Scenario(NONE)
