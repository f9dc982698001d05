"""The Predict page: as a person trains over the real program, and every state it can be in over a board that is held still."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dope.board import EMPTY, Snapshot
from dope.dashboard import predict
from tests.browser.again import SIZE, watch
from tests.browser.dev_server import Server
from tests.browser.patience import patient
from tests.browser.real_server import House, until

pytest_plugins = ("tests.browser.real_server_plugin",)
pytestmark = pytest.mark.browser
OVER = """() => [document.documentElement.scrollWidth > innerWidth,
  ...[...document.querySelectorAll('.page.on :is(.card, .verdict, button, select, input)')]
  .filter((n) => n.getClientRects().length && !n.closest('.scroll') && n.getBoundingClientRect().right > innerWidth + 0.5)
  .map((n) => n.id || n.className)]"""
PAIR = ("binance_spot:BTC-USDT", "okx:BTC-USDT")
OTHER = ("binance_usdm:ETH-USDT-PERP", "okx:ETH-USDT-PERP")
NO_SKILL = "no evidence of skill: p = 0.28, claimed only at p ≤ 0.05"
SKILL = "skill 24% over persistence and 26% over the mean, out of sample (n = 930, p = 0.005)"


def own(text: str | None) -> float:
    """A number as the page prints it."""
    return float(re.sub(r"[\s\u2009%]", "", text or "").replace("\u2212", "-").lstrip("+"))


def score(model: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "model": model, "n": 930, "rmse": 7.78, "mae": 2.83, "skill_persistence": 0.0, "skill_mean": 0.037, "sign_accuracy": 0.0,
        "sign_base": 0.512, "p_value": None, "dm_persistence": None, "dm_mean": 0.27, "blocks": 155.0,
    }  # fmt: skip
    return plain | changes


def model_card(verdict: str, in_use: str = "ar1", rows: int = 984) -> dict[str, Any]:
    learned = {"skill_persistence": 0.235, "skill_mean": 0.263, "sign_accuracy": 0.658, "rmse": 6.81, "p_value": 0.005}
    scores = [score("persistence"), score("mean"), score("ar1", **learned), score("ridge", **learned)]
    now = int(time.time() * 1000)
    return {
        "version": "2026-11-21T06:06:19.675516Z", "trained": now - 60_000, "rows": rows, "rows_needed": 580, "from": now - 200_000,
        "to": now - 60_000, "features": ["spread"], "scores": scores, "in_use": in_use, "verdict": verdict,
    }  # fmt: skip


def pair_row(pair: tuple[str, str], **changes: Any) -> dict[str, Any]:
    symbol = pair[0].partition(":")[2]
    plain = {
        "a": pair[0], "b": pair[1], "symbol": symbol, "kind": "perp" if symbol.endswith("PERP") else "spot",
        "current": 1.25, "predicted": -2.09, "persistence": 1.25, "t": int(time.time()) * 1000, "band": [-13.49, 9.3], "note": "",
    }  # fmt: skip
    return plain | changes


def section(**changes: Any) -> dict[str, Any]:
    plain = {
        "status": "ready", "samples": 164, "needed": 50, "horizon_steps": 1, "step_s": 1.0, "card": None,
        "rows": [pair_row(PAIR), pair_row(OTHER)],
        "live": {"n": 0, "rmse": None, "rmse_persistence": None, "skill": None, "coverage": None}, "versions": [], "error": "",
        "next_train": int(time.time() * 1000) + 200_000,
    }  # fmt: skip
    return plain | changes


class Still:
    """A page over a board that says only what a test publishes."""

    MARKS = itertools.count(1)

    def __init__(self, server: Any, page: Any) -> None:
        self.server, self.page = server, page

    def say(self, jobs: list[dict[str, Any]] | None = None, series: dict[str, Any] | None = None, **pred: Any) -> None:
        """Publish and wait until the page has drawn it."""
        mark = next(self.MARKS)
        data = {"pred": {**section(**pred), "mark": mark}, "jobs": jobs or []}
        self.server.board.publish(time.time_ns(), data if series is None else {**data, "series": series})
        self.page.wait_for_function(f"DOPE.state.pred && DOPE.state.pred.mark === {mark}")
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, name: str) -> str:
        return str(self.page.text_content(f'[data-test="{name}"]'))


@pytest.fixture(scope="module")
def silent(browser: Any) -> Iterator[Server]:
    """The server of an engine that says nothing by itself."""
    with Server("starting") as running:
        yield running
        browser.tab.leave()


@pytest.fixture
def still(silent: Server, browser: Any) -> Iterator[Still]:
    """One page for all tests that use it: each says all that it looks at."""
    page = patient(browser.new_page(viewport=SIZE))
    watch(page, silent.url)
    if not page.url.startswith(silent.url):
        page.goto(silent.url + "/?tour=0")
        page.wait_for_selector('[data-test="st-venues"]', state="attached")
    page.click("#rail-predict")
    page.evaluate("DOPE.predict.past.clear()")
    yield Still(silent, page)
    browser.tab.rest()


def job(state: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time() * 1000)
    plain = {"id": 7, "kind": "train", "state": state, "progress": 0.4, "step": "Walk-forward 3 of 8", "eta_s": 12.0, "started": now - 8000,
             "ended": None if state in ("queued", "running") else now, "error": None, "result": None}  # fmt: skip
    return plain | changes


# -- over the real program ---------------------------------------------------------------------------------------------
def test_a_person_waits_clicks_retrain_sees_progress_and_then_the_version_and_its_verdict(house: House, visit: Any) -> None:
    page = visit(house, "/predict?tour=0")
    page.wait_for_selector("#retrain:not([disabled])", timeout=240_000)
    before = page.locator("#versions-rows tr").count()
    worker = house.hold_next_worker(lambda: page.click("#retrain"))
    page.wait_for_selector('[data-test="train-progress"]')
    assert page.is_disabled("#retrain") and page.is_visible('[data-test="train-cancel"]')
    assert "Walk-forward test" in page.text_content('[data-test="train-job"]')
    worker.resume()
    page.wait_for_function(f"document.querySelectorAll('#versions-rows tr').length > {before}")
    page.wait_for_selector('[data-test="train-job"] [data-state="done"]')
    card = until(lambda: house.section("pred")["card"], "a model")
    verdict = "No evidence of skill" if card["verdict"].startswith("no evidence") else "Evidence of skill"
    page.wait_for_selector(f'[data-test="verdict"]:text-is("{verdict}")')
    assert card["verdict"].partition(": ")[2] in page.text_content('[data-test="verdict-why"]')
    assert "simulated market" in page.text_content('[data-test="verdict-notes"]')
    shown = page.locator("#scores-rows tr").evaluate_all("(rows) => rows.map((row) => [row.dataset.key, row.children[1].textContent])")
    assert [(model, own(n)) for model, n in shown] == [(each["model"], each["n"]) for each in card["scores"]]
    assert page.locator("#scores-rows tr.on").get_attribute("data-key") == card["in_use"]
    page.wait_for_function("document.querySelector('[data-test=\"predict-forecast\"]').textContent !== '–'")
    page.wait_for_function("((DOPE.plot('predict-graph') || {}).data || []).some((t) => t.y.length > 3)")
    assert page.complaints == []


def test_the_key_r_trains_and_cancel_ends_it_without_a_new_model(house: House, again: Any) -> None:
    page = again(house, "predict")
    page.wait_for_selector("#retrain:not([disabled])", timeout=240_000)
    until(lambda: not any(each["state"] in ("queued", "running") for each in house.jobs("train")), "no training")
    before = len(house.section("pred")["versions"])
    house.hold_next_worker(lambda: page.keyboard.press("r"))
    page.click('[data-test="train-cancel"]')
    page.wait_for_selector('[data-test="train-job"] [data-state="cancelled"]')
    assert "cancelled" in page.text_content('[data-test="train-job"]')
    assert len(house.section("pred")["versions"]) == before
    page.wait_for_selector("#retrain:not([disabled])")


def test_the_pairs_are_those_of_the_engine_and_a_chosen_one_is_drawn(house: House, again: Any) -> None:
    page = again(house, "predict")
    rows = house.section("pred")["rows"]
    page.wait_for_function(f"document.querySelectorAll('#pairs-rows tr').length === {len(rows)}")
    last = page.locator("#pairs-rows tr").last
    last.locator("button").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.getElementById('predict-chart-title').textContent.startsWith('{rows[-1]['symbol']}:')")
    assert last.get_attribute("class") == "on"
    page.select_option("#predict-pair", index=0)
    page.wait_for_function(f"document.getElementById('predict-chart-title').textContent.startsWith('{rows[0]['symbol']}:')")
    page.click('[data-test="kind-perp"]')
    page.wait_for_function(f"document.querySelectorAll('#pairs-rows tr').length === {sum(row['kind'] == 'perp' for row in rows)}")


def test_nothing_runs_over_the_side(house: House, again: Any) -> None:
    page = again(house, "predict")
    page.wait_for_selector("#pairs-rows tr")
    for width in (1680, 1366, 820, 412):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(300)
        assert page.evaluate(OVER) == [False], width
    assert page.complaints == []


# -- each state, over a board that is held still -------------------------------------------------------------------------
def test_while_collecting_it_says_how_much_is_missing_and_shows_no_forecast(still: Still) -> None:
    rows = [pair_row(PAIR, predicted=None, band=None, note="no trained model for this pair yet")]
    still.say(status="collecting", samples=12, rows=rows)
    assert still.text("verdict") == "No model yet"
    assert still.text("predict-forecast") == "–" and "no trained model" in still.text("predict-forecast-detail")
    assert still.text("predict-samples") == "12" and still.page.text_content("#predict-samples-u") == "of 50"
    assert "20 × features" in still.text("predict-samples-detail")
    still.page.wait_for_function("document.getElementById('retrain-why').textContent.startsWith('needs 50 samples, has 12')")
    assert still.page.is_disabled("#retrain")
    assert still.page.is_visible('[data-test="scores-empty"]') and still.page.is_visible('[data-test="versions-empty"]')
    assert still.page.complaints == []


def test_without_skill_it_says_so_first_and_with_skill_it_says_on_what_it_rests(still: Still) -> None:
    still.say(card=model_card(NO_SKILL), live={"n": 738, "rmse": 8.1, "rmse_persistence": 9.2, "skill": 0.196, "coverage": 0.896})
    assert still.text("verdict") == "No evidence of skill"
    assert "p = 0.28" in still.text("verdict-why") and "Do not act" in still.text("verdict-why")
    assert still.page.get_attribute("#predict-verdict", "class") == "verdict no"
    assert own(still.text("predict-live")) == 19.6 and "89.6" in still.text("predict-live-detail")
    assert own(still.text("predict-skill")) == 23.5 and "n = 930" in still.text("predict-skill-detail")
    assert own(still.text("predict-sign")) == 65.8 and "51.2" in still.text("predict-sign-detail")
    still.say(card=model_card(SKILL))
    assert still.text("verdict") == "Evidence of skill" and still.text("verdict-why") == SKILL


def test_the_forecast_card_names_what_is_predicted_and_its_band(still: Still) -> None:
    still.say(card=model_card(NO_SKILL))
    assert own(still.text("predict-forecast")) == -2.09
    detail = still.text("predict-forecast-detail").replace("\u2009", " ")
    assert detail == "mid spread, next 1 s · 90 % band −13.49 … +9.30"


def test_persistence_in_use_claims_neither_skill_nor_direction(still: Still) -> None:
    still.say(card=model_card("no evidence of skill: no model did better than “no change”", in_use="persistence"))
    assert own(still.text("predict-skill")) == 0 and "persistence itself" in still.text("predict-skill-detail")
    assert still.text("predict-sign") == "–"


def test_few_rows_keep_learned_models_silent(still: Still) -> None:
    still.say(card=model_card(NO_SKILL, rows=120))
    assert "120 of 580 rows until a learned model may speak" in still.text("predict-samples-detail")
    assert "too few rows" in still.page.text_content('#scores-rows tr[data-key="ridge"]')
    assert "too few rows" not in still.page.text_content('#scores-rows tr[data-key="ar1"]')


def test_a_running_training_shows_its_step_and_a_failed_one_its_reason(still: Still) -> None:
    still.say(jobs=[job("running")], status="training")
    bar = still.page.locator('[data-test="train-progress"]')
    assert bar.get_attribute("aria-valuenow") == "40" and bar.get_attribute("aria-valuetext") == "Walk-forward 3 of 8"
    assert "about 12" in still.text("train-job") and "3 of 8" in still.text("train-job")
    assert still.page.locator('[data-test="train-job"] li.done').count() == 2
    assert still.page.is_disabled("#retrain")
    still.say(jobs=[job("failed", error="ModelError: the table holds no rows")], status="failed", error="training failed: ModelError")
    assert "no rows" in still.page.text_content('[data-test="train-job"] [role="alert"]')
    assert still.text("verdict") == "No model" and still.page.is_enabled("#retrain")


def test_a_second_without_a_book_is_a_hole_in_the_line(still: Still) -> None:
    start = int(time.time()) * 1000 - 60_000
    times = [start + 1000 * k for k in range(60) if k != 30]
    a = [None if k == 20 else 100.02 for k in range(59)]
    series = {"t": times, "mid": {PAIR[0]: a, PAIR[1]: [100.0] * 59}}
    still.say(card=model_card(NO_SKILL), series=series, rows=[pair_row(PAIR, t=times[-1])])
    still.page.wait_for_function("((DOPE.plot('predict-graph') || {}).data || []).length >= 3")
    x, y, joined = still.page.evaluate("(({ x, y, connectgaps }) => [x, y, connectgaps])(DOPE.plot('predict-graph').data[1])")
    assert joined is False and y.count(None) == 2 and len(x) == 60
    assert y[0] == pytest.approx(1.9998, abs=1e-4), "10 000 · ln(mid A ÷ mid B)"
    assert y[-1] == 1.25, "what the predictor saw goes before what can be derived from the mids"


def test_names_from_outside_stay_text(still: Still) -> None:
    evil = "<img src=x onerror=alert(1)>"
    still.say(card=model_card(f"no evidence of skill: {evil}"), rows=[pair_row(PAIR, symbol=evil, note=evil)], error=evil)
    assert evil in still.text("verdict-why") and evil in still.page.text_content("#pairs-rows")
    assert still.page.locator(".page img").count() == 0
    assert still.page.complaints == []


def test_from_another_page_r_only_shows_the_page(still: Still) -> None:
    still.say(card=model_card(NO_SKILL))
    still.page.click("#rail-live")
    still.page.wait_for_function("DOPE.page === 'live'")
    still.page.keyboard.press("r")
    still.page.wait_for_function("DOPE.page === 'predict'")
    assert still.server.market.commands == []


# -- first paint -----------------------------------------------------------------------------------------------------------
def test_the_first_paint_holds_samples_and_verdict() -> None:
    assert predict.draw(EMPTY) == {}
    drawn = predict.draw(Snapshot(seq=1, t_ns=1, data={"pred": section(card=model_card(NO_SKILL))}))
    assert drawn["predict-samples-v"] == "164" and drawn["predict-samples-u"] == "of 50"
    assert drawn["predict-verdict-head"] == "No evidence of skill" and drawn["predict-verdict-text"].startswith("p = 0.28")


def test_a_fresh_server_whose_first_visitor_opens_an_inner_page_serves_its_scripts(house: House) -> None:
    assert "_dash-component-suites" in house.first_page and "41-predict" in house.first_page
