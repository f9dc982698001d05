"""What a venue knows of its markets: their names, its own list of them, and how their books begin, break and are asked for anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from dope.types import Action, Event, Frame, Gap, Instrument, Reconnect
from dope.venues._catalogue import Catalogue
from dope.venues._contract import UNREADABLE, Contract
from dope.venues._known import Known

CHECK_NS, RECHECK_NS = 60_000_000_000, 5_000_000_000  #: from one comparison with REST to the next, and to its repetition
BESIDE_NS = 60_000_000_000  #: least time between two connections opened for their snapshots

R = TypeVar("R")


class Markets(Contract):
    """The part of ``Venue`` that is about markets."""

    def __init__(self) -> None:
        self.actions: list[Action] = []  #: appended by receive(); whoever runs the engine drains it
        self.known: dict[str, Known] = {}  #: by native name
        self.halted: set[int] = set()  #: connections on which the venue said that it takes no orders
        self.unread = 0  #: rows of the list being read that could not be used
        self.catalogue = Catalogue()
        self._opened_beside = 0

    # -- names -------------------------------------------------------------------------------------------------------
    def name_of(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol: from its list once that was read, else by its rule for names."""
        return self.catalogue.names.get(symbol) or self.native(symbol)

    def market_of(self, native: str) -> Instrument | None:
        """The market behind the venue's own name: from its list once that was read, else from the shipped table."""
        return self.catalogue.all.get(native) or self.instrument(native)

    def has_list(self, key: str) -> bool:
        """Whether the answer to this request for a list was read."""
        return self.catalogue.has(key)

    def offers(self) -> dict[str, Instrument]:
        """All that the venue lists, by its own names; {} until its list was read. Never changed in place: any thread may read it."""
        return self.catalogue.all

    def each(self, rows: Iterable[R], read: Callable[[R], Instrument | None]) -> Iterable[Instrument]:
        """What ``read`` makes of each row of a list; None = not of our kinds. Rows that cannot be read are counted, the rest is kept."""
        for row in rows:
            try:
                instrument = read(row)
            except UNREADABLE:
                self.unread += 1
                continue
            if instrument is not None:
                yield instrument

    # -- books -------------------------------------------------------------------------------------------------------
    def lost(self, known: Known, ts: int, events: list[Event], reason: str = "sequence") -> None:
        """A message of this book is missing: tell it and ask for a new snapshot."""
        known.last, known.asked = None, ts
        events.append(Gap(ts, known.key, reason))
        self.again(known, ts)

    def begun(self, known: Known, frame: Frame, last: int, events: list[Event]) -> bool:
        """A snapshot of this book arrived; False = it is not to be used, because the venue takes no orders."""
        known.conn, known.last, known.asked = frame.conn, last, None
        if frame.conn in self.halted:
            known.last = None
            events.append(Gap(frame.ts, known.key, "halted"))
        return known.last is not None

    def unbegun(self, known: Known, frame: Frame) -> None:
        """A change came for a book without a snapshot, which will contain it: should that not come in time, it is asked for."""
        if known.last is None and known.asked is None and frame.conn not in self.halted:
            known.conn, known.asked = frame.conn, frame.ts

    def trading(self, frame: Frame, on: bool, events: list[Event]) -> None:
        """The venue says on this connection that it takes orders, or takes none: its books are halted, or asked for anew."""
        (self.halted.discard if on else self.halted.add)(frame.conn)
        for known in self.known.values():
            if known.conn != frame.conn:
                continue
            if not on and known.last is not None:
                known.last = None
                events.append(Gap(frame.ts, known.key, "halted"))
            elif on and known.last is None and known.asked is None:
                known.asked = frame.ts
                self.again(known, frame.ts)

    def resync(self, symbol: str, ts: int) -> Sequence[Event]:
        """The market no longer trusts this book: ask for a new snapshot. Events, if the venue has any to tell."""
        known = self._of(symbol)
        if known is not None and known.conn >= 0 and known.asked is None:
            known.last, known.asked = None, ts
            self.again(known, ts)
        return ()

    def open_beside(self, symbol: str, ts: int) -> None:
        """For ``reseed`` where a snapshot comes with a subscription only: a new connection brings it, at most one each minute."""
        known = self._of(symbol)
        if known is not None and known.conn >= 0 and ts - self._opened_beside > BESIDE_NS:
            self._opened_beside = ts
            self.actions.append(Reconnect(known.conn, "the market left the range that is kept", planned=True))

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        """(native name, connection, last sequence number) of an unbroken book that only waits for its next difference."""
        known = self._of(symbol)
        if known is None or known.conn < 0 or known.last is None or known.last < 0:
            return None
        return known.native, known.conn, known.last

    def advance(self, symbol: str, last: int) -> None:
        """Differences up to ``last`` were applied without passing through ``receive``."""
        known = self._of(symbol)
        if known is not None:
            known.last = last

    def _of(self, symbol: str) -> Known | None:
        return self.known.get(self.name_of(symbol) or symbol)

    def plan_checks(self, ts: int) -> None:
        """Ask REST for the best levels of books that nothing else proves: twice in a row, each minute."""
        for rank, known in enumerate(self.known.values(), 1):
            if known.last is None or not known.check_ts:
                # one market after the other: all at once would be more than a venue answers in a second
                known.check_ts, known.rechecked = ts + CHECK_NS * rank // len(self.known), True
            elif ts >= known.check_ts and (fetch := self.check(known)) is not None:
                known.rechecked = not known.rechecked
                known.check_ts = ts + (CHECK_NS if known.rechecked else RECHECK_NS)
                self.actions.append(fetch)
