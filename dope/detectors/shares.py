"""Shares of a count with their intervals: what k of n says of the share behind it."""

from __future__ import annotations

import math

Z95 = 1.959963984540054  #: of a two-sided interval of 95 %


def wilson(k: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of the share k/n, ``z`` standard deviations to both sides; everything while n is 0."""
    if not n:
        return 0.0, 1.0
    share, square = k / n, z * z
    middle, half = share + square / (2 * n), z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = (middle - half) / (1 + square / n), (middle + half) / (1 + square / n)
    return (0.0 if k == 0 else low), (1.0 if k == n else high)
