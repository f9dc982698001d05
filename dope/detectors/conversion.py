"""Cross-quote arbitrage: buy for one currency, sell for another, and exchange the one for the other in a live market.

Definition: spot markets of one base and two quote currencies are compared only through a market that exchanges these currencies
(USDT-USD), at its executable side and with its depth and fee in the walk (``exchange.py``). All three books must be LIVE and fresh.
Without a fresh exchange there is no opportunity, only a row that says so (``crossings``); no currency is ever taken for another.
Signals are ``Opportunity`` of the kind "cross-quote", their money in the exchange's quote currency, their exchange in ``via``.
Looked at with every tick; nothing is done per message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.exchange import Bill, Exchange, Priced, Terms, both_kept, priced
from dope.detectors.indicative import indicative_profit, indicative_spread
from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.detectors.looks import Looks, fresh, limit_ns
from dope.detectors.opportunity import LEGS, MS, Opportunity
from dope.detectors.pair import MAX_GAP_NS, common_lot
from dope.market.loops import BPS, BUY, SELL, Loops, kept
from dope.market.market import Market
from dope.market.walk import NOTHING, Walk
from dope.symbols import DOLLARS
from dope.types import LIVE, BookState, Event, Instrument, Listed, Setting, Tick

KIND = "cross-quote"
FIAT = frozenset(("EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "SGD", "KRW", "TRY", "BRL", "PLN", "MXN", "EURC"))
MONEY = DOLLARS | FIAT  #: currencies in which prices are quoted and which are exchanged for each other


class CrossPair:
    """One ordered pair of markets in two currencies and the life it may be in."""

    __slots__ = ("buy", "exchange", "id", "last", "life", "looked", "seen", "sell")

    def __init__(self, buy: Instrument, sell: Instrument, exchange: Exchange, rules: LifeRules) -> None:
        self.buy, self.sell, self.exchange = buy, sell, exchange
        self.life = Lifecycle(rules)
        self.last: Opportunity | None = None
        self.id, self.looked, self.seen = 0, 0, list[int]()  # see ``looks.Candidate``

    @property
    def buys_coin(self) -> bool:
        """Whether the exchange's coin is what is paid with; otherwise it is what is received."""
        return self.buy.quote == self.exchange.coin

    def markets(self) -> tuple[str, ...]:
        """Its two markets, and all that may exchange their currencies."""
        return (*self.route, *(each.key for each in self.exchange.markets))

    @property
    def route(self) -> tuple[str, str]:
        """(buy key, sell key)."""
        return self.buy.key, self.sell.key


