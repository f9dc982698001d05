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


def following(leader: str, follower: str, n: int, net: float, verdict: str) -> dict[str, Any]:
    mean = {"value": net, "low": net - 1.0, "high": net + 1.0}
    move = {name: value + 22.0 for name, value in mean.items()}
    pair = {"leader": f"{leader}:BTC-USDT", "follower": f"{follower}:BTC-USDT"}
    return {**pair, "n": n, "move": move, "spread": 2.0, "fees": 20.0, "net": mean, "verdict": verdict}


FOLLOWING = {"after_ms": 100.0, "hold_ms": 2000, "rows": [
    following("okx", "kraken", 24, -15.0, "no"), following("okx", "bybit", 31, 3.0, "pays"), following("bybit", "kraken", 7, 40.0, "few"),
]}  # fmt: skip


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lags = {"okx": 0, "kraken": 40, "bybit": 80}
    told = ask(LeadLag(), session_of(tmp_path_factory.mktemp("found"), lags))
    enough = SCORE | {"n": 24, "led": 23, "p": 3e-6, "follower": "bybit:BTC-USDT", "verdict": "leads", "lag_ms": 81.0}
    at = told["paths"]["offsets_ms"]
    paths = [{"key": f"{venue}:BTC-USDT", "n": 7, "bps": [5.0 if t >= lag else 0.0 for t in at]} for venue, lag in lags.items()]
    return told | {"jumps": [SCORE, enough], "paths": {"jumps": 7, "offsets_ms": at, "markets": paths}, "following": FOLLOWING}


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
    assert page.inner_text("#leadpaths-note").startswith("average of 7 jumps: ")
    server.market.readings["leadlag"] = finding | {"paths": finding["paths"] | {"jumps": 1}}
    page.wait_for_selector('#leadpaths-note:text-matches("^average of 1 jump: n = 1, needs 20")')
    server.market.readings["leadlag"] = finding
    page.wait_for_selector('#leadpaths-note:has-text("n = 7, needs 20")')
    page.click("#leadpaths summary")
    assert page.locator("#paths-rows tr").count() == 3
    # what following would bring: what pays first, and no said plainly
    says = page.eval_on_selector_all("#follow-rows tr", "(rows) => rows.map((r) => r.children[1].textContent)")
    assert [text[:10] for text in says] == ["● pays", "○ no: it c", "◌ too few"]
    assert "1 of 2 pairs did" in page.inner_text("#follow-note") and "+3.00 [+2.00 … +4.00]" in page.inner_text("#follow-rows tr >> nth=0")
    # a control is asked with, by keyboard, and stands in the link
    with page.expect_request(lambda request: "clock=exchange" in request.url):
        page.focus("#lead-clock")
        page.keyboard.press("ArrowDown")
    page.click('[data-test="lead-venues"]')
    with page.expect_request(lambda request: "venue=okx" in request.url):
        page.click('[data-test="lead-venue-okx"]')
    page.keyboard.press("Escape")
    link = page.evaluate("DOPE.link_to_view()")
    assert link.partition("?")[2] == "lead_venues=okx&lead_clock=exchange"
    page.click('[data-test="views"]:visible')
    page.fill('[data-test="view-name"]', "by stamps")
    page.click('[data-test="view-save"]')
    page.wait_for_selector('#lead-views-pop [data-test="view-apply"]')
    page.keyboard.press("Escape")
    page.evaluate("DOPE.see({ lead_clock: 'receipt', lead_venues: '' })")
    page.wait_for_function("document.getElementById('lead-clock').value === 'receipt'")
    page.click('[data-test="views"]:visible')
    page.click('#lead-views-pop [data-test="view-apply"]')
    page.wait_for_function("document.getElementById('lead-clock').value === 'exchange' && DOPE.view.lead_venues === 'okx'")
    page.evaluate("DOPE.see({ lead_venues: '' })")
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
