"""Level text → numbers: the compiled reader of ``[["price","size",…],…]``, eight bytes at a time where the text is plain.

There are two ways to read a number. ``_fast_number`` takes quoted decimals of at most fifteen characters and gives up on
anything else; ``_number`` reads byte by byte, knows every rule and says what is wrong. What the first one accepts, the second
one reads the same; a test compares them on any text. ``text`` is an address (`memory.py`), ``n`` where the text ends, ``room``
the position up to which memory may be read, which reaches further when something else follows.
"""

from __future__ import annotations

import numpy as np

from dope.market.compiled import inlined, jit
from dope.market.memory import address, byte, put, trailing_zeros, word

# errors, < 0
MALFORMED, PRECISION, OVERFLOW, UNREADABLE, RANGE, TOO_MANY = -1, -2, -3, -4, -5, -6
ERRORS = {
    MALFORMED: "malformed levels",
    PRECISION: "more price digits than the book's scale",
    OVERFLOW: "number too long",
    UNREADABLE: "number with an escape or without digits",
    RANGE: "price or size out of range",
    TOO_MANY: "too many levels",
}

POW = np.array([10**i for i in range(19)], dtype=np.int64)
_ROOM = np.int64((2**58 - 1) // 10 - 1)  #: a mantissa below it takes one more digit
MAX_PRICE_DIGITS = 12  #: before the point
MAX_SIZE_DIGITS = 15
AHEAD = 48  #: bytes that the fast way may look ahead; as many behind a text let it be taken to the end
NO_NUMBER = -9  #: of ``_fast_number``: ask ``_number``

_ZEROS = np.uint64(0x3030303030303030)
_TOP = np.uint64(0x8080808080808080)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_ONES, _QUOTES = np.uint64(0x0101010101010101), np.uint64(0x2222222222222222)
_BYTE, _POINT = np.uint64(255), np.uint64(46)
_LOW_BYTES = np.uint64(0x000000FF000000FF)
_TENS, _THOUSANDS, _MILLIONS = np.uint64(10), np.uint64(0x0000271000000001), np.uint64(0x000F424000000064)
_COUNTS = np.uint64(0x2230222C2230222C)  #: ,"0","0" with the first byte lowest
_NOT_DIGITS = np.uint64(0xFFF0FFFFFFF0FFFF)  #: bits in which two quoted digits may not differ from it
_OVER_NINE, _CARRIED = np.uint64(0x0006000000060000), np.uint64(0x0010000000100000)
_ONE, _THREE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(3), np.uint64(7), np.uint64(8)
_SIXTEEN, _HALF, _NONE = np.uint64(16), np.uint64(32), np.uint64(0)


@inlined
def _digit(text: int, i: int) -> bool:
    return 48 <= byte(text, i) <= 57


@jit
def _scaled(text: int, i: int, n: int, mantissa: int, decimals: int, whole_limit: int) -> tuple[int, int, int]:
    """A number's exponent from the place after its ``e``: the number without it, and the next position; < 0 = error."""
    down = i < n and byte(text, i) == 45
    if down or (i < n and byte(text, i) == 43):
        i += 1
    start, power = i, 0
    while i < n and _digit(text, i):
        power = min(power * 10 + (byte(text, i) - 48), 999)
        i += 1
    if i == start:
        return 0, 0, UNREADABLE
    if mantissa == 0:
        return 0, 0, i
    decimals += power if down else -power
    while decimals < 0:
        if mantissa >= POW[whole_limit - 1]:
            return 0, 0, RANGE
        mantissa *= 10
        decimals += 1
    while decimals > 31:
        if mantissa % 10 != 0:
            return 0, 0, OVERFLOW
        mantissa //= 10
        decimals -= 1
    return mantissa, decimals, i


@jit
def _number(text: int, i: int, n: int, whole_limit: int) -> tuple[int, int, int]:
    """One JSON number or quoted number from position i → (mantissa, decimals, next position); position < 0 = error.

    At most ``whole_limit`` digits before the point, leading zeros not counted.
    """
    quoted = byte(text, i) == 34 if i < n else False
    if quoted:
        i += 1
    elif i + 1 < n and byte(text, i) == 48 and _digit(text, i + 1):
        return 0, 0, UNREADABLE  # no JSON number begins with a needless zero
    mantissa = np.int64(0)
    start = i
    while i < n and _digit(text, i):
        mantissa = mantissa * 10 + (byte(text, i) - 48)
        i += 1
        if mantissa >= POW[whole_limit]:
            return 0, 0, RANGE
    if i == start:
        return 0, 0, (RANGE if i < n and byte(text, i) == 45 else UNREADABLE)
    decimals = 0
    if i < n and byte(text, i) == 46:
        i += 1
        point = i
        while i < n and _digit(text, i):
            if mantissa < _ROOM:
                mantissa = mantissa * 10 + (byte(text, i) - 48)
                decimals += 1
            elif byte(text, i) != 48:  # no room for it; a zero there says nothing
                return 0, 0, OVERFLOW
            i += 1
        if i == point:
            return 0, 0, UNREADABLE
        if decimals > 31:
            if mantissa != 0:
                return 0, 0, OVERFLOW
            decimals = 31
    if i < n and (byte(text, i) == 101 or byte(text, i) == 69):
        mantissa, decimals, i = _scaled(text, i + 1, n, mantissa, decimals, whole_limit)
        if i < 0:
            return 0, 0, i
    if i >= n:
        return 0, 0, MALFORMED
    last = byte(text, i)
    if quoted:
        if last != 34:
            return 0, 0, UNREADABLE
        return mantissa, decimals, i + 1
    if last == 92:
        return 0, 0, UNREADABLE
    return mantissa, decimals, i


@inlined
def _eight(digits: int) -> int:
    """Eight decimal digits, one per byte (0 … 9), the first one lowest, as a number."""
    pairs = digits * _TENS + (digits >> _EIGHT)
    return np.int64(((pairs & _LOW_BYTES) * _MILLIONS + ((pairs >> _SIXTEEN) & _LOW_BYTES) * _THOUSANDS) >> _HALF)


@inlined
def _quote(text: int) -> int:
    """Position of the first quotation mark among eight bytes; 8 = none."""
    other = text ^ _QUOTES
    return trailing_zeros((other - _ONES) & ~other & _TOP) >> _THREE


@inlined
def _fast_number(text: int, i: int) -> tuple[int, int, int]:
    """A quoted decimal from its opening quote on → (mantissa, decimals, next position), or position NO_NUMBER.

    Looks at 17 bytes, whatever they are. At most seven digits before a point and fifteen characters in all.
    The end is found without knowing the point: what comes behind need not wait for it.
    """
    read = word(text, i + 1)
    end = _quote(read)
    digits = read ^ _ZEROS
    inside = (_ONE << (end << _THREE)) - _ONE if end < _EIGHT else ~_NONE
    others = (digits | (digits + _ABOVE_NINE)) & _TOP & inside  # the first of these bits is true, and with it none behind a point
    whole = trailing_zeros(others) >> _THREE  # 8 = no point here
    if byte(text, i) != 34 or whole == _NONE or end == _NONE or others & (others - _ONE) != _NONE:
        return 0, 0, NO_NUMBER
    if whole < _EIGHT:
        if (read >> (whole << _THREE)) & _BYTE != _POINT:
            return 0, 0, NO_NUMBER
        before = (_ONE << (whole << _THREE)) - _ONE
        digits = (digits & before) | ((digits >> _EIGHT) & ~before)
    elif end == _EIGHT:
        return 0, 0, NO_NUMBER  # eight digits and more to come
    if end < _EIGHT:
        if whole + _ONE == end:
            return 0, 0, NO_NUMBER
        if whole == _EIGHT:
            return _eight(digits << ((_EIGHT - end) << _THREE)), 0, i + 2 + np.int64(end)
        return _eight(digits << ((_EIGHT + _ONE - end) << _THREE)), np.int64(end - whole - _ONE), i + 2 + np.int64(end)
    read = word(text, i + 9)
    end = _quote(read)
    more = read ^ _ZEROS
    decimals = np.int64(_SEVEN - whole + end)
    if end == _EIGHT or decimals == 0:
        return 0, 0, NO_NUMBER
    inside = (_ONE << (end << _THREE)) - _ONE
    if (more | (more + _ABOVE_NINE)) & _TOP & inside != _NONE:
        return 0, 0, NO_NUMBER
    mantissa = _eight(digits << _EIGHT)
    if end > _NONE:
        mantissa = mantissa * POW[end] + _eight(more << ((_EIGHT - end) << _THREE))
    return mantissa, decimals, i + 10 + np.int64(end)


@jit
def _skip(text: int, i: int, n: int) -> int:
    """Past one number that nobody needs; the next position or an error."""
    quoted = byte(text, i) == 34 if i < n else False
    if quoted:
        i += 1
    elif i + 1 < n and byte(text, i) == 48 and _digit(text, i + 1):
        return UNREADABLE
    start = i
    while i < n and _digit(text, i):
        i += 1
    if i == start:
        return UNREADABLE
    if i + 1 < n and byte(text, i) == 46 and _digit(text, i + 1):
        i += 1
        while i < n and _digit(text, i):
            i += 1
    if not quoted:
        return i
    return i + 1 if i < n and byte(text, i) == 34 else UNREADABLE


@inlined
def _space(text: int, i: int, n: int) -> int:
    while i < n and (byte(text, i) == 32 or byte(text, i) == 10 or byte(text, i) == 13 or byte(text, i) == 9):
        i += 1
    return i


@jit
def _rest(text: int, i: int, n: int, fields: int) -> int:
    """Past the further elements of a level (order counts), which must be numbers too, to its bracket; or an error.

    ``fields`` = elements that the level must have in all, 0 = any number of them.
    """
    i = _space(text, i, n)
    found = 2
    while i < n and byte(text, i) == 44:
        i = _skip(text, _space(text, i + 1, n), n)
        if i < 0:
            return i
        i = _space(text, i, n)
        found += 1
    return i if fields == 0 or found == fields else MALFORMED


@jit
def _slow_level(text: int, i: int, n: int) -> tuple[int, int, int, int]:
    """Price and size from position i, any spacing → (mantissa, decimals, packed size, next position or error)."""
    price, decimals, i = _number(text, _space(text, i, n), n, MAX_PRICE_DIGITS)
    if i < 0:
        return 0, 0, 0, i
    i = _space(text, i, n)
    if i >= n or byte(text, i) != 44:
        return 0, 0, 0, MALFORMED
    size, size_decimals, i = _number(text, _space(text, i + 1, n), n, MAX_SIZE_DIGITS)
    return price, decimals, size << 5 | size_decimals, i


@inlined
def _level(text: int, i: int, n: int, room: int, fields: int) -> tuple[int, int, int, int]:
    """The inside of one level from behind its bracket on → (mantissa, decimals, packed size, its closing bracket or error)."""
    if i + AHEAD <= room:
        price, decimals, at = _fast_number(text, i)
        if at != NO_NUMBER and byte(text, at) == 44:
            size, size_decimals, at = _fast_number(text, at + 1)
            if at != NO_NUMBER:
                if byte(text, at) == 44:
                    other = word(text, at) ^ _COUNTS
                    two_digits = other & _NOT_DIGITS == _NONE and (other + _OVER_NINE) & _CARRIED == _NONE
                    short = two_digits and byte(text, at + 8) == 93 and (fields == 4 or fields == 0)
                    at = at + 8 if short else _rest(text, at, n, fields)
                elif byte(text, at) != 93 or fields > 2:
                    at = _rest(text, at, n, fields)
                return price, decimals, size << 5 | size_decimals, at
    price, decimals, packed, at = _slow_level(text, i, n)
    return price, decimals, packed, (_rest(text, at, n, fields) if at >= 0 else at)


@jit
def parse(text: int, i: int, n: int, room: int, rows: int, width: int, fields: int) -> tuple[int, int]:
    """``[["price","size",…],…]`` from position i → three rows of ``width`` numbers: mantissas, decimals, packed sizes.

    (count or error, position after it). ``fields`` = elements of each level; 0 = two or more. Where a level has more than price and
    size, one that lacks its size would otherwise be read as another level.
    """
    i = _space(text, i, n)
    if i >= n or byte(text, i) != 91:
        return MALFORMED, i
    i = _space(text, i + 1, n)
    count = 0
    if i < n and byte(text, i) == 93:
        return 0, i + 1
    while True:
        if i >= n or byte(text, i) != 91:
            return MALFORMED, i
        price, decimals, packed, i = _level(text, i + 1, n, room, fields)
        if i < 0:
            return i, 0
        if i >= n or byte(text, i) != 93:
            return MALFORMED, i
        if count >= width:
            return TOO_MANY, i
        if price == 0:
            return RANGE, i
        put(rows, count, price)
        put(rows, width + count, decimals)
        put(rows, 2 * width + count, packed)
        count += 1
        i = _space(text, i + 1, n)
        if i < n and byte(text, i) == 44:
            i = _space(text, i + 1, n)
            continue
        if i < n and byte(text, i) == 93:
            return count, i + 1
        return MALFORMED, i


@jit
def parse_all(buf: bytes, rows: int, width: int, fields: int) -> int:
    """The same for a text that is nothing but the levels (b"" = no levels): count or error."""
    n = len(buf)
    if n == 0:
        return 0
    text = address(buf)
    count, i = parse(text, 0, n, n, rows, width, fields)
    return MALFORMED if count >= 0 and _space(text, i, n) != n else count
