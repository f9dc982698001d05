"""How a REST snapshot and a stream of numbered differences become one right book (the recipe of the Binance family).

1. Buffer differences from the first one on; only then ask for the snapshot, so that the two must overlap.
2. Drop what the snapshot already contains (``u`` ≤ its id; perpetuals: ``u`` < its id).
3. The first difference kept must contain the snapshot's id; if it begins later, the snapshot is too old: ask again.
   A snapshot newer than all differences so far is held until the next one proves that none is missing.
4. From then on each difference must continue the one before it; if not, a message is missing: Gap, back to 1.
A difference that is wholly old is a duplicate and ignored; several in a row mean that the numbers started anew.
"""

from __future__ import annotations

from dope.types import BookUpdate, Event, Gap

BUFFER = 5_000  #: differences kept while the snapshot is on its way
OLD_IN_A_ROW = 5  #: wholly old differences after which the numbering counts as restarted
RETRY_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  #: back-off between snapshots
RESEED_NS = 30_000_000_000

Diff = tuple[int, int, int, BookUpdate]  #: (first id, last id, id of the difference before, -1 = none; update)


class DepthSync:
    """State of one symbol's book. ``chained`` = each difference names the one before (``pu``) instead of counting on."""

    __slots__ = ("awaiting", "buffer", "chained", "first", "held", "key", "last", "old", "reseeded", "shadow", "synced", "tries")

    def __init__(self, key: str, *, chained: bool) -> None:
        self.key, self.chained = key, chained
        self.reseeded = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new connection, or a gap."""
        self.synced = False  #: a snapshot is in and the chain unbroken
        self.awaiting = False  #: a snapshot was asked for
        self.first = False  #: the next difference is the first after the snapshot
        self.last = -1
        self.old = self.tries = 0
        self.buffer: list[Diff] = []
        self.held: tuple[int, BookUpdate] | None = None  #: a snapshot that waits for the difference after it
        self.shadow: list[Diff] | None = None  #: differences since a re-seeding snapshot was asked for

    def diff(self, item: Diff) -> tuple[list[Event], bool]:
        """One difference → (events, whether to ask for a snapshot now)."""
        if self.synced:
            if self.shadow is not None:
                self._keep(self.shadow, item)
            return self._continue(item)
        self._keep(self.buffer, item)
        if self.held is not None:
            events, delay = self.snapshot(*self.held)
            return events, delay is not None
        if self.awaiting:
            return [], False
        self.awaiting = True
        return [], True

    def _keep(self, buffer: list[Diff], item: Diff) -> None:
        buffer.append(item)
        if len(buffer) > BUFFER:
            del buffer[: BUFFER // 2]

    def _continue(self, item: Diff) -> tuple[list[Event], bool]:
        first, last, before, update = item
        if self.first:
            fits = self._overlaps(item, self.last)
            old = last < self.last or (last == self.last and not self.chained)
        else:
            fits = before == self.last if self.chained else first <= self.last + 1 <= last
            old = last <= self.last
            if not self.chained and first <= self.last and not old:
                fits = False
        if old and not fits:
            self.old += 1
            if self.old < OLD_IN_A_ROW:
                return [], False
            return self._broken(item, "reset")
        if not fits:
            return self._broken(item, "sequence")
        self.first, self.last, self.old = False, last, 0
        return [update], False

    def _overlaps(self, item: Diff, snapshot_id: int) -> bool:
        first, last, before, _ = item
        if self.chained:
            return first <= snapshot_id <= last or before == snapshot_id
        return first <= snapshot_id + 1 <= last

    def _broken(self, item: Diff, reason: str) -> tuple[list[Event], bool]:
        self.reset()
        self.buffer.append(item)
        self.awaiting = True
        return [Gap(item[3].ts, self.key, reason)], True

    def snapshot(self, snapshot_id: int, update: BookUpdate) -> tuple[list[Event], float | None]:
        """The snapshot came: (events, None), or (events, delay in s after which to ask again)."""
        waiting = self.shadow if self.synced else self.buffer
        if waiting is None:
            return [], None  # nobody asked
        kept = [d for d in waiting if (d[1] >= snapshot_id if self.chained else d[1] > snapshot_id)]
        if kept and not self._overlaps(kept[0], snapshot_id):
            return self.missed()
        if not kept and not (waiting and waiting[-1][1] == snapshot_id):
            if self.synced:
                return self.missed()
            self.held = (snapshot_id, update)
            return [], None
        events: list[Event] = [update]
        self.synced, self.awaiting, self.first, self.last, self.shadow = True, False, True, snapshot_id, None
        self.old = self.tries = 0
        self.buffer, self.held = [], None
        for item in kept:
            more, ask = self._continue(item)
            events += more
            if ask:
                return events, 0.0
        return events, None

    def missed(self) -> tuple[list[Event], float | None]:
        """The snapshot failed or was too old: (events, delay before the next try)."""
        if self.synced:
            self.shadow = None
            return [], None
        self.tries += 1
        self.held = None
        return [], RETRY_S[min(self.tries, len(RETRY_S) - 1)]

    def wants_reseed(self, ts: int) -> bool:
        """Whether a wider snapshot should be fetched now, while the book stays LIVE."""
        if not self.synced or self.shadow is not None or ts - self.reseeded < RESEED_NS:
            return False
        self.reseeded, self.shadow = ts, []
        return True
