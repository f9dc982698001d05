"""The fast lane: a run of book messages of one connection in one compiled call, with exactly the effect of single steps.

A message takes the lane only if its bytes match the venue's *template* to the letter (literal text between fields), its
book is LIVE, it continues the sequence, and nobody needs to look at its effect at that very moment. Whatever differs in
the least stops the lane *before* anything changes, and is stepped the ordinary way, which matches objects by key. So the
lane is an accelerator and never a second meaning of a message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market import kernel
from dope.market.compiled import jit
from dope.market.digits import parse
from dope.market.freshness import late_by
from dope.market.memory import address, byte, get, put, word

# roles of the fields of a template
SYMBOL, BIDS, ASKS, SEQ, PREV, FIRST, STAMP_MS, NUMBER, WORD = range(9)
ROLES = {name: role for role, name in enumerate(("symbol", "bids", "asks", "seq", "prev", "first", "ms", "number", "word"))}
LITERAL = -1

# columns of the int64 state of a slot
READY, LAST, CONN, WATCHED, QUOTE_SEQ, COUNT, OWN_TS, TOUCH_TS, LATE, DIRTY, STAMP = range(11)
COLUMNS = 11
# columns of the float state of a slot: the levels' own touch, what the wild-move check needs, base units per unit of size
# (negative: an inverse contract, whose units are of the quote currency)
BID, BID_SIZE, ASK, ASK_SIZE, MID, UNIT = range(6)

# why run() came back
END, STEP, LOOK = 0, 1, 2

RING = 2048  #: touches remembered per book, a power of two
NAME = 32  #: bytes of the longest symbol
BUCKETS = 4096  #: of the symbol table, a power of two; at most half are used
PAIRS = 64  #: pairs of one market
MS = 1_000_000
HOUR = 3_600_000_000_000
SILENCE_NS = 1_000_000_000  #: nothing at all for longer, not even the clock: time was lost
MAX_STAMP = 10**13  #: ms; beyond it ns would not fit


class Template:
    """A venue's book message as literal bytes and named fields (see ROLES), ready for the compiled reader."""

    def __init__(self, parts: tuple[bytes | str, ...]) -> None:
        ops: list[tuple[int, int, int]] = []
        text = b""
        for part in parts:
            if isinstance(part, bytes):
                ops.append((LITERAL, len(text), len(part)))
                text += part
            else:
                ops.append((ROLES[part], 0, 0))
        self.ops = np.array(ops, dtype=np.int64)
        self.text = np.frombuffer(text, dtype=np.uint8).copy()


class Names:
    """Symbols of one venue → slots, open addressing."""

    def __init__(self) -> None:
        self.table = np.full(BUCKETS, -1, dtype=np.int64)
        self.names = np.zeros((BUCKETS, NAME), dtype=np.uint8)
        self._known: set[str] = set()

    def add(self, name: str, slot: int) -> None:
        """Know one more symbol; too many or too long ones simply never take the lane."""
        raw = name.encode()
        if name in self._known or len(raw) > NAME or len(self._known) >= BUCKETS // 2:
            return
        self._known.add(name)
        at = _hash_of(raw) & BUCKETS - 1
        while self.table[at] >= 0:
            at = at + 1 & BUCKETS - 1
        self.table[at] = slot
        self.names[at, : len(raw)] = np.frombuffer(raw, dtype=np.uint8)


