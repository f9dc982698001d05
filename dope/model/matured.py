"""How predictions turned out, of all pairs: what their live scores and bands are made of. Everything is kept as it is needed, because it
is asked for every second and there are hundreds of pairs.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dope.model.evaluation import BAND_ALPHA, BAND_RESIDUALS, conformal_rank

SCORES_LEAST = 30  #: matured predictions before a live skill is shown


class Scores:
    """The newest ``BAND_RESIDUALS`` matured predictions of each of ``pairs`` (numbered from 0): errors of the model and of "no change"."""

    def __init__(self, pairs: int) -> None:
        self._errors = np.full((pairs, BAND_RESIDUALS, 2), 0.0)
        self._inside = np.full((pairs, BAND_RESIDUALS), -1, dtype=np.int8)  # −1 = there was no band
        self._count = [0] * pairs

    def add(self, pair: int, error: float, naive: float, inside: bool | None) -> None:
        """One more: its error, that of "no change", and whether what came lay in the band, None = there was none."""
        at = self._count[pair] % BAND_RESIDUALS
        self._errors[pair, at] = error, naive
        self._inside[pair, at] = -1 if inside is None else inside
        self._count[pair] += 1

    def of(self, pair: int) -> npt.NDArray[np.float64]:
        """(n, 2) errors of a pair, the model's and those of "no change", bps, oldest first."""
        count = self._count[pair]
        found: npt.NDArray[np.float64] = self._errors[pair, np.arange(max(0, count - BAND_RESIDUALS), count) % BAND_RESIDUALS]
        return found

    def told(self) -> dict[str, Any]:
        """{n, rmse, rmse_persistence, skill, coverage} of all; None while n is small."""
        n = sum(min(count, BAND_RESIDUALS) for count in self._count)
        if n < SCORES_LEAST:
            return {"n": n, "rmse": None, "rmse_persistence": None, "skill": None, "coverage": None}
        model, naive = (float(each) / n for each in np.square(self._errors).sum(axis=(0, 1)))
        banded = int((self._inside >= 0).sum())
        return {
            "n": n,
            "rmse": math.sqrt(model),
            "rmse_persistence": math.sqrt(naive),
            "skill": 1 - model / naive if naive > 0 else None,
            "coverage": int((self._inside > 0).sum()) / banded if banded else None,
        }


class Residuals:
    """The newest ``BAND_RESIDUALS`` errors of a pair by one model, bps: how wide its band is."""

    __slots__ = ("_ordered", "_sizes")

    def __init__(self, errors: Iterable[float] = ()) -> None:
        self._sizes = deque((abs(error) for error in errors), maxlen=BAND_RESIDUALS)
        self._ordered = sorted(self._sizes)

    def append(self, error: float) -> None:
        """One more; the oldest goes when there are enough."""
        if len(self._sizes) == BAND_RESIDUALS:
            del self._ordered[bisect_left(self._ordered, self._sizes[0])]
        self._sizes.append(abs(error))
        insort(self._ordered, abs(error))

    def half_width(self) -> float:
        """Of the band, bps, as ``conformal_quantile``; infinite while there are too few."""
        rank = conformal_rank(len(self._ordered), BAND_ALPHA)
        return self._ordered[rank - 1] if rank <= len(self._ordered) else math.inf
