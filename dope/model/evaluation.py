"""What a forecast is worth: purged walk-forward, skill against naive forecasts, the Diebold-Mariano test, a verdict.

Everything here takes forecasts made out of sample; nothing in this project shows an in-sample score.
Sources: Diebold & Mariano (1995); Harvey, Leybourne & Newbold (1997) for the small-sample correction; split
conformal bands after Vovk et al.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_SKILL = "no evidence of skill"
P_CLAIM = 0.05  #: one-sided level of the test that a claim needs
BLOCKS_CLAIM = 30  #: independent blocks (n / horizon) that a claim needs
BAND_ALPHA = 0.1  #: a 90 % band
BAND_RESIDUALS = 500  #: newest matured residuals a band is taken from


@dataclass(frozen=True)
class Fold:
    """One step of a walk-forward: row numbers to learn from, and the later ones to predict."""

    train: Ints
    test: Ints


def walk_forward(
    t: Ints, label_t: Ints, *, blocks: int | None = None, block_steps: int = 0, first_steps: int, window_steps: int = 0
) -> Iterator[Fold]:
    """Cut rows (sorted by ``t``) into successive test blocks, each with the past it may learn from.

    Steps are distinct times. The first ``first_steps`` are never predicted; the rest is cut into ``blocks`` equal
    blocks, or into blocks of ``block_steps``. Purge: a row may be learned from iff its label time is not after the
    first prediction time of the block. ``window_steps`` > 0 keeps only that many newest steps before the block.
    """
    times = np.unique(t)
    if len(times) <= first_steps:
        return
    if blocks is None:
        edges = [*range(first_steps, len(times), block_steps), len(times)]
    else:
        edges = [first_steps + (len(times) - first_steps) * k // blocks for k in range(blocks + 1)]
    for low, high in itertools.pairwise(edges):
        if high == low:
            continue
        begin, end = np.searchsorted(t, [times[low], times[high - 1] + 1])
        start = int(np.searchsorted(t, times[max(0, low - window_steps)])) if window_steps else 0
        past = np.arange(start, begin)
        yield Fold(train=past[label_t[past] <= times[low]], test=np.arange(begin, end))


@dataclass(frozen=True)
class DieboldMariano:
    """Test of equal squared loss. Positive ``hln`` favours the second forecast; ``p`` is one-sided for that claim.

    ``dm`` and ``hln`` and ``p`` are None where the losses do not differ at all, or n is too small for the horizon.
    """

    n: int
    lag_window: int
    mean_loss_diff: float
    dm: float | None
    hln: float | None
    p: float | None


def diebold_mariano(loss_base: Floats, loss_model: Floats, horizon: int) -> DieboldMariano:
    """Compare two series of losses in time order, one value per step; ``horizon`` in steps.

    Long-run variance with Bartlett weights 1 − k/(L+1), L = max(horizon, ceil(n^(1/3))); Student t with n − 1 degrees.
    """
    n = len(loss_base)
    window = max(horizon, math.ceil(round(n ** (1 / 3), 9)))
    diff = loss_base - loss_model
    mean = float(diff.mean()) if n else 0.0
    factor = n + 1 - 2 * horizon + horizon * (horizon - 1) / n if n else 0.0
    variance = _bartlett_variance(diff - mean, window) if n > window else 0.0
    if factor <= 0 or not variance > 1e-30 * (1.0 + mean * mean):
        return DieboldMariano(n=n, lag_window=window, mean_loss_diff=mean, dm=None, hln=None, p=None)
    dm = mean / math.sqrt(variance / n)
    hln = dm * math.sqrt(factor / n)
    return DieboldMariano(n=n, lag_window=window, mean_loss_diff=mean, dm=dm, hln=hln, p=float(stdtr(n - 1, -hln)))


def _bartlett_variance(centred: Floats, window: int) -> float:
    total = float(centred @ centred)
    for k in range(1, window + 1):
        total += 2 * (1 - k / (window + 1)) * float(centred[k:] @ centred[:-k])
    return total / len(centred)


@dataclass(frozen=True)
class Errors:
    """Forecasts of one model out of sample, beside those of the two yardsticks; all (n,), in bps, sorted by ``t``.

    Each is a predicted change of the spread; ``y`` is the change that came. Persistence predicts 0.
    """

    t: Ints
    y: Floats
    model: Floats
    mean: Floats

    def per_step(self, predicted: Floats) -> Floats:
        """Squared error, averaged over the pairs of each step: pairs of one second are one observation."""
        _, step = np.unique(self.t, return_inverse=True)
        return np.bincount(step, weights=(predicted - self.y) ** 2) / np.bincount(step)


@dataclass(frozen=True)
class Score:
    """How one model did on blocks that were not used to choose it. Skills are 1 − MSE / MSE of the yardstick."""

    model: str
    n: int
    rmse: float
    mae: float
    skill_persistence: float | None
    skill_mean: float | None
    sign_accuracy: float | None
    sign_base: float | None  #: share of the more frequent sign: what always naming it would have reached
    p_value: float | None  #: the larger of the two one-sided p against persistence and against the mean
    dm_persistence: float | None
    dm_mean: float | None
    blocks: float  #: independent blocks: steps / horizon


def score(name: str, errors: Errors, horizon: int) -> Score:
    """Score one model's forecasts; ``horizon`` in steps. Needs at least one row."""
    error = errors.model - errors.y
    zero = np.zeros_like(errors.y)
    mse = float(np.mean(error**2))
    own = errors.per_step(errors.model)
    against = [diebold_mariano(errors.per_step(base), own, horizon) for base in (zero, errors.mean)]
    moved = errors.y != 0
    up = float(np.mean(errors.y[moved] > 0)) if moved.any() else None
    p_values = [test.p for test in against if test.p is not None]
    return Score(
        model=name,
        n=len(error),
        rmse=math.sqrt(mse),
        mae=float(np.mean(np.abs(error))),
        skill_persistence=_skill(mse, errors.y),
        skill_mean=_skill(mse, errors.mean - errors.y),
        sign_accuracy=None if up is None else float(np.mean(np.sign(errors.model[moved]) == np.sign(errors.y[moved]))),
        sign_base=None if up is None else max(up, 1 - up),
        p_value=max(p_values) if len(p_values) == len(against) else None,
        dm_persistence=against[0].hln,
        dm_mean=against[1].hln,
        blocks=against[0].n / horizon,
    )


