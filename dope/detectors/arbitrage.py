"""Cross-venue arbitrage: buy the same thing here, sell it there, at executable size, after both fees.

Definition: for every ordered pair of comparable markets (same base, same quote currency, same kind; spot against
perpetual is basis, never an opportunity) the walk of both books (``market/walk.py``) gives the size of the largest
profit and that profit. Both legs must be LIVE and their confirmed age within the limit of ``market/freshness.py``.
One signal when a life opens and one when it closes (faded or stale); the rows in between are read from ``rows()``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from dope.detectors.lifecycle import Life, LifeRules
from dope.detectors.opportunity import MS, Cost, Opportunity, Rules, Terms
from dope.detectors.pair import MAX_GAP_NS, Look, Pair, Sides, common_lot
from dope.market.book import Book
from dope.market.freshness import age_limit_ns
from dope.market.market import Market
from dope.market.walk import NOTHING, Walk
from dope.types import SENTINEL, BookState, DepthChange, Event, Fault, Instrument, Listed, Setting, Tick, Touch

__all__ = ["MAX_GAP_NS", "MS", "Arbitrage", "Cost", "Opportunity", "Pair", "Rules", "Sides", "Terms", "common_lot"]

NEAR_BPS = 2.0  #: a pair this close to the enter level is walked and its depth watched
RECHECK_NS = 100_000_000  #: open lives are looked at this often even when nothing moves: ages grow
LEGS = ("spot", "perp", SENTINEL)  #: kinds of markets that may be legs; each only with its own

_terms = msgspec.json.Decoder(Terms)


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
        return [row for key in sorted(self._live) if (row := self.pairs[key].row()) is not None]

    def set_rules(self, rules: Rules, market: Market) -> None:
        """Take new levels and sizes; open lives go on under them."""
        self.rules = rules
        market.watch_level(rules.enter - NEAR_BPS)
        for pair in self.pairs.values():
            pair.row()
            pair.life.rules = LifeRules(rules.enter, rules.leave, rules.debounce, MAX_GAP_NS)
            pair.take(pair.buy, pair.sell, rules)
            self._charge(pair, market)

    def terms(self, rules: Rules) -> bytes:
        """The payload of a SET frame: these rules, and the fees as they are."""
        return msgspec.json.encode(Terms(rules, tuple((venue, kind, cost) for (venue, kind), cost in self.costs.items())))

    def charges(self, costs: Mapping[tuple[str, str], Cost]) -> bytes:
        """The payload of a SET frame: these fees, the rules as they are."""
        return msgspec.json.encode(Terms(None, tuple((venue, kind, cost) for (venue, kind), cost in costs.items())))

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
            self._charge(pair, market)

    def _charge(self, pair: Pair, market: Market) -> None:
        """Have a pair reckon with the fees and rules in force."""
        before = pair.wall_bps
        pair.row()
        pair.charge((self.costs[(pair.buy.venue, pair.buy.kind)], self.costs[(pair.sell.venue, pair.sell.kind)]), self.rules)
        if pair.wall_bps != before:
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
            pair.row()
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
        walk = pair.best(sides)
        if not pair.takes(walk):
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
                pair.look = self._seen(pair, market, now, (walk, sides), pair.life.life)
                self._live.add((pair.buy.key, pair.sell.key))
                opened = pair.row()
                assert opened is not None
                return [*out, opened]
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
        if walk is not NOTHING:
            pair.look = self._seen(pair, market, now, walked, life)
        elif (row := pair.row()) is not None:
            pair.last = msgspec.structs.replace(row, ts=now, state="fading", updates=life.updates)

    def _seen(self, pair: Pair, market: Market, now: int, walked: tuple[Walk, Sides], life: Life) -> Look:
        """What the row of a life is made of, as of now: whether anybody will read it, nobody knows yet."""
        buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
        return Look(
            now, *walked, life, (life.peak_bps, life.peak_t, life.updates), pair.life.fading, buy.touch(), sell.touch(),
            (market.age(buy, now), market.age(sell, now)), abs(_spoke(buy) - _spoke(sell)), self.limit_ns(pair, market), self.rules,
        )  # fmt: skip

    def _tell(self, pair: Pair, lives: list[Life], now: int, market: Market) -> list[Opportunity]:
        """Signals of the lives that ended."""
        out: list[Opportunity] = []
        for life in lives:
            if life.close is None or (last := pair.row()) is None:
                continue
            state = "stale" if life.reason == "stale" else "closed"
            done = msgspec.structs.replace(
                last, ts=now, state=state, reason=life.reason, closed=life.close,
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


def _spoke(book: Book) -> int:
    """When this book last spoke for itself, levels or quote."""
    return max(book.own_ts, book.quote_ts)
