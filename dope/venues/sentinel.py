"""The two hidden venues of the self-test: a book each that nobody trades, whose messages the program writes itself.

Messages read: {"n":1,"book":{"bids":[["99.10","2.500"]],"asks":[…]}} a whole book · {"n":2,"bids":[…],"asks":[…]} levels that
changed, size "0" = gone · {"n":3} nothing changed.

Recipe: 1 ``n`` counts the messages of a connection, from 1; 2 a whole book begins the book; 3 a number that is not the next one
is a gap until the next whole book; 4 any message proves the book current. They stand apart from the venues of a user: nothing
connects to them, and their markets are of a kind that no table, chart, row or statistic shows (``types.SENTINEL``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import SENTINEL, BookUpdate, Confirmed, Event, Fee, Frame, Instrument, Plan
from dope.venues.base import Known, Venue

BASE, QUOTE, NATIVE = "SENTINEL", "UNIT", "S"
SYMBOL = f"{BASE}-{QUOTE}"
TICK, LOT = "0.01", "0.001"  #: of both books
_NO = msgspec.Raw(b"")


class _Book(msgspec.Struct):
    bids: msgspec.Raw = _NO
    asks: msgspec.Raw = _NO


class _Message(msgspec.Struct):
    n: int
    book: _Book | None = None
    bids: msgspec.Raw = _NO
    asks: msgspec.Raw = _NO


_message = msgspec.json.Decoder(_Message)


class SentinelA(Venue):
    ID, LABEL, SHORT = "sentinel_a", "Self-test A", "S-A"
    FEES = (Fee("sentinel_a", SENTINEL, 10.0, 10.0, "quote", "made up for the self-test", "2026-11-21", "exact"),)

    def native(self, symbol: str) -> str | None:
        return NATIVE if symbol == SYMBOL else None

    def instrument(self, native: str) -> Instrument | None:
        if native != NATIVE:
            return None
        return Instrument(self.ID, SYMBOL, NATIVE, BASE, QUOTE, SENTINEL, tick=float(TICK), lot=float(LOT))

    def topics(self, socket: str, native: str) -> Sequence[str]:
        return ()

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        return ()

    def plan(self) -> tuple[Plan, ...]:
        """Nothing connects to it."""
        return ()

    def again(self, known: Known, ts: int) -> None:
        """Nobody is there to be asked: the next connection begins with a whole book."""

    def read(self, frame: Frame, events: list[Event]) -> None:
        message = _message.decode(frame.data)
        known = self.entitled(frame, NATIVE, events)
        if known is None:
            return
        if (book := message.book) is not None:
            if self.begun(known, frame, message.n, events):
                events.append(BookUpdate(frame.ts, known.key, 0, True, message.n, bytes(book.bids), bytes(book.asks)))
            return
        if known.last is None or known.conn != frame.conn:
            return
        if message.n != known.last + 1:
            self.lost(known, frame.ts, events)
            return
        known.last = message.n
        if message.bids == _NO and message.asks == _NO:
            events.append(Confirmed(frame.ts, self.ID, frame.conn))
        else:
            events.append(BookUpdate(frame.ts, known.key, 0, False, message.n, bytes(message.bids), bytes(message.asks)))


class SentinelB(SentinelA):
    """The same with other fees, taken in base: both ways of taking a fee are tried."""

    ID, LABEL, SHORT = "sentinel_b", "Self-test B", "S-B"
    FEES = (Fee("sentinel_b", SENTINEL, 7.5, 7.5, "base", "made up for the self-test", "2026-11-21", "exact"),)


SENTINELS: tuple[type[Venue], ...] = (SentinelA, SentinelB)
KEYS = tuple(f"{venue.ID}:{SYMBOL}" for venue in SENTINELS)
