"""The texts under the venues' checksums, written from the digits that the book keeps. Compiled.

``out`` is a uint8 array of ``kernel.CHECKSUM_TEXT`` bytes; every function gives the length of what it wrote.
"""

from __future__ import annotations

import numpy as np

from dope.market.compiled import jit
from dope.market.digits import POW
from dope.market.kernel import DIGITS, N_ASK, N_BID, SCALE


@jit
def _text(out: np.ndarray, at: int, mantissa: int, decimals: int) -> int:
    """Write mantissa / 10**decimals as plain decimal text; the next position."""
    digits = 1
    while digits < 19 and mantissa >= POW[min(digits, 18)]:
        digits += 1
    digits = max(digits, decimals + 1)
    end = at + digits + (decimals > 0)
    left, place = np.uint64(mantissa), end
    for k in range(digits):  # from behind: to divide by ten is a multiplication, by any other power it is not
        if k == decimals and k > 0:
            place -= 1
            out[place] = 46
        rest = left // np.uint64(10)
        place -= 1
        out[place] = np.uint8(np.uint64(48) + left - rest * np.uint64(10))
        left = rest
    return end


@jit
def digits_text(book: np.ndarray, depth: int, out: np.ndarray) -> int:
    """Price and size of the best ``depth`` asks, then of the bids, into ``out`` (uint8), as digits without point and
    leading zeros, all joined; its length. Prices are taken to have as many decimals as the longest of the snapshot."""
    at = 0
    scale, shown = book[4, SCALE], book[4, DIGITS]
    for side in (1, 0):
        n = book[4, N_BID if side == 0 else N_ASK]
        for rank in range(min(n, depth)):
            key = book[side * 2, n - 1 - rank]
            price = key if side == 0 else -key
            price = price // POW[scale - shown] if shown <= scale else price * POW[shown - scale]
            at = _text(out, at, price, 0)
            at = _text(out, at, book[side * 2 + 1, n - 1 - rank] >> 5, 0)
    return at


@jit
def signed_text(book: np.ndarray, depth: int, out: np.ndarray) -> int:
    """``bidPx:bidSz:askPx:-askSz:…`` of the best ``depth`` ranks into ``out`` (uint8), as JavaScript writes numbers; its length."""
    at = 0
    for rank in range(depth):
        for side in range(2):
            n = book[4, N_BID if side == 0 else N_ASK]
            if rank >= n:
                continue
            key, size = book[side * 2, n - 1 - rank], book[side * 2 + 1, n - 1 - rank]
            if at > 0:
                out[at] = 58
                at += 1
            at = _script(out, at, key if side == 0 else -key, book[4, SCALE])
            out[at] = 58
            out[at + 1] = 45
            at = _script(out, at + 1 + side, size >> 5, size & 31)
    return at


@jit
def _bare(out: np.ndarray, at: int, mantissa: int, decimals: int) -> int:
    """Write mantissa / 10**decimals without trailing zeros; the next position."""
    while decimals > 0 and mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    end: int = _text(out, at, mantissa, decimals)
    return end


@jit
def _script(out: np.ndarray, at: int, mantissa: int, decimals: int) -> int:
    """Write mantissa / 10**decimals as JavaScript does: without trailing zeros, below 1e-6 as ``1.25e-7``; the next position."""
    while decimals > 0 and mantissa % 10 == 0:
        mantissa //= 10
        decimals -= 1
    digits = 1
    while digits < 19 and mantissa >= POW[min(digits, 18)]:
        digits += 1
    end: int
    if decimals - digits < 6:
        end = _text(out, at, mantissa, decimals)
        return end
    at = _text(out, at, mantissa, digits - 1)
    out[at] = 101
    out[at + 1] = 45
    end = _text(out, at + 2, decimals - digits + 1, 0)
    return end


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
            if at > 0:
                out[at] = 58
                at += 1
            at = _bare(out, at, key if side == 0 else -key, scale)
            out[at] = 58
            size = book[side * 2 + 1, n - 1 - rank]
            at = _text(out, at + 1, size >> 5, size & 31)
    return at
