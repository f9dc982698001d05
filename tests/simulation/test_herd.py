"""A hundred connections that are lost at once, and venues that say "too many": nobody storms, and who asks for silence gets it.

The real feed over the network in memory, in virtual time, with the limits of real venues.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import httpx
import pytest

from dope.feed import Feed
from dope.feed.clock import Clock
from dope.sim.dialogue import Client, Close, Ping, Reply
from dope.sim.journal import Fault
from dope.sim.port import Port
from dope.types import LIVE
from dope.venues import VENUES
from tests.feed.loopback import Recorder, Wire
from tests.simulation.loop import in_virtual_time
from tests.simulation.net import InOrder, Net, Requests
from tests.simulation.stage import staged
from tests.simulation.test_silence import market_of, ports_of

LIMITS = {venue.ID: venue.LIMITS for venue in VENUES}
FULL = pytest.mark.full
#: status, Retry-After, and for how long nobody may come
TOO_MANY = ((418, 90, 90.0), pytest.param(429, 30, 30.0, marks=FULL), pytest.param(418, 0, 60.0, marks=FULL))
HERD = ("binance_spot", "bitfinex", "kraken", "kucoin", "okx")  #: whose limits differ
EACH = 20
ASKED = ("binance_spot", "kucoin", "mexc")  #: that have snapshots to be asked for, or an address
SLOWLY = 50  #: steps of 10 ms from one action of a market to the next
ANSWER_S = 0.3  #: what was asked before the answer was there


class Crowded:
    """A venue that lets everybody in until it does not."""

    def __init__(self) -> None:
        self.refusal: Reply | None = None

    def admit(self, path: str, now: float) -> Reply | None:
        return self.refusal

    def opened(self, client: Client) -> list[str]:
        return ["welcome"]

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close:
        return []

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        return Reply(404, "")


class Herd:
    """A hundred connections, twenty to each of five venues; all of them deliver something each other second."""

    def __init__(self, clock: Clock) -> None:
        self.now = asyncio.get_running_loop().time
        self.net = Net(random.Random(3))
        self.venues = {name: Crowded() for name in HERD}
        self.ports = {name: Port(name, venue, self.now, Ping(None, None)) for name, venue in self.venues.items()}
        for port in self.ports.values():
            port.clients = InOrder()  # type: ignore[assignment]
            port.inside(self.net)
        self._clock = clock
        self.feed: Feed
        self._tasks: list[asyncio.Future[None]] = []

    async def open(self) -> None:
        for port in self.ports.values():
            await port.up()
        wires = {
            name: Wire(*[f"{port.endpoints['ws']}/{n}" for n in range(EACH)], limits=LIMITS[name], venue_id=name)
            for name, port in self.ports.items()
        }
        client = httpx.AsyncClient(transport=Requests(self.net, random.Random(4)))
        self.feed = Feed(wires, Recorder(), self._clock, random.Random(5), connect=self.net.connect, client=client, lists=False)
        self._tasks = [asyncio.ensure_future(self.feed.run()), asyncio.ensure_future(self._speak())]

    async def _speak(self) -> None:
        while True:
            for port in self.ports.values():
                port.send(port.clients, "data")
            await asyncio.sleep(2.0)

    def all_live(self) -> bool:
        return all(health.connections == EACH for health in self.feed.health().values())

    async def until_live(self, limit_s: float) -> None:
        end = self.now() + limit_s
        while not self.all_live():
            assert self.now() < end, {name: health.connections for name, health in self.feed.health().items()}
            await asyncio.sleep(2.0)

    def attempts(self, name: str, since: float = 0.0) -> list[float]:
        port = self.ports[name]._port
        return [at for at, tried in self.net.attempts if tried == port and at >= since]

    async def close(self) -> None:
        await self.feed.stop()
        self._tasks[1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for port in self.ports.values():
            await port.down()
        await self.net.close()


def herded(main: Callable[[Herd], Awaitable[None]]) -> None:
    async def run(clock: Clock) -> None:
        herd = Herd(clock)
        await herd.open()
        await herd.until_live(600.0)
        await asyncio.sleep(65.0)
        await main(herd)
        for name in HERD:
            times, limits = herd.attempts(name), LIMITS[name]
            gaps = [b - a for a, b in itertools.pairwise(times)]
            assert min(gaps) >= 1.0 / limits.connects_per_s - 1e-6 >= 1.0 - 1e-6, f"{name}: {min(gaps)} s between two"
            most = max(sum(at <= other < at + 300.0 for other in times) for at in times)
            assert most <= limits.connects_per_5min and (most <= 60), f"{name}: {most} within five minutes"
        await herd.close()

    in_virtual_time(run)


@pytest.mark.full
@pytest.mark.parametrize("code", [1001, 1006])
def test_a_hundred_connections_that_are_lost_at_once_come_back_one_by_one(code: int) -> None:
    async def main(herd: Herd) -> None:
        began = herd.now()
        await asyncio.gather(*(port.kick(code) for port in herd.ports.values()))
        await asyncio.sleep(1.0)
        assert not any(herd.feed.health()[name].connections > 2 for name in HERD)
        await herd.until_live(600.0)
        for name in HERD:
            times = herd.attempts(name, began)
            assert len(times) <= 1.5 * EACH, "hardly anybody tries in vain"
            assert times[-1] - times[0] >= (EACH - 1) / LIMITS[name].connects_per_s - 1e-6
        assert len({round(herd.attempts(name, began)[0] - began, 3) for name in HERD}) == len(HERD), "not even two venues in step"

    herded(main)


@pytest.mark.full
def test_a_hundred_connections_refused_for_ten_minutes_ask_seldom_and_come_back() -> None:
    async def main(herd: Herd) -> None:
        for port in herd.ports.values():
            port.refusing = 503
            await port.kick(1006)
        began = herd.now()
        await asyncio.sleep(600.0)
        for name in HERD:
            assert len(herd.attempts(name, began)) <= 40, "most of them leave it to one that looks"
        for port in herd.ports.values():
            port.refusing = 0
        await herd.until_live(900.0)

    herded(main)


@pytest.mark.parametrize(("status", "wait", "silence_s"), TOO_MANY)
def test_a_venue_that_lets_nobody_in_for_a_while_is_asked_by_nobody_meanwhile(status: int, wait: int, silence_s: float) -> None:
    async def main(herd: Herd) -> None:
        for venue in herd.venues.values():
            venue.refusal = Reply(status, "{}", (("Retry-After", str(wait)),) if wait else ())
        began = herd.now()
        await asyncio.gather(*(port.kick(1006) for port in herd.ports.values()))
        await asyncio.sleep(2.2 * silence_s)
        for name in HERD:
            times = herd.attempts(name, began)
            assert times and all(b - a >= silence_s for a, b in itertools.pairwise(times)), (name, times[:6])
        for venue in herd.venues.values():
            venue.refusal = None
        await herd.until_live(900.0)

    herded(main)


@pytest.mark.parametrize(("kind", "wait", "silence_s"), [("rate_limit", 30, 30.0), ("ban", 30, 120.0)])
def test_after_too_many_requests_a_venue_hears_none_for_as_long_as_it_says(kind: str, wait: int, silence_s: float) -> None:
    async def main(clock: Clock) -> None:
        now = asyncio.get_running_loop().time
        async with staged(1, [market_of(venue, SLOWLY) for venue in ASKED], clock) as stage:
            books = stage.session.engine.market.books

            def live() -> bool:
                return all(key in books and books[key].state == LIVE for key in stage.ledger.pasts)

            while not live() and now() < 90.0:
                await asyncio.sleep(0.1)
            assert live()
            began = now()
            for venue in ASKED:
                stage.world.faults.inject(Fault(kind=kind, venue=venue, params={"retry_after_s": wait}))
                stage.world.faults.inject(Fault(kind="close", venue=venue, params={"code": 1006}))
            await asyncio.sleep(silence_s + 15.0)
            for venue in ASKED:
                ports = ports_of(stage, venue)
                times = [at for at, port in stage.net.asked if port in ports and at >= began]
                late = [b - a for a, b in itertools.pairwise(times) if ANSWER_S < b - a < silence_s]
                assert len(times) > 1 and not late, f"{venue} was asked {late} s after it had said that this was too much"

    in_virtual_time(main)
