"""Single messages as the venues send them, and single books: read, checked, and turned into figures."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from dope.detectors.microstructure import weighted_mid
from dope.engine import Engine
from dope.feed.clock import Clock
from dope.integration.copies import snapshot_of, trade_of
from dope.integration.levels import imbalance_of, pairs, positive
from dope.integration.snapshots import Data, OrderBookMetrics, OrderBookSnapshot, TradeEvent, moment
from dope.market.book import Book
from dope.market.market import Market
from dope.types import DATA, LIVE, OPEN, BookState, DepthChange, Event, Fault, Frame, OpenInfo, Touch, Trade
from dope.venues import make

FUTURE = timedelta(hours=1)
DEPTH_BPS = (5, 10, 25, 50)


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
        return replace(snapshot_of(book), timestamp=moment(self._clock.now()))

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
            return positive(data.price) and positive(data.size) and data.side in ("buy", "sell")
        sides = [[level.price for level in side] for side in (data.bids, data.asks)]
        if not all(positive(level.price) and positive(level.size) for level in (*data.bids, *data.asks)):
            return False
        in_order = all(a > b for a, b in itertools.pairwise(sides[0])) and all(a < b for a, b in itertools.pairwise(sides[1]))
        return in_order and not (sides[0] and sides[1] and sides[0][0] >= sides[1][0])

    def calculate_metrics(self, orderbook: OrderBookSnapshot) -> OrderBookMetrics:
        """Figures of one book; see ``OrderBookMetrics``."""
        bids, asks = pairs(orderbook.bids), pairs(orderbook.asks)
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
            None if mid is None or spread is None else spread / mid * 1e4, *volumes, imbalance_of(*volumes), depth,
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
            self.trades.append(trade_of(event, book))
        else:
            market.watch(book.key, True)
            self.books[book.key] = book
        return ()
