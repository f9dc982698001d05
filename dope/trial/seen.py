"""What was published of each market, in time: its mids and trades, and from them what is usual there, by plain sums."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from dope.detectors.bursts import Bursts
from dope.detectors.jumps import MAJORS, Jumps
from dope.sim.exact import Levels
from dope.sim.listings import ListingSpec
from dope.sim.quoting import Fill


class Seen:
    """What was published of each market: its mids and its trades, in time."""

    def __init__(self) -> None:
        self.mid_ms: dict[str, list[int]] = {}
        self.mids: dict[str, list[float]] = {}
        self.trade_ms: dict[tuple[str, str], list[int]] = {}  # (market, side) → when, ms
        self.volumes: dict[tuple[str, str], list[float]] = {}  # and the sum of the lots until then
        self._now = 0.0

    def moved(self, key: str, bids: Levels, asks: Levels) -> None:
        """The published book of this market from now on."""
        self._now = (bids[0][0] + asks[0][0]) / 2.0 if bids and asks else 0.0

    def judge(self, key: str, now_ms: int) -> None:
        """It is so from this instant on."""
        mids = self.mids.setdefault(key, [])
        if self._now and (not mids or mids[-1] != self._now):
            mids.append(self._now)
            self.mid_ms.setdefault(key, []).append(now_ms)

    def traded(self, key: str, fills: Sequence[Fill], now_ms: int) -> None:
        """Trades of one step."""
        for fill in fills:
            side = key, "buy" if fill.buy else "sell"
            volumes = self.volumes.setdefault(side, [])
            volumes.append(fill.lots + (volumes[-1] if volumes else 0.0))
            self.trade_ms.setdefault(side, []).append(now_ms)

    def between(self, key: str, start_ms: int, end_ms: int) -> list[float]:
        """Mids that stood at any time of this span, the one from before it too."""
        times = self.mid_ms.get(key, [])
        return self.mids[key][max(0, bisect_right(times, start_ms) - 1) : bisect_right(times, end_ms)] if times else []

    def volume(self, side: tuple[str, str], start_ms: int, end_ms: int) -> tuple[float, int]:
        """(lots, trades) of a side of a market from then to then."""
        times, sums = self.trade_ms.get(side, []), self.volumes.get(side, [])
        first, last = bisect_left(times, start_ms), bisect_left(times, end_ms)
        before = sums[first - 1] if first else 0.0
        return (sums[last - 1] - before if last > first else 0.0), last - first


class Restless:
    """How far each market's mid usually goes in a cell of time, from products of neighbouring moves; cells of one market in a row."""

    def __init__(self, seen: Seen, jumps: Jumps) -> None:
        self.parameters = jumps.parameters
        self._seen = seen
        self._known: dict[str, tuple[int, list[float]]] = {}  # market → (first cell, sigma when each was over; not a number = unknown)

    def least_bps(self, spec: ListingSpec, at_ms: int) -> float | None:
        """The size from which a move at this instant is a jump; None while too little is known."""
        if spec.key not in self._known:
            self._known[spec.key] = self._learn(spec.key)
        first, sigmas = self._known[spec.key]
        place = min(int(at_ms // self.parameters.grid_ms) - first - 1, len(sigmas) - 1)
        if place < 0 or math.isnan(sigmas[place]):
            return None
        least = self.parameters.min_bps_majors if spec.base in MAJORS else self.parameters.min_bps
        return max(least, self.parameters.k_sigma * sigmas[place] * math.sqrt(self.parameters.window_ms / self.parameters.grid_ms))

    def _learn(self, key: str) -> tuple[int, list[float]]:
        p, times, mids = self.parameters, self._seen.mid_ms.get(key, []), self._seen.mids.get(key, [])
        if not times:
            return 0, []
        first = int(times[0] // p.grid_ms)
        ends = [math.log(mids[0]) * 1e4]
        for cell in range(first, int(times[-1] // p.grid_ms) + 1):
            ends.append(math.log(mids[bisect_left(times, (cell + 1) * p.grid_ms) - 1]) * 1e4)
        rate, bv, sigma, sigmas = 1.0 - 0.5 ** (p.grid_ms / p.halflife_ms), 0.0, p.floor_bps, list[float]()
        moves = [abs(after - before) for before, after in pairwise(ends)]
        for n, move in enumerate(moves):
            if n:
                product = move * moves[n - 1]
                bv += max(rate, 1.0 / n) * ((product if n <= p.warmup else min(product, (p.cap * sigma) ** 2)) - bv)
                sigma = max(math.sqrt(bv * math.pi / 2.0), p.floor_bps)
            sigmas.append(sigma if n >= p.warmup else math.nan)
        return first, sigmas


class Loud:
    """How far what one side of a market traded stands out from what is usual there: the definition of a burst, by plain sums."""

    def __init__(self, seen: Seen, bursts: Bursts) -> None:
        self.parameters = bursts.parameters
        self._seen = seen
        self._known: dict[tuple[str, str], tuple[int, list[float]]] = {}  # (market, side) → (first bucket, z of each; NaN = unknown)

    def greatest(self, side: tuple[str, str], start_ms: float, end_ms: float) -> float:
        """The greatest z of the buckets that end in this span; not above zero while too little is known."""
        if side not in self._known:
            self._known[side] = self._learn(side)
        first, zs = self._known[side]
        bucket = self.parameters.bucket_ms
        places = range(max(0, int(start_ms // bucket) - first), min(len(zs), int(end_ms // bucket) - first))
        return max((zs[place] for place in places if not math.isnan(zs[place])), default=0.0)

    def _learn(self, side: tuple[str, str]) -> tuple[int, list[float]]:
        p, ends = self.parameters, [times[-1] for times in self._seen.trade_ms.values()]
        both = [times[0] for name in ("buy", "sell") if (times := self._seen.trade_ms.get((side[0], name)))]
        if not both:
            return 0, []
        first, last = int(min(both) // p.bucket_ms), int(max(ends) // p.bucket_ms)
        mean = variance = average = 0.0
        found: list[float] = []
        for n, bucket in enumerate(range(first, last + 1)):
            until = (bucket + 1) * p.bucket_ms
            v, trades = self._seen.volume(side, int(until - p.span * p.bucket_ms), int(until))
            x, deviation = math.log1p(v / average) if average else 0.0, max(math.sqrt(variance), p.sd_floor)
            found.append(math.nan if n < p.warmup else (x - mean) / deviation if trades >= p.min_trades else 0.0)
            if n >= p.warmup and not mean - p.clip * deviation <= x <= mean + p.clip * deviation:
                x = min(max(x, mean - p.clip * deviation), mean + p.clip * deviation)
                v = average * math.expm1(max(x, 0.0)) if average else v
            step = max(1.0 - 0.5 ** (1.0 / p.halflife_buckets), 1.0 / (n + 1))
            off = x - mean
            mean, variance, average = mean + step * off, (1.0 - step) * (variance + step * off * off), average + step * (v - average)
        return first, found
