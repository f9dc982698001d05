"""Jumps of one market as their definition reads, in plain Python over lists: what its published mids hold. Nothing of the program is in it.

A mid stands until the next one. Cells of time close with the mid that stood then; products of two neighbouring moves give the
volatility. A move within the window that reaches the threshold opens a jump, whose size is followed until it is over.
"""

from __future__ import annotations

import math
from typing import NamedTuple

RESTART = 600  #: cells without a book after which nothing is known any more


class Figures(NamedTuple):
    """What makes a move a jump; ms, bps, cells. ``k`` and ``cap`` in multiples of the volatility."""

    window: int
    grid: int
    halflife: float
    least: float
    k: float
    warmup: float
    floor: float
    cap: float
    settle: int
    longest: int


class Held(NamedTuple):
    """One jump; ms, ``way`` +1 up, −1 down, ``bps`` its full size, ``least`` the size from which it was one."""

    way: int
    detect: int
    peak: int
    final: int
    bps: float
    least: float


class PlainJumps:
    """Told of one market in the order of time: ``clock`` each tick, ``price`` each new mid, ``leave`` when its book is no longer known."""

    def __init__(self, figures: Figures) -> None:
        self.held: list[Held] = []
        self._f = figures
        self._stood: list[tuple[int, float]] = []  # (until when, ln of the mid in bps) within the window
        self._last, self._left = 0.0, 0
        self._cell: int | None = None  # None = the next mid begins one
        self._end = 0.0  # where the last closed cell ended, or the first mid
        self._move: float | None = None  # of the last closed cell
        self._n, self._bv, self._sigma = 0, 0.0, figures.floor
        self._open: Held | None = None
        self._from = 0.0

    @property
    def due(self) -> int | None:
        """When what is open will be over, should nothing happen; None = nothing is."""
        one, f = self._open, self._f
        return None if one is None else min(one.peak + f.settle, one.detect + f.longest)

    def clock(self, now: int) -> None:
        """Time goes on without a new mid."""
        if self._is_over(now):
            self._close(now)
            self._stood = [(now, self._last)]

    def leave(self, now: int) -> None:
        """The book is not known from now on."""
        if self._open is not None:
            self._close(now)
        self._stood = []
        if self._cell is not None:
            self._cell, self._left = None, now

    def price(self, now: int, mid: float) -> None:
        """It is this from now on."""
        value = math.log(mid) * 1e4
        if self._is_over(now):
            self._close(now)
            self._stood = []
        self._cells(now, value)
        self._last = value
        if self._open is None:
            self._look(now, value)
        elif self._open.way * (value - self._from) > self._open.bps:
            self._open = self._open._replace(bps=self._open.way * (value - self._from), peak=now)

    # -- inside ----------------------------------------------------------------------------------------------------------
    def _is_over(self, now: int) -> bool:
        return self.due is not None and now >= self.due

    def _close(self, now: int) -> None:
        assert self._open is not None
        self.held.append(self._open._replace(final=now))
        self._open = None

    def _cells(self, now: int, value: float) -> None:
        f, cell = self._f, now // self._f.grid
        if self._cell is None or cell - self._cell > RESTART:
            if cell - self._left // f.grid > RESTART:
                self._n, self._bv, self._sigma = 0, 0.0, f.floor
            self._cell, self._move, self._end = cell, None, value
            return
        for _ in range(cell - self._cell):
            move = abs(self._last - self._end)
            if self._move is not None:
                product = move * self._move
                if self._n >= f.warmup:
                    product = min(product, (f.cap * self._sigma) ** 2)
                self._n += 1
                self._bv += max(1.0 - 0.5 ** (f.grid / f.halflife), 1.0 / self._n) * (product - self._bv)
                self._sigma = max(math.sqrt(self._bv * math.pi / 2.0), f.floor)
            self._move, self._end = move, self._last
        self._cell = cell

    def _look(self, now: int, value: float) -> None:
        f = self._f
        if self._stood:
            self._stood[-1] = now, self._stood[-1][1]  # it stood until now
        self._stood = [one for one in (*self._stood, (now, value)) if one[0] > now - f.window]
        low, high = min(old for _, old in self._stood), max(old for _, old in self._stood)
        up, down = value - low, high - value
        least = max(f.least, f.k * self._sigma * math.sqrt(f.window / f.grid))
        if max(up, down) >= least and self._n >= f.warmup:
            way, self._from = (1, low) if up >= down else (-1, high)
            self._open = Held(way, now, now, now, max(up, down), least)
