"""Rolling statistics equal those of the plain samples of the last hour, series by series; a second without a sample is a hole."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors.rolling import MINUTES, RECENT, Rolling
from dope.detectors.spreads import Couples, Spreads
from dope.engine import Engine
from dope.types import Listed
from tests.detectors.test_arbitrage import instrument
from tests.frames import T0

VALUE = st.none() | st.floats(-50.0, 50.0)
#: seconds since the sample before, and the values of two series; pauses are short, longer than a minute, or longer than the hour
STEPS = st.lists(st.tuples(st.sampled_from([1, 1, 7, 45, 61, 599, 3540, 3600, 9000]), VALUE, VALUE), min_size=1, max_size=40)


@settings(max_examples=60)
@given(STEPS, st.sampled_from([0.0, 1e4, -1e6]))
def test_moments_are_those_of_the_minute_that_runs_and_the_59_before_it(
    steps: list[tuple[int, float | None, float | None]], far: float
) -> None:
    rolling = Rolling()
    rolling.add()
    rolling.add()
    second, told = T0 // 10**9, dict[int, tuple[float | None, float | None]]()
    for pause, first, other in steps:
        second += pause
        told[second] = None if first is None else far + first, other
        rolling.sample(second, np.array(told[second], dtype=np.float64))
        moments = rolling.moments()
        for row in (0, 1):
            window = [v for at, both in told.items() if at // 60 > second // 60 - MINUTES and (v := both[row]) is not None]
            assert moments.n[row] == len(window)
            if window:
                assert (moments.low[row], moments.high[row]) == (min(window), max(window))
                assert moments.mean[row] == pytest.approx(statistics.fmean(window), abs=1e-6)
                assert moments.sd[row] == pytest.approx(statistics.stdev(window) if len(window) > 1 else 0.0, abs=1e-6)
            wanted = [told.get(at, (None, None))[row] for at in range(second - RECENT + 1, second + 1)]
            assert [None if math.isnan(v) else v for v in rolling.recent(row).tolist()] == wanted


def test_series_that_come_later_begin_empty_and_leave_the_others_as_they_are() -> None:
    rolling = Rolling()
    for n in range(40):
        rolling.add()
        rolling.sample(1000 + n, np.arange(n + 1.0))
    assert rolling.moments().n.tolist() == [40 - n for n in range(40)]
    assert rolling.moments().mean.tolist() == list(range(40)) and rolling.last.tolist() == list(range(40))
    assert np.isnan(rolling.recent(39)[:-1]).all() and not np.isnan(rolling.recent(0)[-40:]).any()


def test_a_z_score_is_of_the_hour_and_needs_thirty_samples_that_moved() -> None:
    couples, rng = Couples(), np.random.default_rng(3)
    couples.add(("a", "b"), (0, 1))
    couples.add(("a", "c"), (0, 2))
    drawn = rng.normal(5.0, 2.0, 3600).tolist()
    for n, x in enumerate(drawn):
        couples.sample(6000 + n, np.array([x, 1.0]))
        if n == 28:
            assert np.isnan(couples.z(np.array([0]))[0])
    (moved, still), (nobody, later) = couples.z(np.array([[0, 1], [-1, 7]])).tolist()
    assert moved == pytest.approx((drawn[-1] - statistics.fmean(drawn)) / statistics.stdev(drawn), abs=1e-6)
    assert math.isnan(still), "it never moved"
    assert math.isnan(nobody) and math.isnan(later), "nobody has such a couple, or it was never sampled"
    couples.sample(9600, np.array([np.nan, 1.0]))
    assert couples.current("a", "b") is None and couples.current("a", "c") == 1.0
    assert [(row.a, row.b, row.current) for row in couples.told()] == [("a", "b", None), ("a", "c", 1.0)]


def test_spot_against_perpetual_is_basis_and_never_a_pair() -> None:
    spreads, engine = Spreads(), Engine({})
    for i in (
        instrument("a", "BTC-USDT"),
        instrument("b", "BTC-USDT"),
        instrument("b", "BTC-USDT-PERP", "perp"),
        instrument("b", "BTC-USDC"),
    ):
        spreads.on(Listed(T0, i), engine.market)
    assert list(spreads.pairs.number) == [("a:BTC-USDT", "b:BTC-USDT")]
    assert list(spreads.bases.number) == [("a:BTC-USDT", "b:BTC-USDT-PERP"), ("b:BTC-USDT", "b:BTC-USDT-PERP")]
    assert list(spreads.pairs.told()) == [] and np.isnan(spreads.pairs.z(np.array([0]))[0]), "nothing was sampled yet"
