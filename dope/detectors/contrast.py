"""Which of two series moves first, and by how much: the Hayashi-Yoshida contrast over a grid of lags. Pure.

A series is (times, log prices in bps), times int64 ascending in one unit (ms in the product), on one clock; a price that is no number
says that nothing was known from then on. A positive lag means that x leads. The contrast is no correlation: on ticks that carry noise it
exceeds 1 (1.5 was measured), so it is neither cut off nor named so.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np

from dope.market.overlaps import overlap_sums

RELATED_Z = 6.0  #: a peak that stands out less is chance
MIN_CHANGES = 200  #: of each series; fewer say nothing
BLOCKS = 8  #: sub-windows of the interval
BLOCK_CHANGES = 20  #: of each series in a block that may vote
FAR_STEPS = 20  #: lags farther from the peak than so many steps, and than ``Grid.far``, are its background
TOP = 0.95  #: of the peak: what belongs to its top
BOUNCE = 1e-9  #: relative; lags whose contrasts differ by less are equally good

Series = tuple[np.ndarray, np.ndarray]


class Grid(msgspec.Struct, frozen=True):
    """Lags from −``reach`` to ``reach`` in steps of ``step``, in the series' unit; ``around`` more on both sides are background only."""

    reach: int
    step: int
    around: int = 0
    far: int = 500  #: lags farther from the peak are its background

    @property
    def first(self) -> int:
        return -self.reach - self.around

    @property
    def count(self) -> int:
        return 2 * (self.reach + self.around) // self.step + 1

    def lags(self) -> np.ndarray:
        """All of them, background included."""
        return self.first + self.step * np.arange(self.count)

    def searched(self) -> np.ndarray:
        """Which of them may be the peak."""
        found: np.ndarray = np.abs(self.lags()) <= self.reach
        return found


class Finding(msgspec.Struct, frozen=True):
    """What the contrast of two series says. Lags in the series' unit, positive = x leads; ``None`` = cannot be told."""

    n_x: int  #: changes
    n_y: int
    lag: int | None = None
    rho: float | None = None  #: contrast at the peak; may exceed 1
    rho0: float | None = None  #: at lag 0
    llr: float | None = None  #: sum of rho² over lags > 0, divided by that over lags < 0: above 1 x leads
    z: float | None = None  #: how far the peak stands out of the lags far from it, in robust standard deviations
    top: tuple[tuple[int, int], ...] = ()  #: runs of lags with at least 95 % of the peak
    blocks: tuple[int, ...] = ()  #: the lag of each sub-window
    low: float | None = None  #: quartiles and median of ``blocks``
    middle: float | None = None
    high: float | None = None

    @property
    def enough(self) -> bool:
        """Whether both series changed often enough to say anything."""
        return min(self.n_x, self.n_y) >= MIN_CHANGES and self.rho is not None

    @property
    def related(self) -> bool:
        """Whether the peak is more than chance."""
        return self.enough and self.z is not None and self.z >= RELATED_Z


def verdict(found: Finding, least: float) -> tuple[str, str]:
    """What may be said of it, and why: "leads", "not resolved", "not related" or "too few"; ``least`` = smallest lag that can be told."""
    if not found.enough:
        return "too few", f"n = {min(found.n_x, found.n_y)}, needs {MIN_CHANGES}"
    if not found.related:
        return "not related", f"z = {found.z:.1f}, needs {RELATED_Z:g}" if found.z is not None else "no background to compare with"
    if abs(found.lag or 0) < least or not found.lag:
        return "not resolved", f"|lag| below {least:g}: as large as the delays of messages, or the steps of the stamps"
    return "leads", ""


