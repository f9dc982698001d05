"""The board: readers never see half of an update, and nobody waits for an engine that is not there."""

from __future__ import annotations

import threading

import pytest

from dope.board import COMMANDS, EMPTY, Board, Command, Snapshot
from dope.errors import NoEngine

SWAPS = 100_000


def test_four_readers_never_see_a_torn_or_older_snapshot_over_1e5_swaps() -> None:
    board = Board()
    done = threading.Event()
    faults: list[str] = []
    reads = [0] * 4

    def read(reader: int) -> None:
        last = 0
        while not done.is_set():
            snapshot = board.read()
            reads[reader] += 1
            if snapshot.seq < last:
                faults.append(f"{snapshot.seq} after {last}")
            if snapshot.seq and not snapshot.data["a"] == snapshot.data["b"] == snapshot.seq == snapshot.t_ns:
                faults.append(f"torn: {snapshot}")
            last = snapshot.seq

    readers = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in readers:
        thread.start()
    for i in range(1, SWAPS + 1):
        board.publish(i, {"a": i, "b": i})
    done.set()
    for thread in readers:
        thread.join()
    assert faults == []
    assert all(reads)
    assert board.read().seq == SWAPS


def test_a_section_left_out_keeps_its_last_value_and_old_snapshots_stay_as_they_were() -> None:
    board = Board()
    first = board.publish(1, {"cards": {"open": 1}, "misses": []})
    second = board.publish(2, {"cards": {"open": 2}})
    assert (first.data["cards"], second.data["cards"]) == ({"open": 1}, {"open": 2})
    assert second.data["misses"] is first.data["misses"]
    assert board.read() is second


def test_who_follows_is_told_after_each_publication_until_he_leaves() -> None:
    board, seen = Board(), []
    leave = board.follow(lambda: seen.append(board.read().seq))
    board.publish(1, {})
    board.publish(2, {})
    leave()
    board.publish(3, {})
    assert seen == [1, 2]


def test_a_board_begins_empty() -> None:
    assert Board().read() is EMPTY == Snapshot(seq=0, t_ns=0, data={})


def test_asking_without_an_engine_says_so() -> None:
    with pytest.raises(NoEngine):
        Board().ask(Command("train"))
    with pytest.raises(NoEngine):
        Board().query("book", "BTC-USDT")


def test_an_unknown_command_is_refused_before_it_reaches_the_engine() -> None:
    board, heard = Board(), list[Command]()
    board.serve(lambda _job, command: heard.append(command), lambda *_, **__: [])
    with pytest.raises(ValueError, match="unknown command 'format_disk'"):
        board.ask(Command("format_disk"))
    assert heard == []


def test_every_known_command_gets_a_job_id_of_its_own() -> None:
    board, heard = Board(), list[tuple[int, str]]()
    board.serve(lambda job, command: heard.append((job, command.name)), lambda *_, **__: [])
    ids = [board.ask(Command(name)) for name in COMMANDS]
    assert len(set(ids)) == len(ids)
    assert heard == list(zip(ids, COMMANDS, strict=True))


def test_a_query_reaches_the_engine_with_its_bounds() -> None:
    board = Board()
    board.serve(lambda *_: None, lambda *asked, **more: [*asked, *more.values()])
    assert board.query("opportunities", "BTC-USDT", 5, 9) == ["opportunities", "BTC-USDT", 5, 9, 0, ""]
    assert board.query("spread", "BTC-USDT", limit=7, source="sim") == ["spread", "BTC-USDT", 0, 0, 7, "sim"]
