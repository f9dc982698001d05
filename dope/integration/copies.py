"""The program's own books and trades as plain data, which nothing changes afterwards."""

from __future__ import annotations

from dope.integration.snapshots import OrderBookSnapshot, PriceLevel, TradeEvent, moment
from dope.market.book import Book
from dope.types import Trade

LEVELS = 50  #: levels per side of a snapshot


def snapshot_of(book: Book) -> OrderBookSnapshot:
    """Its best levels as they are now."""
    bids, asks = ([PriceLevel(price, size) for price, size in book.levels(side, LEVELS)] for side in ("bid", "ask"))
    at = moment(book.own_ts or book.touch_ts)
    return OrderBookSnapshot(book.instrument.symbol, book.instrument.venue, at, bids, asks, book.seq if book.seq >= 0 else None)


def trade_of(trade: Trade, book: Book) -> TradeEvent:
    """A trade in this book's market."""
    at = book.instrument
    return TradeEvent(at.symbol, at.venue, moment(trade.ts), trade.price, trade.size, trade.side, trade.trade_id)
