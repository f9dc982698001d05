"""What one order brings over many pairs of markets at one instant, in one compiled call."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market import pairs
from dope.market.compiled import jit
from dope.market.near import UNUSABLE, legs
from dope.market.pairs import BUY, SELL
from dope.market.walking import order_of, read_side


@jit
def order_bps(chosen: np.ndarray, now: int, size: float, books: tuple[Any, ...], watch: tuple[Any, ...]) -> np.ndarray:
    """Gross and net of an order of ``size`` (quote) over these pairs, bps: float64 (pairs, 2).

    Not a number = a leg is not LIVE or too old, or the books take no order at all. ``chosen`` = numbers of pairs, below 0 = none.
    """
    _, numbers, figures, _ = watch[0]
    scratch = watch[1][3]
    out = np.full((chosen.shape[0], 2), np.nan)
    for k in range(chosen.shape[0]):
        number = chosen[k]
        if number < 0 or legs(number, now, books, watch)[2] == UNUSABLE:
            continue
        asks = read_side(numbers[number, BUY], False, figures[number, pairs.KEPT], books, scratch[0])
        bids = read_side(numbers[number, SELL], True, 1.0, books, scratch[1])
        fees = figures[number, pairs.FEE_BUY], figures[number, pairs.FEE_SELL]
        lot, transfer = figures[number, pairs.LOT], figures[number, pairs.TRANSFER]
        bought, sold, net = order_of(scratch[0], asks, scratch[1], bids, fees, lot, transfer, size)
        if sold > 0.0:
            out[k, 0], out[k, 1] = (sold / bought - 1.0) * 1e4, net
    return out
