"""The backtest: steps an engine over recorded frames and trades on what it detects, as it would have gone.

Per frame, in this order: legs that arrive before it meet the books as they stand, the engine takes the frame, and
each opportunity that opens sends one order. The engine cannot know that it is replayed, and our orders do not change
its books, so several desks with other latencies run beside the main one over the same pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from dope.backtest.desk import BOOK_LEVELS, BookView, Desk, Order
from dope.backtest.naive import naive
from dope.backtest.report import Gaps, Report, summarise
from dope.detectors.arbitrage import Opportunity, common_lot
from dope.market.walk import two_book
from dope.types import Event, Frame, Gap, Instrument, of_sentinel

LATENCIES_MS = (0.0, 50.0, 100.0, 200.0, 500.0)  #: the sensitivity table
SILENCE_NS = 1_000_000_000  #: a hole in the recording: clock frames come every 10 ms
MAX_SILENCES = 100  #: holes that are listed; all are counted in seconds
MAX_ORDERS = 50_000  #: opportunities traded in one run
DRAIN_FRAMES = 1024  #: frames after which requests of the venues are thrown away

Latency = Mapping[str, float] | float
Fees = Mapping[str, Mapping[str, float]]  #: taker fee in bps by venue and kind, as in the settings


class TradableBook(BookView, Protocol):
    """A book as the backtest needs it."""

    @property
    def instrument(self) -> Instrument: ...


class MarketView(Protocol):
    @property
    def books(self) -> Mapping[str, TradableBook]: ...


class EngineView(Protocol):
    """What the backtest needs of an engine."""

    @property
    def market(self) -> MarketView: ...
    def step(self, frame: Frame) -> Sequence[Event]: ...
    def drain(self) -> Sequence[object]: ...


def run(
    frames: Iterable[Frame], engine: EngineView, *, order_size: float, latency_ms: Latency = 100.0, fees: Fees | None = None,
    cooldown_s: float = 0.0, unwind_delay_ms: float = 500.0, balances: Mapping[str, Mapping[str, float]] | None = None,
    sensitivity_ms: Sequence[float] = LATENCIES_MS, seed: int = 0,
) -> Report:  # fmt: skip
    """Trade every opportunity that opens, once, at min(its optimum size, ``order_size`` in quote with fee).

    Limits are the worst prices of the walk at detection. ``fees`` None = those of each opportunity; ``cooldown_s``
    keeps a pair from being traded again so soon; ``balances`` None = not limited. Same frames, same report.
    """
    desks = [Desk(latency_ms=lat, unwind_delay_ms=unwind_delay_ms, balances=balances) for lat in (latency_ms, *sensitivity_ms)]
    trader = _Trader(order_size, fees or {}, round(cooldown_s * 1e9))
    log = _Log()
    books = engine.market.books
    due = min(desk.next_due for desk in desks)
    for frame in frames:
        if frame.ts > due:
            for desk in desks:
                desk.settle(frame.ts, books)
            due = min(desk.next_due for desk in desks)
        log.frame(frame.ts)
        if log.frames % DRAIN_FRAMES == 0:
            engine.drain()  # nobody is there to carry out what venues ask for: the answers are in the recording
        for event in engine.step(frame):
            if of_sentinel(event):
                continue
            if isinstance(event, Gap):
                log.gap(event)
            elif isinstance(event, Opportunity) and event.state == "open":
                order = trader.order(event, books)
                if order is not None:
                    for desk in desks:
                        desk.submit(order)
                    due = min(desk.next_due for desk in desks)
    for desk in desks:
        desk.settle(log.end + 1, books)
        desk.finish(books)
    results = [summarise(desk.executions, _plain(desk.latency_ms), seed=seed) for desk in desks]
    return Report(
        start=log.start,
        end=log.end,
        frames=log.frames,
        opportunities=trader.seen,
        skipped=trader.skipped,
        order_size=order_size,
        result=results[0],
        sensitivity=results[1:],
        naive=naive(trader.indicative, order_size),
        gaps=Gaps(events=log.gaps, silences=log.silences, silent_s=log.silent_ns / 1e9),
        assumptions=_assumptions(balances is not None, unwind_delay_ms),
    )


class _Trader:
    """Turns openings into orders."""

    def __init__(self, order_size: float, fees: Fees, cooldown_ns: int) -> None:
        self.seen = 0
        self.indicative: list[tuple[int, float]] = []  # (time, percent)
        self.skipped = {"cooldown": 0, "not executable at this size": 0, "too many": 0, "in two currencies": 0}
        self._order_size = order_size
        self._fees = fees
        self._cooldown_ns = cooldown_ns
        self._orders = 0
        self._last: dict[tuple[str, str], int] = {}

    def order(self, signal: Opportunity, books: Mapping[str, TradableBook]) -> Order | None:
        """The order for an opportunity that has just opened; None if it is not to be traded, and why is counted."""
        self.seen += 1
        self.indicative.append((signal.ts, signal.indicative_profit_pct))
        route = (signal.buy, signal.sell)
        if signal.via:
            self.skipped["in two currencies"] += 1
            return None
        if self._orders >= MAX_ORDERS:
            self.skipped["too many"] += 1
            return None
        if route in self._last and signal.ts - self._last[route] < self._cooldown_ns:
            self.skipped["cooldown"] += 1
            return None
        order = self._sized(signal, books[signal.buy], books[signal.sell])
        if order is None:
            self.skipped["not executable at this size"] += 1
            return None
        self._orders += 1
        self._last[route] = signal.ts
        return order

    def _sized(self, signal: Opportunity, buy: TradableBook, sell: TradableBook) -> Order | None:
        asks, bids = buy.levels("ask", BOOK_LEVELS), sell.levels("bid", BOOK_LEVELS)
        fee_buy = self._fee(signal.buy_venue, signal.kind, signal.fee_buy_bps)
        fee_sell = self._fee(signal.sell_venue, signal.kind, signal.fee_sell_bps)
        lot = common_lot(buy.instrument.lot, sell.instrument.lot)
        kept = 1.0 - fee_buy if signal.buy_in_base else 1.0  # of what is bought
        asks = [(price, size * kept) for price, size in asks]
        on_top = fee_buy / kept if signal.buy_in_base else fee_buy
        walk = two_book(asks, bids, on_top, fee_sell, max_quote=self._order_size, lot=lot)
        if walk.qty <= 0 or walk.cost < max(buy.instrument.min_notional, sell.instrument.min_notional):
            return None
        touch_gross = walk.qty * (bids[0][0] - asks[0][0])
        return Order(
            id=signal.id, t=signal.ts, symbol=signal.symbol, base=signal.base, quote=signal.quote, buy=signal.buy, sell=signal.sell,
            qty=walk.qty, limit_buy=walk.fills[-1][0], limit_sell=walk.fills[-1][1], fee_buy=fee_buy, fee_sell=fee_sell,
            margin=signal.kind != "spot", touch_gross=touch_gross, depth_cost=max(0.0, touch_gross - walk.gross), fee_cost=walk.fees,
            detected_net=walk.net, buy_in_base=signal.buy_in_base, sell_in_base=signal.sell_in_base,
        )  # fmt: skip

    def _fee(self, venue: str, kind: str, detected_bps: float) -> float:
        return self._fees.get(venue, {}).get(kind, detected_bps) / 1e4


class _Log:
    """Start, end and holes of the data."""

    def __init__(self) -> None:
        self.start = self.end = self.frames = self.silent_ns = 0
        self.gaps: dict[str, int] = {}
        self.silences: list[tuple[int, int]] = []

    def frame(self, ts: int) -> None:
        if not self.frames:
            self.start = ts
        elif ts - self.end > SILENCE_NS:
            self.silent_ns += ts - self.end
            if len(self.silences) < MAX_SILENCES:
                self.silences.append((self.end, ts))
        self.frames += 1
        self.end = ts

    def gap(self, event: Gap) -> None:
        self.gaps[event.reason] = self.gaps.get(event.reason, 0) + 1


def _plain(latency: Latency) -> dict[str, float] | float:
    return dict(latency) if isinstance(latency, Mapping) else float(latency)


def _assumptions(limited: bool, unwind_delay_ms: float) -> list[str]:
    return [
        "taker orders, immediate or cancel, at the limits seen at detection; queues and our own price impact are not modelled",
        f"what only one side has filled is unwound at market {unwind_delay_ms:g} ms after the later leg",
        "balances are limited to those given; a purchase needs quote, a sale needs base"
        if limited
        else "every venue is assumed to hold enough of everything; moving funds between venues is not charged",
        "a price that is better than the limit when the order arrives is taken as it is: waiting can also gain",
        "funding payments of perpetuals are not charged",
        "a leg whose book is not live when it arrives counts as not filled",
    ]
