"""Bars of trades (open, high, low, close, volume) of every market, from one second to one day, and of all venues of a symbol together.

Made of the trades themselves by the time at which we received them, one clock for all venues; candles that venues send are
not mixed in. Times without trades have no bar. The first bar of each length lacks what was traded before we listened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from dope.market.candles import BOUGHT, BOUGHT_VALUE, CLOSE, COUNT, FIRST, HIGH, LAST, LOW, OPEN, START, VALUE, VOLUME, fold
from dope.market.market import Market
from dope.types import Event, Tick

NS = 1_000_000_000
INTERVALS = {"1s": 1, "5s": 5, "1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}  #: name → s
KEPT = 600  #: bars of each length and market
EVERY_NS = 100_000_000  #: trades are folded this often
SPANS = np.array([seconds * NS for seconds in INTERVALS.values()], dtype=np.int64)


class TradeBar(msgspec.Struct, frozen=True):
    """One bar: times in ns (``start`` … ``end``, ``first`` and ``last`` trade), prices, ``value`` in quote currency, volumes in base units.

    ``bought`` = by takers. ``closed``: its time is over. ``partial``: began before we listened. ``exchange_count`` venues traded in it.
    """

    start: int
    end: int
    first: int
    last: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    bought: float
    value: float
    bought_value: float
    count: int
    exchange_count: int
    closed: bool
    partial: bool


class Copied(NamedTuple):
    """Bars of one market as they are kept (``dope/market/candles.py``), and what else makes rows of them; ns.

    ``since`` = when the market was met; ``whole`` = from then on no bar of this length was let go of, 0 = none ever was.
    """

    times: np.ndarray
    figures: np.ndarray
    span: int
    since: int
    now: int
    whole: int = 0


class Bars:
    """Emits no signals; read through ``copy``, ``bars_of`` and ``together``. Memory per market is taken at once and stays."""

    KINDS = (Tick,)

    def __init__(self) -> None:
        self.now = 0  #: ns of the newest Tick
        self._since = np.zeros(0, dtype=np.int64)  # per slot: when it was met
        self._next = 0
        self._seen, self._lost = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._bars = _room(0)

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        self.now = event.ts
        if event.ts >= self._next:
            self._next = event.ts + EVERY_NS
            self.take(market)
        return ()

    def take(self, market: Market) -> None:
        """Trades that are new in the rings."""
        slots = market.slots
        if slots.count > len(self._seen):
            self._grow(slots.count)
        fold((slots.trade_t, slots.trades, slots.trade_n), self._seen, self._lost, SPANS, self._bars)

    def _grow(self, slots: int) -> None:
        met = len(self._seen)
        if slots > self._bars[2].shape[1]:
            room = _room(max(16, 2 * met, slots))
            for new, old in zip(room, self._bars, strict=True):
                new[:, : old.shape[1]] = old
            self._bars = room
        new = np.zeros(slots - met, dtype=np.int64)
        self._seen, self._lost = np.concatenate([self._seen, new]), np.concatenate([self._lost, new])
        self._since = np.concatenate([self._since, new + self.now])

    def lost(self, slot: int) -> int:
        """Trades of a market that came faster than they were taken, and are in no bar."""
        return int(self._lost[slot]) if slot < len(self._lost) else 0

    def copy(self, slot: int, interval: str, start: int = 0, end: int = 0) -> Copied:
        """The bars of one market that begin in [start, end) (ns; 0 = open), for ``bars_of``. Raises KeyError for an unknown interval."""
        span, j = INTERVALS[interval] * NS, list(INTERVALS).index(interval)
        times, figures, counts = self._bars
        if slot >= len(self._seen):
            return Copied(times[j, :0, 0], figures[j, :0, 0], span, 0, self.now)
        n = int(counts[j, slot])
        whole = int(times[j, slot, n % KEPT, START]) if n > KEPT else 0
        order = np.arange(max(0, n - KEPT), n) % KEPT
        starts = times[j, slot, order, START]
        order = order[(starts >= start) & (starts < (end or 2**62))]
        return Copied(times[j, slot, order], figures[j, slot, order], span, int(self._since[slot]), self.now, whole)


def bars_of(copied: Copied) -> list[TradeBar]:
    """The bars that were copied, oldest first."""
    span, since, now = copied[2:5]
    return [
        TradeBar(
            t[START], t[START] + span, t[FIRST], t[LAST], f[OPEN], f[HIGH], f[LOW], f[CLOSE], f[VOLUME], f[BOUGHT], f[VALUE],
            f[BOUGHT_VALUE], int(f[COUNT]), 1, now >= t[START] + span, t[START] < since,
        )
        for t, f in zip(copied.times.tolist(), copied.figures.tolist(), strict=True)
    ]  # fmt: skip


def together(markets: Sequence[Sequence[TradeBar]]) -> list[TradeBar]:
    """Bars of several markets of one symbol as one row of bars: the first trade of all opens, the last one closes; volumes add up."""
    at: dict[int, list[TradeBar]] = {}
    for bars in markets:
        for bar in bars:
            at.setdefault(bar.start, []).append(bar)
    found = []
    for start in sorted(at):
        bars = at[start]
        first, last = min(bars, key=lambda bar: bar.first), max(bars, key=lambda bar: bar.last)
        found.append(TradeBar(
            start, first.end, first.first, last.last, first.open, max(bar.high for bar in bars), min(bar.low for bar in bars), last.close,
            math.fsum(bar.volume for bar in bars), math.fsum(bar.bought for bar in bars), math.fsum(bar.value for bar in bars),
            math.fsum(bar.bought_value for bar in bars), sum(bar.count for bar in bars), len(bars),
            all(bar.closed for bar in bars), any(bar.partial for bar in bars),
        ))  # fmt: skip
    return found


def _room(slots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Empty bars, written to once so that the memory is taken now and not bit by bit."""
    shape = len(INTERVALS), slots, KEPT
    return np.full((*shape, 3), 0, dtype=np.int64), np.full((*shape, 9), 0.0), np.zeros(shape[:2], dtype=np.int64)
