"""A market of many symbols at every venue, the real feed over it, and a loop in which all clocks run faster alike."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec

from dope.engine import Engine
from dope.feed import Feed, Timing
from dope.feed.clock import Clock
from dope.market.market import Market
from dope.market.ready import compile_all
from dope.sim.crowd import many
from dope.sim.listings import ListingSpec
from dope.sim.world import World
from dope.types import (
    CLOSED,
    DATA,
    LIVE,
    OPEN,
    REPLY,
    Ack,
    BookState,
    ClosedInfo,
    Event,
    Fault,
    Frame,
    Gap,
    Notice,
    OpenInfo,
    ReplyInfo,
    Trade,
)
from dope.venues import VENUES, make
from tests.simulation.loop import VirtualLoop
from tests.simulation.net import InOrder, Net, Requests

__all__ = ["EVERY", "HurriedLoop", "Watched", "hurried", "many", "watching"]
EVERY = tuple(venue.ID for venue in VENUES if venue.BOOKS)


# -- time -------------------------------------------------------------------------------------------------------------
class _Hurried(selectors.SelectSelector):
    """Waits ``speed`` times shorter than it is told."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> Any:
        return super().select(None if timeout is None else timeout / self._speed)


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are shorter: feed, venues, limits and patience in it are faster alike, so none is favoured."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        super().__init__(_Hurried(speed))

    def time(self) -> float:
        return super().time() * self.speed

    def ns(self) -> int:
        """The loop's time in ns."""
        return int(self.time() * 1e9)


def hurried(main: Callable[[], Coroutine[Any, Any, None]], speed: float) -> None:
    """Run ``main`` to its end in a loop of this speed."""
    compile_all()  # a loop that stands still while machine code is made would be late by seconds
    loop = HurriedLoop(speed)
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """The house's clock in the time of this loop."""
    if isinstance(loop, VirtualLoop):
        return loop.clock()
    return Clock(loop.ns, loop.ns) if isinstance(loop, HurriedLoop) else Clock()


# -- the feed and what comes of it ------------------------------------------------------------------------------------
class Epoch:
    """One connection: its venue and plan, and when it opened, first delivered and ended, ns; 0 = not yet."""

    def __init__(self, venue: str, plan: str, opened: int) -> None:
        self.venue, self.plan, self.opened = venue, plan, opened
        self.first = self.closed = 0
        self.reason = ""


class Heard:
    """A detector that keeps the ids of all trades."""

    KINDS = (Trade,)

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = {}

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        assert isinstance(event, Trade)
        self.ids.setdefault(event.key, []).append(event.trade_id)
        return ()


