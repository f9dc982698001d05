"""Rolling statistics of many series at once, a sample of each per second: moments of the last hour, and the last ten minutes whole.

The hour goes on by minutes: it is the minute that runs and the 59 before it. So a series costs some 8 kB instead of every sample of an
hour, and a second costs a few operations on columns, however many series there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MINUTES = 60
RECENT = 600  #: samples kept as they were: ten minutes
COUNT, SUM, SQUARES, LOW, HIGH = range(5)
EMPTY = np.array([0.0, 0.0, 0.0, np.inf, -np.inf])

Floats = np.ndarray


class Moments(NamedTuple):
    """Of each series; ``sd`` is the sample standard deviation, everything but ``n`` is not a number where n is 0."""

    mean: Floats
    sd: Floats
    low: Floats
    high: Floats
    n: Floats


class Rolling:
    """``rows`` series, added one by one and never taken away. Seconds rise; one without a sample is a hole in all of them."""

    def __init__(self) -> None:
        self.rows = 0
        self._second = self._minute = -1
        self._now, self._past = np.zeros((5, 0)), np.zeros((5, 0))  # of the minute that runs, and of those before it
        self._ring = np.zeros((MINUTES - 1, 5, 0))  # the minutes before it, each at its number
        self._recent = np.zeros((RECENT, 0))  # each second at its number
        self._origin, self._last = np.zeros(0), np.zeros(0)  # the first and the newest value that was known

    def add(self) -> int:
        """The number of one more series."""
        if self.rows == len(self._last):
            room, empty = max(16, 2 * self.rows), EMPTY[:, np.newaxis]
            self._now, self._past, self._ring = (_wider(old, room, empty) for old in (self._now, self._past, self._ring))
            self._recent, self._origin, self._last = (_wider(old, room, np.nan) for old in (self._recent, self._origin, self._last))
        self.rows += 1
        return self.rows - 1

    def sample(self, second: int, values: Floats) -> None:
        """What the series are in this second (since 1970), later than the one before; not a number = not known."""
        self._go_on(second)
        n, known = self.rows, ~np.isnan(values)
        np.copyto(self._origin[:n], values, where=known & np.isnan(self._origin[:n]))
        np.copyto(self._last[:n], values, where=known)
        self._recent[second % RECENT, :n] = values
        away = np.where(known, values - self._origin[:n], 0.0)  # sums of squares about 0 would lose the digits of a far mean
        now = self._now[:, :n]
        now[COUNT] += known
        now[SUM] += away
        now[SQUARES] += away * away
        now[LOW], now[HIGH] = np.fmin(now[LOW], values), np.fmax(now[HIGH], values)

    def _go_on(self, second: int) -> None:
        for skipped in range(max(self._second + 1, second - RECENT + 1), second) if self._second >= 0 else ():
            self._recent[skipped % RECENT] = np.nan
        minute, empty = second // 60, EMPTY[:, np.newaxis]
        if minute != self._minute and self._minute >= 0:
            self._ring[self._minute % (MINUTES - 1)] = self._now
            for skipped in range(max(self._minute + 1, minute - MINUTES + 1), minute):
                self._ring[skipped % (MINUTES - 1)] = empty
            self._now[:] = empty
            self._past[:LOW] = self._ring[:, :LOW].sum(axis=0)
            self._past[LOW], self._past[HIGH] = self._ring[:, LOW].min(axis=0), self._ring[:, HIGH].max(axis=0)
        self._second, self._minute = second, minute

    @property
    def last(self) -> Floats:
        """The newest value that was known."""
        known: Floats = self._last[: self.rows]
        return known

    def moments(self) -> Moments:
        """Of the last hour."""
        past, now = self._past[:, : self.rows], self._now[:, : self.rows]
        n = past[COUNT] + now[COUNT]
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (past[SUM] + now[SUM]) / n
            spread = np.maximum((past[SQUARES] + now[SQUARES]) / n - away * away, 0.0) * n / np.maximum(n - 1.0, 1.0)
        low, high = np.minimum(past[LOW], now[LOW]), np.maximum(past[HIGH], now[HIGH])
        return Moments(self._origin[: self.rows] + away, np.sqrt(spread), low, high, n)

    def recent(self, row: int) -> Floats:
        """One series of the last ten minutes, oldest first, a value per second; not a number = a hole."""
        order = np.arange(self._second - RECENT + 1, self._second + 1) % RECENT
        found: Floats = self._recent[order, row]
        return found


def _wider(old: Floats, room: int, fill: Floats | float) -> Floats:
    """The same columns with room for so many series, new ones filled."""
    new = np.empty((*old.shape[:-1], room))
    new[...] = fill
    new[..., : old.shape[-1]] = old
    return new
