"""Plays one case: the seeded market on loopback ports, the real session over it, and a witness who keeps what the session tells."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.detectors.bursts import Burst
from dope.detectors.jumps import Jump
from dope.detectors.linker import JumpLink, Linker
from dope.detectors.triangles import Triangle
from dope.engines import detector_of
from dope.feed.clock import Clock
from dope.market.market import Market
from dope.market.ready import compile_all
from dope.session import Session
from dope.settings import Settings
from dope.sim.journal import Fault
from dope.sim.market import EPOCH_MS, STEP_MS
from dope.sim.port import Port
from dope.sim.scenarios import named
from dope.sim.world import World
from dope.trial.claims import Lead, Leaders, Said, said
from dope.trial.stepped import SteppedLoop
from dope.types import DATA, BookState, Event, Frame, Gap, Link

MS = 1_000_000
STEP_S = STEP_MS / 1000
READY_S = 30.0  #: virtual s in which every book must have become LIVE once
LATE_MS = 20  #: a step that begins later than this is a stall of our own loop
STALL_MAX_NS = 2_000_000_000
STALLS = 10_000  #: of which the newest are kept
ASKED_STEPS = 100  #: from one question who leads to the next
SAMPLES = 400_000  #: figures of open opportunities that are kept to be compared


class Case(msgspec.Struct, frozen=True):
    """What is to be played: ``seconds`` of virtual time, the scenario and the faults, from the moment at which every book is LIVE."""

    seed: int
    seconds: float
    venues: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    scenario: str = "usual"


class Sample(msgspec.Struct, frozen=True, gc=False):
    """An open opportunity as the session showed it at the end of a step: money in quote, size in base."""

    ms: int
    buy: str
    sell: str
    qty: float
    net: float
    buy_vwap: float
    sell_vwap: float


class Witness:
    """Listens behind all detectors."""

    KINDS = (Opportunity, BookState, Gap, Link, Jump, Burst, JumpLink, Triangle)

    def __init__(self) -> None:
        self.opportunities: list[Opportunity] = []  #: as they opened and as they closed
        self.states: list[BookState] = []
        self.gaps: list[Gap] = []
        self.links: list[Link] = []
        self.jumps: list[Jump] = []
        self.bursts: list[Burst] = []
        self.links_of_jumps: list[JumpLink] = []
        self.triangles: list[Triangle] = []  #: as they opened and as they closed
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
            case Jump():
                self.jumps.append(event)
            case Burst():
                self.bursts.append(event)
            case JumpLink():
                self.links_of_jumps.append(event)
            case Triangle():
                self.triangles.append(event)
        return ()


class Played(msgspec.Struct, frozen=True):
    """What was played and what was heard. All times are ms UTC of the session's clock.

    ``at_ms[step]`` = when the step was published; ``ready_ms`` = from when on every book was LIVE; ``stalls`` = (from, to) in which our own
    loop was late; ``stepped`` = each venue was heard before the next one spoke; ``leads`` = by its jumps, ``contrasts`` = by its path.
    """

    case: Case
    world: World
    session: Session
    witness: Witness
    samples: list[Sample]
    ready_ms: int
    end_ms: int
    at_ms: array[int]
    stalls: list[tuple[int, int]]
    stepped: bool
    leads: dict[tuple[str, str], Lead]
    contrasts: list[Said]

    def at(self, virtual_ms: int) -> int:
        """When the step at this virtual time was published."""
        step = (virtual_ms - self.world.sample.epoch_ms) // STEP_MS
        return self.at_ms[max(0, min(step, len(self.at_ms) - 1))]


class Attended(Session):
    """A session that counts what it has heard of each venue."""

    @cached_property
    def heard(self) -> Counter[str]:
        """Messages by venue."""
        return Counter()

    def on_frames(self, frames: list[Frame]) -> None:
        """See ``Session``."""
        self.heard.update(frame.venue for frame in frames if frame.kind == DATA)
        super().on_frames(frames)


class Hand(Protocol):
    """Does something to the market between two steps."""

    def __call__(self, world: World, now_ms: int) -> None: ...


async def play(case: Case, settings: Settings, hand: Hand | None = None) -> Played:
    """Play it: in a ``SteppedLoop`` each step only after the one before has been heard, in any other as time goes by.

    Raises UnknownName for a scenario or a fault that is none.
    """
    named(case.scenario)
    loop = asyncio.get_running_loop()
    stepped = loop if isinstance(loop, SteppedLoop) else None
    start_ms = EPOCH_MS if stepped else Clock().now() // MS
    world = World(case.seed, venues=case.venues, speed=0.0, epoch_ms=start_ms, clock=loop.time)
    settings = settings.model_copy(update={"record": False, "venues": case.venues})
    zero = EPOCH_MS * MS - (stepped.ns() if stepped else 0)
    clock = Clock() if stepped is None else Clock(stepped.ns, lambda: zero + stepped.ns())
    witness = Witness()
    session = Attended(settings, "sim", await world.start(), clock, also=(witness,))
    stage = _Stage(world, session, Paced(clock) if stepped is None else Stepped(stepped))
    feed = asyncio.create_task(session.feed.run(), name="feed")
    try:
        ready_ms = await stage.begin(feed)
        if case.scenario != world.scenario.id:
            world.play(case.scenario)
        for fault in case.faults:
            world.faults.inject(fault)
        for _ in range(round(case.seconds / STEP_S)):
            if hand is not None:
                hand(world, stage.now_ms)
            await stage.step(feed)
        stage.leaders.look(stage.now_ms)
        end_ms, witness.over, contrasts = stage.now_ms, True, said(session, stage.now_ms)
    finally:
        await stage.pace.patiently(session.stop())
        await stage.pace.patiently(world.stop())
    stalls = [] if isinstance(stage.pace, Stepped) else stage.pace.stalls
    rest = stage.at_ms, stalls, stepped is not None, stage.leaders.said, contrasts
    return Played(case, world, session, witness, stage.samples, ready_ms, end_ms, *rest)


class Stepped:
    """Time is ours: it stands still until everybody has been heard."""

    def __init__(self, loop: SteppedLoop) -> None:
        self._loop = loop
        self._said: dict[Port, int] = {}  # messages of each venue that were heard or given up so far
        self._lost: dict[Port, int] = {}  # of them given up: their connection had ended

    async def begin(self) -> None:
        """A step begins."""
        self._loop.forward(STEP_S)

    async def spoke(self, port: Port, heard: Callable[[], int]) -> None:
        """A venue has spoken: let it be heard before the next one, so that it is known who was first."""
        if port.said == self._said.get(port, 0):
            return
        lost = self._lost.get(port, 0)
        if not await self._loop.wait_for(lambda: heard() + lost >= port.said):
            self._lost[port] = port.said - heard()
        elif heard() + lost > port.said:  # given up too early
            self._lost[port] = max(0, port.said - heard())
        self._said[port] = port.said

    async def end(self) -> None:
        """All venues have spoken."""
        await self._loop.settle()

    async def patiently(self, work: Coroutine[Any, Any, None]) -> None:
        """Let time pass until this is done."""
        task = asyncio.create_task(work, name="trial work")
        while not task.done():
            self._loop.forward(STEP_S)
            await self._loop.settle()
        task.result()


class Paced:
    """Time goes by; a step that begins late says so."""

    def __init__(self, clock: Clock) -> None:
        self.stalls: list[tuple[int, int]] = []
        self._clock, self._due = clock, clock.now()

    async def begin(self) -> None:
        """Wait until the step is due. Steps that are late follow each other at once; after STALL_MAX_NS what was missed is left out."""
        self._due += STEP_MS * MS
        await self._clock.sleep((self._due - self._clock.now()) / 1e9)
        late = self._clock.now() - self._due
        if late > LATE_MS * MS:
            self.stalls.append((self._due // MS, self._clock.now() // MS))
            del self.stalls[:-STALLS]
        if late > STALL_MAX_NS:
            self._due += late

    async def spoke(self, port: Port, heard: Callable[[], int]) -> None:
        """A venue has spoken."""

    async def end(self) -> None:
        """All venues have spoken."""

    async def patiently(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for this."""
        await work


