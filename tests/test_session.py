"""One source, wired: its tape, its rules, its fees; nothing is shared with another source."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dope.detectors.arbitrage import Terms
from dope.engines import build_engine, costs, rules
from dope.feed.clock import Clock
from dope.rows import Collector
from dope.session import Session
from dope.settings import Settings
from dope.sim.world import World
from dope.tables import TABLES
from dope.tape.catalogue import list_tapes
from dope.tape.read import Tape
from dope.types import SET, TICK, Frame
from dope.venues import VENUES
from dope.watching import Watching
from tests.program import PATIENCE_S
from tests.sim.many import many
from tests.tape.frames import START
from tests.tape.sealed import tape_of


def settings(folder: Path, **changed: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data", model_dir=folder / "models", **changed)


def make(chosen: Settings, source: str = "sim", endpoints: dict[str, dict[str, str]] | None = None) -> Session:
    """A session whose venues are at a port that nobody needs to answer."""
    nowhere = {venue.ID: {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"} for venue in VENUES}
    return Session(chosen, source, endpoints or nowhere, Clock())


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.02)


def test_what_it_sees_is_recorded_in_the_folder_of_its_source_and_fed_to_the_model(tmp_path: Path) -> None:
    async def run() -> Session:
        world = World(5)
        session = make(settings(tmp_path), "sim", await world.start())
        feed = asyncio.create_task(session.feed.run())
        books = session.engine.market.books
        await until(lambda: len(books) == 12 and all(book.state == "LIVE" for book in books.values()))
        session.second()
        await session.stop()
        await asyncio.wait([feed])
        await world.stop()
        return session

    session = asyncio.run(run())
    (path,) = session.tape_paths()
    assert path.parent == tmp_path / "data" / "sim"
    tape = Tape(path)
    assert tape.complete and tape.count == session.engine.frames and tape.meta.source == "sim"
    assert len(session.predictor.rows) == 6, "one pair per symbol that two venues list"
    assert session.picture.slow()["series"]["t"]
    first = next(iter(tape))
    assert first.kind == SET and msgspec.json.decode(first.data, type=Terms).rules == session.arbitrage.rules
    assert len(tape.meta.settings) == 16
    check_rows(session, tape)


def test_a_venue_that_trades_none_of_the_symbols_watched_is_told_of(tmp_path: Path) -> None:
    async def run() -> list[str]:
        chosen = settings(tmp_path, venues=("coincap", "okx", "kraken_v1"), symbols=("BTC-USDT",), record=False)
        session = Session(chosen, "live", {}, Clock())
        await session.stop()
        return [event["text"] for event in session.picture.events]

    told = asyncio.run(run())
    assert told == [
        f"{label}: nothing to connect to, none of the symbols watched is found there"
        for label in ("CoinCap (reference)", "Kraken (API v1, recordings)")
    ]


def test_symbols_for_which_a_venue_has_no_room_are_told_of_at_the_start_and_later(tmp_path: Path) -> None:
    async def run() -> list[list[str]]:
        symbols, venues = tuple(spec.symbol for spec in many("mexc", 53)), ("mexc", "okx")
        session = Session(settings(tmp_path, venues=venues, symbols=symbols[:52], record=False), "live", {}, Clock())
        first = [event["text"] for event in session.picture.events]
        session.watch(Watching(symbols, venues))
        await session.stop()
        return [first, [event["text"] for event in session.picture.events]]

    told = asyncio.run(run())
    assert told[0] == ["MEXC: its connections have no room for XDS-USDT, XDT-USDT: not asked for"]
    assert set(told[1]) == {*told[0], "MEXC: its connections have no room for XDS-USDT, XDT-USDT, XDV-USDT: not asked for"}


def check_rows(session: Session, tape: Tape) -> None:
    """What the tape holds beside its frames is what the tail answers, and what a replay of the frames comes to."""
    recorded: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for name, batch in tape.rows():
        recorded[name] += batch.to_pylist()
    assert {name: session.tail.table(name).to_pylist() for name in TABLES} == recorded
    assert session.tail.tapes() == {tape.path.name}
    again, engine = Collector(session.rows.session), session.engine
    twin = build_engine(session.settings, tuple(engine.venues), {}, (again,))
    replayed: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for frames in tape.batches():
        for event in twin.step_many(frames):
            again.note(event)
        for name, batch in again.take(twin.market).items():
            replayed[name] += batch.to_pylist()
    assert twin.digest() == engine.digest()
    for name in ("bbo", "trade", "opportunity"):
        order = [sorted(map(json.dumps, rows)) for rows in (recorded[name], replayed[name])]
        assert order[0] == order[1] and (order[0] or name == "opportunity"), name
    last = {(row["venue"], row["symbol"]): row for row in recorded["bbo"]}
    assert len(last) == 12 and all(row["bid"] is None for row in last.values()), "a recording that has ended shows nothing as current"
    assert {row["what"] for row in recorded["gap"]} >= {"book"}


def test_rules_that_a_user_changes_are_a_frame_on_the_tape(tmp_path: Path) -> None:
    async def run() -> Session:
        session = make(settings(tmp_path))
        session.take_rules(session.changed_rules({"order_size": 250}))
        await session.stop()
        return session

    session = asyncio.run(run())
    (path,) = session.tape_paths()
    found = [msgspec.json.decode(frame.data, type=Terms) for frame in Tape(path) if frame.kind == SET]
    assert [terms.rules.order_size for terms in found if terms.rules is not None] == [1000.0, 250.0]
    assert all({(venue, kind): cost for venue, kind, cost in terms.costs or ()} == session.arbitrage.costs for terms in found)


def test_each_run_knows_its_own_tapes_only(tmp_path: Path) -> None:
    async def run() -> tuple[list[Path], list[Path]]:
        found = []
        for _ in range(2):
            session = make(settings(tmp_path))
            session.on_frames([])
            await session.stop()
            found.append(session.tape_paths())
        return found[0], found[1]

    first, second = asyncio.run(run())
    assert not set(first) & set(second)


def test_two_that_record_in_one_folder_are_not_mixed_and_the_second_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = make(settings(tmp_path)), make(settings(tmp_path))
        assert first.recording()["on"] and not second.recording()["on"]
        assert "already being written by process" in second.recording()["reason"]
        assert make(settings(tmp_path), "live").recording()["on"], "the live market has a folder of its own"
        await first.stop()
        await second.stop()

    asyncio.run(run())


def test_the_closed_tapes_are_those_that_nobody_writes_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "sim"
    left = tape_of(folder, 1, complete=False), tape_of(folder, 2)
    for path in left:
        path.rename(path.with_name(path.name.replace("live", "sim")))
    crashed, complete = (path.with_name(path.name.replace("live", "sim")) for path in left)

    async def run() -> None:
        session, second = make(settings(tmp_path)), make(settings(tmp_path))
        assert session.closed_tapes() == [crashed, complete] and second.closed_tapes() == [], "the lock is not the second's"
        session.on_frames([Frame(START, "", 0, TICK, b"0")])
        await until(lambda: session.recording()["path"] is not None)
        assert len(list_tapes(folder)) == 3 and session.closed_tapes() == [crashed, complete]
        await session.stop()
        assert len(session.closed_tapes()) == 3
        await second.stop()

    asyncio.run(run())


@pytest.mark.parametrize(("source", "record", "reason"), [("tape", True, "a tape is played back"), ("sim", False, "switched off")])
def test_where_nothing_is_recorded_it_says_why(tmp_path: Path, source: str, record: bool, reason: str) -> None:
    async def run() -> None:
        session = make(settings(tmp_path, record=record), source)
        assert session.recording() == {"on": False, "path": None, "bytes": 0, "reason": reason}
        assert session.tape_paths() == []
        await session.stop()

    asyncio.run(run())
    assert list_tapes(tmp_path / "data") == []


def test_rules_are_changed_only_by_values_that_can_be_meant(tmp_path: Path) -> None:
    async def run() -> None:
        session = make(settings(tmp_path, record=False))
        changed = session.changed_rules({"order_size": 250, "min_net_bps": -3})
        assert (changed.order_size, changed.enter, changed.leave) == (250.0, -3.0, -3.0)
        assert session.arbitrage.rules.order_size == 1000.0, "only thought of so far"
        session.take_rules(changed)
        assert session.arbitrage.rules == changed
        for bad in ({"order_size": 0}, {"order_size": "1000"}, {"min_net_bps": float("inf")}, {"debounce": 5}):
            with pytest.raises(ValueError, match=r"cannot be|unknown setting"):
                session.changed_rules(bad)
        await session.stop()

    asyncio.run(run())


def test_a_users_own_fees_stand_above_the_table_and_name_their_source(tmp_path: Path) -> None:
    table, own = costs(settings(tmp_path)), costs(settings(tmp_path, fees={"okx": {"spot": 2.5}}))
    assert set(table) == set(own)
    assert own[("okx", "spot")].fee == pytest.approx(2.5e-4) and own[("okx", "spot")].source == "your settings"
    assert {key for key in table if table[key] != own[key]} == {("okx", "spot")}
    assert rules(settings(tmp_path, min_net_bps=-5.0)).leave == -5.0
