"""The plain last-price comparison that simpler tools show: spread in percent, minus both fees in percent.

It knows no bid, no ask and no depth; it is kept beside the executable figure, under its own name, to compare with.
"""

from __future__ import annotations

import msgspec


class PriceData(msgspec.Struct, frozen=True):
    """One venue's price; without bid and ask the last price stands for both."""

    exchange: str
    symbol: str
    price: float
    bid: float | None = None
    ask: float | None = None

    @property
    def buy_at(self) -> float:
        return self.price if self.ask is None else self.ask

    @property
    def sell_at(self) -> float:
        return self.price if self.bid is None else self.bid


def indicative_spread(price_1: float, price_2: float) -> float:
    """Percent by which ``price_2`` is above ``price_1``: (p2 − p1) / p1 · 100."""
    return (price_2 - price_1) / price_1 * 100.0


def indicative_profit(price_1: float, price_2: float, fee_1_pct: float, fee_2_pct: float) -> float:
    """Indicative spread minus the sum of both fees, all in percent."""
    return indicative_spread(price_1, price_2) - (fee_1_pct + fee_2_pct)
