"""What a pair of venues did over a recorded time, reckoned from its gross difference at the end of each second. Pure.

``mid`` is the mid spread, how much dearer the selling venue is: (ln(1 + gross) − ln(1 + gross the other way)) / 2 in bps, which is
the difference of the two geometric mids. ``z`` is that mid spread less its mean over the range, in standard deviations of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

NS = 1_000_000_000
MS = 1_000_000
BPS = 1e4
MAX_POINTS = 600  #: of a line
BINS = 32  #: of a distribution
AWAY = 2.0  #: standard deviations from which a mid spread is away from its mean
HOLE_S = 60  #: what was away before a hole of so many s is forgotten
ENOUGH_S = 600  #: seconds below which nothing is said of a day

Ints = np.ndarray
Floats = np.ndarray


class Seconds(NamedTuple):
    """Seconds (their number since 1970) with a value each, in order; ``mid`` is NaN where the other way has no price."""

    second: Ints
    gross: Floats
    mid: Floats


def seconds(there: tuple[Ints, Floats], back: tuple[Ints, Floats]) -> Seconds:
    """From (beginning of the second in ns, gross in bps) of buying here and selling there, and the other way round."""
    at, gross = there[0] // NS, there[1]
    mid = np.full(len(at), np.nan)
    _, mine, other = np.intersect1d(at, back[0] // NS, assume_unique=True, return_indices=True)
    mid[mine] = (np.log1p(gross[mine] / BPS) - np.log1p(back[1][other] / BPS)) / 2.0 * BPS
    return Seconds(at, gross, mid)


def summary(values: Floats) -> dict[str, float | int | None]:
    """Count, mean, standard deviation, extremes and quantiles; all None of no value."""
    known = values[~np.isnan(values)]
    names = ("mean", "sd", "low", "p5", "p50", "p95", "high")
    if not len(known):
        return {"n": 0, **dict.fromkeys(names)}
    cuts = np.quantile(known, (0.0, 0.05, 0.5, 0.95, 1.0)).tolist()
    return {"n": len(known), **dict(zip(names, (float(known.mean()), float(known.std()), *cuts), strict=True))}


def points(of: Seconds, start: int, end: int) -> tuple[int, list[dict[str, Any]]]:
    """(s that a point spans, points) over [start, end) ns: at most ``MAX_POINTS``; a time without data has none."""
    width = max(1, -(-(end - start) // ((MAX_POINTS - 1) * NS)))
    if not len(of.second):
        return width, []
    bucket = of.second // width  # of the clock, so that the same time always falls into the same point
    first = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
    last = np.append(first[1:], len(bucket)) - 1
    low, high = np.minimum.reduceat(of.gross, first), np.maximum.reduceat(of.gross, first)
    middle = summary(of.mid)
    rows = []
    for k, at in enumerate(bucket[first].tolist()):
        mid = float(of.mid[last[k]])
        spread = None if np.isnan(mid) else mid
        rows.append({
            "t": at * width * 1000, "gross": float(of.gross[last[k]]), "low": float(low[k]), "high": float(high[k]),
            "mid": spread, "z": z_of(spread, middle),
        })  # fmt: skip
    return width, rows


def z_of(mid: float | None, middle: dict[str, Any]) -> float | None:
    """How far from its mean, in standard deviations; None where either is not known or nothing ever moved."""
    return None if mid is None or not middle["sd"] else (mid - middle["mean"]) / middle["sd"]


def distribution(gross: Floats) -> list[dict[str, float | int]]:
    """Equal bins from the lowest to the highest value, with the seconds in each; what lies beyond 1 % is in the outer ones."""
    if not len(gross):
        return []
    low, high = np.quantile(gross, (0.01, 0.99))
    edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.05, low + 0.05])
    counts, _ = np.histogram(np.clip(gross, edges[0], edges[-1]), edges)
    return [{"low": float(a), "high": float(b), "n": int(n)} for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]


def lives(of: Seconds, wall_bps: float, end: int) -> dict[str, Any]:
    """Runs of seconds without a hole in which gross was at or above the wall; one that reaches ``end`` (ns) goes on."""
    none = {"n": 0, "seconds": 0, "median_s": None, "p90_s": None, "longest_s": None, "goes_on": False}
    paying = of.second[of.gross >= wall_bps]
    if not len(paying):
        return none
    starts = np.flatnonzero(np.append(True, np.diff(paying) != 1))
    lengths = np.diff(np.append(starts, len(paying)))
    middle, ninth = np.quantile(lengths, (0.5, 0.9)).tolist()
    goes_on = bool(paying[-1] == of.second[-1] and paying[-1] >= end // NS - 2)
    return {
        "n": len(lengths), "seconds": len(paying), "median_s": middle, "p90_s": ninth, "longest_s": int(lengths.max()), "goes_on": goes_on,
    }  # fmt: skip


def convergences(of: Seconds) -> dict[str, Any]:
    """How often the mid spread, once ``AWAY`` from its mean, came back to it; ``per_day`` None below ``ENOUGH_S`` seconds of data."""
    middle = summary(of.mid)
    known = ~np.isnan(of.mid)
    count, side, before = 0, 0.0, 0
    if middle["sd"]:
        scores = (of.mid[known] - middle["mean"]) / middle["sd"]
        for second, z in zip(of.second[known].tolist(), scores.tolist(), strict=True):
            if second - before > HOLE_S:
                side = 0.0
            before = second
            if side and z * side <= 0.0:
                count, side = count + 1, 0.0
            if abs(z) >= AWAY:
                side = 1.0 if z > 0.0 else -1.0
    watched = int(known.sum())
    return {"n": count, "seconds": watched, "per_day": count / watched * 86_400.0 if watched >= ENOUGH_S else None}
