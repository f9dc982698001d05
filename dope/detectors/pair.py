"""One ordered pair of markets: what buying in one and selling in the other costs, every walk of their two books, the row of its life."""

from __future__ import annotations

import math

import msgspec

from dope.detectors.indicative import indicative_profit, indicative_spread
from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.detectors.opportunity import MS, Cost, Opportunity, Rules
from dope.detectors.pair_memory import Look, PairMemory, Sides
from dope.market.curve import Curve, profit_curve
from dope.market.market import Market
from dope.market.pairs import LEVELS
from dope.market.walk import NOTHING, Walk, two_book
from dope.types import SENTINEL, Instrument

MAX_GAP_NS = 1_000_000_000  #: no look at an open life for longer than this: it is closed as stale


class Bill(msgspec.Struct, frozen=True):
    """Where the gross of a walk goes, quote currency: ``gross − fee_buy − fee_sell − transfer − buffer = net``.

    ``touch`` = what the size would earn if all of it were at the best prices: ``touch − depth = gross``.
    """

    touch: float
    depth: float
    gross: float
    fee_buy: float
    fee_sell: float
    transfer: float
    buffer: float
    net: float


class Pair:
    """One ordered pair of markets and the life it may be in."""

    __slots__ = (
        "_opened", "buffer", "buy", "cost_buy", "cost_sell", "fee_buy", "fee_sell", "id", "last", "life", "look", "lot",
        "memory", "min_notional", "min_size", "rules", "sell", "transfer", "wall_bps",
    )  # fmt: skip

    def __init__(self, buy: Instrument, sell: Instrument, costs: tuple[Cost, Cost], rules: Rules) -> None:
        self.memory: PairMemory | None = None
        self.take(buy, sell, rules)
        self.charge(costs, rules)
        self.life = Lifecycle(LifeRules(rules.enter, rules.leave, rules.debounce, MAX_GAP_NS))
        self.last: Opportunity | None = None  #: the row as it was made last; ``row`` gives the newest
        self.look: Look | None = None  #: newer than ``last``
        self.id = self._opened = 0

    def join(self, memory: PairMemory) -> None:
        """Be looked at by compiled code from now on."""
        self.memory = memory
        self._told()

    def _told(self) -> None:
        """Have compiled code reckon alike."""
        if self.memory is not None:
            kept = 1.0 - self.cost_buy.fee if self.cost_buy.currency == "base" else 1.0
            self.memory.charge(
                self.wall_bps, self.fee_buy, self.fee_sell, kept, self.lot, self.transfer, self.min_notional, self.min_size
            )

    def take(self, buy: Instrument, sell: Instrument, rules: Rules) -> None:
        """Take the lots and least sizes of these two."""
        self.buy, self.sell, self.rules = buy, sell, rules
        self.lot = common_lot(buy.lot, sell.lot)
        self.min_notional = max(rules.min_notional, buy.min_notional, sell.min_notional)
        self.min_size = max(buy.min_size, sell.min_size)
        self._told()

    def charge(self, costs: tuple[Cost, Cost], rules: Rules) -> None:
        """Reckon with these fees of buying and selling, each for its role, and with the fixed costs and the buffer of the rules."""
        apart = self.buy.kind == SENTINEL
        self.cost_buy = costs[0] if apart else costs[0].of(rules.role(self.buy.venue, "buy"))
        self.cost_sell = costs[1] if apart else costs[1].of(rules.role(self.sell.venue, "sell"))
        self.transfer, self.buffer = (0.0, 0.0) if apart else (rules.transfer, rules.buffer_bps / 1e4)
        fb = self.cost_buy.fee
        # a fee taken in base: less is received than bought, so each unit received costs fb/(1−fb) on top
        self.fee_buy = fb / (1.0 - fb) if self.cost_buy.currency == "base" else fb
        self.fee_sell = self.cost_sell.fee + self.buffer
        self.wall_bps = ((1.0 + self.fee_buy) / (1.0 - self.fee_sell) - 1.0) * 1e4
        self._told()

    def update(self, now: int, net: float | None) -> list[Life]:
        """``Lifecycle.update`` of its life, which compiled code goes on with in between."""
        if self.memory is None:
            return self.life.update(now, net)
        self.memory.read(self.life)
        lives = self.life.update(now, net)
        self.memory.write(self.life, told=self.id != 0)
        return lives

    def begin(self, number: int, look: Look) -> None:
        """The life that is open has been given this number, and begins with this look."""
        assert self.life.life is not None
        self.id, self._opened = number, self.life.life.open
        self.see(look)
        if self.memory is not None:
            self.memory.write(self.life, told=True)

    def end(self) -> None:
        """Its life has ended and has been told."""
        self.last, self.look, self.id = None, None, 0
        if self.memory is not None:
            self.memory.write(self.life, told=False)

    def see(self, look: Look) -> None:
        """This is the newest look at its life."""
        self.look = look
        if self.memory is not None:
            self.memory.clear()

    def net_touch_bps(self, ask: float, bid: float) -> float:
        """Net of fees at the touch, bps of the buy cost, without fixed costs."""
        return (bid * (1.0 - self.fee_sell) / (ask * (1.0 + self.fee_buy)) - 1.0) * 1e4

    def sides(self, market: Market) -> Sides:
        """What can be bought and sold as the books stand now, for any number of walks."""
        asks = market.books[self.buy.key].levels("ask", LEVELS)
        bids = market.books[self.sell.key].levels("bid", LEVELS)
        if self.cost_buy.currency == "base":
            kept = 1.0 - self.cost_buy.fee
            asks = [(price, size * kept) for price, size in asks]
        return asks, bids

    def walk(self, sides: Sides, *, max_quote: float = math.inf, fill_all: bool = False) -> Walk:
        """The depth walk of this pair."""
        asks, bids = sides
        return two_book(
            asks, bids, self.fee_buy, self.fee_sell, max_quote=max_quote, lot=self.lot, transfer=self.transfer, fill_all=fill_all
        )

    def takes(self, walk: Walk) -> bool:
        """Whether both venues take an order of this size."""
        return walk is not NOTHING and walk.cost >= self.min_notional and walk.qty >= self.min_size * (1.0 - 1e-9)

    def curve(self, sides: Sides, threshold_bps: float) -> Curve:
        """Profit against size, from one walk of both books; its best size is that of ``walk``."""
        asks, bids = sides
        return profit_curve(
            asks, bids, self.fee_buy, self.fee_sell, threshold_bps=threshold_bps, lot=self.lot, transfer=self.transfer,
            least_qty=self.min_size, least_cost=self.min_notional,
        )  # fmt: skip

    def bill(self, walk: Walk) -> Bill:
        """Where the gross of this walk of this pair goes."""
        if walk is NOTHING or walk.buy_vwap is None or walk.sell_vwap is None:
            return Bill(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        ask, bid, _ = walk.fills[0]
        touch, got = (bid - ask) * walk.qty, walk.sell_vwap * walk.qty
        return Bill(
            touch, touch - walk.gross, walk.gross, walk.buy_vwap * walk.qty * self.fee_buy, got * self.cost_sell.fee, self.transfer,
            got * self.buffer, walk.net,
        )  # fmt: skip

    def slack_bps(self, walk: Walk) -> float:
        """By so many bps both fees together may be higher, on whichever leg, before this walk earns nothing; below 0 = must be lower."""
        if walk is NOTHING or walk.buy_vwap is None or walk.sell_vwap is None:
            return 0.0
        paid, got = walk.buy_vwap * walk.qty, walk.sell_vwap * walk.qty
        kept = walk.cost + walk.net  # what is left of the sale after all other costs
        on_buy = walk.net / paid
        if self.cost_buy.currency == "base" and kept > 0.0:
            on_buy = 1.0 - self.cost_buy.fee - paid / kept
        return min(on_buy, walk.net / got) * 1e4

    def row(self) -> Opportunity | None:
        """The newest row of the life that is open; None = none is."""
        faded: tuple[int, int] | None = None
        if self.memory is not None:
            seen, faded = self.memory.newest(self.walk)
            self.look = seen or self.look
        if self.look is not None:
            self.last, self.look = self._row(self.look), None
        if faded is not None and self.last is not None:
            self.last = msgspec.structs.replace(self.last, ts=faded[0], state="fading", updates=faded[1])
        return self.last

    def _row(self, look: Look) -> Opportunity:
        walk, sides, rules = look.walk, look.sides, self.rules
        order = self.walk(sides, max_quote=rules.order_size, fill_all=True)
        ask, bid = look.buy[1], look.sell[0]
        mid_buy, mid_sell = _mid(look.buy) or ask, _mid(look.sell) or bid
        bill, (peak_bps, peak_t, updates) = self.bill(walk), look.figures
        fees = walk.fees - bill.buffer
        return Opportunity(
            ts=look.ts, id=self.id, state="fading" if look.fading else "open", reason="",
            symbol=self.buy.symbol, base=self.buy.base, quote=self.buy.quote, kind=self.buy.kind,
            buy=self.buy.key, sell=self.sell.key, buy_venue=self.buy.venue, sell_venue=self.sell.venue,
            opened=self._opened, closed=None, peak_bps=peak_bps, peak_t=peak_t, updates=updates,
            buy_px=ask, sell_px=bid, touch_net_bps=self.net_touch_bps(ask, bid),
            qty=walk.qty, size=walk.cost, buy_vwap=walk.buy_vwap, sell_vwap=walk.sell_vwap,
            gross=walk.gross, fees=fees, net=walk.net,
            gross_bps=walk.gross_bps or 0.0, fees_bps=fees / walk.cost * 1e4, net_bps=walk.net_bps or 0.0,
            buy_cost=walk.cost, sell_proceeds=walk.proceeds + bill.buffer, levels=walk.fills,
            order_qty=order.qty, net_at_order=order.net, net_bps_at_order=order.net_bps,
            indicative_pct=indicative_spread(mid_buy, mid_sell),
            indicative_profit_pct=indicative_profit(mid_buy, mid_sell, self.cost_buy.fee * 100.0, self.cost_sell.fee * 100.0),
            fee_buy_bps=self.cost_buy.fee * 1e4, fee_sell_bps=self.cost_sell.fee * 1e4, fee_slack_bps=self.slack_bps(walk),
            buy_age_ms=look.ages[0] / MS, sell_age_ms=look.ages[1] / MS, skew_ms=look.skew / MS, max_age_ms=look.limit / MS,
            transfer=bill.transfer, buffer=bill.buffer,
            buy_as=rules.role(self.buy.venue, "buy"), sell_as=rules.role(self.sell.venue, "sell"),
            buy_in_base=self.cost_buy.currency == "base", sell_in_base=self.cost_sell.currency == "base",
            at_least=ends(walk, sides, self.lot),
        )  # fmt: skip


def _mid(touch: tuple[float, float]) -> float | None:
    bid, ask = touch
    return (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else None


def ends(walk: Walk, sides: Sides, lot: float) -> bool:
    """Whether a side as far as it was read ended before the profit did: the best size is at least this."""
    if not any(at >= len(side) - 1 for at, side in zip(walk.levels, sides, strict=True)):
        return False
    return min(sum(size for _, size in side) for side in sides) <= walk.qty + lot


def common_lot(a: float, b: float) -> float:
    """Least common multiple of two lots (0.0 = not known)."""
    if a <= 0.0 or b <= 0.0:
        return max(a, b, 0.0)
    unit = 1e-12
    return math.lcm(round(a / unit), round(b / unit)) * unit
