"""The comparator that a tutorial would write: websockets + json + sorted() → callback with the best bid and ask."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict

import websockets

from bench.meter import Meter
from bench.server import PATH


class Book:
    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def apply(self, action: str, row: dict[str, list[list[str]]]) -> None:
        if action == "snapshot":
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, row["bids"]), (self.asks, row["asks"])):
            for price, size, *_ in levels:
                if float(size) == 0:
                    side.pop(float(price), None)
                else:
                    side[float(price)] = float(size)

    def levels(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())


async def run(port: int, meter: Meter) -> str:
    books: dict[str, Book] = defaultdict(Book)
    touches: dict[str, tuple[float, float]] = {}

    def on_touch(symbol: str, bid: float, ask: float) -> None:
        touches[symbol] = (bid, ask)

    async with websockets.connect(f"ws://127.0.0.1:{port}{PATH}", compression=None, max_size=None) as socket:
        await socket.send('{"op":"subscribe"}')
        async for text in socket:
            message = json.loads(text)
            symbol = message["arg"]["instId"]
            book = books[symbol]
            book.apply(message["action"], message["data"][0])
            bids, asks = book.levels()
            on_touch(symbol, bids[0][0], asks[0][0])
            if meter.count():
                break
    return meter.report("naive", {symbol: book.levels() for symbol, book in books.items()})


if __name__ == "__main__":
    print(asyncio.run(run(int(sys.argv[1]), Meter(int(sys.argv[2]), int(sys.argv[3])))))
