"""The books of a venue that sends differences on the socket and snapshots by REST: ``DepthSync`` for each, and who asks when.

``Differences`` keeps them wherever the snapshots come from; ``DifferencesVenue`` is a venue that gets them by REST.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence

from dope.types import BookUpdate, Event, Fault, Fetch, Frame, ReplyInfo
from dope.venues._depth_sync import DepthSync
from dope.venues.base import UNREADABLE, Known, Venue

#: (connection, native name, delay in s): ask for a snapshot
Ask = Callable[[int, str, float], None]


class Differences:
    """Beside a venue's ``known`` markets: their chains. The venue hands over what it reads and passes the engine's questions on."""

    def __init__(self, venue: str, ask: Ask, *, chained: bool = False) -> None:
        """``chained``: each difference names the one before it."""
        self._venue, self._ask, self._chained = venue, ask, chained
        self._sync: dict[str, DepthSync] = {}

    def _of(self, known: Known) -> DepthSync:
        found = self._sync.get(known.native)
        if found is None:
            found = self._sync[known.native] = DepthSync(known.key, chained=self._chained)
        return found

    def take(self, frame: Frame, known: Known, numbers: tuple[int, int, int], update: BookUpdate, events: list[Event]) -> None:
        """One difference; ``numbers`` = its first and last id and that of the one before it (−1 = not named)."""
        sync = self._of(known)
        moved = frame.conn > known.conn
        if moved:  # while an old connection hands over to a new one, both carry the same chain: the newer one counts
            known.conn = frame.conn
        elif frame.conn < known.conn and sync.synced and numbers[1] <= sync.last:
            return  # what the newer one has brought already; any number of such says nothing about the venue's numbers
        was_awaiting = sync.awaiting
        found, ask = sync.diff((*numbers, update))
        if ask or (moved and was_awaiting):
            self._ask(frame.conn, known.native, 0.0)
        events += found

    def answer(
        self, frame: Frame, known: Known, info: ReplyInfo, read: Callable[[], tuple[int, BookUpdate]], events: list[Event]
    ) -> None:
        """A snapshot came, or did not. ``read`` gives its id and levels, or raises one of ``UNREADABLE``."""
        sync = self._of(known)
        if frame.conn != known.conn:
            return  # the connection that asked is gone: its snapshot must not meet the new one's differences
        delay: float | None
        try:
            if info.status != 200:
                raise ValueError(f"status {info.status}" if info.status else "no answer")
            found, delay = sync.snapshot(*read())
            events += found
        except UNREADABLE as error:
            _, delay = sync.missed()
            body = frame.data.partition(b"\n")[2]
            events.append(Fault(frame.ts, self._venue, sync.key, f"snapshot failed: {error}"[:200], body[:200]))
            delay = None if delay is None else max(delay, info.retry_after_s)
        if delay is not None:
            self._ask(frame.conn, known.native, delay)

    def closed(self, known: Known) -> None:
        """The connection that carried it has ended."""
        self._of(known).reset()

    def again(self, known: Known) -> None:
        """The book is no longer trusted: begin anew from a snapshot."""
        sync = self._of(known)
        sync.reset()
        sync.awaiting = True
        known.asked = None  # what fails or never comes is asked for again here
        self._ask(known.conn, known.native, 1.0)

    def reseed(self, known: Known, ts: int) -> None:
        """A wider snapshot, while the book stays LIVE."""
        if known.conn >= 0 and self._of(known).wants_reseed(ts):
            self._ask(known.conn, known.native, 0.0)

    def chain(self, known: Known) -> tuple[str, int, int] | None:
        """See ``Venue.chain``."""
        sync = self._of(known)
        if known.conn < 0 or not sync.synced or sync.first or sync.shadow is not None:
            return None
        return known.native, known.conn, sync.last

    def advance(self, known: Known, last: int) -> None:
        """See ``Venue.advance``."""
        sync = self._of(known)
        sync.last, sync.old = last, 0


class DifferencesVenue(Venue):
    """Says where a snapshot is and reads it; all else about its books stands here."""

    CHAINED = False  #: each difference names the one before it
    NATIVE_IN: re.Pattern[str]  #: finds the native name in the address of a snapshot

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._books = Differences(self.ID, self._fetch, chained=self.CHAINED)

    @abstractmethod
    def snapshot_at(self, native: str) -> tuple[str, int]:
        """(address behind the REST host, weight) of a snapshot."""

    @abstractmethod
    def snapshot(self, frame: Frame, known: Known, body: bytes) -> tuple[int, BookUpdate]:
        """Its number and levels. Raises one of ``UNREADABLE``."""

    def _fetch(self, conn: int, native: str, delay_s: float) -> None:
        path, weight = self.snapshot_at(native)
        self.actions.append(Fetch(conn, f"depth:{native}", self.endpoints["rest"] + path, weight=weight, delay_s=delay_s))

    def answered(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        kind, _, native = info.key.partition(":")
        if kind != "depth":
            return
        known = self.known.get(native)
        if known is None:
            events.append(self.fault(frame, "a snapshot that nobody waits for"))
            return
        self._books.answer(frame, known, info, lambda: self.snapshot(frame, known, body), events)

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        for known in self.known.values():
            if known.conn == frame.conn:
                self._books.closed(known)
        super().on_closed(frame, events)

    def again(self, known: Known, ts: int) -> None:
        self._books.again(known)

    def reseed(self, symbol: str, ts: int) -> None:
        known = self._of(symbol)
        if known is not None:
            self._books.reseed(known, ts)

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        known = self._of(symbol)
        return None if known is None else self._books.chain(known)

    def advance(self, symbol: str, last: int) -> None:
        known = self._of(symbol)
        if known is not None:
            self._books.advance(known, last)

    def reply_key(self, url: str, natives: Sequence[str]) -> str:
        found = self.NATIVE_IN.search(url)
        if found:
            return f"depth:{found[1]}"
        return f"depth:{natives[0]}" if len(natives) == 1 else "unknown"
