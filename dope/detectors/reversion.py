"""How fast a spread returns to its mean: an Ornstein-Uhlenbeck process by least squares, and whether that may be said at all.

x(k+1) = a + b·x(k) + noise, kappa = −ln b / dt, half-life = ln 2 / kappa. A random walk fitted so has a half-life, too: it
is shown only when (b − 1)/se(b) lies below the 5 % point of Dickey and Fuller (1979).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SIGNIFICANT = -2.86  #: of (b − 1)/se(b), Dickey-Fuller with a constant, 5 %
FEWEST = 30  #: samples below which nothing is fitted


class Reversion(NamedTuple):
    """A fit. ``mu``, ``sd`` in units of x; ``kappa`` per unit of time, ``half_life`` in units of time; None where b is not in (0, 1)."""

    a: float
    b: float
    se_b: float
    t: float  #: (b − 1)/se(b)
    mu: float | None
    kappa: float | None
    half_life: float | None
    sigma: float | None  #: of the noise, units of x per square root of time
    sd: float | None  #: stationary standard deviation
    n: int  #: steps

    @property
    def significant(self) -> bool:
        """Whether a half-life may be shown."""
        return self.half_life is not None and self.t < SIGNIFICANT


def fit(x: npt.ArrayLike, dt: float, *, fewest: int = FEWEST) -> Reversion | None:
    """Fit equally spaced samples, ``dt`` apart; a pair with one that is not a number is left out. None: too few, or x stands still."""
    samples = np.asarray(x, dtype=np.float64)
    old, new = samples[:-1], samples[1:]
    known = np.isfinite(old) & np.isfinite(new)
    old, new = old[known], new[known]
    n = len(old)
    if n < max(fewest, 3):
        return None
    d_old, d_new = old - old.mean(), new - new.mean()
    xx = float(d_old @ d_old)
    if xx <= 0.0:
        return None
    b = float(d_old @ d_new) / xx
    a = float(new.mean() - b * old.mean())
    residual = d_new - b * d_old
    variance = float(residual @ residual) / (n - 2)
    se = math.sqrt(variance / xx)
    t = (b - 1.0) / se if se > 0.0 else -math.inf
    if not 0.0 < b < 1.0:
        return Reversion(a, b, se, t, None, None, None, None, None, n)
    kappa = -math.log(b) / dt
    sd = math.sqrt(variance / (1.0 - b * b))
    return Reversion(a, b, se, t, a / (1.0 - b), kappa, math.log(2.0) / kappa, sd * math.sqrt(2.0 * kappa), sd, n)
