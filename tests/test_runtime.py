"""The thread behind the page: it publishes, answers from other threads, judges wishes, and is seen when it dies."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dope import commands, sources, training
from dope.board import Board, Command
from dope.errors import DopeError, NoEngine, UnknownName
from dope.recordings import tapes_by_name
from dope.runtime import Runtime
from dope.settings import Settings
from dope.tape.catalogue import SEALED
from dope.tape.format import Meta
from dope.tape.seal import check, sealed_tapes
from dope.tape.segment import write_tape
from tests.frames import play, spot_script
from tests.program import until
from tests.tape.sealed import tape_of

assert commands and sources and training  # their parts are driven here through the runtime that wires them


def settings(folder: Path, **changed: Any) -> Settings:
    given = {"source": "sim", "data_dir": folder / "data", "model_dir": folder / "models", "push_hz": 20.0, "min_samples": 20, **changed}
    return Settings(_env_file=None, **given)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Board]]:
    board, folder = Board(), tmp_path_factory.mktemp("house")
    tape_of(folder / "data" / "live", 1, rows=50, complete=False)
    runtime = Runtime(settings(folder), board)
    runtime.start()
    until(lambda: sum(venue["books_live"] for venue in board.read().data.get("venues", ())) == 12, "all books live")
    yield runtime, board
    runtime.stop()
    gc.unfreeze()
    assert not runtime.alive() and not runtime.died


Running = tuple[Runtime, Board]


def test_what_another_source_left_behind_is_sealed_soon_after_the_start(running: Running) -> None:
    runtime, _ = running
    sealed = runtime.settings.data_dir / "live" / SEALED
    until(lambda: sealed_tapes(sealed), "the tape of the live market, while the simulated one runs")
    assert all(check(path) == [] for path in sealed.rglob("*.parquet"))


def test_every_section_of_the_board_is_published(running: Running) -> None:
    _, board = running
    named = "mode venues instruments cards opps misses matrix pairs basis series events findings pred jobs sys sentinel"
    until(lambda: set(board.read().data) == set(named.split()), "all sections")
    seq = board.read().seq
    until(lambda: board.read().seq > seq + 5, "further publications")


def test_what_is_loaded_by_then_is_taken_out_of_garbage_collection(running: Running) -> None:
    until(lambda: gc.get_freeze_count() > 50_000, "a frozen heap")


def test_what_web_threads_ask_is_answered_between_two_turns_of_the_loop(running: Running) -> None:
    runtime, board = running
    assert runtime.alive()
    until(lambda: board.query("opportunities"), "an opportunity")

    def look(_: int) -> None:
        for book in board.query("book", "BTC-USDT"):
            if book["state"] == "LIVE":
                assert book["bids"][0][0] < book["asks"][0][0]
                assert [price for price, _ in book["bids"]] == sorted((price for price, _ in book["bids"]), reverse=True)
        rows = board.query("opportunities", "BTC-USDT")
        assert all(row["symbol"] == "BTC-USDT" for row in rows)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(200)))
    assert {row["symbol"] for row in board.query("spreads", "ETH-USDT-PERP")} == {"ETH-USDT-PERP"}
    assert board.query("events")[-1]["id"] >= 1
    assert board.query("book", "NO-SUCH") == []
    with pytest.raises(UnknownName, match="did you mean book"):
        board.query("books")


def test_what_is_on_screen_is_in_history_at_once_and_only_once(running: Running) -> None:
    _, board = running
    until(lambda: board.query("spread", "BTC-USDT").table.num_rows >= 4, "two seconds of two ordered pairs")
    told = board.query("bbo", "BTC-USDT")
    rows = told.table.select(["ts", "venue", "bid", "ask"]).to_pylist()
    assert len({tuple(row.values()) for row in rows}) == len(rows) and told.source == "sim" and not told.problems
    kinds = {row["venue"] for row in rows}
    assert len(kinds) == 2 and [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
    newest = {row["venue"]: row for row in rows if row["bid"]}
    for book in board.query("book", "BTC-USDT"):
        assert newest[book["venue"]]["bid"] == pytest.approx(book["bids"][0][0], rel=0.01)
    with pytest.raises(UnknownName, match="unknown source"):
        board.query("bbo", "BTC-USDT", source="moon")


def test_the_rows_in_memory_are_put_together_some_times_a_minute(running: Running) -> None:
    runtime, board = running
    session = runtime.session
    assert session is not None
    tail = session.tail
    until(lambda: any(part.generation for part in tail._parts["bbo"]), "small batches made one")
    assert len({tuple(row.values()) for row in board.query("bbo", "BTC-USDT").table.select(["ts", "venue", "bid", "ask"]).to_pylist()}) > 1


def test_a_wish_that_cannot_be_meant_is_refused_to_whoever_asks(running: Running) -> None:
    _, board = running
    for name, args, error in (
        ("set", {"order_size": -1}, "order_size cannot be -1"),
        ("set", {"order_size": float("nan")}, "order_size cannot be nan"),
        ("set", {"size": 5}, "unknown setting 'size'"),
        ("source", {"to": "moon"}, "source needs to: live or sim"),
        ("cancel", {"job": "x"}, "cancel needs job"),
    ):
        with pytest.raises(ValueError, match=error):
            board.ask(Command(name, args))
    with pytest.raises(UnknownName, match="did you mean okx"):
        board.ask(Command("reconnect", {"venue": "okxx"}))
    with pytest.raises(UnknownName, match="unknown tape"):
        board.ask(Command("backtest", {"tape": "gone.dope"}))


def test_rules_that_a_user_sets_are_taken_one_after_the_other(running: Running) -> None:
    _, board = running
    board.ask(Command("set", {"order_size": 750}))
    board.ask(Command("set", {"min_net_bps": -4}))
    mode = until(lambda: (mode := board.read().data["mode"])["order_size"] == 750 and mode["min_net_bps"] == -4 and mode, "both")
    assert mode["leave_net_bps"] == -4, "it never closes above the level at which it opens"
    board.ask(Command("set", {"order_size": 1000, "min_net_bps": 0, "leave_net_bps": -1}))
    until(lambda: board.read().data["mode"]["order_size"] == 1000, "the old order size")


def test_a_venue_can_be_asked_to_reconnect_and_the_source_that_runs_is_not_started_twice(running: Running) -> None:
    _, board = running
    board.ask(Command("reconnect", {"venue": "okx"}))
    board.ask(Command("source", {"to": "sim"}))
    told = "source refused: the sim market is running already"
    until(lambda: any(event["text"] == told for event in board.read().data["events"]), "the refusal")


@pytest.mark.full
def test_two_trainings_in_a_row_are_both_taken_in(running: Running) -> None:
    _, board = running
    until(lambda: board.read().data["pred"]["status"] == "ready", "the first training, which nobody asked for")
    assert len(board.read().data["pred"]["versions"]) == 1

    def states() -> dict[int, str]:
        return {row["id"]: row["state"] for row in board.read().data["jobs"]}

    first = board.ask(Command("train"))
    until(lambda: states().get(first) == "running", "a second training")
    second = board.ask(Command("train"))
    until(lambda: states().get(first) == states().get(second) == "done", "both trainings")
    until(lambda: len(board.read().data["pred"]["versions"]) == 3, "both versions")
    assert board.read().data["pred"]["error"] == ""
    assert all(row["result"] is None for row in board.read().data["jobs"] if row["kind"] == "train")
    kept = until(lambda: (jobs := {job["id"]: job for job in board.query("past_jobs")})[second]["ended"] and jobs, "both on record")
    assert kept[first]["state"] == kept[second]["state"] == "done" and kept[first]["result"]["rows"] >= 20, "what the model says of itself"


@pytest.mark.full
def test_a_backtest_of_this_run_is_a_job_with_a_report(running: Running) -> None:
    _, board = running
    job = board.ask(Command("backtest", {"latency_ms": 20.0}))
    row = until(lambda: next((r for r in board.read().data["jobs"] if r["id"] == job and r["state"] == "done"), None), "the report")
    recording = board.read().data["mode"]["recording"]
    assert row["result"]["tapes"] == [recording["path"]]
    assert recording["sealed"] == {"tapes": 0, "waiting": 0, "reason": ""}, "the tape that is being written is never sealed"
    assert recording["path"] in [tape["name"] for tape in board.query("tapes")], "as it is named in a command"
    named = board.ask(Command("backtest", {"tape": recording["path"], "latency_ms": 20.0}))
    until(lambda: any(r["id"] == named and r["state"] == "done" for r in board.read().data["jobs"]), "the same by name")


def test_before_it_starts_and_after_it_ends_nothing_is_answered(tmp_path: Path) -> None:
    board = Board()
    runtime = Runtime(settings(tmp_path), board)
    with pytest.raises(NoEngine):
        board.ask(Command("train"))
    runtime.start()
    until(lambda: board.read().seq, "a publication")
    runtime.stop()
    assert not runtime.alive() and not runtime.died
    with pytest.raises(DopeError, match="still starting"):
        board.ask(Command("train"))


def test_it_stops_before_it_has_started(tmp_path: Path) -> None:
    runtime = Runtime(settings(tmp_path), Board())
    runtime.start()
    runtime.stop()
    assert not runtime.alive() and not runtime.died


class Broken(Board):
    """A board that breaks after so many publications: an error of our own, at the heart of the loop."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def publish(self, t_ns: int, data: Any) -> Any:
        """As the board does, until it breaks once."""
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken on purpose")
        return super().publish(t_ns, data)


