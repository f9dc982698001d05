"""Trades folded into bars of several lengths at once, for all markets in one compiled call."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market.compiled import jit
from dope.market.lane import TRADE_RING

# columns of a bar: times (its beginning, its first and last trade; ns), then figures (prices; base units; quote currency)
START, FIRST, LAST = range(3)
OPEN, HIGH, LOW, CLOSE, VOLUME, BOUGHT, VALUE, BOUGHT_VALUE, COUNT = range(9)


@jit
def fold(rings: tuple[Any, ...], seen: np.ndarray, lost: np.ndarray, spans: np.ndarray, bars: tuple[Any, ...]) -> int:
    """Take the trades that are new since ``seen`` (per slot, renewed) into the bars; how many they were.

    ``rings`` = times, trades, counts as in ``Slots``; ``bars`` = per span (spans, slots, kept, 3) times, (…, 9) figures, and
    (spans, slots) how many so far, each ring as long as the arrays; ``lost`` counts trades that their ring no longer held.
    """
    trade_t, trades, trade_n = rings
    times, figures, counts = bars
    kept, taken = times.shape[2], 0
    for slot in range(seen.shape[0]):
        n = trade_n[slot]
        if n == seen[slot]:
            continue
        if n - seen[slot] > TRADE_RING:
            lost[slot] += n - seen[slot] - TRADE_RING
            seen[slot] = n - TRADE_RING
        taken += n - seen[slot]
        for i in range(seen[slot], n):
            k = i & (TRADE_RING - 1)
            _add(slot, trade_t[slot, k, 0], trades[slot, k, 0], trades[slot, k, 1], trades[slot, k, 2], spans, kept, times, figures, counts)
        seen[slot] = n
    return taken


@jit
def _add(
    slot: int, t: int, price: float, size: float, sign: float, spans: np.ndarray, kept: int, times: np.ndarray, figures: np.ndarray,
    counts: np.ndarray,
) -> None:  # fmt: skip
    """One trade into the newest bar of each span, or a new one. Times never fall: what comes late belongs to the newest bar."""
    for j in range(spans.shape[0]):
        start, n = t - t % spans[j], counts[j, slot]
        at = (n - 1) % kept
        if n == 0 or start > times[j, slot, at, START]:
            at = n % kept
            counts[j, slot] = n + 1
            times[j, slot, at, START], times[j, slot, at, FIRST] = start, t
            figures[j, slot, at, OPEN], figures[j, slot, at, HIGH], figures[j, slot, at, LOW] = price, price, price
            for c in range(VOLUME, COUNT + 1):
                figures[j, slot, at, c] = 0.0
        row = figures[j, slot, at]
        times[j, slot, at, LAST] = t
        row[HIGH], row[LOW], row[CLOSE] = max(row[HIGH], price), min(row[LOW], price), price
        row[VOLUME] += size
        row[VALUE] += size * price
        if sign > 0.0:
            row[BOUGHT] += size
            row[BOUGHT_VALUE] += size * price
        row[COUNT] += 1.0
