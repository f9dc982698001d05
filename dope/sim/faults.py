"""Faults at will: what may be done to the simulated venues while they run, planted, dated, numbered, and healed."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
from loguru import logger

from dope.errors import BadFault, UnknownName
from dope.sim import events
from dope.sim.effects import Act, Doing
from dope.sim.journal import Fault, Journal, Planted, Value
from dope.sim.kinds import KINDS, LINKS, Kind
from dope.sim.market import SampleMarket
from dope.sim.port import Port
from dope.sim.truth_log import Voice
from dope.sim.venue import VenueClock

MAX_ACTIVE = 1_000  #: faults under way or still to come
MAX_NUMBER = 1e8  #: largest parameter
LARGEST: Mapping[str, float] = {"mib": 256, "depth": 1e6, "digits": 1e6, "n": 10_000, "x": 1_000}


class Server(Protocol):
    """What the world needs of a venue's server."""

    port: Port
    voice: Voice

    def publish(self) -> None: ...

    def drop(self, symbol: str) -> None: ...


class Active:
    """One fault that was planted: what it is, what it does, and its entry in the journal."""

    def __init__(self, fault: Fault, entry: Planted, act: Act, effect: Doing) -> None:
        self.fault, self.entry, self.act, self.effect = fault, entry, act, effect
        self.begun = False


