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

from typing import Any

import numpy as np
from numba import njit

CAPACITY = 4104  #: levels kept per side; the worst quarter is let go when it is full (not a power of two: rows would share cache sets)
SCRATCH = 16408  #: levels of one message; the caller doubles it on TOO_MANY

# meta indices
N_BID, N_ASK, SCALE, FLOOR_BID, FLOOR_ASK, SEED_BID, SEED_ASK, HAS_SEED, LEVELS = range(9)

# flags of apply(), ≥ 0
TOUCH, CROSSED, WINDOW, ONE_SIDED = 1, 2, 4, 8

# errors of apply(), < 0: the book is untouched
MALFORMED, PRECISION, OVERFLOW, UNREADABLE, RANGE, TOO_MANY = -1, -2, -3, -4, -5, -6
ERRORS = {
    MALFORMED: "malformed levels",
    PRECISION: "more price digits than the book's scale",
    OVERFLOW: "number too long",
    UNREADABLE: "number with an exponent, an escape or no digits",
    RANGE: "price or size out of range",
    TOO_MANY: "too many levels",
}

NO_FLOOR = np.int64(-(2**62))
MAX_SCALE = 14
_POW = np.array([10**i for i in range(19)], dtype=np.int64)
_FPOW = np.array([float(10**i) for i in range(32)], dtype=np.float64)
_FITS = np.array([9 * 10**17 // 10**i for i in range(19)], dtype=np.int64)  #: what may still be multiplied by 10**i
_ROOM = np.int64((2**58 - 1) // 10 - 1)  #: a mantissa below it takes one more digit
MAX_PRICE_DIGITS = 12  #: before the point
MAX_SIZE_DIGITS = 15

jit: Any = njit(cache=True, boundscheck=False)


def empty_book() -> np.ndarray:
    """A book without levels."""
    book = np.zeros((5, CAPACITY), dtype=np.int64)
    book[4, FLOOR_BID] = book[4, FLOOR_ASK] = NO_FLOOR
    return book


def new_scratch(levels: int = SCRATCH) -> np.ndarray:
    """Working space for the levels of one message: mantissa, decimals and size rows of both sides."""
    return np.zeros((6, levels), dtype=np.int64)


@jit
def _value(packed: int) -> float:
    """A packed size as a float; mantissas beyond 53 bits are taken in two parts so that no digit is lost early."""
    mantissa, decimals = packed >> 5, packed & 31
    if mantissa < 1 << 53 or decimals > 18:
        return float(mantissa / _FPOW[decimals])
    unit = _POW[decimals]
    return float(mantissa // unit + (mantissa % unit) / _FPOW[decimals])


@jit
def _number(buf: bytes, i: int, n: int, whole_limit: int) -> tuple[int, int, int]:
    """One JSON number or quoted number from position i → (mantissa, decimals, next position); position < 0 = error.

    At most ``whole_limit`` digits before the point, leading zeros not counted.
    """
    quoted = buf[i] == 34 if i < n else False
    if quoted:
        i += 1
    elif i + 1 < n and buf[i] == 48 and 48 <= buf[i + 1] <= 57:
        return 0, 0, UNREADABLE  # no JSON number begins with a needless zero
    mantissa = np.int64(0)
    start = i
    while i < n and 48 <= buf[i] <= 57:
        mantissa = mantissa * 10 + (buf[i] - 48)
        i += 1
        if mantissa >= _POW[whole_limit]:
            return 0, 0, RANGE
    if i == start:
        return 0, 0, (RANGE if i < n and buf[i] == 45 else UNREADABLE)
    decimals = 0
    if i < n and buf[i] == 46:
        i += 1
        point = i
        while i < n and 48 <= buf[i] <= 57:
            if mantissa < _ROOM:
                mantissa = mantissa * 10 + (buf[i] - 48)
                decimals += 1
            elif buf[i] != 48:  # no room for it; a zero there says nothing
                return 0, 0, OVERFLOW
            i += 1
        if i == point:
            return 0, 0, UNREADABLE
        if decimals > 31:
            if mantissa != 0:
                return 0, 0, OVERFLOW
            decimals = 31
    if i >= n:
        return 0, 0, MALFORMED
    if quoted:
        if buf[i] != 34:
            return 0, 0, UNREADABLE
        return mantissa, decimals, i + 1
    if buf[i] == 101 or buf[i] == 69 or buf[i] == 92:
        return 0, 0, UNREADABLE
    return mantissa, decimals, i


@jit
def _skip(buf: bytes, i: int, n: int) -> int:
    """Past one number that nobody needs; the next position or an error."""
    quoted = buf[i] == 34 if i < n else False
    if quoted:
        i += 1
    elif i + 1 < n and buf[i] == 48 and 48 <= buf[i + 1] <= 57:
        return UNREADABLE
    start = i
    while i < n and 48 <= buf[i] <= 57:
        i += 1
    if i == start:
        return UNREADABLE
    if i + 1 < n and buf[i] == 46 and 48 <= buf[i + 1] <= 57:
        i += 1
        while i < n and 48 <= buf[i] <= 57:
            i += 1
    if not quoted:
        return i
    return i + 1 if i < n and buf[i] == 34 else UNREADABLE


@jit
def _space(buf: bytes, i: int, n: int) -> int:
    while i < n and (buf[i] == 32 or buf[i] == 10 or buf[i] == 13 or buf[i] == 9):
        i += 1
    return i


@jit
def _parse(buf: bytes, i: int, n: int, rows: np.ndarray, first: int) -> tuple[int, int]:
    """``[["price","size",…],…]`` from position i → rows first (mantissa), first+1 (decimals), first+2 (packed size).

    (count or error, position after it)
    """
    i = _space(buf, i, n)
    if i >= n or buf[i] != 91:
        return MALFORMED, i
    i = _space(buf, i + 1, n)
    count = 0
    limit = rows.shape[1]
    if i < n and buf[i] == 93:
        return 0, i + 1
    while True:
        if i >= n or buf[i] != 91:
            return MALFORMED, i
        i = _space(buf, i + 1, n)
        price, decimals, i = _number(buf, i, n, MAX_PRICE_DIGITS)
        if i < 0:
            return i, 0
        i = _space(buf, i, n)
        if i >= n or buf[i] != 44:
            return MALFORMED, i
        i = _space(buf, i + 1, n)
        size, size_decimals, i = _number(buf, i, n, MAX_SIZE_DIGITS)
        if i < 0:
            return i, 0
        i = _space(buf, i, n)
        while i < n and buf[i] == 44:  # further elements (order counts) must be numbers too
            if i + 3 < n and buf[i + 1] == 34 and 48 <= buf[i + 2] <= 57 and buf[i + 3] == 34:
                i = _space(buf, i + 4, n)  # most are one quoted digit
                continue
            i = _skip(buf, _space(buf, i + 1, n), n)
            if i < 0:
                return i, 0
            i = _space(buf, i, n)
        if i >= n or buf[i] != 93:
            return MALFORMED, i
        if count >= limit:
            return TOO_MANY, i
        if price == 0:
            return RANGE, i
        rows[first, count] = price
        rows[first + 1, count] = decimals
        rows[first + 2, count] = size << 5 | size_decimals
        count += 1
        i = _space(buf, i + 1, n)
        if i < n and buf[i] == 44:
            i = _space(buf, i + 1, n)
            continue
        if i < n and buf[i] == 93:
            return count, i + 1
        return MALFORMED, i


@jit
def _parse_all(buf: bytes, rows: np.ndarray, first: int) -> int:
    """The same for a text that is nothing but the levels (b"" = no levels): count or error."""
    n = len(buf)
    if n == 0:
        return 0
    count, i = _parse(buf, 0, n, rows, first)
    return MALFORMED if count >= 0 and _space(buf, i, n) != n else count


@jit
def _to_keys(rows: np.ndarray, first: int, count: int, scale: int, negate: bool) -> int:
    """Bring the mantissas of a parsed side to the book's scale, in place; 0 or an error."""
    for k in range(count):
        price = rows[first, k]
        decimals = rows[first + 1, k]
        while decimals > scale:
            if price % 10 != 0:
                return PRECISION
            price //= 10
            decimals -= 1
        shift = scale - decimals
        if price > _FITS[shift]:
            return OVERFLOW
        price *= _POW[shift]
        rows[first, k] = -price if negate else price
    return 0


@jit
def _scale_for(rows: np.ndarray, bids: int, asks: int) -> int:
    """Decimals of a book's keys: 15 digits in all for its largest price, up to 17 where its smallest steps need them."""
    whole_digits = 1
    wanted = 0
    for side in range(2):
        for k in range(bids if side == 0 else asks):
            price = rows[side * 3, k]
            decimals = rows[side * 3 + 1, k]
            whole = price // _POW[min(decimals, 18)]
            while whole_digits < 18 and whole >= _POW[whole_digits]:
                whole_digits += 1
            while decimals > wanted and price % 10 == 0:
                price //= 10
                decimals -= 1
            wanted = max(wanted, decimals)
    return min(MAX_SCALE, max(15 - whole_digits, min(wanted, 17 - whole_digits)))


@jit
def _find(book: np.ndarray, row: int, n: int, key: int) -> int:
    """Index of the first element ≥ key; the touch is at the end, so look there first."""
    hi = n
    step = 1
    lo = n - 1
    while lo >= 0 and book[row, lo] >= key:
        hi = lo
        lo -= step
        step *= 2
    lo = max(lo, -1) + 1
    while lo < hi:
        mid = (lo + hi) >> 1
        if book[row, mid] >= key:
            hi = mid
        else:
            lo = mid + 1
    return lo


@jit
def _put(book: np.ndarray, row: int, n: int, key: int, size: int) -> int:
    """Set, insert or remove one level of a side; the new count. (No array views here: each would cost a reference count.)"""
    floor_at = FLOOR_BID if row == 0 else FLOOR_ASK
    if key < book[4, floor_at]:
        return n  # below what we let go: not known, not kept
    i = _find(book, row, n, key)
    known = i < n and book[row, i] == key
    if size >> 5 == 0:
        if known:
            for j in range(i, n - 1):
                book[row, j] = book[row, j + 1]
            for j in range(i, n - 1):
                book[row + 1, j] = book[row + 1, j + 1]
            return n - 1
        return n
    if known:
        book[row + 1, i] = size
        return n
    capacity = book.shape[1]
    if n == capacity:
        drop = capacity // 4
        for j in range(drop, n):
            book[row, j - drop] = book[row, j]
            book[row + 1, j - drop] = book[row + 1, j]
        n -= drop
        i -= drop
        book[4, floor_at] = book[row, 0]
        if i < 0 or key < book[row, 0]:
            return n
    for j in range(n, i, -1):
        book[row, j] = book[row, j - 1]
    for j in range(n, i, -1):
        book[row + 1, j] = book[row + 1, j - 1]
    book[row, i] = key
    book[row + 1, i] = size
    return n + 1


@jit
def _apply_side(book: np.ndarray, row: int, rows: np.ndarray, first: int, count: int) -> None:
    """Levels in the order sent; a side sent best first into an empty book goes in backwards, each at the array's end."""
    counter = N_BID if row == 0 else N_ASK
    n = book[4, counter]
    backwards = n == 0
    if backwards:
        for k in range(1, count):
            if rows[first, k] >= rows[first, k - 1]:
                backwards = False
                break
    for j in range(count):
        k = count - 1 - j if backwards else j
        n = _put(book, row, n, rows[first, k], rows[first + 2, k])
    book[4, counter] = n


@jit
def apply(book: np.ndarray, scratch: np.ndarray, bids: bytes, asks: bytes, snapshot: bool) -> tuple[int, float, float, float, float]:
    """Apply one message: (flags or error, best bid, its size, best ask, its size); 0.0 where a side is empty."""
    nb = _parse_all(bids, scratch, 0)
    if nb < 0:
        return nb, 0.0, 0.0, 0.0, 0.0
    na = _parse_all(asks, scratch, 3)
    if na < 0:
        return na, 0.0, 0.0, 0.0, 0.0
    return commit(book, scratch, nb, na, snapshot)


@jit
def commit(book: np.ndarray, scratch: np.ndarray, nb: int, na: int, snapshot: bool) -> tuple[int, float, float, float, float]:
    """Bring parsed levels into the book, or refuse them all; what ``apply`` returns."""
    scale = book[4, SCALE]
    if snapshot or book[4, N_BID] + book[4, N_ASK] == 0:
        scale = _scale_for(scratch, nb, na)
    err = _to_keys(scratch, 0, nb, scale, False)
    if err == 0:
        err = _to_keys(scratch, 3, na, scale, True)
    if err < 0:
        return err, 0.0, 0.0, 0.0, 0.0
    if snapshot:
        book[4, N_BID] = book[4, N_ASK] = 0
        book[4, FLOOR_BID] = book[4, FLOOR_ASK] = NO_FLOOR
    book[4, SCALE] = scale
    bid_n, ask_n = book[4, N_BID], book[4, N_ASK]
    old_bid = book[0, bid_n - 1] if bid_n else NO_FLOOR
    old_bid_size = book[1, bid_n - 1] if bid_n else NO_FLOOR
    old_ask = book[2, ask_n - 1] if ask_n else NO_FLOOR
    old_ask_size = book[3, ask_n - 1] if ask_n else NO_FLOOR
    _apply_side(book, 0, scratch, 0, nb)
    _apply_side(book, 2, scratch, 3, na)
    bid_n, ask_n = book[4, N_BID], book[4, N_ASK]
    book[4, LEVELS] += nb + na
    if snapshot:
        book[4, HAS_SEED] = 1
        book[4, SEED_BID] = book[0, 0] if bid_n else NO_FLOOR
        book[4, SEED_ASK] = book[2, 0] if ask_n else NO_FLOOR
    flags = 0
    unit = _FPOW[scale]
    bid = bid_size = ask = ask_size = 0.0
    new_bid = new_bid_size = new_ask = new_ask_size = np.int64(NO_FLOOR)
    if bid_n:
        new_bid, new_bid_size = book[0, bid_n - 1], book[1, bid_n - 1]
        bid = new_bid / unit
        bid_size = _value(new_bid_size)
        if new_bid < book[4, SEED_BID]:
            flags |= WINDOW
    if ask_n:
        new_ask, new_ask_size = book[2, ask_n - 1], book[3, ask_n - 1]
        ask = -new_ask / unit
        ask_size = _value(new_ask_size)
        if new_ask < book[4, SEED_ASK]:
            flags |= WINDOW
    if not bid_n or not ask_n:
        flags |= ONE_SIDED
    elif new_bid >= -new_ask:
        flags |= CROSSED
    if snapshot or new_bid != old_bid or new_bid_size != old_bid_size or new_ask != old_ask or new_ask_size != old_ask_size:
        flags |= TOUCH
    return flags, bid, bid_size, ask, ask_size


@jit
def levels(book: np.ndarray, bid_side: bool, limit: int) -> np.ndarray:
    """Best ``limit`` levels of a side, best first: float64 array (n, 2) of price and size as the venue counts it."""
    row = 0 if bid_side else 2
    n = book[4, N_BID if bid_side else N_ASK]
    count = min(n, limit)
    out = np.empty((count, 2))
    unit = _FPOW[book[4, SCALE]]
    for k in range(count):
        key = book[row, n - 1 - k]
        out[k, 0] = (key if bid_side else -key) / unit
        out[k, 1] = _value(book[row + 1, n - 1 - k])
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
                total += _value(book[row + 1, k])
                k -= 1
            out[w, side] = total
            seed = book[4, SEED_BID if side == 0 else SEED_ASK]
            floor = book[4, FLOOR_BID if side == 0 else FLOOR_ASK]
            out[w, 2 + side] = 1.0 if k >= 0 and edge >= max(seed, floor) else 0.0
    return out


@jit
def _text(out: np.ndarray, at: int, mantissa: int, decimals: int) -> int:
    """Write mantissa / 10**decimals as plain decimal text; the next position."""
    digits = 1
    while digits < 19 and mantissa >= _POW[min(digits, 18)]:
        digits += 1
    digits = max(digits, decimals + 1)
    for d in range(digits - 1, -1, -1):
        out[at] = 48 + (mantissa // _POW[d] % 10 if d < 19 else 0)
        at += 1
        if d == decimals and decimals > 0:
            out[at] = 46
            at += 1
    return at


@jit
def interleaved_text(book: np.ndarray, depth: int, out: np.ndarray) -> int:
    """``bidPx:bidSz:askPx:askSz:…`` of the best ``depth`` ranks into ``out`` (uint8); its length.

    Prices without trailing zeros, sizes with the digits as sent; when a side is shorter the other goes on alone.
    """
    at = 0
    scale = book[4, SCALE]
    for rank in range(depth):
        for side in range(2):
            n = book[4, N_BID if side == 0 else N_ASK]
            if rank >= n:
                continue
            key = book[side * 2, n - 1 - rank]
            price = key if side == 0 else -key
            decimals = scale
            while decimals > 0 and price % 10 == 0:
                price //= 10
                decimals -= 1
            if at > 0:
                out[at] = 58
                at += 1
            at = _text(out, at, price, decimals)
            out[at] = 58
            size = book[side * 2 + 1, n - 1 - rank]
            at = _text(out, at + 1, size >> 5, size & 31)
    return at
