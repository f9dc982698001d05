"""Where a common price is made: each market's share of it, from a vector error correction model of two log prices. Pure.

Gonzalo-Granger's share, and Hasbrouck's between its two bounds (one for each order of the markets). Five minutes gave bounds from
0.20 to 0.95: so only the bounds are told, and nothing when they are far apart or stand on less than an hour.
"""

from __future__ import annotations

import msgspec
import numpy as np

LAGS = 5
GRID_MS = 100
WIDEST = 0.5  #: bounds farther apart say nothing
LEAST_S = 3600.0  #: of prices on both sides


class Discovery(msgspec.Struct, frozen=True):
    """Shares of x; those of y are what is left to 1."""

    n: int  #: steps of the grid that were used
    alpha_x: float  #: how much of a difference each takes back in a step
    alpha_y: float
    share: float  #: Gonzalo-Granger; may leave 0 … 1
    low: float  #: Hasbrouck's bounds
    high: float
    correlation: float  #: of what both leave unexplained in the same step

    @property
    def telling(self) -> bool:
        """Whether the bounds are close enough to be worth telling."""
        return self.high - self.low <= WIDEST


def on_grid(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The value that held at each of these times, all in one unit; not a number before the first."""
    found = np.searchsorted(times, at, side="right") - 1
    if not len(times):
        return np.full(len(at), np.nan)
    held: np.ndarray = np.where(found >= 0, values[np.maximum(found, 0)], np.nan)
    return held


def discovery(x: np.ndarray, y: np.ndarray, lags: int = LAGS) -> Discovery | None:
    """Log prices in bps on one grid; steps that touch an unknown price are left out. None when they cannot be told apart."""
    gap = x - y
    gap = gap - np.nanmean(gap) if np.any(np.isfinite(gap)) else gap
    dx, dy = np.diff(x), np.diff(y)
    n = len(dx)
    if n <= 4 * (2 * lags + 2):
        return None
    past = [series[lags - k : n - k] for k in range(1, lags + 1) for series in (dx, dy)]
    known = np.column_stack([gap[lags:-1], *past, np.ones(n - lags)])
    moved = np.column_stack([dx[lags:], dy[lags:]])
    whole = np.isfinite(known).all(axis=1) & np.isfinite(moved).all(axis=1)
    known, moved = known[whole], moved[whole]
    if len(moved) <= 4 * known.shape[1]:
        return None
    fitted, *_ = np.linalg.lstsq(known, moved, rcond=None)
    rest = moved - known @ fitted
    alpha_x, alpha_y = (float(a) for a in fitted[0])
    noise = rest.T @ rest / len(rest)
    if alpha_x == alpha_y or np.linalg.det(noise) <= 0.0:
        return None
    weights = np.array([alpha_y, -alpha_x]) / (alpha_y - alpha_x)
    both = sorted((_share(weights, noise), 1.0 - _share(weights[::-1], noise[::-1, ::-1])))
    correlation = float(noise[0, 1] / np.sqrt(noise[0, 0] * noise[1, 1]))
    return Discovery(len(moved), alpha_x, alpha_y, float(weights[0]), both[0], both[1], correlation)


def _share(weights: np.ndarray, noise: np.ndarray) -> float:
    """Hasbrouck's share of the first of two, whatever both share counted as its own."""
    parts = weights @ np.linalg.cholesky(noise)
    return float(parts[0] ** 2 / (weights @ noise @ weights))
