"""What the predictor learns, refuses and claims; made-up markets with a known answer."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

from dope.errors import ModelError
from dope.model.evaluation import NO_SKILL
from dope.model.features import MODEL_FEATURES, SPREAD_COLUMN
from dope.model.job import train_job
from dope.model.predictor import MODELS, NAIVE, SpreadPredictor
from tests.model.markets import START, fed, random_walk, reverting

NOW = START + 5_000 * 1_000_000_000
PAIR = "okx:BTC-USDT|venue_b:BTC-USDT"


@pytest.fixture(scope="module")
def reverting_table():
    return fed({"BTC-USDT": reverting(900, 3)}).table()


@pytest.fixture(scope="module")
def trained(reverting_table):
    return SpreadPredictor().train(reverting_table, now_ns=NOW)


@pytest.mark.parametrize("seed", range(6))
def test_on_a_random_walk_it_says_no_evidence_of_skill(seed):
    card = SpreadPredictor().train(fed({"BTC-USDT": random_walk(700, seed)}).table(), now_ns=NOW).card
    assert card["verdict"].startswith(NO_SKILL)


def test_on_a_reverting_spread_it_finds_skill_and_says_how_much(trained):
    card = trained.card
    assert card["in_use"] in ("ar1", "ridge", "gradient_boosting")
    assert card["verdict"].startswith("skill")
    used = next(s for s in card["scores"] if s["model"] == card["in_use"])
    # a change has the variance 2σ²/(2 − pull), of which σ² cannot be known: the best skill is pull/2 = 0.15
    assert 0.05 < used["skill_persistence"] < 0.25
    assert used["skill_mean"] > 0.2
    assert used["p_value"] < 0.05
    assert [s["model"] for s in card["scores"]] == list(MODELS)


def test_the_score_shown_is_out_of_sample(reverting_table):
    noise = dataclasses.replace(reverting_table, y=np.random.default_rng(5).normal(size=len(reverting_table)))
    recipe = SpreadPredictor(models=("persistence", "gradient_boosting"))
    card = recipe.train(noise, now_ns=NOW).card
    learned = next(s for s in card["scores"] if s["model"] == "gradient_boosting")
    assert learned["skill_persistence"] <= 0.02  # fitted on its own rows the same forest explains half of the noise


def test_the_judging_rows_are_not_those_that_chose(reverting_table):
    recipe = SpreadPredictor()
    trial = recipe._walk(reverting_table, lambda fraction, step: None)
    assert reverting_table.label_t[trial.choice].max() <= reverting_table.t[trial.judge].min()
    assert len(trial.choice) > 100
    assert len(trial.judge) > 100


def test_while_rows_are_few_only_naive_forecasts_may_speak():
    table = fed({"BTC-USDT": reverting(300, 1)}).table()
    trained = SpreadPredictor().train(table, now_ns=NOW)
    assert trained.card["in_use"] in NAIVE
    assert trained.card["note"] == f"{len(table)} of 580 rows until a learned model may speak"
    assert SpreadPredictor().allowed(580) == MODELS
    assert SpreadPredictor().allowed(579) == NAIVE


def test_fewer_than_fifty_samples_are_refused_and_fifty_are_enough():
    short, enough = (fed({"BTC-USDT": reverting(n, 1)}).table() for n in (69, 70))
    assert (len(short), len(enough)) == (49, 50)
    with pytest.raises(ModelError, match="49 of 50"):
        SpreadPredictor().train(short, now_ns=NOW)
    assert SpreadPredictor().train(enough, now_ns=NOW).is_trained


def test_fifty_rows_of_ten_seconds_are_not_fifty_samples():
    table = fed({f"{name}-USDT": reverting(30, i) for i, name in enumerate(("BTC", "ETH", "SOL", "XRP", "ADA"))}).table()
    assert len(table) == 50
    assert table.steps == 10
    with pytest.raises(ModelError, match="10 of 50"):
        SpreadPredictor().train(table, now_ns=NOW)


def test_values_that_are_not_numbers_are_refused(reverting_table):
    x = reverting_table.x.copy()
    x[100, 3] = np.inf
    with pytest.raises(ModelError, match="finite"):
        SpreadPredictor().train(dataclasses.replace(reverting_table, x=x), now_ns=NOW)


def test_predictions_come_in_batches_and_only_where_they_can(trained, reverting_table):
    x = reverting_table.x[:4].copy()
    x[1, 5] = np.nan
    got = trained.predict([PAIR, PAIR, "okx:ETH-USDT|venue_b:ETH-USDT", PAIR], x)
    assert np.isfinite(got).tolist() == [True, False, False, True]
    single = trained.predict([PAIR], x[3:4])
    assert got[3] == pytest.approx(single[0])
    with pytest.raises(ModelError, match="29 features"):
        trained.predict([PAIR], x[:1, :5])


def test_one_model_serves_pairs_of_any_price_and_any_basis():
    calm, wild = reverting(400, 7), 5.0 * reverting(400, 8) + 40.0
    table = fed({"BTC-USDT": calm, "SOL-USDT": wild}).table()
    trained = SpreadPredictor(models=("persistence", "mean", "ar1")).train(table, now_ns=NOW)
    assert trained.card["in_use"] == "ar1"
    row = table.x[-2:].copy()
    row[:, SPREAD_COLUMN] = (3.0, 55.0)
    names = [table.pairs[i] for i in table.pair[-2:]]
    assert names == [PAIR, "okx:SOL-USDT|venue_b:SOL-USDT"]
    near, far = trained.predict(names, row)
    assert near == pytest.approx(0.7 * 3.0, abs=0.5)
    assert far == pytest.approx(40 + 0.7 * 15.0, abs=2.5)


def test_the_same_table_gives_the_same_model(trained, reverting_table):
    again = SpreadPredictor().train(reverting_table, now_ns=NOW)
    assert again.card == trained.card
    pairs = [PAIR] * 20
    np.testing.assert_array_equal(again.predict(pairs, reverting_table.x[:20]), trained.predict(pairs, reverting_table.x[:20]))


def test_a_horizon_of_thirty_steps_cannot_claim_skill_from_a_quarter_of_an_hour():
    table = fed({"BTC-USDT": reverting(900, 3)}, horizon_steps=30).table()
    assert (table.label_t - table.t == 30 * 1_000_000_000).all()
    card = SpreadPredictor(models=(*NAIVE, "mean")).train(table, now_ns=NOW).card
    assert card["horizon_steps"] == 30
    assert "independent blocks" in card["verdict"] or "no change" in card["verdict"]


def test_the_job_names_its_steps_and_its_result_can_travel(reverting_table):
    heard: list[tuple[float, str]] = []
    recipe = SpreadPredictor(models=("persistence", "ar1"))
    trained = train_job(lambda fraction, step: heard.append((fraction, step)), reverting_table, recipe, now_ns=NOW, source="sim")
    steps = [step for _, step in heard]
    assert steps[0].startswith("Load rows")
    assert "Walk-forward 3 of 8" in steps
    assert steps[-3:] == ["Fit", "Compare", "Done"]
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert pickle.loads(pickle.dumps(trained)).card == trained.card
    assert pickle.loads(pickle.dumps(train_job)) is train_job
    assert trained.card["source"] == "sim"
    assert trained.card["features"] == list(MODEL_FEATURES)
    json.dumps(trained.card, allow_nan=False)
