"""What is new at one venue: its order books as they stand and its trades, for those who follow it from outside.

One answer, of ``VenueReader.read``, times in ms UTC, prices in quote and sizes in base units:
{run: names the recording session (another one = another source), source: "live"|"sim"|"tape",
 books: [{key, symbol, kind, state, reason, bids: [[price, size]…], asks, exchange_ms, received_ms, venue_seq}…] those that
 changed, best level first; only a LIVE one has levels, keys: [key of every book of the venue],
 trades: [{symbol, id (the venue's), side (the taker's: "buy"|"sell"), price, size, exchange_ms, received_ms}…] in order,
 missed: trades of all venues that were over before they could be read}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from dope.market.book import Book
from dope.session import Session
from dope.types import LIVE, Trade

MS = 1_000_000
SLICE = 24  #: books that are copied before the engine may step again

T = TypeVar("T")
Stand = tuple[Any, ...]  #: of a book: equal = nothing about it has changed


class BetweenTurns(Protocol):
    """Carries something out in the engine's thread, where nothing changes meanwhile. Raises NoEngine."""

    def __call__(self, read: Callable[[], T]) -> T: ...


class VenueReader:
    """Reads one venue again and again; between two reads it costs the engine nothing. One thread at a time may read."""

    def __init__(self, venue: str, session: Callable[[], Session | None], between_turns: BetweenTurns) -> None:
        self.venue = venue
        self._session, self._between_turns = session, between_turns
        self._of: Session | None = None
        self._depth = 0
        self._number = -1  #: trades of the session that were read or passed over; -1 = begin with those to come
        self._stands: dict[str, Stand] = {}

    def read(self, depth: int) -> dict[str, Any]:
        """What is new since the last answer; everything when ``depth`` (levels per side) or the session is another. Raises NoEngine.

        {} while there is no session. An answer that did not come in time is forgotten: the next one holds its news.
        """
        session = self._session()
        if session is None:
            return {}
        if session is not self._of or depth != self._depth:
            self._number = self._number if session is self._of else -1
            self._of, self._depth, self._stands = session, depth, {}
        number, mine = self._number, self.venue + ":"
        after = number if number >= 0 else 1 << 62
        keys, (newest, trades) = self._between_turns(
            lambda: ([key for key in session.engine.market.books if key.startswith(mine)], session.rows.trades_after(after))
        )
        stands: dict[str, Stand] = {}
        books: list[dict[str, Any]] = []
        for at in range(0, len(keys), SLICE):
            books += self._between_turns(lambda some=keys[at : at + SLICE]: self._copy(session, some, stands))  # type: ignore[misc]
        self._number, self._stands = newest, stands
        return {
            "run": session.rows.session, "source": session.source, "books": books, "keys": list(stands),
            "trades": [_trade_row(trade) for trade in trades if trade.key.startswith(mine)],
            "missed": newest - number - len(trades) if number >= 0 else 0,
        }  # fmt: skip

    def _copy(self, session: Session, keys: Sequence[str], stands: dict[str, Stand]) -> list[dict[str, Any]]:
        """Rows of those books that have changed; how each stands goes into ``stands``."""
        rows = []
        for key in keys:
            book = session.engine.market.books.get(key)
            if book is not None:
                stands[key] = stand = _stand(book)
                if self._stands.get(key) != stand:
                    rows.append(_book_row(book, self._depth))
        return rows


def _stand(book: Book) -> Stand:
    return book.state, book.reason, book.own_ts, book.quote_ts, book.book_updates, book.snapshots


def _book_row(book: Book, depth: int) -> dict[str, Any]:
    i, live = book.instrument, book.state == LIVE
    return {
        "key": book.key, "symbol": i.symbol, "kind": i.kind, "state": book.state, "reason": book.reason,
        "bids": book.levels("bid", depth) if live else [], "asks": book.levels("ask", depth) if live else [],
        "exchange_ms": book.stamp // MS if live and book.stamp > 0 else None,
        "received_ms": max(book.own_ts, book.quote_ts) // MS or None, "venue_seq": book.seq if live and book.seq >= 0 else None,
    }  # fmt: skip


def _trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.key.partition(":")[2], "id": trade.trade_id, "side": trade.side, "price": trade.price, "size": trade.size,
        "exchange_ms": trade.ts_exch // MS if trade.ts_exch > 0 else None, "received_ms": trade.ts // MS,
    }  # fmt: skip
