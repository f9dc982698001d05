"""The Depth page in a browser: a map with colours, a table of costs, controls and keys, and what it says when there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dope.dashboard import depth
from tests.browser.dev_server import Server

pytestmark = pytest.mark.browser
#: (how many colours, how many pixels are not grey) of the middle of a canvas
COLOURS = """(id) => { const c = document.getElementById(id), g = c.getContext('2d'), w = c.width, h = c.height;
  const p = g.getImageData(w >> 1, h >> 2, w >> 2, h >> 2).data, all = new Set(); let hued = 0;
  for (let i = 0; i < p.length; i += 4) { all.add(p[i] << 16 | p[i + 1] << 8 | p[i + 2]);
    if (Math.max(p[i], p[i + 1], p[i + 2]) - Math.min(p[i], p[i + 1], p[i + 2]) > 40) hued += 1; }
  return [all.size, hued]; }"""
DRAWN = "DOPE.depth && DOPE.depth.data.points.length > 50 && document.querySelectorAll('#depth-costs-rows tr').length === 3"
OVERFLOW = "document.getElementById('dope-app').scrollWidth - document.getElementById('dope-app').clientWidth"


@pytest.fixture
def page(serve: Callable[..., Server], visit: Callable[..., Any]) -> Any:
    server = serve()
    opened = visit(server)
    opened.market = server.market
    opened.click("#rail-depth")
    opened.wait_for_function(DRAWN)
    return opened


def asked(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.market.depth_asked[-1]
    return found


def test_the_map_has_colours_the_table_has_costs_and_every_control_does_what_it_says(page: Any) -> None:
    page.wait_for_function(f"({COLOURS})('depth-canvas')[0] > 20")
    assert page.evaluate(COLOURS, "depth-canvas")[1] > 500 and page.evaluate(COLOURS, "depth-bars")[0] > 2
    rows = page.evaluate("[...document.querySelectorAll('#depth-costs-rows tr')].map((tr) => [...tr.cells].map((td) => td.textContent))")
    assert len(rows[0]) == len(depth.VENUES)
    assert rows[0][:2] == ["Binance", "12.50 BTC"] and rows[1][1].startswith("≥ ") and rows[0][5] == "10.10"
    assert rows[2][1] == "–" and "stale" in rows[2][7], "what is not LIVE has no figures"

    page.fill('[data-test="depth-order"]', "50000")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#depth-costs-rows td:nth-child(6)').textContent === '15.00'")
    page.click('[data-test="depth-window-60"]')
    page.wait_for_function("DOPE.depth.data.key.includes('|60|') && DOPE.depth.data.points.length <= 61")
    assert asked(page)["window_s"] == 60
    page.select_option('[data-test="depth-step"]', "5")
    page.wait_for_function("DOPE.depth.data.answer.heatmap.step === 50")
    page.click('[data-test="depth-venue-okx"]')
    page.wait_for_function("DOPE.depth.data.answer.venue === 'okx'")

    page.click('[data-test="depth-contrast"]')
    page.click('[data-test="depth-map-grey"]')
    page.wait_for_function("DOPE.depth.want.map === 'grey'")
    page.click('[data-test="depth-unit-size"]')
    page.wait_for_function("document.getElementById('depth-contrast-now').textContent.endsWith('BTC')")
    page.keyboard.press("Escape")
    page.click('[data-test="depth-table"]')
    ladder = page.evaluate("[...document.querySelectorAll('#depth-ladder-rows tr')].map((tr) => tr.cells[1].textContent)")
    assert ladder.count("bid") == ladder.count("ask") == 25
    assert page.complaints == []


def test_it_follows_until_somebody_moves_it_and_again_when_asked(page: Any) -> None:
    follows = "document.getElementById('depth-follow').getAttribute('aria-pressed')"
    page.focus("#depth-canvas")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"{follows} === 'false'")
    edge = page.evaluate("DOPE.depth.view.t1")
    page.wait_for_function("DOPE.depth.data.answer.t > DOPE.depth.view.t1 + 15500")
    assert page.evaluate("DOPE.depth.view.t1") == edge, "it stands while time goes on"
    page.keyboard.press("0")
    page.wait_for_function(f"{follows} === 'true' && DOPE.depth.view.t1 > {edge}")
    box = page.locator("#depth-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    page.wait_for_selector("#depth-tip:not([hidden])")
    assert "BTC" in page.text_content("#depth-tip")
    for width, height in ((1366, 768), (412, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(f"innerWidth === {width} && {OVERFLOW} <= 0")
    assert page.complaints == []


def test_nothing_yet_nothing_new_and_no_answer_are_said_in_words(page: Any) -> None:
    page.market.depth_empty = True  # no book is live any more
    page.wait_for_selector("#depth-stale:not([hidden])")
    assert "old" in page.text_content("#depth-stale") and page.evaluate("document.getElementById('depth-wrap').classList.contains('old')")
    page.click('[data-test="depth-window-1800"]')
    page.wait_for_selector('[data-test="depth-why"]')
    assert page.is_visible("#depth-empty")
    page.market.depth_refusal = "the engine does not answer"
    page.wait_for_selector("#depth-trouble:not([hidden])")
    assert "the engine does not answer" in page.text_content("#depth-trouble")
