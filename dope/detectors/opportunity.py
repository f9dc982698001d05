"""What an opportunity is made of: fees, rules, the terms that a recording carries, and the row of one life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from dope.types import Event

MS = 1_000_000
Role = Literal["taker", "maker"]
Leg = Literal["buy", "sell"]
LEGS: tuple[Leg, Leg] = ("buy", "sell")


class Cost(msgspec.Struct, frozen=True):
    """Fee of one market, a fraction of the notional, taken in "base" or "quote" on a buy: ``fee`` for taking, ``maker`` for making.

    ``maker`` None = not known: making counts as taking. ``tier`` is the venue's own name of the tier, ``discount`` the part
    that is let off both figures already (0.25 = a quarter); ``confidence`` "high", "medium" or "low".
    """

    fee: float
    currency: str = "quote"
    source: str = ""
    as_of: str = ""
    maker: float | None = None
    tier: str = "default"
    discount: float = 0.0
    confidence: str = ""

    def of(self, role: str) -> Cost:
        """The same where ``fee`` is what this role pays."""
        return self if role != "maker" or self.maker is None else msgspec.structs.replace(self, fee=self.maker)


class Rules(msgspec.Struct, frozen=True):
    """``enter``/``leave`` in bps of the buy cost; sizes in quote currency; ``debounce`` ns; ``max_age_s`` caps the limit.

    ``transfer`` = fixed costs of one opportunity, quote currency; ``buffer_bps`` of the sale are held back; ``buy_as`` and
    ``sell_as`` say which fee a leg pays (prices stay those of taking), ``roles`` the same of single venues: venue → "buy" or "sell" →
    role. The markets of the self-test know none of these five.
    """

    enter: float = 0.0
    leave: float = -1.0
    order_size: float = 1000.0
    min_notional: float = 10.0
    debounce: int = 50 * MS
    max_age_s: float = 5.0
    transfer: float = 0.0
    buffer_bps: float = 0.0
    buy_as: Role = "taker"
    sell_as: Role = "taker"
    roles: dict[str, dict[Leg, Role]] = {}

    def role(self, venue: str, leg: Leg) -> Role:
        """Which fee this leg pays at this venue."""
        return self.roles.get(venue, {}).get(leg, self.buy_as if leg == "buy" else self.sell_as)


Costs = Mapping[tuple[str, str], Cost]  #: (venue, kind) → fee


def cost_as(costs: Costs, rules: Rules, market: tuple[str, str], leg: Leg) -> Cost:
    """What this leg pays at a market (venue, kind), by the role that the rules give it."""
    return costs[market].of(rules.role(market[0], leg))


class Terms(msgspec.Struct, frozen=True):
    """What a SET frame carries, as JSON: the rules from now on and the fees as (venue, kind, cost); None = as before."""

    rules: Rules | None = None
    costs: tuple[tuple[str, str, Cost], ...] | None = None


class Opportunity(Event, frozen=True):
    """One life of an opportunity as it stands at ``ts``; money in the quote currency, sizes in base, times in ns.

    ``gross − fees − conversion − transfer − buffer = net``, for the ``levels`` (buy price, sell price, base) of the optimum, and
    the same in bps of the buy cost with fee; ``levels`` begin at the touch. The ``…_at_order`` figures are the same walk for the
    user's order size, at a loss if need be.

    Of the kind "cross-quote" the legs are in two currencies: ``buy_px`` and ``sell_px`` each in its own, everything else in the quote
    currency of the exchange ``via`` (a market's key; ``via_px`` = its executable side), at whose mid the other one is valued;
    ``conversion`` = what it takes beyond that.

    ``fee_slack_bps``: by so much the fees of both legs together may be higher
    than reckoned with, whichever leg it is, before this size no longer pays.
    ``at_least``: the books as far as they are read ended before the profit did.
    """

    id: int
    state: str  #: "open" | "fading" | "closed" | "stale"
    reason: str
    symbol: str
    base: str
    quote: str
    kind: str
    buy: str
    sell: str
    buy_venue: str
    sell_venue: str
    opened: int
    closed: int | None
    peak_bps: float
    peak_t: int
    updates: int
    buy_px: float
    sell_px: float
    touch_net_bps: float
    qty: float
    size: float
    buy_vwap: float | None
    sell_vwap: float | None
    gross: float
    fees: float
    net: float
    gross_bps: float
    fees_bps: float
    net_bps: float
    buy_cost: float
    sell_proceeds: float
    levels: tuple[tuple[float, float, float], ...]
    order_qty: float
    net_at_order: float
    net_bps_at_order: float | None
    indicative_pct: float
    indicative_profit_pct: float
    fee_buy_bps: float
    fee_sell_bps: float
    fee_slack_bps: float
    buy_age_ms: float
    sell_age_ms: float
    skew_ms: float
    max_age_ms: float
    via: str = ""
    via_px: float | None = None
    conversion: float = 0.0
    conversion_bps: float = 0.0
    transfer: float = 0.0
    buffer: float = 0.0
    buy_as: str = "taker"
    sell_as: str = "taker"
    buy_in_base: bool = False  #: the fee of buying there is taken off what is received: ``qty`` is what is received
    sell_in_base: bool = False  #: likewise at the other venue, for whoever has to buy there
    at_least: bool = False

    @property
    def life_s(self) -> float:
        """Seconds from opening to close, or to now."""
        return ((self.ts if self.closed is None else self.closed) - self.opened) / 1e9
