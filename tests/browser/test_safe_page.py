"""No text runs on the page: not from the wire, the board, a file, a link or a person; with its policy and with the policy taken off.

40 payloads at once stand in every text of the board and move on with each publication. Every check is also shown a hole.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import openpyxl
import pandas as pd
import pytest
from dash import Input, Output

from dope.api.export import FORMULA
from dope.board import Board
from dope.dashboard.app import build, policy
from dope.settings import Settings
from tests.browser.hostile import PAGES, PAYLOADS, PLAIN, PLANTED, READY, ROWS, Eye, Guarded, HostileBoard, in_turn

pytestmark = pytest.mark.browser
DRAWN = {
    "/spreads": "document.querySelectorAll('#spreads-table table').length > 0",
    "/": "document.querySelectorAll('#chart-graph .scatterlayer .trace').length > 0 && document.querySelector('#opps-grid .ag-row')"
    " && document.querySelectorAll('#matrix-table table').length > 0 && document.querySelectorAll('#tape-rows .ev').length > 5",
    "/depth": "document.querySelector('#depth-symbol') && document.querySelector('#depth-canvas')",
    "/lead-lag": "document.querySelector('#leadlag-matrix').childElementCount > 0",
    "/predict": "document.querySelectorAll('#predict-graph .scatterlayer .trace').length > 0 && document.querySelector('#pairs-rows tr')",
    "/backtest": "document.querySelectorAll('#backtest-graph .scatterlayer .trace').length > 0"
    " && document.querySelector('#trades-grid .ag-row')",
    "/replay": "document.querySelector('#recordings-days')",
    "/trust": "document.querySelectorAll('#promises-rows tr').length >= 3",
    "/venues": "document.querySelectorAll('#fleet-rows tr').length >= 3 && document.querySelectorAll('#books-rows tr').length > 5",
    "/settings": "document.querySelectorAll('#watched-list li').length > 3 && document.querySelectorAll('#fees-rows tr').length > 2",
}
#: the panels of the Replay page that ask for themselves show the payloads
TOLD = """document.querySelectorAll('#commands-rows tr').length >= 20 && document.querySelectorAll('#past-rows tr').length >= 20
  && document.querySelectorAll('#gaps-rows tr').length >= 30 && document.getElementById('storage-facts').textContent.includes('x(')"""
#: where what the detectors say in payloads stands
FOUND = {"/spreads": "#across-rows", "/depth": "#depth-costs-rows", "/lead-lag": "#follow-rows"}
LOOKS = 4  #: rounds over one page
#: everything that can be pressed, but what leaves the page, freezes it or asks for a file
PRESS = """() => { for (const node of document.querySelectorAll('[data-act], [data-test^=pair-], .ag-header-cell, .ag-row, option'))
  if (node.checkVisibility() && !STAYS.includes(node.dataset.act)) node.click(); }""".replace(
    "STAYS", json.dumps(["pause", "link", "trades-csv", "report-json", "retry", "tape-kind", "reconnect", "go-live",
                         "recording-play", "view-delete", "recordings-reload", "display-export"])
)  # fmt: skip
HOVER = """() => { for (const graph of document.querySelectorAll('.js-plotly-plot'))
  for (let curveNumber = 0; curveNumber < Math.min(3, (graph.data || []).length); curveNumber += 1)
    try { Plotly.Fx.hover(graph, [{ curveNumber, pointNumber: 1 }]); } catch (e) { /* hidden */ }
  for (const node of document.querySelectorAll('#matrix-canvas, .ag-cell, [title]')) {
    const box = node.getBoundingClientRect(), at = { bubbles: true, clientX: box.x + box.width * 0.6, clientY: box.y + box.height * 0.6 };
    for (const kind of ['mouseover', 'mousemove', 'pointermove']) node.dispatchEvent(new MouseEvent(kind, at)); } }"""
LINKS = "[...document.querySelectorAll('a')].map((a) => a.href).filter((href) => !href.startsWith(location.origin + '/'))"


@pytest.fixture(scope="module")
def server() -> Iterator[Guarded]:
    with Guarded(HostileBoard(), hz=3.0) as running:
        yield running


@pytest.fixture(scope="module")
def both(browser: Any) -> Iterator[tuple[Eye, Eye]]:
    """Of a browser that heeds the policy, and of one that does not: what they have compiled serves all tests."""
    made = Eye(browser), Eye(browser, policy=False)
    yield made
    for eye in made:
        eye.close()


@pytest.fixture
def guarded(both: tuple[Eye, Eye]) -> Iterator[Eye]:
    yield both[0]
    both[0].rest()


@pytest.fixture
def bare(both: tuple[Eye, Eye]) -> Iterator[Eye]:
    yield both[1]
    both[1].rest()


# -- the policy ------------------------------------------------------------------------------------------------------
SCRIPT_TYPES = (None, "", "module", "text/javascript", "application/javascript")


class Inline(HTMLParser):
    """Gathers the inline scripts of a page (data blocks are no scripts)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag == "script" and not given.get("src") and given.get("type") in SCRIPT_TYPES

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def hash_of(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def rules(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in (part.split() for part in text.split(";"))}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_comes_with_a_policy_that_knows_exactly_its_own_scripts(server: Guarded, path: str) -> None:
    answer = httpx.get(server.url + path)
    given = rules(answer.headers["content-security-policy"])
    assert given["script-src"] == ["'self'", *map(hash_of, Inline(answer.text).found)]
    assert given["default-src"] == given["object-src"] == given["base-uri"] == given["frame-ancestors"] == ["'none'"]
    assert given["connect-src"] == given["form-action"] == ["'self'"]
    assert "camera=()" in answer.headers["permissions-policy"]


def test_a_script_that_the_library_puts_in_later_is_in_the_policy_too() -> None:
    app = build(Board(), Settings(_env_file=None))
    before = rules(policy(app))["script-src"]
    app.clientside_callback("function (n) { return n; }", Output("spoken", "title"), Input("poll", "n_intervals"))
    app.renderer = "var renderer = new DashRenderer({});"
    after = rules(policy(app))["script-src"]
    assert hash_of(app.renderer) in after and len(after) == len(before) + 1


def test_what_is_no_page_may_load_nothing(server: Guarded) -> None:
    for path in ("/api/v1/live", "/assets/10-state.js", "/nothing", "/" + quote(PAYLOADS[1]), "/metrics", "/openapi.json"):
        answer = httpx.get(server.url + path)
        assert rules(answer.headers["content-security-policy"])["default-src"] == ["'none'"], path
        assert "text/html" not in answer.headers["content-type"], path
    docs = rules(httpx.get(server.url + "/docs").headers["content-security-policy"])
    assert docs["script-src"] == ["'self'"] and docs["frame-ancestors"] == ["'none'"]


def test_everything_draws_under_the_policy_without_one_violation(guarded: Eye) -> None:
    with Guarded(Board()) as plain:
        plain.board.publish = with_samples(plain.board.publish)  # type: ignore[method-assign]
        page = guarded.open(plain.url + "/?tour=0")
        for path in PAGES:
            go(page, path)
            page.wait_for_function(DRAWN[path])
        page.wait_for_function("DOPE.link.status === 'live'")  # connect-src 'self' lets the stream through
        assert page.evaluate("window.violated || []") == []
        page = guarded.open(plain.url + "/docs?url=https://evil.test/openapi.json", wait="document.querySelector('.opblock')")
        assert page.evaluate("window.violated || []") == []
        assert "evil.test" not in page.content()
        assert guarded.errors == []


def go(page: Any, path: str) -> None:
    """To another page, as a click on the rail does."""
    page.evaluate("(path) => document.querySelector(`.rail a[href='${path}']`).click()", path)
    page.wait_for_function(f"DOPE.page === {json.dumps(path[1:].replace('-', '') or 'live')}")


def with_samples(publish: Any) -> Any:
    """``publish`` with a forecast and a report beside what is published."""
    from tests.browser.hostile import forecast, jobs

    return lambda t_ns, data: publish(t_ns, {**data, "pred": forecast(t_ns // 1_000_000), "jobs": jobs(t_ns // 1_000_000, 4)})


# -- what comes over the board ---------------------------------------------------------------------------------------
def look(pages: list[Any], times: int) -> None:
    """Press and hover everything that is there, again and again while the payloads move on."""
    for _ in range(times):
        for page in pages:
            before = page.evaluate("DOPE.page")
            page.evaluate(PRESS)
            page.evaluate(HOVER)
            page.evaluate("() => { const row = [...DOPE.state.opps.values()][0]; if (row) DOPE.inspect(row.id); }")
            assert page.evaluate(PLANTED) == []
            assert page.evaluate(LINKS) == []
            assert page.evaluate("DOPE.page") == before, "a payload led away"
            page.evaluate("DOPE.actions['reset-filters']()")


@pytest.mark.parametrize("policies", [(False,), pytest.param((True, False), marks=pytest.mark.full)], ids=["without", "with and without"])
def test_no_text_of_the_board_runs_on_any_page_with_and_without_the_policy(
    server: Guarded, guarded: Eye, bare: Eye, policies: tuple[bool, ...]
) -> None:
    """In short without it alone: what does not even run there is no attempt against it. At full size each page is looked at longer."""
    eyes, looks = [guarded if policy else bare for policy in policies], LOOKS if len(policies) > 1 else 1
    shown = [eye.open(server.url + "/?tour=0") for eye in eyes]
    for path in PAGES:
        for page in shown:
            go(page, path)
            page.wait_for_function(DRAWN[path])
        look(shown, looks)
        if path == "/":
            told = shown[0].text_content("#tape-rows")
            assert sum(text in told for text in PAYLOADS) == len(PAYLOADS), "the payloads are there to be read"
        assert shown[0].evaluate("window.violated || []") == []
        if path in FOUND:
            for page in shown:
                if path == "/depth":
                    page.select_option("#depth-symbol", PLAIN)  # of another form nothing is answered
                page.wait_for_function(f"document.querySelector('{FOUND[path]}').textContent.includes('x(')")
            look(shown, 1)
        if path == "/replay":
            for page in shown:
                page.wait_for_function("document.querySelectorAll('#recordings-rows tr').length >= 30")
                page.wait_for_function(TOLD)
                look([page], 1)
        if path == "/settings":
            for page in shown:
                page.fill('[data-test="finds-q"]', "x(")
                page.wait_for_function("document.querySelectorAll('#finds-rows tr').length >= 30")
                assert sum(text.strip() in page.text_content("#finds-rows") for text in PAYLOADS) > 30, "the payloads are there to be read"
                look([page], 1)
    the_file_that_the_page_writes_holds_no_formula(shown[0])
    assert [eye.ran for eye in eyes] == [[]] * len(eyes)
    assert not [error for eye in eyes for error in eye.errors if not error.startswith("Failed to load resource")]


def the_file_that_the_page_writes_holds_no_formula(page: Any) -> None:
    """The orders of a backtest as CSV, with every text in every column."""
    lines = page.evaluate("""(texts) => { const report = structuredClone(DOPE.backtest.shown.report);
      const like = report.result.trades[0];
      report.result.trades = texts.map((text, id) => ({ ...like, id, symbol: text, buy: text, sell: ' ' + text, status: text }));
      return DOPE.backtest.csv(report); }""", [*PAYLOADS, "\n=1", "＝1", "@x", "-1", "\t=1"])  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert len(rows) == len(PAYLOADS) + 5
    assert not [value for row in rows for name in ("symbol", "buy", "sell", "status") if is_formula(value := row[name])]


def test_this_test_can_fail_and_the_policy_is_the_second_wall(server: Guarded, guarded: Eye, bare: Eye) -> None:
    hole = "node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));"
    leak = hole + " if (node.className === 'm') node.innerHTML = children[0];"
    for eye in (guarded, bare):
        eye.spoil("20-frame.js", hole, leak)
    page = guarded.open(f"{server.url}/?tour=0")
    page.wait_for_function("window.violated && window.violated.length > 3")
    assert page.evaluate(PLANTED) != []
    assert guarded.ran == []
    page.close()
    page = bare.open(f"{server.url}/?tour=0")
    for _ in range(200):
        if len(set(bare.ran)) > 3:
            break
        page.wait_for_timeout(50)
    assert len(set(bare.ran)) > 3


# -- what comes with a link, with the browser's own store, or is typed -----------------------------------------------
def test_no_link_to_a_page_runs(server: Guarded, bare: Eye) -> None:
    names = ("asset", "kind", "text", "matrix", "chart", "min", "span", "tour", "replay", "pair", "marks", "lead_asset", "lead_clock",
             "lead_venues")  # fmt: skip
    page: Any = None
    for n, batch in enumerate(in_turn(len(names))):
        url = f"{server.url}{PAGES[n % len(PAGES)]}?{urlencode(dict(zip(names, batch, strict=False)))}#{quote(batch[0])}"
        page = page or bare.open(url)
        page.goto(url)
        page.wait_for_function(READY)
        page.evaluate(PRESS)
        assert page.evaluate(PLANTED) == []
        assert page.evaluate("[DOPE.see({}), Object.getPrototypeOf(DOPE.view) === Object.prototype, ({}).x].slice(1)") == [True, None]
    for text in PAYLOADS[1:2]:
        answer = bare.open(f"{server.url}/{quote(text)}", wait="")
        assert answer.locator("img, svg, script").count() == 0
        answer.close()
    assert bare.ran == []


TYPE = """(texts) => { const jump = document.getElementById('jump-input');
  for (const box of [jump, ...document.querySelectorAll('[data-test=quick-filter], [data-test=order-size]')])
    for (const text of texts) { box.value = text; box.dispatchEvent(new Event('input', { bubbles: true })); DOPE.toast(text, text); }
  jump.value = '';
  DOPE.actions.jump();
  document.querySelectorAll('#jump-list li').forEach((li) => li.click());
  texts.slice(0, 5).forEach((text) => DOPE.ask('set', { [text]: text }).catch(() => {})); }"""
KEEP = """(text) => { localStorage.setItem('dope.view', text); localStorage.setItem('dope.order', '<img src=x onerror=x(1)>'); }"""


def test_nothing_runs_that_a_person_types_or_the_browser_has_kept(server: Guarded, bare: Eye) -> None:
    page = bare.open(f"{server.url}/?tour=0")
    page.wait_for_function(DRAWN["/"])
    page.evaluate(TYPE, list(PAYLOADS))
    page.wait_for_function("document.querySelectorAll('#toasts > *').length > 0")
    assert page.evaluate(PLANTED) == [] and page.evaluate(LINKS) == []
    kept = dict(zip(("asset", "kind", "matrix", "chart", "pair", "tape", "columns", "span"), PAYLOADS, strict=False))
    page.evaluate(KEEP, json.dumps(kept)[:-1] + ', "__proto__": {"polluted": "yes"}, "constructor": {"prototype": {"polluted": "yes"}}}')
    page.close()
    page = bare.open(f"{server.url}/?tour=0")
    assert page.evaluate("[({}).polluted === undefined, Object.getPrototypeOf(DOPE.view) === Object.prototype]") == [True, True]
    page.evaluate(PRESS)
    assert page.evaluate(PLANTED) == [] and bare.ran == []


# -- files -----------------------------------------------------------------------------------------------------------
def is_formula(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip(" ").startswith(FORMULA)


def exported(server: Guarded) -> dict[str, bytes]:
    """The three files of one publication: what is open stands in them too, and its texts move on."""
    server.hold.set()
    try:
        while True:
            seq = server.board.read().seq
            forms = ("csv", "json", "parquet")
            files = {form: httpx.get(f"{server.url}/api/v1/export/opportunities.{form}", timeout=99).content for form in forms}
            if server.board.read().seq == seq:
                return files
    finally:
        server.hold.clear()


def test_files_hold_the_texts_and_no_formula(server: Guarded, tmp_path: Path) -> None:
    files = exported(server)
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode())))
    assert len(rows) == ROWS and not [value for row in rows for name, value in row.items() if name not in NUMBERS and is_formula(value)]
    sheet = openpyxl.Workbook().active
    for row in csv.reader(io.StringIO(files["csv"].decode())):
        sheet.append([re.sub(r"[\x00-\x08\x0b-\x1f]", "", value) for value in row])
    sheet.parent.save(tmp_path / "rows.xlsx")
    cells = [cell for row in openpyxl.load_workbook(tmp_path / "rows.xlsx").active.iter_rows() for cell in row]
    assert len(cells) > ROWS and not [cell.value for cell in cells if cell.data_type == "f"]
    as_json, as_parquet = json.loads(files["json"])["rows"], pd.read_parquet(io.BytesIO(files["parquet"]))
    texts = sorted(row["reason"] for row in as_json)
    assert texts == sorted(as_parquet["reason"]) and set(texts) == set(PAYLOADS), "files for programs hold them as they are"


NUMBERS = ("net_bps", "peak_bps", "touch_net_bps")
