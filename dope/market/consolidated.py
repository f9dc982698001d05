"""One book out of many: the LIVE books of one symbol added up by price; and what an order of a given size costs at one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

Level = tuple[float, float]


class ConsolidatedLevel(msgspec.Struct, frozen=True):
    """All that stands at one price: ``size`` in base units, rounded once; ``exchange_count`` venues have some of it: ``venues``.

    ``complete``: no venue's levels end before it; behind the end of a venue's levels it may have more than is known.
    """

    price: float
    size: float
    exchange_count: int
    venues: dict[str, float]
    complete: bool = True


def consolidated(sides: Mapping[str, Sequence[Level]], *, bids: bool, limit: int = 0) -> list[ConsolidatedLevel]:
    """One side of several books (venue → levels, base units, best first) as one, best first, at most ``limit`` levels (0 = all)."""
    at: dict[float, dict[str, float]] = {}
    for venue, levels in sides.items():
        for price, size in levels:
            at.setdefault(price, {})[venue] = size
    ends = [levels[-1][0] for levels in sides.values() if levels]
    end = (max(ends) if bids else min(ends)) if ends else 0.0
    prices = sorted(at, reverse=bids)
    return [
        ConsolidatedLevel(price, math.fsum(at[price].values()), len(at[price]), at[price], price >= end if bids else price <= end)
        for price in (prices[:limit] if limit else prices)
    ]


class OrderCost(msgspec.Struct, frozen=True):
    """What an order costs against the mid, fee included: ``bps`` of its value at the mid, above 0 = paid; ``vwap`` without fee.

    None where the known levels do not hold the order; then ``filled`` says how much of it they hold, 0 … 1.
    """

    bps: float | None
    vwap: float | None
    filled: float


def order_cost(levels: Sequence[Level], mid: float, qty: float, *, fee: float, buy: bool, fee_in_base: bool = False) -> OrderCost:
    """Take ``qty`` base units from one side now; ``fee`` is a fraction. A fee in base is paid by buying so much more."""
    wanted = qty / (1.0 - fee) if buy and fee_in_base else qty
    left, value = wanted, 0.0
    for price, size in levels:
        take = min(left, size)
        value += take * price
        left -= take
        if left <= 0.0:
            break
    if left > 0.0 or not wanted > 0.0:
        return OrderCost(None, None, max(0.0, 1.0 - left / wanted) if wanted > 0.0 else 0.0)
    if buy:
        paid = value if fee_in_base else value * (1.0 + fee)
        return OrderCost((paid / (qty * mid) - 1.0) * 1e4, value / wanted, 1.0)
    return OrderCost((1.0 - value * (1.0 - fee) / (qty * mid)) * 1e4, value / wanted, 1.0)
