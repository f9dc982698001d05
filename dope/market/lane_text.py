"""The fast lane's reader: one message against the templates of its venue, to the letter (`lane.py`)."""

from __future__ import annotations

import numpy as np

from dope.market.compiled import jit
from dope.market.digits import AHEAD, NO_NUMBER, _fast_number, _number, parse
from dope.market.kernel import FPOW
from dope.market.lane import (
    ASKS,
    BIDS,
    BUCKETS,
    FIRST,
    GOT_ASKS,
    GOT_BIDS,
    GOT_GROUPED,
    GOT_ID,
    GOT_MS,
    GOT_PREV,
    GOT_SELL,
    GOT_SEQ,
    GOT_SLOT,
    GROUP_ID,
    ID,
    LITERAL,
    MAKER,
    NAME,
    ONE,
    PREV,
    SEQ,
    SIDE,
    STAMP_MS,
    STAMP_TRUE,
    SYMBOL,
    WORD,
    _hash,
)
from dope.market.memory import byte, get, put, word

EXACT_DIGITS = 22  #: decimals whose power of ten is an exact float
EXACT = 1 << 53  #: integers below are exact floats


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
def _decimal(text: int, i: int, n: int, room: int) -> tuple[float, int]:
    """A quoted positive decimal → (exactly the float that its text is, next position); position −1 = leave it to the other way."""
    mantissa, decimals, at = 0, 0, NO_NUMBER
    if i + AHEAD <= room:
        mantissa, decimals, at = _fast_number(text, i)
    if at == NO_NUMBER:
        if i >= n or byte(text, i) != 34:
            return 0.0, -1
        mantissa, decimals, at = _number(text, i, n, 15)
    if at < 0 or mantissa <= 0 or mantissa >= EXACT or decimals > EXACT_DIGITS:
        return 0.0, -1
    return mantissa / FPOW[decimals], at


@jit
def _same(text: int, i: int, n: int, letters: int, length: int) -> bool:
    """Whether the text goes on with these letters."""
    if i + length > n:
        return False
    k = 0
    while k + 8 <= length:
        if word(text, i + k) != word(letters, k):
            return False
        k += 8
    while k < length:
        if byte(text, i + k) != byte(letters, k):
            return False
        k += 1
    return True


@jit
def _choice(text: int, i: int, n: int, role: int) -> tuple[int, int]:
    """Who took: (1 = the taker sold, 0 = bought; next position, −1 = neither)."""
    if role == MAKER:  # true or false: the buyer was the maker
        if i + 4 <= n and byte(text, i) == 116 and byte(text, i + 1) == 114 and byte(text, i + 2) == 117 and byte(text, i + 3) == 101:
            return 1, i + 4
        if i + 5 <= n and byte(text, i) == 102 and byte(text, i + 1) == 97 and byte(text, i + 2) == 108:
            return 0, (i + 5 if byte(text, i + 3) == 115 and byte(text, i + 4) == 101 else -1)
        return 0, -1
    if i + 3 <= n and byte(text, i) == 98 and byte(text, i + 1) == 117 and byte(text, i + 2) == 121:
        return 0, i + 3
    if i + 4 <= n and byte(text, i) == 115 and byte(text, i + 1) == 101 and byte(text, i + 2) == 108 and byte(text, i + 3) == 108:
        return 1, i + 4
    return 0, -1


@jit
def read(
    text: int, i: int, n: int, room: int, template: tuple[int, int, int], known: tuple[np.ndarray, np.ndarray],
    rows: int, width: int, got: int, values: np.ndarray,
) -> bool:  # fmt: skip
    """Match one message against a template (operations, how many, letters); False = no match.

    ``got`` and ``values`` take what it says (GOT_… and the decimals ONE … FOUR of `lane.py`), ``rows`` its levels.
    """
    ops, count, letters = template
    table, names = known
    put(got, GOT_SEQ, -1)
    put(got, GOT_PREV, -1)
    put(got, GOT_MS, 0)
    put(got, GOT_GROUPED, 0)
    for o in range(count):
        role = get(ops, 3 * o)
        if role == LITERAL:
            length = get(ops, 3 * o + 2)
            if not _same(text, i, n, letters + get(ops, 3 * o + 1), length):
                return False
            i += length
        elif role in (BIDS, ASKS):
            start = i
            found, i = parse(text, i, n, room, rows if role == BIDS else rows + 24 * width, width, get(ops, 3 * o + 1))
            if found < 0 or (found == 0 and i - start != 2):
                return False
            put(got, GOT_BIDS if role == BIDS else GOT_ASKS, found)
        elif role >= ONE:
            values[role - ONE], i = _decimal(text, i, n, room)
            if i < 0:
                return False
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
                put(got, GOT_SLOT, slot)
        elif role in (MAKER, SIDE):
            sold, i = _choice(text, i, n, role)
            if i < 0:
                return False
            put(got, GOT_SELL, sold)
        else:
            value, i = _integer(text, i, n)
            if i < 0:
                return False
            if role == SEQ:
                put(got, GOT_SEQ, value)
            elif role == PREV:
                put(got, GOT_PREV, value)
            elif role == FIRST:
                put(got, GOT_PREV, value - 1)
            elif role == STAMP_MS or (role == STAMP_TRUE and value > 0):
                put(got, GOT_MS, value)
            elif role == STAMP_TRUE:
                return False  # 0: the venue's other stamp counts
            elif role in (ID, GROUP_ID):
                put(got, GOT_ID, value)
                put(got, GOT_GROUPED, role == GROUP_ID)
    return i == n
