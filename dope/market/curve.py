"""Profit as a curve of size: what buying here and selling there earns at every size, from one walk of both books.

Definition: P(q) = Σ bid·Δq·(1 − sell fee) − Σ ask·Δq·(1 + buy fee) − fixed costs, at each quantity q at which a level of either
book ends. Before fixed costs P is concave, so it is greatest where the marginal edge falls to nothing, and sizes whose net stays
at or above a threshold end at one point. Prices are those of the books, so limits lie on the venues' ticks by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from dope.market.walk import DUST, Level


class Point(msgspec.Struct, frozen=True):
    """A quantity at which a level ends: ``ask`` and ``bid`` are the prices of the last unit, ``marginal_bps`` what it earned.

    ``qty`` in base, ``cost`` (buy with fee), ``gross`` and ``net`` in quote; bps are of the cost, of the last unit or of all.
    """

    qty: float
    cost: float
    gross: float
    net: float
    net_bps: float
    marginal_bps: float
    ask: float
    bid: float


class Size(msgspec.Struct, frozen=True):
    """One size of interest, down to whole lots; ``ask`` and ``bid`` are the limits that it needs.

    ``at_least``: the books as far as they are read end here, so it may be larger. ``takes``: both venues take an order of it.
    """

    qty: float
    cost: float
    net: float
    net_bps: float
    marginal_bps: float
    ask: float
    bid: float
    at_least: bool
    takes: bool


class Curve(msgspec.Struct, frozen=True):
    """``best`` = the size of the largest profit, ``widest`` = the largest whose net is at least ``threshold_bps``; None = there is none."""

    points: tuple[Point, ...]
    best: Size | None
    widest: Size | None
    threshold_bps: float


class _Ladders:
    """The merged steps of both books: (ask, bid, quantity), and sums up to each."""

    def __init__(self, asks: Sequence[Level], bids: Sequence[Level]) -> None:
        self.steps: list[tuple[float, float, float]] = []
        self.qty, self.paid, self.got = [0.0], [0.0], [0.0]
        i = j = 0
        ask_left = asks[0][1] if asks else 0.0
        bid_left = bids[0][1] if bids else 0.0
        while i < len(asks) and j < len(bids):
            take = min(ask_left, bid_left)
            if take > 0.0:
                ask, bid = asks[i][0], bids[j][0]
                self.steps.append((ask, bid, take))
                self.qty.append(self.qty[-1] + take)
                self.paid.append(self.paid[-1] + take * ask)
                self.got.append(self.got[-1] + take * bid)
            ask_left -= take
            bid_left -= take
            if ask_left <= DUST * asks[i][1]:
                i += 1
                ask_left = asks[i][1] if i < len(asks) else 0.0
            if bid_left <= DUST * bids[j][1]:
                j += 1
                bid_left = bids[j][1] if j < len(bids) else 0.0

    def at(self, qty: float) -> tuple[int, float, float]:
        """(number of the step that holds the last unit, paid, got) of this quantity."""
        k = 0
        while k < len(self.steps) - 1 and self.qty[k + 1] < qty * (1.0 - DUST):
            k += 1
        ask, bid, _ = self.steps[k]
        part = qty - self.qty[k]
        return k, self.paid[k] + part * ask, self.got[k] + part * bid


def profit_curve(
    asks: Sequence[Level], bids: Sequence[Level], fee_buy: float, fee_sell: float, *, threshold_bps: float = 0.0, lot: float = 0.0,
    transfer: float = 0.0, least_qty: float = 0.0, least_cost: float = 0.0,
) -> Curve:  # fmt: skip
    """The curve of ``asks`` (ascending) against ``bids`` (descending); fees are fractions, ``transfer`` fixed costs in quote.

    ``lot`` floors both sizes of interest; ``least_qty`` (base) and ``least_cost`` (quote) say which sizes venues take at all.
    """
    ladders = _Ladders(asks, bids)
    up, kept = 1.0 + fee_buy, 1.0 - fee_sell

    def size(qty: float) -> Size | None:
        whole = ladders.qty[-1]
        at_least = qty >= whole
        if lot > 0.0:
            qty = round(math.floor(qty / lot + 1e-9) * lot, 12)
        if qty <= 0.0:
            return None
        k, paid, got = ladders.at(qty)
        ask, bid, _ = ladders.steps[k]
        cost = paid * up
        net = got * kept - cost - transfer
        takes = cost >= least_cost and qty >= least_qty * (1.0 - 1e-9)
        return Size(qty, cost, net, net / cost * 1e4, (bid * kept / (ask * up) - 1.0) * 1e4, ask, bid, at_least, takes)

    points = []
    for k, (ask, bid, _) in enumerate(ladders.steps, 1):
        cost = ladders.paid[k] * up
        net = ladders.got[k] * kept - cost - transfer
        marginal = (bid * kept / (ask * up) - 1.0) * 1e4
        points.append(Point(ladders.qty[k], cost, ladders.got[k] - ladders.paid[k], net, net / cost * 1e4, marginal, ask, bid))
    best = size(_last_paying(ladders, kept, up))
    widest = size(_widest(ladders, kept, up * (1.0 + threshold_bps / 1e4), transfer))
    if widest is not None and widest.net_bps < threshold_bps - 1e-6:  # whole lots of it are too few for the fixed costs
        widest = None
    return Curve(tuple(points), best, widest, threshold_bps)


def _last_paying(ladders: _Ladders, kept: float, up: float) -> float:
    """The quantity up to which each further unit still earns something."""
    qty = 0.0
    for k, (ask, bid, _) in enumerate(ladders.steps, 1):
        if bid * kept - ask * up <= 0.0:
            break
        qty = ladders.qty[k]
    return qty


def _widest(ladders: _Ladders, kept: float, up: float, fixed: float) -> float:
    """The largest quantity at which ``kept·got − up·paid − fixed`` is not below zero; 0 = none. The sum is concave."""
    found, before = 0.0, -fixed
    for k, (ask, bid, take) in enumerate(ladders.steps, 1):
        slope = bid * kept - ask * up
        after = ladders.got[k] * kept - ladders.paid[k] * up - fixed
        if after >= 0.0:
            found = ladders.qty[k]
        elif before > 0.0:
            return ladders.qty[k - 1] + min(take, -before / slope)
        elif slope <= 0.0:
            break
        before = after
    return found