class _Stage:
    """One step after the other."""

    def __init__(self, world: World, session: Attended, pace: Stepped | Paced) -> None:
        self.samples: list[Sample] = []
        self.pace = pace
        self.leaders = Leaders(detector_of(session.engine, Linker))
        self.at_ms = array("q", [session.clock.now() // MS])  # step → when it was published
        self._world, self._session = world, session

    @property
    def now_ms(self) -> int:
        """When the newest step was published."""
        return self.at_ms[-1]

    async def begin(self, feed: asyncio.Task[None]) -> int:
        """Until every book is LIVE, or READY_S; the instant."""
        books = self._session.engine.market.books
        wanted = {key for key, market in self._world.sample.markets.items() if market.spec.symbol in self._session.settings.symbols}
        for _ in range(round(READY_S / STEP_S)):
            await self.step(feed)
            if all(key in books and books[key].state == "LIVE" for key in wanted):
                break
        return self.now_ms

    async def step(self, feed: asyncio.Task[None]) -> None:
        """10 ms of the market, heard to the end where time is ours. Raises what ended the feed."""
        await self.pace.begin()
        self._look()
        self.at_ms.append(self._session.clock.now() // MS)
        for server in self._world.turn():
            await self.pace.spoke(server.port, partial(self._session.heard.__getitem__, server.port.name))
        await self.pace.end()
        if feed.done():
            feed.result()

    def _look(self) -> None:
        """What is shown when the last step has been heard: the open opportunities just before the next one, and now and then who leads."""
        for row in self._session.arbitrage.rows():
            if len(self.samples) < SAMPLES and row.state == "open" and row.buy_vwap is not None and row.sell_vwap is not None:
                self.samples.append(Sample(self.now_ms, row.buy, row.sell, row.qty, row.net, row.buy_vwap, row.sell_vwap))
        if len(self.at_ms) % ASKED_STEPS == 0:
            self.leaders.look(self.now_ms)


def ready() -> None:
    """Machine code first: nothing may be late for the want of it."""
    compile_all()