def test_a_death_is_told_at_once_and_the_board_shows_nothing_as_live(tmp_path: Path) -> None:
    dead = threading.Event()
    board = Broken(60)
    runtime = Runtime(settings(tmp_path), board, on_death=dead.set)
    runtime.start()
    until(dead.is_set, "the news of the death")
    assert not runtime.alive() and runtime.died
    data = board.read().data
    assert data["mode"]["stopped"] and data["mode"]["banner"].startswith("ENGINE STOPPED: ")
    assert {venue["state"] for venue in data["venues"]} == {"down"}
    assert all(row["state"] == "DOWN" and row["bid"] is None for row in data["instruments"])
    assert data["opps"] == [] and data["matrix"] == [] and data["cards"]["open"] == 0
    with pytest.raises(NoEngine):
        board.query("events")
    runtime.stop()
    (tape,) = tapes_by_name(tmp_path / "data")
    assert tape[0].complete, "what was recorded until then is closed in order"


def test_tapes_are_named_without_their_folder_unless_that_is_ambiguous(tmp_path: Path) -> None:
    for name in ("sim/a.dope", "live/a.dope", "live/b.dope"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_tape(tmp_path / name, Meta("import", 1, venues=("binance_spot",)), play("binance_spot", spot_script()))
    named = {info.name: path for info, path in tapes_by_name(tmp_path)}
    assert named == {name: tmp_path / file for name, file in zip(named, ("live/a.dope", "live/b.dope", "sim/a.dope"), strict=True)}
    assert list(named) == ["live/a.dope", "b.dope", "sim/a.dope"]