class Slots:
    """The books of a market in one block of memory, with what the lane must know of each."""

    def __init__(self, slots: int = 16) -> None:
        self.count = 0
        self.levels = np.zeros((slots, 5, kernel.CAPACITY), dtype=np.int64)
        self.state = np.zeros((slots, COLUMNS), dtype=np.int64)
        self.touch = np.zeros((slots, 6), dtype=np.float64)
        self.prices = np.zeros((slots, 2), dtype=np.float64)  # best bid and ask as everybody sees them, quotes included
        self.ring_t = np.zeros((slots, RING, 2), dtype=np.int64)  # when the touch changed, ns: received, and the venue's stamp
        #: bid, bid size, ask, ask size from then on (base units, quotes included); not a number = the book left LIVE
        self.ring = np.zeros((slots, RING, 4), dtype=np.float64)
        self.ring_n = np.zeros(slots, dtype=np.int64)  # how many so far
        self.pairs_of = np.full((slots, PAIRS), -1, dtype=np.int64)
        self.pairs = np.zeros((0, 2), dtype=np.int64)  # (buying slot, selling slot)
        self.walls = np.zeros(0, dtype=np.float64)
        self.crowded: set[int] = set()  #: slots with more pairs than fit: every change of theirs is looked at
        #: gross minus wall, in bps, from which a pair must be looked at; 1.0 = somebody wants every touch anyway
        self.near = np.array([-np.inf, 0.0])

    @property
    def books(self) -> tuple[np.ndarray, ...]:
        """What ``run`` works on."""
        return self.levels, self.state, self.touch, self.prices, self.ring_t, self.ring, self.ring_n

    @property
    def watch(self) -> tuple[np.ndarray, ...]:
        """What ``run`` must stop for."""
        return self.pairs_of, self.pairs, self.walls, self.near

    def add(self) -> int:
        """A new slot with an empty book. True arrays may have moved: take views anew."""
        slot = self.count
        if slot == len(self.levels):
            for name in ("levels", "state", "touch", "prices", "ring_t", "ring", "ring_n"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
            self.pairs_of = np.concatenate([self.pairs_of, np.full_like(self.pairs_of, -1)])
        self.levels[slot] = kernel.empty_book()
        self.state[slot, QUOTE_SEQ] = -1
        self.count += 1
        return slot

    def touches(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Price changes of the touch, oldest first, at most ``RING``: (n, 2) times and (n, 4) touches as in ``ring``."""
        n = int(self.ring_n[slot])
        order = np.arange(max(0, n - RING), n) & RING - 1
        return self.ring_t[slot, order], self.ring[slot, order]

    def pair(self, buy: int, sell: int, wall_bps: float) -> int:
        """Stop the lane whenever ``gross − wall`` of this pair reaches ``near``; gives the pair's number in ``walls``."""
        number = len(self.pairs)
        self.pairs = np.concatenate([self.pairs, np.array([[buy, sell]], dtype=np.int64)])
        self.walls = np.concatenate([self.walls, np.array([wall_bps])])
        for slot in (buy, sell):
            free = np.flatnonzero(self.pairs_of[slot] < 0)
            if len(free):
                self.pairs_of[slot, int(free[0])] = number
            else:
                self.crowded.add(slot)
        return number


@jit
def _hash(text: int, start: int, end: int) -> int:
    value = np.int64(5381)
    for i in range(start, end):
        value = (value * 33 + byte(text, i)) & 0x7FFFFFFF
    return value


@jit
def _hash_of(name: bytes) -> int:
    return _hash(address(name), 0, len(name))


@jit
def _find_slot(text: int, start: int, end: int, table: np.ndarray, names: np.ndarray) -> int:
    if end - start > NAME or end == start:
        return -1
    at = _hash(text, start, end) & BUCKETS - 1
    while table[at] >= 0:
        same = True
        for i in range(end - start):
            if names[at, i] != byte(text, start + i):
                same = False
                break
        if same and (end - start == NAME or names[at, end - start] == 0):
            return table[at]
        at = at + 1 & BUCKETS - 1
    return -1


@jit
def _integer(text: int, i: int, n: int) -> tuple[int, int]:
    """Digits from i → (value, next position); position −1 = not a plain number of at most 18 digits."""
    start = i
    value = np.int64(0)
    while i < n and 48 <= byte(text, i) <= 57 and i - start < 19:
        value = value * 10 + (byte(text, i) - 48)
        i += 1
    if i == start or i - start > 18 or (byte(text, start) == 48 and i - start > 1):
        return 0, -1
    return value, i


@jit
def in_base(size: float, price: float, unit: float) -> float:
    """A size as the venue counts it in base units; ``unit`` as in the column UNIT."""
    if unit >= 0.0:
        return size * unit
    return size * -unit / price if price > 0.0 else 0.0


@jit
def remember(
    slot: int, ts: int, stamp: int, bid: float, bid_size: float, ask: float, ask_size: float,
    ring_t: np.ndarray, ring: np.ndarray, ring_n: np.ndarray,
) -> None:  # fmt: skip
    """One more touch in the ring of a slot; only prices count, sizes change far more often.

    Times never fall: what was received before a snapshot and joins it later is the touch from the snapshot on.
    """
    n = ring_n[slot]
    last = (n - 1) & (RING - 1)
    if n > 0:
        if ring[slot, last, 0] == bid and ring[slot, last, 2] == ask:
            return
        ts = max(ts, ring_t[slot, last, 0])
    at = n & (RING - 1)
    ring_t[slot, at, 0], ring_t[slot, at, 1] = ts, stamp
    ring[slot, at, 0], ring[slot, at, 1], ring[slot, at, 2], ring[slot, at, 3] = bid, bid_size, ask, ask_size
    ring_n[slot] = n + 1


@jit
def _is_near(slot: int, prices: np.ndarray, pairs_of: np.ndarray, pairs: np.ndarray, walls: np.ndarray, near: float) -> bool:
    for k in range(PAIRS):
        number = pairs_of[slot, k]
        if number < 0:
            return False
        ask, bid = prices[pairs[number, 0], 1], prices[pairs[number, 1], 0]
        if ask > 0.0 and bid > 0.0 and (bid / ask - 1.0) * 1e4 - walls[number] >= near:
            return True
    return False


@jit
def _read(
    text: int, i: int, n: int, room: int, template: tuple[int, int, int], table: np.ndarray, names: np.ndarray,
    rows: int, width: int, got: int,
) -> bool:  # fmt: skip
    """Match one message against the template; ``got`` = slot, bids, asks, seq, prev, stamp in ms. False = no match."""
    ops, count, letters = template
    put(got, 4, -1)
    for o in range(count):
        role = get(ops, 3 * o)
        if role == LITERAL:
            at, length = letters + get(ops, 3 * o + 1), get(ops, 3 * o + 2)
            if i + length > n:
                return False
            k = 0
            while k + 8 <= length:
                if word(text, i + k) != word(at, k):
                    return False
                k += 8
            while k < length:
                if byte(text, i + k) != byte(at, k):
                    return False
                k += 1
            i += length
        elif role in (BIDS, ASKS):
            start = i
            found, i = parse(text, i, n, room, rows if role == BIDS else rows + 24 * width, width)
            if found < 0 or (found == 0 and i - start != 2):
                return False
            put(got, 1 if role == BIDS else 2, found)
        elif role in (SYMBOL, WORD):
            start = i
            while i < n and byte(text, i) != 34:
                if byte(text, i) < 32 or byte(text, i) > 126 or byte(text, i) == 92:
                    return False
                i += 1
            if role == SYMBOL:
                slot = _find_slot(text, start, i, table, names)
                if slot < 0:
                    return False
                put(got, 0, slot)
        else:
            value, i = _integer(text, i, n)
            if i < 0:
                return False
            if role == SEQ:
                put(got, 3, value)
            elif role == PREV:
                put(got, 4, value)
            elif role == FIRST:
                put(got, 4, value - 1)
            elif role == STAMP_MS:
                put(got, 5, value)
    return i == n


@jit
def run(
    buf: bytes, ends: np.ndarray, stamps: np.ndarray, k: int, conn: int,
    words: tuple[Any, ...], books: tuple[Any, ...], watch: tuple[Any, ...], delays: np.ndarray, work: tuple[Any, ...],
) -> tuple[int, int, int, int]:  # fmt: skip
    """Messages k, k+1 … of ``buf`` → (first not done, why, slot, flags).

    END: all done. STEP: that message is untouched and must be stepped. LOOK: that message is applied (counted in the
    state), and the market must look at its effect now: ``flags`` are the kernel's, the touch stands in ``touch``.
    The tuples are those of ``Template.words``, ``Slots.books``, ``Slots.watch`` and the caller's working space.
    """
    ops, letters, table, names = words
    levels, state, touch, prices, ring_t, ring, ring_n = books
    pairs_of, pairs, walls, near = watch
    scratch, numbers = work
    text, room, rows, width, got = address(buf), len(buf), address(scratch), scratch.shape[1], address(numbers)
    template = address(ops), ops.shape[0], address(letters)
    book = address(levels)
    while k < ends.shape[0]:
        start = ends[k - 1] if k > 0 else 0
        if k > 0 and stamps[k] - stamps[k - 1] > SILENCE_NS:
            return k, STEP, -1, 0
        if not _read(text, start, ends[k], room, template, table, names, rows, width, got):
            return k, STEP, -1, 0
        slot, bids, asks, seq, prev, ms = get(got, 0), get(got, 1), get(got, 2), get(got, 3), get(got, 4), get(got, 5)
        if state[slot, READY] != 1 or state[slot, CONN] != conn or prev != state[slot, LAST] or prev < 0:
            return k, STEP, slot, 0
        if state[slot, QUOTE_SEQ] > min(seq, state[slot, LAST]):
            return k, STEP, slot, 0  # the venue's own quote leads before or after
        flags, bid, bid_size, ask, ask_size = kernel.commit(book + slot * kernel.BOOK_BYTES, rows, width, bids, asks, False)
        if flags < 0:
            return k, STEP, slot, 0
        ts = stamps[k]
        state[slot, LAST] = seq
        state[slot, COUNT] += 1
        state[slot, OWN_TS] = ts
        stamped = ms < MAX_STAMP and -HOUR < ts - ms * MS < HOUR
        state[slot, STAMP] = ms * MS if stamped else 0
        state[slot, DIRTY] = 1
        touch[slot, BID], touch[slot, BID_SIZE], touch[slot, ASK], touch[slot, ASK_SIZE] = bid, bid_size, ask, ask_size
        prices[slot, 0], prices[slot, 1] = bid, ask
        if stamped and bids + asks > 0:
            state[slot, LATE] = late_by(delays, ts, ms * MS)
        k += 1
        if flags & (kernel.CROSSED | kernel.WINDOW | kernel.ONE_SIDED) or state[slot, WATCHED] > 0:
            return k - 1, LOOK, slot, flags
        if flags & kernel.TOUCH:
            mid, last = (bid + ask) / 2.0, touch[slot, MID]
            wild = not last / 50.0 < mid < last * 50.0
            if near[1] > 0.0 or wild or _is_near(slot, prices, pairs_of, pairs, walls, near[0]):
                return k - 1, LOOK, slot, flags
            state[slot, TOUCH_TS] = ts
            unit = touch[slot, UNIT]
            bid_size, ask_size = in_base(bid_size, bid, unit), in_base(ask_size, ask, unit)
            remember(slot, ts, state[slot, STAMP], bid, bid_size, ask, ask_size, ring_t, ring, ring_n)
    return k, END, -1, 0
