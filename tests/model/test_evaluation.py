"""Walk-forward never sees a label too early; the statistics equal published reference values."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.model.evaluation import (
    NO_SKILL,
    Errors,
    Score,
    conformal_quantile,
    diebold_mariano,
    has_skill,
    score,
    verdict,
    walk_forward,
)
from dope.model.predictor import AutoRegression, Persistence, TrainingMean

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def vector(name: str):
    path = DATA / "vectors" / f"{name}.json"
    if not path.exists():
        pytest.skip("the reference vectors are not beside this repository")
    return json.loads(path.read_text())


def test_diebold_mariano_equals_the_reference_vector():
    stats = vector("microstructure_and_stats")["stats"]
    e1, e2 = np.array(stats["e1"]), np.array(stats["e2"])
    for horizon in (1, 5):
        want = stats["expected"][f"dm_h{horizon}"]
        got = diebold_mariano(e1**2, e2**2, horizon)
        assert (got.n, got.lag_window) == (want["n"], want["lag_window"])
        assert got.dm == pytest.approx(want["dm"], abs=1e-9)
        assert got.hln == pytest.approx(want["hln"], abs=1e-9)
        assert got.mean_loss_diff == pytest.approx(want["mean_loss_diff"], abs=1e-9)
        assert 0.01 < got.p < 0.02


def test_conformal_quantiles_equal_the_reference_vector():
    stats = vector("microstructure_and_stats")["stats"]
    assert conformal_quantile(stats["abs_res"], 0.1) == pytest.approx(stats["expected"]["conformal_q_alpha_0.1"], abs=1e-9)
    assert stats["expected"]["conformal_q_alpha_0.005"] is None
    assert conformal_quantile(stats["abs_res"], 0.005) == math.inf


@pytest.fixture(scope="module")
def spread_100ms():
    """Mid spread USD-M perpetual − spot of the reference recording, bps, previous tick on a 100 ms grid."""
    folder = DATA / "market" / "binance_3venue"
    if not folder.exists():
        pytest.skip("the reference recording is not beside this repository")
    series = {}
    for name in ("usdm_btcusdt", "spot_btcusdt", "coinm_btcusd_perp"):
        with gzip.open(folder / f"{name}_20240808_quotes.csv.gz", "rt") as file:
            rows = [(int(r["local_ns"]), (float(r["bid"]) + float(r["ask"])) / 2) for r in csv.DictReader(file)]
        series[name] = (np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
    step = 100_000_000
    start = max(times[0] for times, _ in series.values())
    grid = np.arange(-(-start // step) * step, min(times[-1] for times, _ in series.values()) + 1, step)
    a, b = (
        np.log(mids[np.searchsorted(times, grid, "right") - 1]) * 1e4 for times, mids in (series["usdm_btcusdt"], series["spot_btcusdt"])
    )
    return a - b


@pytest.mark.parametrize("name", ["h100ms", "h1000ms"])
def test_the_naive_forecasts_of_a_real_recording_equal_the_reference(spread_100ms, name):
    want = vector("forecast_100ms_btc")["results"][f"spread_{name}"]
    h = want["horizon_steps"]
    assert len(spread_100ms) == vector("forecast_100ms_btc")["results"]["rows"]
    x, y = spread_100ms[:-h], spread_100ms[h:] - spread_100ms[:-h]
    t = np.arange(len(x))
    forecasts = {key: np.full(len(x), np.nan) for key in ("persistence", "mean", "ar1")}
    for fold in walk_forward(t, t + h, block_steps=100, first_steps=1200, window_steps=1200):
        own = x[fold.train]
        scale = own.std()
        z, z_test = np.zeros((len(own), 29)), np.zeros((len(fold.test), 29))
        z[:, 20], z_test[:, 20] = (own - own.mean()) / scale, (x[fold.test] - own.mean()) / scale
        for key, model in (("persistence", Persistence()), ("mean", TrainingMean()), ("ar1", AutoRegression())):
            forecasts[key][fold.test] = model.fit(z, y[fold.train] / scale).predict(z_test) * scale
    rows = np.arange(1200, len(x))
    assert len(rows) == want["n_test"]
    for key, forecast in forecasts.items():
        got = score(key, Errors(t=t[rows], y=y[rows], model=forecast[rows], mean=forecasts["mean"][rows]), h)
        assert got.rmse == pytest.approx(want[key]["rmse"], rel=0.03)
        assert got.mae == pytest.approx(want[key]["mae"], rel=0.03)
        if key != "persistence":
            assert got.skill_persistence == pytest.approx(want[key]["skill_vs_persistence"], abs=0.05)
            assert got.sign_accuracy == pytest.approx(want[key]["dir_acc_nonzero"], abs=0.01)
            assert got.dm_persistence == pytest.approx(want[key]["dm_hln_vs_persistence"], rel=0.05)


@given(
    st.lists(st.integers(0, 200), min_size=30, max_size=120),
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(0, 30),
)
def test_no_training_row_has_a_label_later_than_the_first_prediction(times, horizon, blocks, window):
    t = np.sort(np.array(times))
    label_t = t + horizon
    seen = []
    for fold in walk_forward(t, label_t, blocks=blocks, first_steps=10, window_steps=window):
        first = t[fold.test].min()
        assert (label_t[fold.train] <= first).all()
        if not window:
            assert set(np.flatnonzero(label_t <= first)) == set(fold.train)
        seen += fold.test.tolist()
    distinct = np.unique(t)
    assert seen == (np.flatnonzero(t >= distinct[10]).tolist() if len(distinct) > 10 else [])


def test_pairs_of_one_second_count_as_one_observation():
    rng = np.random.default_rng(1)
    y, model = rng.normal(size=100), rng.normal(size=100) * 0.1
    once = score("x", Errors(t=np.arange(100), y=y, model=model, mean=np.zeros(100)), 1)
    twice = score("x", Errors(t=np.repeat(np.arange(100), 2), y=np.repeat(y, 2), model=np.repeat(model, 2), mean=np.zeros(200)), 1)
    assert twice.blocks == once.blocks == 100
    assert twice.n == 200
    assert twice.p_value == pytest.approx(once.p_value)


def scored(**changes) -> Score:
    good = Score(
        model="ar1", n=300, rmse=1.0, mae=0.8, skill_persistence=0.1, skill_mean=0.2, sign_accuracy=0.6, sign_base=0.5, p_value=0.01,
        dm_persistence=2.5, dm_mean=3.0, blocks=300.0,
    )  # fmt: skip
    return dataclasses.replace(good, **changes)


def test_skill_is_claimed_only_with_all_of_the_evidence():
    assert has_skill(scored())
    assert verdict(scored()).startswith("skill 10%")
    for lacking in (
        {"p_value": 0.051},
        {"p_value": None},
        {"blocks": 29.9},
        {"skill_mean": -0.01},
        {"skill_persistence": 0.0},
        {"model": "persistence", "p_value": None},
    ):
        assert not has_skill(scored(**lacking))
        assert verdict(scored(**lacking)).startswith(NO_SKILL)


def test_equal_forecasts_have_no_p_value():
    loss = np.ones(50)
    result = diebold_mariano(loss, loss, 1)
    assert (result.dm, result.hln, result.p) == (None, None, None)


def test_too_short_a_series_for_its_horizon_has_no_p_value():
    rng = np.random.default_rng(0)
    assert diebold_mariano(rng.random(30), rng.random(30), 30).p is None
