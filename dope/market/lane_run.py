"""The fast lane's compiled loop: reads, applies and judges a run of messages, and stops where somebody must look (`lane.py`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market import kernel
from dope.market.compiled import inlined, jit
from dope.market.delays import late_in
from dope.market.lane import (
    ALL,
    ASK,
    ASK_SIZE,
    BID,
    BID_SIZE,
    BOOK_SENT,
    CONN,
    COUNT,
    DIRTY,
    GOT_ASKS,
    GOT_BIDS,
    GOT_GROUPED,
    GOT_ID,
    GOT_MS,
    GOT_PREV,
    GOT_SELL,
    GOT_SEQ,
    GOT_SLOT,
    HOUR,
    LAST,
    LATE,
    LEVELS_MOVED,
    MAX_STAMP,
    MID,
    MS,
    OWN_TS,
    PAIRED,
    Q_ASK,
    Q_ASK_SIZE,
    Q_BID,
    Q_BID_SIZE,
    QUOTE,
    QUOTE_MEMORY_NS,
    QUOTE_MOVED,
    QUOTE_SENT,
    QUOTE_SEQ,
    QUOTE_STAMP,
    QUOTE_TS,
    QUOTED,
    READY,
    SEAT,
    SEEN,
    SILENCE_NS,
    STAMP,
    TOLD,
    TOUCH_TS,
    TRADE,
    TRADES_FROM,
    UNIT,
    WATCHED,
    WILD_MOVE,
    in_base,
    remember,
)
from dope.market.lane_text import read
from dope.market.memory import address, get
from dope.market.near import glance
from dope.market.pairs import EVERY

# why run() came back
END, STEP, LOOK = 0, 1, 2
LED, DUE = 16, 32  #: beside the kernel's flags: the venue's own quote was the touch before this message; a pair of this book is due
_NEEDS_A_LOOK = kernel.CROSSED | kernel.WINDOW | kernel.ONE_SIDED


@inlined
def _believed(slot: int, bid: float, ask: float, state: np.ndarray, touch: np.ndarray, rules: np.ndarray) -> bool:
    """Whether this can become the touch of the slot without being told: nobody wants each touch, and it is no wild move."""
    mid, last = (bid + ask) / 2.0, touch[slot, MID]
    quiet: bool = state[slot, WATCHED] == 0 and rules[EVERY] == 0.0 and last / WILD_MOVE < mid < last * WILD_MOVE
    return quiet


@jit
def _quote(
    slot: int, ts: int, seq: int, stamp: int, values: np.ndarray, books: tuple[Any, ...], watch: tuple[Any, ...], of: np.ndarray,
    rules: np.ndarray, delays: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """The venue's own best bid and ask, as ``Market.quote`` takes it → (why to come back or END, flags). STEP = nothing changed."""
    _, state, touch, prices, rings, _ = books
    bid, bid_size, ask, ask_size = values[0], values[1], values[2], values[3]
    old = state[slot, QUOTE_SEQ]
    if bid >= ask:
        return STEP, 0
    if seq <= old and ts - state[slot, QUOTE_TS] < QUOTE_MEMORY_NS:  # overtaken
        state[slot, SEEN] += 1
        state[slot, DIRTY] |= TOLD
        return END, 0
    unit, at, levels = touch[slot, UNIT], (Q_BID if old > state[slot, LAST] else BID), seq <= state[slot, LAST]
    new_bid, new_ask = (touch[slot, BID], touch[slot, ASK]) if levels else (bid, ask)
    new_bid_size = in_base(touch[slot, BID_SIZE], new_bid, unit) if levels else in_base(bid_size, bid, unit)
    new_ask_size = in_base(touch[slot, ASK_SIZE], new_ask, unit) if levels else in_base(ask_size, ask, unit)
    moved = (
        new_bid != touch[slot, at] or new_bid_size != in_base(touch[slot, at + 1], touch[slot, at], unit)
        or new_ask != touch[slot, at + 2] or new_ask_size != in_base(touch[slot, at + 3], touch[slot, at + 2], unit)
    )  # fmt: skip
    if moved and not _believed(slot, new_bid, new_ask, state, touch, rules):
        return STEP, 0
    state[slot, QUOTED], state[slot, QUOTE_SEQ], state[slot, QUOTE_TS], state[slot, QUOTE_STAMP] = 1, seq, ts, stamp
    touch[slot, Q_BID], touch[slot, Q_BID_SIZE], touch[slot, Q_ASK], touch[slot, Q_ASK_SIZE] = bid, bid_size, ask, ask_size
    stamped = -HOUR < ts - stamp < HOUR
    state[slot, STAMP] = stamp if stamped else 0
    if stamped:
        state[slot, LATE] = late_in(delays, ts, stamp, state, slot, QUOTE_SENT, state[slot, CONN])
    state[slot, SEEN] += 1
    state[slot, DIRTY] |= QUOTE_MOVED
    if moved:
        prices[slot, 0], prices[slot, 1] = new_bid, new_ask
        if of[slot, 0] >= 0 and glance(slot, ts, books, watch):
            return LOOK, kernel.TOUCH | DUE
        state[slot, TOUCH_TS] = ts
        remember(slot, ts, state[slot, STAMP], new_bid, new_bid_size, new_ask, new_ask_size, rings)
    return END, 0


