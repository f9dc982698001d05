"""Connections to venues that end time and again, in every way there is: nothing is left behind, and all that was asked for comes back.

The real feed over real sockets through the proxies of a simulated world; the patience of the feed is 500 times shorter, its venues'
pace is lifted, all else is as it is.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil
import pytest

from dope.engine import Engine
from dope.feed import Feed, Timing
from dope.feed.clock import Clock
from dope.feed.transport import ConnectFailed, Dialer, Listener
from dope.market.ready import compile_all
from dope.sim.journal import Fault
from dope.sim.venue import listings
from dope.sim.world import World
from dope.types import CLOSED, DATA, LIVE, OPEN, SENT, Frame, Limits
from dope.venues import make
from tests.feed.loopback import until

FASTER = 500.0
BASE_S, CAP_S = 1.0 / FASTER, 60.0 / FASTER
TIMING = Timing(settle_s=0.02, reset_s=60.0 / FASTER, base_s=BASE_S, cap_s=CAP_S)
LIMITS = Limits(connects_per_s=1000.0, connects_per_5min=100_000, messages_per_s=200.0)
VENUES = ("gate", "gate_futures", "bybit", "bybit_linear", "htx", "htx_linear")  #: those that let in as many as this
WAYS = ("reset", "end of file", "close", "close", "cut", "death in the handshake")
CODES = (1000, 1001, 1009, 1011, 1012)  #: after others the feed rests for a minute, however short its patience
PATIENCE_S = 60.0  #: it only ends a hopeless wait
GROWTH_MIB = 4.0


class Dice(random.Random):
    """Those of the feed; draws of a back-off, which alone begin at zero, come from a row of their own and are kept."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._row = random.Random(seed)
        self.drawn: list[tuple[float, float]] = []  #: (bound, delay)

    def uniform(self, a: float, b: float) -> float:
        if a != 0.0:
            return super().uniform(a, b)
        self.drawn.append((b, self._row.uniform(a, b)))
        return self.drawn[-1][1]


class Left(NamedTuple):
    """What there is at a moment."""

    descriptors: int
    threads: int
    tasks: int
    rss_mib: float


