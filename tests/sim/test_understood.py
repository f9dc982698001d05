"""The product's own venues and engine over real sockets: every simulated book goes LIVE and equals the truth."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
from websockets.asyncio.client import ClientConnection

from dope.engine import Engine
from dope.sim.book import ASK, BID
from dope.sim.market import SampleMarket, Truth
from dope.types import DATA, OPEN, REPLY, Fault, Fetch, Frame, Gap, OpenInfo, ReplyInfo, Send
from dope.venues import VENUES, make
from tests.sim.recipes import LISTED, PATIENCE_S, get, open_ws, world

SYMBOLS = [f"{base}-USDT{kind}" for base in ("BTC", "ETH", "SOL") for kind in ("", "-PERP")]
MS = 1_000_000
LIST = '{"method":"LIST_SUBSCRIPTIONS","id":"barrier"}'


class Wiring:
    """The smallest feed: carries frames to the engine and its wishes to the sockets."""

    def __init__(self, endpoints: dict[str, dict[str, str]]) -> None:
        self.engine = Engine({venue.ID: make(venue.ID, SYMBOLS, endpoints[venue.ID]) for venue in VENUES if venue.ID in endpoints})
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
                conn = next(numbers)
                self.sockets[conn] = name, await open_ws(plan.url)
                self.step(name, conn, OPEN, msgspec.json.encode(OpenInfo(plan.name, plan.url, plan.symbols)))

    async def act(self) -> None:
        for venue, action in self.engine.drain():
            if isinstance(action, Send):
                await self.sockets[action.conn][1].send(action.text)
            if isinstance(action, Fetch):
                answer = await get(action.url)
                head = msgspec.json.encode(ReplyInfo(action.key, answer.status_code, action.url))
                self.step(venue, action.conn, REPLY, head + b"\n" + answer.content)

    async def listen(self) -> None:
        """Everything said on every socket so far: up to the answer to a question of ours."""
        for conn, (venue, ws) in self.sockets.items():
            question, answer = ("ping", "pong") if venue == "okx" else (LIST, '"id":"barrier"}')
            await ws.send(question)
            while not (message := str(await asyncio.wait_for(ws.recv(), PATIENCE_S))).endswith(answer):
                self.step(venue, conn, DATA, message.encode())

    async def close(self) -> None:
        for _, ws in self.sockets.values():
            await ws.close()


def differing(wiring: Wiring, truth: SampleMarket) -> list[str]:
    """Markets whose book is not LIVE or not that of the market itself."""
    wrong = []
    for key, market in truth.markets.items():
        book, spec = wiring.engine.market.books[key], market.spec
        same = book.state == "LIVE"
        for name, side in (("bid", BID), ("ask", ASK)):
            size = spec.lot_e8 * spec.contract_e8 / 1e16
            expected = [(tick * spec.tick_e6 / 1e6, lots * size) for tick, lots in market.book.side(side)]
            got = book.levels(name, 1000)
            same = same and len(got) == len(expected)
            same = same and all(abs(a - c) < 1e-9 * c and abs(b - d) < 1e-9 * d for (a, b), (c, d) in zip(got, expected, strict=False))
        if not same:
            wrong.append(f"{key} {book.state} {book.reason}")
    return wrong


def test_every_book_goes_live_and_equals_the_market_with_neither_gap_nor_fault() -> None:
    async def run() -> None:
        clock = [100.0]  # of the venues' limits: each round is a second later
        async with world(clock=lambda: clock[0]) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for steps in (0, 30, 30, 200, 340):
                await wiring.act()
                made.advance(steps)
                await wiring.listen()
                clock[0] += 1.0
            twin = Truth(7, LISTED).at_step(made.sample.steps)
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(20)  # nothing happens any more; what was pending goes out
            await wiring.listen()
            assert differing(wiring, twin) == []
            assert not [event for event in wiring.heard if isinstance(event, Gap | Fault)]
            await wiring.close()

    asyncio.run(run())
