"""Makes the stream that all contenders read: OKX ``books`` messages of about 750 bytes with 18 to 20 level changes each.

Twenty spot markets, a snapshot of 400 levels a side first, then updates in turn at random; prevSeqId and seqId chain, checksum 0
as the venue sends it today. The touch wanders a tick at a time and no book ever crosses. The same seed gives the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "LINK", "DOT", "LTC")
MORE_COINS = ("BCH", "TRX", "UNI", "ATOM", "NEAR", "APT", "FIL", "ARB", "OP", "SUI")
SYMBOLS = tuple(f"{coin}-USDT" for coin in COINS + MORE_COINS)
DEPTH = 400  #: levels per side that the venue keeps on this channel
START_MS = 1_790_000_000_000
TICK_DECIMALS = 1
SIZE_DECIMALS = 4

Change = dict[int, int]  #: price in ticks → size in lots, 0 = level gone


class Market:
    """One book in whole ticks and lots: asks lie above ``mid``, bids at or below it."""

    def __init__(self, symbol: str, rng: random.Random) -> None:
        self.symbol, self._rng = symbol, rng
        self.mid = rng.randrange(20_000, 900_000)
        self.bids: Change = {self.mid - i: self._size() for i in range(DEPTH)}
        self.asks: Change = {self.mid + 1 + i: self._size() for i in range(DEPTH)}
        self.seq = rng.randrange(10**9, 10**10)

    def _size(self) -> int:
        return self._rng.randrange(1, 100_000)

    def snapshot(self, ms: int) -> bytes:
        return self._message("snapshot", self.bids, self.asks, previous=-1, ms=ms)

    def update(self, ms: int) -> bytes:
        """Move a little, then change 18 to 20 levels, most of them near the touch."""
        rng, wanted = self._rng, self._rng.randrange(18, 21)
        bids: Change = {}
        asks: Change = {}
        if rng.random() < 0.3:
            self.mid += rng.choice((-1, 1))
            self._overtaken(bids, asks)
        while len(bids) + len(asks) < wanted:
            distance = min(int(rng.expovariate(1 / 12)), DEPTH - 1)
            if rng.random() < 0.5:
                self._change(self.bids, bids, self.mid - distance)
            else:
                self._change(self.asks, asks, self.mid + 1 + distance)
        previous, self.seq = self.seq, self.seq + rng.randrange(1, 40)
        return self._message("update", bids, asks, previous=previous, ms=ms)

    def _overtaken(self, bids: Change, asks: Change) -> None:
        """What the move has left on the wrong side was traded away."""
        if self.bids.pop(self.mid + 1, 0):
            bids[self.mid + 1] = 0
        if self.asks.pop(self.mid, 0):
            asks[self.mid] = 0

    def _change(self, side: Change, changes: Change, price: int) -> None:
        if price in changes:
            return
        if price in side and len(side) > DEPTH // 2 and self._rng.random() < 0.4:
            del side[price]
            changes[price] = 0
        else:
            changes[price] = side[price] = self._size()

    def _message(self, action: str, bids: Change, asks: Change, *, previous: int, ms: int) -> bytes:
        asked = ",".join(self._level(price, asks[price]) for price in sorted(asks))
        bid = ",".join(self._level(price, bids[price]) for price in sorted(bids, reverse=True))
        return (
            f'{{"arg":{{"channel":"books","instId":"{self.symbol}"}},"action":"{action}","data":[{{"asks":[{asked}],"bids":[{bid}],'
            f'"ts":"{ms}","checksum":0,"prevSeqId":{previous},"seqId":{self.seq}}}]}}'
        ).encode()

    def _level(self, price: int, size: int) -> str:
        shown = f"{size / 10**SIZE_DECIMALS:.{SIZE_DECIMALS}f}" if size else "0"
        return f'["{price / 10**TICK_DECIMALS:.{TICK_DECIMALS}f}","{shown}","0","{size % 7 + 1 if size else 0}"]'


def messages(updates: int, *, seed: int = 1) -> Iterator[bytes]:
    """The snapshots of all markets, then ``updates`` messages."""
    rng = random.Random(seed)
    markets = [Market(symbol, random.Random(f"{seed}/{symbol}")) for symbol in SYMBOLS]
    yield from (market.snapshot(START_MS) for market in markets)
    for i in range(updates):
        yield rng.choice(markets).update(START_MS + i // 20)


def write(path: Path, updates: int, *, seed: int = 1) -> int:
    """One message a line; returns how many."""
    with path.open("wb") as file:
        file.writelines(message + b"\n" for message in messages(updates, seed=seed))
    return updates + len(SYMBOLS)
