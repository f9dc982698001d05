"""The one definition of fresh: how old a book is known to be, and how old it may be to count.

Receive times come from one monotonic clock; a venue's own stamps only measure *excess delay*: how much later than its
best case a message arrived. Clocks of venues and recorders may be off by any amount (1.27 s were seen): only
differences to the rolling minimum are used, so negative latencies are as good as any.
"""

from __future__ import annotations

from collections import deque

MINUTE = 60_000_000_000
WINDOW_MINUTES = 5
RING = 512  #: a power of two
NS = 1_000_000_000
MIN_LIMIT_S, MAX_LIMIT_S = 0.25, 5.0
HALF_LIFE_S = 60.0
_DECAY = 0.5 ** (1.0 / HALF_LIFE_S)


class DelayFloor:
    """Rolling 5-minute minimum of receive − exchange time of one venue, and the excess above it."""

    def __init__(self) -> None:
        self._minutes: deque[int] = deque(maxlen=WINDOW_MINUTES)  # best case of each of the last minutes
        self.floor = 0
        self.last = 0  #: excess of the newest stamped message, ns
        self._minute_end = self._minute_min = -(2**63)
        self._ring = [0] * RING
        self._count = 0

    def excess(self, ts: int, ts_exch: int) -> int:
        """Feed one pair of stamps (ns); how late this message was against the best case, ≥ 0."""
        delay = ts - ts_exch
        if ts >= self._minute_end or delay < self._minute_min:
            self._lower(ts, delay)
        late = self.last = delay - self.floor
        self._ring[self._count & RING - 1] = late
        self._count += 1
        return late

    def _lower(self, ts: int, delay: int) -> None:
        """A new minute, or the best case of this one."""
        if ts >= self._minute_end:
            self._minute_end = (ts // MINUTE + 1) * MINUTE
            self._minutes.append(delay)
        else:
            self._minutes[-1] = delay
        self._minute_min = delay
        self.floor = min(self._minutes)

    def percentiles(self) -> tuple[float, float] | None:
        """(p50, p99) of the last excess delays in ms; None before the first."""
        if not self._count:
            return None
        seen = sorted(self._ring[: min(self._count, RING)])
        return seen[len(seen) // 2] / 1e6, seen[min(len(seen) - 1, len(seen) * 99 // 100)] / 1e6


def age_limit_ns(wall_bps: float, sigma_bps: float, cap_s: float = MAX_LIMIT_S) -> int:
    """Oldest a leg may be: the time in which a 3-sigma move stays inside the fee wall, 250 ms … 5 s.

    ``sigma_bps`` in bps per sqrt(second); a quote of age A fakes a gap of sigma·sqrt(A) by itself.
    """
    seconds = MAX_LIMIT_S if sigma_bps <= 0.0 else (wall_bps / (3.0 * sigma_bps)) ** 2
    return int(min(max(seconds, MIN_LIMIT_S), cap_s, MAX_LIMIT_S) * NS)


def next_sigma(sigma: float, last_mid: float, mid: float) -> float:
    """Volatility after one more second: exponentially weighted root mean square of 1 s returns, in bps."""
    if last_mid <= 0.0:
        return sigma
    move = (mid / last_mid - 1.0) * 1e4
    return float((_DECAY * sigma * sigma + (1.0 - _DECAY) * move * move) ** 0.5)
