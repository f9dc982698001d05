"""What all markets did on average around the jumps of any of them: the picture of who moves first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dope.detectors.contrast import Series
from dope.detectors.discovery import on_grid

REACH_MS, STEP_MS = 2000, 50
BEFORE_MS = 1000  #: the price that moves are counted from is that of so long before the jump was seen


class Path(NamedTuple):
    """Average move in the direction of the jumps, bps, at each offset; ``n`` = jumps around which the market's price was known."""

    bps: list[float | None]
    n: int


def offsets() -> np.ndarray:
    """Times around a jump, ms."""
    return np.arange(-REACH_MS, REACH_MS + 1, STEP_MS)


def averages(series: Mapping[str, Series], jumps: Sequence[tuple[int, int]]) -> dict[str, Path]:
    """For each market the average path around ``jumps``: (when one was first seen, ms; +1 up, −1 down)."""
    return {key: _average(one, jumps) for key, one in series.items()}


def _average(one: Series, jumps: Sequence[tuple[int, int]]) -> Path:
    at, total = offsets(), np.zeros(len(offsets()))
    n, zero = 0, int(np.searchsorted(offsets(), -BEFORE_MS))
    for when, direction in jumps:
        path = on_grid(one[0], one[1], when + at)
        if np.isfinite(path).all():
            total += (path - path[zero]) * direction
            n += 1
    return Path([float(value) / n for value in total] if n else [None] * len(at), n)


def apart(jumps: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first of each cluster: jumps of the same direction within reach of the one before are the same move at other markets."""
    found: list[tuple[int, int]] = []
    for when, direction in sorted(jumps):
        if not found or when - found[-1][0] > REACH_MS:
            found.append((when, direction))
    return found
