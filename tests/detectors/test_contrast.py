"""The lead-lag contrast: equal to its definition, finds lags that were planted, finds none where there is none, and says how sure it is."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dope.detectors.contrast import (
    Finding,
    Grid,
    Series,
    changes_only,
    common_span,
    contrast,
    last_per_time,
    observed,
    steps,
    sums,
    verdict,
)
from dope.market.overlaps import overlap_sums
from dope.sim.character import Character
from dope.sim.market import SampleMarket
from dope.sim.venue import listings
from tests.detectors.pairs import told, walk
from tests.oracle.plain_contrast import plain_sum

GRID = Grid(500, 5, 2000)
Times = st.lists(st.integers(0, 60), min_size=2, max_size=14, unique=True).map(sorted)


@given(st.data(), Times, Times, st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_the_sums_are_those_of_the_definition(data: st.DataObject, tx: list[int], ty: list[int], step: int) -> None:
    x, y = (data.draw(st.lists(st.integers(-9, 9), min_size=len(t), max_size=len(t))) for t in (tx, ty))
    got = sums((np.array(tx), np.array(x, dtype=float)), (np.array(ty), np.array(y, dtype=float)), Grid(5 * step, step))
    want = [plain_sum(tx, x, ty, y, lag * step) for lag in range(-5, 6)]
    assert got == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("lag_ms", [0, 5, 20, 80, -80])
def test_a_planted_lag_is_found_at_unequal_rates(lag_ms: int) -> None:
    rand = random.Random(11)
    price = walk(rand, 20.0)
    x, y = common_span(told(price, rand), told(price, rand, lag_ms=lag_ms, tick=0.6))
    found = contrast(x, y, GRID)
    assert found.n_x > 1.5 * found.n_y, "the rates are unequal"
    assert found.related
    assert found.lag is not None
    assert abs(found.lag - lag_ms) <= 5
    assert found.low is not None
    assert found.high is not None
    assert found.low - 5 <= lag_ms <= found.high + 5, "the interval of the sub-windows covers it"
    assert any(a - 5 <= lag_ms <= b + 5 for a, b in found.top)
    if lag_ms != 5:  # a step of the grid away from nothing: the sub-windows need not agree
        assert (verdict(found, 1.0)[0] == "leads") is (lag_ms != 0)
    assert found.llr is not None
    if abs(lag_ms) >= 20:
        assert (found.llr > 1) is (lag_ms > 0)


def unrelated(seeds: range) -> int:
    """How many pairs of markets that have nothing to do with each other seem related."""
    count = 0
    for seed in seeds:
        rand = random.Random(seed)
        x, y = common_span(told(walk(rand, 6.0), rand), told(walk(rand, 3.0), rand, tick=0.6))
        found = contrast(x, y, GRID)
        assert found.enough
        count += found.related
    return count


def test_markets_that_have_nothing_to_do_with_each_other_are_not_related() -> None:
    assert unrelated(range(8)) <= 1


@pytest.mark.full
def test_of_forty_unrelated_pairs_at_most_five_seem_related() -> None:
    assert unrelated(range(40)) <= 5


def test_few_changes_say_nothing_and_say_how_many_are_needed() -> None:
    rand = random.Random(3)
    price = walk(rand)[:150]
    found = contrast(*common_span(told(price, rand), told(price, rand, lag_ms=50)), GRID)
    assert not found.related
    word, why = verdict(found, 1.0)
    assert word == "too few"
    assert why == f"n = {min(found.n_x, found.n_y)}, needs 200"


def test_a_lag_below_what_can_be_told_is_not_resolved() -> None:
    found = Finding(900, 900, lag=20, rho=0.8, z=9.0, low=15, middle=20, high=30)
    assert verdict(found, 20.0)[0] == "leads"
    assert verdict(found, 21.0)[0] == "not resolved"
    assert verdict(replace(found, z=5.9), 1.0)[0] == "not related"
    assert verdict(replace(found, lag=0), 0.0)[0] == "not resolved"


def test_a_peak_that_the_sub_windows_do_not_share_is_not_resolved() -> None:
    found = Finding(900, 900, lag=-400, rho=0.8, z=9.0, low=-420, middle=-400, high=-10)
    assert verdict(found, 1.0)[0] == "leads"
    assert verdict(replace(found, high=225), 1.0) == ("not resolved", "the sub-windows say -420 … 225: they do not agree on who leads")
    assert verdict(replace(found, low=None, middle=None, high=None), 1.0)[0] == "not resolved"
    assert verdict(replace(found, lag=400), 1.0)[0] == "not resolved"


def test_a_flat_top_is_told_as_a_range() -> None:
    def slow(shift: int) -> Series:
        rand = random.Random(5)
        return np.arange(0, 300_000, 1000) + shift, np.cumsum([rand.choice((-1.0, 1.0)) for _ in range(300)])

    found = contrast(slow(0), slow(300), Grid(900, 100, 1000))
    assert found.lag == -600, "of equally good lags the first"
    assert found.top == ((-600, 900),), "each moves once a second, so any of these lags explains it"


def test_nothing_is_made_of_a_price_that_was_unknown_meanwhile() -> None:
    times, nan = np.array([0, 10, 20, 30]), float("nan")
    assert steps(np.array([1.0, 2.0, nan, 9.0])).tolist() == [0.0, 1.0, 0.0, 0.0]
    x = times, np.array([0.0, 1.0, nan, 9.0])
    y = times, np.array([0.0, 1.0, 1.5, 9.0])
    assert sums(x, y, Grid(0, 1)).tolist() == [1.0], "the jump over the hole belongs to nobody"


def test_series_that_never_moved_have_no_contrast() -> None:
    still = np.arange(500), np.ones(500)
    found = contrast(still, still, GRID)
    assert (found.lag, found.rho, found.enough) == (None, None, False)
    nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    assert contrast(*common_span(nothing, still), GRID).n_x == 0


def test_an_observation_is_the_last_of_its_time_and_a_change() -> None:
    times, values = np.array([5, 5, 7, 6, 8, 9]), np.array([1.0, 2.0, 2.0, 3.0, 2.0, 2.0])
    assert [column.tolist() for column in last_per_time(times, values)] == [[5, 6, 7, 8, 9], [2, 3, 2, 2, 2]], "stamps may fall"
    assert [column.tolist() for column in changes_only(*last_per_time(times, values))] == [[5, 6, 7], [2, 3, 2]]
    prices = np.array([100.0, 100.0, 101.0])
    t, lp = observed(np.array([1, 2, 3]), prices)
    assert t.tolist() == [1, 3]
    assert lp[1] - lp[0] == pytest.approx(np.log(1.01) * 1e4)
    assert all(a < b for a, b in pairwise(t))


def test_a_grid_may_begin_anywhere() -> None:
    times, moves = np.array([0, 10, 20]), np.array([0.0, 1.0, 1.0])
    assert overlap_sums(times, moves, times, moves, 10, 1, 1).tolist() == [1.0]


@pytest.mark.parametrize(("lags", "noise"), [((0, 2, 8), 0), ((0, 5, 8), 10)])
def test_the_lags_of_the_simulated_market_are_found(lags: tuple[int, ...], noise: int) -> None:
    specs = [spec for spec in listings(("okx", "bybit", "binance_usdm")) if spec.symbol in ("BTC-USDT", "BTC-USDT-PERP")][:3]
    specs = [replace(spec, lag=lag, noise=noise, pace=1) for spec, lag in zip(specs, lags, strict=True)]
    moving = Character(volatility=300, flow=20, dislocations_per_minute=0, bursts_per_minute=0)  # prices of their own would hide the lag
    market = SampleMarket(4, specs, character=moving)
    paths: dict[str, tuple[list[int], list[float]]] = {spec.key: ([], []) for spec in specs}
    for _ in range(12_000):
        market.step()
        for key, (times, mids) in paths.items():
            bid, _, ask, _ = market.markets[key].book.touch()
            times.append(market.now_ms)
            mids.append((bid + ask) / 2)
    series = {key: observed(np.array(times), np.array(mids)) for key, (times, mids) in paths.items()}
    for (a, lag_a), (b, lag_b) in combinations(zip(series, lags, strict=True), 2):
        found = contrast(*common_span(series[a], series[b]), GRID)
        assert verdict(found, 1.0)[0] == "leads"
        assert found.lag == pytest.approx(10 * (lag_b - lag_a), abs=10), "a step of that market"
