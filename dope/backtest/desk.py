"""The desk: sends both legs of an order, fills each when it arrives, and unwinds what only one side has filled.

Legs are independent, so one may fill without the other (leg risk). The residual is unwound at market on the venue
that holds it; what cannot be unwound stays as open inventory, marked to mid.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dope.backtest.fills import NO_FILL, Fill, OwnFills
from dope.backtest.portfolio import Portfolio

BOOK_LEVELS = 50  #: levels per side an order may walk
UNWIND_TRIES = 20  #: attempts to unwind while the book is not LIVE
DUST = 1e-9  #: quantity below which nothing is left
NEVER = 1 << 62  #: a time after all frames
MS = 1_000_000


class BookView(Protocol):
    """What the desk reads of a book."""

    @property
    def state(self) -> str: ...
    def levels(self, side: str, limit: int) -> list[tuple[float, float]]: ...


Books = Mapping[str, BookView]


@dataclass(frozen=True)
class Order:
    """Both legs of one arbitrage: quantities in base, limits and money in quote, fees as fractions, ``t`` int ns.

    ``qty`` is what is sold and what the buy has to bring in; a venue that takes the fee of a buy in base (``buy_in_base``,
    ``sell_in_base`` for a purchase at the other one) is sent so much more that this remains.

    ``touch_gross − depth_cost − fee_cost = detected_net``: what the books promised for ``qty`` when it was sent.
    """

    id: int
    t: int
    symbol: str
    base: str
    quote: str
    buy: str
    sell: str
    qty: float
    limit_buy: float
    limit_sell: float
    fee_buy: float
    fee_sell: float
    margin: bool = False  #: a perpetual: may be sold without holding it
    touch_gross: float = 0.0
    depth_cost: float = 0.0
    fee_cost: float = 0.0
    detected_net: float = 0.0
    buy_in_base: bool = False
    sell_in_base: bool = False


@dataclass
class Execution:
    """What became of one order. ``cash_pnl`` is cash only; an open residual is valued apart, at ``mark`` (a mid).

    ``bought`` and ``unwound`` are base units that came in or went out, fees in base taken off; values are quote before fees in quote.
    """

    order: Order
    bought: float = 0.0
    buy_value: float = 0.0
    sold: float = 0.0
    sell_value: float = 0.0
    unwound: float = 0.0
    unwind_value: float = 0.0
    unwind_venue: str | None = None
    unknown: bool = False  #: a leg met a book that was not LIVE: it counts as not filled
    legs_due: int = 2
    done_t: int | None = None
    mark: float = 0.0

    @property
    def hedged(self) -> float:
        return min(self.bought, self.sold)

    @property
    def residual(self) -> float:
        """Bought minus sold, before unwinding."""
        return self.bought - self.sold

    @property
    def open_residual(self) -> float:
        """What is left after unwinding; negative = sold too much."""
        return self.residual - self.unwound if self.residual > 0 else self.residual + self.unwound

    @property
    def cash_pnl(self) -> float:
        """Quote received minus quote paid, all fees included."""
        order = self.order
        cash = self.sell_value * (1 - order.fee_sell) - self.buy_value * (1 + (0.0 if order.buy_in_base else order.fee_buy))
        if self.residual > 0:
            return cash + self.unwind_value * (1 - order.fee_buy)
        return cash - self.unwind_value * (1 + (0.0 if order.sell_in_base else order.fee_sell))

    @property
    def net(self) -> float:
        """Cash plus the open residual at its mark."""
        return self.cash_pnl + (self.open_residual * self.mark if abs(self.open_residual) > DUST else 0.0)

    @property
    def status(self) -> str:
        """ "both filled" | "partial" | "missed"."""
        full = self.order.qty - DUST
        if self.bought >= full and self.sold >= full:
            return "both filled"
        return "partial" if self.bought > DUST or self.sold > DUST else "missed"

    def survived(self, min_profit: float = 0.0) -> bool:
        """The honest label: both legs filled completely and the profit is still there."""
        return self.status == "both filled" and self.net > min_profit


class Desk:
    """Orders on their way. ``latency_ms`` per venue or one for all; balances may be limited (see ``Portfolio``)."""

    def __init__(
        self, *, latency_ms: Mapping[str, float] | float, unwind_delay_ms: float = 500.0,
        balances: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:  # fmt: skip
        self.latency_ms = latency_ms
        self.portfolio = Portfolio(balances)
        self.executions: list[Execution] = []
        self._unwind_delay_ns = round(unwind_delay_ms * MS)
        self._own: dict[str, OwnFills] = {}
        self._due: list[tuple[int, int, str, int, Execution]] = []
        self._count = itertools.count()

    def submit(self, order: Order) -> Execution:
        """Send both legs; each arrives at its venue after that venue's latency."""
        execution = Execution(order)
        self.executions.append(execution)
        for leg, key in (("buy", order.buy), ("sell", order.sell)):
            self._schedule(order.t + self.latency_ns(key), leg, execution)
        return execution

    def latency_ns(self, key: str) -> int:
        """Latency of the venue of instrument ``key``. Raises ValueError when it was not given."""
        if isinstance(self.latency_ms, Mapping):
            venue = key.partition(":")[0]
            if venue not in self.latency_ms:
                raise ValueError(f"no latency given for venue {venue!r}; given: {', '.join(self.latency_ms)}")
            return round(self.latency_ms[venue] * MS)
        return round(self.latency_ms * MS)

    @property
    def next_due(self) -> int:
        """Arrival time of the next leg, NEVER if none is on its way."""
        return self._due[0][0] if self._due else NEVER

    def settle(self, before: int, books: Books) -> None:
        """Carry out everything that arrives before time ``before``, against the books as they stand: call it with the
        next frame's ``ts`` before that frame is stepped, and each leg meets the last state at or before its arrival."""
        while self._due and self._due[0][0] < before:
            t, _, leg, tries, execution = heapq.heappop(self._due)
            if leg == "unwind":
                self._unwind(t, tries, execution, books)
            else:
                self._arrive(t, leg, execution, books)

    def finish(self, books: Books) -> list[Execution]:
        """End of the recording: mark what is still open; gives the orders whose legs had not all arrived."""
        unfinished = [execution for execution in self.executions if execution.legs_due]
        for execution in self.executions:
            if abs(execution.open_residual) > DUST:
                self._mark(execution, books)
        return unfinished

    def _schedule(self, t: int, leg: str, execution: Execution, tries: int = 0) -> None:
        heapq.heappush(self._due, (t, next(self._count), leg, tries, execution))

    def _arrive(self, t: int, leg: str, execution: Execution, books: Books) -> None:
        order = execution.order
        key = order.buy if leg == "buy" else order.sell
        if books[key].state != "LIVE":
            execution.unknown = True
        elif leg == "buy":
            fill = self._buy(key, order, order.qty, order.limit_buy, books)
            execution.bought, execution.buy_value = fill.qty, fill.value
        else:
            fill = self._sell(key, order, order.qty, order.limit_sell, books)
            execution.sold, execution.sell_value = fill.qty, fill.value
        execution.legs_due -= 1
        if execution.legs_due:
            return
        execution.done_t = t
        if abs(execution.residual) > DUST:
            self._mark(execution, books)
            self._schedule(t + self._unwind_delay_ns, "unwind", execution)

    def _unwind(self, t: int, tries: int, execution: Execution, books: Books) -> None:
        order, residual = execution.order, execution.residual
        key = order.buy if residual > 0 else order.sell
        if books[key].state != "LIVE":
            if tries + 1 < UNWIND_TRIES:
                self._schedule(t + max(self._unwind_delay_ns, MS), "unwind", execution, tries + 1)
            return
        side = self._sell if residual > 0 else self._buy
        fill = side(key, order, abs(residual), None, books)
        execution.unwound, execution.unwind_value, execution.done_t = fill.qty, fill.value, t
        execution.unwind_venue = key.partition(":")[0]
        self._mark(execution, books)

    def _buy(self, key: str, order: Order, qty: float, limit: float | None, books: Books) -> Fill:
        """Have ``qty`` come in; its fill is what is left of it after a fee in base, and the value that was paid for all."""
        venue = key.partition(":")[0]
        fee, in_base = (order.fee_buy, order.buy_in_base) if key == order.buy else (order.fee_sell, order.sell_in_base)
        kept, on_top = (1.0 - fee, 0.0) if in_base else (1.0, fee)
        room = math.inf if order.margin else self.portfolio.room(venue, order.quote)
        levels = books[key].levels("ask", BOOK_LEVELS)
        taken = self._own_fills(key).fill("ask", levels, qty=qty / kept, limit=limit, max_quote=room, fee=on_top)
        if taken is NO_FILL:
            return NO_FILL
        fill = Fill(taken.qty * kept, taken.value)
        self.portfolio.bought(venue, order.base, order.quote, fill, on_top)
        return fill

    def _sell(self, key: str, order: Order, qty: float, limit: float | None, books: Books) -> Fill:
        venue = key.partition(":")[0]
        fee = order.fee_sell if key == order.sell else order.fee_buy
        room = math.inf if order.margin else self.portfolio.room(venue, order.base)
        levels = books[key].levels("bid", BOOK_LEVELS)
        fill = self._own_fills(key).fill("bid", levels, qty=qty, limit=limit, max_base=room)
        if fill is not NO_FILL:
            self.portfolio.sold(venue, order.base, order.quote, fill, fee)
        return fill

    def _own_fills(self, key: str) -> OwnFills:
        return self._own.setdefault(key, OwnFills())

    def _mark(self, execution: Execution, books: Books) -> None:
        """Value of one unit of the residual: the mid of the book that holds it, else the last one known."""
        book = books[execution.order.buy if execution.residual > 0 else execution.order.sell]
        bids: Sequence[tuple[float, float]] = book.levels("bid", 1)
        asks: Sequence[tuple[float, float]] = book.levels("ask", 1)
        if bids and asks:
            execution.mark = (bids[0][0] + asks[0][0]) / 2
