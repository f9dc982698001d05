"""What flows into the touch, what it costs to trade against it, and whether a spread comes back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors import microstructure, reversion
from dope.market.lane import Slots, remember
from tests.examples import some
from tests.oracle import plain_micro

PRICES = st.sampled_from([0.0, 99.0, 99.5, 100.0, 100.5, math.nan])
SIZES = st.integers(0, 40).map(lambda n: n / 4)
TOUCHES = st.lists(st.tuples(PRICES, SIZES, PRICES.map(lambda p: p + 1.0 if p else 0.0), SIZES), min_size=1, max_size=60)


@settings(max_examples=some(200), deadline=None)
@given(TOUCHES)
def test_the_compiled_sum_of_order_flow_is_the_plain_one(touches: list[plain_micro.Touch]) -> None:
    slots = Slots(1)
    slot = slots.add()
    for ts, touch in enumerate(touches):
        remember(slot, ts, 0, *touch, slots.rings)
    assert slots.flow[slot, 0] == plain_micro.flow(touches)


@settings(max_examples=some(100), deadline=None)
@given(TOUCHES.filter(lambda touches: all(t[0] != 0.0 and t[2] != 0.0 for t in touches)))
def test_the_columns_give_that_sum_too(touches: list[plain_micro.Touch]) -> None:
    assert microstructure.flow_events(*np.array(touches).T).sum() == plain_micro.flow(touches)


@settings(max_examples=some(100), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([-1, 1])), max_size=60), st.integers(1, 20))
def test_vpin_splits_trades_at_the_edges_of_buckets(trades: list[tuple[int, int]], bucket: int) -> None:
    size, sign = (np.array([trade[k] for trade in trades], dtype=float) for k in (0, 1))
    want = plain_micro.vpin_buckets(trades, bucket)
    found = microstructure.vpin(size, sign, float(bucket), max(1, len(want)))
    assert found.imbalances.tolist() == pytest.approx(want)
    assert found.value == (pytest.approx(sum(want) / len(want) / bucket) if want else None)


def test_vpin_says_nothing_before_there_are_enough_buckets() -> None:
    assert microstructure.vpin(np.ones(9), np.ones(9), 5.0, 2).value is None
    assert microstructure.vpin(np.ones(10), np.ones(10), 5.0, 2).value == 1.0


def test_the_weighted_mid_leans_to_the_thinner_side_and_is_unknown_without_sizes() -> None:
    one = [np.array([value]) for value in (100.0, 9.0, 101.0, 1.0)]
    assert microstructure.weighted_mid(*one)[0] == pytest.approx(100.9)
    assert np.isnan(microstructure.weighted_mid(one[0], np.zeros(1), one[2], np.zeros(1))[0])


def test_lambda_is_the_slope_of_the_textbook_and_unknown_where_nothing_moves() -> None:
    rng = np.random.default_rng(4)
    volume = rng.normal(size=300)
    moves = 0.25 * volume + rng.normal(size=300)
    found = microstructure.kyle(moves, volume)
    assert found is not None and found.slope == pytest.approx(plain_micro.slope(volume.tolist(), moves.tolist()))
    assert found.r2 == pytest.approx(np.corrcoef(volume, moves)[0, 1] ** 2)
    assert microstructure.kyle(np.zeros(300), volume) is None
    assert microstructure.kyle(moves[:2], volume[:2]) is None


def returning(seed: int, half_life: float, n: int = 3000) -> np.ndarray:
    """A process that returns to 3.0, one step a second."""
    rng, b = np.random.default_rng(seed), 0.5 ** (1.0 / half_life)
    x = np.empty(n)
    x[0] = 3.0
    for k in range(1, n):
        x[k] = 3.0 + b * (x[k - 1] - 3.0) + rng.normal()
    return x


@pytest.mark.parametrize("half_life", [1.0, 8.0, 40.0])
def test_a_planted_half_life_is_found_and_shown(half_life: float) -> None:
    found = reversion.fit(returning(5, half_life), 1.0)
    assert found is not None and found.significant
    assert found.half_life == pytest.approx(half_life, rel=0.35) and found.mu == pytest.approx(3.0, abs=3.0 * (found.sd or 0) / 5)


def test_a_random_walk_has_a_half_life_that_is_rarely_shown() -> None:
    shown = [bool((found := reversion.fit(np.cumsum(np.random.default_rng(seed).normal(size=600)), 1.0)) and found.significant)
             for seed in range(200)]  # fmt: skip
    assert 0 < sum(shown) <= 20, "5 % of random walks pass a test of 5 %"


def test_time_is_in_the_unit_of_the_step_and_holes_are_left_out() -> None:
    x = returning(6, 8.0)
    whole, tenth = reversion.fit(x, 1.0), reversion.fit(x, 0.1)
    assert whole is not None and tenth is not None and whole.half_life is not None and tenth.half_life is not None
    assert tenth.half_life == pytest.approx(whole.half_life / 10)
    x[1500] = np.nan
    holed = reversion.fit(x, 1.0)
    assert holed is not None and holed.n == whole.n - 2 and holed.half_life == pytest.approx(whole.half_life, rel=0.05)


@pytest.mark.parametrize("x", [[], [1.0] * 100, list(range(5)), [math.nan] * 100])
def test_what_cannot_be_fitted_is_not(x: list[float]) -> None:
    assert reversion.fit(x, 1.0) is None
