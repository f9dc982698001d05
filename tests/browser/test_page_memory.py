"""A page that stays open all day needs no more memory: objects, nodes and listeners after thousands of updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.dev_server import Server
from tests.program import PATIENCE_S, Program

pytestmark = pytest.mark.browser
MS = PATIENCE_S * 1000
LIVE = "window.DOPE && DOPE.link.status === 'live' && DOPE.state.instruments.size > 0"
WARM_UP, UPDATES = 1000, 3000
#: bytes of script objects that may be added meanwhile: chart (900 points) and tape (500 lines) still fill up to their bounds. With a
#: fake market it was 33.6 MB after 1,000 updates, 37.5 after 6,000, when both were full, 37.5 after 9,000 and 35.9 after 12,000.
GROWTH = 4e6
NODES = 3000  #: nodes and listeners that may be added, detached ones included; rows that come and go make up to 1,500


def assert_flat(page: Any, warm_up: int, updates: int) -> None:
    """So many updates leave no more objects, nodes and listeners behind than chart, tape and rows may hold."""
    tools = page.context.new_cdp_session(page)

    def after(count: int) -> float:
        start = page.evaluate("DOPE.link.messages")
        page.wait_for_function(f"DOPE.link.messages >= {start + count}")
        tools.send("HeapProfiler.collectGarbage")
        return float(tools.send("Runtime.getHeapUsage")["usedSize"])

    def nodes() -> dict[str, float]:
        found = tools.send("Performance.getMetrics")["metrics"]
        return {row["name"]: row["value"] for row in found if row["name"] in ("Nodes", "JSEventListeners", "Documents")}

    tools.send("Performance.enable")
    warm, before = after(warm_up), nodes()
    used = after(updates)
    print(f"heap {warm / 1e6:.2f} MB, after {updates} updates {used / 1e6:.2f} MB")
    assert used - warm < GROWTH
    assert len(before) == 3 and all(n - before[name] < NODES for name, n in nodes().items())
    assert page.evaluate("document.querySelectorAll('*').length") < 6000
    assert page.complaints == []


def test_two_hundred_updates_leave_the_memory_of_the_page_flat(visit: Callable[..., Any]) -> None:
    with Server(hz=40.0, past=60) as server:
        page = visit(server)
        page.wait_for_function(LIVE)
        assert_flat(page, 50, 200)


@pytest.mark.full
def test_three_thousand_updates_of_the_real_program_leave_the_memory_of_the_page_flat(visit: Callable[..., Any], tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim", "--speed", "3", push_hz=50) as program:
        program.wait_ready()
        page = visit(program)
        page.set_default_timeout(MS)
        page.wait_for_function(LIVE)
        assert_flat(page, WARM_UP, UPDATES)
