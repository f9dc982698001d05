"""Jumps of the mid, found in compiled code over the rings of touches: a move that is too large for its market's own volatility.

One market: the mid in log bps, its least and greatest value of the last ``window`` (two monotonic queues), and its volatility by
bipower variation over time cells of ``grid``: products of two neighbouring moves, into which a single jump enters only once.
All times are ns of the ring, so that nothing depends on when the rings are looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.market.columns import widen
from dope.market.compiled import jit
from dope.market.lane import RING

DEPTH = 512  #: entries of a queue; a longer run of one direction within the window forgets its oldest
FOUND = 256  #: events of one compiled call
RESTART = 600  #: cells without a price after which the volatility begins anew

# columns of the parameters of all markets, ns where they are times; STANDING 1 = a price stands until the next one (rings hold changes
# only), 0 = every observation is in the series
WINDOW, GRID, SETTLE, LONGEST, STANDING = range(5)
K_SIGMA, LAMBDA, WARMUP, FLOOR, CAP = range(5)
# int64 state of a slot
SEEN, CELL, CELLS, STARTED, OPEN, T_START, T_DETECT, T_PEAK, STAMP, LEFT = range(10)
QUEUES = 10  #: two (first, length)
NUMBERS = 14
# float64 state of a slot
LAST, BEFORE, MOVE, BV, SIGMA, SIZE, FROM, Z, THRESHOLD = range(9)
FIGURES = 9
# columns of what is found
GOT_SLOT, GOT_START, GOT_DETECT, GOT_PEAK, GOT_FINAL, GOT_WAY, GOT_STAMP = range(7)
GOT_BPS, GOT_Z, GOT_THRESHOLD = range(3)


class Jumping:
    """State of all slots. ``advance`` finds what has ended since the last call: rows of ``numbers`` and ``figures``."""

    def __init__(self) -> None:
        self.state = np.zeros((0, NUMBERS), dtype=np.int64)
        self.values = np.zeros((0, FIGURES), dtype=np.float64)
        self.queue_t = np.zeros((0, 2, DEPTH), dtype=np.int64)
        self.queue = np.zeros((0, 2, DEPTH), dtype=np.float64)
        self.least = np.zeros(0, dtype=np.float64)  #: bps that a jump of this slot has at least; not a number = the slot is not looked at
        self.lost = np.zeros(0, dtype=np.int64)  #: touches that were overwritten before they were looked at
        self.spans = np.zeros(5, dtype=np.int64)
        self.rates = np.zeros(5, dtype=np.float64)
        self.numbers = np.zeros((FOUND, 7), dtype=np.int64)
        self.figures = np.zeros((FOUND, 3), dtype=np.float64)

    def grow(self, slots: int) -> None:
        """Room for so many slots; new ones are not looked at before they have a least size."""
        if more := widen(self, ("state", "values", "queue_t", "queue", "least", "lost"), len(self.state), slots):
            self.least[-more:], self.state[-more:, CELL] = np.nan, -1

    def begin_anew(self) -> None:
        """Forget every volatility and every open event; what the rings hold was looked at."""
        self.values[:] = 0.0
        self.state[:, CELL] = -1
        self.state[:, [LEFT, CELLS, OPEN, QUEUES + 1, QUEUES + 3]] = 0

    def full(self, count: int) -> bool:
        """Whether a call that found so many stopped for want of room."""
        return count >= len(self.numbers) - 1

    def advance(self, ring_t: np.ndarray, ring: np.ndarray, ring_n: np.ndarray, now: int) -> int:
        """Look at what the rings have that is new, then at the clock; how many events ended (call again when ``full``)."""
        own = self.state, self.values, self.queue_t, self.queue, self.least, self.lost
        found: int = advance((ring_t, ring, ring_n), own, (self.spans, self.rates), now, (self.numbers, self.figures))
        return found


@jit
def _clear(slot: int, t: int, price: float, state: np.ndarray, queue_t: np.ndarray, queue: np.ndarray) -> None:
    """Both queues begin anew at this price."""
    for side in range(2):
        state[slot, QUEUES + 2 * side], state[slot, QUEUES + 2 * side + 1] = 0, 1
        queue_t[slot, side, 0], queue[slot, side, 0] = t, price


@jit
def _push(slot: int, t: int, price: float, spans: np.ndarray, state: np.ndarray, queue_t: np.ndarray, queue: np.ndarray) -> None:
    """One more price; what is older than the window goes."""
    for side in range(2):
        sign = 1.0 if side == 0 else -1.0  # side 0 keeps the least, side 1 the greatest
        first, length = state[slot, QUEUES + 2 * side], state[slot, QUEUES + 2 * side + 1]
        if spans[STANDING] > 0 and length > 0:  # the newest entry is the price before: it stood until now
            queue_t[slot, side, (first + length - 1) & (DEPTH - 1)] = t
        while length > 0 and sign * queue[slot, side, (first + length - 1) & (DEPTH - 1)] >= sign * price:
            length -= 1
        if length == DEPTH:
            first, length = first + 1, length - 1
        at = (first + length) & (DEPTH - 1)
        queue_t[slot, side, at], queue[slot, side, at] = t, price
        length += 1
        while queue_t[slot, side, first & (DEPTH - 1)] <= t - spans[WINDOW]:
            first, length = first + 1, length - 1
        state[slot, QUEUES + 2 * side], state[slot, QUEUES + 2 * side + 1] = first & (DEPTH - 1), length


@jit
def _cells(slot: int, t: int, price: float, grid: int, state: np.ndarray, values: np.ndarray, rates: np.ndarray) -> None:
    """Close the time cells before ``t``; ``price`` is that of ``t`` and belongs to the cell that goes on."""
    cell = t // grid
    if state[slot, CELL] < 0 or cell - state[slot, CELL] > RESTART:
        if cell - state[slot, LEFT] // grid > RESTART:  # too long ago: the volatility of then says nothing
            state[slot, CELLS] = 0
            values[slot, BV] = 0.0
            values[slot, SIGMA] = rates[FLOOR]
        state[slot, CELL], state[slot, STARTED] = cell, 0
        values[slot, BEFORE] = price
        return
    while state[slot, CELL] < cell:
        move = abs(values[slot, LAST] - values[slot, BEFORE])
        if state[slot, STARTED] > 0:
            x = move * values[slot, MOVE]
            if state[slot, CELLS] >= rates[WARMUP]:
                x = min(x, (rates[CAP] * values[slot, SIGMA]) ** 2)
            state[slot, CELLS] += 1
            values[slot, BV] += max(rates[LAMBDA], 1.0 / state[slot, CELLS]) * (x - values[slot, BV])
            values[slot, SIGMA] = max(math.sqrt(values[slot, BV] * math.pi / 2.0), rates[FLOOR])
        values[slot, MOVE], values[slot, BEFORE] = move, values[slot, LAST]
        state[slot, STARTED] = 1
        state[slot, CELL] += 1


@jit
def _close(slot: int, t: int, state: np.ndarray, values: np.ndarray, found: tuple[Any, ...], count: int) -> int:
    """The open event of this slot ends; how many have."""
    numbers, figures = found
    numbers[count, GOT_SLOT], numbers[count, GOT_FINAL], numbers[count, GOT_WAY] = slot, t, state[slot, OPEN]
    numbers[count, GOT_START], numbers[count, GOT_DETECT] = state[slot, T_START], state[slot, T_DETECT]
    numbers[count, GOT_PEAK], numbers[count, GOT_STAMP] = state[slot, T_PEAK], state[slot, STAMP]
    figures[count, GOT_BPS], figures[count, GOT_Z], figures[count, GOT_THRESHOLD] = (
        values[slot, SIZE], values[slot, Z], values[slot, THRESHOLD],
    )  # fmt: skip
    state[slot, OPEN] = 0
    return count + 1


@jit
def _look(slot: int, t: int, stamp: int, price: float, own: tuple[Any, ...], spans: np.ndarray, rates: np.ndarray) -> None:
    """A price while no event is open: does it open one?"""
    state, values, queue_t, queue, least, _ = own
    _push(slot, t, price, spans, state, queue_t, queue)
    low, high = state[slot, QUEUES], state[slot, QUEUES + 2]
    up, down = price - queue[slot, 0, low], queue[slot, 1, high] - price
    scale = values[slot, SIGMA] * math.sqrt(spans[WINDOW] / spans[GRID])
    threshold, size = max(least[slot], rates[K_SIGMA] * scale), max(up, down)
    if size >= threshold and state[slot, CELLS] >= rates[WARMUP]:
        side, at = (0, low) if up >= down else (1, high)
        state[slot, OPEN] = 1 if side == 0 else -1
        state[slot, T_START], state[slot, T_DETECT], state[slot, T_PEAK] = queue_t[slot, side, at], t, t
        state[slot, STAMP] = stamp
        values[slot, SIZE], values[slot, FROM] = size, queue[slot, side, at]
        values[slot, Z], values[slot, THRESHOLD] = size / scale, threshold


@jit
def _due(slot: int, t: int, state: np.ndarray, spans: np.ndarray) -> bool:
    over: bool = state[slot, OPEN] != 0 and (t - state[slot, T_PEAK] >= spans[SETTLE] or t - state[slot, T_DETECT] >= spans[LONGEST])
    return over


@jit
def advance(rings: tuple[Any, ...], own: tuple[Any, ...], parameters: tuple[Any, ...], now: int, found: tuple[Any, ...]) -> int:
    """All slots up to ``now`` → events that ended; when there is no room for more, the next call goes on where this one stopped."""
    ring_t, ring, ring_n = rings
    state, values, queue_t, queue, least, lost = own
    spans, rates = parameters
    count, room = 0, found[0].shape[0] - 1
    for slot in range(min(state.shape[0], ring_n.shape[0])):
        n = ring_n[slot]
        k = state[slot, SEEN]
        if math.isnan(least[slot]):
            state[slot, SEEN] = n
            continue
        if n - k > RING:
            lost[slot] += n - k - RING
            k = n - RING
        while k < n and count < room:
            at = k & (RING - 1)
            k += 1
            t, bid, ask = ring_t[slot, at, 0], ring[slot, at, 0], ring[slot, at, 2]
            if math.isnan(bid):  # the book left LIVE: what it said before is no longer the price
                if state[slot, OPEN] != 0:
                    count = _close(slot, t, state, values, found, count)
                if state[slot, CELL] >= 0:
                    state[slot, CELL], state[slot, LEFT] = -1, t
                state[slot, QUEUES + 1] = state[slot, QUEUES + 3] = 0
                continue
            if not (bid > 0.0 and ask > 0.0):
                continue
            price = math.log((bid + ask) / 2.0) * 1e4
            if _due(slot, t, state, spans):
                count = _close(slot, t, state, values, found, count)
                state[slot, QUEUES + 1] = state[slot, QUEUES + 3] = 0
            _cells(slot, t, price, spans[GRID], state, values, rates)
            values[slot, LAST] = price
            if state[slot, OPEN] == 0:
                _look(slot, t, ring_t[slot, at, 1], price, own, spans, rates)
            elif state[slot, OPEN] * (price - values[slot, FROM]) > values[slot, SIZE]:
                values[slot, SIZE] = state[slot, OPEN] * (price - values[slot, FROM])
                state[slot, T_PEAK] = t
        state[slot, SEEN] = k
        if k == n and count < room and _due(slot, now, state, spans):
            count = _close(slot, now, state, values, found, count)
            _clear(slot, now, values[slot, LAST], state, queue_t, queue)
        if count >= room:
            break
    return count