@jit
def _book(
    got: int, ts: int, seat: int, rows: int, width: int, books: tuple[Any, ...], watch: tuple[Any, ...], of: np.ndarray,
    rules: np.ndarray, delays: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """One difference, as ``Market.apply`` takes it → (why to come back or END, flags)."""
    levels, state, touch, prices, rings, _ = books
    slot, bids, asks, seq, ms = get(got, GOT_SLOT), get(got, GOT_BIDS), get(got, GOT_ASKS), get(got, GOT_SEQ), get(got, GOT_MS)
    led = state[slot, QUOTE_SEQ] > state[slot, LAST]
    flags, bid, bid_size, ask, ask_size = kernel.commit(address(levels) + slot * kernel.BOOK_BYTES, rows, width, bids, asks, False)
    if flags < 0:
        return STEP, 0
    state[slot, LAST], state[slot, SEAT] = seq, seat
    state[slot, COUNT] += 1
    state[slot, SEEN] += 1
    state[slot, OWN_TS] = ts
    stamped = ms < MAX_STAMP and -HOUR < ts - ms * MS < HOUR
    state[slot, STAMP] = ms * MS if stamped else 0
    state[slot, DIRTY] |= LEVELS_MOVED
    touch[slot, BID], touch[slot, BID_SIZE], touch[slot, ASK], touch[slot, ASK_SIZE] = bid, bid_size, ask, ask_size
    if stamped and bids + asks > 0:
        state[slot, LATE] = late_in(delays, ts, ms * MS, state, slot, BOOK_SENT, state[slot, CONN])
    if led:
        flags |= LED
    if flags & _NEEDS_A_LOOK or state[slot, WATCHED] > 0:
        return LOOK, flags
    if flags & (kernel.TOUCH | LED):
        if state[slot, QUOTE_SEQ] > seq:
            bid, bid_size, ask, ask_size = touch[slot, Q_BID], touch[slot, Q_BID_SIZE], touch[slot, Q_ASK], touch[slot, Q_ASK_SIZE]
        if not _believed(slot, bid, ask, state, touch, rules):
            return LOOK, flags
        prices[slot, 0], prices[slot, 1] = bid, ask
        if of[slot, 0] >= 0 and glance(slot, ts, books, watch):
            return LOOK, flags | DUE
        state[slot, TOUCH_TS] = ts
        unit = touch[slot, UNIT]
        bid_size, ask_size = in_base(bid_size, bid, unit), in_base(ask_size, ask, unit)
        remember(slot, ts, state[slot, STAMP], bid, bid_size, ask, ask_size, rings)
    elif state[slot, PAIRED] > 0 and glance(slot, ts, books, watch):
        return LOOK, flags | DUE
    return END, flags


@jit
def _trade(got: int, ts: int, state: np.ndarray, values: np.ndarray, log: tuple[Any, ...]) -> None:
    """One more trade in the log."""
    numbers, figures, count = log
    n = count[0]
    slot = get(got, GOT_SLOT)
    numbers[n, 0], numbers[n, 1], numbers[n, 2] = slot, ts, get(got, GOT_MS) * MS
    numbers[n, 3], numbers[n, 4], numbers[n, 5] = get(got, GOT_ID), get(got, GOT_GROUPED), get(got, GOT_SELL)
    figures[n, 0], figures[n, 1] = values[0], values[1]
    count[0] = n + 1
    state[slot, SEEN] += 1
    state[slot, DIRTY] |= TOLD


@jit
def run(
    buf: bytes, ends: np.ndarray, stamps: np.ndarray, k: int, source: tuple[int, int],
    words: tuple[Any, ...], books: tuple[Any, ...], watch: tuple[Any, ...], delays: np.ndarray, work: tuple[Any, ...],
) -> tuple[int, int, int, int]:  # fmt: skip
    """Messages k, k+1 … of ``buf`` → (first not done, why, slot, flags).

    END: done, or the log of trades is full. STEP: that message is untouched and must be stepped. LOOK: that message is applied
    (counted in the state), and the market must look at its effect now: ``flags`` are the kernel's, LED and DUE, the touch stands in
    ``touch``. ``source`` = the connection and its seat; the other tuples are those of the caller's templates, ``Slots.books``,
    ``Pairs.watch`` and the caller's working space.
    """
    kinds, ops, letters, table, names = words
    scratch, numbers, values, log = work
    conn, seat = source
    state, heard, count = books[1], books[5], log[2]
    of, _, _, rules = watch[0]  # taken apart once: to do so for each message costs more than the message
    text, room, rows, width, got = address(buf), len(buf), address(scratch), scratch.shape[1], address(numbers)
    templates, likely = kinds.shape[0], 0
    count[0] = 0
    while k < ends.shape[0] and count[0] < log[0].shape[0]:
        start, ts = (ends[k - 1] if k > 0 else 0), stamps[k]
        if k > 0 and ts - stamps[k - 1] > SILENCE_NS:
            return k, STEP, -1, 0
        kind = -1
        for attempt in range(templates):  # most messages are of the kind of the one before
            t = likely + attempt if likely + attempt < templates else likely + attempt - templates
            first, stop = kinds[t, 1], kinds[t, 2]
            if read(text, start, ends[k], room, (address(ops) + 24 * first, stop - first, address(letters)), (table, names),
                    rows, width, got, values):  # fmt: skip
                kind, likely = kinds[t, 0], t
                break
        if kind < 0:
            return k, STEP, -1, 0
        slot, ms = get(got, GOT_SLOT), get(got, GOT_MS)
        if kind == TRADE:
            if state[slot, TRADES_FROM] != conn or ms >= MAX_STAMP:
                return k, STEP, slot, 0
            _trade(got, ts, state, values, log)
            heard[seat] = ts
            k += 1
            continue
        if state[slot, READY] == 0 or state[slot, CONN] != conn:
            return k, STEP, slot, 0
        before = heard[seat]
        if kind == QUOTE:
            seq = get(got, GOT_SEQ)
            if seq < 0 or ms >= MAX_STAMP:
                return k, STEP, slot, 0
            heard[seat] = ts
            why, flags = _quote(slot, ts, seq, ms * MS, values, books, watch, of, rules, delays)
        else:
            last = state[slot, LAST]
            if state[slot, READY] != ALL or get(got, GOT_PREV) != last or get(got, GOT_SEQ) < last:  # < where numbers begin anew
                return k, STEP, slot, 0
            heard[seat] = ts
            why, flags = _book(got, ts, seat, rows, width, books, watch, of, rules, delays)
        if why == STEP:
            heard[seat] = before
        if why != END:
            return k, why, slot, flags
        k += 1
    return k, END, -1, 0
