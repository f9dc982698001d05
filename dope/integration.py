"""The integration interface: the rooms of the house under the names and signatures by which other programs may know them.

``ExchangeConnector`` is one venue's live feed, ``DataProcessor`` reads and checks single messages and books, ``AggregationEngine``
makes buckets, heat maps and one book of many, ``StorageManager`` records and reads history, ``ReplayManager`` replays it.
Nothing here is a second way of doing anything: each calls what the program itself uses. Data classes: ``dope/snapshots.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dope import __version__, tables
from dope.detectors.microstructure import imbalance, weighted_mid
from dope.engine import Engine
from dope.errors import StoreError, UnknownName
from dope.feed.clock import Clock
from dope.feed.feed import Feed
from dope.feed.probe import reachable
from dope.history import Histories
from dope.market.book import Book
from dope.market.buckets import price_buckets
from dope.market.consolidated import consolidated
from dope.market.market import Market
from dope.replays import Replays
from dope.settings import Settings, load
from dope.snapshots import (
    ConnectionStatus,
    ConsolidatedOrderBook,
    ConsolidatedPriceLevel,
    HeatmapData,
    HeatmapPoint,
    ImbalanceMetrics,
    OrderBookMetrics,
    OrderBookSnapshot,
    PriceBuckets,
    PriceLevel,
    ReplayStatus,
    TradeEvent,
    moment,
    nanoseconds,
)
from dope.tables import batch
from dope.tape.format import Meta
from dope.tape.journal import Journal
from dope.types import DATA, LIVE, OPEN, BookState, DepthChange, Event, Fault, Frame, OpenInfo, Touch, Trade
from dope.venues import VENUES, make

LEVELS = 50  #: levels per side of a snapshot
KNOCK_S = 10.0  #: s in which a venue has to answer
PLACED_S = 5.0  #: s in which the disk has to confirm what is stored
FRESH = timedelta(seconds=5)  #: a book is added to others while it is no older than this against the newest
FUTURE = timedelta(hours=1)
DEPTH_BPS = (5, 10, 25, 50)
SOURCE = "import"  #: folder of what is stored here: never mixed with what this program saw itself
KIND = "OrderBookSnapshot"  #: name of the rows that hold whole books

Data = OrderBookSnapshot | TradeEvent


# -- one venue, live ---------------------------------------------------------------------------------------------------
class ExchangeConnector:
    """One venue's public feed. All methods belong to one asyncio loop; books are handed over only while they are LIVE.

    After ``connect`` it never gives up: lost connections are made anew, books begin again with a snapshot.
    """

    def __init__(self, exchange: str, *, endpoints: Mapping[str, str] | None = None, clock: Clock | None = None) -> None:
        """Raises UnknownName for a venue that has no books here."""
        known = [venue.ID for venue in VENUES if venue.BOOKS]
        if exchange not in known:
            raise UnknownName("venue", exchange, known)
        self.exchange, self._clock, self._endpoints = exchange, clock or Clock(), dict(endpoints or {})
        self.venue = make(exchange, (), self._endpoints)
        self._callbacks: list[Callable[[Data], None]] = []
        self._books: set[str] = set()  # symbols whose books are wanted
        self._trades: set[str] = set()
        self._changed: dict[str, None] = {}  # keys of books that changed in this turn of the loop
        self._engine = Engine({exchange: self.venue}, (self,))
        self._feed: Feed | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> bool:
        """Whether the venue answers; if so the feed runs from now on. What is subscribed before and after is the same."""
        if self._task is not None:
            return True
        knocked = make(self.exchange, Settings.model_fields["symbols"].default, self._endpoints)
        if await reachable({self.exchange: knocked}, self._clock, KNOCK_S) is None:
            return False
        self._feed = Feed({self.exchange: self.venue}, self._on_frames, self._clock, random.Random())
        self._task = asyncio.create_task(self._feed.run(), name=f"connector {self.exchange}")
        return True

    async def disconnect(self) -> None:
        """Close all sockets; returns when they are closed."""
        if self._feed is not None and self._task is not None:
            feed, task, self._feed, self._task = self._feed, self._task, None, None
            await feed.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def subscribe_orderbook(self, symbol: str) -> None:
        """Hand over this book whenever it changed (once per turn of the loop). Raises UnknownName for what the venue does not list."""
        self._subscribe(symbol, self._books)

    async def subscribe_trades(self, symbol: str) -> None:
        """Hand over each trade, once. Raises UnknownName."""
        self._subscribe(symbol, self._trades)

    def get_connection_status(self) -> ConnectionStatus:
        """As it is now."""
        health = None if self._feed is None else self._feed.health().get(self.exchange)
        if self._task is None:
            return ConnectionStatus.DISCONNECTED
        if self._task.done() or (health is not None and health.state in ("down", "blocked", "refused", "maintenance")):
            return ConnectionStatus.DOWN
        states = [book.state == LIVE for book in self._engine.market.books.values() if book.instrument.symbol in self._books | self._trades]
        if not states or not any(states):
            return ConnectionStatus.CONNECTING
        return ConnectionStatus.LIVE if all(states) else ConnectionStatus.DEGRADED

    def add_data_callback(self, callback: Callable[[Data], None]) -> None:
        """``callback`` is called with every snapshot and trade, in the loop's thread: it must return soon."""
        self._callbacks.append(callback)

    # what the engine needs of a detector
    KINDS = (Touch, DepthChange, BookState, Trade)
    TRADES_APART = True

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        """Called by the engine."""
        if isinstance(event, Trade):
            book = market.books[event.key]
            if book.instrument.symbol in self._trades:
                self._hand_over(_trade(event, book))
        elif isinstance(event, (Touch, DepthChange, BookState)):
            if event.key not in market.watched and market.books[event.key].instrument.symbol in self._books:
                market.watch(event.key, True)
            self._changed[event.key] = None
        return ()

    def _subscribe(self, symbol: str, wanted: set[str]) -> None:
        if self.venue.name_of(symbol) is None:
            raise UnknownName("symbol", symbol, self.venue.offers() or Settings.model_fields["symbols"].default)
        wanted.add(symbol)
        symbols = tuple(sorted(self._books | self._trades))
        if symbols != self.venue.symbols:
            self.venue.symbols = symbols
            if self._feed is not None:
                self._feed.replan(self.exchange)

    def _on_frames(self, frames: list[Frame]) -> None:
        self._engine.step_many(frames)
        if self._feed is not None and (actions := self._engine.drain()):
            self._feed.actions(actions)
        changed, self._changed = self._changed, {}
        for key in changed:
            book = self._engine.market.books[key]
            if book.state == LIVE and book.instrument.symbol in self._books:
                self._hand_over(_snapshot(book))

    def _hand_over(self, data: Data) -> None:
        for callback in self._callbacks:
            callback(data)


