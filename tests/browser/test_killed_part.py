"""A part of the real program is killed while a person looks: how soon /health and the page say so, and what becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.program import PATIENCE_S, Program, until

pytestmark = pytest.mark.browser
MS = PATIENCE_S * 1000
LIVE = "window.DOPE && DOPE.link.status === 'live' && DOPE.state.instruments.size > 0"
#: when the page first shows that something is wrong, ms of its clock; banners are looked at in every frame
SEEN = """() => {
  window.seen = 0;
  const look = () => {
    if (!window.seen && document.querySelector('[data-test="banner-mended"], [data-test="banner-silent"], [data-test="banner-stopped"]'))
      window.seen = Date.now();
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.mark.full
@pytest.mark.kills("market process")
def test_the_death_of_a_part_is_told_by_health_and_page_and_mended_or_ends_the_program(
    tmp_path: Path, visit: Callable[..., Any], figure: Callable[..., None]
) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        until(lambda: program.get("/health").status_code == 200, "all is well")
        page = visit(program)
        page.set_default_timeout(MS)
        page.wait_for_function(LIVE)
        page.evaluate(SEEN)
        health: list[tuple[float, int]] = []
        over = threading.Event()
        asking = threading.Thread(target=_ask, args=(program, health, over), name="asks health")
        asking.start()
        (market,) = program.children()
        killed, wall = time.monotonic(), time.time()
        market.kill()
        page.wait_for_function("window.seen > 0")
        until(lambda: any(code == 503 for _, code in health), "503")
        told = next(at for at, code in health if code == 503) - killed
        well = until(lambda: health[-1][1] == 200 and health[-1][0], "recovery") - killed
        over.set()
        asking.join()
        figure("part killed: /health is 503", told, unit="s", target=2.0)
        figure("part killed: banner in the browser", page.evaluate("window.seen") / 1000 - wall, unit="s", target=3.0)
        figure("part killed: mended", well, unit="s", target=10.0)
        until(program.children, "another process of the market")
        killed = time.monotonic()
        program.children()[0].kill()  # again, within a minute: nothing mends that
        assert program.process.wait() == 70
        figure("part killed again: the program has ended with code 70", time.monotonic() - killed, unit="s", target=10.0)


def _ask(program: Program, answers: list[tuple[float, int]], over: threading.Event) -> None:
    while not over.wait(0.02):
        code = program.get("/health").status_code
        answers.append((time.monotonic(), code))
