"""Nobody gets in without the token: the form, a wrong one, the right one, and the way out."""

from __future__ import annotations

from typing import Any

import pytest

from dope.board import Board
from tests.browser.hostile import Guarded
from tests.browser.patience import patient

pytestmark = pytest.mark.browser

OPERATE, READ = "operate-token-of-the-house", "read-token-of-the-house"


@pytest.fixture
def page(browser: Any) -> Any:
    opened = patient(browser.new_page())
    yield opened
    opened.close()


def test_a_visitor_signs_in_with_the_keyboard_watches_and_signs_out(page: Any) -> None:
    with Guarded(Board(), api_token=OPERATE, read_token=READ) as server:
        page.goto(server.url + "/predict")
        assert page.evaluate("document.activeElement.id") == "token", "one may type at once"
        assert page.locator("#dope-app").count() == 0
        page.keyboard.type("no token of this house")
        page.keyboard.press("Enter")
        assert page.get_by_role("alert").inner_text() == "This token is not ours."
        page.keyboard.type(READ)
        page.keyboard.press("Enter")
        page.wait_for_function("() => window.DOPE && DOPE.link && DOPE.link.status === 'live'")
        assert page.evaluate("location.pathname") == "/predict", "on to what was asked for"
        page.keyboard.press("Escape")  # the tour of a first visit
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#token")
        page.goto(server.url + "/")
        assert page.locator("#dope-app").count() == 0, "the session is over"


def test_where_no_token_is_set_nobody_needs_a_way_out(page: Any) -> None:
    with Guarded(Board()) as server:
        page.goto(server.url + "/?tour=0")
        page.wait_for_selector("#dope-app")
        assert page.get_by_role("button", name="Sign out").count() == 0
