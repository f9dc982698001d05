"""What each simulated venue published and when: with the seed's twin, every published book at any instant of virtual time.

A row says only that a channel of a market spoke in a step: what it said is what the twin holds after that step. So the log
is short, and a book that was never kept can be had again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dope.sim.book import ASK, BID
from dope.sim.market import STEP_MS, SampleMarket

DEPTH, TOUCH, TRADES, OTHER = range(4)  #: channels
CHANNELS = ("depth", "touch", "trades", "other")
KEPT = 4_000_000  #: rows in memory, eight bytes each; of more the older half is forgotten
WALKED = 50  #: levels per side of a published book
WHOLE = 10**8  #: ``lot_e8`` of a whole unit

Sides = tuple[list[tuple[int, int]], list[tuple[int, int]]]  #: bids and asks as (tick, lots), best first
Words = tuple[tuple[str, str, int], ...]  #: (part of a topic in small letters, one of CHANNELS, ``Row.levels``)


class Row(NamedTuple):
    """Channel ``channel`` of market ``key`` published the state after step ``step``; ``lost`` = nobody was sent it.

    ``levels`` = per side that depth carries, 0 = all; of a touch 1, or 0 = its sizes are told in whole units of the venue.
    """

    step: int
    key: str
    channel: int
    levels: int
    lost: bool


class TruthLog:
    """Rows of all venues of a world, in order; ``write`` gets each as eight bytes of a file."""

    def __init__(self, sample: SampleMarket, *, kept: int = KEPT, write: Callable[[bytes], object] | None = None) -> None:
        self._sample, self._kept, self._write = sample, kept, write
        self.keys = tuple(sample.markets)
        self._ranks = {key: rank for rank, key in enumerate(self.keys)}
        self._rows = array("Q")
        self.forgotten = 0  #: rows no longer in memory

    def __len__(self) -> int:
        return len(self._rows)

    def note(self, key: str, channel: int, levels: int, *, lost: bool) -> None:
        """Something was published in the step that the market has just made."""
        row = self._sample.steps << 32 | self._ranks[key] << 16 | levels << 4 | channel << 1 | lost
        self._rows.append(row)
        if self._write is not None:
            self._write(row.to_bytes(8, "little"))
        if len(self._rows) > self._kept:
            self.forgotten += self._kept // 2
            del self._rows[: self._kept // 2]

    def rows(self) -> Iterator[Row]:
        """Oldest first."""
        for row in self._rows:
            yield Row(row >> 32, self.keys[row >> 16 & 0xFFFF], row >> 1 & 7, row >> 4 & 0xFFF, bool(row & 1))

    def load(self, data: bytes) -> None:
        """The rows of a file that was written by a log over the same listings."""
        self._rows.frombytes(data)


class Voice:
    """The log as one server uses it: topics are looked up once."""

    def __init__(self, words: Words, natives: Mapping[str, str], log: TruthLog | None = None) -> None:
        """``natives`` = the venue's names → keys; ``words`` = which topics carry depth, touch and trades."""
        self.log = log
        self._words = words
        self._natives = sorted(((native.lower(), key) for native, key in natives.items()), key=lambda pair: -len(pair[0]))
        self._topics: dict[str, tuple[str, int, int] | None] = {}

    def said(self, topic: str, *, lost: bool) -> None:
        """A message of this topic was published; ``lost`` = it was sent to nobody."""
        if self.log is None:
            return
        if topic not in self._topics:
            self._topics[topic] = self._understood(topic.lower())
        found = self._topics[topic]
        if found is not None and found[1] != OTHER:
            self.log.note(*found, lost=lost)

    def channel(self, topic: str) -> int:
        """Which channel a topic carries."""
        return self._carried(topic.lower())[0]

    def _carried(self, topic: str) -> tuple[int, int]:
        channel, levels = next(((channel, levels) for word, channel, levels in self._words if word in topic), ("other", 0))
        return CHANNELS.index(channel), levels

    def _understood(self, topic: str) -> tuple[str, int, int] | None:
        key = next((key for name, key in self._natives if name in topic), None)
        return None if key is None else (key, *self._carried(topic))


class Shown:
    """One market as it was last published: levels and, from another channel, the touch."""

    __slots__ = ("depth", "depth_step", "lost", "touch", "touch_step")

    def __init__(self) -> None:
        self.depth: Sides | None = None
        self.touch: tuple[int, int, int, int] | None = None
        self.depth_step = self.touch_step = -1
        self.lost = False  #: a depth message before this one was sent to nobody

    def sides(self) -> Sides | None:
        """Bids and asks as whoever heard everything sees them; None before the first levels.

        A touch that is newer than the levels is the best level, and what was better than it is gone.
        """
        if self.depth is None:
            return None
        if self.touch is None or self.touch_step <= self.depth_step:
            return self.depth[0][:WALKED], self.depth[1][:WALKED]
        bid, bid_lots, ask, ask_lots = self.touch
        bids, asks = self.depth
        return (
            [*([(bid, bid_lots)] if bid_lots else []), *(level for level in bids if level[0] < bid)][:WALKED],
            [*([(ask, ask_lots)] if ask_lots else []), *(level for level in asks if level[0] > ask)][:WALKED],
        )


class Published:
    """Every published book, step by step: goes forward through a log beside the twin that re-runs its seed."""

    def __init__(self, rows: Sequence[Row] | Iterator[Row], twin: SampleMarket) -> None:
        """``twin`` has not made a step that the rows tell of."""
        self.twin = twin
        self.shown = {key: Shown() for key in twin.markets}
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    @property
    def now_ms(self) -> int:
        """Virtual time, ms UTC."""
        return self.twin.now_ms

    def step(self) -> Iterator[str]:
        """One step of 10 ms: gives each key whose published book is another one now, in the order in which they were published."""
        self.twin.step()
        while self._next is not None and self._next.step <= self.twin.steps:
            row = self._next
            self._take(row)
            self._next = next(self._rows, None)
            if row.channel in (DEPTH, TOUCH):
                yield row.key

    def to(self, now_ms: int) -> None:
        """Forward to this instant."""
        while self.twin.now_ms + STEP_MS <= now_ms:
            for _ in self.step():
                pass

    def _take(self, row: Row) -> None:
        shown, market = self.shown[row.key], self.twin.markets[row.key]
        if row.channel == DEPTH:
            told = row.levels or None  # more than are walked: a newer touch may hide many
            shown.depth = market.book.side(BID, told), market.book.side(ASK, told)
            shown.depth_step, shown.lost = row.step, row.lost
        elif row.channel == TOUCH:
            bid, bid_lots, ask, ask_lots = market.book.touch()
            whole = 1 if row.levels else max(1, WHOLE // market.spec.lot_e8)
            shown.touch, shown.touch_step = (bid, bid_lots - bid_lots % whole, ask, ask_lots - ask_lots % whole), row.step
