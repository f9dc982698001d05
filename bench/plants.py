"""The stream of ``bench.stream`` with opportunities planted at known messages, and the calm market that they are planted against.

Four of the twenty markets keep their price. At a planted message the price of one of them rises by ``JUMP`` ticks: its bid then pays
more than the other venue asks, by +2.5 bps after both fees; ``HELD`` messages later it falls back to −2.5 bps. So each plant opens
one opportunity; no other message does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.stream import SIZE_DECIMALS, START_MS, SYMBOLS, TICK_DECIMALS, Change, Market

OTHER = "binance_spot"  #: the venue that does not move
PLANTED = SYMBOLS[:4]
HOME = 40_000  #: ticks, the price that planted markets keep
JUMP = 20  #: ticks: 5 bps
HELD = 40  #: messages between an opportunity and its end
FEE_BPS = 10.0  #: at both venues; the other one takes it in base
MARGIN_BPS = 2.5  #: after fees, above 0 while planted, below otherwise
PLANT_LOTS = 50_000


class Planted(Market):
    """A market that stands still at ``HOME`` except for its planted jumps; its two best levels are never touched otherwise."""

    def __init__(self, symbol: str, rng: random.Random) -> None:
        super().__init__(symbol, rng)
        self.mid = HOME
        self.bids = {self.mid - i: self._size() for i in range(len(self.bids))}
        self.asks = {self.mid + 1 + i: self._size() for i in range(len(self.asks))}

    def update(self, ms: int) -> bytes:
        """18 to 20 level changes behind the touch."""
        bids: Change = {}
        asks: Change = {}
        self._fill(bids, asks)
        return self._written(bids, asks, ms)

    def jump(self, ticks: int, ms: int) -> bytes:
        """One message that moves the price by ``ticks``, up or down."""
        bids: Change = {}
        asks: Change = {}
        for _ in range(abs(ticks)):
            self.mid += 1 if ticks > 0 else -1
            self._overtaken(bids, asks)
        if ticks > 0:
            bids[self.mid] = self.bids[self.mid] = PLANT_LOTS
        for price in range(self.mid + 1, self.mid + 1 - min(ticks, 0)):
            asks[price] = self.asks[price] = self._size()
        self._fill(bids, asks)
        return self._written(bids, asks, ms)

    def _fill(self, bids: Change, asks: Change) -> None:
        wanted = self._rng.randrange(18, 21)
        while len(bids) + len(asks) < wanted:
            distance = 1 + min(int(self._rng.expovariate(1 / 12)), 300)
            if self._rng.random() < 0.5:
                self._change(self.bids, bids, self.mid - distance)
            else:
                self._change(self.asks, asks, self.mid + 1 + distance)

    def _written(self, bids: Change, asks: Change, ms: int) -> bytes:
        previous, self.seq = self.seq, self.seq + self._rng.randrange(1, 40)
        return self._message("update", bids, asks, previous=previous, ms=ms)


class Message(NamedTuple):
    """One message of the stream; ``signal`` is "open", "close" or "" where none is planted."""

    text: bytes
    signal: str


def messages(updates: int, *, every: int = 100, seed: int = 1) -> Iterator[Message]:
    """The snapshots of all markets, then ``updates`` messages; each ``every``-th one opens an opportunity (every > HELD)."""
    rng = random.Random(seed)
    quiet = [Planted(symbol, random.Random(f"{seed}/{symbol}")) for symbol in PLANTED]
    markets = [*quiet, *(Market(symbol, random.Random(f"{seed}/{symbol}")) for symbol in SYMBOLS[len(PLANTED) :])]
    yield from (Message(market.snapshot(START_MS), "") for market in markets)
    for i in range(updates):
        ms, turn = START_MS + i // 20, quiet[i // every % len(quiet)]
        if i % every == 0 and i + HELD < updates:
            yield Message(turn.jump(JUMP, ms), "open")
        elif i % every == HELD and i >= HELD:
            yield Message(turn.jump(-JUMP, ms), "close")
        else:
            yield Message(rng.choice(markets).update(ms), "")


def write(path: Path, updates: int, *, every: int = 100, seed: int = 1) -> int:
    """One message a line, its signal in front (``o``, ``c`` or a blank); returns how many."""
    with path.open("wb") as file:
        file.writelines((each.signal[:1] or " ").encode() + each.text + b"\n" for each in messages(updates, every=every, seed=seed))
    return updates + len(SYMBOLS)


def read(path: Path, count: int) -> tuple[list[bytes], str]:
    """The first ``count`` messages and one letter for each: what it plants."""
    with path.open("rb") as file:
        lines = [line.rstrip(b"\n") for line, _ in zip(file, range(count), strict=False)]
    return [line[1:] for line in lines], "".join([chr(line[0]) for line in lines])


def other_prices() -> tuple[float, float]:
    """(bid, ask) of the other venue: its ask lies so that a planted bid leaves ``MARGIN_BPS`` and an ordinary one lacks them."""
    fee, step = FEE_BPS / 1e4, 10.0**-TICK_DECIMALS
    ask = (HOME + JUMP / 2) * step * (1.0 - fee) * (1.0 - fee)
    return ask * 0.999, ask


def other_levels(levels: int = 60) -> tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]]:
    """(bids, asks) of the other venue, each (price, size), best first; far more than any planted bid can take."""
    bid, ask = other_prices()
    size = 3.0 * PLANT_LOTS / 10**SIZE_DECIMALS
    return [(bid - i * 0.5, size) for i in range(levels)], [(ask + i * 0.5, size) for i in range(levels)]
