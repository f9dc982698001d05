"""The Live page in a real browser over a moving fake board: what it shows is what was sent, and it says when it is not."""

from __future__ import annotations

import asyncio
import inspect
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dope.board import EMPTY, Board
from dope.dashboard import live, shell
from dope.dashboard.app import build
from dope.settings import Settings
from tests.browser.fake_board import FakeMarket
from tests.browser.patience import patient

pytestmark = pytest.mark.browser
LIVE = "DOPE.link.status === 'live' && DOPE.state.opps.size > 0"
PAINTED = "document.getElementById('matrix-canvas').getContext('2d').getImageData(0, 0, 300, 200).data.some((v) => v > 0)"
GRID = """() => {
  const out = {};
  dash_ag_grid.getApi('opps-grid').forEachNode((n) => { out[n.id] = [n.data.net, n.data.net_bps, n.data.state]; });
  return out;
}"""
OVER = """() => [...document.querySelectorAll('.card, .kpi, .banner, .top > *, .foot .disclaimer')]
  .filter((n) => n.getClientRects().length && n.getBoundingClientRect().right > innerWidth + 0.5).map((n) => n.id || n.className)"""
DIMMED = """() => [...document.querySelectorAll('.ag-center-cols-container .ag-row.dim')]
  .flatMap((row) => [row, ...row.querySelectorAll('*')]).map((node) => [node.className, getComputedStyle(node).opacity])"""
LEDGER = ("received", "cost", "gross", "fee-buy", "fee-sell", "net")


def own(text: str) -> float:
    """A number as the page prints it."""
    return float(re.sub(r"[\s\u2009$%]|bps", "", text).replace("\u2212", "-").lstrip("+"))


@pytest.fixture
def watching(desk: Any, again: Any) -> tuple[Any, Any]:
    desk.renew()
    page = again(desk)
    page.wait_for_function(f"{LIVE} && document.querySelectorAll('.ag-center-cols-container .ag-row').length > 0")
    return desk, page


def test_it_draws_everything_with_no_complaint_and_no_request_to_another_host(serve: Any, visit: Any) -> None:
    page = visit(serve())
    page.wait_for_function(f"{LIVE} && document.querySelectorAll('.ag-center-cols-container .ag-row').length > 0")
    page.wait_for_function("document.querySelectorAll('#chart-graph .scatterlayer .trace').length >= 4")
    assert page.text_content('[data-test="mode"]') == "LIVE"
    assert page.locator("#venues .vp").count() == 3
    assert page.text_content('[data-test="card-fleet"]') == "3 / 3"
    assert own(page.text_content('[data-test="card-total"]')) > 0
    assert page.locator("#tape-rows .ev").count() > 5
    assert page.locator("#matrix-table table").count() == 6
    assert page.evaluate(PAINTED)
    assert page.complaints == []


def test_what_was_told_and_is_as_before_asks_for_no_further_frame(watching: Any) -> None:
    """What is recorded changes with every publication, and with it the section ``mode``."""
    _, page = watching
    page.evaluate("""() => { window.drawn = { mode: 0, link: 0 };
      DOPE.on("applied", () => DOPE.touch("mode"));
      for (const section of Object.keys(drawn)) DOPE.on(section, () => { drawn[section] += 1; }); }""")
    page.wait_for_function("drawn.mode >= 12")
    assert page.evaluate("drawn.link") <= 3


def test_deltas_move_cards_rows_and_the_measured_delay(watching: Any) -> None:
    server, page = watching
    total = int(own(page.text_content('[data-test="card-total"]')))
    server.market.hot = 0.3
    page.wait_for_function(f"Number(document.querySelector('[data-test=\"card-total\"]').textContent) > {total}")
    page.wait_for_function("DOPE.delay(0.5) !== null && document.querySelector('[data-test=\"card-screen\"]').textContent !== '–'")
    server.hold.set()
    page.wait_for_timeout(600)
    sent = {str(row["id"]): row for row in server.board.read().data["opps"] if row["state"] != "stale"}
    shown = page.evaluate(GRID)
    assert shown == {key: [row["net"], row["net_bps"], row["state"]] for key, row in sent.items()}
    assert page.complaints == []


