"""Pairs of markets in the memory of compiled code: their fees and sizes, the life each may be in, what the newest look at it saw.

A detector says which pairs there are, and reads and writes a row when a life begins or ends; in between the compiled look
(``market/near.py``) goes on with it. What a look saw stands in a *room* that a pair has from its first life on: the levels of both sides,
so that whoever wants the row of the life makes it from them, later.
"""

from __future__ import annotations

import numpy as np

LEVELS = 50  #: per side that a walk may use
# columns of the integers of a pair: both slots; whether it is watched, its life open, and somebody must look at it; since when its life
# is below the leave level (``NO_TIME`` = it is not), the newest look, how many looks, when its peak was; its room (-1 = none yet)
BUY, SELL, WATCHED, OPEN, DUE, FELL, LAST, UPDATES, PEAK_T, ROOM = range(10)
# of its figures: fee wall, bps; both fees as the walk takes them, what is kept of a bought unit; sizes in base, costs in quote; peak, bps
WALL, FEE_BUY, FEE_SELL, KEPT, LOT, TRANSFER, LEAST_COST, LEAST_QTY, PEAK = range(9)
# of the rules for all pairs: gross minus wall from which a pair is looked at, and the levels of a life, bps; times in ns, the age in s
NEAR, EVERY, ENTER, LEAVE, DEBOUNCE, MAX_GAP, MAX_AGE_S = range(7)
# of the integers of a room: whether it is news; times in ns, updates and whether the life was fading; how many levels a side has;
# and when and after how many updates it was last seen that nothing pays any more (0 = not since)
NEWS, TS, PEAK_AT, COUNT, FADING, BUY_AGE, SELL_AGE, SKEW, LIMIT, ASKS, BIDS, FADED, FADED_COUNT = range(13)
# of its figures: peak in bps, best bid and ask of both markets
PEAK_BPS, BUY_BID, BUY_ASK, SELL_BID, SELL_ASK = range(5)
NO_TIME = -(2**62)
TOLD, UNTOLD = 1, 2  #: in ``OPEN``: whether the life has been told; compiled code goes on with no other


class Pairs:
    """All pairs of a market, by number; ``of`` = numbers of the pairs of each slot, -1 behind the last."""

    def __init__(self, slots: int) -> None:
        self.count = self.rooms = 0
        self.numbers, self.figures = np.zeros((16, 10), dtype=np.int64), np.zeros((16, 9))
        self.of = np.full((slots, 8), -1, dtype=np.int64)
        #: 1.0 in ``EVERY`` = somebody wants every touch anyway
        self.rules = np.array([-np.inf, 0.0, np.inf, np.inf, 0.0, 0.0, 0.0])
        self.room, self.room_figures, self.sides = np.zeros((16, 13), dtype=np.int64), np.zeros((16, 5)), np.zeros((16, 2, LEVELS, 2))
        self._scratch = np.zeros((2, LEVELS, 2))
        self._gather()

    def _gather(self) -> None:
        self.near = self.of, self.numbers, self.figures, self.rules  #: what tells whether a pair is near
        self.watch = self.near, (self.room, self.room_figures, self.sides, self._scratch)  #: what a look works on

    def slots(self, slots: int) -> None:
        """Have place for the pairs of so many slots."""
        more = np.full((slots - len(self.of), self.of.shape[1]), -1, dtype=np.int64)
        self.of = np.concatenate([self.of, more])
        self._gather()

    def add(self, buy: int, sell: int) -> int:
        """The number of a new pair of two slots."""
        number = self.count
        self.count += 1
        if number == len(self.numbers):
            self.numbers, self.figures = _twice(self.numbers), _twice(self.figures)
        self.numbers[number] = buy, sell, 0, 0, 0, NO_TIME, 0, 0, 0, -1
        for slot in (buy, sell):
            if self.of[slot, -1] >= 0:
                self.of = np.concatenate([self.of, np.full_like(self.of, -1)], axis=1)
            self.of[slot, int(np.flatnonzero(self.of[slot] < 0)[0])] = number
        self._gather()
        return number

    def set_levels(self, near_bps: float, life_bps: tuple[float, float], times: tuple[int, int], max_age_s: float) -> None:
        """The rules of all pairs: ``life_bps`` = (enter, leave), ``times`` = (debounce, longest gap between looks) in ns."""
        self.rules[NEAR], self.rules[ENTER:] = near_bps, (*life_bps, *times, max_age_s)

    def room_of(self, number: int) -> int:
        """The room of a pair, from now on."""
        room = int(self.numbers[number, ROOM])
        if room < 0:
            room = self.numbers[number, ROOM] = self.rooms
            self.rooms += 1
            if room == len(self.room):
                self.room, self.room_figures, self.sides = _twice(self.room), _twice(self.room_figures), _twice(self.sides)
                self._gather()
        return room


def _twice(rows: np.ndarray) -> np.ndarray:
    """The same rows, and as many empty ones."""
    return np.concatenate([rows, np.zeros_like(rows)])
