"""The Spreads page: matrices of now and of a recorded moment, a pair over time, tabs by their address, failures said."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from dope.dashboard import spreads

pytestmark = pytest.mark.browser
TABLE = "document.querySelector('[data-test=spreads-table]').textContent"
DRAWN = "document.getElementById('spreads-empty').hidden && document.querySelectorAll('#pair-past-rows tr').length > 3"


@pytest.fixture
def page(desk: Any, again: Any) -> Any:
    desk.renew()
    shown = again(desk, "spreads")
    shown.evaluate("""() => { document.getElementById('pair-past-rows').replaceChildren();
      DOPE.see({ legs: 'binance_spot:BTC-USDT>okx:BTC-USDT' });
      DOPE.actions['spreads-retry'](); }""")
    shown.wait_for_function(DRAWN)
    return shown


def slide(page: Any, back_s: int) -> None:
    page.evaluate(
        "(s) => { const bar = document.getElementById('spreads-back'); bar.value = String(-s); bar.dispatchEvent(new Event('input')); }",
        back_s,
    )


def test_every_market_has_its_matrix_and_keys_lead_from_cell_to_cell_to_the_pair(page: Any) -> None:
    captions = page.evaluate("[...document.querySelectorAll('#spreads-table caption')].map((c) => c.textContent.split(',')[0])")
    assert sorted(captions) == sorted(f"{base}-USDT {kind}" for base in ("BTC", "ETH", "SOL") for kind in ("spot", "perp"))
    page.focus('[data-test="spreads-canvas"]')
    page.keyboard.press("ArrowRight")
    first = page.text_content('[data-test="spreads-tip"]')
    page.keyboard.press("ArrowDown")
    assert page.text_content('[data-test="spreads-tip"]') != first and "gross" in first
    page.keyboard.press("Enter")
    page.wait_for_function("DOPE.view.legs && DOPE.view.legs !== 'binance_spot:BTC-USDT>okx:BTC-USDT'")
    buy, sell = page.evaluate("DOPE.view.legs.split('>')")
    assert buy.partition(":")[2] == sell.partition(":")[2], "never two products against each other"
    assert page.input_value('[data-test="pair-buy"]') == buy.partition(":")[0]
    page.click('[data-act="pair-swap"]')
    page.wait_for_function("(other) => DOPE.view.legs === other", arg=f"{sell}>{buy}")
    assert page.complaints == []


def test_a_moment_of_the_last_hour_is_shown_as_recorded_and_where_nothing_was_it_says_so(page: Any) -> None:
    now = page.text_content('[data-test="spreads-table"]')
    slide(page, 30)
    page.wait_for_selector('[data-test="spreads-moment"].then:has-text("best prices then, fees of now")')
    page.wait_for_function(f"(now) => {TABLE} !== now && /[+−][0-9]/.test({TABLE})", arg=now)
    page.server.market.unrecorded = True
    slide(page, 1800)
    page.wait_for_selector('[data-test="spreads-moment"]:has-text("nothing was recorded")')
    page.wait_for_function(f"!/[0-9]\\.[0-9]/.test({TABLE})")
    page.click('[data-act="spreads-now"]')
    page.wait_for_selector('[data-test="spreads-moment"]:has-text("now, at my order size")')
    page.wait_for_function(f"/[0-9]\\.[0-9]/.test({TABLE})")
    assert page.complaints == []


def test_the_pair_has_its_past_with_raw_numbers_to_take_away_and_a_failure_can_be_tried_again(page: Any, tmp_path: Any) -> None:
    with page.expect_download() as taken:
        page.click('[data-act="pair-csv"]')
    taken.value.save_as(tmp_path / "pair.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "pair.csv").read_text(encoding="utf-8"), newline="")))
    points = page.evaluate("fetch('/api/v1/pair?buy=binance_spot:BTC-USDT&sell=okx:BTC-USDT').then((a) => a.json()).then((a) => a.points)")
    known = {point["at"]: point["gross"] for point in points}
    assert rows and [float(row["gross_bps"]) for row in rows[1:-1]] == [known[row["at"]] for row in rows[1:-1]]
    facts = page.inner_text('[data-test="pair-facts"]')
    assert "Fee wall\n20.00 bps" in facts and "too little to say of a day" in facts
    page.server.market.broken = "the history is being mended"
    page.click('[data-act="pair-hours"][data-value="6"]')
    page.wait_for_selector('[data-test="pair-trouble"]:has-text("the history is being mended")')
    page.server.market.broken = ""
    page.click('[data-test="pair-retry"]')
    page.wait_for_selector('[data-test="pair-trouble"]', state="hidden")
    page.wait_for_function(DRAWN)
    assert all("409" in text for text in page.complaints), "only what was made to fail"


SIDE = {"entry_bps": 5.0, "settlements_a": 0, "settlements_b": 3, "funding_bps": 3.0, "convergence_bps": 2.0, "fees_bps": 30.0,
        "net_bps": -25.0, "apr_pct": -91.25, "break_even_h": None}  # fmt: skip
LIVES = {"openings": 40, "ended": 30, "stale": 6, "open": 4, "median_s": 1.5, "median_low_s": 1.0, "median_high_s": 2.5,
         "open_after": [{"t": 0.5, "s": 0.8, "low": 0.65, "high": 0.9, "at_risk": 40},
                        {"t": 1.5, "s": 0.4, "low": 0.25, "high": 0.55, "at_risk": 30}],
         "fills": [{"ms": ms, "n": 40, "filled": hits, "blind": 0, "share": hits / 40, "low": hits / 50, "high": (hits + 4) / 44}
                   for ms, hits in ((50.0, 30), (100.0, 20), (500.0, 4))]}  # fmt: skip


def spoken(kind: str) -> Any:
    """What the readings of the further tabs say, in their shapes."""
    lives = LIVES | {"fills_at_latency": LIVES["fills"][1]}
    pair = lives | {"symbol": "BTC-USDT", "buy_venue": "okx", "sell_venue": "binance_spot", "differs_p": None}
    basis = {"base": "BTC", "quote": "USDT", "kind": "spot-perp", "a": "okx:BTC-USDT", "b": "okx:BTC-USDT-PERP",
             "basis_bps": 5.5, "median_bps": None, "deviation_bps": None, "samples": 3, "hold_h": 24.0, "long_a": SIDE,
             "long_b": SIDE | {"net_bps": -35.0},
             "fees": [{"market": f"okx:BTC-USDT{leg}", "side": side, "role": role, "fee_bps": fee}
                      for leg, side, role, fee in (("", "buy", "maker", 8.0), ("", "sell", "taker", 10.0),
                                                   ("-PERP", "buy", "taker", 5.0), ("-PERP", "sell", "taker", 5.0))],
             "funding_a": None, "funding_b": None}  # fmt: skip
    way = {"venue": "okx", "path": ["USDT", "BTC", "ETH", "USDT"], "markets": ["okx:BTC-USDT", "okx:ETH-BTC", "okx:ETH-USDT"],
           "sides": ["buy", "buy", "sell"], "roles": ["maker", "maker", "taker"], "net_bps": -12.5, "fees_bps": 26.0,
           "open": False}  # fmt: skip
    row = {"symbol": "BTC-USDT", "kind": "spot", "buy_venue": "okx", "sell_venue": "binance_spot", "openings": 4,
           "per_hour": 8.0, "per_hour_low": 2.0,
           "per_hour_high": 20.0, "median_s": 1.5, "median_low_s": None, "median_high_s": None, "capacity": None, "capacity_per_day": None,
           "net_bps": [{"size": 1000.0, "n": 4, "median": 2.5, "p95": 4.0}], "late_share": 0.25, "late_low": 0.05, "late_high": 0.7,
           "late_venue": "okx", "fills": 0.5, "fills_low": 0.15, "fills_high": 0.85, "worth_per_hour": 2.0}  # fmt: skip
    return {
        "survival": {"t": 1, "since": 1, "latency_ms": 100.0, "unwatched": 0, "total": lives, "pairs": [pair]},
        "basis": [basis], "triangles": {"ways": 6, "opened": 0, "rows": [], "nearest": [way]},
        "market_map": {"t": 1, "hours": 0.5, "sizes": [1000.0], "latency_ms": 100.0, "rows": [row]},
    }[kind]  # fmt: skip


def test_tabs_have_addresses_and_show_carry_triangles_survival_and_the_map(page: Any) -> None:
    page.server.market.spoken = spoken
    shown = {"carry": "#carry-rows", "triangles": "#ways-rows", "survival": "#lives-rows", "map": "#map-rows"}
    page.focus("#spreads-tab-matrix")
    for name, rows in shown.items():
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"document.querySelectorAll('{rows} tr').length === 1")
        assert page.evaluate("location.search") == f"?tab={name}"
    page.go_back()
    page.wait_for_selector("#spreads-survival:visible")
    page.wait_for_selector('[data-test="lives-ms-text"]:has-text("100 ms (yours, from Settings): 50.0")')
    page.evaluate("(() => { const bar = document.getElementById('lives-ms'); bar.value = '2'; bar.dispatchEvent(new Event('input')); })()")
    page.wait_for_selector('[data-test="lives-ms-text"]:has-text("500 ms: 10.0")')
    assert "n = 40" in page.text_content('[data-test="lives-ms-text"]')
    page.wait_for_function("document.querySelectorAll('#lives-graph .scatterlayer .trace').length === 3")
    assert "not in 90 d" in page.text_content("#carry-rows") and "long OKX, short OKX" in page.text_content("#carry-rows")
    assert "None has paid" in page.text_content('[data-test="triangles-empty"]') and "12.50" in page.text_content("#ways-rows")
    legs = "buy BTC-USDT as maker, buy ETH-BTC as maker, sell ETH-USDT as taker"
    for cell in ("td:nth-child(2) span", "td:nth-child(4)"):
        assert page.get_attribute(f"#ways-rows {cell}", "title") == legs
    assert "bps" in page.text_content("#ways-note"), "the unit of its columns stands where it is seen"
    fees = page.get_attribute("#carry-rows td:nth-child(11)", "title") or ""
    assert fees.startswith("buy at OKX as maker 8.00 bps, sell at OKX as taker 10.00 bps")
    assert page.complaints == []


def crossing(base: str, buy: str, sell: str, naive_bps: float) -> dict[str, Any]:
    """A pair in dollars and Tether that no fresh market lets compare, as its reading tells it."""
    return {"base": base, "buy": f"{buy}:{base}-USDT", "sell": f"{sell}:{base}-USD", "coin": "USDT", "money": "USD", "via": None,
            "naive_bps": naive_bps, "net_bps": None,
            "blocks": "no fresh market exchanges USDT for USD: not comparable"}  # fmt: skip


def test_pairs_in_two_currencies_stand_apart_with_what_they_lack_and_are_gone_when_an_exchange_lives(page: Any) -> None:
    assert "all are compared" in page.text_content('[data-test="across-empty"]') and not page.text_content("#across-note")
    pairs = [crossing(base, buy, "kraken", bps) for base, buy, bps in
             (("BTC", "okx", 3.25), ("BTC", "binance_spot", 41.5), ("ETH", "okx", -7.0))]  # fmt: skip
    page.server.market.readings["conversions"] = {"exchanges": [], "implied": [], "pairs": pairs}
    page.wait_for_function("document.querySelectorAll('#across-rows tr').length === 2")
    rows = page.eval_on_selector_all("#across-rows tr", "(rows) => rows.map((tr) => [...tr.children].map((td) => td.textContent))")
    blocked = "no fresh market exchanges USDT for USD: not comparable"
    assert rows == [
        ["BTC", "USDT · USD", "2", "Binance → kraken", "+41.50 bps", blocked],
        ["ETH", "USDT · USD", "1", "OKX → kraken", "−7.00 bps", blocked],
    ]
    assert page.text_content("#across-note").startswith("3 pairs in two currencies")
    page.evaluate("DOPE.see({ asset: 'ETH' })")
    page.wait_for_function("document.querySelectorAll('#across-rows tr').length === 1")
    assert page.text_content("#across-note").startswith("1 pair in two currencies")
    page.evaluate("DOPE.see({ asset: '' })")
    page.server.market.readings["conversions"] = {"exchanges": [], "implied": [], "pairs": []}
    page.wait_for_selector('[data-test="across-empty"]:has-text("all are compared")')
    assert not page.text_content("#across-note") and page.complaints == []


def test_nothing_runs_over_the_side_and_links_name_tab_and_pair(page: Any) -> None:
    for width, height in ((1366, 768), (412, 860)):
        page.set_viewport_size({"width": width, "height": height})
        page.click("#rail-spreads")
        page.wait_for_function(DRAWN)
        assert page.evaluate("document.querySelector('.main').scrollWidth <= document.querySelector('.main').clientWidth"), width
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        page.select_option('[data-test="pair-market"]', "SOL-USDT-perp")
        page.wait_for_function("DOPE.view.legs.includes('SOL-USDT-PERP')")
        link = page.evaluate("DOPE.link_to_view()")
        assert link.partition("?")[0].endswith(spreads.PATH) and "legs=" in link
        page.click("#rail-live")
        assert "legs=" not in page.evaluate("DOPE.link_to_view()"), "of another page it says nothing"
        assert page.complaints == []