class Sturdy:
    """Feed and engine over a world whose connections do not last."""

    def __init__(self, world: World, endpoints: dict[str, dict[str, str]]) -> None:
        self.world, self.dice, clock = world, Dice(21), Clock()
        markets = [market.spec for market in world.sample.markets.values()]
        symbols = {venue: [spec.symbol for spec in markets if spec.venue == venue] for venue in VENUES}
        self.engine = Engine({venue: make(venue, symbols[venue], endpoints[venue]) for venue in VENUES})
        for venue in self.engine.venues.values():
            venue.LIMITS = LIMITS  # type: ignore[misc]
        self._dial = Dialer(clock)
        self.feed = Feed(self.engine.venues, self._on_frames, clock, self.dice, connect=self._connect, timing=TIMING, lists=False)
        self._newest, self._open = 0, set[int]()
        self.closed: Counter[str] = Counter()
        self.died: Counter[str] = Counter()  #: before they were open

    async def _connect(self, url: str, listener: Listener) -> None:
        try:
            await self._dial(url, listener)
        except ConnectFailed:
            venue = next(name for name, server in self.world.servers.items() if url.startswith(server.port.endpoints["ws"]))
            self.died[venue] += 1
            raise

    def _on_frames(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == OPEN:
                assert frame.conn > self._newest, "a number is never used again"
                self._newest = frame.conn
                self._open.add(frame.conn)
            elif frame.kind in (DATA, SENT, CLOSED):
                assert frame.conn in self._open, f"{frame} outside its life"
            if frame.kind == CLOSED:
                self._open.remove(frame.conn)
                self.closed[frame.venue] += 1
        self.engine.step_many(frames)
        if actions := self.engine.drain():
            self.feed.actions(actions)

    @property
    def ends(self) -> int:
        return self.closed.total() + self.died.total()

    def well(self, venue: str) -> bool:
        """Its connection delivers, all its books are LIVE and all its topics confirmed."""
        health = self.feed.health()[venue]
        keys = {key for key in self.world.sample.markets if key.startswith(f"{venue}:")}
        live = {book.key for book in self.engine.market.books.values() if book.state == LIVE}
        open_at = [conn for conn, name in self.engine.connections.items() if name == venue]
        return health.connections == health.wanted and keys <= live and not any(self.engine.venues[venue].waiting(conn) for conn in open_at)

    def tidy(self) -> bool:
        """Nothing of the connections that ended is left at the venues and their proxies, either."""
        wanted = {venue: len(self.engine.venues[venue].plan()) for venue in VENUES}
        ports: dict[str, Any] = {venue: server.port for venue, server in self.world.servers.items()}
        return all(len(port.clients) == len(port.proxy.connections) == wanted[venue] for venue, port in ports.items())

    async def suffer(self, venue: str, way: str, code: int) -> None:
        """One end, from a time when the venue is well."""
        faults = self.world.faults
        await until(lambda: self.well(venue), PATIENCE_S)
        closed, died = self.closed[venue], self.died[venue]
        match way:
            case "reset" | "death in the handshake":
                planted = faults.inject(Fault(kind="tcp_reset", venue=venue, params={"way": "down"}, duration_s=3600.0))
            case "end of file":
                planted = faults.inject(Fault(kind="tcp_eof", venue=venue))
            case _:
                planted = faults.inject(Fault(kind="close", venue=venue, params={"code": 1006 if way == "cut" else code}))
        await until(lambda: self.closed[venue] > closed, PATIENCE_S)
        if way == "death in the handshake":
            await until(lambda: self.died[venue] > died, PATIENCE_S)
        faults.heal(planted.id)

    def left(self) -> Left:
        gc.collect()
        process = psutil.Process()
        return Left(len(os.listdir("/proc/self/fd")), threading.active_count(), len(asyncio.all_tasks()), process.memory_info().rss / 2**20)


class Came(NamedTuple):
    """What came of it."""

    ends: int
    before: Left
    after: Left
    drawn: list[tuple[float, float]]


def suffered(warm_up: int, count: int) -> Came:
    """So many ends, over all venues and ways, after some to warm up."""

    async def main() -> Came:
        specs = [spec for spec in listings(VENUES) if spec.asset == "BTC" and spec.symbol in ("BTC-USDT", "BTC-USDT-PERP")]
        world, dice = World(venues=VENUES, listings=specs, proxied=True), random.Random(2)
        sturdy = Sturdy(world, await world.start())
        running = asyncio.ensure_future(sturdy.feed.run())

        async def torment(venue: str, ends: int) -> None:
            while sturdy.ends < ends:
                await sturdy.suffer(venue, dice.choice(WAYS), dice.choice(CODES))

        async def round_of(count: int) -> Left:
            ends = sturdy.ends + count
            await asyncio.gather(*(torment(venue, ends) for venue in VENUES))
            await until(lambda: all(map(sturdy.well, VENUES)), PATIENCE_S)
            await until(sturdy.tidy, PATIENCE_S)
            return sturdy.left()

        try:
            before = await round_of(warm_up)
            begun, skipped = sturdy.ends, len(sturdy.dice.drawn)
            after = await round_of(count)
            return Came(sturdy.ends - begun, before, after, sturdy.dice.drawn[skipped:])
        finally:
            await sturdy.feed.stop()
            await running
            await world.stop()

    compile_all()
    return asyncio.run(main())


def check(came: Came, count: int) -> None:
    assert came.ends >= count
    for name in ("descriptors", "threads", "tasks"):
        assert abs(getattr(came.after, name) - getattr(came.before, name)) <= 2, (name, came.before, came.after)
    bounds = {min(CAP_S, BASE_S * 2.0**n) for n in range(30)}
    assert all(0.0 <= delay <= bound for bound, delay in came.drawn)
    assert {bound for bound, _ in came.drawn} <= bounds and len(came.drawn) >= 0.9 * count
    shares = sorted(delay / bound for bound, delay in came.drawn)
    distance = max(abs(share - (i + 0.5) / len(shares)) for i, share in enumerate(shares))
    assert distance < 1.63 / len(shares) ** 0.5  # Kolmogorov-Smirnov against uniform, p > 0.01


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count descriptors")
def test_after_sixty_ends_nothing_is_left_and_every_subscription_is_back() -> None:
    check(suffered(12, 60), 60)


@pytest.mark.full
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count descriptors")
def test_after_a_thousand_ends_nothing_is_left_and_memory_has_not_grown(figure: Callable[..., None]) -> None:
    came = suffered(200, 1000)
    check(came, 1000)
    grown = came.after.rss_mib - came.before.rss_mib
    figure("memory grown by 1,000 lost connections", max(0.0, grown), unit="MiB", target=GROWTH_MIB, samples=came.ends)
    assert grown <= GROWTH_MIB
