"""The paths of prices over the last minutes: mids and trades thinned to one value a millisecond, taken from the rings in one compiled call.

The rings hold 2048 changes, which a busy market fills in half a minute; lead and lag are reckoned over five to ten.
"""

from __future__ import annotations

import numpy as np

from dope.market.columns import widen
from dope.market.compiled import inlined, jit
from dope.market.lane import MS, RING, TRADE_RING, Slots

KEPT = 4096  #: values per market and series, a power of two: some seven minutes of the busiest market recorded


class Track:
    """One series of every slot: ``times`` (slots, KEPT, 2) int64 ns, received and the venue's (0 = none), ``prices`` (slots, KEPT)."""

    def __init__(self) -> None:
        self.times, self.prices = np.zeros((0, KEPT, 2), dtype=np.int64), np.zeros((0, KEPT))
        self.count = np.zeros(0, dtype=np.int64)  # values so far
        self.seen = np.zeros(0, dtype=np.int64)  # entries of the ring that were looked at
        self.lost = np.zeros(0, dtype=np.int64)  # entries that were gone when it was looked

    def room(self, slots: int) -> tuple[np.ndarray, ...]:
        """The columns, with room for so many slots: times, prices, count, seen, lost."""
        names = ("times", "prices", "count", "seen", "lost")
        widen(self, names, len(self.count), slots)
        return tuple(getattr(self, name) for name in names)

    def of(self, slot: int, since: int) -> tuple[np.ndarray, np.ndarray]:
        """What was received since then, ns: (n, 2) times and (n,) prices, oldest first, as copies; not a number = no price from then on.

        The value that held at ``since`` comes first.
        """
        if slot >= len(self.count):
            return np.zeros((0, 2), dtype=np.int64), np.zeros(0)
        n = int(self.count[slot])
        order = np.arange(max(0, n - KEPT), n) & KEPT - 1
        times = self.times[slot, order]
        begin = max(int(np.searchsorted(times[:, 0], since, side="right")) - 1, 0)
        return times[begin:], self.prices[slot, order][begin:]


class Tracks:
    """Mids of the touch, and prices of trades."""

    def __init__(self) -> None:
        self.mids, self.trades = Track(), Track()

    def follow(self, slots: Slots) -> None:
        """Take what is new in the rings of all slots."""
        follow_touches(slots.count, slots.ring_t, slots.ring, slots.ring_n, *self.mids.room(slots.count))
        follow_trades(slots.count, slots.trade_t, slots.trades, slots.trade_n, *self.trades.room(slots.count))


@inlined
def _put(slot: int, ts: int, stamp: int, price: float, times: np.ndarray, prices: np.ndarray, count: np.ndarray) -> None:
    """One more value; one of the same milliseconds as the last takes its place."""
    n = count[slot]
    if n > 0:
        last = (n - 1) & (KEPT - 1)
        before = prices[slot, last]
        if price == before or (price != price and before != before):
            return
        if ts // MS == times[slot, last, 0] // MS and stamp // MS == times[slot, last, 1] // MS and price == price and before == before:
            prices[slot, last] = price
            return
    at = n & (KEPT - 1)
    times[slot, at, 0], times[slot, at, 1], prices[slot, at] = ts, stamp, price
    count[slot] = n + 1


@inlined
def _first(slot: int, n: int, room: int, seen: np.ndarray, lost: np.ndarray) -> int:
    """The first entry of this slot's ring that is new, of ``n`` so far in a ring of ``room``; all are seen then."""
    begin = seen[slot]
    if n - begin > room:
        lost[slot] += n - begin - room
        begin = n - room
    seen[slot] = n
    return int(begin)


@jit
def follow_touches(
    slots: int, ring_t: np.ndarray, ring: np.ndarray, ring_n: np.ndarray, times: np.ndarray, prices: np.ndarray, count: np.ndarray,
    seen: np.ndarray, lost: np.ndarray,
) -> None:  # fmt: skip
    """The mids of all touches since the last call; an empty side is no price."""
    for slot in range(slots):
        n = ring_n[slot]
        for entry in range(_first(slot, n, RING, seen, lost), n):
            at = entry & (RING - 1)
            bid, ask = ring[slot, at, 0], ring[slot, at, 2]
            mid = (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else np.nan
            _put(slot, ring_t[slot, at, 0], ring_t[slot, at, 1], mid, times, prices, count)


@jit
def follow_trades(
    slots: int, trade_t: np.ndarray, trades: np.ndarray, trade_n: np.ndarray, times: np.ndarray, prices: np.ndarray, count: np.ndarray,
    seen: np.ndarray, lost: np.ndarray,
) -> None:  # fmt: skip
    """The prices of all trades since the last call."""
    for slot in range(slots):
        n = trade_n[slot]
        for entry in range(_first(slot, n, TRADE_RING, seen, lost), n):
            at = entry & (TRADE_RING - 1)
            _put(slot, trade_t[slot, at, 0], trade_t[slot, at, 1], trades[slot, at, 0], times, prices, count)