def test_rows_that_are_over_are_dimmed_by_their_colours_and_cost_the_screen_no_layer_each(watching: Any) -> None:
    """An opacity would give each such row a group of its own, to be composited anew with every frame."""
    server, page = watching
    server.market.hot = 0.3
    page.wait_for_function("document.querySelector('.ag-center-cols-container .ag-row.dim .leg-buy b')")
    assert {opacity for _, opacity in page.evaluate(DIMMED)} == {"1"}
    colour = page.evaluate("getComputedStyle(document.querySelector('.ag-row.dim .leg-buy b')).color")
    assert re.search(r"[/,] *0?\.5\)$", colour), colour


def test_filters_by_kind_asset_text_and_net_leave_only_what_matches(watching: Any) -> None:
    server, page = watching
    server.market.hot = 0.3
    page.wait_for_function("DOPE.state.opps.size > 6")
    page.click('[data-test="kind-perp"]')
    page.wait_for_function("[...document.querySelectorAll('.ag-center-cols-container .kind')].every((k) => k.textContent === 'perp')")
    page.click('[data-test="asset-ETH"]')
    page.wait_for_function("[...document.querySelectorAll('.ag-center-cols-container .sym b')].every((b) => b.textContent === 'ETH-USDT')")
    page.click('[data-test="asset-all"]')
    page.click('[data-test="kind-all"]')
    page.keyboard.press("f")
    page.keyboard.type("btc")
    page.wait_for_function("[...document.querySelectorAll('.ag-center-cols-container .sym b')].every((b) => b.textContent === 'BTC-USDT')")
    page.fill('[data-test="quick-filter"]', "no such thing")
    page.wait_for_selector("text=No row passes the filters")
    page.click('[data-test="reset-filters"] >> visible=true')
    page.fill('[data-test="min-net"]', "1e6")
    page.wait_for_function("document.querySelectorAll('.ag-center-cols-container .ag-row').length === 0")


def test_the_inspector_derives_the_net_to_the_cent(watching: Any) -> None:
    server, page = watching
    server.hold.set()
    page.wait_for_timeout(400)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-test="inspector"]:not([hidden])')
    read = {name: own(page.text_content(f'[data-test="ledger-{name}"]')) for name in LEDGER}
    unit = 10_000 if abs(read["net"]) < 0.1 else 100
    whole = {name: round(value * unit) for name, value in read.items()}
    assert whole["received"] - whole["cost"] == whole["gross"]
    assert whole["gross"] - whole["fee-buy"] - whole["fee-sell"] == whole["net"]
    touch, depth = (round(own(page.text_content(f'[data-test="ledger-{name}"]')) * unit) for name in ("touch", "depth"))
    assert touch - depth == whole["gross"] and depth >= 0
    row_id = page.evaluate("dash_ag_grid.getApi('opps-grid').getSelectedNodes()[0].data.id")
    row = next(row for row in server.board.read().data["opps"] if row["id"] == row_id)
    assert read["net"] == pytest.approx(row["net"], abs=0.5001 / unit)
    assert read["gross"] == pytest.approx(row["gross"], abs=2 / unit)
    page.keyboard.press("Escape")
    assert page.is_hidden('[data-test="inspector"]')


CURVE = """() => {
  const part = document.querySelector('[data-test="curve"]'), text = (name) => part.querySelector(`[data-test="${name}"]`).textContent;
  if (!part || !part.querySelector("svg .best") || !part.querySelector('[data-test="fills"]')) return null;
  const said = part.querySelector("svg").getAttribute("aria-label"), rows = part.querySelectorAll("details tbody tr").length;
  return { best: text("curve-best"), rows, said, fills: text("fills"), after: text("open-after") };
}"""


