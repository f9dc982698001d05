"""Bars outlive the program: what the first run recorded is there after the second has started, each trade once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.program import Program, until

STEP_MS = 5000


def ask(program: Program, path: str, **parameters: Any) -> dict[str, Any]:
    answer = program.get(f"/api/v1/{path}?{urlencode({'symbol': 'BTC-USDT', **parameters})}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {"rows": []}
    return found


def newest(program: Program) -> int:
    """When the newest bar of one second began, of those in memory, ms; 0 = none."""
    rows = ask(program, "bars", interval="1s", recorded="false")["rows"]
    return int(rows[-1]["start_ms"]) if rows else 0


def settled(program: Program) -> int:
    """A full step, ms, that is over, and so long that its trades are in the recording."""
    now = newest(program) // STEP_MS * STEP_MS + STEP_MS
    until(lambda: newest(program) >= now + 2000, "trades of later seconds")
    return now


def test_bars_from_before_a_restart_are_those_of_the_recorded_trades_and_the_hole_between_is_told(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"costly_per_min": 6000, "reads_per_s": 1000}
    with Program(tmp_path, "--source", "sim", **settings) as program:
        begin = until(lambda: newest(program), "trades") // STEP_MS * STEP_MS
        until(lambda: newest(program) > begin + 2 * STEP_MS, "a whole step of them")
        ended = settled(program)
        program.end(signal.SIGTERM)
    with Program(tmp_path, "--source", "sim", **settings) as program:
        until(lambda: newest(program), "trades of the second run")
        asked = {"interval": "5s", "start": begin, "end": settled(program)}
        found = ask(program, "bars", **asked)
        groups: dict[int, list[dict[str, Any]]] = {}
        for row in ask(program, "history/trade", start=asked["start"], end=asked["end"], limit=100_000)["rows"]:
            groups.setdefault(row["ts_ms"] // STEP_MS * STEP_MS, []).append(row)
        assert {row["start_ms"]: row["count"] for row in found["rows"]} == {start: len(rows) for start, rows in groups.items()}
        for row in found["rows"]:
            mine = groups[row["start_ms"]]
            assert row["volume"] == pytest.approx(sum(each["size"] for each in mine))
            assert (row["high"], row["low"]) == (max(each["price"] for each in mine), min(each["price"] for each in mine))
        before = [row for row in found["rows"] if row["end_ms"] <= ended]
        assert any(row["missing_s"] == 0.0 and not row["partial"] for row in before), "of the first run"
        assert any("nothing was recorded" in gap["why"] for gap in found["gaps"]) and not found["problems"]
        assert all(row["partial"] for row in found["rows"] if row["missing_s"]), "those that the restart cut"
        alone = ask(program, "bars", **asked, recorded="false")
        assert {row["start_ms"] for row in alone["rows"]}.isdisjoint(row["start_ms"] for row in before)
        assert alone["recorded"] is None
