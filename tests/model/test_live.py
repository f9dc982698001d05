"""The predictor at work: rows of the board, labels, live scores and bands."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

from dope.model.features import MODEL_FEATURES, STEP_NS
from dope.model.live import PredictorState, comparable
from dope.model.predictor import SpreadPredictor
from tests.model.markets import START, fed, leg, reverting, seconds

NOW = START + 5_000 * STEP_NS


def test_only_the_same_symbol_at_two_venues_is_a_pair():
    keys = ["b:BTC-USDT", "a:BTC-USDT", "c:BTC-USDT", "a:BTC-USDT-PERP", "a:BTC-USDC", "b:ETH-USDT"]
    assert comparable(keys) == [("a:BTC-USDT", "b:BTC-USDT"), ("a:BTC-USDT", "c:BTC-USDT"), ("b:BTC-USDT", "c:BTC-USDT")]


def test_before_training_it_shows_the_spread_and_claims_nothing():
    state = fed({"BTC-USDT-PERP": reverting(40, 1)})
    (row,) = state.rows
    assert row["predicted"] is None
    assert row["persistence"] == row["current"]
    assert (row["a"], row["b"], row["symbol"], row["kind"]) == ("okx:BTC-USDT-PERP", "venue_b:BTC-USDT-PERP", "BTC-USDT-PERP", "perp")
    section = state.section()
    assert (section["status"], section["samples"], section["needed"], section["card"]) == ("collecting", 20, 50, None)
    json.dumps(section, allow_nan=False)


def test_a_leg_without_a_live_book_is_shown_as_such_and_leaves_no_row():
    state = PredictorState()
    for ts, legs in seconds({"BTC-USDT": reverting(60, 1)}):
        if ts == START + 40 * STEP_NS:
            legs["okx:BTC-USDT"] = None
        rows = state.on_second(ts, legs)
        if ts == START + 40 * STEP_NS:
            assert rows[0]["current"] is None
            assert rows[0]["predicted"] is None
            assert rows[0]["note"] == "a leg has no live book"
    table = state.table()
    assert sorted((table.t - START) // STEP_NS) == list(range(19, 39))  # 39's label fell into the hole; 41…59 warm up anew
    assert ((table.label_t - table.t) == STEP_NS).all()


def test_labels_are_the_change_that_came():
    spread = reverting(60, 4)
    table = fed({"BTC-USDT": spread}).table()
    first = int((table.t[0] - START) // STEP_NS)
    assert first == 19
    np.testing.assert_allclose(table.y, np.diff(spread)[first:], atol=1e-6)
    np.testing.assert_allclose(table.spread, spread[first:-1], atol=1e-6)


def test_the_buffer_keeps_the_newest_rows():
    table = fed({"BTC-USDT": reverting(200, 4)}, buffer_rows=60).table()
    assert len(table) == 60
    assert (table.t[-1] - START) // STEP_NS == 198


def test_the_same_second_twice_changes_nothing():
    state = fed({"BTC-USDT": reverting(30, 1)})
    before = state.rows
    assert state.on_second(START + 29 * STEP_NS + 5, {"okx:BTC-USDT": None}) is before


@pytest.fixture(scope="module")
def at_work():
    """A state that has trained on the first 600 seconds and predicted the next 600."""
    state = PredictorState()
    spread = reverting(1200, 11)
    served = []
    for i, (ts, legs) in enumerate(seconds({"BTC-USDT": spread, "ETH-USDT": 3 * reverting(1200, 12)})):
        rows = state.on_second(ts, legs)
        served.append(rows[0])
        if i == 600:
            state.adopt(SpreadPredictor(models=("persistence", "mean", "ar1")).train(state.table(), now_ns=NOW))
    return state, spread, served


def test_predictions_are_scored_when_their_label_arrives(at_work):
    state, spread, served = at_work
    live = state.live_score()
    assert live["n"] == 1000  # the newest 500 of each pair
    assert 0.05 < live["skill"] < 0.25
    predicted = np.array([row["predicted"] for row in served[601:-1]], dtype=float)
    error = spread[602:] - predicted
    assert len(error) == 598
    np.testing.assert_allclose(state.scores.of(0)[:, 0], error[-500:], atol=1e-6)


def test_the_band_holds_nine_of_ten(at_work):
    state, _, served = at_work
    assert served[601]["band"] is not None  # from the first second on, by the out-of-sample errors of the training
    assert 0.85 < state.live_score()["coverage"] < 0.95
    assert all(row["band"][0] < row["predicted"] < row["band"][1] for row in served[601:])


def test_the_band_is_as_wide_as_the_pair_is_wild(at_work):
    state, _, _ = at_work
    btc, eth = state.rows
    assert 2 < (eth["band"][1] - eth["band"][0]) / (btc["band"][1] - btc["band"][0]) < 4


def test_a_new_model_has_its_own_band_and_what_was_shown_before_is_still_scored(at_work):
    state = pickle.loads(pickle.dumps(at_work[0]))
    before = state.live_score()
    narrow = dataclasses.replace(state.trained, residuals={name: [0.01] * 50 for name in state.trained.residuals})
    state.adopt(narrow)
    assert state.live_score() == before
    later = START + 1200 * STEP_NS
    rows = state.on_second(later, {key: leg(100.0) for key in ("okx:BTC-USDT", "venue_b:BTC-USDT", "okx:ETH-USDT", "venue_b:ETH-USDT")})
    for row in rows:
        assert row["band"][1] - row["band"][0] == pytest.approx(0.02)
        assert row["current"] == pytest.approx(0.0)
    newest = [state.scores.of(pair)[-1] for pair in range(2)]  # the last prediction of the model before, now matured
    old = at_work[0].rows
    assert [score[0] for score in newest] == pytest.approx([-row["predicted"] for row in old], abs=1e-9)


def test_training_rows_and_served_rows_are_the_same():
    """No skew: what a model was asked with at a second is what the table later holds for that second."""
    asked: list[np.ndarray] = []

    class Listening:
        residuals: dict[str, list[float]] = {}
        card: dict[str, object] = {}

        def predict(self, pairs, x):
            asked.append(x[0].copy())
            return np.zeros(len(pairs))

    state = PredictorState()
    state.adopt(Listening())
    for ts, legs in seconds({"BTC-USDT": reverting(80, 2)}):
        state.on_second(ts, legs)
    table = state.table()
    np.testing.assert_array_equal(table.x, np.array(asked[:-1]))
    assert table.x.shape[1] == len(MODEL_FEATURES)


def test_calls_a_little_before_or_after_the_full_second_lose_no_step():
    state, rng = PredictorState(), np.random.default_rng(4)
    for ts, legs in seconds({"BTC-USDT": reverting(60, 1)}):
        state.on_second(ts + int(rng.integers(-10_000_000, 110_000_000)), legs)
    assert state.samples == 40
    assert (state.table().t % STEP_NS == 0).all()


def test_a_venue_that_comes_later_joins():
    state = PredictorState()
    state.on_second(START, {"a:BTC-USDT": leg(100)})
    assert state.rows == []
    state.on_second(START + STEP_NS, {"a:BTC-USDT": leg(100), "b:BTC-USDT": leg(101)})
    assert [row["b"] for row in state.rows] == ["b:BTC-USDT"]
