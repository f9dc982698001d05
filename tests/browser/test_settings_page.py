"""The Settings page: markets are found and watched, figures set, fees read, and this browser's own way of showing things kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dope.board import EMPTY
from dope.dashboard import settings
from dope.detectors import parameters
from dope.market.market import Market
from dope.types import Setting
from tests.browser.dev_server import Server
from tests.browser.fake_board import KEYS, key_of
from tests.browser.fake_watching import FakeWatching
from tests.browser.patience import patient
from tests.browser.real_server import until

pytestmark = pytest.mark.browser
READY = "document.querySelectorAll('#watched-list .wchip').length === 12 && document.querySelector('[data-test=\"watched-kraken\"]')"
THIN = "\u2009"
NOTHING_TAKEN = "Nothing was taken from dope.json: "


@pytest.fixture(scope="module")
def shown(browser: Any) -> Iterator[Any]:
    """One server and one page for all tests here."""
    with Server("live", past=60) as server:
        page = patient(browser.new_page(viewport={"width": 1680, "height": 1020}))
        page.server, page.complaints = server, []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        begin(page)
        yield page
        page.close()


@pytest.fixture
def page(shown: Any) -> Any:
    """The page as if it had just been opened, over an engine that nobody has asked for anything."""
    market = shown.server.market
    market.watching = FakeWatching([key_of(*key) for key in KEYS])
    market.mode = {**market.mode, "order_size": 1000.0, "min_net_bps": 0.0, "leave_net_bps": -1.0, "min_notional": 10.0}
    market.commands.clear()
    shown.server.hold.clear()
    shown.complaints.clear()
    shown.evaluate("localStorage.clear()")
    shown.click("#rail-settings")
    shown.evaluate("DOPE.display.reset(); document.querySelector('[data-test=figures-revert]').click(); DOPE.actions['unwatch-keep']()")
    shown.select_option('[data-test="finds-venue"]', "")
    shown.fill('[data-test="finds-q"]', "")
    shown.wait_for_function(f"({READY}) && DOPE.state.mode.order_size === 1000 && document.querySelectorAll('#finds-rows tr').length === 0")
    return shown


def begin(page: Any) -> None:
    page.goto(page.server.url + "/?tour=0")
    page.click("#rail-settings")
    page.wait_for_function(READY)


def seek(page: Any, text: str) -> list[str]:
    """Type a text and give the markets found."""
    page.fill('[data-test="finds-q"]', text)
    page.wait_for_function("(text) => document.getElementById('finds-note').textContent.endsWith(`“${text}”`)", arg=text)
    found: list[str] = page.evaluate("[...document.querySelectorAll('#finds-rows tr')].map((tr) => tr.dataset.key)")
    return found


def asked(page: Any, name: str) -> list[dict[str, Any]]:
    return [args for said, args in page.server.market.commands if said == name]


def text(page: Any, test: str) -> str:
    found: str = page.text_content(f'[data-test="{test}"]')
    return found


def end(page: Any, key: str) -> str:
    """What stands at the end of the row of a market that was found."""
    found: str = page.evaluate("(key) => document.querySelector(`#finds-rows tr[data-key='${key}']`).lastElementChild.innerText", key)
    return found


def chosen(page: Any, name: str, value: str) -> None:
    """Wait until the form shows this choice: it is drawn with the next frame."""
    page.wait_for_function(f"document.querySelector('[data-test=\"display-{name}-{value}\"]').checked")


# -- the watchlist -----------------------------------------------------------------------------------------------------
def test_any_spelling_finds_a_market_with_all_that_is_known_of_it(page: Any) -> None:
    assert text(page, "finds-empty").startswith("Any spelling does: btc, ETH/USDT")
    assert seek(page, "eth/btc") == ["binance_spot:ETH-BTC", "okx:ETH-BTC"]
    assert seek(page, "1000PEPEUSDT")[0] == "binance_usdm:PEPE-USDT-PERP"
    row = page.evaluate("[...document.querySelector('#finds-rows tr').children].map((td) => td.innerText.trim())")
    assert row[:5] == ["PEPE-USDT-PERP", "Binance USD-M", "1000PEPEUSDT", "1000PEPE/USDT:USDT", "perp"]
    assert row[5:] == ["0.01", "0.0001", "5 USDT", f"1{THIN}000 PEPE", "Add"]
    assert set(seek(page, "btc-usdt")[:2]) == {"binance_spot:BTC-USDT", "okx:BTC-USDT"}
    assert "● LIVE" in end(page, "okx:BTC-USDT") and "Remove" in end(page, "okx:BTC-USDT")
    assert page.complaints == []


def test_only_what_was_typed_last_is_asked_for_and_one_venue_can_be_searched_alone(page: Any) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/instruments?" in request.url and "q=" in request.url else None)
    page.evaluate("""() => { const box = document.getElementById('finds-q');
      for (const text of ['p', 'pe', 'pep', 'pepe']) { box.value = text; box.dispatchEvent(new Event('input')); } }""")
    page.wait_for_function("document.getElementById('finds-note').textContent.endsWith('“pepe”')")
    assert len(sent) == 1 and sent[0].endswith("q=pepe&limit=50")
    page.select_option('[data-test="finds-venue"]', "okx")
    page.wait_for_function("document.querySelectorAll('#finds-rows tr').length === 1")
    assert page.evaluate("document.querySelector('#finds-rows tr').dataset.key") == "okx:PEPE-USDT"
    assert len(sent) == 2 and sent[1].endswith("venue=okx")


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(page: Any) -> None:
    page.evaluate("""() => { const ask = window.asking = window.fetch; window.late = [];
      window.fetch = async (url, options) => { const answer = await ask(url, { ...options, signal: undefined });
        if (String(url).includes('q=sol')) await new Promise((go) => late.push(go));
        return answer; }; }""")
    page.fill('[data-test="finds-q"]', "sol")
    page.wait_for_function("late.length === 1")
    seek(page, "pepe")
    page.evaluate("late[0](); window.fetch = asking")
    page.wait_for_timeout(200)
    assert page.text_content("#finds-note").endswith("“pepe”")
    assert page.evaluate("document.querySelector('#finds-rows tr').dataset.key").endswith(":PEPE-USDT")


def test_a_market_that_is_added_is_pending_until_its_book_is_live(page: Any) -> None:
    page.server.market.watching.slow = True
    seek(page, "eth/btc")
    page.keyboard.press("ArrowDown")
    while page.evaluate("document.activeElement.dataset.test") != "watch-okx:ETH-BTC":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector(`#finds-rows tr[data-key='okx:ETH-BTC']`).innerText.includes('◌ SYNCING')")
    assert asked(page, "watch") == [{"venue": "okx", "symbol": "ETH-BTC"}]
    assert page.get_attribute('[data-test="watched-okx"] .wchip.off', "title") == "okx:ETH-BTC: SYNCING, waiting for a snapshot"
    page.server.market.watching.slow = False
    page.wait_for_function("document.querySelector(`#finds-rows tr[data-key='okx:ETH-BTC']`).innerText.includes('● LIVE')")
    assert "7 of 7 live" in text(page, "watched-okx")
    assert page.text_content("#watched-note") == "13 books at 3 venues, 13 live"
    page.click('[data-test="unwatch-okx:ETH-BTC"]')
    page.wait_for_selector('[data-test="watch-okx:ETH-BTC"]')
    assert asked(page, "unwatch") == [{"venue": "okx", "symbol": "ETH-BTC"}]
    assert page.complaints == []


def test_a_symbol_can_be_watched_and_left_everywhere_at_once(page: Any) -> None:
    seek(page, "ETH-BTC")
    page.click('[data-test="watch-everywhere-ETH-BTC"]')
    page.wait_for_function("document.querySelectorAll('#finds-rows tr.chosen').length === 2")
    assert asked(page, "watch") == [{"symbol": "ETH-BTC"}]
    page.click('[data-test="unwatch-sure-*:ETH-BTC"]')
    assert page.evaluate("document.activeElement.innerText") == "Keep"
    page.click('[data-test="unwatch-everywhere-ETH-BTC"]')
    page.wait_for_function("document.querySelectorAll('#finds-rows tr.chosen').length === 0")
    assert asked(page, "unwatch") == [{"symbol": "ETH-BTC"}]


def test_a_book_is_left_by_keyboard_and_the_focus_stays_with_its_venue(page: Any) -> None:
    page.focus('[data-test="chip-okx:BTC-USDT"]')
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('#watched-list .wchip').length === 11")
    assert asked(page, "unwatch") == [{"venue": "okx", "symbol": "BTC-USDT"}]
    assert page.evaluate("document.activeElement.dataset.test") == "switch-okx"
    assert "5 of 5 live" in text(page, "watched-okx")


def test_a_whole_venue_is_left_only_after_a_second_word_and_can_be_taken_up_again(page: Any) -> None:
    page.focus('[data-test="switch-okx"]')
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement && document.activeElement.dataset.test === 'unwatch-keep-okx'")
    assert "Stop watching OKX and its 6 books?" in text(page, "watched-okx")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('.sure')")
    assert asked(page, "unwatch") == []
    page.click('[data-test="switch-okx"]')
    page.click('[data-test="unwatch-venue-okx"]')
    page.wait_for_function("document.querySelector('[data-test=\"switch-okx\"]').getAttribute('aria-checked') === 'false'")
    assert asked(page, "unwatch") == [{"venue": "okx"}]
    assert text(page, "watched-okx").startswith("OKXoff · lists 9")
    page.click('[data-test="switch-okx"]')
    page.wait_for_function("document.querySelector('[data-test=\"switch-okx\"]').getAttribute('aria-checked') === 'true'")
    assert asked(page, "watch") == [{"venue": "okx"}]
    assert page.complaints == []


def test_a_refusal_is_said_in_words_and_nothing_looks_done(page: Any) -> None:
    page.server.market.watching.refusal = "okx allows no further topics"
    seek(page, "eth/btc")
    page.click('[data-test="watch-okx:ETH-BTC"]')
    page.wait_for_selector('[data-test="watch-trouble"]:not([hidden])')
    assert text(page, "watch-trouble").startswith("Not done: okx allows no further topics")
    page.wait_for_selector('[data-test="watch-okx:ETH-BTC"]')
    page.server.market.watching.refusal = ""
    page.server.market.watching.slow = True
    page.click('[data-test="watch-binance_spot:ETH-BTC"]')
    page.wait_for_selector('[data-test="watch-trouble"][hidden]', state="attached")
    page.evaluate("""() => { const id = DOPE.state.events.length ? DOPE.state.events[DOPE.state.events.length - 1].id + 100 : 1;
      DOPE.state.events.push({ id, t: Date.now(), kind: 'system', text: 'watch refused: the disk is full', value: '', tone: 'warn' });
      DOPE.touch('events'); }""")
    page.wait_for_selector('[data-test="watch-trouble"]:not([hidden])')
    assert text(page, "watch-trouble") == "Not done: watch refused: the disk is full"


def test_what_does_not_trade_cannot_be_added_and_says_why(page: Any) -> None:
    assert seek(page, "OLD-USDT") == ["okx:OLD-USDT"]
    assert end(page, "okx:OLD-USDT") == "does not trade: suspend"
    assert page.locator('[data-test="watch-okx:OLD-USDT"]').count() == 0


def test_waiting_nothing_found_and_no_answer_each_say_so(page: Any) -> None:
    page.fill('[data-test="finds-q"]', "no such thing")
    page.wait_for_function("document.getElementById('finds-empty').textContent.startsWith('No venue lists “no such thing”')")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/v1/instruments?q=*", hold)
    page.fill('[data-test="finds-q"]', "btc")
    page.wait_for_function("document.getElementById('finds-empty').textContent === 'Searching…'")
    assert page.get_attribute("#finds", "aria-busy") == "true"
    page.wait_for_timeout(300)
    held[0].fulfill(status=503, content_type="application/json", body=json.dumps({"error": "the engine is not running", "hint": ""}))
    page.wait_for_function("document.getElementById('finds-empty').textContent === 'Could not search: the engine is not running'")
    page.unroute("**/api/v1/instruments?q=*")
    page.fill('[data-test="finds-q"]', "")
    page.wait_for_function("document.getElementById('finds-empty').textContent.startsWith('Any spelling')")


# -- trading figures and fees --------------------------------------------------------------------------------------------
def test_figures_show_what_runs_and_count_as_set_once_the_program_says_so(page: Any) -> None:
    page.wait_for_function("document.getElementById('set-order_size').value === '1000'")
    assert page.text_content("#figure-order_size") == f"running: 1{THIN}000 quote currency"
    assert page.is_disabled('[data-test="figures-apply"]')
    page.server.hold.set()
    page.fill("#set-order_size", "2500")
    page.fill("#set-min_net_bps", "1.5")
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('figure-order_size').textContent === '◌ asked for'")
    until(lambda: asked(page, "set"), "the command")  # what the page says it has asked for is still on its way
    assert asked(page, "set") == [{"order_size": 2500, "min_net_bps": 1.5}]
    page.server.hold.clear()
    page.wait_for_function("document.getElementById('figure-order_size').textContent.includes('500')")
    assert page.evaluate("localStorage.getItem('dope.order')") == "2500"
    assert page.text_content("#figure-min_net_bps") == "running: 1.5 bps net"
    assert page.complaints == []


IMPOSSIBLE = (
    ("order_size", "0", f"Order size must be above 0, at most 1{THIN}000{THIN}000{THIN}000"),
    ("order_size", "", "Order size must be a number"),
    ("min_notional", "-1", f"Least size must be at least 0, at most 1{THIN}000{THIN}000{THIN}000"),
    ("leave_net_bps", "3", "Closes below must not be above Opens from"),
)  # fmt: skip


def test_a_figure_that_cannot_be_is_refused_before_it_is_sent(page: Any) -> None:
    for field, value, why in IMPOSSIBLE:
        page.fill(f"#set-{field}", value)
        page.wait_for_function(f"document.getElementById('figure-{field}').textContent === {json.dumps(why)}")
        assert page.get_attribute(f"#set-{field}", "aria-invalid") == "true" and page.is_disabled('[data-test="figures-apply"]')
        page.keyboard.press("Enter")
        page.click('[data-test="figures-revert"]')
        page.wait_for_function(f"document.getElementById('figure-{field}').textContent.startsWith('running')")
    assert asked(page, "set") == []


def test_fees_are_shown_with_where_and_when_they_were_read(page: Any) -> None:
    page.wait_for_function("document.querySelectorAll('#fees-rows tr').length === 4")
    rows = page.evaluate("[...document.querySelectorAll('#fees-rows tr')].map((tr) => [...tr.children].map((td) => td.innerText.trim()))")
    okx = next(row for row in rows if row[:2] == ["OKX", "spot"])
    assert okx[2:4] == ["10.00 bps", "5.00 bps"] and okx[6] == "base" and okx[8:] == ["2026-11-01", "high", "fee page of the venue"]
    warned = "[...document.querySelectorAll('#fees-rows td.warn')].map((td) => td.parentElement.dataset.key + ' ' + td.textContent)"
    amber = page.evaluate(warned)
    assert sorted(amber) == ["binance_spot:spot 2026-01-01", "binance_usdm:perp 2026-01-01", "binance_usdm:perp low", "okx:perp low"]


def test_a_fee_tier_that_is_chosen_is_asked_for_and_shown_once_it_runs(page: Any) -> None:
    page.wait_for_function("document.querySelectorAll('#fees-rows tr').length === 4")
    page.select_option('#fees-rows tr[data-key="okx:spot"] [data-test="tier-okx"]', "vip1")
    page.wait_for_function("document.querySelector('#fees-rows tr[data-key=\"okx:spot\"]').children[2].textContent.startsWith('8.00')")
    assert asked(page, "tier") == [{"venue": "okx", "tier": "vip1"}]
    assert page.input_value('#fees-rows tr[data-key="okx:spot"] [data-test="tier-okx"]') == "vip1"
    page.select_option('#fees-rows tr[data-key="okx:spot"] [data-test="role-sell-okx"]', "maker")
    page.wait_for_function("DOPE.state.mode.fees.find((f) => f.venue === 'okx').sell_as === 'maker'")
    assert asked(page, "set") == [{"roles": {"okx": {"sell": "maker"}}}]
    assert page.input_value('#fees-rows tr[data-key="okx:spot"] [data-test="role-sell-okx"]') == "maker"
    page.evaluate("document.activeElement.blur()")
    for key, name in (("1", "live"), ("0", "settings")):
        page.keyboard.press(key)
        page.wait_for_function(f"DOPE.page === '{name}'")


# -- display -------------------------------------------------------------------------------------------------------------
def test_the_display_changes_at_once_everywhere_and_is_kept(page: Any) -> None:
    for name, value in (("zone", "local"), ("numbers", "comma"), ("colours", "green-red"), ("density", "compact"), ("motion", "still")):
        page.check(f'[data-test="display-{name}-{value}"]', force=True)
    assert page.evaluate("""[getComputedStyle(document.documentElement).getPropertyValue('--pos').trim(), DOPE.fmt.number(91234.5, 1),
      DOPE.fmt.zoneName(), document.getElementById('clock-zone').textContent, document.documentElement.dataset.density]""") == [
        "#3ecf8e", "91,234.5", "local", "local", "compact"]  # fmt: skip
    height = "document.querySelector('#fees-rows tr').offsetHeight"
    low = page.evaluate(height)
    begin(page)
    page.wait_for_function("document.querySelectorAll('#fees-rows tr').length === 4")
    kept = page.evaluate("[DOPE.display.get('colours'), DOPE.fmt.number(91234.5, 1), DOPE.fmt.zone.local]")
    assert kept == ["green-red", "91,234.5", True]
    chosen(page, "numbers", "comma")
    assert page.evaluate("getComputedStyle(document.querySelector('.switch i')).transitionProperty") == "none"
    page.wait_for_function("document.getElementById('figure-order_size').textContent === 'running: 1,000 quote currency'")
    page.click('[data-test="display-reset"]')
    page.wait_for_function("DOPE.fmt.number(91234.5, 1) === '91\\u2009234.5'")
    chosen(page, "numbers", "thin")
    assert page.evaluate(height) > low
    assert page.complaints == []


def test_colours_reach_the_matrix_and_the_chart(page: Any) -> None:
    page.click("#rail-live")
    seen = """(rgb) => { const c = document.getElementById('matrix-canvas'), all = c.getContext('2d').getImageData(0, 0, c.width, c.height);
      const d = all.data;
      for (let i = 0; i < d.length; i += 4) if (Math.max(...rgb.map((v, k) => Math.abs(d[i + k] - v))) < 12) return true;
      return false; }"""
    page.wait_for_function(seen, arg=[122, 67, 18])
    lines = ("(hex) => document.querySelector('#chart-graph .js-plotly-plot').data"
             ".some((trace) => trace.mode === 'lines' && trace.line.color === hex)")  # fmt: skip
    page.wait_for_function(f"document.querySelectorAll('#chart-graph .scatterlayer .trace').length > 0 && ({lines})('#4da3ff')")
    page.evaluate("DOPE.display.set({ colours: 'green-red' })")
    page.wait_for_function(seen, arg=[120, 44, 40])
    page.wait_for_function(f"({lines})('#3ecf8e')")
    assert not page.evaluate(f"({lines})('#4da3ff')")


def test_the_clock_in_the_top_bar_is_the_same_setting(page: Any) -> None:
    page.click('[data-act="zone"]')
    chosen(page, "zone", "local")
    assert json.loads(page.evaluate("localStorage.getItem('dope.display')"))["zone"] == "local"


def test_a_slower_screen_draws_less_often_but_what_is_clicked_at_once(page: Any) -> None:
    page.evaluate("""() => { window.drawn = 0; window.paces = [];
      for (const section of ['applied', 'instruments']) DOPE.on(section, () => { drawn += 1; });
      const pace = DOPE.pace; DOPE.pace = (ms) => { paces.push(ms); pace(ms); }; }""")
    page.check('[data-test="display-rate-2"]', force=True)
    assert page.evaluate("paces") == [500]
    page.evaluate("DOPE.pace(1e8)")
    page.wait_for_timeout(800)
    start = page.evaluate("[drawn, DOPE.link.messages]")
    page.wait_for_function(f"DOPE.link.messages >= {start[1]} + 10")
    assert page.evaluate("drawn") == start[0]
    page.click('[data-test="switch-okx"]')
    page.wait_for_function("document.querySelector('[data-test=\"watched-okx\"]').textContent.includes('Stop watching OKX')")
    page.check('[data-test="display-rate-all"]', force=True)
    page.wait_for_function(f"drawn > {start[0]}")


def give(page: Any, content: str) -> str:
    """Import a file and give what the page says about it."""
    page.evaluate("document.getElementById('display-said').textContent = ''")
    file = {"name": "dope.json", "mimeType": "application/json", "buffer": content.encode()}
    page.set_input_files('[data-test="display-import"]', file)
    page.wait_for_function("document.getElementById('display-said').textContent !== ''")
    return text(page, "display-said")


def test_settings_are_written_to_a_file_and_taken_from_it(page: Any) -> None:
    page.check('[data-test="display-colours-red-green"]', force=True)
    with page.expect_download() as waiting:
        page.click('[data-test="display-export"]')
    content = waiting.value.path().read_text()
    assert json.loads(content)["display"]["colours"] == "red-green" and waiting.value.suggested_filename == "dope-display.json"
    page.click('[data-test="display-reset"]')
    assert page.evaluate("DOPE.display.get('colours')") == "blue-orange"
    assert give(page, content) == "Taken from dope.json."
    assert page.evaluate("DOPE.display.get('colours')") == "red-green"
    chosen(page, "colours", "red-green")


GOOD = {"format": "dope-display", "version": 1, "display": {"colours": "green-red"}}
HOSTILE = {
    "not json": "it is no JSON", "": "it is no JSON", "[]": "it is no file of settings of this program", "null": "it is no file of",
    '{"format": "dope-display", "version": 1, "display": {"__proto__": {"x": 1}}}': "“__proto__” is no setting of this page",
    json.dumps({**GOOD, "version": 2}): "it is of version 2, this page reads version 1",
    json.dumps({**GOOD, "display": 7}): "there are no settings",
    json.dumps({**GOOD, "display": {"colours": "green-red", "zone": "<img onerror=x(1)>"}}): 'zone cannot be "<img onerror=x(1)>"',
    json.dumps({**GOOD, "display": {"colours": "green-red", "constructor": "x"}}): "“constructor” is no setting",
    json.dumps({**GOOD, "display": {"colours": ["green-red"]}}): 'colours cannot be ["green-red"]',
    json.dumps({**GOOD, "more": "x" * 20_000}): "it is too long for a file of settings", "[" * 9000: "it is no JSON",
}  # fmt: skip


def test_of_a_file_that_is_not_right_nothing_is_taken(page: Any) -> None:
    page.check('[data-test="display-density-compact"]', force=True)
    before = page.evaluate("localStorage.getItem('dope.display')")
    for content, why in HOSTILE.items():
        said = give(page, content)
        assert said.startswith(NOTHING_TAKEN + why), content[:60]
        assert page.evaluate("[localStorage.getItem('dope.display'), DOPE.display.get('colours'), ({}).x === undefined]") == [
            before, "blue-orange", True]  # fmt: skip
        assert page.locator("#display-said *").count() == 0
    page.evaluate("localStorage.setItem('dope.display', '{\"colours\": \"<script>\", \"zone\": \"local\"}')")
    page.goto(page.server.url + "/?tour=0")
    page.wait_for_function("window.DOPE && DOPE.display && DOPE.state.mode")
    assert page.evaluate("[DOPE.display.get('colours'), DOPE.display.get('zone')]") == ["blue-orange", "utc"]


def test_a_venue_that_was_never_watched_has_its_name(page: Any) -> None:
    page.wait_for_selector('[data-test="watched-kraken"]:has-text("Kraken")')
    seek(page, "xbt/usd")
    page.wait_for_function("document.querySelector('#finds-rows td:nth-child(2)').innerText === 'Kraken'")
    assert "Kraken (2)" in page.inner_text('[data-test="finds-venue"]')


def test_all_that_is_known_of_a_market_is_seen_at_once(page: Any) -> None:
    seek(page, "cheems")
    page.click('[data-test="watch-binance_usdm:CHEEMS-USDT-PERP"]')
    page.wait_for_selector('[data-test="unwatch-binance_usdm:CHEEMS-USDT-PERP"]')
    for width, height in ((1680, 1020), (1580, 900), (1366, 768), (1280, 720)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)
        scrolled, covered = page.evaluate("""() => { const box = document.querySelector('#finds .scroll');
          const [contract, act] = [...document.querySelector('#finds-rows tr').children].slice(8).map((td) => td.getBoundingClientRect());
          return [box.scrollWidth - box.clientWidth, contract.right - act.left]; }""")
        assert scrolled <= 0 and covered <= 1, width
    page.set_viewport_size({"width": 1680, "height": 1020})
    page.click('[data-test="unwatch-binance_usdm:CHEEMS-USDT-PERP"]')


def test_it_fits_every_screen(page: Any) -> None:
    seek(page, "eth")
    for width, height in ((1680, 1020), (1366, 768), (412, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)
        wide = "[document.documentElement, document.querySelector('.main')].filter((n) => n.scrollWidth > n.clientWidth).length"
        assert page.evaluate(wide) == 0, width
    page.set_viewport_size({"width": 1680, "height": 1020})
    assert page.complaints == []


def test_the_page_needs_no_data_to_be_laid_out() -> None:
    assert settings.draw(EMPTY) == {}
    told = str(settings.layout())
    assert all(head in told for head, _tip in (*settings.FINDS, *settings.FEES))
    assert re.search("finds-box.*watch-trouble.*watched-list.*figures-form.*display-form", told)


# -- parameters of detectors -------------------------------------------------------------------------------------------------
def parameter(page: Any, name: str) -> Any:
    page.wait_for_function("(id) => document.getElementById(id) && document.getElementById(id).value !== ''", arg=f"parameter-{name}")
    return page.locator(f'[data-test="parameter-{name}"]')


def test_parameters_of_detectors_are_shown_with_unit_range_and_meaning_and_changed_ones_are_asked_for_until_they_run(page: Any) -> None:
    market = page.server.market
    box = parameter(page, "jumps-min_bps")
    row = page.evaluate("[...document.querySelector('#detectors-rows tr[data-key=\"jumps.min_bps\"]').children].map((td) => td.innerText)")
    assert (row[1], row[3], row[4], row[5]) == ("min_bps", "bps", "0.1 … 1000, usually 5", "a jump has at least this size")
    box.fill("0")
    assert text(page, "parameter-jumps-min_bps-said") == "from 0.1 to 1000"
    assert page.is_disabled('[data-test="detectors-apply"]')
    box.fill("7.5")
    assert text(page, "parameter-jumps-min_bps-said") == "running: 5"
    market.deaf = True
    try:
        page.click('[data-test="detectors-apply"]')
        page.wait_for_function("document.getElementById('parameter-jumps-min_bps-said').textContent === '◌ asked for'")
        until(lambda: asked(page, "set"), "the command")
        assert asked(page, "set") == [{"parameters": {"jumps": {"min_bps": 7.5}}}]
    finally:
        market.deaf = False
    parameters.Tuning(market.detectors).on(Setting(0, b'{"parameters":{"jumps":{"min_bps":7.5}}}'), Market())
    page.wait_for_function("document.getElementById('parameter-jumps-min_bps-said').textContent === 'changed'")
    assert box.input_value() == "7.5" and page.is_disabled('[data-test="detectors-apply"]')
    parameter(page, "whales-pause_s").fill("3")
    page.click('[data-test="detectors-revert"]')
    assert parameter(page, "whales-pause_s").input_value() == "10"
    assert page.complaints == []
