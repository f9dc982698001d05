"""What a spread has been: its moments, and how often and for how long it went away from its own recent median."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FEWEST = 30  #: samples behind a median
QUANTILES = (0.01, 0.5, 0.99)
LENGTHS = (0.25, 0.5, 0.75, 0.95)


class Moments(NamedTuple):
    """Mean, standard deviation (of these very samples) and the quantiles of ``QUANTILES``, all in the unit of the samples."""

    mean: float
    sd: float
    quantiles: tuple[float, ...]
    n: int


class Excursions(NamedTuple):
    """``n`` times away, for ``share`` of all samples; ``lengths`` = quantiles of ``LENGTHS``, in samples, empty when it never was."""

    n: int
    share: float
    lengths: tuple[float, ...]


def moments(x: npt.ArrayLike) -> Moments | None:
    """Of the samples that are numbers; None without any."""
    samples = np.asarray(x, dtype=np.float64)
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return None
    return Moments(float(samples.mean()), float(samples.std()), tuple(np.quantile(samples, QUANTILES).tolist()), len(samples))


def medians_before(x: npt.ArrayLike, window: int, *, fewest: int = FEWEST) -> np.ndarray:
    """Median of the ``window`` samples before each one, itself not among them; not a number below ``fewest`` numbers."""
    samples = np.asarray(x, dtype=np.float64)
    out = np.full(len(samples), np.nan)
    past: deque[float] = deque()
    ordered: list[float] = []
    for k, value in enumerate(samples.tolist()):
        n = len(ordered)
        if n >= fewest:
            out[k] = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2.0
        past.append(value)
        if value == value:
            insort(ordered, value)
        if len(past) > window and (old := past.popleft()) == old:
            del ordered[bisect_left(ordered, old)]
    return out


def excursions(x: npt.ArrayLike, level: float, window: int, *, fewest: int = FEWEST) -> Excursions:
    """Runs of samples farther than ``level`` from the median of the ``window`` before them; what is no number ends a run."""
    samples = np.asarray(x, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        away = np.abs(samples - medians_before(samples, window, fewest=fewest)) > level
    edges = np.flatnonzero(np.diff(np.concatenate(([0], away.astype(np.int8), [0]))))
    lengths = edges[1::2] - edges[::2]
    told = tuple(np.quantile(lengths, LENGTHS).tolist()) if len(lengths) else ()
    return Excursions(len(lengths), float(away.mean()) if len(away) else 0.0, told)
