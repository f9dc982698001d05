"""Jumps of a whole series of bars, judged afterwards: Lee and Mykland's statistic per bar, Barndorff-Nielsen and Shephard's of the day.

Source: S. Lee, P. Mykland, "Jumps in financial markets", Review of Financial Studies 21 (2008); O. Barndorff-Nielsen, N. Shephard,
"Econometrics of testing for jumps", Journal of Financial Econometrics 4 (2006), ratio form. Prices enter as ln(p) · 1e4, in bps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WINDOW = 78  #: bars before one that its volatility is taken from
ALPHA = 0.01
#: E|u|^(4/3) of a standard normal u
MU = 2.0 ** (2.0 / 3.0) * math.gamma(7.0 / 6.0) / math.gamma(0.5)


class Day(NamedTuple):
    """Realised variance, its bipower part, tripower quarticity, share of jumps, and z (≈ normal without jumps); bps."""

    rv: float
    bv: float
    tp: float
    rj: float
    z: float


def lee_mykland(log_bps: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """L of each return, (n − 1,): the return over the bipower volatility of the ``window`` − 1 returns before it; NaN where none is known.

    With returns r_0, r_1 … the volatility of r_i is sqrt(Σ |r_j| |r_{j−1}| / (window − 2)), j = i − window + 2 … i − 1.
    """
    returns = np.diff(np.asarray(log_bps, dtype=np.float64))
    found = np.full(len(returns), np.nan)
    if window < 3 or len(returns) < window:
        return found
    size = np.abs(returns)
    total = np.concatenate([[0.0, 0.0], np.cumsum(size[1:] * size[:-1])])  # total[j + 1] = Σ up to |r_j||r_{j−1}|
    i = np.arange(window - 1, len(returns))
    variance = (total[i] - total[i - window + 2]) / (window - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        found[i] = np.where(variance > 0.0, returns[i] / np.sqrt(np.maximum(variance, 0.0)), np.nan)
    return found


def on_grid(times: Sequence[int], closes: Sequence[float], step: int) -> tuple[np.ndarray, np.ndarray]:
    """Closes by the beginning of their bar, one each ``step`` from the first to the last: where nothing was traded, the close before."""
    at = (np.asarray(times, dtype=np.int64) - times[0]) // step
    place = np.searchsorted(at, np.arange(int(at[-1]) + 1), side="right") - 1
    return times[0] + step * np.arange(int(at[-1]) + 1), np.asarray(closes, dtype=np.float64)[place]


def threshold(n: int, alpha: float = ALPHA) -> float:
    """What |L| exceeds in a series of n bars with chance ``alpha`` although nothing jumped (Gumbel limit)."""
    c = math.sqrt(2.0 / math.pi)
    root = math.sqrt(2.0 * math.log(n))
    centre = root / c - (math.log(math.pi) + math.log(math.log(n))) / (2.0 * c * root)
    return centre - math.log(-math.log(1.0 - alpha)) / (c * root)


def day(log_bps: np.ndarray) -> Day:
    """The whole series; NaN where it is too short or nothing moved."""
    size = np.abs(np.diff(np.asarray(log_bps, dtype=np.float64)))
    n = len(size)
    if n < 4:
        return Day(*[math.nan] * 5)
    rv = float(size @ size)
    bv = math.pi / 2.0 * n / (n - 1) * float(size[1:] @ size[:-1])
    power = size ** (4.0 / 3.0)
    tp = n * MU**-3 * n / (n - 2) * float((power[2:] * power[1:-1] * power[:-2]).sum())
    if rv <= 0.0 or bv <= 0.0:
        return Day(rv, bv, tp, math.nan, math.nan)
    rj = (rv - bv) / rv
    return Day(rv, bv, tp, rj, rj / math.sqrt((math.pi**2 / 4.0 + math.pi - 5.0) / n * max(1.0, tp / bv**2)))