class CrossQuote:
    """All pairs of spot markets of one base whose quote currencies differ and can be exchanged. ``arbitrage`` has rules, fees and ids."""

    KINDS = (Listed, BookState, Tick, Setting)

    def __init__(self, arbitrage: Arbitrage) -> None:
        self.arbitrage = arbitrage
        self.pairs: dict[tuple[str, str], CrossPair] = {}  #: (buy key, sell key) → pair
        self.exchanges: dict[tuple[str, str], Exchange] = {}  #: (coin, money)
        self.looks = Looks()
        self._spots: dict[str, Instrument] = {}
        self._live: dict[tuple[str, str], CrossPair] = {}
        self._order: list[CrossPair] = []
        self._loops: Loops | None = None  # None = to be built anew

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            return self._tick(market, event.ts) if self.pairs else ()
        if isinstance(event, BookState):
            return self._left(event) if event.state != LIVE and self._live else ()
        if isinstance(event, Listed):
            self._list(event.instrument)
        elif isinstance(event, Setting):
            for pair in self.pairs.values():
                pair.life.rules = self._rules()
            self._loops = None
        return ()

    def rows(self) -> list[Opportunity]:
        """The lives that are open now, as last looked at."""
        return [pair.last for pair in self._open() if pair.last is not None]

    def _open(self) -> list[CrossPair]:
        return [pair for _, pair in sorted(self._live.items())]

    def _rules(self) -> LifeRules:
        rules = self.arbitrage.rules
        return LifeRules(rules.enter, rules.leave, rules.debounce, MAX_GAP_NS)

    # -- pairs -------------------------------------------------------------------------------------------------------
    def _list(self, new: Instrument) -> None:
        if new.kind != "spot" or new.contract_value is None or (new.venue, new.kind) not in self.arbitrage.costs:
            return
        known, self._spots[new.key] = new.key in self._spots, new
        self._loops = None
        if known:
            self._relist(new)
            return
        exchanges = {new.base, new.quote} <= MONEY
        if exchanges:
            self.exchanges.setdefault((new.base, new.quote), Exchange(new.base, new.quote)).markets.append(new)
        for one in list(self._spots.values()) if exchanges else (new,):
            for other in self._spots.values():
                self._pair(one, other)

    def _relist(self, new: Instrument) -> None:
        """It has other lots or least sizes now."""
        for exchange in self.exchanges.values():
            exchange.markets[:] = [new if old.key == new.key else old for old in exchange.markets]
        for pair in self.pairs.values():
            pair.buy = new if pair.buy.key == new.key else pair.buy
            pair.sell = new if pair.sell.key == new.key else pair.sell

    def _pair(self, one: Instrument, other: Instrument) -> None:
        if one.base != other.base or one.quote == other.quote or (one.key, other.key) in self.pairs:
            return
        exchange = self.exchanges.get((one.quote, other.quote)) or self.exchanges.get((other.quote, one.quote))
        if exchange is not None:
            for buy, sell in ((one, other), (other, one)):
                self.pairs[(buy.key, sell.key)] = CrossPair(buy, sell, exchange, self._rules())

    def _build(self, market: Market) -> Loops:
        """All loops with the fees that are in force."""
        books = market.books
        rules, keeps = self.arbitrage.rules, {}
        for spot in self._spots.values():
            buys, sells = (self.terms(spot, rules.role(spot.venue, leg)) for leg in LEGS)
            keeps[books[spot.key].slot] = both_kept(buys, sells)
        numbers = {key: number for number, key in enumerate(self.exchanges)}
        groups = [[books[each.key].slot for each in exchange.markets] for exchange in self.exchanges.values()]
        self._order, loops = list(self.pairs.values()), []
        for pair in self._order:
            group = numbers[(pair.exchange.coin, pair.exchange.money)]
            loops.append((
                (False, books[pair.buy.key].slot, BUY), (False, books[pair.sell.key].slot, SELL),
                (True, group, BUY if pair.buys_coin else SELL),
            ))  # fmt: skip
        return Loops(keeps, groups, loops)

    # -- in time -----------------------------------------------------------------------------------------------------
    def _tick(self, market: Market, now: int) -> Sequence[Opportunity]:
        loops = self._loops
        if loops is None:
            loops = self._loops = self._build(market)
        near = loops.near(market.slots, max(self.arbitrage.rules.enter, 0.0))
        if not near and not self._live:
            return ()
        due = {self._order[number].route: self._order[number] for number in near} | self._live
        return [told for pair in self.looks.due(due.values(), market, now) for told in self._look(pair, market, now)]

    def _left(self, event: BookState) -> list[Opportunity]:
        """A market is no longer LIVE: what is open through it ends as stale."""
        out: list[Opportunity] = []
        for pair in self._open():
            if pair.last is not None and event.key in (*pair.route, pair.last.via):
                out += self._tell(pair, pair.life.update(event.ts, None), event.ts)
        return out

    # -- one pair ----------------------------------------------------------------------------------------------------
    def terms(self, each: Instrument, role: str = "taker") -> Terms:
        """The fee of a market."""
        return Terms.of(self.arbitrage.costs[(each.venue, each.kind)].of(role))

    def spots(self) -> list[Instrument]:
        """All spot markets with a known fee."""
        return list(self._spots.values())

    def all_terms(self, pair: CrossPair, via: Instrument) -> tuple[Terms, Terms, Terms]:
        """Fees of buying, of selling, and of the exchange, which is always taken."""
        rules = self.arbitrage.rules
        buys, sells = rules.role(pair.buy.venue, "buy"), rules.role(pair.sell.venue, "sell")
        return self.terms(pair.buy, buys), self.terms(pair.sell, sells), self.terms(via)

    def wall_bps(self, pair: CrossPair, via: Instrument) -> float:
        """By so much the legs' prices must differ for the three fees and what is held back."""
        back = 1.0
        for terms, side in zip(self.all_terms(pair, via), (BUY, SELL, BUY if pair.buys_coin else SELL), strict=True):
            back *= kept(terms.fee, terms.in_base)[side]
        return (1.0 / (back - self.arbitrage.rules.buffer_bps / BPS) - 1.0) * BPS

    def limit_ns(self, pair: CrossPair, via: Instrument, market: Market) -> int:
        """Oldest that any of the three books may be, from the three fees and the liveliest book's volatility."""
        books = [market.books[each.key] for each in (pair.buy, pair.sell, via)]
        return limit_ns(books, self.wall_bps(pair, via), self.arbitrage.rules.max_age_s)

    def via(self, pair: CrossPair, market: Market, now: int) -> Instrument | None:
        """The cheapest exchange at its touch, fee included, of those through which this pair is fresh; None = no opportunity."""
        found: list[tuple[float, Instrument]] = []
        for each in pair.exchange.markets:
            bid, _, ask, _ = market.books[each.key].touch()
            if bid <= 0.0 or ask <= 0.0:
                continue
            books = [market.books[key] for key in (*pair.route, each.key)]
            if fresh(books, self.limit_ns(pair, each, market), market, now):
                terms = self.terms(each)
                sells, buys = kept(terms.fee, terms.in_base)
                found.append((buys / ask if pair.buys_coin else bid * sells, each))
        return max(found, key=lambda each: each[0])[1] if found else None

    def price(self, pair: CrossPair, via: Instrument, market: Market) -> Priced | None:
        """Both legs in the exchange's money, as the books stand."""
        buy, sell, exchange = (market.books[each.key] for each in (pair.buy, pair.sell, via))
        rules = self.arbitrage.rules
        return priced(
            buy, sell, exchange, self.all_terms(pair, via), buys_coin=pair.buys_coin, buffer=rules.buffer_bps / BPS, transfer=rules.transfer
        )

    def _look(self, pair: CrossPair, market: Market, now: int) -> list[Opportunity]:
        via = self.via(pair, market, now)
        figures = None if via is None else self.price(pair, via, market)
        if via is None or figures is None:
            return self._tell(pair, pair.life.update(now, None), now) if pair.life.life is not None else []
        walk = figures.walk(common_lot(pair.buy.lot, pair.sell.lot))
        least = max(self.arbitrage.rules.min_notional, pair.buy.min_notional, pair.sell.min_notional, via.min_notional)
        if walk is NOTHING or walk.cost < least:
            if pair.life.life is None:
                return []
            lives = pair.life.update(now, min(figures.net_touch_bps, -1e-9) if walk is NOTHING else -math.inf)
            if pair.life.life is not None and pair.last is not None:
                pair.last = msgspec.structs.replace(pair.last, ts=now, state="fading", updates=pair.life.life.updates)
            return self._tell(pair, lives, now)
        bill = figures.bill(walk)
        lives = pair.life.update(now, walk.net / bill.cost * BPS)
        out = self._tell(pair, [life for life in lives if life.close is not None], now)
        life = pair.life.life
        if life is None:
            return out
        begins = any(each is life for each in lives)
        if begins:
            self.arbitrage.opened += 1
            pair.id = self.arbitrage.opened
            self._live[pair.route] = pair
        pair.last = self._describe(pair, market, now, via, (figures, walk, bill))
        return [*out, pair.last] if begins else out

    def _tell(self, pair: CrossPair, lives: list[Life], now: int) -> list[Opportunity]:
        """Signals of the lives that ended."""
        out: list[Opportunity] = []
        for life in lives:
            if life.close is None or pair.last is None:
                continue
            out.append(msgspec.structs.replace(
                pair.last, ts=now, state="stale" if life.reason == "stale" else "closed", reason=life.reason, closed=life.close,
                peak_bps=life.peak_bps, peak_t=life.peak_t, updates=life.updates,
            ))  # fmt: skip
            self.arbitrage.closed += 1
            pair.last, pair.id, pair.seen = None, 0, []
            self._live.pop(pair.route, None)
        return out

    def _describe(self, pair: CrossPair, market: Market, now: int, via: Instrument, walked: tuple[Priced, Walk, Bill]) -> Opportunity:
        (figures, walk, bill), life = walked, pair.life.life
        assert life is not None
        order = figures.walk(common_lot(pair.buy.lot, pair.sell.lot), max_quote=self.arbitrage.rules.order_size, fill_all=True)
        buy, sell, exchange = (market.books[each.key] for each in (pair.buy, pair.sell, via))
        buys_coin, per_cost = pair.buys_coin, BPS / bill.cost
        mid_buy, mid_sell, mid = buy.mid() or 0.0, sell.mid() or 0.0, exchange.mid() or 1.0
        mids = (mid_buy * mid, mid_sell) if buys_coin else (mid_buy, mid_sell * mid)
        terms, rules = self.all_terms(pair, via), self.arbitrage.rules
        buffer = bill.earned * rules.buffer_bps / BPS
        seen = [max(book.own_ts, book.quote_ts) for book in (buy, sell, exchange)]
        gross, fees = bill.earned - bill.spent, bill.cost - bill.spent + bill.earned - bill.proceeds - buffer
        net_bps = walk.net * per_cost
        return Opportunity(
            ts=now, id=pair.id, state="fading" if pair.life.fading else "open", reason="",
            symbol=f"{pair.buy.base}-{via.quote}", base=pair.buy.base, quote=via.quote, kind=KIND,
            buy=pair.buy.key, sell=pair.sell.key, buy_venue=pair.buy.venue, sell_venue=pair.sell.venue,
            opened=life.open, closed=None, peak_bps=life.peak_bps, peak_t=life.peak_t, updates=life.updates,
            buy_px=buy.touch()[2], sell_px=sell.touch()[0], touch_net_bps=figures.net_touch_bps,
            qty=walk.qty, size=bill.cost, buy_vwap=bill.spent / walk.qty, sell_vwap=bill.earned / walk.qty,
            gross=gross, fees=fees, net=walk.net,
            gross_bps=gross * per_cost, fees_bps=fees * per_cost, net_bps=net_bps,
            buy_cost=bill.cost, sell_proceeds=bill.proceeds, levels=bill.levels,
            order_qty=order.qty, net_at_order=order.net, net_bps_at_order=order.net_bps,
            indicative_pct=indicative_spread(*mids),
            indicative_profit_pct=indicative_profit(*mids, terms[0].fee * 100.0, (terms[1].fee + terms[2].fee) * 100.0),
            fee_buy_bps=terms[0].fee * BPS, fee_sell_bps=terms[1].fee * BPS, fee_slack_bps=figures.slack_bps(walk),
            buy_age_ms=market.age(buy, now) / MS, sell_age_ms=market.age(sell, now) / MS, skew_ms=(max(seen) - min(seen)) / MS,
            max_age_ms=self.limit_ns(pair, via, market) / MS,
            via=via.key, via_px=exchange.touch()[2 if buys_coin else 0],
            conversion=bill.conversion, conversion_bps=bill.conversion * per_cost,
            transfer=rules.transfer, buffer=buffer,
            buy_as=rules.role(pair.buy.venue, "buy"), sell_as=rules.role(pair.sell.venue, "sell"),
            buy_in_base=terms[0].in_base, sell_in_base=terms[1].in_base,
        )  # fmt: skip
