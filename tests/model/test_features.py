"""The incremental features equal a slow rolling reference, and know nothing of the future or of a dead book."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.model.features import LAGS, STEP_NS, PairFeatures, feature_names
from tests.examples import some
from tests.model.markets import START, leg

PRICE = st.floats(min_value=1e-3, max_value=1e5)
LEG = st.none() | st.tuples(PRICE, st.floats(0.0, 0.01), st.floats(0.0, 1e6)).map(lambda p: leg(p[0], width=p[1], volume=p[2]))
LIVE = st.tuples(st.floats(90.0, 110.0), st.floats(0.0, 0.01), st.floats(0.0, 1e6)).map(lambda p: leg(p[0], width=p[1], volume=p[2]))


def reference(steps, start: int) -> pd.DataFrame:
    """The same features with pandas rolling windows over a grid in which a step without both legs is missing."""
    columns: dict[str, pd.Series] = {}
    times = pd.to_datetime([start + i * STEP_NS for i in range(len(steps))], utc=True)
    mids = []
    for side, name in ((0, "okx"), (1, "venue_b")):
        rows = [step[side] if step[0] is not None and step[1] is not None else None for step in steps]
        mid, bid, ask, volume = (pd.Series([math.nan if r is None else r[k] for r in rows], dtype=float) for k in range(4))
        change = mid.pct_change(fill_method=None)
        columns |= {
            f"{name}_price": mid,
            f"{name}_price_change": change,
            f"{name}_price_ma_5": mid.rolling(5).mean(),
            f"{name}_price_ma_20": mid.rolling(20).mean(),
            f"{name}_price_std_5": mid.rolling(5).apply(lambda w: w.std(ddof=1), raw=False),
            f"{name}_volatility": change.rolling(10).apply(lambda w: w.std(ddof=1), raw=False),
            f"{name}_bid_ask_spread": (ask - bid) / bid,
            f"{name}_volume_ma": volume.rolling(5).apply(lambda w: w.mean(), raw=False),
            f"{name}_hour": pd.Series(times.hour, dtype=float),
            f"{name}_minute": pd.Series(times.minute, dtype=float),
        }
        mids.append(mid)
    spread = 1e4 * (np.log(mids[0]) - np.log(mids[1]))
    columns["spread"] = spread
    columns |= {f"spread_lag_{k}": spread.shift(k) for k in LAGS}
    columns["spread_mean_5"] = spread.rolling(5).apply(lambda w: w.mean(), raw=False)
    columns["spread_mean_20"] = spread.rolling(20).apply(lambda w: w.mean(), raw=False)
    columns["spread_sd_20"] = spread.rolling(20).apply(lambda w: w.std(ddof=1), raw=False)
    return pd.DataFrame(columns)


def run(steps, start: int = START):
    features = PairFeatures("okx", "venue_b")
    return features.names, [features.push(start + i * STEP_NS, a, b) for i, (a, b) in enumerate(steps)]


@settings(max_examples=some(50))
@given(st.lists(st.tuples(LIVE, LIVE), min_size=20, max_size=45), st.lists(st.integers(0, 44), max_size=2), st.integers(0, 86_400))
def test_features_equal_the_slow_rolling_reference(steps, dead, offset):
    for i in dead:
        if i < len(steps):
            steps[i] = (None, steps[i][1])
    start = START + offset * STEP_NS
    names, rows = run(steps, start)
    expected = reference(steps, start)
    assert list(expected.columns) == list(names)
    valid = np.isfinite(expected.to_numpy()).all(axis=1)
    assert [row is not None for row in rows] == valid.tolist()
    for row, want in zip(rows, expected.to_numpy(), strict=True):
        if row is not None:
            np.testing.assert_allclose(row, want, rtol=1e-9, atol=1e-9)


def test_the_seed_names_ten_features_per_leg():
    names = feature_names("okx", "kraken")
    assert len(names) == 29
    assert "okx_price_ma_20" in names
    assert "kraken_volatility" in names


@settings(max_examples=some(50))
@given(st.lists(st.tuples(LEG, LEG), min_size=30, max_size=60), st.integers(20, 29), st.randoms(use_true_random=False))
def test_shuffling_the_future_leaves_the_features_of_the_present_unchanged(steps, now, rng):
    _, rows = run(steps)
    future = steps[now + 1 :]
    rng.shuffle(future)
    _, again = run([*steps[: now + 1], *future])
    for row, other in zip(rows[: now + 1], again[: now + 1], strict=True):
        assert (row is None) == (other is None)
        assert row is None or np.array_equal(row, other)


def live(n: int, offset: float = 0.0):
    return [(leg(100 + offset + i), leg(101 + i)) for i in range(n)]


def test_a_dead_leg_starts_everything_anew():
    _, rows = run([*live(25), (leg(100), None), *live(25)])
    assert [i for i, row in enumerate(rows) if row is not None] == [*range(19, 25), *range(45, 51)]


def test_a_skipped_second_starts_everything_anew():
    features = PairFeatures("okx", "venue_b")
    for i, (a, b) in enumerate(live(20)):
        row = features.push(START + i * STEP_NS, a, b)
    assert row is not None
    assert features.push(START + 21 * STEP_NS, leg(100), leg(101)) is None
    assert features.clean_steps == 1


@pytest.mark.parametrize("bad", [(math.nan, 1.0, 2.0, 0.0), (0.0, 0.0, 0.0, 0.0), (1.0, 2.0, 1.0, 0.0), (1.0, 1.0, 1.0, -1.0)])
def test_a_leg_that_is_no_price_counts_as_not_live(bad):
    features = PairFeatures("okx", "venue_b")
    for i, (a, b) in enumerate(live(20)):
        features.push(START + i * STEP_NS, a, b)
    assert features.push(START + 20 * STEP_NS, bad, leg(101)) is None
    assert features.spread is None


def test_a_step_is_fed_once_and_in_order():
    features = PairFeatures("okx", "venue_b")
    features.push(START, leg(100), leg(101))
    with pytest.raises(ValueError, match="fed once"):
        features.push(START + 1, leg(100), leg(101))


def test_the_features_survive_pickling():
    features = PairFeatures("okx", "venue_b")
    for i, (a, b) in enumerate(live(30)):
        features.push(START + i * STEP_NS, a, b)
    copy = pickle.loads(pickle.dumps(features))
    step = START + 30 * STEP_NS, leg(131.5), leg(130)
    np.testing.assert_array_equal(features.push(*step), copy.push(*step))
    assert len(pickle.dumps(features)) < 5000
