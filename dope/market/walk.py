"""Depth-walked two-book arbitrage: the exact optimum of buying one book's asks and selling into another's bids.

The marginal edge ``bid·(1 − sell fee) − ask·(1 + buy fee)`` never rises along the walk, so taking levels while it is
positive gives the exact optimum; profit as a function of size is concave before fixed costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

Level = tuple[float, float]
INF = math.inf
DUST = 1e-13  #: part of a size that is a rounding, not a rest


class Walk(msgspec.Struct, frozen=True):
    """Result of a walk: ``qty`` in base; ``cost``, ``proceeds``, ``gross``, ``fees``, ``net`` in quote.

    ``net_bps`` divides by the buy cost with fees; ``fills`` are (buy price, sell price, qty); VWAPs None when qty is 0.
    ``levels`` are the indices of the last levels touched on both books.
    """

    qty: float
    cost: float
    proceeds: float
    gross: float
    fees: float
    net: float
    net_bps: float | None
    buy_vwap: float | None
    sell_vwap: float | None
    levels: tuple[int, int]
    fills: tuple[tuple[float, float, float], ...]

    @property
    def gross_bps(self) -> float | None:
        """Gross in bps of the buy cost with fees, the same denominator as ``net_bps``."""
        return self.gross / self.cost * 1e4 if self.cost else None

    @property
    def fees_bps(self) -> float | None:
        return self.fees / self.cost * 1e4 if self.cost else None


NOTHING = Walk(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, None, None, (0, 0), ())


def two_book(
    asks: Sequence[Level],
    bids: Sequence[Level],
    fee_buy: float,
    fee_sell: float,
    *,
    max_qty: float = INF,
    max_quote: float = INF,
    lot: float = 0.0,
    transfer: float = 0.0,
    fill_all: bool = False,
) -> Walk:
    """Walk ``asks`` of the buying venue (ascending) against ``bids`` of the selling one (descending).

    Fees are fractions (negative = rebate). ``lot`` floors the size to a multiple and re-walks; ``transfer`` is a fixed
    cost in quote. ``fill_all`` goes on to ``max_qty`` even at a loss: what an order of that size would give now.
    """
    walk = _walk(asks, bids, fee_buy, fee_sell, max_qty, max_quote, fill_all)
    if lot > 0.0 and walk.qty > 0.0:
        floored = math.floor(walk.qty / lot + 1e-9) * lot
        if floored <= 0.0:
            return NOTHING
        if floored < walk.qty:
            walk = _walk(asks, bids, fee_buy, fee_sell, round(floored, 12), INF, fill_all)
    if transfer and walk.qty > 0.0:
        net = walk.net - transfer
        walk = msgspec.structs.replace(walk, net=net, net_bps=net / walk.cost * 1e4)
    return walk


def _walk(
    asks: Sequence[Level], bids: Sequence[Level], fee_buy: float, fee_sell: float, max_qty: float, max_quote: float, fill_all: bool
) -> Walk:
    i = j = 0
    qty = paid = got = 0.0
    fills: list[tuple[float, float, float]] = []
    ask_left = asks[0][1] if asks else 0.0
    bid_left = bids[0][1] if bids else 0.0
    while i < len(asks) and j < len(bids):
        ask, bid = asks[i][0], bids[j][0]
        unit_cost = ask * (1.0 + fee_buy)
        if not fill_all and bid * (1.0 - fee_sell) - unit_cost <= 0.0:
            break
        room = min(max_qty - qty, (max_quote - paid * (1.0 + fee_buy)) / unit_cost)
        if room <= qty * DUST:
            break
        take = min(ask_left, bid_left, room)
        fills.append((ask, bid, take))
        qty += take
        paid += take * ask
        got += take * bid
        ask_left -= take
        bid_left -= take
        if take == room:
            break
        rest = take * DUST
        if ask_left <= rest:
            i += 1
            ask_left = asks[i][1] if i < len(asks) else 0.0
        if bid_left <= rest:
            j += 1
            bid_left = bids[j][1] if j < len(bids) else 0.0
    if qty <= 0.0:
        return NOTHING
    cost, proceeds = paid * (1.0 + fee_buy), got * (1.0 - fee_sell)
    fees = paid * fee_buy + got * fee_sell
    net = proceeds - cost
    return Walk(qty, cost, proceeds, got - paid, fees, net, net / cost * 1e4, paid / qty, got / qty, (i, j), tuple(fills))


def vwap(levels: Sequence[Level], qty: float) -> float | None:
    """Average price of taking ``qty`` base units from one side; None when it does not hold as much."""
    left, value = qty, 0.0
    for price, size in levels:
        take = min(left, size)
        value += take * price
        left -= take
        if left <= 0.0:
            return value / qty
    return None
