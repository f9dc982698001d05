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
import numpy as np

from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.detectors.opportunity import MS, Cost, Opportunity, Rules, Terms
from dope.detectors.pair import MAX_GAP_NS, Pair, common_lot
from dope.detectors.pair_memory import Look, PairMemory, Sides
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
    NEAR_ONLY = True  #: touches with which no pair is due have no effect here

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

    def numbers(self) -> np.ndarray:
        """Numbers of all pairs in the market's memory (``market/pairs.py``), in the order of ``pairs``."""
        return np.array([pair.memory.number for pair in self.pairs.values() if pair.memory is not None], dtype=np.int64)

    def _last(self) -> list[Opportunity]:
        return [row for key in sorted(self._live) if (row := self.pairs[key].row()) is not None]

    def set_rules(self, rules: Rules, market: Market) -> None:
        """Take new levels and sizes; open lives go on under them."""
        self.rules = rules
        self._set_levels(market)
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
        pair.row()
        pair.charge((self.costs[(pair.buy.venue, pair.buy.kind)], self.costs[(pair.sell.venue, pair.sell.kind)]), self.rules)

    def _set_levels(self, market: Market) -> None:
        """Have the compiled look go by the rules in force."""
        rules = self.rules
        market.slots.pairs.set_levels(rules.enter - NEAR_BPS, (rules.enter, rules.leave), (rules.debounce, MAX_GAP_NS), rules.max_age_s)

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
                pair.join(PairMemory(market.slots.pairs, market.pair(buy.key, sell.key)))
        self._set_levels(market)
        peers.append(instrument)

    def _relist(self, new: Instrument) -> None:
        """A market that is a leg already has other lots or least sizes now."""
        for pair in self.of[new.key]:
            pair.row()
            pair.take(new if pair.buy.key == new.key else pair.buy, new if pair.sell.key == new.key else pair.sell, self.rules)
        peers = self._groups[(new.base, new.quote, new.kind)]
        peers[:] = [new if old.key == new.key else old for old in peers]

    def _moved(self, key: str, market: Market, now: int) -> Sequence[Opportunity]:
        """Something of this market changed: its pairs have been looked at already, and those are due with which a life begins or ends."""
        out: list[Opportunity] | tuple[()] = ()
        for pair in self.of.get(key, ()):
            if pair.memory is not None and pair.memory.due():
                found = self._look(pair, market, now)
                if found:
                    out = [*out, *found]
        return out

    def _left(self, event: BookState, market: Market) -> list[Opportunity]:
        """A leg is no longer LIVE: its lives end as stale."""
        out: list[Opportunity] = []
        for pair in self.of.get(event.key, ()):
            if pair.life.life is not None:
                out += self._tell(pair, pair.update(event.ts, None), event.ts)
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
        """The plain look; ``market/near.py`` has it compiled for as long as nothing is to be told."""
        if not self.usable(pair, market, now):
            return self._tell(pair, pair.update(now, None), now) if pair.life.life is not None else []
        if pair.memory is not None:
            market.follow(pair.memory.number)
        sides = pair.sides(market)
        walk = pair.walk(sides)
        if not pair.takes(walk):
            ask, bid = market.books[pair.buy.key].touch()[2], market.books[pair.sell.key].touch()[0]
            net = min(pair.net_touch_bps(ask, bid), -1e-9) if ask > 0.0 and bid > 0.0 else -math.inf
            lives = pair.update(now, net if walk is NOTHING else -math.inf)
            if walk is NOTHING and pair.life.life is not None and (row := pair.row()) is not None:
                pair.last = msgspec.structs.replace(row, ts=now, state="fading", updates=pair.life.life.updates)
            return self._tell(pair, lives, now)
        assert walk.net_bps is not None
        lives = pair.update(now, walk.net_bps)
        if pair.life.life is None:
            return self._tell(pair, lives, now)
        if pair.id and all(life.close is not None for life in lives):
            pair.see(self._seen(pair, market, now, (walk, sides), pair.life))
            return self._tell(pair, lives, now)
        out = self._tell(pair, [life for life in lives if life.close is not None], now)
        pair.begin(self._number(pair), self._seen(pair, market, now, (walk, sides), pair.life))
        self._live.add((pair.buy.key, pair.sell.key))
        opened = pair.row()
        assert opened is not None
        return [*out, opened]

    def _number(self, pair: Pair) -> int:
        """The id of a life that begins."""
        if pair.buy.kind == SENTINEL:
            self.probed += 1
            return -self.probed
        self.opened += 1
        return self.opened

    def _seen(self, pair: Pair, market: Market, now: int, walked: tuple[Walk, Sides], machine: Lifecycle) -> Look:
        """What the row of a life is made of, as of now: whether anybody will read it, nobody knows yet."""
        buy, sell, life = market.books[pair.buy.key], market.books[pair.sell.key], machine.life
        assert life is not None
        return Look(
            now, *walked, (life.peak_bps, life.peak_t, life.updates), machine.fading, buy.touch()[::2], sell.touch()[::2],
            (market.age(buy, now), market.age(sell, now)), abs(_spoke(buy) - _spoke(sell)), self.limit_ns(pair, market),
        )  # fmt: skip

    def _tell(self, pair: Pair, lives: list[Life], now: int) -> list[Opportunity]:
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
            pair.end()
            self._live.discard((pair.buy.key, pair.sell.key))
        return out


def _spoke(book: Book) -> int:
    """When this book last spoke for itself, levels or quote."""
    return max(book.own_ts, book.quote_ts)