def _skill(mse: float, yardstick_error: Floats) -> float | None:
    base = float(np.mean(yardstick_error**2))
    return 1 - mse / base if base > 0 else None


def has_skill(result: Score) -> bool:
    """True iff skill may be claimed: better than both yardsticks, p ≤ 0.05 against both, at least 30 blocks."""
    return (
        result.p_value is not None
        and result.p_value <= P_CLAIM
        and result.blocks >= BLOCKS_CLAIM
        and (result.skill_persistence or 0) > 0
        and (result.skill_mean or 0) > 0
    )


def _p(value: float | None) -> str:
    return "p unknown" if value is None else "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def verdict(result: Score) -> str:
    """One sentence for the screen: either a claim with its evidence, or "no evidence of skill" with the reason."""
    if has_skill(result):
        return (
            f"skill {result.skill_persistence:.0%} over persistence and {result.skill_mean:.0%} over the mean, "
            f"out of sample (n = {result.n}, {_p(result.p_value)})"
        )
    if result.model == "persistence":
        return f"{NO_SKILL}: no model did better than “no change”"
    if result.blocks < BLOCKS_CLAIM:
        return f"{NO_SKILL}: {math.floor(result.blocks)} of {BLOCKS_CLAIM} independent blocks"
    if result.p_value is None:
        return f"{NO_SKILL}: its forecasts do not differ from a yardstick's"
    if (result.skill_persistence or 0) <= 0 or (result.skill_mean or 0) <= 0:
        return f"{NO_SKILL}: a naive forecast did as well"
    return f"{NO_SKILL}: {_p(result.p_value)}, claimed only at p ≤ {P_CLAIM}"


def conformal_quantile(residuals: npt.ArrayLike, alpha: float = BAND_ALPHA) -> float:
    """Half-width of the 1 − alpha band: the ceil((n+1)(1−alpha))-th smallest |residual|; infinite if n is too small."""
    ordered = np.sort(np.abs(np.asarray(residuals, dtype=np.float64)))
    k = conformal_rank(len(ordered), alpha)
    return float(ordered[k - 1]) if k <= len(ordered) else math.inf


def conformal_rank(n: int, alpha: float = BAND_ALPHA) -> int:
    """ceil((n+1)(1−alpha)): which of n sizes in rising order bounds the next one with probability 1 − alpha; above n = none does."""
    return math.ceil(round((n + 1) * (1 - alpha), 9))


def brier(probability: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean squared distance of forecast probabilities from what came (1 or 0): 0 = perfect, 0.25 = always one half (Brier, 1950)."""
    distance = np.asarray(probability, dtype=np.float64) - np.asarray(happened, dtype=np.float64)
    return float(np.mean(distance**2))
