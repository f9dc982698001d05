"""Rows kept in memory: what the bound may drop, what a sealed segment takes away, what a query gets."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from dope import tail as tail_module
from dope.tables import TABLES
from dope.tail import MERGE, Tail
from tests.tape.frames import START, trades


def ids(table: pa.Table) -> list[int]:
    return [int(number) for number in table.column("trade_id").to_pylist()]


def at(n: int) -> int:
    return START + n * 1_000_000


def test_rows_come_back_in_order_by_time_and_symbol() -> None:
    tail = Tail()
    for n in range(0, 30, 10):
        tail.add("trade", trades(n, n + 10))
    assert tail.table("trade").schema.equals(TABLES["trade"], check_metadata=True)
    assert ids(tail.table("trade")) == list(range(30))
    assert ids(tail.table("trade", "BTC-USDT", at(7), at(21))) == list(range(7, 22)), "both ends are meant"
    assert ids(tail.table("trade", "ETH-USDT")) == [] and ids(tail.table("trade", "", at(25))) == list(range(25, 30))
    assert tail.table("bbo").num_rows == 0 and tail.table("bbo").schema.equals(TABLES["bbo"])


def test_at_the_bound_only_what_the_disk_has_confirmed_goes_and_since_says_so() -> None:
    tail = Tail({"trade": 25})
    for n in range(5):
        tail.add("trade", trades(10 * n, 10 * n + 10), ticket=n + 1)
    assert ids(tail.table("trade")) == list(range(50)) and tail.since("trade") == 0, "a stuck disk loses nothing here"
    tail.placed([(1, "a.dope"), (2, "a.dope")])
    assert ids(tail.table("trade")) == list(range(20, 50)) and tail.since("trade") == at(19) + 1
    tail.placed([(3, "a.dope"), (4, "b.dope"), (5, "b.dope")])
    assert ids(tail.table("trade")) == list(range(30, 50)) and tail.since("trade") == at(29) + 1
    assert tail.since("bbo") == 0
    assert ids(tail.table("trade", "", at(0))) == list(range(30, 50))


def test_what_is_not_recorded_is_forgotten_at_the_bound() -> None:
    tail = Tail({"trade": 25})
    for n in range(5):
        tail.add("trade", trades(10 * n, 10 * n + 10))
    assert ids(tail.table("trade")) == list(range(30, 50)) and tail.since("trade") == at(29) + 1


def test_a_sealed_segment_takes_its_rows_and_no_others() -> None:
    tail = Tail()
    for n in range(6):
        tail.add("trade", trades(n, n + 1), ticket=n + 1)
    tail.placed([(1, "a.dope"), (2, "a.dope"), (3, "b.dope")])
    assert tail.tapes() == {"a.dope", "b.dope"}
    assert [(tape, ids(rows)) for tape, rows in tail.by_tape("trade")] == [("a.dope", [0, 1]), ("b.dope", [2]), (None, [3, 4, 5])]
    tail.forget("a.dope")
    assert ids(tail.table("trade")) == [2, 3, 4, 5] and tail.tapes() == {"b.dope"}
    tail.placed([(4, "a.dope")])
    tail.forget("a.dope")
    assert ids(tail.table("trade")) == [2, 4, 5]


def test_many_small_batches_become_few_and_stay_what_they_are() -> None:
    tail, tape = Tail(), 2 * MERGE**2
    for n in range(5 * tape):
        tail.add("trade", trades(n, n + 1), ticket=n + 1)
        tail.placed([(n + 1, f"{n // tape}.dope")])
        tail.tidy()
        assert tail.table("trade").column("trade_id").num_chunks <= 2 * (n // tape) + 3 * MERGE
    assert ids(tail.table("trade")) == list(range(5 * tape))
    tail.forget("1.dope")
    assert ids(tail.table("trade")) == [*range(tape), *range(2 * tape, 5 * tape)]


@pytest.mark.parametrize("seed", range(3))
def test_a_query_beside_the_recorder_and_tidying_up_sees_each_row_once(seed: int) -> None:
    tail, rng, stop = Tail(), random.Random(seed), threading.Event()
    seen: list[list[int]] = []

    def ask() -> None:
        while not stop.is_set():
            seen.append(ids(tail.table("trade")))

    def tidy() -> None:
        while not stop.is_set():
            tail.tidy()

    threads = [threading.Thread(target=each) for each in (ask, tidy)]
    for thread in threads:
        thread.start()
    for n in range(300):
        tail.add("trade", trades(n, n + 1), ticket=n + 1)
        if rng.random() < 0.5:
            tail.placed([(n + 1 - k, f"{(n + 1 - k) // 50}.dope") for k in range(5)])
        if n % 100 == 99:
            tail.forget(f"{n // 50 - 1}.dope")
    stop.set()
    for thread in threads:
        thread.join()
    assert seen and all(got == sorted(set(got)) for got in seen)
    assert {n for n in range(300) if (n + 1) // 50 % 2} <= set(ids(tail.table("trade"))), "rows of the tapes that are still there"


def test_what_changes_while_the_tail_is_tidied_up_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging runs beside the market: rows that came meanwhile stay, and a tape that was let go of meanwhile does not come back."""
    tail = Tail()
    for n in range(MERGE):
        tail.add("trade", trades(n, n + 1), ticket=n + 1)
    tail.placed([(n + 1, "a.dope") for n in range(MERGE)])
    real = tail_module._merged
    meanwhile: list[Callable[[], None]] = [lambda: tail.add("trade", trades(MERGE, MERGE + 1), ticket=99), lambda: tail.forget("a.dope")]

    def merged(parts: list[Any]) -> list[Any]:
        found = real(parts)
        if parts and meanwhile:
            meanwhile.pop(0)()
        return found

    monkeypatch.setattr(tail_module, "_merged", merged)
    tail.tidy()
    assert ids(tail.table("trade")) == list(range(MERGE + 1)) and tail.table("trade").column("ts").num_chunks == 2
    for n in range(MERGE):
        tail.add("trade", trades(100 + n, 101 + n), ticket=200 + n)
    tail.placed([(200 + n, "b.dope") for n in range(MERGE)])
    tail.tidy()
    assert ids(tail.table("trade")) == [MERGE, *range(100, 100 + MERGE)]
