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
VOTES = 4  #: sub-windows that make an interval
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
    def steady(self) -> bool:
        """Whether the middle half of the sub-windows sees the same one ahead: a peak that chance made is another one in each."""
        if self.low is None or self.middle is None or self.high is None or not self.lag:
            return False
        return min(self.low, self.lag) >= 0 < self.middle if self.lag > 0 else max(self.high, self.lag) <= 0 > self.middle

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
    if not found.steady:
        interval = "are too few" if found.low is None else f"say {found.low:g} … {found.high:g}"
        return "not resolved", f"the sub-windows {interval}: they do not agree on who leads"
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
    return _sums(_stepped(x), _stepped(y), grid)


def _stepped(series: Series) -> Series:
    """(times, the change that ends at each): what the sums are made of."""
    return np.ascontiguousarray(series[0], dtype=np.int64), steps(series[1])


def _sums(x: Series, y: Series, grid: Grid) -> np.ndarray:
    found: np.ndarray = overlap_sums(*x, *y, grid.first, grid.step, grid.count)
    return found


def curve(x: Series, y: Series, grid: Grid) -> np.ndarray | None:
    """rho(lag) = U(lag)/sqrt(RVx·RVy); None when either series never moved."""
    return _curve(_stepped(x), _stepped(y), grid)


def _curve(x: Series, y: Series, grid: Grid) -> np.ndarray | None:
    size = math.sqrt(float(np.dot(x[1], x[1])) * float(np.dot(y[1], y[1])))
    return _sums(x, y, grid) / size if size > 0.0 else None


def contrast(x: Series, y: Series, grid: Grid, *, blocks: int = BLOCKS) -> Finding:
    """Peak, its standing, its top, and the interval from ``blocks`` sub-windows. Both series cover one span."""
    n_x, n_y, stepped_x, stepped_y = moves(x), moves(y), _stepped(x), _stepped(y)
    rho = _curve(stepped_x, stepped_y, grid)
    if rho is None:
        return Finding(n_x, n_y)
    lags, searched = grid.lags(), grid.searched()
    at = peak(rho, searched)
    ahead, behind = float(np.sum(rho[searched & (lags > 0)] ** 2)), float(np.sum(rho[searched & (lags < 0)] ** 2))
    voted = _blocks(stepped_x, stepped_y, Grid(grid.reach, grid.step), blocks)
    low, middle, high = _quartiles(voted)
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
    """The lag of each of ``count`` equal parts of the span in which both moved often enough; a change over an edge counts in neither."""
    if not count:
        return []
    begin, end = int(min(x[0][0], y[0][0])), int(max(x[0][-1], y[0][-1])) + 1
    edges = [begin + (end - begin) * number // count for number in range(count + 1)]
    cuts_x, cuts_y = (np.searchsorted(series[0], edges) for series in (x, y))
    voted, everywhere = [], np.ones(grid.count, dtype=bool)
    for (a, b), (c, d) in zip(pairwise(cuts_x), pairwise(cuts_y), strict=True):
        if min(b - a, d - c) < BLOCK_CHANGES:
            continue
        found = _sums((x[0][a:b], x[1][a:b]), (y[0][c:d], y[1][c:d]), grid)
        if np.any(found):
            voted.append(grid.first + grid.step * peak(found, everywhere))
    return voted


def _quartiles(values: list[int]) -> tuple[float, float, float] | tuple[None, None, None]:
    """Lower quartile, median, upper quartile, linear between neighbours; nothing for fewer than ``VOTES``."""
    ordered = sorted(values)
    if len(ordered) < VOTES:
        return None, None, None
    found = []
    for share in (0.25, 0.5, 0.75):
        low = math.floor(at := share * (len(ordered) - 1))
        found.append(ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]))
    return found[0], found[1], found[2]
