"""Single things as plain rows, for the board, the API and the export: an opportunity, a book, and what an engine that has died leaves."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.market.book import Book
from dope.market.freshness import simultaneous
from dope.market.market import Market
from dope.types import DOWN

MS = 1_000_000
BOOK_LEVELS = 50  #: levels per side of a book that is asked for


def opportunity_row(o: Opportunity, stepped: Container[int] = ()) -> dict[str, Any]:
    """An Opportunity as the ``opps`` section and the export hold it: times in ms, the rest as it is.

    ``stepped`` = ids of those that were open while the system clock was set, or that of one of their venues.
    """
    row = msgspec.structs.asdict(o)
    row["life_s"] = o.life_s
    row["peak_t"], row["opened"] = o.peak_t // MS, o.opened // MS
    row["closed"] = None if o.closed is None else o.closed // MS
    row["ts"] = o.ts // MS
    row["levels"] = [list(level) for level in o.levels]
    row["comparable"], row["clock_step"] = simultaneous(o.buy_age_ms, o.sell_age_ms), o.id in stepped
    return row


def book_row(market: Market, book: Book, now: int) -> dict[str, Any]:
    """One order book with its best levels, as the API gives it; a book that is not LIVE has none."""
    live = book.state == "LIVE"
    return {
        "key": book.key, "venue": book.instrument.venue, "symbol": book.instrument.symbol, "kind": book.instrument.kind,
        "state": book.state, "reason": book.reason, "seq": book.seq,
        "bids": book.levels("bid", BOOK_LEVELS) if live else [], "asks": book.levels("ask", BOOK_LEVELS) if live else [],
        "age_ms": market.age(book, now) / MS if live else None, "received": book.own_ts // MS or None,
    }  # fmt: skip


def finite(value: Any) -> Any:
    """The same value with every NaN and infinity replaced by None, so that it is JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value


def stopped(data: Mapping[str, Any]) -> dict[str, Any]:
    """The last sections of an engine that has died: nothing is open, nothing is live, and the screen says so."""
    why = "the engine has stopped"
    price = dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "mid", "age_ms", "unchanged_ms", "imbalance"))
    return {
        "mode": {**data.get("mode", {}), "banner": "ENGINE STOPPED: nothing here is current any more; the log tells why", "stopped": True,
                 "scenario": None},
        "venues": [{**row, "state": "down", "books_live": 0, "msgs_s": 0.0, "last_error": why} for row in data.get("venues", ())],
        "instruments": [{**row, **price, "state": DOWN, "reason": why, "depth": {}} for row in data.get("instruments", ())],
        "opps": [], "misses": [], "matrix": [],
        "cards": {**data.get("cards", {}), "open": 0, "best": None, "alert": None},
    }  # fmt: skip
