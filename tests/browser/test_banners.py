"""What the page says when a part of the program fails: the words of the supervisor, and that the engine has gone silent."""

from __future__ import annotations

from typing import Any

import pytest

from dope.board import Board
from tests.browser.hostile import Guarded
from tests.browser.patience import patient

pytestmark = pytest.mark.browser


def test_a_part_that_is_mended_and_an_engine_that_is_silent_are_told_in_a_banner(browser: Any) -> None:
    with Guarded(Board()) as server:
        page = patient(browser.new_page())
        page.goto(server.url + "/?tour=0")
        page.wait_for_function("window.DOPE && DOPE.link.status === 'live' && DOPE.state.mode")
        assert page.locator('[data-test="banner-mended"], [data-test="banner-silent"]').count() == 0
        server.market.mode = {**server.market.mode, "troubles": ["feed ticks: ended (ValueError: <b>x</b>), it is started anew"]}
        page.wait_for_selector('[data-test="banner-mended"]:has-text("feed ticks: ended (ValueError: <b>x</b>)")')
        server.market.mode = {**server.market.mode, "troubles": []}
        page.wait_for_selector('[data-test="banner-mended"]', state="detached")
        server.market.mode = {**server.market.mode, "notices": ["records cannot be written: disk full"]}
        page.wait_for_selector('[data-test="banner-notice"]:has-text("records cannot be written: disk full")')
        server.market.mode = {**server.market.mode, "notices": [], "clock": "Clock skew: the system clock has been set by 1.5 s"}
        page.wait_for_selector('[data-test="banner-clock"]:has-text("has been set by 1.5 s")')
        server.market.mode = {**server.market.mode, "clock": "", "stopped": True, "banner": "ENGINE STOPPED: ended twice within a minute"}
        page.wait_for_selector('[data-test="banner-stopped"]:has-text("ended twice within a minute")')
        page.wait_for_function("document.querySelector('[data-test=\"mode\"]').textContent === 'STOPPED'")
        assert page.locator("body.is-lost").count() == 1
        server.market.mode = {**server.market.mode, "stopped": False, "banner": None}
        page.wait_for_selector('[data-test="banner-stopped"]', state="detached")
        server.hold.set()
        page.wait_for_selector('[data-test="banner-silent"]:has-text("published nothing")')
        assert page.evaluate("DOPE.link.status") == "live", "the server itself still answers"
        server.hold.clear()
        page.wait_for_selector('[data-test="banner-silent"]', state="detached")
        page.close()
