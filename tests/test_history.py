"""History over real tapes: the same answer before and after sealing; and what users changed is there after a restart."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from dope import history, tables
from dope.board import Board, Command
from dope.errors import NoEngine, StoreError, UnknownName
from dope.feed.clock import Clock
from dope.history import Histories
from dope.runtime import Runtime
from dope.session import Session
from dope.settings import Settings
from dope.sources import Sources
from dope.store import records
from dope.tables import KINDS
from dope.tail import Tail
from dope.tape.catalogue import SEALED
from dope.tape.format import tape_name
from dope.tape.read import Tape
from dope.tape.seal import seal
from dope.tape.segment import write_tape
from dope.types import DATA, Frame
from dope.venues import VENUES
from tests.program import until
from tests.tape.frames import META, START
from tests.tape.rows import HOUR, mixed
from tests.test_session import make as make_session
from tests.test_session import until as until_async

assert records
END = START + 2 * HOUR
LATER = Clock().now() + 24 * HOUR  #: in the life of every session of these tests, however late they run


def settings(folder: Path, **changed: object) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data", model_dir=folder / "models", **changed)


def recorded(folder: Path, number: int) -> Path:
    """A tape whose frames and rows are of the same two hours."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / tape_name("20261121T0500Z", "live", number)
    frames = [Frame(START + n * HOUR // 10, "okx", 1, DATA, b"%d" % n) for n in range(20)]
    write_tape(path, META, [*frames, *mixed(600, seed=number)])
    return path


def trade_row(batch: int, number: int) -> dict[str, object]:
    what = {"symbol": "BTC-USDT", "venue": "a", "price": 5.0, "size": 1.0, "side": "buy"}
    return {"ts": LATER + batch * 1000 + number, "trade_id": str(number), **what}


def test_the_answer_is_the_same_from_tapes_and_from_what_was_sealed_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "live"
    tapes = [recorded(folder, number) for number in (1, 2)]
    symbols = {"bbo": "BTC-USDT", "trade": "ETH-USDT"}
    asked = [(kind, symbols[known.of] if known.one_symbol else "") for kind, known in KINDS.items()]

    def answers() -> dict[str, object]:
        histories = Histories(settings(tmp_path), Clock(), lambda: None)
        try:
            found = {kind: histories.query(kind, symbol, START - HOUR, END, source="live") for kind, symbol in asked}
            assert not any(answer.problems for answer in found.values())
            return {kind: answer.table.to_pylist() for kind, answer in found.items() if kind != "gap"}
        finally:
            histories.close()

    open_ = answers()
    assert all(rows for rows in open_.values()), {kind for kind, rows in open_.items() if not rows}
    seal(tapes[0], folder / SEALED)
    assert answers() == open_, "one sealed, one open"
    seal(tapes[1], folder / SEALED)
    assert answers() == open_
    for tape in tapes:
        os.remove(tape)
    assert answers() == open_, "retention has taken the tapes"


def test_a_bit_that_no_page_checksum_covers_is_found_by_the_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "live"
    files = {path.parts[-4]: path for path in seal(recorded(folder, 1), folder / SEALED).files if path.suffix == ".parquet"}
    body = bytearray(files["bbo"].read_bytes())
    body[-40] ^= 1  # in the footer
    files["bbo"].write_bytes(body)
    histories = Histories(settings(tmp_path), Clock(), lambda: None)
    told = histories.query("bbo", "", START - HOUR, END, source="live")
    assert told.table.num_rows == 0 and len(told.problems) == 1 and files["bbo"].name in told.problems[0]
    assert histories.query("trade", "", START - HOUR, END, source="live").table.num_rows
    histories.close()


def test_whose_history_is_meant_has_to_be_known(tmp_path: Path) -> None:
    histories = Histories(settings(tmp_path), Clock(), lambda: None)
    with pytest.raises(NoEngine, match="name the source"):
        histories.query("bbo", "", START, END)
    for source in ("../live", "tapes", "live\n", "lives"):
        with pytest.raises(UnknownName, match="unknown source"):
            histories.query("bbo", "", START, END, source=source)
    with pytest.raises(StoreError, match="played back"):
        histories.query("bbo", "", START, END, source="tape")


def test_rows_of_the_running_session_come_from_memory_and_older_ones_from_its_tapes_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [tables.batch("trade", [trade_row(n, 10 * n + k) for k in range(10)]) for n in range(8)]

    async def run() -> Session:
        session = make_session(settings(tmp_path))
        for batch in rows:  # as ``Session.collect`` does, batch by batch, until the disk has them
            session.tail.add("trade", batch, session.journal.append_rows("trade", batch))
        await until_async(lambda: session.journal.status()["waiting"] == 0)
        session.tail.placed(session.journal.placed())
        return session

    def lets_go(of: int) -> bool:
        session.tail.placed(session.journal.placed())
        return session.tail.since("trade") > of

    def grown(path: Path, size: int) -> bool:
        return path.stat().st_size > size

    session = asyncio.run(run())
    whole = [row for batch in rows for row in batch.to_pylist()]
    histories = Histories(settings(tmp_path), Clock(wall_ns=lambda: LATER + HOUR), lambda: session)
    begin, end = whole[0]["ts"], whole[-1]["ts"] + 1
    assert histories.query("trade", "", begin, end).table.to_pylist() == whole
    session.tail = Tail({"trade": 25})
    for batch in rows:
        session.tail.add("trade", batch, 1)
        session.tail.placed([(1, Path(session.journal.status()["path"]).name)])
    assert session.tail.since("trade") > begin, "memory has let go of the older ones"
    assert histories.query("trade", "", begin, end).table.to_pylist() == whole
    assert histories.query("trade", "ETH-USDT", begin, end).table.num_rows == 0
    opened: list[Path] = []
    monkeypatch.setattr(history, "Tape", lambda path, **how: (opened.append(path), Tape(path, **how))[1])
    monkeypatch.setattr(history, "SETTLED_NS", 0)
    for more, read in ((range(8, 9), False), (range(9, 20), True)):  # it grows, and memory lets go of what was read; then of more
        size = session.tape_paths()[0].stat().st_size
        for n in more:
            batch = tables.batch("trade", [trade_row(n, 10 * n + k) for k in range(10)])
            session.tail.add("trade", batch, session.journal.append_rows("trade", batch))
            whole += batch.to_pylist()
        until(partial(grown, session.tape_paths()[0], size), "the tape to grow")
        until(partial(lets_go, whole[-30]["ts"] - 1000), "memory to let go of the older ones")
        assert histories.query("trade", "", begin, whole[-1]["ts"] + 1).table.to_pylist() == whole
        assert bool([path for path in opened if path.parent.name == "sim"]) == read, "a tape that grows is read again where it must be"
    whole, end = whole[:80], rows[-1]["ts"][-1].as_py() + 1
    asyncio.run(session.stop())
    seal(session.tape_paths()[0], tmp_path / "data" / "sim" / SEALED)
    assert histories.query("trade", "", begin, end).table.to_pylist() == whole, "sealed, and still in memory"
    histories.close()


def test_rules_that_were_changed_before_hold_from_the_first_session_on_and_impossible_ones_are_left_out(tmp_path: Path) -> None:
    nowhere = {venue.ID: {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"} for venue in VENUES}
    chosen = settings(tmp_path, source="live", endpoints=nowhere, record=False)

    async def rules(changes: dict[str, object], wanted: float) -> None:
        sources = Sources(chosen, Clock(), (), lambda _: None, changes)
        await sources.open()
        assert sources.session is not None
        await until_async(lambda: sources.session.arbitrage.rules.order_size == wanted)
        await sources.close()

    asyncio.run(rules({"order_size": 750.0, "min_net_bps": -4.0}, 750.0))
    asyncio.run(rules({"order_size": -5.0}, 1000.0))
    asyncio.run(rules({"of another version": 1.0}, 1000.0))


@pytest.mark.full
def test_rules_views_and_who_asked_for_them_are_there_after_a_restart(tmp_path: Path) -> None:
    def run() -> tuple[Runtime, Board]:
        board = Board()
        runtime = Runtime(settings(tmp_path, source="sim", push_hz=20.0, min_samples=20, record=False), board)
        runtime.start()
        until(lambda: board.read().data.get("mode"), "the first publication")
        return runtime, board

    runtime, board = run()
    board.ask(Command("set", {"order_size": 750.0, "min_net_bps": -4.0}, who="10.0.0.7"))
    board.ask(Command("save_view", {"page": "live", "name": "mine", "state": {"q": "BTC"}}, who="10.0.0.7"))
    assert [view["name"] for view in board.query("views")] == ["mine"], "done when ask returns"
    until(lambda: len(board.query("log")) == 2, "both are on record")
    with pytest.raises(UnknownName, match="did you mean mine"):
        board.ask(Command("delete_view", {"page": "live", "name": "min"}))
    runtime.stop()
    runtime, board = run()
    mode = board.read().data["mode"]
    assert (mode["order_size"], mode["min_net_bps"], mode["leave_net_bps"]) == (750.0, -4.0, -4.0)
    assert [(view["page"], view["state"]) for view in board.query("views")] == [("live", {"q": "BTC"})]
    assert {(row["who"], row["what"]) for row in board.query("log")} == {("10.0.0.7", "set"), ("10.0.0.7", "save_view")}
    runtime.stop()