class Faults:
    """What may be done to a venue; names are venue ids and canonical symbols. Raises UnknownName for others, BadFault for bad numbers."""

    def __init__(self, sample: SampleMarket, servers: Mapping[str, Server], clocks: Mapping[str, VenueClock], journal: Journal) -> None:
        self.journal = journal
        self.active: dict[int, Active] = {}  #: by number in the journal
        self._sample, self._servers, self._clocks = sample, servers, clocks
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # heap of (virtual ms, rank, what)
        self._ranks = itertools.count()
        self._tasks: set[asyncio.Future[None]] = set()

    # -- planting ------------------------------------------------------------------------------------------------------
    def inject(self, fault: Fault) -> Planted:
        """Plant one fault: it begins now or after ``at_s``, and ends after ``duration_s``, when nothing is left to do, or healed.

        What happens to the market itself (``events.KINDS``) goes there, and is not healed but ends by itself.
        """
        kind = KINDS.get(fault.kind) or LINKS.get(fault.kind)
        if fault.kind in events.KINDS:
            return self._sample.plant(fault)
        if kind is None:
            raise UnknownName("fault", fault.kind, [*KINDS, *LINKS, *events.KINDS])
        server = self.server(fault.venue)
        params = checked(kind, fault)
        if len(self.active) >= MAX_ACTIVE:
            raise BadFault(f"more than {MAX_ACTIVE} faults at a time")
        market = None
        if fault.symbol:
            self._market(fault.venue, fault.symbol)
            market = self._sample.markets[f"{fault.venue}:{fault.symbol}"]
        act = Act(fault, params, server.port, self._clocks[fault.venue], market, self.later)
        effect = kind.make(act)
        start_ms = self._sample.now_ms + round(fault.at_s * 1000)
        entry = self.journal.note(fault.kind, fault.venue, fault.symbol, start_ms, params=params)
        active = self.active[entry.id] = Active(fault, entry, act, effect)
        if fault.at_s > 0:
            self.later(fault.at_s * 1000, lambda: self._begin(active))
        else:
            self._begin(active)
        return active.entry

    def heal(self, which: int | str) -> Planted | None:
        """End a fault by its number, or all of a venue by its id; what is not there needs no healing."""
        if isinstance(which, str):
            self.server(which)
            for number in [number for number, active in self.active.items() if active.fault.venue == which]:
                self.heal(number)
            return None
        active = self.active.pop(which, None)
        if active is None:
            return None
        self._end(active)
        return active.entry

    def journal_of(self, number: int) -> Planted:
        """The entry of a fault. Raises LookupError when it is not, or no longer, in the journal."""
        for entry in reversed(self.journal.entries):
            if entry.id == number:
                return entry
        raise LookupError(f"no fault {number} in the journal")

    def step(self) -> None:
        """Once per step of the market, before the venues say what is new."""
        now = self._sample.now_ms
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        for active in list(self.active.values()):
            if active.begun and not active.act.over:
                active.effect.step()
            if active.begun and active.act.over:
                self.heal(active.entry.id)

    def later(self, ms: float, call: Callable[[], None]) -> None:
        """Call after so much virtual time."""
        heapq.heappush(self._due, (self._sample.now_ms + ms, next(self._ranks), call))

    async def settle(self) -> None:
        """Until what was begun or ended has been done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """The world stops."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, active: Active) -> None:
        if active.entry.id not in self.active:
            return  # healed before it began
        fault, port = active.fault, active.act.port
        logger.info("sim fault {}: {} {} {}", active.entry.id, fault.kind, fault.venue, fault.symbol)
        active.begun = True
        port.effects.append(active.effect)
        self._await(active.effect.start())
        if fault.duration_s > 0:
            self.later(fault.duration_s * 1000, lambda: self._over(active))
        if active.act.over:
            self.heal(active.entry.id)

    def _over(self, active: Active) -> None:
        self.heal(active.entry.id)

    def _end(self, active: Active) -> None:
        if active.begun:
            self._await(active.effect.stop())  # what it held goes out in its place
            active.act.port.effects.remove(active.effect)
        act = active.act
        act.over = True
        told = {**active.entry.params, "done": act.done, "first_ms": act.first_ms}
        entry = msgspec.structs.replace(active.entry, params=told)
        active.entry = self.journal.close(entry, max(self._sample.now_ms, entry.start_ms))

    def _await(self, doing: Awaitable[None] | None) -> None:
        if doing is not None:
            task = asyncio.ensure_future(doing)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # -- names of their own for what is done most ----------------------------------------------------------------------
    def server(self, venue: str) -> Server:
        """The server of a venue."""
        if venue not in self._servers:
            raise UnknownName("venue", venue, self._servers)
        return self._servers[venue]

    def freeze(self, venue: str) -> None:
        """The sockets stay open and nothing comes nor is read, not even pongs."""
        self.inject(Fault(kind="freeze", venue=venue))

    def mute(self, venue: str) -> None:
        """Acks and pongs only, no data."""
        self.inject(Fault(kind="ack_mute", venue=venue))

    def refuse(self, venue: str, status: int = 503) -> None:
        """Every handshake and request gets this HTTP status; open connections go on."""
        self.inject(Fault(kind="refuse", venue=venue, params={"status": status}))

    async def kick(self, venue: str, code: int = 1001, reason: str = "") -> None:
        """Close all its connections with this code; 1006 = cut."""
        self.inject(Fault(kind="close", venue=venue, params={"code": code, "reason": reason}))
        await self.settle()

    async def down(self, venue: str) -> None:
        """Cut all connections and stop listening."""
        self.inject(Fault(kind="down", venue=venue))
        await self.settle()

    async def up(self, venue: str) -> None:
        """Listen again, on the same port."""
        self.server(venue)
        for number in [number for number, active in self.active.items() if (active.fault.venue, active.fault.kind) == (venue, "down")]:
            self.heal(number)
        await self.settle()

    def drop(self, venue: str, symbol: str) -> None:
        """Lose one depth message of a symbol: the next one that somebody would have got."""
        self.inject(Fault(kind="gap", venue=venue, symbol=symbol))

    def raw(self, venue: str, frame: str | bytes) -> None:
        """Send one arbitrary frame to every client: str as text, bytes as binary."""
        logger.info("sim {} sends a raw frame", venue)
        self.server(venue).port.raw(frame)

    def halt(self, venue: str, symbol: str, halted: bool = True) -> None:
        """Nothing happens in this market any more."""
        self._market(venue, symbol)
        self._sample.plant(Fault(kind="halt" if halted else "resume", venue=venue, symbol=symbol))

    def _market(self, venue: str, symbol: str) -> None:
        self.server(venue)
        if f"{venue}:{symbol}" not in self._sample.markets:
            raise UnknownName("market", f"{venue}:{symbol}", self._sample.markets)


def checked(kind: Kind, fault: Fault) -> dict[str, Value]:
    """The parameters of a fault, those that were not given as the kind has them. Raises BadFault."""
    if not kind.at(fault.venue):
        raise BadFault(f"{kind.name} cannot happen at {fault.venue}: its messages have no {kind.needs}")
    times = fault.at_s, fault.duration_s
    if not (all(math.isfinite(s) and s >= 0 for s in times) and 0.0 < fault.p <= 1.0):
        raise BadFault("at_s and duration_s are seconds from 0 on, p is above 0 and at most 1")
    found: dict[str, Value] = {**kind.params}
    for name, value in fault.params.items():
        if name not in found:
            raise BadFault(f"{kind.name} has no {name[:40]!r}; it has {', '.join(found) or 'no parameters'}")
        number = isinstance(found[name], int | float) and not isinstance(found[name], bool)
        fits = isinstance(value, int | float) and not isinstance(value, bool) if number else type(value) is type(found[name])
        if not fits or (isinstance(value, int | float) and not abs(value) <= LARGEST.get(name, MAX_NUMBER)):
            raise BadFault(f"{name} of {kind.name} must be like {found[name]!r}")
        found[name] = value
    return found
