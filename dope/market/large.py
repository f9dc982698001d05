"""Single large trades, found in compiled code over the rings of trades: beyond a quantile of their own market, or beyond a fixed size.

The quantile comes from a histogram of ln(price · size) per market, eight bins to a factor of two, whose counts are halved now and
then, so that it is that of the last trades.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.market.columns import widen
from dope.market.compiled import jit
from dope.market.lane import TRADE_RING

PER_OCTAVE = 8
LOWEST = 16 * PER_OCTAVE  #: the first bin is 2^-16
BINS = 64 * PER_OCTAVE
LEARN = 64  #: trades after which the threshold is taken anew
HALVE = 50_000  #: trades after which the counts are halved
FOUND = 256  #: trades of one compiled call

SEEN, COUNT, SINCE, UNTIL, HELD = range(5)
PAUSE, WARMUP = range(2)
FIXED, QUANTILE = range(2)
GOT_SLOT, GOT_T, GOT_STAMP, GOT_WAY, GOT_HELD = range(5)
GOT_PRICE, GOT_SIZE, GOT_THRESHOLD = range(3)


class Large:
    """State of all slots. ``advance`` finds the large trades since the last call: rows of ``numbers`` and ``figures``."""

    def __init__(self) -> None:
        self.state = np.zeros((0, 5), dtype=np.int64)
        self.counts = np.zeros((0, BINS), dtype=np.int64)
        self.threshold = np.zeros(0, dtype=np.float64)  #: notional; infinite while it is not known
        self.on = np.zeros(0, dtype=np.int64)  #: 1 = trades of this slot are looked at, 0 = they pass
        self.lost = np.zeros(0, dtype=np.int64)  #: trades that were overwritten before they were looked at
        self.spans = np.zeros(2, dtype=np.int64)
        self.rates = np.zeros(2, dtype=np.float64)
        self.numbers = np.zeros((FOUND, 5), dtype=np.int64)
        self.figures = np.zeros((FOUND, 3), dtype=np.float64)

    def grow(self, slots: int) -> None:
        """Room for so many slots; new ones are not looked at."""
        if more := widen(self, ("state", "counts", "threshold", "on", "lost"), len(self.state), slots):
            self.threshold[-more:] = np.inf

    def full(self, count: int) -> bool:
        """Whether a call that found so many stopped for want of room."""
        return count >= len(self.numbers)

    def advance(self, trade_t: np.ndarray, trades: np.ndarray, trade_n: np.ndarray) -> int:
        """Look at what the rings have that is new; how many were found (call again when ``full``)."""
        own = self.state, self.counts, self.threshold, self.on, self.lost
        found: int = advance((trade_t, trades, trade_n), own, (self.spans, self.rates), (self.numbers, self.figures))
        return found


@jit
def _learn(slot: int, notional: float, state: np.ndarray, counts: np.ndarray, threshold: np.ndarray, share: float, warmup: int) -> None:
    """One more trade in the histogram."""
    place = math.floor(math.log2(notional) * PER_OCTAVE) + LOWEST
    counts[slot, min(max(place, 0), BINS - 1)] += 1
    state[slot, COUNT] += 1
    state[slot, SINCE] += 1
    if state[slot, SINCE] < LEARN or state[slot, COUNT] < warmup:
        return
    state[slot, SINCE] = 0
    if state[slot, COUNT] >= HALVE:
        state[slot, COUNT] = 0
        for i in range(BINS):
            counts[slot, i] //= 2
            state[slot, COUNT] += counts[slot, i]
    allowed, beyond, place = (1.0 - share) * state[slot, COUNT], 0, BINS
    while place > 0 and beyond + counts[slot, place - 1] <= allowed:
        place -= 1
        beyond += counts[slot, place]
    threshold[slot] = 2.0 ** ((place - LOWEST) / PER_OCTAVE)


@jit
def advance(rings: tuple[Any, ...], own: tuple[Any, ...], parameters: tuple[Any, ...], found: tuple[Any, ...]) -> int:
    """All new trades of all slots → how many were large; when there is no room for more, the next call goes on where this one stopped."""
    trade_t, trades, trade_n = rings
    state, counts, threshold, on, lost = own
    spans, rates = parameters
    numbers, figures = found
    count, room = 0, numbers.shape[0]
    for slot in range(min(state.shape[0], trade_n.shape[0])):
        n, k = trade_n[slot], state[slot, SEEN]
        if on[slot] == 0:
            k = n
        if n - k > TRADE_RING:
            lost[slot] += n - k - TRADE_RING
            k = n - TRADE_RING
        while k < n and count < room:
            at = k & (TRADE_RING - 1)
            k += 1
            t, notional = trade_t[slot, at, 0], trades[slot, at, 0] * trades[slot, at, 1]
            if not (notional > 0.0 and notional < 1e300):
                continue
            limit = rates[FIXED] if rates[FIXED] > 0.0 else threshold[slot]
            if notional >= limit:
                if t < state[slot, UNTIL]:
                    state[slot, HELD] += 1
                else:
                    numbers[count, GOT_SLOT], numbers[count, GOT_T], numbers[count, GOT_STAMP] = slot, t, trade_t[slot, at, 1]
                    numbers[count, GOT_WAY], numbers[count, GOT_HELD] = (1 if trades[slot, at, 2] > 0.0 else -1), state[slot, HELD]
                    figures[count, GOT_PRICE], figures[count, GOT_SIZE] = trades[slot, at, 0], trades[slot, at, 1]
                    figures[count, GOT_THRESHOLD] = limit
                    state[slot, UNTIL], state[slot, HELD] = t + spans[PAUSE], 0
                    count += 1
            _learn(slot, notional, state, counts, threshold, rates[QUANTILE], spans[WARMUP])
        state[slot, SEEN] = k
        if count >= room:
            break
    return count
