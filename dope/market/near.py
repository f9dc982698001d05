"""Which changes of a touch somebody has to look at: those that bring a pair of markets near to paying. The others are only remembered."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market.compiled import jit
from dope.market.lane import PAIRS, remember


@jit
def is_near(slot: int, prices: np.ndarray, pairs_of: np.ndarray, pairs: np.ndarray, walls: np.ndarray, near: float) -> bool:
    """Whether gross minus wall of some pair of this slot reaches ``near`` bps, by ``prices`` (best bid and ask of each slot)."""
    for k in range(PAIRS):
        number = pairs_of[slot, k]
        if number < 0:
            return False
        ask, bid = prices[pairs[number, 0], 1], prices[pairs[number, 1], 0]
        if ask > 0.0 and bid > 0.0 and (bid / ask - 1.0) * 1e4 - walls[number] >= near:
            return True
    return False


@jit
def remember_near(
    slot: int, ts: int, stamp: int, bid: float, bid_size: float, ask: float, ask_size: float, rings: tuple[Any, ...], prices: np.ndarray,
    watch: tuple[Any, ...],
) -> bool:  # fmt: skip
    """``remember`` this touch, which stands in ``prices`` from now on; whether it is near. ``watch`` = ``Slots.watch``."""
    pairs_of, pairs, walls, near = watch
    remember(slot, ts, stamp, bid, bid_size, ask, ask_size, rings)
    prices[slot, 0], prices[slot, 1] = bid, ask
    found: bool = is_near(slot, prices, pairs_of, pairs, walls, near[0])
    return found
