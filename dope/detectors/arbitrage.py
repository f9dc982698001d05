"""Cross-venue arbitrage: buy the same thing here, sell it there, at executable size, after both fees.

Definition: for every ordered pair of comparable markets (same base, same quote currency, same kind; spot against
perpetual is basis, never an opportunity) the walk of both books (``market/walk.py``) gives the size of the largest
profit and that profit. Both legs must be LIVE and their confirmed age within the limit of ``market/freshness.py``.
One signal when a life opens and one when it closes (faded or stale); the rows in between are read from ``rows()``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from dope.detectors.indicative import indicative_profit, indicative_spread
from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.market.book import Book
from dope.market.freshness import age_limit_ns
from dope.market.market import Market
from dope.market.walk import NOTHING, Level, Walk, two_book
from dope.types import SENTINEL, BookState, DepthChange, Event, Fault, Instrument, Listed, Setting, Tick, Touch

WALK_LEVELS = 50  #: levels per side that a walk may use
NEAR_BPS = 2.0  #: a pair this close to the enter level is walked and its depth watched
RECHECK_NS = 100_000_000  #: open lives are looked at this often even when nothing moves: ages grow
MAX_GAP_NS = 1_000_000_000  #: no look at an open life for longer than this: it is closed as stale
MS = 1_000_000
LEGS = ("spot", "perp", SENTINEL)  #: kinds of markets that may be legs; each only with its own


class Cost(msgspec.Struct, frozen=True):
    """Taker fee of one market: a fraction of the notional, taken in "base" or "quote" on a buy."""

    fee: float
    currency: str = "quote"
    source: str = ""
    as_of: str = ""


class Rules(msgspec.Struct, frozen=True):
    """``enter``/``leave`` in bps of the buy cost; sizes in quote currency; ``debounce`` ns; ``max_age_s`` caps the limit."""

    enter: float = 0.0
    leave: float = -1.0
    order_size: float = 1000.0
    min_notional: float = 10.0
    debounce: int = 50 * MS
    max_age_s: float = 5.0


class Terms(msgspec.Struct, frozen=True):
    """What a SET frame carries, as JSON: the rules from now on and the fees as (venue, kind, cost); None = as before."""

    rules: Rules | None = None
    costs: tuple[tuple[str, str, Cost], ...] | None = None


_terms = msgspec.json.Decoder(Terms)


class Opportunity(Event, frozen=True):
    """One life of an opportunity as it stands at ``ts``; money in the quote currency, sizes in base, times in ns.

    ``gross_bps − fees_bps = net_bps`` (all of the buy cost with fee) and ``gross − fees = net``, for the ``fills`` of
    the optimum; the ``…_at_order`` figures are the same walk for the user's order size, at a loss if need be.

    Of the kind "cross-quote" the legs are in two currencies: ``buy_px`` and ``sell_px`` each in its own, everything else in the quote
    currency of the exchange ``via`` (a market's key; ``via_px`` = its executable side), at whose mid the other one is valued;
    ``conversion`` = what it takes beyond that: ``gross − fees − conversion = net``.
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

    @property
    def life_s(self) -> float:
        """Seconds from opening to close, or to now."""
        return ((self.ts if self.closed is None else self.closed) - self.opened) / 1e9


Sides = tuple[list[Level], list[Level]]  #: (asks where it is bought, bids where it is sold), best first


class Pair:
    """One ordered pair of markets and the life it may be in."""

    __slots__ = (
        "buy", "cost_buy", "cost_sell", "fee_buy", "id", "last", "life", "lot", "min_notional", "number", "sell", "wall_bps", "watched",
    )  # fmt: skip

    def __init__(self, buy: Instrument, sell: Instrument, costs: tuple[Cost, Cost], rules: Rules) -> None:
        self.number = -1  # among the pairs that the market watches
        self.charge(costs)
        self.take(buy, sell, rules)
        self.life = Lifecycle(LifeRules(rules.enter, rules.leave, rules.debounce, MAX_GAP_NS))
        self.last: Opportunity | None = None
        self.id, self.watched = 0, False

    def take(self, buy: Instrument, sell: Instrument, rules: Rules) -> None:
        """Take the lots and least sizes of these two."""
        self.buy, self.sell = buy, sell
        self.lot = common_lot(buy.lot, sell.lot)
        self.min_notional = max(rules.min_notional, buy.min_notional, sell.min_notional)

    def charge(self, costs: tuple[Cost, Cost]) -> None:
        """Reckon with these fees of buying and selling."""
        self.cost_buy, self.cost_sell = costs
        fb = costs[0].fee
        # a fee taken in base: less is received than bought, so each unit received costs fb/(1−fb) on top
        self.fee_buy = fb / (1.0 - fb) if costs[0].currency == "base" else fb
        self.wall_bps = ((1.0 + self.fee_buy) / (1.0 - costs[1].fee) - 1.0) * 1e4

    def net_touch_bps(self, ask: float, bid: float) -> float:
        """Net of fees at the touch, bps of the buy cost; the net matrix is exactly this."""
        return (bid * (1.0 - self.cost_sell.fee) / (ask * (1.0 + self.fee_buy)) - 1.0) * 1e4

    def sides(self, market: Market) -> Sides:
        """What can be bought and sold as the books stand now, for any number of walks."""
        asks = market.books[self.buy.key].levels("ask", WALK_LEVELS)
        bids = market.books[self.sell.key].levels("bid", WALK_LEVELS)
        if self.cost_buy.currency == "base":
            kept = 1.0 - self.cost_buy.fee
            asks = [(price, size * kept) for price, size in asks]
        return asks, bids

    def walk(self, sides: Sides, *, max_quote: float = math.inf, fill_all: bool = False) -> Walk:
        """The depth walk of this pair."""
        asks, bids = sides
        return two_book(asks, bids, self.fee_buy, self.cost_sell.fee, max_quote=max_quote, lot=self.lot, fill_all=fill_all)


def common_lot(a: float, b: float) -> float:
    """Least common multiple of two lots (0.0 = not known)."""
    if a <= 0.0 or b <= 0.0:
        return max(a, b, 0.0)
    unit = 1e-12
    return math.lcm(round(a / unit), round(b / unit)) * unit


class Arbitrage:
    """All ordered pairs of comparable markets; only those of the market that moved are looked at."""

    KINDS = (Listed, Touch, DepthChange, BookState, Tick, Setting)
    NEAR_ONLY = True  #: touches of pairs that are neither open nor near have no effect here

    def __init__(self, costs: dict[tuple[str, str], Cost], rules: Rules | None = None) -> None:
        """``costs``: taker fee by (venue, kind); a market without a known fee is never a leg."""
        self.costs, self.rules = costs, rules or Rules()
        self.pairs: dict[tuple[str, str], Pair] = {}
        self.of: dict[str, list[Pair]] = {}  # key → pairs with that market as a leg
        self._groups: dict[tuple[str, str, str], list[Instrument]] = {}
        self._live: set[tuple[str, str]] = set()
        self.opened = self.closed = 0  #: lives so far
        self.probed = 0  #: lives of the self-test, which are none of those: their ids count downwards
        self._next_check = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        kind = type(event)
        if kind is Touch:
            return self._moved(event.key, market, event.ts)  # type: ignore[attr-defined]
        if kind is DepthChange:
            return self._moved(event.key, market, event.ts)  # type: ignore[attr-defined]
        if kind is Tick:
            return self._recheck(market, event.ts)
        if isinstance(event, BookState):
            return self._left(event, market) if event.state != "LIVE" else ()
        if isinstance(event, Listed):
            self._list(event.instrument, market)
        elif isinstance(event, Setting):
            return self._set(event, market)
        return ()

    def rows(self) -> list[Opportunity]:
        """The lives that are open now, as last looked at."""
        return [row for row in self._last() if row.kind != SENTINEL]

    def probes(self) -> list[Opportunity]:
        """Those of the self-test."""
        return [row for row in self._last() if row.kind == SENTINEL]

    def _last(self) -> list[Opportunity]:
        return [row for key in sorted(self._live) if (row := self.pairs[key].last) is not None]

    def set_rules(self, rules: Rules, market: Market) -> None:
        """Take new levels and sizes; open lives go on under them."""
        self.rules = rules
        market.watch_level(rules.enter - NEAR_BPS)
        for pair in self.pairs.values():
            pair.life.rules = LifeRules(rules.enter, rules.leave, rules.debounce, MAX_GAP_NS)
            pair.min_notional = max(rules.min_notional, pair.buy.min_notional, pair.sell.min_notional)

    def terms(self, rules: Rules) -> bytes:
        """The payload of a SET frame: these rules, and the fees as they are."""
        return msgspec.json.encode(Terms(rules, tuple((venue, kind, cost) for (venue, kind), cost in self.costs.items())))

    def _set(self, event: Setting, market: Market) -> Sequence[Event]:
        try:
            terms = _terms.decode(event.data)
        except msgspec.DecodeError as error:
            return (Fault(event.ts, "", "", f"settings that cannot be read: {error}", event.data[:200]),)
        if terms.costs is not None:
            self._set_costs({(venue, kind): cost for venue, kind, cost in terms.costs}, market)
        if terms.rules is not None:
            self.set_rules(terms.rules, market)
        return ()

    def _set_costs(self, costs: dict[tuple[str, str], Cost], market: Market) -> None:
        """Take other fees; a market that is a leg already and whose fee is no longer known keeps the old one."""
        self.costs = self.costs | costs if self.of else costs
        for pair in self.pairs.values():
            both = self.costs[(pair.buy.venue, pair.buy.kind)], self.costs[(pair.sell.venue, pair.sell.kind)]
            if both != (pair.cost_buy, pair.cost_sell):
                pair.charge(both)
                market.watch_wall(pair.number, pair.wall_bps)

    # -- pairs -------------------------------------------------------------------------------------------------------
    def _list(self, instrument: Instrument, market: Market) -> None:
        cost = self.costs.get((instrument.venue, instrument.kind))
        if instrument.key in self.of:
            self._relist(instrument)
            return
        if instrument.kind not in LEGS or instrument.contract_value is None or cost is None:
            return
        self.of[instrument.key] = []
        peers = self._groups.setdefault((instrument.base, instrument.quote, instrument.kind), [])
        for peer in peers:
            peer_cost = self.costs[(peer.venue, peer.kind)]
            for buy, sell, costs in ((instrument, peer, (cost, peer_cost)), (peer, instrument, (peer_cost, cost))):
                pair = Pair(buy, sell, costs, self.rules)
                self.pairs[(buy.key, sell.key)] = pair
                self.of[buy.key].append(pair)
                self.of[sell.key].append(pair)
                pair.number = market.watch_pair(buy.key, sell.key, pair.wall_bps)
        market.watch_level(self.rules.enter - NEAR_BPS)
        peers.append(instrument)

    def _relist(self, new: Instrument) -> None:
        """A market that is a leg already has other lots or least sizes now."""
        for pair in self.of[new.key]:
            pair.take(new if pair.buy.key == new.key else pair.buy, new if pair.sell.key == new.key else pair.sell, self.rules)
        peers = self._groups[(new.base, new.quote, new.kind)]
        peers[:] = [new if old.key == new.key else old for old in peers]

    def _moved(self, key: str, market: Market, now: int) -> Sequence[Opportunity]:
        out: list[Opportunity] | tuple[()] = ()
        enter = self.rules.enter - NEAR_BPS
        books = market.books
        for pair in self.of.get(key, ()):
            buy, sell = books[pair.buy.key], books[pair.sell.key]
            if pair.life.life is None:
                ask, bid = buy.touch()[2], sell.touch()[0]
                if ask <= 0.0 or bid <= 0.0 or (bid / ask - 1.0) * 1e4 - pair.wall_bps < enter:
                    if pair.watched:
                        self._watch(pair, market, False)
                    continue
            found = self._look(pair, market, now)
            if found:
                out = [*out, *found]
        return out

    def _left(self, event: BookState, market: Market) -> list[Opportunity]:
        """A leg is no longer LIVE: its lives end as stale."""
        out: list[Opportunity] = []
        for pair in self.of.get(event.key, ()):
            if pair.life.life is not None:
                out += self._tell(pair, pair.life.update(event.ts, None), event.ts, market)
        return out

    def _recheck(self, market: Market, now: int) -> list[Opportunity]:
        if now < self._next_check:
            return []
        self._next_check = now + RECHECK_NS
        out: list[Opportunity] = []
        for key in sorted(self._live):
            out += self._look(self.pairs[key], market, now)
        return out

    # -- one pair ----------------------------------------------------------------------------------------------------
    def limit_ns(self, pair: Pair, market: Market) -> int:
        """Oldest that a leg of this pair may be, from its fee wall and the livelier leg's volatility."""
        sigma = max(market.books[pair.buy.key].sigma, market.books[pair.sell.key].sigma)
        return age_limit_ns(pair.wall_bps, sigma, self.rules.max_age_s)

    def usable(self, pair: Pair, market: Market, now: int) -> bool:
        """Both legs LIVE and fresh, and neither silent beyond its habit: a venue that froze is seen before the other has moved past it."""
        buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
        if not buy.state == sell.state == "LIVE":
            return False
        limit = self.limit_ns(pair, market)
        return all(market.age(book, now) <= min(limit, book.rhythm.limit_ns()) for book in (buy, sell))

    def _look(self, pair: Pair, market: Market, now: int) -> list[Opportunity]:
        if not self.usable(pair, market, now):
            return self._tell(pair, pair.life.update(now, None), now, market) if pair.life.life is not None else []
        if not pair.watched:
            self._watch(pair, market, True)
        sides = pair.sides(market)
        walk = pair.walk(sides)
        if walk is NOTHING or walk.cost < pair.min_notional:
            buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
            ask, bid = buy.touch()[2], sell.touch()[0]
            net = min(pair.net_touch_bps(ask, bid), -1e-9) if ask > 0.0 and bid > 0.0 else -math.inf
            too_small = walk is not NOTHING
            lives = pair.life.update(now, -math.inf if too_small else net)
            self._refresh(pair, market, now, (walk, sides)) if pair.life.life is not None and not too_small else None
            return self._tell(pair, lives, now, market)
        assert walk.net_bps is not None
        lives = pair.life.update(now, walk.net_bps)
        if pair.life.life is not None:
            if not pair.id or any(life.close is None for life in lives):
                closed = [life for life in lives if life.close is not None]
                out = self._tell(pair, closed, now, market)
                pair.id = self._number(pair)
                pair.last = self._describe(pair, market, now, (walk, sides), pair.life.life)
                self._live.add((pair.buy.key, pair.sell.key))
                return [*out, pair.last]
            self._refresh(pair, market, now, (walk, sides))
        return self._tell(pair, lives, now, market)

    def _number(self, pair: Pair) -> int:
        """The id of a life that begins."""
        if pair.buy.kind == SENTINEL:
            self.probed += 1
            return -self.probed
        self.opened += 1
        return self.opened

    def _refresh(self, pair: Pair, market: Market, now: int, walked: tuple[Walk, Sides]) -> None:
        life, walk = pair.life.life, walked[0]
        if life is None:
            return
        if walk is NOTHING and pair.last is not None:
            pair.last = msgspec.structs.replace(pair.last, ts=now, state="fading", updates=life.updates)
        elif walk is not NOTHING:
            pair.last = self._describe(pair, market, now, walked, life)

    def _tell(self, pair: Pair, lives: list[Life], now: int, market: Market) -> list[Opportunity]:
        """Signals of the lives that ended."""
        out: list[Opportunity] = []
        for life in lives:
            if life.close is None or pair.last is None:
                continue
            state = "stale" if life.reason == "stale" else "closed"
            done = msgspec.structs.replace(
                pair.last, ts=now, state=state, reason=life.reason, closed=life.close,
                peak_bps=life.peak_bps, peak_t=life.peak_t, updates=life.updates,
            )  # fmt: skip
            out.append(done)
            self.closed += pair.buy.kind != SENTINEL
            pair.last, pair.id = None, 0
            self._live.discard((pair.buy.key, pair.sell.key))
        return out

    def _watch(self, pair: Pair, market: Market, on: bool) -> None:
        """Have changes behind the touch told while a pair is open or near."""
        pair.watched = on
        for key in (pair.buy.key, pair.sell.key):
            if on:
                market.watch(key, True)
            elif not any(p.watched for p in self.of[key]):
                market.watch(key, False)

    def _describe(self, pair: Pair, market: Market, now: int, walked: tuple[Walk, Sides], life: Life) -> Opportunity:
        walk, sides = walked
        buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
        order = pair.walk(sides, max_quote=self.rules.order_size, fill_all=True)
        ask, bid = buy.touch()[2], sell.touch()[0]
        buy_age, sell_age = market.age(buy, now), market.age(sell, now)
        mid_buy, mid_sell = buy.mid() or ask, sell.mid() or bid
        fee_b, fee_s = pair.cost_buy.fee, pair.cost_sell.fee
        return Opportunity(
            ts=now, id=pair.id, state="fading" if pair.life.fading else "open", reason="",
            symbol=pair.buy.symbol, base=pair.buy.base, quote=pair.buy.quote, kind=pair.buy.kind,
            buy=pair.buy.key, sell=pair.sell.key, buy_venue=pair.buy.venue, sell_venue=pair.sell.venue,
            opened=life.open, closed=None, peak_bps=life.peak_bps, peak_t=life.peak_t, updates=life.updates,
            buy_px=ask, sell_px=bid, touch_net_bps=pair.net_touch_bps(ask, bid),
            qty=walk.qty, size=walk.cost, buy_vwap=walk.buy_vwap, sell_vwap=walk.sell_vwap,
            gross=walk.gross, fees=walk.fees, net=walk.net,
            gross_bps=walk.gross_bps or 0.0, fees_bps=walk.fees_bps or 0.0, net_bps=walk.net_bps or 0.0,
            buy_cost=walk.cost, sell_proceeds=walk.proceeds, levels=walk.fills,
            order_qty=order.qty, net_at_order=order.net, net_bps_at_order=order.net_bps,
            indicative_pct=indicative_spread(mid_buy, mid_sell),
            indicative_profit_pct=indicative_profit(mid_buy, mid_sell, fee_b * 100.0, fee_s * 100.0),
            fee_buy_bps=fee_b * 1e4, fee_sell_bps=fee_s * 1e4, fee_slack_bps=walk.net_bps or 0.0,
            buy_age_ms=buy_age / MS, sell_age_ms=sell_age / MS, skew_ms=abs(_seen(buy) - _seen(sell)) / MS,
            max_age_ms=self.limit_ns(pair, market) / MS,
        )  # fmt: skip


def _seen(book: Book) -> int:
    """When this book last spoke for itself, levels or quote."""
    return max(book.own_ts, book.quote_ts)


def near_misses(arbitrage: Arbitrage, market: Market, now: int, count: int) -> list[dict[str, Any]]:
    """The ``count`` pairs closest to the enter level without an open life, and the term that blocks each."""
    found: list[tuple[float, dict[str, Any]]] = []
    for pair in arbitrage.pairs.values():
        buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
        ask, bid = buy.touch()[2], sell.touch()[0]
        if pair.life.life is not None or ask <= 0.0 or bid <= 0.0 or pair.buy.kind == SENTINEL:
            continue
        net = pair.net_touch_bps(ask, bid)
        gross = (bid / ask - 1.0) * 1e4
        row = {
            "symbol": pair.buy.symbol, "kind": pair.buy.kind, "buy": pair.buy.key, "sell": pair.sell.key,
            "buy_venue": pair.buy.venue, "sell_venue": pair.sell.venue,
            "gross_bps": gross, "fees_bps": gross - net, "net_bps": net, "blocks": _blocks(arbitrage, pair, market, now, gross, net),
        }  # fmt: skip
        found.append((net, row))
    found.sort(key=lambda item: -item[0])
    return [row for _, row in found[:count]]


def _blocks(arbitrage: Arbitrage, pair: Pair, market: Market, now: int, gross: float, net: float) -> str:
    for leg in (pair.buy, pair.sell):
        book = market.books[leg.key]
        if book.state != "LIVE":
            return f"{leg.venue} is {book.state}: {book.reason}" if book.reason else f"{leg.venue} is {book.state}"
    if not arbitrage.usable(pair, market, now):
        limit = min(arbitrage.limit_ns(pair, market), *(market.books[leg.key].rhythm.limit_ns() for leg in (pair.buy, pair.sell)))
        return f"a leg is older than {limit / MS:.0f} ms"
    if gross <= 0.0:
        return f"prices do not cross: {-gross:.1f} bps apart, and fees of {gross - net:.1f} bps"
    if net < arbitrage.rules.enter:
        return f"needs {arbitrage.rules.enter - net:.1f} bps more; fees take {gross - net:.1f} of {gross:.1f}"
    return f"size below the minimum of {pair.min_notional:g} {pair.buy.quote}"
