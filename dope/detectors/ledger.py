"""Why an opportunity pays what it pays: its net as a sum of terms in whole units, which adds up exactly as it is written.

Every term is rounded by itself to 10⁻⁸ of the quote currency; the first one, what the size would earn at the best prices alone,
is the sum of all others and takes their rounding, so it may be off by a few units of the last digit and the sum never is.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dope.detectors.opportunity import Opportunity
from dope.detectors.pair import Bill, Pair
from dope.market.walk import NOTHING, Walk

DIGITS = 8  #: decimals of a term
UNIT = 10**DIGITS
TERMS = ("touch", "depth", "fee_buy", "fee_sell", "conversion", "transfer", "buffer", "net")


class Entry(msgspec.Struct, frozen=True):
    """``units`` = the amount in 10⁻⁸ quote, costs below zero: all but "net" add up to "net". ``bps`` of the buy cost with fee."""

    term: str
    units: int
    bps: float

    @property
    def amount(self) -> str:
        """As a decimal number, to the last digit."""
        whole, part = divmod(abs(self.units), UNIT)
        return f"{'-' if self.units < 0 else ''}{whole}.{part:0{DIGITS}d}"

    def row(self) -> dict[str, Any]:
        return {"term": self.term, "amount": self.amount, "bps": self.bps}


def of_opportunity(o: Opportunity) -> tuple[Entry, ...]:
    """The ledger of a row, from the row alone: at once, after a restart, or from a recording."""
    if not o.levels or o.buy_vwap is None or o.sell_vwap is None:
        return ()
    ask, bid, _ = o.levels[0]
    touch = (bid - ask) * o.qty
    bill = Bill(
        touch, touch - o.gross, o.gross, o.buy_cost - o.buy_vwap * o.qty, o.sell_vwap * o.qty - o.sell_proceeds, o.transfer, o.buffer, o.net
    )
    return _entries(bill, o.conversion, o.buy_cost)


def of_walk(pair: Pair, walk: Walk) -> tuple[Entry, ...]:
    """The ledger of any walk of a pair, also of one that loses; empty for none."""
    return () if walk is NOTHING else _entries(pair.bill(walk), 0.0, walk.cost)


def _entries(bill: Bill, conversion: float, cost: float) -> tuple[Entry, ...]:
    costs = {
        "depth": bill.depth, "fee_buy": bill.fee_buy, "fee_sell": bill.fee_sell, "conversion": conversion, "transfer": bill.transfer,
        "buffer": bill.buffer,
    }  # fmt: skip
    units = {term: -round(value * UNIT) for term, value in costs.items()}
    net = round(bill.net * UNIT)
    units = {"touch": net - sum(units.values()), **units, "net": net}
    return tuple(Entry(term, units[term], units[term] / UNIT / cost * 1e4) for term in TERMS)
