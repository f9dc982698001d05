"""What the tests of the sample market share: a client that talks to a port, and the venues' documented book recipes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from dope.sim.book import ASK, BID
from dope.sim.market import Truth
from dope.sim.venue import listings
from dope.sim.world import VENUES, World
from dope.types import Fetch

LISTED = listings(VENUES)  #: what trades in the world unless other venues are asked for
PATIENCE_S = 20.0  #: no test is judged by it: it only ends one that would hang


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[World, dict[str, dict[str, str]]]]:
    """A world in which time stands still unless a speed is given."""
    made = World(**{"speed": 0.0, **options})
    try:
        yield made, await made.start()
    finally:
        await made.stop()


def open_ws(url: str) -> connect:
    return connect(url, compression=None, ping_interval=None, max_queue=None, max_size=None)


async def hear(ws: ClientConnection) -> Any:
    """The next message, decoded where it is JSON."""
    text = await asyncio.wait_for(ws.recv(), PATIENCE_S)
    assert isinstance(text, str)
    try:
        return json.loads(text)
    except ValueError:
        return text


async def hear_until(ws: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    while not wanted(message := await hear(ws)):
        pass
    return message


async def ask(ws: ClientConnection, request: Any) -> Any:
    await ws.send(request if isinstance(request, str) else json.dumps(request))
    return await hear(ws)


async def ask_rest(fetch: Fetch) -> httpx.Response:
    """What the feed would ask."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(fetch.method, fetch.url, content=fetch.body or None, timeout=PATIENCE_S)


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url, timeout=PATIENCE_S)


class Book:
    """Two plain dicts of texts."""

    def __init__(self) -> None:
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def apply(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        for side, levels in zip(self.sides, (bids, asks), strict=True):
            for price, size, *_ in levels:
                if float(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size


class BinanceBook:
    """Spot: ``U`` = previous ``u`` + 1. Perpetuals (``chained``): ``pu`` = previous ``u``."""

    def __init__(self, snapshot: dict[str, Any], *, chained: bool) -> None:
        self.book = Book()
        self.book.apply(snapshot["bids"], snapshot["asks"])
        self.last: int = snapshot["lastUpdateId"]
        self.chained = chained
        self.first = True

    def take(self, diff: dict[str, Any]) -> bool:
        """Apply one difference; False = it does not continue the book."""
        if diff["u"] < self.last or (not self.chained and diff["u"] <= self.last):
            return True  # the snapshot contains it
        if self.chained:
            fits = diff["pu"] == self.last or (self.first and diff["U"] <= self.last <= diff["u"])
        else:
            fits = diff["U"] <= self.last + 1 <= diff["u"] if self.first else diff["U"] == self.last + 1
        if fits:
            self.book.apply(diff["b"], diff["a"])
            self.last, self.first = diff["u"], False
        return fits


class OkxBook:
    """``prevSeqId`` = last ``seqId``; equal ids confirm."""

    def __init__(self) -> None:
        self.book = Book()
        self.last = -1
        self.confirmed = 0

    def take(self, message: dict[str, Any]) -> bool:
        data = message["data"][0]
        if message["action"] == "snapshot":
            self.book = Book()
        elif data["prevSeqId"] != self.last:
            return False
        self.confirmed += data["seqId"] == data["prevSeqId"]
        self.book.apply(data["bids"], data["asks"])
        self.last = data["seqId"]
        return True


def assert_true(book: Book, truth: Truth, key: str, seq: int) -> None:
    """The book equals the market's own at this sequence number, level for level."""
    market = truth.at_seq(key, seq)
    spec = market.spec
    for side, got in zip((BID, ASK), book.sides, strict=True):
        expected = {(tick * spec.tick_e6, lots * spec.lot_e8) for tick, lots in market.book.side(side)}
        assert {(round(float(price) * 1e6), round(float(size) * 1e8)) for price, size in got.items()} == expected
