"""Triangles: once round three spot markets of one venue, and more comes back than was put in, after three fees.

Definition: for every three currencies that are traded for each other at one venue, both ways round; a way is walked by its books'
depth (``market/loops.py: walk_round``) when their touches alone would pay. All three books must be LIVE and fresh. Each leg pays the
fee of its role at its venue (``Rules.role``), as the legs of an opportunity do; prices stay those of taking. One ``Triangle`` when a
life opens and one when it closes. Looked at with every tick; nothing is done per message.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.exchange import Terms, both_kept
from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.detectors.looks import Looks, fresh, limit_ns
from dope.detectors.opportunity import MS, Leg, Role, cost_as
from dope.detectors.pair import MAX_GAP_NS
from dope.market.loops import BPS, BUY, NO_ROUND, SELL, Loops, Round, walk_round
from dope.market.loops import Leg as Edge
from dope.market.market import Market
from dope.symbols import DOLLARS, QUOTES
from dope.types import LIVE, BookState, Event, Instrument, Listed, Setting, Signal, Tick

WALK_LEVELS = 50  #: levels per side that a walk may use
CLOSED_KEPT = 200  #: lives that are over
LEG: dict[int, Leg] = {BUY: "buy", SELL: "sell"}
CASH = ("USD", "USDT", "USDC", "EUR", *QUOTES)  #: a way begins with the currency that stands first here


class Parameters(msgspec.Struct, frozen=True):
    """When a triangle opens and closes."""

    enter: Annotated[float, Meta(ge=-100.0, le=1000.0, title="bps", description="profit after fees from which a triangle opens")] = 0.0
    leave: Annotated[float, Meta(ge=-100.0, le=1000.0, title="bps", description="below it, it closes")] = -1.0
    debounce: Annotated[float, Meta(ge=0.0, le=10_000.0, title="ms", description="for so long below, before it is closed as faded")] = 50.0


class Triangle(Signal, frozen=True):
    """One life as it stands at ``ts``; ``start``, ``end``, ``profit`` in the currency ``path[0]``, times in ns.

    ``path`` = currencies in their order, the first one again at the end; ``markets`` = keys of the three markets on that way, ``sides``
    what is done with the base of each, ``roles`` as what ("taker" or "maker") for ``fees_bps`` (of what is traded there); ``amounts`` =
    what each takes in, in its own currency.
    """

    KIND = "triangle"

    id: int
    venue: str
    path: tuple[str, ...]
    markets: tuple[str, ...]
    sides: tuple[str, ...]
    state: str  #: "open" | "closed" | "stale"
    reason: str
    opened: int
    closed: int | None
    start: float
    end: float
    profit: float
    profit_bps: float
    peak_bps: float
    peak_t: int
    updates: int
    amounts: tuple[float, ...]
    roles: tuple[str, ...]
    fees_bps: tuple[float, ...]

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        route = f"{label(self.venue)} {' → '.join(self.path)}"
        if self.closed is None:
            return f"{route} opened", f"{self.profit_bps:+.2f} bps", "pos"
        end = "" if self.reason == "faded" else f" ({self.reason})"
        return f"{route} closed after {(self.closed - self.opened) / 1e9:.1f} s{end}", f"peak {self.peak_bps:+.2f}", ""


class Way:
    """One way round three markets of a venue, and the life it may be in."""

    __slots__ = ("id", "last", "legs", "life", "looked", "path", "seen", "venue")

    def __init__(self, venue: str, path: tuple[str, str, str], legs: tuple[tuple[Instrument, int], ...], rules: LifeRules) -> None:
        self.venue, self.path, self.legs = venue, path, legs
        self.life = Lifecycle(rules)
        self.last: Triangle | None = None
        self.id, self.looked, self.seen = 0, 0, list[int]()

    def markets(self) -> tuple[str, ...]:
        """Its three markets, in their order."""
        return tuple(each.key for each, _ in self.legs)


class Triangles:
    """All ways round three LIVE markets of one venue. ``arbitrage`` has the fees and the rules of freshness and least size."""

    KINDS = (Listed, BookState, Tick, Setting)
    PARAMETERS = Parameters

    def __init__(self, arbitrage: Arbitrage, parameters: Parameters = Parameters()) -> None:
        self.arbitrage, self.parameters = arbitrage, parameters
        self.ways: list[Way] = []
        self.lives = 0  #: so far
        self.over: deque[Triangle] = deque(maxlen=CLOSED_KEPT)  #: lives that have ended, oldest first
        self.looks = Looks()
        self._spots: dict[str, dict[frozenset[str], Instrument]] = {}  # venue → its two currencies → market
        self._live: dict[tuple[str, ...], Way] = {}
        self._loops: Loops | None = None  # None = to be built anew

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            return self._tick(market, event.ts) if self.ways else ()
        if isinstance(event, BookState):
            return self._left(event) if event.state != LIVE and self._live else ()
        if isinstance(event, Listed):
            self._list(event.instrument)
        elif isinstance(event, Setting):
            self._loops = None
        return ()

    def rows(self) -> list[Triangle]:
        """The lives that are open now, as last looked at."""
        return [way.last for _, way in sorted(self._live.items()) if way.last is not None]

    # -- ways --------------------------------------------------------------------------------------------------------
    def _list(self, new: Instrument) -> None:
        if new.kind != "spot" or new.contract_value is None or (new.venue, new.kind) not in self.arbitrage.costs or new.base == new.quote:
            return
        here, both = self._spots.setdefault(new.venue, {}), frozenset((new.base, new.quote))
        known, here[both] = here.get(both), new
        self._loops = None
        if known is not None:
            for way in self.ways:
                way.legs = tuple((new if each.key == new.key else each, side) for each, side in way.legs)
            return
        others = {currency for pair in here for currency in pair if pair & both}
        for third in sorted(others - both):
            if frozenset((new.base, third)) in here and frozenset((new.quote, third)) in here:
                first, *rest = sorted((new.base, new.quote, third), key=_cash)
                for path in ((first, rest[0], rest[1]), (first, rest[1], rest[0])):
                    self.ways.append(Way(new.venue, path, _legs(here, path), self._rules()))

    def _rules(self) -> LifeRules:
        asked = self.parameters
        return LifeRules(asked.enter, min(asked.leave, asked.enter), int(asked.debounce * MS), MAX_GAP_NS)

    def terms(self, each: Instrument, side: int) -> Terms:
        """The fee of a market on this side of it, by the role there."""
        return Terms.of(cost_as(self.arbitrage.costs, self.arbitrage.rules, (each.venue, each.kind), LEG[side]))

    def charges(self, way: Way) -> tuple[tuple[Role, float], ...]:
        """(role, fee in bps) of each leg."""
        rules = self.arbitrage.rules
        return tuple((rules.role(each.venue, LEG[side]), self.terms(each, side).fee * BPS) for each, side in way.legs)

    def _build(self, market: Market) -> Loops:
        """All loops with the fees and levels that are in force."""
        keeps, books = {}, market.books
        for each in [each for here in self._spots.values() for each in here.values()]:
            keeps[books[each.key].slot] = both_kept(self.terms(each, BUY), self.terms(each, SELL))
        for way in self.ways:
            way.life.rules = self._rules()
        return Loops(keeps, (), [[(False, books[each.key].slot, side) for each, side in way.legs] for way in self.ways])

    # -- in time -----------------------------------------------------------------------------------------------------
    def _tick(self, market: Market, now: int) -> Sequence[Triangle]:
        loops = self._loops
        if loops is None:
            loops = self._loops = self._build(market)
        near = loops.near(market.slots, max(self.parameters.enter, 0.0))
        if not near and not self._live:
            return ()
        due = {(way := self.ways[number]).markets(): way for number in near} | self._live
        return [told for way in self.looks.due(due.values(), market, now) for told in self._look(way, market, now)]

    def _left(self, event: BookState) -> list[Triangle]:
        """A market is no longer LIVE: what is open through it ends as stale."""
        found = [way for keys, way in sorted(self._live.items()) if event.key in keys]
        return [told for way in found for told in self._tell(way, way.life.update(event.ts, None), event.ts)]

    # -- one way -----------------------------------------------------------------------------------------------------
    def walk(self, way: Way, market: Market, now: int) -> Round | None:
        """Once round, as deep as it pays; None = a book is not fresh."""
        books = [market.books[key] for key in way.markets()]
        terms = [self.terms(each, side) for each, side in way.legs]
        wall = sum(each.fee for each in terms) * BPS
        if not fresh(books, limit_ns(books, wall, self.arbitrage.rules.max_age_s), market, now):
            return None
        legs = [
            Edge(side, book.levels("ask" if side == BUY else "bid", WALK_LEVELS), each.fee, side == BUY and not each.in_base)
            for book, each, (_, side) in zip(books, terms, way.legs, strict=True)
        ]
        found = walk_round(legs)
        return found if self._large_enough(way, legs, found) else NO_ROUND

    def _large_enough(self, way: Way, legs: Sequence[Edge], found: Round) -> bool:
        """Whether each venue's order would be accepted, and the whole is worth it."""
        if way.path[0] in DOLLARS and found.start < self.arbitrage.rules.min_notional:
            return False
        for (each, side), leg, amount in zip(way.legs, legs, found.amounts, strict=False):
            price = leg.levels[0][0]
            base, value = (amount / price, amount) if side == BUY else (amount, amount * price)
            if base < max(each.lot, each.min_size) or value < each.min_notional:
                return False
        return True

    def _look(self, way: Way, market: Market, now: int) -> list[Triangle]:
        found = self.walk(way, market, now)
        if found is None:
            return self._tell(way, way.life.update(now, None), now) if way.life.life is not None else []
        if found.profit_bps is None:
            return self._tell(way, way.life.update(now, -math.inf), now) if way.life.life is not None else []
        lives = way.life.update(now, found.profit_bps)
        out = self._tell(way, [life for life in lives if life.close is not None], now)
        life = way.life.life
        if life is None:
            return out
        if begins := any(each is life for each in lives):
            self.lives += 1
            way.id = self.lives
            self._live[way.markets()] = way
        roles, fees = zip(*self.charges(way), strict=True)
        way.last = Triangle(
            ts=now, id=way.id, venue=way.venue, path=(*way.path, way.path[0]), markets=way.markets(),
            sides=tuple(LEG[side] for _, side in way.legs), state="open", reason="", opened=life.open, closed=None,
            start=found.start, end=found.end, profit=found.profit, profit_bps=found.profit_bps, peak_bps=life.peak_bps, peak_t=life.peak_t,
            updates=life.updates, amounts=found.amounts, roles=roles, fees_bps=fees,
        )  # fmt: skip
        return [*out, way.last] if begins else out

    def _tell(self, way: Way, lives: list[Life], now: int) -> list[Triangle]:
        """Signals of the lives that ended."""
        out: list[Triangle] = []
        for life in lives:
            if life.close is None or way.last is None:
                continue
            done = msgspec.structs.replace(
                way.last, ts=now, state="stale" if life.reason == "stale" else "closed", reason=life.reason, closed=life.close,
                peak_bps=life.peak_bps, peak_t=life.peak_t, updates=life.updates,
            )  # fmt: skip
            out.append(done)
            self.over.append(done)
            way.last, way.id, way.seen = None, 0, []
            self._live.pop(way.markets(), None)
        return out

    def nearest(self, market: Market, count: int) -> list[dict[str, Any]]:
        """The ways that come nearest to paying, by the touches of LIVE books, after fees; open ones too."""
        rows: list[dict[str, Any]] = []
        for way in self.ways:
            back = 1.0
            for each, side in way.legs:
                book, terms = market.books[each.key], self.terms(each, side)
                bid, _, ask, _ = book.touch() if book.state == LIVE else (0.0, 0.0, 0.0, 0.0)
                keep = both_kept(terms, terms)[side]
                back *= (keep / ask if ask > 0.0 else 0.0) if side == BUY else bid * keep
            if back > 0.0:
                roles, fees = zip(*self.charges(way), strict=True)
                rows.append({
                    "venue": way.venue, "path": [*way.path, way.path[0]], "markets": list(way.markets()),
                    "sides": [LEG[side] for _, side in way.legs], "roles": list(roles), "net_bps": (back - 1.0) * BPS,
                    "fees_bps": sum(fees), "open": way.life.life is not None,
                })  # fmt: skip
        rows.sort(key=lambda row: row["net_bps"], reverse=True)
        return rows[:count]


def _cash(currency: str) -> tuple[int, str]:
    return (CASH.index(currency) if currency in CASH else len(CASH), currency)


def _legs(here: dict[frozenset[str], Instrument], path: tuple[str, str, str]) -> tuple[tuple[Instrument, int], ...]:
    """The markets on the way, and what is done with the base of each."""
    legs = []
    for k, held in enumerate(path):
        each = here[frozenset((held, path[(k + 1) % 3]))]
        legs.append((each, BUY if each.quote == held else 1 - BUY))
    return tuple(legs)