# -- single messages and books -----------------------------------------------------------------------------------------
class DataProcessor:
    """Reads raw messages as the venues send them. It remembers each venue's books, so that changes follow their snapshot.

    Messages count as a millisecond apart, however long a caller waits in between: only their order says anything here.
    """

    def __init__(self) -> None:
        self._clock = Clock()
        self._ts = self._clock.now()
        self._engines: dict[str, tuple[Engine, _Heard]] = {}

    def normalize_orderbook(self, raw_data: Mapping[str, Any], exchange: str) -> OrderBookSnapshot:
        """The book after this message. Raises ValueError for a message without a book, or with changes to a book that is not known."""
        heard = self._hear(raw_data, exchange)
        book = next((each for each in heard.books.values() if each.state == LIVE), None)
        if book is None:
            raise ValueError(heard.faults[0] if heard.faults else "no book follows from this message: changes need their snapshot first")
        return replace(_snapshot(book), timestamp=moment(self._clock.now()))

    def normalize_trade(self, raw_data: Mapping[str, Any], exchange: str) -> TradeEvent:
        """The first trade of this message. Raises ValueError for a message without one, or with one that was seen before."""
        heard = self._hear(raw_data, exchange)
        if not heard.trades:
            raise ValueError(heard.faults[0] if heard.faults else "there is no new trade in this message")
        return replace(heard.trades[0], timestamp=moment(self._clock.now()))

    def validate_data(self, data: Data) -> bool:
        """Whether these numbers can be: finite and positive, sides in order and not crossed, a time that is not to come."""
        if data.timestamp.tzinfo is None or data.timestamp - datetime.fromtimestamp(self._clock.now() / 1e9, UTC) > FUTURE:
            return False
        if isinstance(data, TradeEvent):
            return _positive(data.price) and _positive(data.size) and data.side in ("buy", "sell")
        sides = [[level.price for level in side] for side in (data.bids, data.asks)]
        if not all(_positive(level.price) and _positive(level.size) for level in (*data.bids, *data.asks)):
            return False
        in_order = all(a > b for a, b in itertools.pairwise(sides[0])) and all(a < b for a, b in itertools.pairwise(sides[1]))
        return in_order and not (sides[0] and sides[1] and sides[0][0] >= sides[1][0])

    def calculate_metrics(self, orderbook: OrderBookSnapshot) -> OrderBookMetrics:
        """Figures of one book; see ``OrderBookMetrics``."""
        bids, asks = _pairs(orderbook.bids), _pairs(orderbook.asks)
        volumes = math.fsum(size for _, size in bids), math.fsum(size for _, size in asks)
        mid = weighted = spread = None
        depth: dict[int, tuple[float, float]] = {}
        if bids and asks:
            (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
            mid, spread = (bid + ask) / 2.0, ask - bid
            weighted = float(weighted_mid(*(np.array([x]) for x in (bid, bid_size, ask, ask_size)))[0])
            for bps in DEPTH_BPS:
                low, high = mid * (1.0 - bps / 1e4), mid * (1.0 + bps / 1e4)
                depth[bps] = math.fsum(s for p, s in bids if p >= low), math.fsum(s for p, s in asks if p <= high)
        return OrderBookMetrics(
            orderbook.symbol, orderbook.exchange, orderbook.timestamp, mid, weighted, spread,
            None if mid is None or spread is None else spread / mid * 1e4, *volumes, _imbalance(*volumes), depth,
        )  # fmt: skip

    def _hear(self, raw: Mapping[str, Any], exchange: str) -> _Heard:
        if exchange not in self._engines:
            heard = _Heard()
            engine = Engine({exchange: make(exchange, ())}, (heard,))
            engine.step(Frame(self._ts, exchange, 1, OPEN, msgspec.json.encode(OpenInfo("", "", None))))
            self._engines[exchange] = engine, heard
        engine, heard = self._engines[exchange]
        heard.books, heard.trades = {}, []
        self._ts += 1_000_000
        told = engine.step(Frame(self._ts, exchange, 1, DATA, json.dumps(raw, separators=(",", ":")).encode()))
        heard.faults = [event.reason for event in told if isinstance(event, Fault)]
        return heard


class _Heard:
    """What came of one message."""

    KINDS = (Touch, BookState, DepthChange, Trade)

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.trades: list[TradeEvent] = []
        self.faults: list[str] = []

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        book = market.books[event.key]  # type: ignore[attr-defined]
        if isinstance(event, Trade):
            self.trades.append(_trade(event, book))
        else:
            market.watch(book.key, True)
            self.books[book.key] = book
        return ()


# -- many books --------------------------------------------------------------------------------------------------------
class AggregationEngine:
    """Buckets, heat maps and sums over the newest book of each exchange, as handed in by ``add``."""

    def __init__(self) -> None:
        self._newest: dict[str, dict[str, OrderBookSnapshot]] = {}  # symbol → exchange → its book

    def add(self, orderbook: OrderBookSnapshot) -> None:
        """This is the newest book of its exchange and symbol; an older one than that changes nothing."""
        books = self._newest.setdefault(orderbook.symbol, {})
        known = books.get(orderbook.exchange)
        if known is None or known.timestamp <= orderbook.timestamp:
            books[orderbook.exchange] = orderbook

    def create_price_buckets(self, orderbook: OrderBookSnapshot, bucket_size: float) -> PriceBuckets:
        """Sizes by bucket of this width. Raises ValueError for one that is no width."""
        if not _positive(bucket_size):
            raise ValueError("a bucket has a positive width")
        found = price_buckets(_pairs(orderbook.bids), _pairs(orderbook.asks), bucket_size)
        bids, asks = ({_edge(at, bucket_size): size for at, size in side.items()} for side in found)
        return PriceBuckets(orderbook.symbol, orderbook.timestamp, bucket_size, bids, asks)

    def update_heatmap(self, symbol: str, buckets: PriceBuckets) -> HeatmapData:
        """The same buckets by price, with the share of the largest one as intensity. Raises ValueError for another symbol's."""
        if symbol != buckets.symbol:
            raise ValueError(f"these are buckets of {buckets.symbol}")
        sides = (("bid", buckets.bid_buckets), ("ask", buckets.ask_buckets))
        largest = max((volume for _, side in sides for volume in side.values()), default=0.0)
        points = [HeatmapPoint(p, v, v / largest if largest else 0.0, name) for name, side in sides for p, v in side.items()]
        return HeatmapData(symbol, buckets.timestamp, buckets.bucket_size, sorted(points, key=lambda point: (point.price, point.side)))

    def calculate_imbalances(self, orderbook: OrderBookSnapshot) -> ImbalanceMetrics:
        """How much more is bid than asked; see ``ImbalanceMetrics``."""

        def of(levels: int | None) -> float | None:
            sums = (math.fsum(level.size for level in side[:levels]) for side in (orderbook.bids, orderbook.asks))
            return _imbalance(*sums)

        return ImbalanceMetrics(orderbook.symbol, orderbook.timestamp, of(1), of(5), of(10), of(None))

    def aggregate_across_exchanges(self, symbol: str) -> ConsolidatedOrderBook:
        """One book of all exchanges' newest ones, without those older than the newest by more than 5 s. Raises UnknownName."""
        if symbol not in self._newest:
            raise UnknownName("symbol", symbol, self._newest)
        books = self._newest[symbol].values()
        newest = max(book.timestamp for book in books)
        used = {book.exchange: book for book in books if newest - book.timestamp <= FRESH}

        def side(bids: bool) -> list[ConsolidatedPriceLevel]:
            levels = {name: _pairs(book.bids if bids else book.asks) for name, book in used.items()}
            return [ConsolidatedPriceLevel(each.price, each.size, each.exchange_count) for each in consolidated(levels, bids=bids)]

        return ConsolidatedOrderBook(symbol, newest, side(True), side(False), sorted(used))


# -- history -----------------------------------------------------------------------------------------------------------
class StorageManager:
    """Stores what is handed in below ``folder`` as the program stores what it sees: on a tape, confirmed by the disk, then readable.

    One process at a time writes there. ``close`` ends it; the rest is crash-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._clock = folder, Clock()
        self._journal: Journal | None = None
        self._histories = Histories(load({"data_dir": folder}, env_file=None), self._clock, lambda: None)
        self._processor, self._placed = DataProcessor(), set[int]()

    def setup_database_schema(self) -> None:
        """Make ready for writing, in the schema of this version; may be called again. Raises TapeError when somebody else writes there."""
        if self._journal is None:
            self._journal = Journal(self._folder / SOURCE, Meta(SOURCE, self._clock.now(), __version__))

    async def store_orderbook(self, data: OrderBookSnapshot) -> bool:
        """Whether the disk has confirmed it within 5 s. Raises ValueError for data that cannot be, StoreError before the schema stands."""
        self._check(data)
        ts, name = nanoseconds(data.timestamp), data.exchange
        (bid, bid_size), (ask, ask_size) = (_pairs(side)[0] if side else (None, None) for side in (data.bids, data.asks))
        best = {"ts": ts, "symbol": data.symbol, "venue": name, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size}
        whole = {"exchange": name, "sequence_id": data.sequence_id, "bids": _pairs(data.bids), "asks": _pairs(data.asks)}
        row = {"ts": ts, "symbol": data.symbol, "kind": KIND, "session": SOURCE, "detail": json.dumps(whole)}
        return await self._store((("bbo", best), ("signal", row)))

    async def store_trade(self, data: TradeEvent) -> bool:
        """Likewise."""
        self._check(data)
        row = {
            "ts": nanoseconds(data.timestamp), "symbol": data.symbol, "venue": data.exchange, "trade_id": data.trade_id,
            "price": data.price, "size": data.size, "side": data.side,
        }  # fmt: skip
        return await self._store((("trade", row),))

    async def get_historical_data(self, symbol: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Books and trades of [start, end), oldest first; ``type`` says which. Raises StoreError for what cannot be meant or read."""
        return await asyncio.to_thread(self._read, symbol, nanoseconds(start), nanoseconds(end))

    async def get_latest_data(self, symbol: str) -> dict[str, Any]:
        """The newest book and the newest trade of a symbol, each None where there is none; of the last day."""
        now = self._clock.now() + 10**9
        rows = await asyncio.to_thread(self._read, symbol, now - 86_400 * 10**9, now)
        newest = {row["type"]: row for row in rows}
        return {"symbol": symbol, "orderbook": newest.get("orderbook"), "trade": newest.get("trade")}

    def close(self) -> None:
        """Everything to disk."""
        if self._journal is not None:
            self._journal.close()
        self._histories.close()

    def _check(self, data: Data) -> None:
        if self._journal is None:
            raise StoreError("nothing can be stored before setup_database_schema()")
        if not self._processor.validate_data(data) or tables.SYMBOL.fullmatch(data.symbol) is None:
            raise ValueError("this cannot be: a symbol, time, side, price or size is none, or the book is crossed or out of order")

    async def _store(self, rows: Sequence[tuple[str, dict[str, Any]]]) -> bool:
        journal = self._journal
        assert journal is not None
        tickets = {journal.append_rows(name, batch(name, [row])) for name, row in rows}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PLACED_S):
                while 0 not in tickets and not tickets <= self._placed:
                    await asyncio.sleep(0.005)
                    self._placed |= {ticket for ticket, _ in journal.placed()}
        found = tickets <= self._placed
        self._placed -= tickets
        return found

    def _read(self, symbol: str, start: int, end: int) -> list[dict[str, Any]]:
        found: list[tuple[int, dict[str, Any]]] = []
        for row in self._histories.query("signal", symbol, start, end, source=SOURCE).table.to_pylist():
            if row["kind"] == KIND:
                about = {"type": "orderbook", "symbol": row["symbol"], "timestamp": moment(row["ts"])}
                found.append((row["ts"], about | json.loads(row["detail"])))
        for row in self._histories.query("trade", symbol, start, end, source=SOURCE).table.to_pylist():
            about = {"type": "trade", "symbol": row["symbol"], "timestamp": moment(row["ts"]), "exchange": row["venue"]}
            found.append((row["ts"], about | {name: row[name] for name in ("price", "size", "side", "trade_id")}))
        return [row for _, row in sorted(found, key=lambda each: each[0])]


