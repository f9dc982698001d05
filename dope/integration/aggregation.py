"""Many books at a time: the newest of each exchange, cut into buckets, shown as a heat map, and added up to one."""

from __future__ import annotations

import math
from datetime import timedelta

from dope.errors import UnknownName
from dope.integration.levels import imbalance_of, pairs, positive
from dope.integration.snapshots import (
    ConsolidatedOrderBook,
    ConsolidatedPriceLevel,
    HeatmapData,
    HeatmapPoint,
    ImbalanceMetrics,
    OrderBookSnapshot,
    PriceBuckets,
)
from dope.market.buckets import price_buckets
from dope.market.consolidated import consolidated

FRESH = timedelta(seconds=5)  #: a book is added to others while it is no older than this against the newest


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
        if not positive(bucket_size):
            raise ValueError("a bucket has a positive width")
        found = price_buckets(pairs(orderbook.bids), pairs(orderbook.asks), bucket_size)
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
            return imbalance_of(*sums)

        return ImbalanceMetrics(orderbook.symbol, orderbook.timestamp, of(1), of(5), of(10), of(None))

    def aggregate_across_exchanges(self, symbol: str) -> ConsolidatedOrderBook:
        """One book of all exchanges' newest ones, without those older than the newest by more than 5 s. Raises UnknownName."""
        if symbol not in self._newest:
            raise UnknownName("symbol", symbol, self._newest)
        books = self._newest[symbol].values()
        newest = max(book.timestamp for book in books)
        used = {book.exchange: book for book in books if newest - book.timestamp <= FRESH}

        def side(bids: bool) -> list[ConsolidatedPriceLevel]:
            levels = {name: pairs(book.bids if bids else book.asks) for name, book in used.items()}
            return [ConsolidatedPriceLevel(each.price, each.size, each.exchange_count) for each in consolidated(levels, bids=bids)]

        return ConsolidatedOrderBook(symbol, newest, side(True), side(False), sorted(used))


def _edge(number: int, step: float) -> float:
    """Lower edge of a bucket without the dust of binary fractions."""
    return float(f"{number * step:.12g}")
