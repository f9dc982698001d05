"""What became of every opening: how long it lived, what it paid at which size, and whether orders sent at once would have filled.

Definition: when an opportunity opens, the two orders of the user's size (or of the best size, if that is smaller) are laid down with
the limits that the books showed. Once they are so old as each of ``AGES_MS``, at the first clock tick from then on, it is looked
whether both would fill in full against the books as they stand. A book that is not LIVE fills nothing. No order is really sent.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

import msgspec

from dope.detectors.arbitrage import MS, Arbitrage, Opportunity
from dope.detectors.pair import Pair
from dope.market.book import Book
from dope.market.market import Market
from dope.market.pairs import LEVELS
from dope.types import LIVE, SENTINEL, Event, Tick

AGES_MS = (0, 10, 20, 50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000)
SIZES = (1_000.0, 10_000.0, 100_000.0)  #: quote currency
KEPT = 20_000  #: openings kept, all pairs together
WATCHED = 512  #: openings that are being watched at once; more are not watched, and counted
LATE_NS = 100 * MS  #: a message that came later than its venue's best case by this much was late
LATE_AGE = 3.0  #: and so is a book this many times as old as it usually is


class Opening(msgspec.Struct):
    """One opening. ``filled`` and ``looked``: bit k stands for ``AGES_MS[k]``; ``blind`` = a book was not LIVE then.

    ``net_bps`` at ``SIZES``, None where the books do not hold as much; ``capacity`` = the largest size that reaches the level, quote
    currency; ``late`` = the one venue that was late when it opened, "" = none or both. ``reason`` "" while it is open.
    """

    id: int
    symbol: str
    kind: str
    buy: str
    sell: str
    opened: int
    qty: float = 0.0
    limit_buy: float = 0.0
    limit_sell: float = 0.0
    kept: float = 1.0  #: part of what is bought that arrives
    net_bps: tuple[float | None, ...] = (None,) * len(SIZES)
    capacity: float | None = None
    late: str = ""
    closed: int | None = None
    reason: str = ""
    filled: int = 0
    looked: int = 0
    blind: int = 0

    def life(self, now: int) -> tuple[float, bool]:
        """(s, whether it was seen to fade): one that went stale, or is open at ``now``, may have lasted longer."""
        return ((now if self.closed is None else self.closed) - self.opened) / 1e9, self.reason == "faded"


class Openings:
    """Read through ``records``, oldest first. Emits no signals. ``arbitrage`` has pairs and rules."""

    KINDS = (Opportunity, Tick)

    def __init__(self, arbitrage: Arbitrage) -> None:
        self.arbitrage = arbitrage
        self.records: deque[Opening] = deque(maxlen=KEPT)
        self.since = 0  #: ts of the first tick; 0 = none yet
        self.unwatched = 0  #: openings that could not be watched, for want of places
        self._open: dict[int, Opening] = {}  # id of the opportunity → its opening
        self._due: list[tuple[int, int, int, Opening]] = []  # (when, number, index of the age, opening): a heap
        self._number = self._watched = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            self.since = self.since or event.ts
            while self._due and self._due[0][0] <= event.ts:
                _, _, age, opening = heapq.heappop(self._due)
                self._look(opening, age, market)
        elif isinstance(event, Opportunity) and event.kind != SENTINEL:
            if event.closed is None:
                self._opened(event, market)
            else:
                self._closed(event)
        return ()

    def _opened(self, o: Opportunity, market: Market) -> None:
        opening = Opening(o.id, o.symbol, o.kind, o.buy, o.sell, o.opened)
        self.records.append(opening)
        self._open[o.id] = opening
        pair = self.arbitrage.pairs.get((o.buy, o.sell))
        if pair is None:  # in two currencies: its orders are three
            return
        self._measure(opening, pair, market)
        if self._watched >= WATCHED:
            self.unwatched += 1
            return
        opening.qty, opening.limit_buy, opening.limit_sell = order(o, self.arbitrage.rules.order_size)
        opening.kept = 1.0 - pair.cost_buy.fee if o.buy_in_base else 1.0
        self._watched += 1
        self._look(opening, 0, market)

    def _closed(self, o: Opportunity) -> None:
        opening = self._open.pop(o.id, None)
        if opening is not None:
            opening.closed, opening.reason = o.closed, o.reason

    def _measure(self, opening: Opening, pair: Pair, market: Market) -> None:
        sides = pair.sides(market)
        found: list[float | None] = []
        for size in SIZES:
            walk = pair.walk(sides, max_quote=size, fill_all=True)
            held = walk.buy_vwap is not None and walk.cost >= size * (1.0 - 1e-9) - 2.0 * pair.lot * walk.buy_vwap
            found.append(walk.net_bps if held else None)
        opening.net_bps = tuple(found)
        widest = pair.curve(sides, self.arbitrage.rules.enter).widest
        opening.capacity = widest.cost if widest is not None else None
        late = [leg.venue for leg in (pair.buy, pair.sell) if is_late(market.books[leg.key], market, opening.opened)]
        opening.late = late[0] if len(late) == 1 else ""

    def _look(self, opening: Opening, age: int, market: Market) -> None:
        """Whether both orders would fill now; the next look at them."""
        buy, sell = market.books[opening.buy], market.books[opening.sell]
        opening.looked |= 1 << age
        if not buy.state == sell.state == LIVE:
            opening.blind |= 1 << age
        elif fills(buy, opening.qty / opening.kept, "ask", opening.limit_buy) and fills(sell, opening.qty, "bid", opening.limit_sell):
            opening.filled |= 1 << age
        if age + 1 == len(AGES_MS):
            self._watched -= 1
            return
        self._number += 1
        heapq.heappush(self._due, (opening.opened + AGES_MS[age + 1] * MS, self._number, age + 1, opening))


def order(o: Opportunity, size: float) -> tuple[float, float, float]:
    """(base, limit of the buy, limit of the sale) of orders worth ``size`` quote, or of the best size if that is smaller."""
    left, qty, limits = size, 0.0, o.levels[0]
    dearer = o.buy_cost / sum(price * part for price, _, part in o.levels)
    for limits in o.levels:
        ask, _, part = limits
        take = min(part, left / (ask * dearer))
        qty, left = qty + take, left - take * ask * dearer
        if take < part:
            break
    return qty, limits[0], limits[1]


def fills(book: Book, qty: float, side: str, limit: float) -> bool:
    """Whether an order of ``qty`` that takes ``side`` down to ``limit`` would fill in full now."""
    left = qty * (1.0 - 1e-9)
    for price, size in book.levels(side, LEVELS):
        if price > limit if side == "ask" else price < limit:
            return False
        left -= size
        if left <= 0.0:
            return True
    return False


def is_late(book: Book, market: Market, now: int) -> bool:
    """Whether what is known of this book is older than it usually is, or its newest message came late."""
    return book.excess >= LATE_NS or market.age(book, now) >= max(LATE_AGE * book.rhythm.usual, LATE_NS)
