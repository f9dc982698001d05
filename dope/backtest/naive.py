"""The naive backtest: every opportunity executed when it was detected, at its indicative profit. An upper bound."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CURVE = 2000  #: points kept of the curve
LABEL = "upper bound: every opportunity filled at once, at the touch, without size limits"


@dataclass(frozen=True)
class Naive:
    """Percent of the order size; ``total_return_pct`` is the plain sum, ``profit`` the same in quote currency."""

    label: str
    trades: int
    win_rate: float | None
    total_return_pct: float
    avg_profit_pct: float | None
    profit: float
    curve: list[tuple[int, float]]  #: (time ms UTC, cumulative profit in quote currency), thinned


def naive(found: Sequence[tuple[int, float]], order_size: float) -> Naive:
    """Take each opportunity's (time ns, indicative profit in percent after fees); ``order_size`` in quote currency."""
    profits_pct = [pct for _, pct in found]
    n, total = len(profits_pct), sum(profits_pct)
    sums = itertools.accumulate(pct / 100 * order_size for pct in profits_pct)
    curve = [(t // 1_000_000, profit) for (t, _), profit in zip(found, sums, strict=True)]
    stride = max(1, math.ceil(len(curve) / MAX_CURVE))
    return Naive(
        label=LABEL,
        trades=n,
        win_rate=sum(p > 0 for p in profits_pct) / n if n else None,
        total_return_pct=total,
        avg_profit_pct=total / n if n else None,
        profit=total / 100 * order_size,
        curve=curve[::-stride][::-1],
    )
