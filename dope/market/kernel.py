"""The one compiled file: level text → integers → sorted book sides, validated as a whole before anything changes.

A book is one int64 array of shape (5, capacity):

    row 0  bid keys, ascending: the best (highest) price last      row 1  their sizes, packed
    row 2  ask keys = minus price, ascending: the best (lowest) last  row 3  their sizes, packed
    row 4  meta: counts, scale, floors (indices below)

A key is the price times 10**scale. The scale belongs to the book and is fixed by its snapshot so that every price fits
15 digits: prices cross to Python as exact floats. A packed size is ``mantissa << 5 | decimals``: the digits as sent,
so that checksums need no text and sums no rounding. Best-last keeps almost every insertion at the array's end.
"""

from __future__ import annotations

import numpy as np

from dope.market.compiled import inlined, jit
from dope.market.digits import OVERFLOW, POW, PRECISION, parse_all
from dope.market.memory import address, get, move, put

CAPACITY = 4104  #: levels kept per side; the worst quarter is let go when it is full (not a power of two: rows would share cache sets)
BOOK_BYTES = 5 * CAPACITY * 8
SCRATCH = 16408  #: levels of one message; the caller doubles it on TOO_MANY

# meta indices
N_BID, N_ASK, SCALE, FLOOR_BID, FLOOR_ASK, SEED_BID, SEED_ASK, HAS_SEED, LEVELS = range(9)
DEPTH = 9  #: levels per side that the venue keeps up to date: others are forgotten after each message; 0 = all are kept
DIGITS = 10  #: most decimals of any price of the snapshot, as sent
FIELDS = 11  #: elements of each level as the venue sends it; 0 = two or more

# flags of apply(), ≥ 0
TOUCH, CROSSED, WINDOW, ONE_SIDED = 1, 2, 4, 8

