"""The comparator of good plain Python: picows + msgspec + dict and bisect → callback with the best bid and ask."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_left, insort
from collections import defaultdict

import msgspec
import picows

from bench.meter import Meter
from bench.server import PATH


class Level(msgspec.Struct, array_like=True):
    """Price and size; the fields after them are not read."""

    price: float
    size: float


class Arg(msgspec.Struct):
    instId: str


class Row(msgspec.Struct):
    bids: list[Level]
    asks: list[Level]


class Push(msgspec.Struct):
    arg: Arg
    action: str
    data: list[Row]


class Side:
    """Sizes by price, and the prices in order."""

    def __init__(self) -> None:
        self.sizes: dict[float, float] = {}
        self.prices: list[float] = []

    def apply(self, levels: list[Level]) -> None:
        sizes, prices = self.sizes, self.prices
        for level in levels:
            price, size = level.price, level.size
            if size:
                if price not in sizes:
                    insort(prices, price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
                del prices[bisect_left(prices, price)]

    def clear(self) -> None:
        self.sizes.clear()
        self.prices.clear()


class Book:
    def __init__(self) -> None:
        self.bids, self.asks = Side(), Side()

    def levels(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        bids, asks = self.bids, self.asks
        return [(p, bids.sizes[p]) for p in reversed(bids.prices)], [(p, asks.sizes[p]) for p in asks.prices]


class Listener(picows.WSListener):
    def __init__(self, meter: Meter) -> None:
        self.books: dict[str, Book] = defaultdict(Book)
        self.done = asyncio.Event()
        self.touches: dict[str, tuple[float, float]] = {}
        self._meter = meter
        self._decode = msgspec.json.Decoder(Push, strict=False).decode

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.send(picows.WSMsgType.TEXT, b'{"op":"subscribe"}')

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if self.done.is_set():
            return
        push = self._decode(frame.get_payload_as_memoryview())
        book = self.books[push.arg.instId]
        if push.action == "snapshot":
            book.bids.clear()
            book.asks.clear()
        row = push.data[0]
        book.bids.apply(row.bids)
        book.asks.apply(row.asks)
        self.on_touch(push.arg.instId, book.bids.prices[-1], book.asks.prices[0])
        if self._meter.count():
            self.done.set()

    def on_touch(self, symbol: str, bid: float, ask: float) -> None:
        self.touches[symbol] = (bid, ask)


async def run(port: int, meter: Meter) -> str:
    listener = Listener(meter)
    transport, _ = await picows.ws_connect(lambda: listener, f"ws://127.0.0.1:{port}{PATH}")
    await listener.done.wait()
    transport.disconnect()
    return meter.report("books", {symbol: book.levels() for symbol, book in listener.books.items()})


if __name__ == "__main__":
    print(asyncio.run(run(int(sys.argv[1]), Meter(int(sys.argv[2]), int(sys.argv[3])))))
