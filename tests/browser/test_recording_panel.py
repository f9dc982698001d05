"""The Recording panel on the real program: what was recorded, what is missing and why, the room, the last seal and verify."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dope.dashboard import recording
from tests.program import PATIENCE_S, Program, command, until

assert recording
pytestmark = pytest.mark.browser
FILLED = "document.querySelector('[data-test=\"gaps-sum\"]').textContent !== ''"


def fact(page: Any, name: str) -> str:
    """What stands beside a name in the panel."""
    script = "(name) => [...document.querySelectorAll('#storage-facts dt')].find((dt) => dt.textContent === name)?.nextSibling.textContent"
    return str(page.evaluate(script, name))


@pytest.mark.full
def test_a_killed_recording_and_the_way_it_is_kept_are_shown_then_what_is_wrong_and_that_nobody_answers(
    tmp_path: Path, visit: Callable[..., Any]
) -> None:
    with Program(tmp_path, "--source", "sim") as first:
        first.wait_ready()
        until(lambda: first.get("/api/v1/storage").json()["frames"] > 100, "frames on the disk")
        first.end(signal.SIGKILL)
    done = command(tmp_path, "verify", tmp_path / "data")
    assert done.returncode == 2 and "not closed in order" in done.stdout
    with Program(tmp_path, "--source", "sim", reads_per_s=1000, costly_per_min=6000) as program:
        program.wait_ready()
        until(lambda: program.get("/api/v1/storage").json()["sealed"], "the tape of the killed one is sealed")
        page = visit(program, "/replay?tour=0")
        page.set_default_timeout(PATIENCE_S * 1000)
        page.wait_for_function(FILLED)
        assert fact(page, "Now").startswith("● recording 20") and "1 tapes, last 20" in fact(page, "Sealed")
        assert "1 problems" in fact(page, "Verified") and " of " in fact(page, "Room left")
        page.wait_for_function("document.getElementById('gaps-rows').textContent.includes('killed: ')")
        rows = page.locator("#gaps-rows tr").all_text_contents()
        assert any("before the oldest recording" in row for row in rows), rows
        assert not any("still missing" in row and "killed" in row for row in rows)
        page.click('[data-test="gaps-1"]')
        page.wait_for_function("document.querySelector('[data-test=\"gaps-sum\"]').textContent.startsWith('In the last 1')")
        program.ask("set", order_size=750)
        page.wait_for_function("document.getElementById('commands-rows').textContent.includes('order_size 750')")
        assert page.is_hidden('[data-test="log-trouble"]') and page.complaints == []
        page.route("**/api/v1/storage*", lambda route: route.fulfill(status=409, json={"error": "the disk is gone", "hint": ""}))
        page.click('[data-test="storage-reload"]')
        page.wait_for_selector('[data-test="storage-trouble"]:not([hidden])')
        assert "the disk is gone" in page.text_content('[data-test="storage-trouble"]')
