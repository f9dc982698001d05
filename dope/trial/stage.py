"""Plays one case: the seeded market on loopback ports, the real session over it, and a witness who keeps what the session tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.feed.clock import Clock
from dope.market.market import Market
from dope.market.ready import compile_all
from dope.session import Session
from dope.settings import Settings
from dope.sim.journal import Fault
from dope.sim.market import STEP_MS
from dope.sim.port import Port
from dope.sim.world import World
from dope.trial.stepped import SteppedLoop
from dope.types import BookState, Event, Gap, Link

MS = 1_000_000
STEP_S = STEP_MS / 1000
READY_S = 30.0  #: virtual s in which every book must have become LIVE once
SAMPLES = 400_000  #: figures of open opportunities that are kept to be compared


class Case(msgspec.Struct, frozen=True):
    """What is to be played: ``seconds`` of virtual time from the moment at which every book is LIVE."""

    seed: int
    seconds: float
    venues: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


class Sample(msgspec.Struct, frozen=True, gc=False):
    """An open opportunity as the session showed it at the end of a step: money in quote, size in base."""

    ms: int
    buy: str
    sell: str
    opened_ms: int
    qty: float
    net: float
    buy_vwap: float
    sell_vwap: float


class Witness:
    """Listens behind all detectors."""

    KINDS = (Opportunity, BookState, Gap, Link)

    def __init__(self) -> None:
        self.opportunities: list[Opportunity] = []  #: as they opened and as they closed
        self.states: list[BookState] = []
        self.gaps: list[Gap] = []
        self.links: list[Link] = []
        self.over = False  #: what comes from here on is the end of it all

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        match event:
            case _ if self.over:
                pass
            case Opportunity():
                self.opportunities.append(event)
            case BookState():
                self.states.append(event)
            case Gap():
                self.gaps.append(event)
            case Link():
                self.links.append(event)
        return ()


class Played(msgspec.Struct, frozen=True):
    """What was played and what was heard. Times of virtual ms UTC; ``ready_ms`` = from when on every book was LIVE."""

    case: Case
    world: World
    session: Session
    witness: Witness
    samples: list[Sample]
    ready_ms: int
    end_ms: int


class Hand(Protocol):
    """Does something to the market between two steps."""

    def __call__(self, world: World, now_ms: int) -> None: ...


async def play(case: Case, settings: Settings, hand: Hand | None = None) -> Played:
    """Step market and session together, each step only after the one before has been heard. Runs in a ``SteppedLoop``."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    world = World(case.seed, venues=case.venues, speed=0.0, clock=loop.time)
    epoch = world.sample.epoch_ms * MS - loop.ns()
    settings = settings.model_copy(update={"record": False, "venues": case.venues})
    witness = Witness()
    session = Session(settings, "sim", await world.start(), Clock(loop.ns, lambda: epoch + loop.ns()), also=(witness,))
    stage = _Stage(loop, world, session)
    feed = asyncio.create_task(session.feed.run(), name="feed")
    try:
        ready_ms = await stage.begin(feed)
        for fault in case.faults:
            world.faults.inject(fault)
        for _ in range(round(case.seconds / STEP_S)):
            if hand is not None:
                hand(world, world.sample.now_ms)
            await stage.step(feed)
        end_ms, witness.over = world.sample.now_ms, True
    finally:
        await stage.patiently(session.stop())
        await stage.patiently(world.stop())
    return Played(case, world, session, witness, stage.samples, ready_ms, end_ms)


class _Stage:
    """One step after the other."""

    def __init__(self, loop: SteppedLoop, world: World, session: Session) -> None:
        self.samples: list[Sample] = []
        self._loop, self._world, self._session = loop, world, session
        self._sent: dict[Port, int] = {}  # data messages of each venue so far

    async def begin(self, feed: asyncio.Task[None]) -> int:
        """Until every book is LIVE, or READY_S; the instant, virtual ms."""
        books = self._session.engine.market.books
        wanted = {key for key, market in self._world.sample.markets.items() if market.spec.symbol in self._session.settings.symbols}
        for _ in range(round(READY_S / STEP_S)):
            await self.step(feed)
            if all(key in books and books[key].state == "LIVE" for key in wanted):
                break
        return self._world.sample.now_ms

    async def step(self, feed: asyncio.Task[None]) -> None:
        """10 ms of the market, heard to the end. Raises what ended the feed."""
        self._loop.forward(STEP_S)
        for server in self._world.turn():  # one after the other, so that it is known who was heard first
            if server.port.sent != self._sent.get(server.port, 0):
                self._sent[server.port] = server.port.sent
                await self._loop.settle()
        await self._loop.settle()
        if feed.done():
            feed.result()
        now = self._world.sample.now_ms
        for row in self._session.arbitrage.rows():
            if len(self.samples) < SAMPLES and row.state == "open" and row.buy_vwap is not None and row.sell_vwap is not None:
                self.samples.append(Sample(now, row.buy, row.sell, row.opened // MS, row.qty, row.net, row.buy_vwap, row.sell_vwap))

    async def patiently(self, work: object) -> None:
        """Let time pass until this is done."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        while not task.done():
            self._loop.forward(STEP_S)
            await self._loop.settle()
        task.result()


def ready() -> None:
    """Machine code first: nothing may be late for the want of it."""
    compile_all()
