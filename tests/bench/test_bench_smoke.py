"""The benchmark compares like with like: one valid stream, and contenders that end with the same books."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import run, store, stream
from bench.meter import Meter, digest
from bench.server import framed

SOME = 600


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "stream.jsonl"
    stream.write(path, SOME)
    return path


def rows(text: Iterator[bytes]) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    for line in text:
        message = json.loads(line)
        yield message["arg"]["instId"], message["action"], message["data"][0], len(line)


def test_the_stream_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert list(stream.messages(50)) == list(stream.messages(50)) != list(stream.messages(50, seed=2))


def test_the_stream_has_the_size_and_the_numbers_that_it_promises() -> None:
    last: dict[str, int] = {}
    sizes = []
    for symbol, action, row, size in rows(stream.messages(SOME)):
        changes = len(row["bids"]) + len(row["asks"])
        if action == "snapshot":
            assert row["prevSeqId"] == -1 and changes == 2 * stream.DEPTH and symbol not in last
        else:
            assert row["prevSeqId"] == last[symbol] < row["seqId"] and 18 <= changes <= 20
            sizes.append(size)
        last[symbol] = row["seqId"]
    assert len(last) == 20 and 650 < sum(sizes) / len(sizes) < 850


def test_no_book_of_the_stream_ever_crosses_and_touches_move() -> None:
    books: dict[str, tuple[dict[float, str], dict[float, str]]] = {symbol: ({}, {}) for symbol in stream.SYMBOLS}
    touches: dict[str, set[tuple[float, float]]] = {symbol: set() for symbol in stream.SYMBOLS}
    for symbol, _, row, _ in rows(stream.messages(SOME)):
        for side, levels in zip(books[symbol], (row["bids"], row["asks"]), strict=True):
            for price, size, *_ in levels:
                side[float(price)] = size
                if float(size) == 0:
                    del side[float(price)]
        bid, ask = max(books[symbol][0]), min(books[symbol][1])
        assert bid < ask
        touches[symbol].add((bid, ask))
    assert all(len(seen) > 5 for seen in touches.values())


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_frames_have_the_head_that_their_length_asks_for(size: int, head: int) -> None:
    assert len(framed(b"x" * size)) == size + head


def test_the_meter_leaves_the_warm_up_out() -> None:
    meter = Meter(messages=10, warm=4)
    assert [meter.count() for _ in range(10)] == [False] * 9 + [True]
    assert json.loads(meter.report("any", {}))["messages"] == 6


def test_books_that_differ_in_one_size_have_different_digests() -> None:
    assert digest({"A": ([(1, 2)], [])}) == digest({"A": ([(1.0, 2.0)], [])}) != digest({"A": ([(1.0, 3.0)], [])})


def test_all_contenders_end_with_the_same_books(file: Path) -> None:
    total = SOME + len(stream.SYMBOLS)
    results = [run.measure(contender, file, total, 100) for contender in run.runnable(tuple(run.CONTENDERS))]
    assert {result["contender"] for result in results} == set(run.CONTENDERS)
    assert len({result["books"] for result in results}) == 1


def test_the_table_shows_medians_and_ratios_to_the_last_contender() -> None:
    def result(name: str, cpu_s: float) -> dict[str, Any]:
        return {"contender": name, "messages": 1_000_000, "cpu_s": cpu_s, "wall_s": 10.0, "books": ""}

    took = ((9.0, 3.0), (90.0, 3.0), (12.0, 3.0))
    told = run.figures([result(name, cpu) for turn in took for name, cpu in zip(("plain", "engine"), turn, strict=True)])
    assert {each.name: each.value for each in told} == {
        "plain: CPU per message": 12.0, "plain: messages seen": 100_000.0, "plain ÷ engine: CPU": 4.0,
        "engine: CPU per message": 3.0, "engine: messages seen": 100_000.0,
    }  # fmt: skip
    assert [each.target for each in told if each.target] == [3.5]


def test_questions_about_history_are_measured_on_sealed_files_as_they_are_made(tmp_path: Path) -> None:
    store.main(rows=6_000, trades=600, out=tmp_path)
    told = {each["name"]: each for each in json.loads((tmp_path / "store.json").read_text())["figures"]}
    assert all(told[f"{kind}, last hour of one symbol"]["samples"] > 0 for kind in store.ASKED)
    assert {each["target"] for each in told.values() if each["target"]} == {20.0, 50.0, 1000 / 3}


def test_a_contender_that_cannot_be_imported_is_left_out_with_the_reason() -> None:
    program = "from bench import run; run.MODULES['engine'] = 'bench.not_there'; print(run.runnable(['plain', 'engine']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=run.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["engine is left out: No module named 'bench.not_there'", "['plain']"]
