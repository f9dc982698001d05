"""Order flow, VPIN and least squares written down as slowly and obviously as possible: what the quick forms are measured against."""

from __future__ import annotations

import itertools
import math

Touch = tuple[float, float, float, float]  #: bid, its size, ask, its size


def flow(touches: list[Touch]) -> float:
    """The sum of order-flow events; a touch that lacks a side or is not a number takes part in none."""
    total = 0.0
    for (b0, qb0, a0, qa0), (b, qb, a, qa) in itertools.pairwise(touches):
        if any(math.isnan(price) or price <= 0.0 for price in (b0, a0, b, a)):
            continue
        total += (qb if b >= b0 else 0.0) - (qb0 if b <= b0 else 0.0) - (qa if a <= a0 else 0.0) + (qa0 if a >= a0 else 0.0)
    return total


def vpin_buckets(trades: list[tuple[int, int]], bucket: int) -> list[int]:
    """|bought − sold| of each full bucket; trades are (whole units, sign), taken unit by unit."""
    found, balance, filled = [], 0, 0
    for size, sign in trades:
        for _ in range(size):
            balance, filled = balance + sign, filled + 1
            if filled == bucket:
                found.append(abs(balance))
                balance = filled = 0
    return found


def slope(x: list[float], y: list[float]) -> float:
    """Of the least-squares line with an intercept, by the textbook's sums."""
    n = len(x)
    sx, sy = math.fsum(x), math.fsum(y)
    sxx, sxy = math.fsum(a * a for a in x), math.fsum(a * b for a, b in zip(x, y, strict=True))
    return (n * sxy - sx * sy) / (n * sxx - sx * sx)
