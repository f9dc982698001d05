"""The Venues page: one row per exchange and per book, what proves each right, and what is wrong first."""

from __future__ import annotations

from typing import Any

import pytest

from dope.board import EMPTY
from dope.dashboard import venues

pytestmark = pytest.mark.browser
DRAWN = "document.querySelectorAll('#fleet-rows tr').length === 3 && document.querySelectorAll('#books-rows tr').length === 12"


@pytest.fixture
def page(desk: Any, again: Any) -> Any:
    desk.renew()
    shown = again(desk, "venues")
    shown.wait_for_function(f"{DRAWN} && document.querySelectorAll('#fleet-rows .st-down').length === 0")
    return shown


def cells(page: Any, table: str, row: int) -> list[str]:
    found: list[str] = page.evaluate(f"[...document.querySelectorAll('#{table}-rows tr')[{row}].children].map((td) => td.innerText)")
    return found


def test_every_venue_and_book_has_a_row_with_what_proves_it(page: Any) -> None:
    head = page.evaluate("[...document.querySelectorAll('#fleet th')].map((th) => th.innerText)")
    row = dict(zip(head, cells(page, "fleet", 0), strict=True))
    assert row["State"].startswith("● live") and row["Books"] == "3 / 3" and row["Proof"] == "sequence numbers"
    assert row["Last hour"].strip() == "100.0\u2009%" and row["Last error"] == "none"
    assert page.text_content("#fleet-note") == "3 of 3 live; what needs you stands first"
    assert page.text_content("#books-note") == "12 of 12 known to be right"
    assert page.complaints == []


def test_one_venue_can_be_looked_at_alone_and_a_link_brings_the_same_view(page: Any) -> None:
    name = "okx"
    page.click(f'[data-test="venue-pick-{name}"]')
    page.wait_for_function("document.querySelectorAll('#books-rows tr').length === 6")
    assert page.evaluate("[...document.querySelectorAll('#books-rows tr')].map((tr) => tr.dataset.key.split(':')[0])") == [name] * 6
    link = page.evaluate("DOPE.link_to_view()")
    page.click('[data-test="venue-pick-all"]')
    page.wait_for_function(DRAWN)
    page.evaluate("localStorage.clear()")
    page.goto(page.server.url + "/?tour=0&" + link.partition("?")[2])
    page.click("#rail-venues")
    page.wait_for_function("document.querySelectorAll('#books-rows tr').length === 6")


def test_a_venue_that_goes_down_stands_first_with_its_error_and_shows_no_price(page: Any) -> None:
    name = "okx"
    page.server.market.set_down(name, True)
    page.wait_for_function(f"document.querySelector('#fleet-rows tr').dataset.key === '{name}'")
    row = cells(page, "fleet", 0)
    assert row[1].startswith("■ down") and row[3] == "0 / 6" and row[13].startswith("connection closed (1006), again in")
    page.wait_for_function(f"document.querySelector('#books-rows tr').dataset.key.startsWith('{name}:')")
    book = cells(page, "books", 0)
    assert book[1] == "■ DOWN" and book[3:6] == ["–", "–", "–"] and book[11] == "disconnected"
    page.wait_for_function("document.querySelector('#fleet-rows tr .st-down') !== null")


def test_books_by_rest_are_neither_down_nor_as_good_as_live(page: Any) -> None:
    page.server.hold.set()
    told = page.evaluate("""() => new Promise((done) => {
      Object.assign(DOPE.state.venues.get('okx'), { state: 'rest', past: [[DOPE.now() - 60000, 'rest']] });
      ['page', 'venues'].forEach(DOPE.touch);
      const look = () => {
        const row = [...document.querySelectorAll('#fleet-rows tr')].find((tr) => tr.dataset.key === 'okx');
        const pill = document.querySelector('[data-test="venue-okx"]');
        const seen = [row.children[1].innerText, row.querySelectorAll('.st-rest').length, pill.className, pill.innerText];
        if (seen[0].includes('REST')) done(seen); else requestAnimationFrame(look); };
      look(); })""")
    assert told[0].startswith("▲ by REST") and told[1] == 1, told
    assert told[2] == "vp slow" and "by REST" in told[3], told


def test_a_book_that_nothing_proves_says_so(page: Any) -> None:
    page.server.hold.set()
    own = page.evaluate("""() => new Promise((done) => {
      DOPE.state.venues.get('okx').integrity = 'none';
      for (const i of DOPE.state.instruments.values()) if (i.venue === 'okx') Object.assign(i, { check: 'none', checked_ms: null });
      DOPE.touch('page');
      const read = (table, n) =>
        [...document.querySelectorAll(`#${table}-rows tr`)].map((tr) => [tr.dataset.key, tr.children[n].innerText]);
      const look = () => { const seen = [read('fleet', 6), read('books', 8)];
        if (seen[0].some(([key, text]) => key === 'okx' && text === '■ unverifiable')) done(seen); else requestAnimationFrame(look); };
      look(); })""")
    assert [text for key, text in own[0] if key != "okx"] == ["sequence numbers"] * 2
    assert {key for key, checked in own[1] if checked == "never"} == {key for key, _ in own[1] if key.startswith("okx:")}


