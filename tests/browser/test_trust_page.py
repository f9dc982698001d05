"""The Trust page over the real program in this process: promises with their counts, a red state that appears and goes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dope.api import mount
from dope.api.serve import server_options
from dope.board import Board
from dope.dashboard import pages, trust
from dope.dashboard.app import build, policy
from dope.runtime import Runtime
from dope.settings import Settings
from tests.browser.patience import patient
from tests.program import until

pytestmark = pytest.mark.browser


class Whole:
    """Engine, API and pages on a free port, with a self-test each second."""

    def __init__(self, folder: Path) -> None:
        places = {"data_dir": folder / "data", "model_dir": folder / "models"}
        settings = Settings(_env_file=None, source="sim", self_test_s=1.0, reads_per_s=1000.0, **places)
        self.board = Board()
        self.runtime = Runtime(settings, self.board)
        app = build(self.board, settings)
        clock, watch = self.runtime.clock, self.runtime.watch
        mount(app.server, self.board, settings, alive=self.runtime.alive, clock_ns=clock.now, watch=watch,
              pages=[page.PATH for page in pages()], page_policy=policy(app))  # fmt: skip
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app.server, log_level="warning", **server_options(settings)))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.runtime.start()
        self._thread.start()
        until(lambda: self.board.read().seq and self._server.started, "a publication")

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self.runtime.stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    running = Whole(tmp_path_factory.mktemp("whole"))
    yield running
    running.close()


def test_promises_have_their_counts_and_a_failed_self_test_is_red_on_every_page_until_it_is_well(browser: Any, whole: Whole) -> None:
    page = patient(browser.new_page(viewport={"width": 1680, "height": 1020}))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{whole.url}{trust.PATH}?tour=0")
    page.wait_for_selector('[data-test="self-test-state"]:has-text("found, priced to the tick")')
    page.wait_for_function("document.querySelectorAll('#promises-rows tr').length >= 15")
    cells = page.evaluate("[...document.querySelectorAll('#promises-rows tr')].map((tr) => [...tr.cells].map((td) => td.textContent))")
    assert {row[0] for row in cells} <= {"● kept", "■ broken", "◌ too few"}
    assert all(row[1] and row[2] and row[4] and row[6].startswith("tests/") for row in cells)
    by_name = {row[1]: row for row in cells}
    assert any("priced to the tick" in name for name in by_name)
    # the page itself is what the self-test has to reach
    until(lambda: whole.runtime.audit.to_browser.count >= 1, "an answer of this page")
    page.wait_for_selector('#promises-rows tr[data-key="tick_screen"] td:nth-child(4):has-text("p99")')
    page.wait_for_selector('[data-test="banner-self-test"]', state="detached")
    # red
    session = whole.runtime.session
    assert session is not None
    wanting, session.engine._wanting = session.engine._wanting, {}
    page.wait_for_selector('[data-test="self-test-state"].bad:has-text("found nothing")')
    page.wait_for_selector('[data-test="banner-self-test"]:has-text("Self-test failed: expected net")')
    page.click("#rail-live")
    page.wait_for_selector('[data-test="banner-self-test"]')
    page.wait_for_selector("#rail-trust.alarm")
    until(lambda: whole.runtime.audit.status()["missed"] >= 3, "three in a row")
    assert page.locator('[data-test="banner-self-test"]').count() == 1, "three in a row are one state"
    # and well again
    session.engine._wanting = wanting
    page.wait_for_selector('[data-test="banner-self-test"]', state="detached")
    page.click("#rail-trust")
    page.wait_for_selector('[data-test="self-test-state"].ok')
    # nothing of it where anybody looks
    state = "DOPE.state.instruments.values(), ...DOPE.state.opps.values(), DOPE.state.events, DOPE.state.matrix"
    assert "SENTINEL" not in page.evaluate(f"JSON.stringify([...{state}])")
    assert "sentinel" not in page.evaluate("document.body.innerText").lower()
    assert complaints == []
    page.close()
