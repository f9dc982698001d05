"""The Backtest page as a person uses it, over the real program: form, progress, both results, curves, export, what fails."""

from __future__ import annotations

import asyncio
import csv
import inspect
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dope.board import Board
from dope.dashboard import backtest
from dope.dashboard.app import build
from dope.settings import Settings
from tests.browser.patience import patient
from tests.browser.real_server import House, until

pytest_plugins = ("tests.browser.real_server_plugin",)
pytestmark = pytest.mark.browser
FREE = "#run-backtest:not([disabled])"
SHOWN = '[data-test="backtest-result"]:not([hidden])'
OVER = """() => [document.documentElement.scrollWidth > innerWidth,
  ...[...document.querySelectorAll('.page.on :is(.card, .verdict, button, select, input)')]
  .filter((n) => n.getClientRects().length && !n.closest('.ag-root, .scroll') && n.getBoundingClientRect().right > innerWidth + 0.5)
  .map((n) => n.id || n.className)]"""


def own(text: str | None) -> float:
    """A number as the page prints it."""
    return float(re.sub(r"[\s\u2009%]", "", text or "").replace("\u2212", "-").lstrip("+"))


def shown(page: Any, name: str) -> float:
    return own(page.text_content(f'[data-test="{name}"]'))


@pytest.fixture
def page(house: House, again: Any) -> Any:
    opened = again(house, "backtest")
    opened.select_option("#backtest-tape", "")
    for name, value in (("latency_ms", "100"), ("order_size", "1000")):
        opened.fill(f"#backtest-{name}", value)
    opened.evaluate("document.activeElement.blur()")
    opened.wait_for_selector(FREE)
    return opened


@pytest.fixture(scope="module")
def report(house: House, browser: Any) -> dict[str, Any]:
    """What a person gets who clicks once opportunities have been seen; the page itself is looked at by the tests."""
    until(lambda: (house.section("cards") or {}).get("total", 0) >= 6, "six opportunities")
    page = patient(browser.new_page())
    page.goto(house.url + "/backtest?tour=0")
    page.wait_for_selector(FREE)
    assert page.text_content('[data-test="backtest-empty"] h3') == "No backtest yet"
    worker = house.hold_next_worker(lambda: page.click("#run-backtest"))
    page.wait_for_selector('[data-test="backtest-progress"]')
    assert page.is_disabled("#run-backtest")
    assert page.text_content('[data-test="backtest-why"]') == "a backtest is running"
    assert page.locator('[data-test="backtest-job"] li').all_text_contents()[0].startswith("Start a worker process")
    worker.resume()
    page.wait_for_selector(SHOWN)
    page.close()
    done = next(job for job in house.jobs("backtest") if job["state"] == "done")
    result: dict[str, Any] = done["result"]
    return result


