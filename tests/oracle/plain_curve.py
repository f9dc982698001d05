"""Profit against size in whole numbers, by trying: the slow and obvious form of ``dope/market/curve.py`` and of the walk.

Prices in hundredths, sizes in thousandths, fees in millionths; profits in units of ``MONEY``. Nothing of the program is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

MONEY = 10**11  #: units of a profit per unit of the quote currency
PARTS = 10**6

Levels = Sequence[tuple[int, int]]


def worth(side: Levels, qty: Fraction | int) -> Fraction | int | None:
    """What the first ``qty`` of a side are worth, in price × size; None when it does not hold as much."""
    left, value = qty, 0 * qty
    for price, size in side:
        part = min(left, size)
        value += part * price
        left -= part
    return value if left == 0 else None


def breakpoints(asks: Levels, bids: Levels) -> list[int]:
    """Every quantity at which a level of either side ends, as far as both go."""
    points = set()
    for side in (asks, bids):
        total = 0
        for _, size in side:
            total += size
            points.add(total)
    most = min(sum(size for _, size in asks), sum(size for _, size in bids))
    return sorted(point for point in points if point <= most)


def profit(asks: Levels, bids: Levels, qty: Fraction | int, fee_buy: int, fee_sell: int, fixed: int = 0) -> Fraction | int:
    """Net of this quantity."""
    paid, got = worth(asks, qty), worth(bids, qty)
    assert paid is not None and got is not None
    return got * (PARTS - fee_sell) - paid * (PARTS + fee_buy) - fixed


def best(asks: Levels, bids: Levels, fee_buy: int, fee_sell: int, lot: int = 0) -> list[int]:
    """The quantities of the largest net before fixed costs, smallest first, each down to whole lots; 0 = none pays.

    There are several where a step earns exactly nothing: to floating point it may seem to earn a little.
    """
    nets = [(0, 0), *((profit(asks, bids, qty, fee_buy, fee_sell), qty) for qty in breakpoints(asks, bids))]
    most = max(net for net, _ in nets)
    return [qty // lot * lot if lot else qty for net, qty in nets if net == most]


def widest(asks: Levels, bids: Levels, fee_buy: int, fee_sell: int, threshold: int, fixed: int) -> Fraction:
    """The largest quantity whose net is at least ``threshold`` millionths of the cost; 0 = none."""

    def over(qty: Fraction | int) -> Fraction:
        paid = worth(asks, qty)
        assert paid is not None
        return Fraction(profit(asks, bids, qty, fee_buy, fee_sell, fixed)) - Fraction(paid * (PARTS + fee_buy) * threshold, PARTS)

    points = [0, *breakpoints(asks, bids)]
    for low, high in reversed(list(pairwise(points))):
        at_low, at_high = over(low), over(high)
        if at_high >= 0:
            return Fraction(high)
        if at_low > 0:
            return low + (high - low) * at_low / (at_low - at_high)
    return Fraction(0)
