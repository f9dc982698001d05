"""One order book of the sample market: integer ticks and lots, changed level by level, never crossed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

BID, ASK = 0, 1


class SimBook:
    """Both sides of one market. Every changed level takes a number from ``ids`` and is listed in ``changes``.

    ``levels[side]`` maps tick to lots; ``ticks[side]`` is sorted so that the best price is the **last** entry
    (ask ticks are stored negated). ``seq`` is the number of the newest change.
    """

    __slots__ = ("_ids", "changes", "levels", "seq", "ticks")

    def __init__(self, ids: Iterator[int]) -> None:
        self._ids = ids
        self.levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.ticks: tuple[list[int], list[int]] = ([], [])
        self.changes: list[tuple[int, int, int, int]] = []  #: (side, tick, lots, seq) since the last ``begin``
        self.seq = next(ids)

    def begin(self) -> None:
        """A new step: forget the list of changes of the last one."""
        if self.changes:
            self.changes = []

    def set(self, side: int, tick: int, lots: int) -> None:
        """Put a level, or remove it with ``lots`` 0. Removing an unknown level or repeating a size changes nothing."""
        levels = self.levels[side]
        old = levels.get(tick, 0)
        if old == lots:
            return
        place = tick if side == BID else -tick
        if lots == 0:
            del levels[tick]
            ordered = self.ticks[side]
            del ordered[bisect_left(ordered, place)]
        else:
            levels[tick] = lots
            if old == 0:
                insort(self.ticks[side], place)
        self.seq = next(self._ids)
        self.changes.append((side, tick, lots, self.seq))

    def best(self, side: int) -> int:
        """Tick of the best level. Raises IndexError on an empty side."""
        return self.ticks[BID][-1] if side == BID else -self.ticks[ASK][-1]

    def touch(self) -> tuple[int, int, int, int]:
        """``(bid tick, bid lots, ask tick, ask lots)``."""
        bid, ask = self.ticks[BID][-1], -self.ticks[ASK][-1]
        return bid, self.levels[BID][bid], ask, self.levels[ASK][ask]

    def side(self, side: int, limit: int | None = None) -> list[tuple[int, int]]:
        """``(tick, lots)`` of one side, best first, at most ``limit`` levels."""
        ordered = self.ticks[side][::-1] if limit is None else self.ticks[side][: -limit - 1 : -1]
        ticks = ordered if side == BID else [-place for place in ordered]
        return list(zip(ticks, map(self.levels[side].__getitem__, ticks), strict=True))
