"""Small made-up markets for the model's tests: two venues whose mid spread follows a known process."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dope.model.features import STEP_NS, Leg
from dope.model.live import PredictorState

A, B = "okx:BTC-USDT", "venue_b:BTC-USDT"
START = 1_700_000_000 * 1_000_000_000


def leg(mid: float, *, width: float = 1e-4, volume: float = 1.0) -> Leg:
    return (mid, mid * (1 - width / 2), mid * (1 + width / 2), volume)


def random_walk(n: int, seed: int, *, step: float = 1.0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(0, step, n))


def reverting(n: int, seed: int, *, pull: float = 0.3) -> np.ndarray:
    """A spread that gives back ``pull`` of its distance from 0 each step."""
    noise = np.random.default_rng(seed).normal(0, 1.0, n)
    out = np.zeros(n)
    for i in range(1, n):
        out[i] = (1 - pull) * out[i - 1] + noise[i]
    return out


def seconds(spreads: Mapping[str, Sequence[float]], *, start: int = START, seed: int = 99):
    """Per step (ts, legs): for each symbol, venue_b walks and okx stands ``spread`` bps above it."""
    n = len(next(iter(spreads.values())))
    bases = {symbol: 100.0 * np.exp(random_walk(n, seed + i, step=1e-4)) for i, symbol in enumerate(spreads)}
    for k in range(n):
        legs: dict[str, Leg | None] = {}
        for symbol, spread in spreads.items():
            legs[f"okx:{symbol}"] = leg(float(bases[symbol][k]) * math.exp(spread[k] / 1e4))
            legs[f"venue_b:{symbol}"] = leg(float(bases[symbol][k]), volume=float(k % 7))
        yield start + k * STEP_NS, legs


def fed(spreads: Mapping[str, Sequence[float]], **options) -> PredictorState:
    """A predictor's state after these spreads."""
    state = PredictorState(**options)
    for ts, legs in seconds(spreads):
        state.on_second(ts, legs)
    return state
