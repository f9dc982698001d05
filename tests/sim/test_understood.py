"""The product's own venues and engine over real sockets: every simulated book goes LIVE and equals the truth."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection

from dope.engine import Engine
from dope.sim.book import ASK, BID
from dope.sim.market import SampleMarket, Truth
from dope.sim.venue import listings
from dope.types import DATA, OPEN, REPLY, Fault, Fetch, Frame, Gap, OpenInfo, ReplyInfo, Send
from dope.venues import VENUES, make
from tests.program import ROOT
from tests.sim.recipes import PATIENCE_S, ask_rest, open_ws, world

SIM = ROOT / "dope" / "sim"
SERVED = tuple(venue.ID for venue in VENUES if venue.BOOKS and (SIM / f"{venue.ID}.py").exists())
MS = 1_000_000
QUIET_S = 0.02  #: everything that a server said before its pong has arrived by then


class Wiring:
    """The smallest feed: carries frames to the engine and its wishes to the sockets."""

    def __init__(self, endpoints: dict[str, dict[str, str]]) -> None:
        self.engine = Engine({venue: make(venue, symbols(venue), there) for venue, there in endpoints.items()})
        self.sockets: dict[int, tuple[str, ClientConnection]] = {}
        self.heard: list[object] = []
        self.now = 1_000_000 * MS

    def step(self, venue: str, conn: int, kind: int, data: bytes) -> None:
        self.now += 1000
        self.heard += self.engine.step(Frame(self.now, venue, conn, kind, data))

    async def connect(self) -> None:
        numbers = itertools.count(1)
        for name, venue in self.engine.venues.items():
            for plan in venue.plan():
                conn, url = next(numbers), plan.url
                if plan.fetch is not None:
                    url = venue.address(plan, (await ask_rest(plan.fetch)).content)
                self.sockets[conn] = name, await open_ws(url)
                self.step(name, conn, OPEN, msgspec.json.encode(OpenInfo(plan.name, url, plan.symbols)))

    async def act(self) -> None:
        for venue, action in self.engine.drain():
            if isinstance(action, Send):
                await self.sockets[action.conn][1].send(action.text)
            if isinstance(action, Fetch):
                answer = await ask_rest(action)
                head = msgspec.json.encode(ReplyInfo(action.key, answer.status_code, action.url))
                self.step(venue, action.conn, REPLY, head + b"\n" + answer.content)

    async def listen(self) -> None:
        """Everything said on every socket so far: what came before the answer to a ping."""
        for conn, (venue, ws) in self.sockets.items():
            await asyncio.wait_for(await ws.ping(), PATIENCE_S)
            with suppress(TimeoutError):
                while True:
                    message = await asyncio.wait_for(ws.recv(), QUIET_S)
                    self.step(venue, conn, DATA, message.encode() if isinstance(message, str) else message)

    async def close(self) -> None:
        for _, ws in self.sockets.values():
            await ws.close()


def symbols(venue: str) -> list[str]:
    """Everything that trades there."""
    return [spec.symbol for spec in listings((venue,))]


def differing(wiring: Wiring, truth: SampleMarket) -> list[str]:
    """Markets whose book is not LIVE or not that of the market itself."""
    wrong = []
    for key, market in truth.markets.items():
        book, spec = wiring.engine.market.books[key], market.spec
        depth = wiring.engine.venues[spec.venue].DEPTH or 1000
        same = book.state == "LIVE"
        for name, side in (("bid", BID), ("ask", ASK)):
            levels = [(tick * spec.tick_e6 / 1e6, lots * spec.lot_e8 / 1e8) for tick, lots in market.book.side(side, depth)]
            expected = [(p, n * spec.face / p if spec.face else n * spec.contract_e8 / 1e8) for p, n in levels]
            got = book.levels(name, 1000)
            same = same and len(got) == len(expected)
            same = same and all(abs(a - c) < 1e-9 * c and abs(b - d) < 1e-9 * d for (a, b), (c, d) in zip(got, expected, strict=False))
        if not same:
            wrong.append(f"{key} {book.state} {book.reason}")
    return wrong


@pytest.mark.parametrize("venues", [("binance_spot", "binance_usdm", "okx"), *((venue,) for venue in SERVED[3:])], ids=",".join)
def test_every_book_goes_live_and_equals_the_market_with_neither_gap_nor_fault(venues: tuple[str, ...]) -> None:
    async def run() -> None:
        clock = [100.0]  # of the venues' limits: each round is a second later
        async with world(venues=venues, clock=lambda: clock[0]) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for steps in (0, 30, 30, 200, 340):
                await wiring.act()
                made.advance(steps)
                await wiring.listen()
                clock[0] += 1.0
            twin = Truth(7, listings(venues)).at_step(made.sample.steps)
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(520)  # nothing happens any more; what was pending goes out, the slowest books come each 5 s
            await wiring.listen()
            assert differing(wiring, twin) == []
            assert not [event for event in wiring.heard if isinstance(event, Gap | Fault)]
            await wiring.close()

    asyncio.run(run())
