"""The dial of the simulated market in its banner: chosen by keyboard and mouse, told in one line, gone where the market is live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.dev_server import Server
from tests.browser.fake_board import FakeMarket

pytestmark = pytest.mark.browser
SEE = '[data-test="banner-sim"] small'
FOCUS = "document.activeElement.dataset.test"


def test_a_scenario_is_chosen_and_the_page_says_what_to_look_for(visit: Callable[..., Any]) -> None:
    with Server("sim", past=20) as server:
        page = visit(server, width=1366)
        look(server.market, page)
        server.market.mode = {**server.market.mode, "source": "live", "banner": None, "scenario": None}
        page.wait_for_selector('[data-test="dial"]', state="detached")
        assert page.locator(SEE).count() == 0 and page.locator('[data-test="dial-menu"]').is_hidden() and page.complaints == []
        page.reload()
        without_list(server.market, page)


def look(market: FakeMarket, page: Any) -> None:
    page.wait_for_selector(f'{SEE}:text-is("What you should see: All books stay live.")')
    menu, dial = page.locator('[data-test="dial-menu"]'), page.locator('[data-test="dial"]')
    assert menu.is_hidden() and dial.inner_text().split() == ["Scenario:", "Usual", "▾"] and "--scenario" in dial.get_attribute("title")

    dial.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{FOCUS} === 'scenario-usual'")
    assert dial.get_attribute("aria-expanded") == "true"
    assert [item.inner_text().replace("\n", ": ") for item in page.locator('[role="menuitemradio"]').all()] == [
        f"{row['name']}: {row['see']}" for row in market.scenarios
    ], "each with its sentence"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(f'{SEE}:text-is("What you should see: Prices hardly move, no opportunity opens.")')
    assert menu.is_hidden() and page.evaluate(FOCUS) == "dial" and market.commands == [("scenario", {"name": "calm"})]
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert menu.is_hidden() and page.evaluate(FOCUS) == "dial" and len(market.commands) == 1

    market.deaf = True  # accepted, and then refused in the loop
    page.evaluate("DOPE.dialPatience(50)")
    dial.click()
    page.click('[data-test="scenario-venue-freeze"]')
    page.wait_for_selector('.toast2.bad:has-text("Venue freeze is not played")')
    page.wait_for_selector(f'{SEE}:text-is("What you should see: Prices hardly move, no opportunity opens.")')


def without_list(market: FakeMarket, page: Any) -> None:
    """A list that does not come is told, and can be asked for again."""
    page.route("**/api/v1/scenarios", lambda route: route.fulfill(status=503, body="{}"))
    market.mode = {**market.mode, "source": "sim", "banner": "started on request"}
    market.play("calm")
    page.click('[data-test="dial"]')
    page.wait_for_selector('[data-test="dial-trouble"]:has-text("the server refused (503)")')
    page.unroute("**/api/v1/scenarios")
    market.scenarios, kept = [], market.scenarios
    page.click('[data-test="dial-load"]')
    page.wait_for_selector('[data-test="dial-empty"]')
    market.scenarios = kept
    page.evaluate("DOPE.actions['dial-load']()")
    page.wait_for_selector('[data-test="scenario-calm"]:focus')
