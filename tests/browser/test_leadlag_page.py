"""The Lead-lag page: who leads whom as matrix, network and table that agree, small samples grey, nothing and trouble said plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dope.dashboard import leadlag as page_of
from dope.errors import NoEngine
from dope.readings.leadlag import LeadLag
from tests.browser.dev_server import Server
from tests.test_leadlag import ask, session_of

pytestmark = pytest.mark.browser
SCORE = {"base": "BTC", "leader": "okx:BTC-USDT", "follower": "kraken:BTC-USDT", "n": 7, "led": 6, "simultaneous": 1, "unresolved": 0,
         "share": 6 / 7, "low": 0.4, "high": 0.97, "p": 0.125, "lag_ms": 41.0, "lag_q25_ms": 39.0, "lag_q75_ms": 44.0,
         "verdict": "few"}  # fmt: skip


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lags = {"okx": 0, "kraken": 40, "bybit": 80}
    told = ask(LeadLag(), session_of(tmp_path_factory.mktemp("found"), lags))
    enough = SCORE | {"n": 24, "led": 23, "p": 3e-6, "follower": "bybit:BTC-USDT", "verdict": "leads", "lag_ms": 81.0}
    at = told["paths"]["offsets_ms"]
    paths = [{"key": f"{venue}:BTC-USDT", "n": 7, "bps": [5.0 if t >= lag else 0.0 for t in at]} for venue, lag in lags.items()]
    return told | {"jumps": [SCORE, enough], "paths": {"jumps": 7, "offsets_ms": at, "markets": paths}}


def test_the_leader_is_shown_with_its_evidence_and_what_is_not_sure_is_grey(
    serve: Callable[..., Server], visit: Callable[..., Any], finding: dict[str, Any], tmp_path: Path
) -> None:
    server = serve()
    page = visit(server)
    page.click(f"#rail-{page_of.ID}")
    page.wait_for_selector('#leadlag-matrix:has-text("Nothing is reckoned yet")')
    server.market.readings["leadlag"] = finding
    page.wait_for_selector("#leadlag-matrix td.leads")
    lag = "document.querySelector('#leadlag-matrix [data-pair=\"okx:BTC-USDT kraken:BTC-USDT\"]')"
    assert page.evaluate(f"{lag}.className") == "leads"
    assert abs(float(page.evaluate(f"{lag}.querySelector('b').textContent").split()[0]) - 40) <= 5
    assert "jumps: n = 7, needs 20" in page.evaluate(f"{lag}.textContent")
    back = page.evaluate("document.querySelector('[data-pair=\"kraken:BTC-USDT okx:BTC-USDT\"]').className")
    assert back == "follows"
    assert page.locator("#leadlag-matrix td.leads").count() == 3
    assert "23 of 24 first" in page.inner_text('#leadlag-matrix [data-pair="okx:BTC-USDT bybit:BTC-USDT"]')
    # table and network say the same
    assert page.locator("#evidence-rows tr").count() == 3
    assert "● leads" in page.inner_text("#evidence-rows tr >> nth=0")
    assert page.locator("#leadlag-network line").count() == 3
    assert "leads" in (page.get_attribute("#leadlag-network", "aria-label") or "")
    page.wait_for_selector("#leadpaths.small-sample")
    assert "n = 7, needs 20" in page.inner_text("#leadpaths-note")
    page.wait_for_selector("#paths-graph .scatterlayer .trace", state="attached")
    page.click("#leadpaths summary")
    assert page.locator("#paths-rows tr").count() == 3
    # a control is asked with, by keyboard
    with page.expect_request(lambda request: "clock=exchange" in request.url):
        page.focus("#lead-clock")
        page.keyboard.press("ArrowDown")
    # only what is sure
    quiet = dict(finding["pairs"][0], state="not related", leader=None, why="z = 2.0, needs 6")
    server.market.readings["leadlag"] = finding | {"pairs": [quiet, *finding["pairs"][1:]]}
    page.wait_for_selector("#evidence-rows td.off:has-text('not related')")
    page.click('[data-test="lead-only"]')
    page.wait_for_function("document.querySelectorAll('#evidence-rows tr').length === 2")
    # trouble
    server.market.readings["leadlag"] = NoEngine("the engine does not answer")
    page.wait_for_selector('[data-test="leadlag-trouble"]:has-text("what is shown is old")')
    assert page.locator("#evidence-rows tr").count() == 2
    assert [text for text in page.complaints if "503" not in text] == []
