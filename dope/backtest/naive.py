"""The naive backtest: every opportunity executed when it was detected, at its indicative profit. An upper bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def naive(profits_pct: Sequence[float], order_size: float) -> Naive:
    """Take each opportunity's indicative profit in percent after fees; ``order_size`` in quote currency."""
    n, total = len(profits_pct), sum(profits_pct)
    return Naive(
        label=LABEL,
        trades=n,
        win_rate=sum(p > 0 for p in profits_pct) / n if n else None,
        total_return_pct=total,
        avg_profit_pct=total / n if n else None,
        profit=total / 100 * order_size,
    )
