"""The real feed and engine over a world whose faults they suffer, and whether what is LIVE is true meanwhile and afterwards."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from dope.engine import Engine
from dope.feed import Feed, Timing
from dope.feed.clock import Clock
from dope.market.book import Book
from dope.market.digits import ERRORS
from dope.sim.book import ASK, BID
from dope.sim.journal import Fault as Planting
from dope.sim.kinds import KINDS, Kind
from dope.sim.listings import ListingSpec
from dope.sim.quoting import Market
from dope.sim.world import World
from dope.types import CLOSED, LIVE, OPEN, BookState, ClosedInfo, Event, Fault, Frame, Gap, Notice, OpenInfo
from dope.venues import make
from tests.simulation.net import InOrder, Net, Requests
from tests.simulation.truth import PROVED

LEVELS = 15  #: of each side that are compared
PATIENCE_S = 330.0  #: of the loop's own time; it only ends a hopeless wait
READERS = (*ERRORS.values(), "unreadable", "not a positive number")  #: how the words of who reads numbers begin, where they are none
SUFFERED_S = 3.0  #: a fault without an end of its own lasts so long
TIMING = Timing(settle_s=0.5, reset_s=1.0, base_s=0.2, cap_s=2.0, answer_s=3.0)

#: happens to one market alone, besides all that is done to numbers and values
ONE = ("freeze_one", "delist", "list_new", "rename", "sub_partial", "truncated_json")
#: what has connections cut once or twice, so that there are handshakes, requests and snapshots for it to happen to
CUT = {
    "snapshot_old": 2, "snapshot_slow": 1, "snapshot_empty": 1, "snapshot_one_sided": 1, "snapshot_split": 1, "snapshot_5xx": 1,
    "snapshot_429": 1, "snapshot_418": 1, "snapshot_timeout": 1, "snapshot_html": 1, "no_snapshot": 1, "snapshot_late": 1, "ack_late": 1,
    "ack_never": 1, "ack_twice": 1, "sub_reject": 1, "sub_partial": 1, "sub_limit": 1, "refuse": 1, "rate_limit": 1, "ban": 1,
}  # fmt: skip


class Told(World):
    """A world that remembers every best bid and ask there ever was."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.touches: dict[str, set[tuple[int, int]]] = {key: set() for key in self.sample.markets}
        self._remember()

    def advance(self, steps: int = 1) -> None:
        for _ in range(steps):
            super().advance(1)
            self._remember()

    def _remember(self) -> None:
        for key, market in self.sample.markets.items():
            tick = market.spec.tick_e6
            self.touches[key].add((market.book.best(BID) * tick, market.book.best(ASK) * tick))


class Ordeal:
    """What came of one fault at one venue."""

    def __init__(self, kind: str, venue: str) -> None:
        self.kind, self.venue = kind, venue
        self.gaps: list[str] = []
        self.faults: list[str] = []
        self.left: list[str] = []  #: states that LIVE was left for
        self.closed: list[str] = []  #: why connections ended
        self.wrong: list[str] = []  #: of books that were LIVE
        self.done = 0  #: how often it happened
        self.recovered = False

    @property
    def seen(self) -> bool:
        """Something was noticed."""
        return bool(self.gaps or self.faults or self.left)

    def __repr__(self) -> str:
        told = f"done {self.done}, gaps {self.gaps[:3]}, faults {self.faults[:3]}, left {self.left[:3]}, closed {self.closed[:3]}"
        return f"<{self.kind} at {self.venue}: {told}, wrong {self.wrong[:3]}, {'recovered' if self.recovered else 'NOT RECOVERED'}>"