def test_reconnect_asks_for_that_venue(page: Any) -> None:
    name = page.evaluate("[...DOPE.state.venues.keys()][0]")
    page.click(f'[data-test="reconnect-{name}"]')
    page.wait_for_function("document.querySelector('#toasts').innerText.includes('Reconnecting')")
    assert ("reconnect", {"venue": name}) in page.server.market.commands


def test_a_venue_is_disabled_after_a_question_and_leaves_the_page(page: Any) -> None:
    name = "okx"
    page.click(f'[data-test="venue-sure-{name}"]')
    assert page.evaluate("document.activeElement.dataset.test") == f"venue-keep-{name}", "what changes nothing is at hand"
    assert page.text_content(f'[data-test="venue-off-{name}"]') == "Stop watching 6 books"
    page.keyboard.press("Escape")
    page.wait_for_selector(f'[data-test="venue-sure-{name}"]:focus')
    page.click(f'[data-test="venue-sure-{name}"]')
    page.click(f'[data-test="venue-keep-{name}"]')
    assert page.is_visible(f'[data-test="reconnect-{name}"]') and page.server.market.commands == []
    page.click(f'[data-test="venue-sure-{name}"]')
    page.click(f'[data-test="venue-off-{name}"]')
    page.wait_for_function("document.querySelectorAll('#fleet-rows tr').length === 2")
    page.wait_for_function("document.querySelector('#toasts').innerText.includes('OKX is no longer watched; Settings brings it back')")
    assert page.server.market.commands == [("unwatch", {"venue": name})]


def test_a_muted_venue_says_until_when_shows_what_it_is_and_alarms_nobody(page: Any) -> None:
    name, market = "okx", page.server.market
    page.click(f'[data-test="venue-mute-{name}"]')
    assert page.evaluate("document.activeElement.dataset.test") == f"venue-keep-{name}"
    page.keyboard.press("Escape")
    page.wait_for_selector(f'[data-test="venue-mute-{name}"]:focus')
    page.click(f'[data-test="venue-mute-{name}"]')
    assert page.evaluate("(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('#fleet .scroll'))") <= 0
    page.click(f'[data-test="venue-hush-60-{name}"]')
    page.wait_for_selector(f'[data-test="venue-unmute-{name}"]')
    assert market.commands == [("mute", {"venue": name, "seconds": 3600})]
    end = page.evaluate(f"new Date(DOPE.state.venues.get('{name}').muted_until_ns / 1e6).toISOString().slice(11, 16)")
    assert end in page.text_content(f"#fleet-rows tr[data-key='{name}'] small.muted")
    assert page.text_content("#fleet-note").startswith("3 of 3 live, 1 muted")
    market.set_down(name, True)
    page.wait_for_selector(f"#fleet-rows tr[data-key='{name}'] td.bad:has-text('down')")
    assert page.evaluate("document.querySelector('#fleet-rows tr').dataset.key") != name, "what needs nobody does not stand first"
    assert page.evaluate("document.querySelector('#books-rows tr').dataset.key.split(':')[0]") != name
    assert "■ DOWN" in page.inner_text(f"#books-rows tr[data-key='{name}:BTC-USDT']"), "a book never hides what it is"
    assert page.get_attribute('[data-test="venue-okx"]', "class") == "vp down muted"
    assert "down" in page.inner_text('[data-test="venue-okx"]')
    page.click("#rail-live")
    line = page.wait_for_selector("#tape-rows .ev:has-text('OKX disconnected')")
    assert line.get_attribute("class") == "ev tone-quiet" and line.inner_text().endswith("muted") and not line.query_selector(".i-bad")
    assert page.locator(".banner.e, .banner.w, .toast2.bad").count() == 0
    page.click("#rail-venues")
    page.click(f'[data-test="venue-unmute-{name}"]')
    page.wait_for_function(f"document.querySelector('#fleet-rows tr').dataset.key === '{name}'")
    assert page.locator("small.muted").count() == 0 and market.commands[-1] == ("unmute", {"venue": name})


def test_the_page_needs_no_data_to_be_laid_out() -> None:
    assert venues.draw(EMPTY) == {}
    told = str(venues.layout())
    assert all(head in told for head, _tip in (*venues.FLEET, *venues.BOOKS))
