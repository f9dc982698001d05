"""What flows into the touch and what the touch says of the next price: order-flow imbalance, weighted mid, VPIN, Kyle's lambda.

Pure functions over columns. Sources: Cont, Kukanov & Stoikov (2014) for the imbalance of order flow; Easley, López de Prado
& O'Hara (2012) for VPIN; Kyle (1985), estimated by least squares. While the market runs the sum of the order flow is kept by
the compiled code of ``dope/market/lane.py`` (``Slots.flow``), event by event, with the same formula.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Line(NamedTuple):
    """A least-squares line of y on x: ``slope`` in units of y per unit of x, ``r2`` the share of variance it explains."""

    slope: float
    r2: float
    n: int


class Vpin(NamedTuple):
    """``value`` 0 … 1: mean |bought − sold| / bucket volume over the last n full buckets; None until there are as many."""

    value: float | None
    imbalances: Floats  #: |bought − sold| of each full bucket, base units, oldest first


def flow_events(bid: Floats, bid_size: Floats, ask: Floats, ask_size: Floats) -> Floats:
    """What each change of the touch added to the bid side or took from the ask side, base units; one fewer than touches.

    A touch that is not a number on any side takes part in no event.
    """
    up, down = bid[1:] >= bid[:-1], bid[1:] <= bid[:-1]
    fell, rose = ask[1:] <= ask[:-1], ask[1:] >= ask[:-1]
    bids = np.where(up, bid_size[1:], 0.0) - np.where(down, bid_size[:-1], 0.0)
    asks = np.where(rose, ask_size[:-1], 0.0) - np.where(fell, ask_size[1:], 0.0)
    unknown = np.isnan(bid) | np.isnan(ask)
    return np.where(unknown[1:] | unknown[:-1], 0.0, bids + asks)


def weighted_mid(bid: Floats, bid_size: Floats, ask: Floats, ask_size: Floats) -> Floats:
    """The mid weighted by the size of the other side: nearer to the side that is about to give way. Not a number without sizes."""
    total = bid_size + ask_size
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(total > 0.0, (bid * ask_size + ask * bid_size) / total, np.nan)
    return found


def imbalance(bid_size: Floats, ask_size: Floats) -> Floats:
    """(bid − ask) / (bid + ask) of sizes, −1 … 1; not a number where there is nothing."""
    total = bid_size + ask_size
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(total > 0.0, (bid_size - ask_size) / total, np.nan)
    return found


def vpin(size: Floats, sign: Floats, bucket: float, n: int) -> Vpin:
    """Trades (base size; +1 bought, −1 sold) cut into buckets of equal volume; a trade that reaches over an edge is split there.

    A bucket that is not full yet does not count.
    """
    edges = np.cumsum(size)
    full = int(np.floor(edges[-1] / bucket + 1e-12)) if len(size) else 0
    if full == 0:
        return Vpin(None, np.zeros(0))
    bought = np.concatenate([[0.0], np.cumsum(np.where(sign > 0, size, 0.0))])
    at = np.minimum(np.arange(full + 1) * bucket, edges[-1])
    by_edge = np.interp(at, np.concatenate([[0.0], edges]), bought)
    imbalances = np.abs(2.0 * np.diff(by_edge) - bucket)
    return Vpin(float(np.mean(imbalances[-n:])) / bucket if full >= n else None, imbalances)


def line_of(x: Floats, y: Floats) -> Line | None:
    """Least squares with an intercept; None with fewer than three points or where x or y never changes."""
    if len(x) < 3:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if xx <= 0.0 or yy <= 0.0:
        return None
    return Line(xy / xx, xy * xy / (xx * yy), len(x))


def kyle(mid_change: Floats, signed_volume: Floats) -> Line | None:
    """Kyle's lambda: how far the mid moves (quote currency) per base unit bought more than sold, over equal spans of time."""
    return line_of(signed_volume, mid_change)


def on_grid(times: Ints, values: Floats, grid: Ints) -> Floats:
    """The value in force at each time of a grid (that of the last observation at or before it); not a number before the first."""
    at = np.searchsorted(times, grid, side="right") - 1
    return np.where(at < 0, np.nan, values[np.maximum(at, 0)])
