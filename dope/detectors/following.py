"""Whether trading the follower pays: what its price did after jumps of a leader, at executable prices and after its own fees. Pure.

Definition: at a jump of the leader, ``after`` ms later, the follower is taken in the direction of the jump (bought at its ask, or sold at
its bid) and given up again ``hold`` ms after the jump at the other side. Moves are those of the mid in between, in the direction of
the jump; what is paid is the spread, half of it at either end, and both taker fees. The mean has a 95 % interval by Student's t. It
pays if all of that interval lies above 0 and there are at least ``FEWEST`` jumps; jumps so close that they overlap count once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from scipy.special import stdtrit

from dope.detectors.discovery import on_grid

FEWEST = 20  #: jumps below which nothing is said
BPS = 1e4

Moment = tuple[int, int]  #: when a jump was seen, ns; +1 up, −1 down


class Quotes(NamedTuple):
    """Best prices of one market: ``times`` ns ascending, ``bid`` and ``ask`` from then on, not a number = none."""

    times: np.ndarray
    bid: np.ndarray
    ask: np.ndarray


class Mean(Struct, frozen=True):
    """A mean with its 95 % interval, which is not known of fewer than two values."""

    value: float
    low: float | None
    high: float | None


class Following(Struct, frozen=True):
    """Trading one follower at the jumps of one leader: bps of what is traded, per jump. None = no jump with known prices.

    ``move`` = of the mid, ``spread`` and ``fees`` are paid, ``net`` = what is left. ``verdict``: "pays" | "no" | "few".
    """

    n: int
    move: Mean | None
    spread: float | None
    fees: float
    net: Mean | None
    verdict: Literal["pays", "no", "few"]


def spaced(jumps: Sequence[Moment], hold: int) -> list[Moment]:
    """Those that do not begin before the one before has been given up; ``hold`` ns."""
    found: list[Moment] = []
    for when, way in sorted(jumps):
        if not found or when - found[-1][0] >= hold:
            found.append((when, way))
    return found


def mean(values: np.ndarray) -> Mean | None:
    """Mean and its interval; None of no value."""
    n = len(values)
    if not n:
        return None
    middle = float(values.mean())
    if n < 2:
        return Mean(middle, None, None)
    half = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Mean(middle, middle - half, middle + half)


def round_trip_bps(fee: float, in_base: bool) -> float:
    """Buying and selling again at one venue, as a share of what is bought; a fee in base makes what arrives less."""
    return ((1.0 + (fee / (1.0 - fee) if in_base else fee)) / (1.0 - fee) - 1.0) * BPS


def following(quotes: Quotes, jumps: Sequence[Moment], *, after: int, hold: int, fees: float) -> Following:
    """What became of following these jumps; ``after`` and ``hold`` ns, ``fees`` bps of a round trip."""
    apart = spaced(jumps, hold)
    times, way = np.array([t for t, _ in apart], dtype=np.int64), np.array([way for _, way in apart], dtype=np.float64)
    bid, ask = ([on_grid(quotes.times, side, times + wait) for wait in (after, hold)] for side in (quotes.bid, quotes.ask))
    with np.errstate(invalid="ignore"):
        mids = [(b + a) / 2.0 for b, a in zip(bid, ask, strict=True)]
        halves = [(a - b) / (b + a) for b, a in zip(bid, ask, strict=True)]
        known = np.isfinite(mids[0]) & np.isfinite(mids[1])
        moves = (way * (mids[1] / mids[0] - 1.0) * BPS)[known]
        paid = ((halves[0] + halves[1]) * BPS)[known]
    net = mean(moves - paid - fees)
    pays = net is not None and net.low is not None and net.low > 0.0
    verdict: Literal["pays", "no", "few"] = "few" if len(moves) < FEWEST else "pays" if pays else "no"
    return Following(len(moves), mean(moves), float(paid.mean()) if len(paid) else None, fees, net, verdict)
