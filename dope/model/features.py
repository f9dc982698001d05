"""The features of one comparable pair (a, b), computed step by step: the same object feeds training and serving.

Per leg the ten of the original design (prices in quote currency, volume in base units):

    price           mid                                    price_std_5     sample standard deviation of 5 prices
    price_change    price / previous price − 1             volatility      sample standard deviation of 10 price changes
    price_ma_5      mean of 5 prices                       bid_ask_spread  (ask − bid) / bid
    price_ma_20     mean of 20 prices                      volume_ma       mean of 5 volumes per step
    hour, minute    of the step, UTC

and of the pair, in basis points, from s = 1e4 · (ln mid_a − ln mid_b): s itself, its lags, means and deviation.
A step in which a leg has no LIVE book, or a step that was skipped, starts everything anew: nothing is ever filled in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

STEP_NS = 1_000_000_000  #: default grid: one second
WINDOW = 20  #: clean steps in a row before a row is valid: the longest window
LAGS = (1, 2, 3, 5, 10)
LEG_FEATURES = (
    "price", "price_change", "price_ma_5", "price_ma_20", "price_std_5",
    "volatility", "bid_ask_spread", "volume_ma", "hour", "minute",
)  # fmt: skip
SPREAD_FEATURES = ("spread", *(f"spread_lag_{k}" for k in LAGS), "spread_mean_5", "spread_mean_20", "spread_sd_20")

Leg = tuple[float, float, float, float]  #: (mid, bid, ask, volume in this step) of a LIVE book
Row = npt.NDArray[np.float64]


def feature_names(a: str, b: str) -> tuple[str, ...]:
    """Names of a row's columns, in order: ``{a}_{name}``, ``{b}_{name}``, then the features of the spread."""
    return (*(f"{a}_{name}" for name in LEG_FEATURES), *(f"{b}_{name}" for name in LEG_FEATURES), *SPREAD_FEATURES)


#: Columns as a model sees them: pairs of several venues share one model, so its legs are named by their role.
MODEL_FEATURES = feature_names("a", "b")
SPREAD_COLUMN = MODEL_FEATURES.index("spread")


class MarketFeatures:
    """Rolling features of one market, fed once per grid step; holds its last 20 steps and nothing else."""

    __slots__ = ("_legs", "_step", "_step_ns", "clean", "log", "row")

    def __init__(self, *, step_ns: int = STEP_NS) -> None:
        self.clean = 0  #: steps in a row with a LIVE book
        self.log = 0.0  #: of the newest mid
        self.row: list[float] | None = None  #: its features but the clock, None until there were 20 such steps
        self._step: int | None = None
        self._step_ns = step_ns
        self._legs: deque[Leg] = deque(maxlen=WINDOW)

    def push(self, ts: int, leg: Leg | None) -> None:
        """Take the step that contains ``ts`` (int ns); None = its book was not LIVE.

        Raises ValueError when a step is fed twice or time falls.
        """
        step = ts // self._step_ns
        if self._step is not None and step <= self._step:
            raise ValueError(f"step {step} comes after step {self._step}: each grid step is fed once, in order")
        usable = leg is not None and _usable(leg)
        if not usable or self._step is None or step != self._step + 1:
            self._legs.clear()
            self.clean = 0
        self._step, self.row = step, None
        if usable:
            assert leg is not None
            self._legs.append(leg)
            self.clean += 1
            self.log = math.log(leg[0])
            if len(self._legs) == WINDOW:
                self.row = _leg_row(self._legs)


class PairFeatures:
    """Rolling features of one pair, fed once per grid step; holds the last 20 spreads, and its two markets their last 20 steps.

    ``a`` and ``b`` name the legs' venues; ``legs`` are their markets, which several pairs may share, else it has its own. ``spread``
    is the newest mid spread in bps, None while a leg is not LIVE.
    """

    def __init__(self, a: str, b: str, legs: tuple[MarketFeatures, MarketFeatures] | None = None, *, step_ns: int = STEP_NS) -> None:
        self.names = feature_names(a, b)
        self.spread: float | None = None
        self._legs = legs or (MarketFeatures(step_ns=step_ns), MarketFeatures(step_ns=step_ns))
        self._spreads: deque[float] = deque(maxlen=WINDOW)

    @property
    def clean_steps(self) -> int:
        """Steps in a row with both legs LIVE, at most 20; a row is valid at 20."""
        return len(self._spreads)

    def push(self, ts: int, leg_a: Leg | None, leg_b: Leg | None) -> Row | None:
        """``take`` a step with these legs; None as a leg means: its book was not LIVE. Raises ValueError as ``MarketFeatures``."""
        self._legs[0].push(ts, leg_a)
        self._legs[1].push(ts, leg_b)
        return self.take(ts)

    def take(self, ts: int) -> Row | None:
        """The row (29 floats, order of ``names``) of the step that contains ``ts`` and that its markets have taken; None if invalid."""
        a, b = self._legs
        clean = min(a.clean, b.clean)
        if not clean:
            self._spreads.clear()
            self.spread = None
            return None
        self.spread = 1e4 * (a.log - b.log)
        self._spreads.append(self.spread)
        while len(self._spreads) > clean:
            self._spreads.popleft()
        if len(self._spreads) < WINDOW or a.row is None or b.row is None:
            return None
        minute_of_day = ts // 60_000_000_000 % 1440
        clock = float(minute_of_day // 60), float(minute_of_day % 60)
        return np.array((*a.row, *clock, *b.row, *clock, *_spread_row(self._spreads)), dtype=np.float64)


def _usable(leg: Leg) -> bool:
    mid, bid, ask, volume = leg
    return all(map(math.isfinite, leg)) and mid > 0 and 0 < bid <= ask and volume >= 0


def _leg_row(legs: deque[Leg]) -> list[float]:
    prices = [leg[0] for leg in legs]
    changes = [new / old - 1.0 for old, new in zip(prices[-11:-1], prices[-10:], strict=True)]
    _, bid, ask, _ = legs[-1]
    return [
        prices[-1],
        changes[-1],
        _mean(prices[-5:]),
        _mean(prices),
        _deviation(prices[-5:]),
        _deviation(changes),
        (ask - bid) / bid,
        _mean([legs[i][3] for i in range(-5, 0)]),
    ]


def _spread_row(spreads: deque[float]) -> list[float]:
    values = list(spreads)
    return [values[-1], *(values[-1 - k] for k in LAGS), _mean(values[-5:]), _mean(values), _deviation(values)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1), in two passes: no cancellation at large prices."""
    mean = _mean(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
