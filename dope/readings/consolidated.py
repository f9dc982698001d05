"""The consolidated book of a symbol: its LIVE books added up by price, in base units; one symbol is one quote currency and one kind.

{symbol, base, quote, kind, exchange_count, bid, ask, mid, crossed: two venues' books cross each other, bids and asks:
[{price, size, exchange_count, venues: {id: size}, complete}], venues: [{venue, state, reason, used, age_ms}]}.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dope.market.book import Book
from dope.market.consolidated import consolidated
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import LIVE, SENTINEL

MS = 1_000_000
LEVELS = 100  #: per side of each venue's book


def books_of(session: Session, symbol: str) -> list[Book]:
    """The books of a symbol at all venues that are watched, those of reference prices and of the self-test left out."""
    books = list(session.engine.market.books.values())
    venues = session.engine.venues
    return [
        book for book in books
        if book.instrument.symbol == symbol and book.instrument.kind not in (SENTINEL, "reference")
        and symbol in venues[book.instrument.venue].symbols
    ]  # fmt: skip


def usable(book: Book) -> bool:
    """Known to be right, both sides, in base units."""
    touch = book.touch()
    return book.state == LIVE and book.instrument.contract_value is not None and touch[0] > 0.0 and touch[2] > 0.0


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """``limit`` levels per side (0 = all of the best ``LEVELS`` of each venue)."""
    market = session.engine.market
    books = books_of(session, asked.symbol)

    def copy() -> list[dict[str, Any]]:
        rows = []
        for book in books:
            used = usable(book)
            about = {"venue": book.instrument.venue, "state": book.state, "reason": book.reason, "used": used}
            sides = {"bids": book.levels("bid", LEVELS), "asks": book.levels("ask", LEVELS)} if used else {"bids": [], "asks": []}
            rows.append(about | {"age_ms": market.age(book, market.now) / MS if used else None} | sides)
        return rows

    rows = asked.between_turns(copy)
    sides = {
        name: consolidated({row["venue"]: row[name] for row in rows if row["used"]}, bids=name == "bids", limit=asked.limit)
        for name in ("bids", "asks")
    }
    bid, ask = (sides[name][0].price if sides[name] else None for name in ("bids", "asks"))
    both = bid is not None and ask is not None
    i = books[0].instrument if books else None
    return {
        "symbol": asked.symbol, "base": i.base if i else "", "quote": i.quote if i else "", "kind": i.kind if i else "",
        "exchange_count": sum(row["used"] for row in rows), "bid": bid, "ask": ask,
        "mid": (bid + ask) / 2.0 if bid is not None and ask is not None else None, "crossed": both and bid >= ask,  # type: ignore[operator]
        "venues": [{name: row[name] for name in ("venue", "state", "reason", "used", "age_ms")} for row in rows],
        **{name: [msgspec.structs.asdict(level) for level in levels] for name, levels in sides.items()},
    }  # fmt: skip
