"""The profile of the slowest one percent: every nanosecond between due and done has one cause, and the right one."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import numpy as np
import pytest

from bench import latency, slowest
from bench.marks import COLUMNS, DOINGS, ENGINE, GARBAGE, LOOP, PUBLISHING, ROWS, WAITING, Marks
from bench.slowest import CAUSES, EARLIER, LOCK, NO_CPU, OWN, SENDER, WOKEN, WORK
from bench.stream import SYMBOLS


def timeline(*spans: tuple[int, int, int, int]) -> np.ndarray:
    """Marks of spans (what, ns, of them on the processor, of them ready without one), one after another from 0 on."""
    marks = [(0, 0, 0, LOOP)]
    for doing, wall, cpu, delay in spans:
        now, before, waited, _ = marks[-1]
        marks.append((now + wall, before + cpu, waited + delay, doing))
    return np.array(marks, dtype=np.int64)


def causes(due: int, sent: int, began: int, done: int, marks: np.ndarray) -> dict[str, float]:
    """Those that are not 0."""
    found = slowest.split(due, sent, began, done, marks)
    assert found.sum() == pytest.approx(done - due), "they sum"
    return {name: value for name, value in zip(CAUSES, found.tolist(), strict=True) if value}


def test_each_part_of_the_way_has_its_own_cause() -> None:
    marks = timeline((PUBLISHING, 400, 400, 0), (ENGINE, 300, 300, 0), (LOOP, 50, 50, 0), (ENGINE, 200, 200, 0))
    assert causes(-70, 100, 750, 950, marks) == {
        SENDER: 170, WORK[PUBLISHING]: 300, EARLIER: 300, WORK[LOOP]: 50, OWN: 200,
    }  # fmt: skip


def test_what_the_processor_was_not_there_for_is_no_work() -> None:
    marks = timeline((ROWS, 1_000, 400, 500), (GARBAGE, 100, 100, 0), (ENGINE, 100, 20, 0))
    assert causes(0, 0, 1_100, 1_200, marks) == {WORK[ROWS]: 400, NO_CPU: 500, LOCK: 100 + 80, WORK[GARBAGE]: 100, OWN: 20}


def test_a_span_that_began_before_counts_by_its_part() -> None:
    marks = timeline((ROWS, 1_000, 400, 500), (ENGINE, 100, 100, 0))
    assert causes(750, 750, 1_000, 1_050, marks) == {WORK[ROWS]: 100, NO_CPU: 125, LOCK: 25, OWN: 50}


def test_a_thread_that_sleeps_is_waiting_for_a_processor_only_once_it_could_run() -> None:
    asleep = timeline((WAITING, 10_000, 5, 300), (ENGINE, 100, 100, 0))
    assert causes(9_000, 9_000, 10_000, 10_100, asleep) == {NO_CPU: 300, WOKEN: 700, OWN: 100}
    assert causes(9_900, 9_900, 10_000, 10_100, asleep) == {NO_CPU: 100, OWN: 100}, "never more than it waited"


def test_its_own_turn_goes_on_after_a_collection_within_it() -> None:
    marks = timeline((ENGINE, 100, 100, 0), (LOOP, 10, 10, 0), (ENGINE, 50, 50, 0), (GARBAGE, 200, 200, 0), (ENGINE, 40, 40, 0))
    assert causes(50, 50, 110, 380, marks) == {EARLIER: 50, WORK[LOOP]: 10, OWN: 50 + 20, WORK[GARBAGE]: 200}


def test_what_no_mark_covers_is_told_of_the_loop() -> None:
    assert causes(0, 10, 90, 100, np.zeros((0, COLUMNS), dtype=np.int64)) == {SENDER: 10, WORK[LOOP]: 90}


def test_one_percent_is_chosen_and_one_at_least() -> None:
    delays = np.arange(1_000)
    assert sorted(slowest.slowest(delays).tolist()) == list(range(990, 1_000))
    assert slowest.slowest(np.array([3, 9, 4])).tolist() == [1] and not len(slowest.slowest(np.zeros(0)))


def test_the_table_begins_with_the_whole_and_tells_shares() -> None:
    one, two = np.zeros((2, 1, len(CAUSES)))
    one[0, CAUSES.index(OWN)], two[0, CAUSES.index(OWN)], two[0, CAUSES.index(NO_CPU)] = 100.0, 100.0, 200.0
    whole, first, second, *rest = slowest.told("slow", [one, two, np.zeros((0, len(CAUSES)))])
    assert (whole.name, whole.value, whole.samples) == ("slow, mean", 200.0, 2)
    assert [(each.name, each.value, each.note) for each in (first, second)] == [
        (f"slow: {NO_CPU}", 100.0, "50 %"), (f"slow: {OWN}", 100.0, "50 %"),
    ]  # fmt: skip
    assert not any(each.value for each in rest) and len(rest) == len(CAUSES) - 2 and slowest.told("none", []) == []


def test_messages_behind_a_stall_are_told_of_what_the_thread_was_doing() -> None:
    """200 messages, one a µs, taken by one turn each; before the last two the thread publishes for 30 µs."""
    due = np.arange(200, dtype=np.int64) * 1_000
    began = due.copy()
    began[198:] = [228_000, 228_500]
    batches = np.column_stack([np.arange(1, 201) + len(SYMBOLS), began, began + 500])
    marks = timeline((LOOP, 198_000, 198_000, 0), (PUBLISHING, 30_000, 30_000, 0), (ENGINE, 1_000, 1_000, 0))
    done = {"batches": batches, "marks": marks}
    found = latency.slow_of({"due": due, "sent": due}, done, np.arange(200), began + 500)
    told = [{name: value for name, value in zip(CAUSES, row, strict=True) if value} for row in found.tolist()]
    assert told == [{WORK[PUBLISHING]: 29.0, EARLIER: 0.5, OWN: 0.5}, {WORK[PUBLISHING]: 30.0, OWN: 0.5}]


def test_a_thread_notes_what_it_does_and_nothing_of_the_others() -> None:
    marks, other = Marks(), threading.Thread()

    async def life() -> None:
        nonlocal other
        marks.attend()
        marks.attend()
        work = marks.within(ENGINE, marks.within(ROWS, time.monotonic_ns))
        work()
        await asyncio.sleep(0.001)
        other = threading.Thread(target=work)
        other.start()
        other.join()
        before = marks.begin(PUBLISHING)
        gc.collect()
        marks.end(before)

    asyncio.run(life())
    taken = marks.taken()
    gc.callbacks.remove(marks._collected)
    said = [DOINGS[doing] for doing in taken[:, 3].tolist() if doing not in (WAITING, LOOP)]
    assert said == ["engine", "rows", "engine", "publishing", "garbage", "publishing"]
    assert WAITING in taken[:, 3] and all((np.diff(taken[:, column]) >= 0).all() for column in range(3))


def test_an_error_ends_what_was_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    marks: Any = Marks()
    monkeypatch.setattr(marks, "_thread", threading.get_ident())
    monkeypatch.setattr(marks, "_waited", lambda: 0)
    with pytest.raises(ZeroDivisionError):
        marks.within(ENGINE, lambda: 1 // 0)()
    assert marks._doing == LOOP