# -- series ----------------------------------------------------------------------------------------------------------
def log_bps(prices: np.ndarray) -> np.ndarray:
    """ln(price)·1e4; not a number where there is no price."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(prices > 0.0, np.log(prices) * 1e4, np.nan)
    return found


def last_per_time(times: np.ndarray, values: np.ndarray) -> Series:
    """Of equal times the last value; times that fall (a venue's own stamps may) are put in order."""
    if len(times) and np.any(times[1:] < times[:-1]):
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    keep = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[keep], values[keep]


def changes_only(times: np.ndarray, values: np.ndarray) -> Series:
    """Without values that repeat the one before."""
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    keep = np.insert(~same, 0, True)[: len(times)]
    return times[keep], values[keep]


def observed(times: np.ndarray, prices: np.ndarray) -> Series:
    """An observation series: log prices, last value per time, then changes only."""
    return changes_only(*last_per_time(times, log_bps(prices)))


def common_span(x: Series, y: Series) -> tuple[Series, Series]:
    """Both, cut to the time in which both were observed."""
    if not len(x[0]) or not len(y[0]):
        return (x[0][:0], x[1][:0]), (y[0][:0], y[1][:0])
    begin, end = max(x[0][0], y[0][0]), min(x[0][-1], y[0][-1])
    return _cut(x, begin, end), _cut(y, begin, end)


def _cut(series: Series, begin: int, end: int) -> Series:
    """Observations from ``begin`` to ``end``, ends included."""
    a, b = np.searchsorted(series[0], begin), np.searchsorted(series[0], end, side="right")
    return series[0][a:b], series[1][a:b]


def steps(values: np.ndarray) -> np.ndarray:
    """The change that ends at each observation; 0 for the first, and where a price was unknown at either end."""
    return np.nan_to_num(np.diff(values, prepend=values[:1]), nan=0.0)


# -- the contrast ----------------------------------------------------------------------------------------------------
def sums(x: Series, y: Series, grid: Grid) -> np.ndarray:
    """U(lag) for all lags of the grid."""
    found: np.ndarray = overlap_sums(
        np.ascontiguousarray(x[0], dtype=np.int64), steps(x[1]), np.ascontiguousarray(y[0], dtype=np.int64), steps(y[1]),
        grid.first, grid.step, grid.count,
    )  # fmt: skip
    return found


def curve(x: Series, y: Series, grid: Grid) -> np.ndarray | None:
    """rho(lag) = U(lag)/sqrt(RVx·RVy); None when either series never moved."""
    size = math.sqrt(float(np.sum(steps(x[1]) ** 2)) * float(np.sum(steps(y[1]) ** 2)))
    return sums(x, y, grid) / size if size > 0.0 else None


def contrast(x: Series, y: Series, grid: Grid, *, blocks: int = BLOCKS) -> Finding:
    """Peak, its standing, its top, and the interval from ``blocks`` sub-windows. Both series cover one span."""
    n_x, n_y = moves(x), moves(y)
    rho = curve(x, y, grid)
    if rho is None:
        return Finding(n_x, n_y)
    lags, searched = grid.lags(), grid.searched()
    at = peak(rho, searched)
    ahead, behind = float(np.sum(rho[searched & (lags > 0)] ** 2)), float(np.sum(rho[searched & (lags < 0)] ** 2))
    voted = _blocks(x, y, Grid(grid.reach, grid.step), blocks)
    low, middle, high = (float(q) for q in np.percentile(voted, (25, 50, 75))) if len(voted) > 1 else (None, None, None)
    return Finding(
        n_x, n_y, lag=int(lags[at]), rho=float(rho[at]), rho0=float(rho[np.argmin(np.abs(lags))]),
        llr=ahead / behind if behind > 0.0 else None, z=_standing(rho, lags, at, grid), top=_top(rho, lags, searched, at),
        blocks=tuple(voted), low=low, middle=middle, high=high,
    )  # fmt: skip


def moves(series: Series) -> int:
    """How often the series took another value."""
    return int(np.count_nonzero(~np.isnan(series[1])))


def peak(rho: np.ndarray, searched: np.ndarray) -> int:
    """Where |rho| is largest; of equally good lags the first."""
    size = np.where(searched, np.abs(rho), -1.0)
    return int(np.argmax(size >= size.max() * (1.0 - BOUNCE)))


def _standing(rho: np.ndarray, lags: np.ndarray, at: int, grid: Grid) -> float | None:
    """|peak − median| in robust standard deviations of the lags far from it; None when there are too few."""
    far = rho[np.abs(lags - lags[at]) > max(grid.far, FAR_STEPS * grid.step)]
    if len(far) < FAR_STEPS:
        return None
    median = float(np.median(far))
    spread = 1.4826 * float(np.median(np.abs(far - median)))
    return abs(float(rho[at]) - median) / spread if spread > 0.0 else None


def _top(rho: np.ndarray, lags: np.ndarray, searched: np.ndarray, at: int) -> tuple[tuple[int, int], ...]:
    """Runs of neighbouring lags whose contrast reaches 95 % of the peak, of its sign."""
    high = searched & (rho * math.copysign(1.0, rho[at]) >= TOP * abs(rho[at]))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], high.astype(np.int8), [0]))))
    return tuple((int(lags[a]), int(lags[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _blocks(x: Series, y: Series, grid: Grid, count: int) -> list[int]:
    """The lag of each of ``count`` equal parts of the span in which both moved often enough."""
    if not len(x[0]) or not len(y[0]):
        return []
    edges = np.linspace(min(x[0][0], y[0][0]), max(x[0][-1], y[0][-1]) + 1, count + 1).astype(np.int64)
    voted = []
    for begin, end in pairwise(edges):
        part_x, part_y = _cut(x, begin, end - 1), _cut(y, begin, end - 1)
        if min(moves(part_x), moves(part_y)) < BLOCK_CHANGES or (rho := curve(part_x, part_y, grid)) is None:
            continue
        voted.append(int(grid.lags()[peak(rho, grid.searched())]))
    return voted