CHECKSUM_TEXT = 4096  #: bytes of the longest text under a checksum
NO_FLOOR = np.int64(-(2**62))
THIN = 512  #: a side from which levels were let go and that has fewer left is about to run out of what is known
MAX_SCALE = 14
NEAR_BLOCKS = 6  #: of eight keys from the touch on that a search looks through before it halves
FPOW = np.array([float(10**i) for i in range(32)], dtype=np.float64)
_FITS = np.array([9 * 10**17 // 10**i for i in range(19)], dtype=np.int64)  #: what may still be multiplied by 10**i


def empty_book() -> np.ndarray:
    """A book without levels."""
    book = np.zeros((5, CAPACITY), dtype=np.int64)
    book[4, FLOOR_BID] = book[4, FLOOR_ASK] = NO_FLOOR
    return book


def new_scratch(levels: int = SCRATCH) -> np.ndarray:
    """Working space for the levels of one message: mantissa, decimals and size rows of both sides."""
    return np.zeros((6, levels), dtype=np.int64)


@jit
def unpacked(packed: int) -> float:
    """A packed size as a float; mantissas beyond 53 bits are taken in two parts so that no digit is lost early."""
    mantissa, decimals = packed >> 5, packed & 31
    if mantissa < 1 << 53 or decimals > 18:
        return float(mantissa / FPOW[decimals])
    unit = POW[decimals]
    return float(mantissa // unit + (mantissa % unit) / FPOW[decimals])


@jit
def _to_keys(rows: int, width: int, count: int, scale: int, negate: bool) -> int:
    """Bring the mantissas of a parsed side to the book's scale, in place; 0 or an error."""
    for k in range(count):
        price, decimals = get(rows, k), get(rows, width + k)
        while decimals > scale:
            if price % 10 != 0:
                return PRECISION
            price //= 10
            decimals -= 1
        shift = scale - decimals
        if price > _FITS[shift]:
            return OVERFLOW
        price *= POW[shift]
        put(rows, k, -price if negate else price)
    return 0


@jit
def _scale_for(rows: int, width: int, bids: int, asks: int) -> int:
    """Decimals of a book's keys: 15 digits in all for its largest price, up to 17 where its smallest steps need them."""
    whole_digits = 1
    wanted = 0
    for side in range(2):
        for k in range(bids if side == 0 else asks):
            price = get(rows, side * 3 * width + k)
            decimals = get(rows, (side * 3 + 1) * width + k)
            whole = price // POW[min(decimals, 18)]
            while whole_digits < 18 and whole >= POW[whole_digits]:
                whole_digits += 1
            while decimals > wanted and price % 10 == 0:
                price //= 10
                decimals -= 1
            wanted = max(wanted, decimals)
    return min(MAX_SCALE, max(15 - whole_digits, min(wanted, 17 - whole_digits)))


@inlined
def _find(keys: int, n: int, key: int) -> int:
    """Index of the first of ``n`` ascending keys that is ≥ key; eight at a time from the end, where most changes are."""
    for _ in range(NEAR_BLOCKS):
        if n < 8:
            break
        reached = 0
        for k in range(1, 9):
            reached += get(keys, n - k) >= key
        n -= reached
        if reached < 8:
            return n
    lo, hi = 0, n
    while lo < hi:
        mid = (lo + hi) >> 1
        if get(keys, mid) >= key:
            hi = mid
        else:
            lo = mid + 1
    return lo


@jit
def _let_go(keys: int, n: int) -> int:
    """The worst quarter of a full side goes; the new count."""
    drop = CAPACITY // 4
    move(keys, 0, drop, n - drop)
    move(keys, CAPACITY, CAPACITY + drop, n - drop)
    return n - drop


@jit
def _apply_side(book: int, row: int, rows: int, width: int, count: int) -> None:
    """Levels in the order sent; a side sent best first into an empty book goes in backwards, each at the array's end.

    Levels come best first, so each search begins where the last one ended.
    """
    keys, meta = book + row * CAPACITY * 8, book + 4 * CAPACITY * 8
    counter, floor_at = (N_BID, FLOOR_BID) if row == 0 else (N_ASK, FLOOR_ASK)
    n, floor = get(meta, counter), get(meta, floor_at)
    backwards = n == 0
    if backwards:
        for k in range(1, count):
            if get(rows, k) >= get(rows, k - 1):
                backwards = False
                break
    at, last = n, np.int64(2**62)
    for j in range(count):
        k = count - 1 - j if backwards else j
        key, size = get(rows, k), get(rows, 2 * width + k)
        if key < floor:
            continue  # below what we let go: not known, not kept
        at = _find(keys, at if key <= last else n, key) if key != last else at
        last = key
        known = at < n and get(keys, at) == key
        if size >> 5 == 0:
            if known:
                n -= 1
                move(keys, at, at + 1, n - at)
                move(keys, CAPACITY + at, CAPACITY + at + 1, n - at)
            continue
        if not known:
            if n == CAPACITY:
                n = _let_go(keys, n)
                floor = get(keys, 0)
                put(meta, floor_at, floor)
                at -= CAPACITY - n
                if at < 0 or key < floor:
                    at, last = n, np.int64(2**62)
                    continue
            move(keys, at + 1, at, n - at)
            move(keys, CAPACITY + at + 1, CAPACITY + at, n - at)
            put(keys, at, key)
            n += 1
        put(keys, CAPACITY + at, size)
    put(meta, counter, n)


@inlined
def _best(keys: int, n: int) -> tuple[int, int]:
    """Best key of a side with ``n`` levels and its packed size; NO_FLOOR twice when it is empty."""
    return (get(keys, n - 1), get(keys, CAPACITY + n - 1)) if n else (NO_FLOOR, NO_FLOOR)


@jit
def _cut_to(keys: int, n: int, depth: int) -> int:
    """Only the best ``depth`` levels of a side stay; the new count."""
    if depth == 0 or n <= depth:
        return n
    move(keys, 0, n - depth, depth)
    move(keys, CAPACITY, CAPACITY + n - depth, depth)
    return depth


@jit
def _most_decimals(rows: int, width: int, bids: int, asks: int) -> int:
    """Of all prices of a message."""
    most = 0
    for k in range(bids):
        most = max(most, get(rows, width + k))
    for k in range(asks):
        most = max(most, get(rows, 4 * width + k))
    return most


@jit
def commit(book: int, rows: int, width: int, nb: int, na: int, snapshot: bool) -> tuple[int, float, float, float, float]:
    """Bring parsed levels (rows of ``width``) into the book at that address, or refuse them all; what ``apply`` returns."""
    meta, asks = book + 4 * CAPACITY * 8, rows + 24 * width
    bid_n, ask_n = get(meta, N_BID), get(meta, N_ASK)
    scale = get(meta, SCALE)
    if snapshot or bid_n + ask_n == 0:
        scale = _scale_for(rows, width, nb, na)
    err = _to_keys(rows, width, nb, scale, False)
    if err == 0:
        err = _to_keys(asks, width, na, scale, True)
    if err < 0:
        return err, 0.0, 0.0, 0.0, 0.0
    if snapshot:
        put(meta, DIGITS, _most_decimals(rows, width, nb, na))
        bid_n = ask_n = np.int64(0)
        put(meta, N_BID, bid_n)
        put(meta, N_ASK, ask_n)
        put(meta, FLOOR_BID, NO_FLOOR)
        put(meta, FLOOR_ASK, NO_FLOOR)
    put(meta, SCALE, scale)
    old_bid, old_bid_size = _best(book, bid_n)
    old_ask, old_ask_size = _best(book + 2 * CAPACITY * 8, ask_n)
    _apply_side(book, 0, rows, width, nb)
    _apply_side(book, 2, asks, width, na)
    bid_n = _cut_to(book, get(meta, N_BID), get(meta, DEPTH))
    ask_n = _cut_to(book + 2 * CAPACITY * 8, get(meta, N_ASK), get(meta, DEPTH))
    put(meta, N_BID, bid_n)
    put(meta, N_ASK, ask_n)
    new_bid, new_bid_size = _best(book, bid_n)
    new_ask, new_ask_size = _best(book + 2 * CAPACITY * 8, ask_n)
    put(meta, LEVELS, get(meta, LEVELS) + nb + na)
    if snapshot:
        put(meta, HAS_SEED, 1)
        put(meta, SEED_BID, get(book, 0) if bid_n else NO_FLOOR)
        put(meta, SEED_ASK, get(book, 2 * CAPACITY) if ask_n else NO_FLOOR)
    flags = 0
    if snapshot or new_bid != old_bid or new_bid_size != old_bid_size or new_ask != old_ask or new_ask_size != old_ask_size:
        flags = TOUCH
    if not bid_n or not ask_n:
        flags |= ONE_SIDED
    elif new_bid >= -new_ask:
        flags |= CROSSED
    thin = (bid_n < THIN and get(meta, FLOOR_BID) != NO_FLOOR) or (ask_n < THIN and get(meta, FLOOR_ASK) != NO_FLOOR)
    if thin or (bid_n and new_bid < get(meta, SEED_BID)) or (ask_n and new_ask < get(meta, SEED_ASK)):
        flags |= WINDOW
    unit = FPOW[scale]
    bid, bid_size = (new_bid / unit, unpacked(new_bid_size)) if bid_n else (0.0, 0.0)
    ask, ask_size = (-new_ask / unit, unpacked(new_ask_size)) if ask_n else (0.0, 0.0)
    return flags, bid, bid_size, ask, ask_size


@jit
def apply(book: np.ndarray, scratch: np.ndarray, bids: bytes, asks: bytes, snapshot: bool) -> tuple[int, float, float, float, float]:
    """Apply one message: (flags or error, best bid, its size, best ask, its size); 0.0 where a side is empty."""
    rows, width = address(scratch), scratch.shape[1]
    fields = book[4, FIELDS]
    nb = parse_all(bids, rows, width, fields)
    if nb < 0:
        return nb, 0.0, 0.0, 0.0, 0.0
    na = parse_all(asks, rows + 24 * width, width, fields)
    if na < 0:
        return na, 0.0, 0.0, 0.0, 0.0
    return commit(address(book), rows, width, nb, na, snapshot)


@jit
def levels(book: np.ndarray, bid_side: bool, limit: int) -> np.ndarray:
    """Best ``limit`` levels of a side, best first: float64 array (n, 2) of price and size as the venue counts it."""
    row = 0 if bid_side else 2
    n = book[4, N_BID if bid_side else N_ASK]
    count = min(n, limit)
    out = np.empty((count, 2))
    unit = FPOW[book[4, SCALE]]
    for k in range(count):
        key = book[row, n - 1 - k]
        out[k, 0] = (key if bid_side else -key) / unit
        out[k, 1] = unpacked(book[row + 1, n - 1 - k])
    return out


@jit
def depth_within(book: np.ndarray, windows_bps: np.ndarray) -> np.ndarray:
    """Size within each window of the mid: float64 (windows, 4): bid size, ask size, bid complete, ask complete (1/0).

    "complete" is 0 where the window reaches past the levels that this book knows.
    """
    out = np.zeros((windows_bps.shape[0], 4))
    nb, na = book[4, N_BID], book[4, N_ASK]
    if nb == 0 or na == 0:
        return out
    mid = (book[0, nb - 1] - book[2, na - 1]) / 2.0
    for w in range(windows_bps.shape[0]):
        for side in range(2):
            row = side * 2
            n = nb if side == 0 else na
            edge = (mid if side == 0 else -mid) - mid * windows_bps[w] / 1e4
            total = 0.0
            k = n - 1
            while k >= 0 and book[row, k] >= edge:
                total += unpacked(book[row + 1, k])
                k -= 1
            out[w, side] = total
            seed = book[4, SEED_BID if side == 0 else SEED_ASK]
            floor = book[4, FLOOR_BID if side == 0 else FLOOR_ASK]
            out[w, 2 + side] = 1.0 if k >= 0 and edge >= max(seed, floor) else 0.0
    return out
