"""The benchmark of watching tells a slow ingest from a slow screen, and whose part of the way was slow."""

from __future__ import annotations

import numpy as np
import pytest

from bench import pixels, served, watched
from bench.marks import COLUMNS
from bench.stream import SYMBOLS

MS = 1_000_000
NO_MARKS = np.zeros((0, COLUMNS), dtype=np.int64)
assert served  # run as a process of its own by the benchmark


def test_only_messages_of_a_phase_count_for_it() -> None:
    due = np.arange(4000, dtype=np.int64) * MS
    over = due + np.where(np.arange(4000) < 2000, 100_000, 300_000)
    batches = np.column_stack([np.arange(1, 4001) + len(SYMBOLS), due, over])
    none = np.zeros((0, 2), dtype=np.int64)
    done = {"batches": batches, "signals": none, "collections": none, "publishing": none, "marks": NO_MARKS}
    calm = watched.Phase("nobody watches", 0, 2000 * MS, 1.0, 0, {})
    pixel = {"newest": [30.0] * 100, "every": [80.0] * 100, "own": [29.0, 40.0]}
    busy = watched.Phase("20 watchers", 2000 * MS, 4000 * MS, 1.5, 1000, pixel)
    told = {each.name: each for each in watched.figures([calm, busy], {"due": due, "sent": due}, done)}
    assert told["ingest p99, 20 watchers ÷ nobody"].value == pytest.approx(3.0) and not told["ingest p99, 20 watchers ÷ nobody"].met
    assert told["dashboard CPU per client and update"].value == pytest.approx(0.5)
    assert told["newest event shown → pixel, 20 watchers: p95"].met and told["any event → pixel, 20 watchers: p95"].value == 80.0


def test_the_way_to_the_screen_is_told_by_parts_on_average_and_of_the_slowest() -> None:
    rows = [[10.0, 1.0, 2.0, 3.0, 4.0]] * 38 + [[10.0, 1.0, 2.0, 83.0, 4.0]] * 2
    one, two = (watched.Phase("20 watchers", 0, 1, 1.0, 1, {"waited": [40.0, 60.0]}, half) for half in (rows[:20], rows[20:]))
    told = {each.name: each for each in pixels.ways([one, two])}
    assert told["an event's wait for the next publication, 20 watchers: mean"].value == 50.0
    taken = [told[f"newest event → pixel, 20 watchers, {words}: taken in by the page"] for words in ("mean", "slowest 5 %")]
    assert [(each.value, each.note, each.samples) for each in taken] == [(7.0, "29 %", 40), (83.0, "83 %", 2)]
    assert len(told) == 1 + 2 * len(pixels.WAY) and pixels.ways([watched.Phase("nobody", 0, 1, 1.0, 1, {})]) == []
