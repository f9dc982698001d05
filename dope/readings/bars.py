"""Bars of trades of one market, or of all venues of a symbol together.

Asked with ``interval``, ``venue`` ("" = all together); {symbol, venue, interval, interval_s, kept: bars kept of each length,
lost: trades in no bar, rows: [{start, end (ms), open, high, low, close, volume, bought, value, count, exchange_count, closed, partial}]}.
"""

from __future__ import annotations

from typing import Any

from dope.detectors.bars import INTERVALS, KEPT, Bars, TradeBar, bars_of, together
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import SENTINEL

MS = 1_000_000


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """The newest ``limit`` bars that begin in the range, oldest first."""
    interval, venue = asked.args.get("interval", "1m"), asked.args.get("venue", "")
    bars: Bars = detector_of(session.engine, Bars)

    def copy() -> list[Any]:
        books = [book for book in session.engine.market.books.values() if book.instrument.symbol == asked.symbol]
        slots = [book.slot for book in books if venue in ("", book.instrument.venue) and book.instrument.kind != SENTINEL]
        return [(bars.copy(slot, interval, asked.start, asked.end), bars.lost(slot)) for slot in slots]

    copied = asked.between_turns(copy)
    each = [bars_of(one) for one, _ in copied]
    rows = each[0] if len(each) == 1 else together(each)
    return {
        "symbol": asked.symbol, "venue": venue, "interval": interval, "interval_s": INTERVALS[interval], "kept": KEPT,
        "lost": sum(lost for _, lost in copied), "rows": [_row(bar) for bar in (rows[-asked.limit :] if asked.limit else rows)],
    }  # fmt: skip


def _row(bar: TradeBar) -> dict[str, Any]:
    return {
        "start": bar.start // MS, "end": bar.end // MS, "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
        "volume": bar.volume, "bought": bar.bought, "value": bar.value, "count": bar.count, "exchange_count": bar.exchange_count,
        "closed": bar.closed, "partial": bar.partial,
    }  # fmt: skip
