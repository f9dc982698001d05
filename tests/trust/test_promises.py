"""Promises: each has its figure, its samples and a test that exists; what is measured is true; a failed self-test is told everywhere."""

from __future__ import annotations

import ast
import gc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from dope.audit import Audit
from dope.board import Board
from dope.feed.clock import Clock
from dope.growth import Slope
from dope.promises import MEMORY_MESSAGES, Promises
from dope.watch import Watch
from dope.watchdog import Watchdog
from tests.program import ROOT, until
from tests.test_supervision import House

MS = 1_000_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("house"), self_test_s=0.4)
    until(lambda: sum(venue["books_live"] for venue in running.board.read().data.get("venues", ())) == 12, "all books live")
    yield running
    running.close()


def asked(house: House) -> dict[str, Any]:
    answer = house.client.get("/api/v1/promises")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows_of(house: House) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in asked(house)["rows"]}


def test_every_promise_names_a_test_that_exists_and_how_many_samples_it_needs(house: House) -> None:
    rows = asked(house)["rows"]
    assert len(rows) >= 15 and len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["promise"] and row["promised"] and row["how"] and row["of"] and row["needed"] >= 1 and row["since_ms"], row
        path = ROOT / row["test"]
        assert [name for name in functions_of(path) if name.startswith("test_")], path
        assert row["state"] == "few" or row["samples"] >= row["needed"], row


def functions_of(path: Path) -> list[str]:
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


def test_figures_move_with_what_happens(house: House) -> None:
    until(lambda: asked(house)["self_test"]["run"] >= 2, "two self-tests")
    first = rows_of(house)
    until(lambda: rows_of(house)["tick_signal"]["samples"] > first["tick_signal"]["samples"], "more batches")
    until(lambda: rows_of(house)["stale"]["samples"] > first["stale"]["samples"], "more rows looked at")
    gc.collect()
    rows = rows_of(house)
    assert rows["gc"]["samples"] > 0 and rows["gc"]["max"] > 0 and rows["loop_runtime"]["samples"] > 0
    assert rows["stale"]["value"] == 0.0 and rows["recorded"]["value"] == 0.0 and rows["recorded"]["samples"] > 0
    assert rows["memory"]["state"] == "few", f"{MEMORY_MESSAGES} messages are not here yet"
    assert rows["self_test"]["samples"] >= 2 and rows["self_test_signal"]["p50"] is not None
    assert rows["tick_screen"]["state"] == "few" and rows["self_test_browser"]["samples"] == 0, "no page is open"


def test_a_page_that_answers_is_waited_for_and_its_figures_are_shown(house: House) -> None:
    with house.browser() as page:
        page.send(orjson.dumps({"type": "seen", "shown": True, "screen": [12.5, 80.0, 321]}).decode())
        until(lambda: house.board.pages == 1, "the page is known")
        told = rows_of(house)["tick_screen"]
        assert told["state"] == "few" and (told["p50"], told["p99"], told["samples"]) == (12.5, 80.0, 321)
        before = house.runtime.audit.to_browser.count
        number = 0
        while house.runtime.audit.to_browser.count == before:
            row = orjson.loads(page.recv(60)).get("data", {}).get("sentinel")
            if row and row["opened"] != number:
                number = row["opened"]
                page.send(orjson.dumps({"type": "seen", "shown": True, "n": number}).decode())
    until(lambda: house.board.pages == 0, "the page has gone")
    assert asked(house)["self_test"]["pages"] in (0, 1)


@pytest.mark.parametrize("wish", [{"n": "x", "shown": True}, {"shown": 1}, {}, {"shown": True, "screen": [1, 2]}])
def test_a_page_that_talks_nonsense_is_closed(house: House, wish: dict[str, Any]) -> None:
    with house.browser() as page:
        page.send(orjson.dumps({"type": "seen", **wish}).decode())
        until(lambda: closed(page), "closed")
        assert page.close_code == 1008
    assert house.board.pages == 0


def closed(page: Any) -> bool:
    try:
        page.recv(1)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    return False


def test_what_nobody_asked_for_does_not_arrive(house: House) -> None:
    with house.browser() as page:
        for n in range(20):
            page.send(orjson.dumps({"type": "seen", "shown": True, "n": n + 1, "t": 1.0, "screen": [-1.0, 1.0, 1]}).decode())
        until(lambda: house.board.pages == 1, "heard")
    assert not any(number <= 20 for number in house.board.arrivals)
    assert house.board.screen is None or house.board.screen[0] >= 0.0


def test_a_broken_detector_is_told_by_health_metrics_and_promises_and_so_is_its_repair(house: House) -> None:
    session = house.runtime.session
    assert session is not None
    until(lambda: asked(house)["self_test"]["state"] == "ok", "a first one that is well")
    until(lambda: "dope_self_test_failed 0.0" in house.client.get("/metrics").text, "metrics say so")
    wanting, session.engine._wanting = session.engine._wanting, {}
    try:
        health = until(lambda: told(house.client.get("/health"), "found nothing"), "health tells")  # one that was on its way may not close
        assert "self-test failed: expected net" in health["reason"] and health["status"] == "degraded"
        metrics = house.client.get("/metrics").text
        assert "dope_self_test_failed 1.0" in metrics and 'dope_self_tests_total{verdict="missed"}' in metrics
        assert rows_of(house)["self_test"]["state"] in ("broken", "few")
    finally:
        session.engine._wanting = wanting
    until(lambda: asked(house)["self_test"]["state"] == "ok", "green again")
    until(lambda: not told(house.client.get("/health")), "health is well again")


def told(answer: httpx.Response, words: str = "self-test failed") -> dict[str, Any] | None:
    health: dict[str, Any] = answer.json()
    return health if words in (health["reason"] or "") else None


# -- the measuring itself ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("growth", "state"), [(0.0, "kept"), (0.2, "broken"), (0.05, "few")])
def test_growth_of_memory_is_found_once_enough_messages_went_through(growth: float, state: str) -> None:
    rng, board, clock = random.Random(3), Board(), Clock()
    audit = Audit(lambda: None, board, clock, period_s=0.0, push_hz=10.0, seed=1)
    promises = Promises(board, audit, Watchdog(Watch()), clock, push_hz=10.0)
    for n in range(20_000):
        promises.memory.add(n * 2000, 300.0 + growth * n * 0.002 + rng.gauss(0, 0.5))
    (row,) = [row for row in promises.rows(None) if row["id"] == "memory"]
    assert row["state"] == state and row["samples"] > MEMORY_MESSAGES and "±" in row["measured"]
    assert abs(row["value"] - growth) < 0.02


def test_few_samples_of_memory_say_nothing() -> None:
    slope = Slope()
    for n in range(12):
        slope.add(n * 100_000, 300.0 + 5 * n)
    assert slope.found()[2] < MEMORY_MESSAGES
    assert Slope().found()[3] == 0


def test_pauses_of_the_collector_are_listened_to_only_while_it_runs(tmp_path: Path) -> None:
    board, clock = Board(), Clock()
    audit = Audit(lambda: None, board, clock, period_s=0.0, push_hz=10.0, seed=1)
    promises = Promises(board, audit, Watchdog(Watch()), clock, push_hz=10.0)
    promises.start()
    gc.collect()
    promises.stop()
    seen = promises.pauses.count
    gc.collect()
    assert seen >= 1 and promises.pauses.count == seen
