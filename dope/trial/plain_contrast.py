"""Who of two markets moves first as its definition reads, in plain sums over published mids. Nothing of the program is in it.

U(l) is the sum, over the moves of x, of what y did from where it stood when that move began until it stood when it was over, both l later.
The lag is where |U| is largest within reach; how far that stands out is told in robust deviations of the lags far from it. A positive lag
means that x is first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import quantiles
from typing import NamedTuple

import numpy as np

REACH_MS, STEP_MS, AROUND_MS, FAR_MS = 500, 5, 2000, 500  #: lags that are searched, and those that are only looked at besides
BLOCKS, BLOCK_MOVES = 8, 20  #: parts of the time, and moves of both in a part that says something
LEAST_BLOCKS = 4

Path = tuple[np.ndarray, np.ndarray]  #: when, ms, and ln of the mid, bps; each another one than before


class Plain(NamedTuple):
    """``n`` = moves of the rarer one; ``low`` and ``high`` = quartiles of the lags of the parts, None = too few of them."""

    n: int
    lag: int = 0
    z: float = 0.0
    low: float | None = None
    high: float | None = None


def path(times: Sequence[int], mids: Sequence[float]) -> Path:
    """Of a market's mids; those without one are left out."""
    known = np.array(mids) > 0.0
    return np.array(times, dtype=np.int64)[known], np.log(np.array(mids)[known]) * 1e4


def plain(x: Path, y: Path) -> Plain:
    """All that is to be known of two markets, over the time in which both were."""
    begin, end = max(x[0][0], y[0][0]), min(x[0][-1], y[0][-1])
    x, y = _within(x, begin, end), _within(y, begin, end)
    n = min(len(x[0]), len(y[0]))
    if n < 2:
        return Plain(n)
    lags = np.arange(-REACH_MS - AROUND_MS, REACH_MS + AROUND_MS + 1, STEP_MS)
    sums = _sums(x, y, lags)
    near = np.flatnonzero(np.abs(lags) <= REACH_MS)
    top = near[np.argmax(np.abs(sums[near]))]
    far = sums[np.abs(lags - lags[top]) > FAR_MS]
    middle = np.median(far)
    spread = 1.4826 * np.median(np.abs(far - middle))
    parts = []
    for start, stop in pairwise(begin + (end + 1 - begin) * k // BLOCKS for k in range(BLOCKS + 1)):
        a, b = _within(x, start, stop - 1), _within(y, start, stop - 1)
        if min(len(a[0]), len(b[0])) > BLOCK_MOVES:
            parts.append(int(lags[near[np.argmax(np.abs(_sums(a, b, lags[near])))]]))
    low, _, high = quantiles(parts, n=4, method="inclusive") if len(parts) >= LEAST_BLOCKS else (None, None, None)
    return Plain(n, int(lags[top]), float(abs(sums[top] - middle) / spread) if spread else 0.0, low, high)


def _within(one: Path, begin: int, end: int) -> Path:
    kept = (one[0] >= begin) & (one[0] <= end)
    return one[0][kept], one[1][kept]


def _sums(x: Path, y: Path, lags: np.ndarray) -> np.ndarray:
    moves, last = np.diff(x[1]), len(y[0]) - 1
    found = np.zeros(len(lags))
    for k, lag in enumerate(lags):
        before = np.searchsorted(y[0], x[0][:-1] + lag, side="right") - 1
        after = np.searchsorted(y[0], x[0][1:] + lag)
        found[k] = np.sum(moves * (y[1][np.clip(after, 0, last)] - y[1][np.clip(before, 0, last)]))
    return found
