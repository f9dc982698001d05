"""One pair in the memory of compiled code: what it must know of fees and sizes, the life that it goes on with, what its looks saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dope.detectors.lifecycle import Lifecycle
from dope.market import pairs
from dope.market.pairs import Pairs
from dope.market.walk import Level, Walk

Sides = tuple[list[Level], list[Level]]  #: (asks where it is bought, bids where it is sold), best first


class Look(NamedTuple):
    """What a look at an open life saw: ``Pair.row`` makes a row of it when somebody wants one. Ages and times in ns.

    ``figures`` = peak (bps), when, updates of the life then; ``buy`` and ``sell`` = best bid and ask where is bought and where is sold.
    """

    ts: int
    walk: Walk
    sides: Sides
    figures: tuple[float, int, int]
    fading: bool
    buy: tuple[float, float]
    sell: tuple[float, float]
    ages: tuple[int, int]
    skew: int
    limit: int


class PairMemory:
    """The rows of the pair ``number`` in all columns of ``Pairs``."""

    def __init__(self, store: Pairs, number: int) -> None:
        self.store, self.number = store, number

    def charge(self, *terms: float) -> None:
        """``terms`` = its figures from ``WALL`` to ``LEAST_QTY``."""
        self.store.figures[self.number, : pairs.PEAK] = terms

    def due(self) -> bool:
        """Whether somebody has to look at it; it is asked once."""
        numbers = self.store.numbers
        if not numbers[self.number, pairs.DUE]:
            return False
        numbers[self.number, pairs.DUE] = 0
        return True

    def read(self, machine: Lifecycle) -> None:
        """Bring its life, if one is open, to where compiled code has got."""
        life, row = machine.life, self.store.numbers[self.number].tolist()
        if life is not None:
            life.peak_bps = float(self.store.figures[self.number, pairs.PEAK])
            life.peak_t, life.updates = row[pairs.PEAK_T], row[pairs.UPDATES]
            machine.last, machine.fell = row[pairs.LAST], None if row[pairs.FELL] == pairs.NO_TIME else row[pairs.FELL]

    def write(self, machine: Lifecycle, told: bool) -> None:
        """Have compiled code go on with its life; with one that has not been told it does not."""
        life, numbers = machine.life, self.store.numbers
        if life is None:
            numbers[self.number, pairs.OPEN] = 0
            return
        room, fell = self.store.room_of(self.number), pairs.NO_TIME if machine.fell is None else machine.fell
        is_open = pairs.TOLD if told else pairs.UNTOLD
        numbers[self.number, pairs.OPEN :] = is_open, 0, fell, machine.last, life.updates, life.peak_t, room
        self.store.figures[self.number, pairs.PEAK] = life.peak_bps

    def clear(self) -> None:
        """What its looks saw so far is no longer the newest."""
        if (room := int(self.store.numbers[self.number, pairs.ROOM])) >= 0:
            self.store.room[room, pairs.NEWS] = self.store.room[room, pairs.FADED] = 0

    def newest(self, walk: Callable[[Sides], Walk]) -> tuple[Look | None, tuple[int, int] | None]:
        """What compiled looks saw since this was asked last, and (when, updates) when they saw later that nothing pays; None = nothing."""
        room = int(self.store.numbers[self.number, pairs.ROOM])
        if room < 0:
            return None, None
        row, look = self.store.room[room].tolist(), None
        if row[pairs.NEWS]:
            peak_bps, buy_bid, buy_ask, sell_bid, sell_ask = self.store.room_figures[room].tolist()
            asks, bids = (
                [(price, size) for price, size in side[:count].tolist()]
                for side, count in zip(self.store.sides[room], row[pairs.ASKS : pairs.BIDS + 1], strict=True)
            )
            look = Look(
                row[pairs.TS], walk((asks, bids)), (asks, bids), (peak_bps, row[pairs.PEAK_AT], row[pairs.COUNT]), bool(row[pairs.FADING]),
                (buy_bid, buy_ask), (sell_bid, sell_ask), (row[pairs.BUY_AGE], row[pairs.SELL_AGE]), row[pairs.SKEW], row[pairs.LIMIT],
            )  # fmt: skip
        faded = (row[pairs.FADED], row[pairs.FADED_COUNT]) if row[pairs.FADED] else None
        self.clear()
        return look, faded
