"""Order books cut into price buckets of one width: how much stands where, for heat maps and ladders; and the steps of such grids.

Bucket i holds prices from i·step up to, but without, (i + 1)·step, on both sides of the book, so that the buckets of
several venues add up. Sizes are in base units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.market.compiled import jit
from dope.market.kernel import FPOW, N_ASK, N_BID, SCALE, unpacked
from dope.market.lane import in_base

WIDE = 48  #: buckets per side that are kept, from the best price on
ROUND = 1e-9  #: of a step: a price that is a multiple but for its binary form is one
FINEST_BPS, COARSEST_BPS = 0.1, 50.0  #: of the price: a width given for an asset that is out of these is not meant for this quote currency


def nice(value: float) -> float:
    """The step of 1, 2 or 5 times a power of ten that is nearest to a positive value, by ratio."""
    power = math.floor(math.log10(value))
    return min((float(f"{digit}e{power}") for digit in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / value)))


def step_for(price: float, given: float | None, bps: float) -> float:
    """Width of a market's buckets: the one given for its asset where it fits the price, else the nice one near so many bps of it."""
    if given is not None and FINEST_BPS <= given / price * 1e4 <= COARSEST_BPS:
        return given
    return nice(price * bps / 1e4)


def bucket_of(price: float, step: float) -> int:
    """Number of the bucket that a price lies in."""
    return math.floor(price / step + ROUND)


@jit
def _place(price: float, step: float) -> int:
    return int(np.floor(price / step + ROUND))


@jit
def fill(book: np.ndarray, touch: tuple[float, float, float, float], unit: float, step: float, out: np.ndarray) -> tuple[int, int]:
    """Add a book up into ``out`` (2, n): bids from the bucket of the best one downwards, asks upwards → those two buckets.

    ``touch`` is the book's in base units: levels better than it are gone (a newer quote says so). ``unit`` as in ``lane.UNIT``.
    """
    bid, bid_size, ask, ask_size = touch
    scale, wide = FPOW[book[4, SCALE]], out.shape[1]
    out[:] = 0.0
    first_bid, first_ask = _place(bid, step), _place(ask, step)
    out[0, 0], out[1, 0] = bid_size, ask_size
    k = book[4, N_BID] - 1
    while k >= 0:
        price = book[0, k] / scale
        if price < bid:
            at = first_bid - _place(price, step)
            if at >= wide:
                break
            out[0, at] += in_base(unpacked(book[1, k]), price, unit)
        k -= 1
    k = book[4, N_ASK] - 1
    while k >= 0:
        price = -book[2, k] / scale
        if price > ask:
            at = _place(price, step) - first_ask
            if at >= wide:
                break
            out[1, at] += in_base(unpacked(book[3, k]), price, unit)
        k -= 1
    return first_bid, first_ask


def price_buckets(bids: Any, asks: Any, step: float) -> tuple[dict[int, float], dict[int, float]]:
    """Levels (price, base size) of both sides → size by bucket, best first; sums are rounded once."""
    found = []
    for side in (bids, asks):
        parts: dict[int, list[float]] = {}
        for price, size in side:
            parts.setdefault(bucket_of(price, step), []).append(size)
        found.append({at: math.fsum(sizes) for at, sizes in parts.items()})
    return found[0], found[1]
