"""The one definition of fresh: how old a book is known to be, and how old it may be to count.

Receive times come from one monotonic clock; a venue's own stamps only measure *excess delay*: how much later than its
best case a message arrived. Clocks of venues and recorders may be off by any amount (1.27 s were seen): only
differences to the rolling minimum are used, so negative latencies are as good as any.

A venue's clock may be set: how that is known, and what it changes, see ``market/delays.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dope.market.compiled import jit
from dope.market.delays import NS

MIN_LIMIT_S, MAX_LIMIT_S = 0.25, 5.0
HALF_LIFE_S = 60.0
_DECAY = 0.5 ** (1.0 / HALF_LIFE_S)

UNITS = tuple(10**exponent for exponent in range(9, -1, -1))  #: ns, from a second down


def resolution_ns(stamps: np.ndarray) -> int | None:
    """The step that a venue's stamps keep to, a power of ten of ns; None for fewer than two different ones. 0 is no stamp."""
    told = np.unique(stamps[stamps != 0])
    if len(told) < 2:
        return None
    return next(unit for unit in UNITS if not np.any(told % unit))


class Spread(NamedTuple):
    """How receive − exchange times lie, ms, of any sign: where our clock is behind, all are negative."""

    min: float
    p1: float
    median: float
    p99: float
    max: float


def spread_ms(received: np.ndarray, stamped: np.ndarray) -> Spread | None:
    """Of times in ns, one pair per message; stamps of 0 are none. None without any."""
    told = stamped != 0
    if not np.any(told):
        return None
    return Spread(*(float(q) for q in np.percentile((received[told] - stamped[told]) / 1e6, (0, 1, 50, 99, 100))))


SIMULTANEOUS_MS = 500.0  #: legs whose ages differ by more were not there at the same time


def simultaneous(age_ms: float, other_ms: float) -> bool:
    """Whether two quotes of these confirmed ages may be compared: further apart, the price may have moved meanwhile."""
    return abs(age_ms - other_ms) <= SIMULTANEOUS_MS


def age_limit_ns(wall_bps: float, sigma_bps: float, cap_s: float = MAX_LIMIT_S) -> int:
    """Oldest a leg may be: the time in which a 3-sigma move stays inside the fee wall, 250 ms … 5 s.

    ``sigma_bps`` in bps per sqrt(second); a quote of age A fakes a gap of sigma·sqrt(A) by itself.
    """
    inside = wall_bps / (3.0 * sigma_bps) if sigma_bps > 0.0 else 0.0
    seconds = MAX_LIMIT_S if sigma_bps <= 0.0 else inside * inside
    return int(min(max(seconds, MIN_LIMIT_S), cap_s, MAX_LIMIT_S) * NS)


limit_in = jit(age_limit_ns)  #: the same for compiled code


def age_limits_ns(walls_bps: np.ndarray, sigmas_bps: np.ndarray, cap_s: float = MAX_LIMIT_S) -> np.ndarray:
    """``age_limit_ns`` of many at once."""
    known = sigmas_bps > 0.0
    seconds = np.full(len(walls_bps), MAX_LIMIT_S)
    seconds[known] = np.square(walls_bps[known] / (3.0 * sigmas_bps[known]))
    return (np.minimum(np.maximum(seconds, MIN_LIMIT_S), min(cap_s, MAX_LIMIT_S)) * NS).astype(np.int64)


RHYTHM = 6.0  #: times its usual age: a leg that is so old is silent beyond its habit
RHYTHM_LOOKS = 600  #: looks that make a habit, ten a second


class Rhythm:
    """How old a book usually is when it is looked at, ns, learnt over a minute; what is silent for much longer has probably gone silent.

    A look at a random moment meets long pauses more often than short ones, so feeds that speak in bursts get the patience they need.
    """

    __slots__ = ("looks", "usual")

    def __init__(self) -> None:
        self.looks, self.usual = 0, 0.0

    def look(self, age: int) -> None:
        """One look; an age beyond the limit counts as the limit, so that a silence does not make itself usual."""
        self.looks = min(self.looks + 1, RHYTHM_LOOKS)
        self.usual += (min(age, self.limit_ns()) - self.usual) / self.looks

    def limit_ns(self) -> int:
        """Oldest that fits the habit, 250 ms … 5 s; 5 s before the first look."""
        return int(min(max(self.usual * RHYTHM, MIN_LIMIT_S * NS), MAX_LIMIT_S * NS)) if self.looks else int(MAX_LIMIT_S * NS)


def next_sigma(sigma: float, last_mid: float, mid: float) -> float:
    """Volatility after one more second: exponentially weighted root mean square of 1 s returns, in bps."""
    if last_mid <= 0.0:
        return sigma
    move = (mid / last_mid - 1.0) * 1e4
    return float((_DECAY * sigma * sigma + (1.0 - _DECAY) * move * move) ** 0.5)
