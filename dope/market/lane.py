"""The fast lane: a run of messages of one connection in one compiled call, with exactly the effect of single steps.

A message takes the lane only if its bytes match one of the venue's *templates* to the letter (literal text between fields), its
book is LIVE, it continues the sequence, and nobody needs to look at its effect at that very moment. Whatever differs in
the least stops the lane *before* anything changes, and is stepped the ordinary way, which matches objects by key. So the
lane is an accelerator and never a second meaning of a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dope.market import kernel
from dope.market.compiled import inlined, jit
from dope.market.heard import NOBODY, Heard
from dope.market.memory import address, byte
from dope.market.pairs import Pairs

# roles of the fields of a template
SYMBOL, BIDS, ASKS, SEQ, PREV, FIRST, STAMP_MS, NUMBER, WORD, ID, GROUP_ID, MAKER, SIDE, STAMP_TRUE, ONE, TWO, THREE, FOUR = range(18)
ROLES = {
    "symbol": SYMBOL, "bids": BIDS, "asks": ASKS, "seq": SEQ, "prev": PREV, "first": FIRST, "ms": STAMP_MS, "number": NUMBER, "word": WORD,
    "id": ID, "group id": GROUP_ID, "buyer made": MAKER, "side": SIDE, "stamp": STAMP_TRUE,
    "bid": ONE, "bid size": TWO, "ask": THREE, "ask size": FOUR, "price": ONE, "size": TWO,
}  # fmt: skip
LITERAL = -1
# kinds of message, by what their template holds
BOOK, QUOTE, TRADE = range(3)

# what a message says: integers, then the decimals ONE … FOUR
GOT_SLOT, GOT_BIDS, GOT_ASKS, GOT_SEQ, GOT_PREV, GOT_MS, GOT_ID, GOT_GROUPED, GOT_SELL = range(9)

# columns of the int64 state of a slot
COUNT, SEEN, DIRTY, READY, CONN, WATCHED, TOUCH_TS, TRADES_FROM = range(8)
LAST, OWN_TS, LATE, STAMP, SEAT, QUOTED, QUOTE_SEQ, QUOTE_TS, QUOTE_STAMP = range(8, 17)  # SEAT: of its connection, see ``heard.py``
BOOK_SENT, BOOK_FROM, QUOTE_SENT, QUOTE_FROM = range(17, 21)  # newest stamp of the differences and of the quotes, and its connection
# whether it is LIVE; how many pairs that are watched it is in; its oldest usual age, ns; where the delays of its venue are in memory
IS_LIVE, PAIRED, HABIT, DELAYS = range(21, 25)
NEWS = slice(COUNT, READY)  #: what is cleared once it is known
SAID = slice(LAST, BOOK_SENT)  #: what ``Book.write`` tells
COLUMNS = 25
ALL, QUOTES_ONLY = 1, 2  #: values of READY, 0 = nothing takes the lane
LEVELS_MOVED, QUOTE_MOVED, TOLD = 1, 2, 4  #: bits of DIRTY
# columns of the float state of a slot: the levels' own touch, what the wild-move check needs, base units per unit of size
# (negative: an inverse contract, whose units are of the quote currency), its volatility, then the venue's own quote
BID, BID_SIZE, ASK, ASK_SIZE, MID, UNIT, SIGMA, Q_BID, Q_BID_SIZE, Q_ASK, Q_ASK_SIZE = range(11)

RING = 2048  #: touches remembered per book, a power of two
TRADE_RING = 2048  #: trades remembered per book, a power of two
WAITING_TRADES = 4096  #: trades that wait to be put into the rings
NAME = 32  #: bytes of the longest symbol
BUCKETS = 4096  #: of the symbol table, a power of two; at most half are used
MS = 1_000_000
HOUR = 3_600_000_000_000
SILENCE_NS = 1_000_000_000  #: nothing at all for longer, not even the clock: time was lost
MAX_STAMP = 10**13  #: ms; beyond it ns would not fit
WILD_MOVE = 50.0  #: a touch that moves by this factor at once is not believed
QUOTE_MEMORY_NS = 5_000_000_000  #: an older quote than the last one is dropped; after this long it counts as a restart of numbers
TRADES = 2048  #: of one compiled call


class Templates:
    """A venue's messages as literal bytes and named fields (see ROLES), ready for the compiled reader.

    ``kinds`` holds a row for each: BOOK, QUOTE or TRADE, its first operation and the one after its last.
    """

    def __init__(self, templates: Sequence[Sequence[bytes | str]], fields: int = 0) -> None:
        """``fields`` = elements of each level of a book, 0 = two or more."""
        ops: list[tuple[int, int, int]] = []
        kinds: list[tuple[int, int, int]] = []
        text = b""
        for parts in templates:
            first = len(ops)
            for part in parts:
                if isinstance(part, bytes):
                    ops.append((LITERAL, len(text), len(part)))
                    text += part
                else:
                    ops.append((ROLES[part], fields if part in ("bids", "asks") else 0, 0))
            kinds.append((kind_of(parts), first, len(ops)))
        self.kinds, self.ops = np.array(kinds, dtype=np.int64).reshape(-1, 3), np.array(ops, dtype=np.int64).reshape(-1, 3)
        self.text = np.frombuffer(text, dtype=np.uint8).copy()


def kind_of(parts: Sequence[bytes | str]) -> int:
    """What a template is a message of."""
    return BOOK if "bids" in parts else QUOTE if "bid" in parts else TRADE


class Log:
    """The trades of one compiled call, in order: integers (slot, receive time, the venue's, id, grouped, sold), (price, size)."""

    def __init__(self) -> None:
        self.numbers = np.zeros((TRADES, 6), dtype=np.int64)
        self.values = np.zeros((TRADES, 2), dtype=np.float64)
        self.count = np.zeros(1, dtype=np.int64)


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
        self.touch = np.zeros((slots, 11), dtype=np.float64)
        self.prices = np.zeros((slots, 2), dtype=np.float64)  # best bid and ask as everybody sees them, quotes included
        self.ring_t = np.zeros((slots, RING, 2), dtype=np.int64)  # when the touch changed, ns: received, and the venue's stamp
        #: bid, bid size, ask, ask size from then on (base units, quotes included); not a number = the book left LIVE
        self.ring = np.zeros((slots, RING, 4), dtype=np.float64)
        self.ring_n = np.zeros(slots, dtype=np.int64)  # how many so far
        #: imbalance of order flow, base units: its sum since the start over all changes of the touch, sizes included (see ``_flow``),
        #: and the touch that the next change is compared with (not a number = none)
        self.flow = np.zeros((slots, 5), dtype=np.float64)
        self.trade_t = np.zeros((slots, TRADE_RING, 2), dtype=np.int64)  # of each trade, ns: received, and the venue's stamp (0 = none)
        self.trades = np.zeros((slots, TRADE_RING, 3), dtype=np.float64)  # price, base size, +1 = a taker bought, −1 = one sold
        self.trade_n = np.zeros(slots, dtype=np.int64)  # how many so far
        self._told: tuple[list[int], list[float]] = ([], [])  # trades that are not in the rings yet: (slot, times …), (figures …)
        self.pairs, self.heard = Pairs(slots), Heard()
        self.text = np.zeros(kernel.CHECKSUM_TEXT, dtype=np.uint8)  # working space of checksums
        self._gather()

    def _gather(self) -> None:
        self.rings = self.ring_t, self.ring, self.ring_n, self.flow  #: what ``remember`` works on
        self.seen = self.state, self.prices
        self.dirt = self.state[:, DIRTY]

    @property
    def books(self) -> tuple[Any, ...]:
        """What compiled code knows of books; it moves when books or connections are added."""
        return self.levels, self.state, self.touch, self.prices, self.rings, self.heard.newest

    def add(self) -> int:
        """A new slot with an empty book. True arrays may have moved: take views anew."""
        slot = self.count
        if slot == len(self.levels):
            for name in ("levels", "state", "touch", "prices", "ring_t", "ring", "ring_n", "trade_t", "trades", "trade_n", "flow"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
            self.pairs.slots(len(self.levels))
            self._gather()
        self.levels[slot] = kernel.empty_book()
        self.state[slot, QUOTE_SEQ] = self.state[slot, TRADES_FROM] = -1
        self.flow[slot, 1:] = np.nan
        self.count += 1
        return slot

    def touches(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Price changes of the touch, oldest first, at most ``RING``: (n, 2) times and (n, 4) touches as in ``ring``."""
        n = int(self.ring_n[slot])
        order = np.arange(max(0, n - RING), n) & RING - 1
        return self.ring_t[slot, order], self.ring[slot, order]

    def trade(self, slot: int, times: tuple[int, int], figures: tuple[float, float, float]) -> None:
        """One more trade of a slot, as in ``trade_t`` and ``trades``; it is in the rings after the next ``settle_trades``."""
        numbers, values = self._told
        numbers.append(slot)
        numbers += times
        values += figures
        if len(values) >= 3 * WAITING_TRADES:
            self.settle_trades()

    def settle_trades(self) -> None:
        """Put what waits into the rings, all in one go: element by element numpy would cost more than the rest of a trade."""
        numbers, values = self._told
        if numbers:
            told = np.array(numbers, dtype=np.int64).reshape(-1, 3), np.array(values, dtype=np.float64).reshape(-1, 3)
            remember_trades(*told, self.trade_t, self.trades, self.trade_n)
            numbers.clear()
            values.clear()

    def trades_of(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Trades of a slot as of the last clock tick, oldest first, at most ``TRADE_RING``: (n, 2) times and (n, 3) as in ``trades``."""
        n = int(self.trade_n[slot])
        order = np.arange(max(0, n - TRADE_RING), n) & TRADE_RING - 1
        return self.trade_t[slot, order], self.trades[slot, order]

    def end(self, conn: int) -> None:
        """This connection has ended: what came over it proves nothing from now on."""
        seats = self.state[:, SEAT]
        seats[seats == self.heard.leave(conn)] = NOBODY


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
def in_base(size: float, price: float, unit: float) -> float:
    """A size as the venue counts it in base units; ``unit`` as in the column UNIT."""
    if unit >= 0.0:
        return size * unit
    return size * -unit / price if price > 0.0 else 0.0


@jit
def quote_leads(slot: int, state: np.ndarray) -> bool:
    """``Book.quote_leads``: whether the venue's own quote is newer than the levels."""
    if state[slot, QUOTED] == 0:
        return False
    seq, last = state[slot, QUOTE_SEQ], state[slot, LAST]
    newer: bool = seq > last if seq >= 0 and last >= 0 else state[slot, QUOTE_TS] > state[slot, OWN_TS]
    return newer


@inlined
def _flow(slot: int, bid: float, bid_size: float, ask: float, ask_size: float, flow: np.ndarray) -> None:
    """Add what this change of the touch says of the order flow: what came to the bid or left the ask, less the contrary.

    e = 1[b ≥ b'] q_b − 1[b ≤ b'] q_b' − 1[a ≤ a'] q_a + 1[a ≥ a'] q_a'. A touch that lacks a side, or is none (not a number: the
    book left LIVE), takes part in no event.
    """
    old_bid, old_ask = flow[slot, 1], flow[slot, 3]
    if not (bid > 0.0 and ask > 0.0):
        flow[slot, 1], flow[slot, 3] = np.nan, np.nan
        return
    event = 0.0
    if old_bid == old_bid:
        if bid >= old_bid:
            event += bid_size
        if bid <= old_bid:
            event -= flow[slot, 2]
        if ask <= old_ask:
            event -= ask_size
        if ask >= old_ask:
            event += flow[slot, 4]
    flow[slot, 0] += event
    flow[slot, 1], flow[slot, 2], flow[slot, 3], flow[slot, 4] = bid, bid_size, ask, ask_size


@jit
def remember(
    slot: int, ts: int, stamp: int, bid: float, bid_size: float, ask: float, ask_size: float, rings: tuple[Any, ...],
) -> None:  # fmt: skip
    """One more touch of a slot: its flow, and in the ring its prices, if they are new; sizes change far more often.

    Times never fall: what was received before a snapshot and joins it later is the touch from the snapshot on. ``rings`` = ``Slots.rings``.
    """
    ring_t, ring, ring_n, flow = rings
    _flow(slot, bid, bid_size, ask, ask_size, flow)
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
def remember_trades(
    numbers: np.ndarray, values: np.ndarray, trade_t: np.ndarray, trades: np.ndarray, trade_n: np.ndarray
) -> None:
    """These trades, in order, into the rings of their slots: rows of (slot, received, stamped) and of (price, size, sign)."""
    for i in range(numbers.shape[0]):
        slot = numbers[i, 0]
        at = trade_n[slot] & (TRADE_RING - 1)
        trade_t[slot, at, 0], trade_t[slot, at, 1] = numbers[i, 1], numbers[i, 2]
        trades[slot, at, 0], trades[slot, at, 1], trades[slot, at, 2] = values[i, 0], values[i, 1], values[i, 2]
        trade_n[slot] += 1