class Watched:
    """The real feed and engine over a world; remembers what a venue refused and when each book went LIVE."""

    def __init__(self, endpoints: dict[str, dict[str, str]], symbols: dict[str, Sequence[str]], timing: Timing, **seams: Any) -> None:
        """``seams``: of the feed, ``connect`` and ``client``."""
        loop = asyncio.get_running_loop()
        self.now, self.clock = loop.time, clock_of(loop)
        self.trades = Heard()
        self.engine = Engine({venue: make(venue, symbols[venue], endpoints[venue]) for venue in endpoints}, (self.trades,))
        self.feed = Feed(self.engine.venues, self._on_frames, self.clock, random.Random(1), timing=timing, **seams)
        self.refused: list[str] = []  #: acknowledgements that were none, closed connections, answers other than 200, notices
        self.wrong: list[str] = []  #: gaps and faults
        self.left: list[str] = []  #: books that left LIVE
        self.live_at: dict[str, float] = {}  #: key → s of the loop, the first time
        self.confirmed: dict[str, set[str]] = {}  #: venue → topics
        self.confirmed_at: dict[str, float] = {}  #: venue → s of the loop, the last time
        self.epochs: dict[int, Epoch] = {}  #: by number of the connection
        self.over = False  #: what comes from here on is not noted: the end of it all
        self.began = self.now()

    def _on_frames(self, frames: list[Frame]) -> None:
        if self.over:
            return
        for frame in frames:
            if frame.kind == DATA:
                self.epochs[frame.conn].first = self.epochs[frame.conn].first or frame.ts
            elif frame.kind == OPEN:
                self.epochs[frame.conn] = Epoch(frame.venue, msgspec.json.decode(frame.data, type=OpenInfo).plan, frame.ts)
            elif frame.kind == CLOSED:
                self.epochs[frame.conn].closed = frame.ts
                self.epochs[frame.conn].reason = msgspec.json.decode(frame.data, type=ClosedInfo).reason
            elif frame.kind == REPLY:
                head, _, body = frame.data.partition(b"\n")
                info = msgspec.json.decode(head, type=ReplyInfo)
                if info.status != 200 and body != b"the connection that asked has ended":
                    self.refused.append(f"{frame.venue} {info.key}: HTTP {info.status}")
        for event in self.engine.step_many(frames):
            self._note(event)
        if actions := self.engine.drain():
            self.feed.actions(actions)

    def _note(self, event: Event) -> None:
        match event:
            case Ack(ok=True):
                self.confirmed.setdefault(event.venue, set()).add(event.topic)
                self.confirmed_at[event.venue] = self.now() - self.began
            case Ack(ok=False):
                self.refused.append(f"{event.venue} {event.topic}: {event.reason}")
            case Notice():
                self.refused.append(f"{event.venue} says {event.code} {event.text}")
            case Gap():
                self.wrong.append(f"{event.key} gap: {event.reason}")
            case Fault() if "of instruments: empty" in event.reason:
                pass  # of a kind of market that is not among the listings here
            case Fault():
                self.wrong.append(f"{event.venue} {event.key} fault: {event.reason} {event.sample[:80]!r}")
            case BookState(state="LIVE"):
                self.live_at.setdefault(event.key, self.now() - self.began)
            case BookState(was="LIVE") if not event.reason.startswith("our own loop"):  # a busy machine: no venue's doing
                self.left.append(f"{event.key} {event.state} {event.reason}")

    def connections(self, venue: str) -> list[Epoch]:
        """In order of opening, without those that are by REST."""
        return [each for each in self.epochs.values() if each.venue == venue and each.plan != "rest"]

    def waiting(self) -> list[str]:
        """Topics that no venue has confirmed or refused yet, and books that are not LIVE."""
        open_at = self.engine.connections.items()
        topics = [f"{name} {topic}" for conn, name in open_at for topic in self.engine.venues[name].waiting(conn)]
        return topics + [f"{key} {book.state} {book.reason}" for key, book in self.engine.market.books.items() if book.state != LIVE]

    async def until(self, condition: Callable[[], Any], limit_s: float = 200.0) -> None:
        """Wait in the loop's own seconds; the limit only ends a hopeless wait."""
        end = self.now() + limit_s
        while not condition():
            assert self.now() < end, f"what the test waits for never happened; {self.waiting()[:10]} {self.refused[:5]} {self.wrong[:5]}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watching(specs: Sequence[ListingSpec], *, symbols: dict[str, Sequence[str]] | None = None, timing: Timing | None = None,
                   **options: Any) -> AsyncIterator[tuple[World, Watched]]:  # fmt: skip
    """The world of these markets and the feed that watches them, or others; both in the clock of the running loop.

    Over real sockets, but where time is virtual: there over a network in memory.
    """
    venues = tuple(dict.fromkeys(spec.venue for spec in specs))
    wanted = {venue: [spec.symbol for spec in specs if spec.venue == venue] for venue in venues} | dict(symbols or {})
    world = World(venues=venues, listings=specs, clock=asyncio.get_running_loop().time, **options)
    async with AsyncExitStack() as stack:
        seams: dict[str, Any] = {}
        if isinstance(asyncio.get_running_loop(), VirtualLoop):
            net = Net(random.Random(1))
            stack.push_async_callback(net.close)
            seams = {"connect": net.connect, "client": httpx.AsyncClient(transport=Requests(net, random.Random(2)), timeout=None)}
            stack.push_async_callback(seams["client"].aclose)
            for server in world.servers.values():
                server.port.clients = InOrder()  # type: ignore[assignment]
                server.port.inside(net)
        endpoints = await world.start()
        stack.push_async_callback(world.stop)
        watched = Watched(endpoints, wanted, timing or Timing(), **seams)
        task = asyncio.ensure_future(watched.feed.run())
        try:
            yield world, watched
        finally:
            watched.over = True
            await watched.feed.stop()
            await task