class Sufferer:
    """Watches one world; ``ordeals`` are told what happens at their venues."""

    def __init__(self, world: Told, endpoints: dict[str, dict[str, str]], clock: Clock, *, connect: Any = None, client: Any = None) -> None:
        symbols = {venue: [m.spec.symbol for m in world.sample.markets.values() if m.spec.venue == venue] for venue in endpoints}
        self.world, self.now = world, asyncio.get_running_loop().time
        self.engine = Engine({venue: make(venue, symbols[venue], endpoints[venue]) for venue in endpoints})
        self.feed = Feed(
            self.engine.venues, self._on_frames, clock, random.Random(1), timing=TIMING, connect=connect, client=client, lists=False
        )
        self.ordeals: dict[str, Ordeal] = {}
        self._shown: dict[str, tuple[float, ...]] = {}
        self._polls: set[int] = set()  # connections that are none: by REST

    # -- what is seen --------------------------------------------------------------------------------------------------
    def _on_frames(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == OPEN and msgspec.json.decode(frame.data, type=OpenInfo).plan == "rest":
                self._polls.add(frame.conn)
            if frame.kind == CLOSED and frame.venue in self.ordeals and frame.conn not in self._polls:
                self.ordeals[frame.venue].closed.append(msgspec.json.decode(frame.data, type=ClosedInfo).reason)
        for event in self.engine.step_many(frames):
            self._note(event)
        for book in self.engine.market.books.values():
            self._look(book)
        if actions := self.engine.drain():
            self.feed.actions(actions)

    def _note(self, event: Event) -> None:
        venue = getattr(event, "venue", "") or getattr(event, "key", "").partition(":")[0]
        ordeal = self.ordeals.get(venue)
        if ordeal is None:
            return
        match event:
            case Gap():
                ordeal.gaps.append(event.reason)
            case Fault() | Notice():
                ordeal.faults.append(event.reason if isinstance(event, Fault) else event.text)
            case BookState(was="LIVE"):
                ordeal.left.append(f"{event.state} {event.reason}")

    def _look(self, book: Book) -> None:
        """What is LIVE shows a best bid and ask that there were together."""
        if book.state != LIVE:
            self._shown.pop(book.key, None)
            return
        shown = book.touch()
        if self._shown.get(book.key) == shown:
            return
        self._shown[book.key] = shown
        bid, _, ask, _ = shown
        true = self.world.touches[book.key]
        fits = all(math.isfinite(each) and each >= 0.0 for each in shown)
        pair = (round(bid * 1e6), round(ask * 1e6)) if fits else (0, 0)
        if not fits or (bid and ask and pair not in true):
            ordeal = self.ordeals.get(book.instrument.venue)
            words = f"{book.key} shows {shown} after {book.seq}"
            assert ordeal is not None, f"without any fault {words}"
            ordeal.wrong.append(words)

    # -- what is done --------------------------------------------------------------------------------------------------
    async def until(self, condition: Callable[[], Any], what: str) -> None:
        end = self.now() + PATIENCE_S
        while not condition():
            assert self.now() < end, f"what the test waits for never happened: {what}"
            await asyncio.sleep(0.02)

    def books(self, venue: str) -> list[Book]:
        return [book for book in self.engine.market.books.values() if book.instrument.venue == venue]

    def well(self, venue: str) -> bool:
        """All its books are LIVE and all its topics confirmed."""
        keys = {key for key in self.world.sample.markets if key.startswith(f"{venue}:")}
        books = self.books(venue)
        open_at = [conn for conn, name in self.engine.connections.items() if name == venue]
        waiting = any(self.engine.venues[venue].waiting(conn) for conn in open_at)
        return {book.key for book in books} >= keys and all(book.state == LIVE for book in books) and not waiting

    def true(self, venue: str) -> bool:
        """Its books are LIVE and the market's own, level for level."""
        return all(book.state == LIVE and same(book, self.world.sample.markets[book.key]) for book in self.books(venue))

    async def suffer(self, kind: Kind, venue: str, **params: Any) -> Ordeal:
        """One fault at one venue, from a time when all is well until all is well again."""
        faults, symbol = self.world.faults, next(m.spec.symbol for m in self.world.sample.markets.values() if m.spec.venue == venue)
        await self.until(lambda: self.well(venue), f"{venue} well before {kind.name}: {self.difference(venue)}")
        ordeal = self.ordeals[venue] = Ordeal(kind.name, venue)
        one = kind.group in ("sequence", "values") or kind.name in ONE
        planted = faults.inject(Planting(kind=kind.name, venue=venue, symbol=symbol if one else "", params=params))
        for _ in range(CUT.get(kind.name, 0)):
            await faults.kick(venue, 1006)
            await asyncio.sleep(1.0)
        if kind.due == "silent":
            await self.until(lambda: any(book.state != LIVE for book in self.books(venue)), f"{venue} silent")
        elif kind.due == "closed":
            await self.until(lambda: ordeal.closed, f"{kind.name} closes at {venue}")
            await asyncio.sleep(1.0)
        else:
            end = self.now() + SUFFERED_S + (10.0 if kind.due == "noticed" else 0.0)
            while self.now() < end and (planted.id in faults.active or self.now() < end - SUFFERED_S):
                await asyncio.sleep(0.1)
                if kind.due == "noticed" and ordeal.seen:
                    break
            await asyncio.sleep(0.5)
        active = faults.active.get(planted.id)
        faults.heal(planted.id)
        await faults.settle()
        ordeal.done = active.act.done if active is not None else int(faults.journal_of(planted.id).params["done"])
        self.feed.retry(venue)
        await self._recover(venue, ordeal)
        return ordeal

    async def _recover(self, venue: str, ordeal: Ordeal) -> None:
        """LIVE again, and when the market stands still every level is as it is there."""
        if any(book.suspended for book in self.books(venue)):
            await self.world.faults.kick(venue, 1006)  # a new connection ends what else would last for minutes
        await self.until(lambda: self.well(venue), f"{venue} well after {ordeal}")
        await asyncio.sleep(2.0)  # what is noticed by the messages that follow is noticed now
        await self.until(lambda: self.well(venue), f"{venue} well after {ordeal}")
        markets = [market for market in self.world.sample.markets.values() if market.spec.venue == venue]
        for market in markets:
            self.world.faults.halt(venue, market.spec.symbol)
        await self.until(lambda: self.true(venue), f"the books of {venue} true after {ordeal}: {self.difference(venue)}")
        for market in markets:
            self.world.faults.halt(venue, market.spec.symbol, False)
        ordeal.recovered = True

    def difference(self, venue: str) -> list[str]:
        open_at = [conn for conn, name in self.engine.connections.items() if name == venue]
        waiting = [topic for conn in open_at for topic in self.engine.venues[venue].waiting(conn)]
        return [f"{book.key} {book.state} {book.reason}" for book in self.books(venue)] + waiting


def same(book: Book, market: Market) -> bool:
    """The best levels are those of the market: prices to the tick, sizes to the lot."""
    spec, proved = market.spec, PROVED.get(market.spec.venue, LEVELS)
    for side, name in ((BID, "bid"), (ASK, "ask")):
        mine = book.levels(name, proved)
        theirs = market.book.side(side, proved)
        if len(mine) != len(theirs):
            return False
        for (price, size), (tick, lots) in zip(mine, theirs, strict=True):
            right = tick * spec.tick_e6 / 1e6
            base = lots * spec.face / right if spec.face else lots * spec.lot_e8 * spec.contract_e8 / 1e16
            if round(price * 1e6) != tick * spec.tick_e6 or not math.isclose(size, base, rel_tol=1e-9):
                return False
    return True


@asynccontextmanager
async def suffering(specs: Sequence[ListingSpec], *, clock: Clock, in_memory: bool) -> AsyncIterator[Sufferer]:
    """A world of these markets and who watches it, over a network in memory or over real sockets."""
    venues = tuple(dict.fromkeys(spec.venue for spec in specs))
    world = Told(venues=venues, listings=specs, clock=asyncio.get_running_loop().time)
    net = Net(random.Random(1)) if in_memory else None
    client = None
    if net is not None:
        client = httpx.AsyncClient(transport=Requests(net, random.Random(2)), timeout=None)
        for server in world.servers.values():
            server.port.clients = InOrder()  # type: ignore[assignment]
            server.port.inside(net)
    sufferer = Sufferer(world, await world.start(), clock, connect=net.connect if net else None, client=client)
    task = asyncio.ensure_future(sufferer.feed.run())
    try:
        yield sufferer
    finally:
        sufferer.ordeals = {venue: Ordeal("end", venue) for venue in venues}
        await sufferer.feed.stop()
        await task
        await world.stop()
        if net is not None and client is not None:
            await net.close()
            await client.aclose()


def twins(venue: str, specs: Sequence[ListingSpec], count: int = 2, *, pace: int = 4) -> list[ListingSpec]:
    """The first so many markets of a venue, in action often enough."""
    return [msgspec.structs.replace(spec, pace=pace) for spec in [spec for spec in specs if spec.venue == venue][:count]]


def kinds_at(venue: str, *, raw: bool) -> list[Kind]:
    """What a venue can suffer; ``raw`` = what needs real sockets, else the rest."""
    return [kind for kind in KINDS.values() if kind.at(venue) and (kind.name in RAW) == raw]


#: frames that only a real socket carries
RAW = frozenset(
    {"snapshot_split", "ping_deadline", "ping_flood", "trickle", "fragment", "garbage", "bad_utf8", "nest", "huge", "endless_fragments"}
    | {"bomb", "gzip_bomb", "rsv_bits", "masked_server_frame"}
)