def test_the_inspector_shows_profit_against_size_and_how_long_such_openings_last(watching: Any) -> None:
    server, page = watching
    server.market.hot = 0.3
    page.wait_for_function("[...DOPE.state.opps.values()].some((row) => row.state === 'open')")
    page.evaluate("DOPE.inspect([...DOPE.state.opps.values()].reverse().find((row) => row.state === 'open').id)")
    shown = page.wait_for_function(CURVE, timeout=60_000).json_value()
    assert shown["best"].startswith("≥"), "its steps end with the profit"
    assert shown["rows"] > 0 and shown["said"].startswith("Profit against size. Largest profit")
    assert shown["fills"].startswith("83") and shown["after"].startswith("70")
    assert page.complaints == []
    page.keyboard.press("Escape")


def test_freeze_holds_every_update_and_resume_shows_the_newest(watching: Any) -> None:
    server, page = watching
    page.keyboard.press("Space")
    page.wait_for_function("DOPE.heldCount() >= 5")
    assert "PAUSED" in page.text_content('[data-test="mode"]')
    frozen = page.evaluate("JSON.stringify([DOPE.state.sys, [...DOPE.state.opps.values()]])")
    page.wait_for_timeout(500)
    assert page.evaluate("JSON.stringify([DOPE.state.sys, [...DOPE.state.opps.values()]])") == frozen
    server.hold.set()
    page.wait_for_timeout(500)
    page.keyboard.press("Space")
    page.wait_for_function("!DOPE.paused()")
    assert page.evaluate("DOPE.state.sys.tick") == server.board.read().data["sys"]["tick"]
    assert page.evaluate("DOPE.link.resyncs || 0") == 0


def test_a_hole_in_the_numbers_is_answered_by_a_resync(watching: Any) -> None:
    server, page = watching
    server.skip = 3
    page.wait_for_function("DOPE.link.resyncs === 1 && DOPE.link.status === 'live'")
    server.hold.set()
    page.wait_for_timeout(600)
    assert page.evaluate("DOPE.state.sys.tick") == server.board.read().data["sys"]["tick"]


def test_a_lost_feed_is_said_in_red_and_recovers_alone(watching: Any) -> None:
    server, page = watching
    server.cut = True
    page.wait_for_selector('[data-test="banner-lost"]', timeout=10_000)
    assert "DISCONNECTED" in page.text_content('[data-test="mode"]')
    assert page.locator("body.is-lost").count() == 1
    page.click('[data-test="retry"]')
    page.wait_for_selector("text=retrying in")
    server.cut = False
    page.wait_for_function("DOPE.link.status === 'live'")
    page.wait_for_selector('[data-test="banner-lost"]', state="detached")


def test_where_websockets_are_blocked_it_polls(serve: Any, visit: Any) -> None:
    server = serve()
    server.no_ws = True
    page = visit(server)
    page.wait_for_function("DOPE.link.status === 'polling' && DOPE.state.opps.size > 0", timeout=20_000)
    tick = page.evaluate("DOPE.state.sys.tick")
    page.wait_for_function(f"DOPE.state.sys.tick > {tick}")
    assert page.text_content('[data-test="mode"]') == "LIVE · polling"


def test_a_venue_that_goes_down_is_red_and_its_cells_say_stale(watching: Any) -> None:
    server, page = watching
    server.market.set_down("okx", True)
    page.wait_for_selector('[data-test="venue-okx"].down')
    page.click('[data-test="venue-okx"]')
    assert "connection closed (1006)" in page.text_content('[data-test="venue-card"]')
    page.wait_for_function("document.getElementById('matrix-table').textContent.includes('stale')")
    page.wait_for_function("document.querySelector('[data-test=\"card-fleet\"]').textContent === '2 / 3'")


def test_a_simulated_market_cannot_be_mistaken_and_offers_the_way_out(serve: Any, visit: Any) -> None:
    server = serve("sim")
    page = visit(server)
    page.wait_for_selector("text=SIMULATED MARKET: no exchange can be reached")
    page.wait_for_function("document.querySelector('[data-test=\"mode\"]').textContent === 'SIMULATED'")
    page.click('[data-test="go-live"]')
    page.wait_for_function("document.querySelector('[data-test=\"mode\"]').textContent === 'LIVE'")
    assert ("source", {"to": "live"}) in server.market.commands