# -- replay ------------------------------------------------------------------------------------------------------------
class ReplayManager:
    """Replays of what was recorded below ``settings.data_dir``, each in a process of its own; ``close`` ends them all."""

    def __init__(self, settings: Settings) -> None:
        self._replays, self._numbers = Replays(settings, Clock()), itertools.count(1)

    def create_replay_session(self, start_time: datetime, end_time: datetime, speed: float) -> str:
        """Its id; it waits to be started. ``speed`` recorded s per s, inf = as fast as it goes. Raises DopeError or ValueError."""
        number = next(self._numbers)
        rate: float | str = "max" if math.isinf(speed) else speed
        asked = {"from": nanoseconds(start_time), "until": nanoseconds(end_time), "speed": rate, "start": False}
        self._replays.wish(number, {"do": "create", **asked})
        return str(number)

    async def start_replay(self, session_id: str) -> None:
        """Begin, or go on. Raises UnknownName, DopeError when it is over."""
        await self._wish("start", session_id)

    async def pause_replay(self, session_id: str) -> None:
        """Stand still where it is. Raises likewise."""
        await self._wish("pause", session_id)

    async def stop_replay(self, session_id: str) -> None:
        """End it. Raises UnknownName."""
        await self._wish("stop", session_id)

    def get_replay_status(self, session_id: str) -> ReplayStatus:
        """How it stands. Raises UnknownName."""
        (status,) = self._replays.statuses(session_id)
        at, speed = status["position"], status["speed"]
        rate = math.inf if speed == "max" else float(speed)
        return ReplayStatus(session_id, status["state"], None if at is None else moment(at * 1_000_000), rate, status["reason"])

    def close(self) -> None:
        """End all of them; returns when they are gone."""
        self._replays.close()

    async def _wish(self, verb: str, session_id: str) -> None:
        await asyncio.to_thread(self._replays.wish, 0, {"do": verb, "id": session_id})


# -- inside ------------------------------------------------------------------------------------------------------------
def _snapshot(book: Book) -> OrderBookSnapshot:
    bids, asks = ([PriceLevel(price, size) for price, size in book.levels(side, LEVELS)] for side in ("bid", "ask"))
    at = moment(book.own_ts or book.touch_ts)
    return OrderBookSnapshot(book.instrument.symbol, book.instrument.venue, at, bids, asks, book.seq if book.seq >= 0 else None)


def _trade(trade: Trade, book: Book) -> TradeEvent:
    at = book.instrument
    return TradeEvent(at.symbol, at.venue, moment(trade.ts), trade.price, trade.size, trade.side, trade.trade_id)


def _pairs(levels: Sequence[PriceLevel]) -> list[tuple[float, float]]:
    return [(level.price, level.size) for level in levels]


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0.0


def _imbalance(bids: float, asks: float) -> float | None:
    return float(imbalance(np.array([bids]), np.array([asks]))[0]) if bids + asks > 0.0 else None


def _edge(number: int, step: float) -> float:
    """Lower edge of a bucket without the dust of binary fractions."""
    return float(f"{number * step:.12g}")
