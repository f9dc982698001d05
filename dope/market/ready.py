"""Has all machine code of the room made, or read from disk, before the market runs: no message may wait for a compiler."""

from __future__ import annotations

import numpy as np

from dope.market import bursting, jumping, kernel, lane_run, large
from dope.market.book import CHECKSUMS, Book
from dope.market.buckets import fill
from dope.market.candles import fold
from dope.market.delays import DelayFloor
from dope.market.digits import AHEAD
from dope.market.lane import BOOK_SENT, Log, Names, Slots, Templates, remember
from dope.market.loops import BUY, SELL, Loops
from dope.market.near import follow, glance, remember_near
from dope.market.orders import order_bps
from dope.market.overlaps import overlap_sums
from dope.market.sample import depths, sample
from dope.market.tracks import Tracks
from dope.types import Instrument

LEVELS = b'[["1","1"]]', b'[["2","1"]]'
WINDOWS = np.array([10.0])


def compile_all() -> None:
    """Call everything compiled that the market calls, once, on a book of its own. Half a minute at the very first time, then 0.1 s."""
    slots, delay = Slots(), DelayFloor()
    for rule in CHECKSUMS:
        book = Book(Instrument("", "A-B", "AB", "A", "B", "spot"), slots, delay, rule)
        kernel.apply(book.a, kernel.new_scratch(), *LEVELS, True)
        book.checksum()
    kernel.levels(book.a, True, 1)
    kernel.depth_within(book.a, WINDOWS)
    fill(book.a, (1.0, 1.0, 2.0, 1.0), 1.0, 1.0, np.zeros((2, 2)))
    delay.excess(2, 1)
    delay.heard(3, 2, (slots.state, book.slot, BOOK_SENT), 1)
    remember(book.slot, 1, 0, 1.0, 1.0, 2.0, 1.0, slots.rings)
    remember_near(book.slot, 1, 0, 1.0, 1.0, 2.0, 1.0, slots.seen, slots.rings, slots.pairs.near)
    glance(book.slot, 1, slots.books, slots.pairs.watch)
    follow(slots.pairs.add(book.slot, book.slot), True, slots.pairs.numbers, slots.state)
    slots.trade(book.slot, (1, 0), (1.0, 1.0, 1.0))
    slots.settle_trades()
    Loops({0: (1.0, 1.0)}, [[0]], [[(False, 0, BUY), (False, 0, SELL), (True, 0, SELL)]]).near(slots, 0.0)
    _bars(slots)
    nothing = np.zeros(0, dtype=np.int64), np.zeros(1), np.zeros((0, 2)), np.zeros((0, 8))
    sample(slots.levels, slots.touch, slots.flow, *nothing)
    depths(slots.levels, slots.touch, *nothing[:2])
    order_bps(nothing[0], 1, 1.0, slots.books, slots.pairs.watch)
    _lane(slots, delay)
    Tracks().follow(slots)
    times, steps = np.array([1, 2]), np.array([0.0, 1.0])
    overlap_sums(times, steps, times, steps, -1, 1, 3)
    _detectors(slots)


def _lane(slots: Slots, delay: DelayFloor) -> None:
    """The fast lane's loop, over no message."""
    read, names, log, none = Templates(()), Names(), Log(), np.zeros(0, dtype=np.int64)
    names.add("AB", 0)
    known = read.kinds, read.ops, read.text, names.table, names.names
    work = kernel.new_scratch(), np.zeros(16, dtype=np.int64), np.zeros(4), (log.numbers, log.values, log.count)
    lane_run.run(bytes(AHEAD), none, none, 0, (1, 1), known, slots.books, slots.pairs.watch, delay.state, work)


def _bars(slots: Slots) -> None:
    """The bars of trades, over no trade."""
    none = np.zeros(0, dtype=np.int64)
    bars = np.zeros((1, 1, 1, 3), dtype=np.int64), np.zeros((1, 1, 1, 9)), np.zeros((1, 1), dtype=np.int64)
    fold((slots.trade_t, slots.trades, slots.trade_n), none, none, np.ones(1, dtype=np.int64), bars)


def _detectors(slots: Slots) -> None:
    """What detectors call over all rings."""
    touches, trades = (slots.ring_t, slots.ring, slots.ring_n), (slots.trade_t, slots.trades, slots.trade_n)
    finder, adder, sieve = jumping.Jumping(), bursting.Bursting(), large.Large()
    for one in (finder, adder, sieve):
        one.grow(1)
        one.spans[:] = 1
    finder.advance(*touches, 0)
    adder.advance(*trades, 0)
    sieve.advance(*trades)