def test_when_nothing_pays_it_shows_the_five_nearest_misses(serve: Any, visit: Any) -> None:
    server = serve("quiet")
    page = visit(server)
    page.wait_for_selector('[data-test="misses"]')
    assert page.locator('[data-test="misses"] tbody tr').count() == 5
    assert "fees" in page.text_content('[data-test="misses"]')
    page.click('[data-test="lower"]')
    page.wait_for_function("DOPE.state.mode.min_net_bps === -5")


def test_keys_open_help_export_and_jump_and_are_ignored_while_typing(watching: Any) -> None:
    server, page = watching
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.wait_for_selector("#export[open]")
    assert page.get_attribute('[data-test="export-csv"]', "href") == "/api/v1/export/opportunities.csv"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("asset eth")
    page.keyboard.press("Enter")
    page.wait_for_function("DOPE.view.asset === 'ETH'")
    page.keyboard.press("e")
    page.wait_for_selector('[data-test="export-csv"][href="/api/v1/export/opportunities.csv?asset=ETH"]')
    page.keyboard.press("Escape")
    page.focus('[data-test="quick-filter"]')
    page.keyboard.type("e ?")
    assert page.locator("dialog[open]").count() == 0 and not page.evaluate("DOPE.paused()")
    page.fill('[data-test="order-size"]', "2500")
    page.keyboard.press("Tab")
    page.wait_for_function("DOPE.state.mode.order_size === 2500")
    assert ("set", {"order_size": 2500}) in server.market.commands


