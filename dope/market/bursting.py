"""Bursts of volume, found in compiled code over the rings of trades.

A burst: per side, what was traded in the last ``span`` buckets of time against its own average, as ln(1 + v/average): the same for
coins and contracts. It is compared with its mean and deviation before it enters them, and enters them cut to ``clip`` deviations.
Empty buckets count: nothing traded is an observation. Times are those of the rings, so nothing depends on when they are looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.market.columns import widen
from dope.market.compiled import jit
from dope.market.lane import TRADE_RING

SPAN = 256  #: buckets that a sum may have at most
FOUND = 256  #: bursts of one compiled call
PAUSE_BUCKETS = 12_000  #: without a trade or a clock for longer (10 minutes of 50 ms) the averages begin anew

# columns of the parameters
BUCKET, SPAN_OF, WARMUP, TRADES, MERGE = range(5)
LAMBDA, LEVEL, CLIP, FLOOR = range(4)
# int64 state of a slot, then of each of its sides
SEEN, AT, CLOSED, LEFT = range(4)
SIDES = 4
COUNT, START, END, HITS, SIDE_NUMBERS = range(5)
NUMBERS = SIDES + 2 * SIDE_NUMBERS
# float64 state of a side
VOLUME, MEAN, VARIANCE, AVERAGE, PEAK, BURST, Z, SIDE_FIGURES = range(8)
# columns of what is found
GOT_SLOT, GOT_WAY, GOT_START, GOT_END, GOT_HITS = range(5)
GOT_Z, GOT_VOLUME = range(2)


class Bursting:
    """State of all slots. ``advance`` finds the bursts that have ended since the last call: rows of ``numbers`` and ``figures``."""

    def __init__(self) -> None:
        self.state = np.zeros((0, NUMBERS), dtype=np.int64)
        self.values = np.zeros((0, 2, SIDE_FIGURES), dtype=np.float64)
        self.window = np.zeros((0, 2, SPAN, 2), dtype=np.float64)  # (volume, trades) of the last buckets
        self.on = np.zeros(0, dtype=np.int64)  #: 1 = trades of this slot are looked at, 0 = they pass
        self.lost = np.zeros(0, dtype=np.int64)  #: trades that were overwritten before they were looked at
        self.spans = np.zeros(5, dtype=np.int64)
        self.rates = np.zeros(4, dtype=np.float64)
        self.numbers = np.zeros((FOUND, 5), dtype=np.int64)
        self.figures = np.zeros((FOUND, 2), dtype=np.float64)

    def grow(self, slots: int) -> None:
        """Room for so many slots; new ones are not looked at."""
        if more := widen(self, ("state", "values", "window", "on", "lost"), len(self.state), slots):
            self.state[-more:, AT] = -1

    def begin_anew(self) -> None:
        """Forget all averages and open bursts; what the rings hold was looked at."""
        self.values[:], self.window[:] = 0.0, 0.0
        self.state[:, LEFT:], self.state[:, CLOSED], self.state[:, AT] = 0, 0, -1

    def full(self, count: int) -> bool:
        """Whether a call that found so many stopped for want of room."""
        return count >= len(self.numbers) - 4

    def advance(self, trade_t: np.ndarray, trades: np.ndarray, trade_n: np.ndarray, now: int) -> int:
        """Look at what the rings have that is new, then at the clock; how many bursts ended (call again when ``full``)."""
        own = self.state, self.values, self.window, self.on, self.lost
        found: int = advance((trade_t, trades, trade_n), own, (self.spans, self.rates), now, (self.numbers, self.figures))
        return found


@jit
def _tell(slot: int, side: int, state: np.ndarray, values: np.ndarray, bucket: int, found: tuple[Any, ...], count: int) -> int:
    """The open burst of this side has ended."""
    numbers, figures = found
    at = SIDES + side * SIDE_NUMBERS
    numbers[count, GOT_SLOT], numbers[count, GOT_WAY] = slot, 1 - 2 * side
    numbers[count, GOT_START], numbers[count, GOT_END] = state[slot, at + START] * bucket, state[slot, at + END] * bucket
    numbers[count, GOT_HITS] = state[slot, at + HITS]
    figures[count, GOT_Z], figures[count, GOT_VOLUME] = values[slot, side, PEAK], values[slot, side, BURST]
    state[slot, at + HITS] = 0
    return count + 1


@jit
def _forget(slot: int, state: np.ndarray, values: np.ndarray, window: np.ndarray, bucket: int, found: tuple[Any, ...], count: int) -> int:
    """The market is no longer watched: its open bursts end, its buckets begin anew; the averages stay for a while."""
    for side in range(2):
        if state[slot, SIDES + side * SIDE_NUMBERS + HITS] > 0:
            count = _tell(slot, side, state, values, bucket, found, count)
        values[slot, side, VOLUME], state[slot, SIDES + side * SIDE_NUMBERS + COUNT] = 0.0, 0
    state[slot, LEFT], state[slot, AT] = max(state[slot, AT], 0), -1
    window[slot] = 0.0
    return count


@jit
def _begin(slot: int, bucket: int, state: np.ndarray, values: np.ndarray) -> None:
    """The first bucket, or the first one after a pause."""
    if bucket - state[slot, LEFT] > PAUSE_BUCKETS:
        state[slot, CLOSED] = 0
        values[slot] = 0.0
    state[slot, AT] = bucket


@jit
def _side(slot: int, side: int, own: tuple[Any, ...], spans: np.ndarray, rates: np.ndarray) -> None:
    """One side of the bucket that closes: is it a hit? Then it becomes part of what is usual."""
    state, values, window, _, _ = own
    at, bucket = SIDES + side * SIDE_NUMBERS, state[slot, AT]
    place = bucket % spans[SPAN_OF]
    window[slot, side, place, 0], window[slot, side, place, 1] = values[slot, side, VOLUME], state[slot, at + COUNT]
    v, trades = 0.0, 0.0
    for i in range(spans[SPAN_OF]):
        v += window[slot, side, i, 0]
        trades += window[slot, side, i, 1]
    average, mean = values[slot, side, AVERAGE], values[slot, side, MEAN]
    x = math.log1p(v / average) if average > 0.0 else 0.0
    deviation = max(math.sqrt(values[slot, side, VARIANCE]), rates[FLOOR])
    z = (x - mean) / deviation
    values[slot, side, Z] = z
    if state[slot, CLOSED] >= spans[WARMUP]:
        if z >= rates[LEVEL] and trades >= spans[TRADES]:
            if state[slot, at + HITS] == 0:
                state[slot, at + START] = bucket
                values[slot, side, PEAK] = 0.0
                values[slot, side, BURST] = v - values[slot, side, VOLUME]  # this bucket is added below
            state[slot, at + END] = bucket
            state[slot, at + HITS] += 1
            values[slot, side, PEAK] = max(values[slot, side, PEAK], z)
        cut = min(max(x, mean - rates[CLIP] * deviation), mean + rates[CLIP] * deviation)
        if cut != x:
            x = cut
            v = average * math.expm1(max(x, 0.0)) if average > 0.0 else v
    if state[slot, at + HITS] > 0:
        values[slot, side, BURST] += values[slot, side, VOLUME]
    step = max(rates[LAMBDA], 1.0 / (state[slot, CLOSED] + 1))
    off = x - mean
    values[slot, side, MEAN] += step * off
    values[slot, side, VARIANCE] = (1.0 - step) * (values[slot, side, VARIANCE] + step * off * off)
    values[slot, side, AVERAGE] += step * (v - average)
    values[slot, side, VOLUME], state[slot, at + COUNT] = 0.0, 0


@jit
def _close(slot: int, own: tuple[Any, ...], spans: np.ndarray, rates: np.ndarray, found: tuple[Any, ...], count: int) -> int:
    """The bucket of this slot is over; bursts whose last hit is too long ago have ended."""
    state, values = own[0], own[1]
    for side in range(2):
        _side(slot, side, own, spans, rates)
        at = SIDES + side * SIDE_NUMBERS
        if state[slot, at + HITS] > 0 and (state[slot, AT] - state[slot, at + END]) * spans[BUCKET] >= spans[MERGE]:
            count = _tell(slot, side, state, values, spans[BUCKET], found, count)
    state[slot, CLOSED] += 1
    state[slot, AT] += 1
    return count


@jit
def advance(rings: tuple[Any, ...], own: tuple[Any, ...], parameters: tuple[Any, ...], now: int, found: tuple[Any, ...]) -> int:
    """All slots up to ``now`` → bursts that ended; when there is no room for more, the next call goes on where this one stopped."""
    trade_t, trades, trade_n = rings
    state, values, window, on, lost = own
    spans, rates = parameters
    bucket, count, room = spans[BUCKET], 0, found[0].shape[0] - 4
    for slot in range(min(state.shape[0], trade_n.shape[0])):
        n, k = trade_n[slot], state[slot, SEEN]
        if on[slot] == 0:
            state[slot, SEEN] = n
            if state[slot, AT] >= 0:
                count = _forget(slot, state, values, window, bucket, found, count)
                if count >= room:
                    break
            continue
        if n - k > TRADE_RING:
            lost[slot] += n - k - TRADE_RING
            k = n - TRADE_RING
        while count < room:
            i = k & (TRADE_RING - 1)
            at = (trade_t[slot, i, 0] if k < n else now) // bucket
            if state[slot, AT] < 0:
                if k == n:
                    break
                _begin(slot, at, state, values)
            if at - state[slot, AT] > PAUSE_BUCKETS:
                count = _forget(slot, state, values, window, bucket, found, count)
                continue
            if state[slot, AT] < at:
                count = _close(slot, own, spans, rates, found, count)
                continue
            if k == n:
                break
            side = 0 if trades[slot, i, 2] > 0.0 else 1
            values[slot, side, VOLUME] += trades[slot, i, 1]
            state[slot, SIDES + side * SIDE_NUMBERS + COUNT] += 1
            k += 1
        state[slot, SEEN] = k
        if count >= room:
            break
    return count
