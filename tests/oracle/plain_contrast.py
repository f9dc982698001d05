"""The lead-lag contrast as it is defined, pair by pair: slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence


def plain_sum(tx: Sequence[int], x: Sequence[float], ty: Sequence[int], y: Sequence[float], lag: int) -> float:
    """Sum of dX·dY over all intervals (a, b] of x and (c, d] of y that overlap when y is moved back by ``lag``."""
    total = 0.0
    for i in range(1, len(tx)):
        for j in range(1, len(ty)):
            if ty[j] - lag > tx[i - 1] and ty[j - 1] - lag < tx[i]:
                total += (x[i] - x[i - 1]) * (y[j] - y[j - 1])
    return total
