"""The four uses, as a person does them, on the real program: open, watch, retrain, export; and what is seen when it fails."""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.exchange import Exchange
from tests.program import PATIENCE_S, Program, line_of, until

pytestmark = pytest.mark.browser
MS = PATIENCE_S * 1000
LIVE = "window.DOPE && DOPE.link.status === 'live' && DOPE.state.instruments.size > 0"
GRID = """() => {
  const rows = [];
  if (document.querySelector('#opps-grid .ag-row')) dash_ag_grid.getApi('opps-grid').forEachNode((n) => rows.push(n.data));
  return rows;
}"""
SHOWN = "() => Object.fromEntries([...document.querySelectorAll('[data-test^=card-]')].map((n) => [n.dataset.test, n.textContent]))"


def own(text: str | None) -> float:
    """A number as the page prints it."""
    return float(re.sub(r"[\s\u2009\u202f$%]|bps", "", text or "").replace("\u2212", "-").lstrip("+"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(tmp_path_factory.mktemp("program"), "--source", "sim", "--speed", "3") as running:
        running.wait_ready()
        yield running


@pytest.fixture
def page(program: Program, again: Callable[..., Any]) -> Any:
    opened = again(program)
    opened.set_default_timeout(MS)
    opened.wait_for_function(LIVE)
    return opened


# -- open --------------------------------------------------------------------------------------------------------------
def test_opened_it_shows_a_moving_market_that_nobody_can_take_for_a_real_one(page: Any) -> None:
    assert page.text_content('[data-test="banner-sim"] span') == "SIMULATED MARKET: started on request"
    assert page.text_content('[data-test="mode"]') == "SIMULATED"
    page.wait_for_function("document.querySelector('[data-test=\"card-fleet\"]').textContent.trim() === '3 / 3'")
    page.wait_for_function("document.querySelectorAll('#chart-graph .scatterlayer .trace').length >= 1")
    page.wait_for_function("document.querySelectorAll('#tape-rows .ev').length > 0")
    assert page.locator("#matrix-table table").count() >= 6
    before = page.evaluate("JSON.stringify([...DOPE.state.instruments.values()].map((i) => i.mid))")
    page.wait_for_function(f"JSON.stringify([...DOPE.state.instruments.values()].map((i) => i.mid)) !== {json.dumps(before)}")
    page.wait_for_function("document.querySelector('[data-test=\"card-screen\"]').textContent.trim() !== '–'")
    assert page.complaints == []


def test_it_fits_every_screen(page: Any) -> None:
    page.wait_for_function("document.querySelectorAll('#chart-graph .scatterlayer .trace').length >= 1")
    for width, height in ((1680, 1020), (1366, 768), (412, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        fits = "[document.documentElement, document.querySelector('.main')].every((n) => n.scrollWidth <= n.clientWidth)"
        assert page.evaluate(fits), width
    assert page.complaints == []


# -- watch -------------------------------------------------------------------------------------------------------------
def test_opportunities_open_and_close_and_can_be_filtered(page: Any) -> None:
    some = f"(rows => rows.some((row) => row.state === 'open') && [rows, rows.filter((row) => row.state === 'open')])(({GRID})())"
    seen, opened = ([row["id"] for row in rows] for rows in page.wait_for_function(some).json_value())
    page.wait_for_function(f"({GRID})().some((row) => !{seen}.includes(row.id))")
    page.wait_for_function(f"({GRID})().some((row) => {opened}.includes(row.id) && ['closed', 'stale'].includes(row.state))")
    assert page.locator("#tape-rows .ev", has_text="closed after").count() > 0

    page.wait_for_function("[...DOPE.state.opps.values()].some((row) => row.net_bps > 0)")
    kinds = page.evaluate("[...new Set([...DOPE.state.opps.values()].map((row) => row.base))]")
    page.click(f'[data-test="asset-{kinds[0]}"]')
    page.wait_for_function(f"DOPE.view.asset === '{kinds[0]}'")
    page.wait_for_function(f"({GRID})().every((row) => row.base === '{kinds[0]}')")
    page.click('[data-test="asset-all"]')
    page.wait_for_function("DOPE.view.asset === ''")
    assert page.complaints == []


def test_the_ledger_of_an_opportunity_adds_up_to_the_cent(page: Any) -> None:
    frozen = f"() => {{ const row = ({GRID})().find((row) => row.state === 'open'); if (row) DOPE.actions.pause(); return row; }}"
    row = page.wait_for_function(frozen).json_value()  # found and frozen in one step: it might close in between
    page.evaluate(f"DOPE.inspect({row['id']})")
    page.wait_for_selector("#inspector:not([hidden])")
    names = ("received", "cost", "gross", "fee-buy", "fee-sell", "net")
    received, cost, gross, fee_buy, fee_sell, net = (round(own(page.text_content(f'[data-test="ledger-{name}"]')) * 1e4) for name in names)
    assert received - cost == gross and gross - fee_buy - fee_sell == net
    assert abs(net / 1e4 - row["net"]) <= 0.005
    assert abs(row["buy_cost"] + row["net"] - row["sell_proceeds"]) < 1e-6
    page.keyboard.press("Escape")
    page.click('[data-test="mode"]')
    page.wait_for_function("!DOPE.paused()")


def test_cards_table_and_api_say_the_same(page: Any, program: Program) -> None:
    for _ in range(50):  # what is open may close in the moment in which the page is frozen
        page.wait_for_function("[...DOPE.state.opps.values()].some((row) => row.state === 'open')")
        page.keyboard.press("Space")
        page.wait_for_function("DOPE.paused()")
        page.wait_for_timeout(300)
        if page.evaluate("DOPE.state.cards.open"):
            break
        page.keyboard.press("Space")
        page.wait_for_function("!DOPE.paused()")
    cards = page.evaluate("DOPE.state.cards")
    rows = page.evaluate("[...DOPE.state.opps.values()]")
    shown = page.evaluate(SHOWN)
    assert cards["open"] == sum(row["state"] in ("open", "fading") for row in rows) == int(own(shown["card-open"]))
    assert int(own(shown["card-total"])) == cards["total"]
    assert cards["best"]["net"] == max(row["net"] for row in rows if row["state"] in ("open", "fading"))
    answer = program.get("/api/v1/opportunities?limit=10000").json()
    known = {row["id"]: row for row in answer["rows"]}
    assert answer["matched"] >= cards["total"]
    for row in rows:
        assert known[row["id"]]["opened_ms"] == row["opened"]
        assert (known[row["id"]]["buy"], known[row["id"]]["sell"]) == (row["buy"], row["sell"])
    page.click('[data-test="mode"]')
    page.wait_for_function("!DOPE.paused()")


def test_a_market_is_found_watched_and_left_again_while_everything_runs(page: Any, program: Program) -> None:
    page.click("#rail-settings")
    page.fill('[data-test="finds-q"]', "usdc/usdt")
    page.click('[data-test="watch-okx:USDC-USDT"]')
    page.wait_for_function("(DOPE.state.instruments.get('okx:USDC-USDT') || {}).state === 'LIVE'")
    page.wait_for_function("document.querySelector(`#finds-rows tr[data-key='okx:USDC-USDT']`).innerText.includes('● LIVE')")
    assert program.get("/api/v1/books/USDC-USDT").json()[0]["current"] is True
    page.click('[data-test="unwatch-okx:USDC-USDT"]')
    page.wait_for_function("!DOPE.state.instruments.has('okx:USDC-USDT')")
    page.wait_for_selector('[data-test="watch-okx:USDC-USDT"]')
    until(lambda: all(row["state"] == "LIVE" for row in program.live()["instruments"]), "all others go on")
    assert page.complaints == []


# -- export ------------------------------------------------------------------------------------------------------------
def download(page: Any, form: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(f'[data-test="export-{form}"]')
    return Path(waiting.value.path()).read_bytes()


def test_exported_files_hold_the_rows_of_the_api_with_the_filters_of_the_page(page: Any, program: Program) -> None:
    until(lambda: len(program.get("/api/v1/opportunities?state=closed").json()["rows"]) >= 3, "three closed opportunities")
    asset = program.get("/api/v1/opportunities?state=closed").json()["rows"][-1]["base"]
    page.click(f'[data-test="asset-{asset}"]')
    page.keyboard.press("e")
    page.wait_for_selector("#export[open]")
    files = {form: download(page, form) for form in ("csv", "parquet", "json")}
    rows = program.get(f"/api/v1/opportunities?asset={asset}&state=closed&limit=10000").json()["rows"]
    closed = {row["id"]: row for row in rows}
    tables = {
        "csv": pd.read_csv(io.BytesIO(files["csv"]), comment="#"),
        "parquet": pd.read_parquet(io.BytesIO(files["parquet"])),
        "json": pd.DataFrame(json.loads(files["json"])["rows"]),
    }
    for form, table in tables.items():
        assert set(table["base"]) == {asset}, form
        done = table[table["state"] == "closed"]
        assert len(done) >= 1, form
        for row in done.to_dict("records"):
            same = closed[row["id"]]
            for name in ("symbol", "buy", "sell", "net_bps", "net", "qty", "peak_bps", "updates"):
                assert row[name] == same[name], (form, name)
            opened = row["opened"] if form == "parquet" else datetime.fromisoformat(str(row["opened"]))
            assert opened.timestamp() * 1000 == pytest.approx(same["opened_ms"]), form
    assert page.complaints == []


# -- retrain -----------------------------------------------------------------------------------------------------------
@pytest.mark.full  # the Predict page is trained on the real program in each run
def test_a_person_retrains_the_model_and_is_told_what_it_is_worth(page: Any, program: Program) -> None:
    page.click("#rail-predict")
    page.wait_for_selector("#page-predict:not([hidden])")
    button = page.locator('[data-test="retrain"], #retrain').first
    if program.live()["pred"]["samples"] < 50:
        assert button.is_disabled()
        assert re.search(r"\d+ of 50", page.text_content("#page-predict"))
    page.wait_for_function("!(document.querySelector('[data-test=\"retrain\"]') || document.getElementById('retrain')).disabled")
    versions = len(program.live()["pred"]["versions"])
    button.click()
    page.wait_for_selector('[data-test="train-progress"]')
    # it trains by itself, too: there may be one more
    page.wait_for_function(f"DOPE.state.pred.versions.length > {versions} && DOPE.state.pred.status === 'ready'")
    claims = not program.live()["pred"]["card"]["verdict"].startswith("no evidence")
    head = "Evidence of skill" if claims else "No evidence of skill"
    page.wait_for_function(f"document.querySelector('[data-test=\"verdict\"]').textContent === {json.dumps(head)}")
    assert claims or "Do not act on this forecast" in page.text_content('[data-test="verdict-why"]')
    page.wait_for_function("DOPE.state.pred.rows.some((row) => row.predicted !== null)")
    assert page.complaints == []


# -- from the sample market to the live one ----------------------------------------------------------------------------
@pytest.mark.full  # tests/app/test_sources.py does it without a page, test_live_page.py without a program
def test_when_a_venue_can_be_reached_the_page_offers_to_go_live_and_does(visit: Callable[..., Any], tmp_path: Path) -> None:
    exchange = Exchange()
    try:
        with Program(tmp_path, endpoints=exchange.endpoints, live_timeout_s=1, probe_s=0.5) as auto:
            until(lambda: auto.live().get("mode", {}).get("source") == "sim", "the sample market")
            page = visit(auto)
            page.set_default_timeout(MS)
            page.wait_for_selector('[data-test="banner-sim"] span:text-is("SIMULATED MARKET: no exchange can be reached")')
            assert page.locator('[data-test="go-live"]').count() == 0
            exchange.up()
            page.click('[data-test="go-live"]')
            page.wait_for_selector('[data-test="banner-sim"]', state="detached")
            page.wait_for_function("document.querySelector('[data-test=\"mode\"]').textContent === 'LIVE'")
            page.wait_for_function("[...DOPE.state.instruments.values()].filter((row) => row.state === 'LIVE').length === 12")
            assert page.complaints == []
    finally:
        exchange.close()


# -- when it fails -----------------------------------------------------------------------------------------------------
def lost(page: Any) -> None:
    page.wait_for_selector('[data-test="banner-lost"]')
    assert page.text_content('[data-test="mode"]') == "DISCONNECTED"
    assert page.locator("body.is-lost").count() == 1


def back(page: Any) -> None:
    page.wait_for_function(LIVE)
    page.wait_for_selector('[data-test="banner-lost"]', state="detached")
    tick = page.evaluate("DOPE.state.sys.tick")
    page.wait_for_function(f"DOPE.state.sys.tick !== {tick}")


def test_a_server_that_hangs_or_dies_is_told_in_red_and_the_page_comes_back_by_itself(page: Any, program: Program, tmp_path: Path) -> None:
    """The last one here: it ends the program of the others."""
    program.process.send_signal(signal.SIGSTOP)
    lost(page)
    program.process.send_signal(signal.SIGCONT)
    back(page)
    program.end(signal.SIGKILL)
    lost(page)
    with Program(tmp_path, "--source", "sim", port=int(program.url.rpartition(":")[2])):
        back(page)


@pytest.mark.full
def test_an_engine_that_gives_up_and_the_end_of_its_program_are_told_in_red(visit: Callable[..., Any], tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        page = visit(program)
        page.set_default_timeout(MS)
        page.wait_for_function(LIVE)
        program.children()[0].kill()  # the market's process: mended once, then the engine gives up
        until(lambda: [event for event in program.live()["events"] if "started anew" in event["text"]], "the restart")

        def has_given_up() -> bool:
            """Killed as often as it comes back: on a slow machine the first time may be forgotten by the second."""
            for child in program.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "dope.sim" in line_of(child):
                        child.kill()
            return bool(page.is_visible('[data-test="banner-stopped"]'))

        until(has_given_up, "the engine gives up")
        assert page.text_content('[data-test="mode"]') in ("STOPPED", "DISCONNECTED")
        assert program.process.wait() == 70
        lost(page)
