"""The books of a venue that sends differences on the socket and snapshots by REST: ``DepthSync`` for each, and who asks when."""

from __future__ import annotations

from collections.abc import Callable

from dope.types import BookUpdate, Event, Fault, Frame, ReplyInfo
from dope.venues._depth_sync import DepthSync
from dope.venues.base import UNREADABLE, Known

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