def test_naive_and_honest_stand_side_by_side_with_the_numbers_of_the_report(page: Any, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    naive, honest = report["naive"], report["result"]
    assert shown(page, "naive-trades") == naive["trades"] == report["opportunities"]
    assert shown(page, "naive-win") == pytest.approx(naive["win_rate"] * 100, abs=0.06)
    assert shown(page, "naive-return") == pytest.approx(naive["total_return_pct"], abs=0.0006)
    assert shown(page, "naive-average") == pytest.approx(naive["avg_profit_pct"], abs=0.00006)
    assert shown(page, "honest-net") == pytest.approx(honest["realised_net"], abs=0.006)
    assert shown(page, "honest-average") == pytest.approx(honest["average_profit"], abs=0.0006)
    assert shown(page, "honest-drawdown") == pytest.approx(honest["max_drawdown"], abs=0.006)
    assert "upper bound" in page.text_content("#backtest-naive-note")
    names, values = (page.locator(f"#backtest-honest {tag}").all_text_contents() for tag in ("dt", "dd"))
    counts = dict(zip(names, values, strict=True))
    assert own(counts["Attempted"]) == honest["attempted"]
    assert own(counts["Both filled"].split("·")[0]) == honest["both_filled"]
    boxes = [page.locator(f"#backtest-{side}").bounding_box() for side in ("naive", "honest")]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert "SIMULATED" in page.text_content('[data-test="backtest-source"]')
    assert page.complaints == []


def test_the_way_from_gross_to_realised_adds_up_as_printed(page: Any, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    gross, depth, fees, promised, latency, realised = map(own, page.locator('[data-test="way"] b').all_text_contents())
    assert gross + depth + fees == pytest.approx(promised, abs=0.021)
    assert promised + latency == pytest.approx(realised, abs=0.016)
    assert realised == pytest.approx(report["result"]["realised_net"], abs=0.006)


def test_curves_latencies_trades_and_assumptions_are_drawn(page: Any, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    page.wait_for_function("((DOPE.plot('backtest-graph') || {}).data || []).length >= 2")
    names = page.evaluate("DOPE.plot('backtest-graph').data.map((trace) => trace.name)")
    assert "honest" in names and any(name.startswith("naive") for name in names)
    ends = page.evaluate("DOPE.plot('backtest-graph').data.map((trace) => trace.y[trace.y.length - 1])")
    assert ends[names.index("honest")] == pytest.approx(report["result"]["realised_net"])
    assert page.locator("#latency-rows tr").count() >= len(report["sensitivity"])
    page.wait_for_function(f"dash_ag_grid.getApi('trades-grid').getDisplayedRowCount() === {len(report['result']['trades'])}")
    assert page.locator("#backtest-assumptions li").count() == len(report["assumptions"]) + 1
    assert page.locator('[data-test="backtest-gaps"]').count() == (1 if report["gaps"]["silences"] or report["gaps"]["events"] else 0)
    assert page.complaints == []


def test_the_csv_holds_the_same_numbers_and_no_formula(page: Any, report: dict[str, Any], tmp_path: Path) -> None:
    page.wait_for_selector(SHOWN)
    with page.expect_download() as wait:
        page.click('[data-test="trades-csv"]')
    wait.value.save_as(tmp_path / "trades.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "trades.csv").read_text())))
    trades = report["result"]["trades"]
    assert [float(row["net"]) for row in rows] == [trade["net"] for trade in trades]
    assert [float(row["buy_vwap"]) if row["buy_vwap"] else None for row in rows] == [trade["buy_vwap"] for trade in trades]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", row["time_utc"]) for row in rows)
    evil = {"result": {"trades": [{**trades[0], "symbol": '=cmd|"x",1', "status": "@sum", "net": -1.5}]}}
    text = page.evaluate("(report) => DOPE.backtest.csv(report)", evil)
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["symbol"] == '\'=cmd|"x",1' and row["status"] == "'@sum" and row["net"] == "-1.5"
    with page.expect_download() as wait:
        page.click('[data-test="report-json"]')
    assert json.loads(Path(wait.value.path()).read_text())["result"]["realised_net"] == report["result"]["realised_net"]


def test_a_cancelled_run_says_so_and_the_last_result_stays(page: Any, house: House, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    house.hold_next_worker(lambda: page.click("#run-backtest"))
    page.click('[data-test="backtest-cancel"]')
    page.wait_for_selector('[data-test="backtest-job"] [data-state="cancelled"]')
    assert "cancelled" in page.text_content('[data-test="backtest-job"]')
    assert page.is_visible(SHOWN) and shown(page, "naive-trades") == report["naive"]["trades"]
    page.wait_for_selector(FREE)


def test_a_failed_run_shows_its_reason(page: Any, house: House, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    house.hold_next_worker(lambda: page.click("#run-backtest")).kill()
    page.wait_for_selector('[data-test="backtest-job"] [data-state="failed"]')
    assert "worker process ended by itself" in page.text_content('[data-test="backtest-job"] [role="alert"]')
    assert page.is_visible(SHOWN)
    page.wait_for_selector(FREE)


def test_a_wrong_number_is_explained_and_cannot_be_sent(page: Any) -> None:
    wrongs = (("latency_ms", "-1", "Latency"), ("order_size", "0", "Order size"), ("latency_ms", "", "a number is needed"))
    for name, wrong, words in wrongs:
        page.fill(f"#backtest-{name}", wrong)
        assert page.is_disabled("#run-backtest")
        assert words in page.text_content('[data-test="backtest-why"]')
        assert page.get_attribute(f"#backtest-{name}", "aria-invalid") == "true"
        page.fill(f"#backtest-{name}", "250")
    assert page.is_enabled("#run-backtest")


def test_recordings_are_listed_and_an_unreadable_one_cannot_be_chosen(page: Any, house: House) -> None:
    page.wait_for_function("document.querySelectorAll('#backtest-tape option').length >= 3")
    options = page.locator("#backtest-tape option")
    assert options.first.text_content() == "What this run has recorded"
    broken = page.locator('#backtest-tape option[value="broken.dope"]')
    assert broken.is_disabled() and "unreadable" in broken.text_content()
    assert any("simulated" in text and "not closed" in text for text in options.all_text_contents())
    before = options.count()
    (house.data / f"another-{before}.dope").write_bytes(b"nor this\n" * 20)
    page.click("#backtest-reload")
    page.wait_for_function(f"document.querySelectorAll('#backtest-tape option').length === {before + 1}")


def test_a_chosen_recording_is_run_with_the_numbers_of_the_form_and_earlier_results_can_be_shown_again(
    page: Any, house: House, report: dict[str, Any]
) -> None:
    page.wait_for_selector(SHOWN)
    (name,) = report["tapes"]
    page.wait_for_selector(f'#backtest-tape option[value="{name}"]', state="attached")
    page.select_option("#backtest-tape", name)
    page.fill("#backtest-latency_ms", "250")
    page.fill("#backtest-order_size", "500")
    page.click("#run-backtest")
    page.wait_for_function("DOPE.backtest.shown && DOPE.backtest.shown.report.order_size === 500")
    latest = next(job for job in reversed(house.jobs("backtest")) if job["state"] == "done")["result"]
    assert latest["tapes"] == [name] and latest["result"]["latency_ms"] == 250 and latest["order_size"] == 500
    assert page.locator("#latency-rows tr.chosen td").first.text_content().replace("\u2009", " ") == "250 ms (chosen)"
    first = page.locator("#backtest-shown option").last.get_attribute("value")
    page.select_option("#backtest-shown", first)
    page.wait_for_function(f"DOPE.backtest.shown.id === {first}")
    assert shown(page, "naive-trades") == page.evaluate("DOPE.backtest.shown.report.naive.trades")


def test_a_frozen_screen_starts_nothing(page: Any) -> None:
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('backtest-why').textContent.includes('frozen')")
    assert page.is_disabled("#run-backtest")
    page.keyboard.press("Space")
    page.wait_for_selector(FREE)


def test_nothing_runs_over_the_side(page: Any, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    for width in (1680, 1366, 820, 412):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(300)
        assert page.evaluate(OVER) == [False], width
    assert page.complaints == []


def test_it_works_by_keyboard_alone(page: Any, house: House, report: dict[str, Any]) -> None:
    page.wait_for_selector(SHOWN)
    before = len(house.jobs("backtest"))
    page.focus("#backtest-latency_ms")
    started = house.hold_next_worker(lambda: page.keyboard.press("Enter"))
    until(lambda: len(house.jobs("backtest")) == before + 1, "a job started by Enter")
    started.kill()
    page.wait_for_selector(FREE)


def test_before_the_engine_has_spoken_nothing_can_be_started(serve: Any, visit: Any) -> None:
    page = visit(serve("starting"), wait='[data-test="run-backtest"]')
    page.click("#rail-backtest")
    assert page.is_disabled("#run-backtest")
    page.wait_for_function("document.getElementById('backtest-why').textContent === 'waiting for the engine'")
    assert page.is_visible('[data-test="backtest-empty"]')


def test_the_list_is_read_by_an_async_callback_that_survives_a_missing_engine() -> None:
    app = build(Board(), Settings(_env_file=None))
    (callback,) = (entry["callback"].__wrapped__ for key, entry in app.callback_map.items() if "backtest-tape" in key)
    assert inspect.iscoroutinefunction(callback)
    with ThreadPoolExecutor(1) as thread:  # the browser of other tests has a loop in this one
        options, note = thread.submit(asyncio.run, callback("/backtest", 0)).result()
    assert [option.value for option in options] == [""] and "not running" in note
    assert backtest.draw(Board().read()) == {}