def test_nothing_runs_over_the_side(watching: Any) -> None:
    _server, page = watching
    for width, height in ((1366, 768), (820, 1100), (412, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        fits = "[document.documentElement, document.querySelector('.main')].every((n) => n.scrollWidth <= n.clientWidth)"
        assert page.evaluate(fits) and page.evaluate(OVER) == [], width


def test_text_from_the_wire_never_becomes_markup(serve: Any, visit: Any) -> None:
    server = serve()
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    board = server.board
    server.hold.set()
    data = dict(board.read().data)
    data["venues"] = [{**venue, "label": evil, "short": evil, "last_error": evil} for venue in data["venues"]]
    data["events"] = [{"id": 10**9, "t": 1, "kind": "venue", "text": evil, "value": evil, "tone": "bad"}]
    data["mode"] = {**data["mode"], "banner": evil}
    data["opps"] = [{**row, "symbol": evil, "base": row["base"], "reason": evil, "state": "open"} for row in data["opps"]]
    data["matrix"] = [{**matrix, "labels": [evil] * 2} for matrix in data["matrix"]]
    data["misses"] = [{**miss, "blocks": evil} for miss in data["misses"]]
    board.publish(1, data)
    page = visit(server)
    page.wait_for_function(LIVE)
    page.wait_for_function("document.querySelectorAll('#chart-graph .scatterlayer .trace').length >= 4")
    page.locator("#venues .vp").first.click()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hit === undefined && document.querySelectorAll('img').length === 0")
    refused = "Failed to load resource"  # the API has no such opportunity
    assert [each for each in page.complaints if not each.startswith(refused)] == []


MARKED = """() => document.querySelector('#chart-graph .js-plotly-plot').data.filter((t) => t.mode === 'markers')
  .map((t) => t.x.map((x, i) => [x, t.y[i], t.marker.symbol[i], t.customdata[i]]))"""


def test_jumps_and_bursts_are_marked_on_the_line_of_their_market_and_the_legend_turns_them_off(serve: Any, visit: Any) -> None:
    server = serve()
    server.hold.set()
    series = server.board.read().data["series"]
    t, line, key = series["t"], series["mid"]["okx:BTC-USDT"], "okx:BTC-USDT"
    row = {"key": key, "z": 7.26, "took_ms": 250}
    rows = [
        {**row, "id": 1, "t": (t[-2] + t[-1]) // 2, "kind": "jump", "way": -1, "size": 6.34},
        {**row, "id": 2, "t": t[-2], "kind": "burst", "way": 1, "size": 12.5},
        {**row, "id": 3, "t": t[0] - 60_000, "kind": "jump", "way": 1, "size": 9.0},  # before the chart begins
        {**row, "id": 4, "t": t[-2], "kind": "constructor", "way": 1, "size": 9.0},
        {**row, "id": 5, "t": t[-2], "kind": "jump", "way": 1, "size": 9.0, "key": "nobody:BTC-USDT"},
    ]
    server.board.publish(server.board.read().t_ns, {"findings": rows})
    page = visit(server, "/?tour=0&asset=BTC&kind=spot&chart=px")
    page.wait_for_function(f"{LIVE} && ({MARKED})().flat().length === 1")
    ((jump,),) = page.evaluate(MARKED)
    assert jump[1] == pytest.approx((line[-2] + line[-1]) / 2) and jump[2] == "triangle-down"
    for word in ("OKX", "\u22126.3 bps", "250\u2009ms", "z 7.3"):
        assert word in jump[3]
    page.click('[data-test="mark-burst"]')
    page.wait_for_function(f"({MARKED})().flat().length === 2")
    (burst,) = page.evaluate(MARKED)[0]
    assert burst[1] == pytest.approx(line[-2]) and burst[2] == "diamond" and "buying burst 12.5 BTC" in burst[3]
    assert "marks=jump%2Cburst" in page.evaluate("DOPE.link_to_view()")
    page.click('[data-test="mark-jump"]')
    page.wait_for_function(f"({MARKED})().flat().length === 1 && ({MARKED})()[0][0][2] === 'diamond'")
    assert page.get_attribute('[data-test="mark-jump"]', "aria-pressed") == "false"
    assert page.complaints == []


def test_the_first_visit_gets_the_tour_and_the_next_one_does_not(serve: Any, browser: Any) -> None:
    server = serve()
    page = patient(browser.new_page())
    page.goto(server.url + "/")
    page.wait_for_selector("#tour[open]")
    page.click('[data-test="tour-close"]')
    page.goto(server.url + "/")
    page.wait_for_function(LIVE)
    assert page.locator("#tour[open]").count() == 0
    page.close()


def test_every_callback_is_a_coroutine_and_every_id_is_there_once() -> None:
    board = Board()
    FakeMarket(board).step(1_000_000_000_000)
    app = build(board, Settings(_env_file=None))
    for name, entry in app.callback_map.items():
        if "callback" in entry:
            assert inspect.iscoroutinefunction(inspect.unwrap(entry["callback"])), name
    ids = [part.id for part in app.layout()._traverse() if getattr(part, "id", None)]
    assert len(ids) == len(set(ids))


def test_the_first_paint_shows_the_data_of_that_moment_and_drawing_changes_nothing() -> None:
    board = Board()
    for step in range(300):
        FakeMarket(board, hot=0.1).step(1_000_000_000_000 + step * 100)
    snapshot = board.read()
    before = repr(snapshot)
    drawn = {**shell.draw(snapshot), **live.draw(snapshot)}
    assert len(drawn["venues"]) == 3 and drawn["card-fleet-v"] == "3 / 3"
    assert repr(snapshot) == before
    assert live.draw(EMPTY) == {} and shell.draw(EMPTY)["venues"] == []


def test_the_page_is_complete_from_this_host_with_no_link_to_another() -> None:
    import httpx

    board = Board()
    app = build(board, Settings(_env_file=None))

    async def fetch() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app.server), base_url="http://127.0.0.1") as client:
            index = (await client.get("/")).text
            sheets = re.findall(r'(?:href|src)="(/assets/[^"]+)"', index)
            assert len(sheets) >= 15
            texts = [(await client.get(sheet)).text for sheet in sheets]
        return index + "".join(text for sheet, text in zip(sheets, texts, strict=True) if ".css" in sheet)

    with ThreadPoolExecutor(1) as pool:  # a thread of its own: the browser driver runs a loop in this one
        served = pool.submit(asyncio.run, fetch()).result()
    assert 'data-bs-theme="dark"' in served
    assert re.findall(r"""(?:url\(|src=|href=|@import)\s*['"]?(?:https?:)?//[^)'"\s]+""", served) == []
