"""Saved views on the Live page: what was saved is applied again, in this browser and another, until it is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.again import watch
from tests.browser.patience import patient

pytestmark = pytest.mark.browser
READY = "DOPE.link.status === 'live' && DOPE.state.opps.size > 0 && document.querySelector('[data-test=\"asset-ETH\"]')"
ONLY_ETH = "[...document.querySelectorAll('.ag-center-cols-container .sym b')].every((b) => b.textContent === 'ETH-USDT')"


def save(page: Any, name: str) -> None:
    page.click('[data-act="views"]')
    page.fill('[data-test="view-name"]', name)
    page.click('[data-test="view-save"]')


def test_filters_are_saved_under_a_name_applied_by_another_browser_and_deleted(serve: Any, visit: Any) -> None:
    server = serve()
    page = visit(server)
    page.wait_for_function(READY)
    page.click('[data-act="views"]')
    page.wait_for_selector("text=None saved yet.")
    page.click('[data-test="view-save"]')
    page.wait_for_selector("text=A view needs a name")
    page.click('[data-act="views"]')
    page.click('[data-test="asset-ETH"]')
    page.fill('[data-test="min-net"]', "-50")
    name = 'only <b>ETH</b> & 5%/"x"'
    save(page, name)
    page.wait_for_selector('[data-test="view-apply"]')
    assert page.text_content('[data-test="view-apply"]') == name, "a name is text, whatever is in it"
    assert server.market.views[name]["state"]["asset"] == "ETH" and server.market.views[name]["state"]["min"] == -50

    page.evaluate("localStorage.clear()")  # what is opened next knows nothing of this one
    other = patient(page.context.new_page())
    watch(other, server.url)
    other.goto(server.url + "/?tour=0")
    other.wait_for_function(READY)
    assert other.evaluate("DOPE.view.asset") == ""
    other.click('[data-act="views"]')
    other.click('[data-test="view-apply"]')
    other.wait_for_function(ONLY_ETH)
    assert other.evaluate("[DOPE.view.asset, DOPE.view.min, DOPE.view.span]") == ["ETH", -50, 240]
    assert other.input_value('[data-test="min-net"]') == "-50"
    other.click('[data-test="view-delete"]')
    other.wait_for_selector("text=None saved yet.")
    assert server.market.views == {}

    assert page.locator('[data-test="view-row"]').count() == 1, "this browser has not looked again"
    page.click('[data-test="view-delete"]')
    page.wait_for_selector("text=unknown view")
    page.wait_for_selector("text=None saved yet.")
    other.close()
    complaints = [text for text in [*page.complaints, *other.complaints] if "404" not in text]
    assert complaints == []


def test_an_answer_that_comes_late_takes_no_button_away_and_no_newer_list(serve: Any, visit: Any) -> None:
    server = serve()
    page = visit(server)
    page.wait_for_function(READY)
    held: list[Any] = []
    page.route("**/api/v1/views", lambda route: route.continue_() if held else held.append(route))
    page.click('[data-act="views"]')
    page.fill('[data-test="view-name"]', "mine")
    page.evaluate("window.button = document.querySelector('[data-test=view-save]')")
    page.click('[data-test="view-save"]')
    page.wait_for_selector('[data-test="view-apply"]')
    with page.expect_response("**/api/v1/views"):
        held[0].fulfill(json=[])
    page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
    assert page.locator('[data-test="view-apply"]').count() == 1
    assert page.evaluate("window.button.isConnected && window.button === document.querySelector('[data-test=view-save]')")
    assert page.complaints == []


def test_a_saved_view_that_holds_nonsense_changes_only_what_makes_sense(serve: Any, visit: Any) -> None:
    server = serve()
    server.market.views["odd"] = {"page": "live", "name": "odd", "saved": 1, "state": {"min": "x", "span": "", "asset": None, "more": 1}}
    page = visit(server)
    page.wait_for_function(READY)
    page.click('[data-act="views"]')
    page.click('[data-test="view-apply"]')
    page.wait_for_selector("text=View “odd”")
    assert page.evaluate("[DOPE.view.min, DOPE.view.asset, DOPE.view.span, DOPE.view.more ?? null]") == [None, "", 240, None]
    assert page.complaints == []
