"""Where there is little room every venue keeps its place, names do not lie over each other, and what can be done stays in view."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.browser
SHORTS = ("BIN", "BINF", "OKX", "BINC", "BFX", "BYB", "BYBL", "CB", "CBX",
          "GATE", "GATF", "GEM", "HTX", "HTX-L", "HYPE", "KRK", "KUC", "MEXC")  # fmt: skip
SIZES = ((1680, 1020), (1366, 768))
ROOM = {1680: 702, 1366: 469}  #: px that are left to the pills beside five assets and the word LIVE
#: (lines of pills, how many px of them are cut off, how many ages are seen, a tip)
PILLS = """() => {
  const holder = document.getElementById('venues'), pills = [...holder.children];
  const seen = pills.filter((pill) => !pill.classList.contains('ok') && pill.querySelector('.ms').offsetWidth > 0);
  return [new Set(pills.map((pill) => pill.offsetTop)).size, holder.scrollHeight - holder.clientHeight, seen.length, pills[2].title];
}"""
NAMES = """() => [...document.querySelectorAll('#chart-graph .annotation-text-g')].map((name) => name.getBoundingClientRect())
  .map((box) => [box.top, box.bottom]).sort((a, b) => a[0] - b[0])"""
OUT = """(id) => [...document.querySelectorAll(`[data-test$="-${id}"].chip`)].filter((chip) => {
  const box = chip.getBoundingClientRect(), room = document.querySelector('#fleet .scroll').getBoundingClientRect();
  return box.right > room.right + 0.5 || box.left < room.left; }).length"""
OVER = "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('#fleet .scroll'))"


def publish(server: Any, troubled: int) -> None:
    """Eighteen venues, of which so many are down."""
    data = dict(server.board.read().data)
    first, now = data["venues"][0], server.board.read().t_ns // 1_000_000
    error = "All connection attempts failed, the venue is in maintenance"
    down = {"state": "down", "books_live": 0, "last_error": error, "breaker": "half-open", "next_retry": now + 3_600_000}
    rows = [{**first, "id": f"v{n}", "short": short, "label": f"Venue {short}", "since": now - 45_000} for n, short in enumerate(SHORTS)]
    data["venues"] = [{**row, **down} if n in range(2, 2 + troubled) else row for n, row in enumerate(rows)]
    server.board.publish(server.board.read().t_ns + 1, data)


@pytest.fixture
def crowded(serve: Any, visit: Any) -> tuple[Any, Any]:
    server = serve()
    page = visit(server)
    page.wait_for_function("DOPE.link.status === 'live' && DOPE.state.venues.size === 3")
    server.hold.set()
    return server, page


def pills(page: Any, troubled: int) -> list[Any]:
    """Once so many are shown as down, and the page has looked whether there is room."""
    down = "document.querySelectorAll('#venues .vp.down').length"
    page.wait_for_function(f"document.querySelectorAll('#venues .vp').length === 18 && {down} === {troubled}")
    page.evaluate("() => new Promise((done) => { let n = 0; DOPE.on('second', () => { n += 1; if (n === 2) done(); }); })")
    found: list[Any] = page.evaluate(PILLS)
    return found


def test_every_venue_keeps_its_place_in_two_lines_however_many_are_in_trouble(crowded: tuple[Any, Any]) -> None:
    server, page = crowded
    ages = {}
    for troubled in (0, 4, 6, 14):
        publish(server, troubled)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("(px) => { document.getElementById('venues').style.flex = `0 0 ${px}px`; }", ROOM[width])
            lines, cut, ages[width, troubled], tip = pills(page, troubled)
            assert lines <= 2 and cut <= 1, (width, troubled, lines, cut)
            assert not troubled or tip.startswith("Venue OKX: down for "), tip
    assert ages[1680, 4] == 4 and ages[1680, 6] == 6, "where there is room the ages are there"
    assert ages[1366, 14] == 0, "and where there is none they give way"


def test_what_can_be_done_with_a_venue_stays_in_view_while_it_is_asked(crowded: tuple[Any, Any]) -> None:
    server, page = crowded
    publish(server, 6)
    page.click("#rail-venues")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_selector('[data-test="venue-mute-v2"]')
        for question in ("", "venue-mute-v2", "venue-sure-v2"):
            if question:
                page.click(f'[data-test="{question}"]')
            assert page.evaluate(OVER) <= 0 and page.evaluate(OUT, "v2") == 0, (width, question)
            page.keyboard.press("Escape")


def test_names_at_the_right_of_a_low_chart_do_not_lie_over_each_other(serve: Any, visit: Any) -> None:
    page = visit(serve(), width=1366, height=768)
    page.wait_for_function("document.querySelectorAll('#chart-graph .annotation-text-g').length >= 8")
    boxes = page.evaluate(NAMES)
    assert all(below[0] >= above[1] - 3 for above, below in pairwise(boxes)), boxes
