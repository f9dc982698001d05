"""Jumps and bursts as their definitions read, slowly: lists that are walked anew for each observation, nothing kept up to date."""

from __future__ import annotations

import itertools
import math
from typing import Any

MS = 1_000_000
Row = dict[str, Any]


class PlainJumps:
    """One series of mids (ns, price); a mid stands until the next one."""

    def __init__(self, p: Any) -> None:
        self.p = p
        self.window, self.grid, self.settle, self.longest = (int(ms * MS) for ms in (p.window_ms, p.grid_ms, p.settle_ms, p.max_ms))
        self.prices: list[tuple[int, float]] = []  # (until when it stood, ln in bps), of the present search
        self.ends: list[float] = []  # where each closed cell ended, the first price before them
        self.cell = -1
        self.found: list[Row] = []
        self.open: Row | None = None

    def sigma(self) -> tuple[float, int]:
        """(per cell, number of products) from all moves so far."""
        p, bv, n, sigma = self.p, 0.0, 0, self.p.floor_bps
        rate = 1.0 - 0.5 ** (p.grid_ms / p.halflife_ms)
        moves = [abs(b - a) for a, b in zip(self.ends, self.ends[1:], strict=False)]
        for a, b in itertools.pairwise(moves):
            x = a * b if n < p.warmup else min(a * b, (p.cap * sigma) ** 2)
            n += 1
            bv += max(rate, 1.0 / n) * (x - bv)
            sigma = max(math.sqrt(bv * math.pi / 2.0), p.floor_bps)
        return sigma, n

    def clock(self, now: int) -> None:
        if self.open is not None and (now - self.open["t_peak"] >= self.settle or now - self.open["t_detect"] >= self.longest):
            self.found.append({**self.open, "t_final": now})
            self.prices, self.open = [(now, self.last)], None

    def leave(self, t: int) -> None:
        """The book is no longer right."""
        if self.open is not None:
            self.found.append({**self.open, "t_final": t})
        self.prices, self.open, self.cell = [], None, -1

    def price(self, t: int, price: float) -> None:
        value = math.log(price) * 1e4
        if self.open is not None:
            self.clock(t)
            if self.open is None:
                self.prices = []
        cell = t // self.grid
        if self.cell < 0:
            assert not self.ends, "these tests leave a book once, at the end"
            self.ends, self.cell = [value], cell
        while self.cell < cell:
            self.ends.append(self.last)
            self.cell += 1
        self.last = value
        if self.open is not None:
            if self.open["dir"] * (value - self.open["from"]) > self.open["bps"]:
                self.open["bps"], self.open["t_peak"] = self.open["dir"] * (value - self.open["from"]), t
            return
        if self.prices:
            self.prices[-1] = t, self.prices[-1][1]
        self.prices = [(until, old) for until, old in [*self.prices, (t, value)] if until > t - self.window]
        self._judge(t, value)

    def _judge(self, t: int, value: float) -> None:
        sigma, n = self.sigma()
        scale = sigma * math.sqrt(self.window / self.grid)
        low, high = min(old for _, old in self.prices), max(old for _, old in self.prices)
        size, threshold = max(value - low, high - value), max(self.p.min_bps, self.p.k_sigma * scale)
        if size >= threshold and n >= self.p.warmup:
            start = low if value - low >= high - value else high
            self.open = {
                "t_start": max(until for until, old in self.prices if old == start), "t_detect": t, "t_peak": t,
                "dir": 1 if start == low else -1, "bps": size, "z": size / scale, "threshold": threshold, "from": start,
            }  # fmt: skip


def plain_bursts(trades: list[tuple[int, float, int]], p: Any, until: int) -> list[Row]:
    """Bursts of (ns, size, sign), all buckets that end before ``until``; all of them are over."""
    width = int(p.bucket_ms * MS)
    first, stop = trades[0][0] // width, until // width
    found: list[Row] = []
    for side, sign in (("buy", 1), ("sell", -1)):
        volume, count = [0.0] * (stop - first), [0] * (stop - first)
        for t, size, way in trades:
            if way == sign and t // width < stop:
                volume[t // width - first] += size
                count[t // width - first] += 1
        found += _side(side, first, volume, count, p)
    return sorted(found, key=lambda one: (one["start"], one["side"]))


def _side(side: str, first: int, volume: list[float], count: list[int], p: Any) -> list[Row]:
    width, span = int(p.bucket_ms * MS), int(p.span)
    mean = variance = average = 0.0
    found: list[Row] = []
    for n in range(len(volume)):
        v, trades = sum(volume[max(0, n - span + 1) : n + 1]), sum(count[max(0, n - span + 1) : n + 1])
        x = math.log1p(v / average) if average > 0.0 else 0.0
        deviation = max(math.sqrt(variance), p.sd_floor)
        z = (x - mean) / deviation
        if n >= p.warmup:
            if z >= p.z and trades >= p.min_trades:
                start = (first + n) * width
                if found and start - found[-1]["end"] <= p.merge_ms * MS:
                    found[-1] |= {"end": start, "peak_z": max(found[-1]["peak_z"], z), "buckets": found[-1]["buckets"] + 1}
                else:
                    found.append({"side": side, "start": start, "end": start, "peak_z": z, "buckets": 1})
            cut = min(max(x, mean - p.clip * deviation), mean + p.clip * deviation)
            if cut != x:
                x, v = cut, average * math.expm1(max(cut, 0.0)) if average > 0.0 else v
        step = max(1.0 - 0.5 ** (1.0 / p.halflife_buckets), 1.0 / (n + 1))
        mean, variance = mean + step * (x - mean), (1.0 - step) * (variance + step * (x - mean) ** 2)
        average += step * (v - average)
    return found
