"""How long something lasts when not everything is seen to its end: Kaplan–Meier curves and bands, and whether two differ.

A life that is still going on, or that nobody saw end, is *censored*: it lasted at least so long. Bands are those of Greenwood's
variance on the scale of log(−log S), which keeps them between 0 and 1; the band of the median is where those of the curve cross a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from dope.detectors.shares import Z95


class Step(msgspec.Struct, frozen=True):
    """From ``t`` s on the share ``s`` is still going; ``low`` … ``high`` its 95 % band, ``at_risk`` = lives seen up to ``t``."""

    t: float
    s: float
    low: float
    high: float
    at_risk: int


class Curve(msgspec.Struct, frozen=True):
    """``n`` lives, ``ended`` of them seen to their end; the median with its 95 % interval, s, None = the curve does not come so far."""

    steps: tuple[Step, ...]
    n: int
    ended: int
    median: float | None
    median_low: float | None
    median_high: float | None

    def at(self, t: float) -> Step | None:
        """The step that holds at ``t`` s; None before the first end."""
        return next((step for step in reversed(self.steps) if step.t <= t), None)


def kaplan_meier(lives: Sequence[tuple[float, bool]]) -> Curve:
    """From (s, whether its end was seen) of each life."""
    rows = sorted(lives)
    steps: list[Step] = []
    share, spread, at_risk, at = 1.0, 0.0, len(rows), 0
    while at < len(rows):
        t, ends, leaves = rows[at][0], 0, 0
        while at < len(rows) and rows[at][0] == t:
            ends, leaves, at = ends + rows[at][1], leaves + 1, at + 1
        if ends:
            share *= 1.0 - ends / at_risk
            if ends < at_risk:
                spread += ends / (at_risk * (at_risk - ends))
            low, high = _band(share, spread)
            steps.append(Step(t, share, low, high if share > 0.0 else steps[-1].high if steps else 1.0, at_risk))
        at_risk -= leaves
    below = [next((step.t for step in steps if getattr(step, name) <= 0.5), None) for name in ("s", "low", "high")]
    return Curve(tuple(steps), len(rows), sum(seen for _, seen in rows), *below)


def _band(share: float, spread: float) -> tuple[float, float]:
    if not 0.0 < share < 1.0:
        return share, share
    half = Z95 * math.sqrt(spread) / -math.log(share)
    return share ** math.exp(half), share ** math.exp(-half)


def log_rank(one: Sequence[tuple[float, bool]], other: Sequence[tuple[float, bool]]) -> float:
    """Two-sided p of both having the same curve, by the log-rank test; 1.0 where nothing can be said."""
    rows = sorted((t, seen, group) for group, lives in enumerate((one, other)) for t, seen in lives)
    left = [len(one), len(other)]
    surplus = variance = 0.0
    at = 0
    while at < len(rows):
        t, gone, ends = rows[at][0], [0, 0], [0, 0]
        while at < len(rows) and rows[at][0] == t:
            _, seen, group = rows[at]
            gone[group], ends[group], at = gone[group] + 1, ends[group] + seen, at + 1
        n, d = sum(left), sum(ends)
        if d:
            surplus += ends[0] - d * left[0] / n
        if d and n > 1:
            variance += d * left[0] * left[1] * (n - d) / (n * n * (n - 1))
        left = [left[0] - gone[0], left[1] - gone[1]]
    return math.erfc(math.sqrt(surplus * surplus / variance / 2.0)) if variance > 0.0 else 1.0
