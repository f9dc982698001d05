"""Replays beside the live market: one digest at any speed and after any death, no book shown that is not known, all bounded."""

from __future__ import annotations

import asyncio
import io
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from dope import player as player_module
from dope import replays
from dope.detectors.arbitrage import Opportunity
from dope.engine import Engine
from dope.engines import build_engine
from dope.errors import DopeError, JobError, UnknownName
from dope.feed.clock import Clock
from dope.player import Player
from dope.projector import Projector, receive
from dope.recordings import calendar, choose
from dope.reel import Reel
from dope.replay import replay
from dope.replays import Replays
from dope.session import Session
from dope.settings import Settings
from dope.sim.world import World
from dope.tape.format import Meta
from dope.tape.read import Tape, merge
from dope.tape.segment import write_tape
from dope.types import SET, Frame
from tests.frames import okx_script, play, spot_script
from tests.program import PATIENCE_S, gone, until
from tests.test_live_equals_replay import until as until_async

SPAN_NS = 1_000_000_000  #: recorded after all books have come


class Recorded:
    """A live run over loopback and the tape that it left."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder / "data", model_dir=folder / "models", _env_file=None)
        with ThreadPoolExecutor(1) as beside:  # where a browser is driven, this thread has a loop already
            self.digest = beside.submit(lambda: asyncio.run(self._live())).result()
        self.paths = sorted((folder / "data").rglob("*.dope"))  # two where an hour ended meanwhile
        self.path = self.paths[0]

    async def _live(self) -> str:
        world = World(11, epoch_ms=Clock().now() // 1_000_000)
        session = Session(self.settings, "sim", await world.start(), Clock())
        task = asyncio.create_task(session.feed.run())
        books, judge = session.engine.market.books, session.arbitrage
        await until_async(lambda: len(books) == 12 and all(book.state == "LIVE" for book in books.values()))
        self.all_live = session.engine.market.now
        end = self.all_live + SPAN_NS
        usual = judge.rules
        session.take_rules(session.changed_rules({"min_net_bps": -100.0, "leave_net_bps": -200.0}))  # in the middle of the run
        await until_async(lambda: judge.opened > 0)
        session.take_rules(usual)
        await until_async(lambda: session.engine.market.now > end)
        assert judge.opened > 0 and session.engine.market.now > end
        await session.stop()
        await asyncio.wait([task], timeout=5)
        await world.stop()
        journal = session.journal
        assert journal is not None
        # a session waits only so long for the disk; who reads the tape before it is whole reads less than was seen
        await until_async(lambda: journal.status()["state"] == "closed")
        assert (journal.status()["state"], journal.status()["lost"], journal.status()["waiting"]) == ("closed", 0, 0)
        return session.engine.digest()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def house(recorded: Recorded) -> Iterator[Replays]:
    running = Replays(recorded.settings, Clock())
    yield running
    running.close()


def at(house: Replays, number: int) -> dict[str, Any]:
    return house.of(number).status


def create(house: Replays, number: int, recorded: Recorded, **args: Any) -> None:
    house.wish(number, {"do": "create", "tape": recorded.path.name, **args})


def worker(house: Replays, number: int) -> psutil.Process:
    return psutil.Process(house.of(number)._process.pid)


# -- the digest --------------------------------------------------------------------------------------------------------
def test_live_and_every_way_to_replay_it_give_one_digest(recorded: Recorded, house: Replays) -> None:
    engine, tapes = asyncio.run(replay(recorded.paths, recorded.settings))
    assert engine.digest() == recorded.digest
    create(house, 1, recorded, speed=1.0)
    create(house, 2, recorded, speed=50.0)
    create(house, 3, recorded, speed=5.0)
    until(lambda: at(house, 3)["frames"] > 300, "some frames")
    worker(house, 3).kill()
    until(lambda: at(house, 3)["state"] == "failed", "its end to be seen")
    assert "signal 9" in at(house, 3)["reason"] and not at(house, 3)["alive"]
    create(house, 4, recorded, speed="max")
    for number in (1, 2, 4):  # no "ended" without the digest of all
        patience = PATIENCE_S + (tapes[-1].last - tapes[0].first) / 1e9
        until(lambda number=number: at(house, number)["state"] == "ended", f"the end of {number}", patience)
        status = at(house, number)
        assert (status["digest"], status["frames"], status["whole"]) == (recorded.digest, status["frames_total"], True)


def test_rules_changed_in_the_middle_of_a_run_are_those_of_its_replays_whatever_the_settings_say(recorded: Recorded) -> None:
    frames = list(merge([Tape(path) for path in recorded.paths]))
    assert sum(frame.kind == SET for frame in frames) == 3
    plain = build_engine(recorded.settings, Reel(recorded.paths).venues, {})
    plain.step_many([frame for frame in frames if frame.kind != SET])
    assert plain.digest() != recorded.digest, "they shape what is seen"
    other = recorded.settings.model_copy(update={"min_net_bps": 7.0, "order_size": 5.0, "fees": {"okx": {"spot": 99.0}}})
    strange = Replays(other, Clock())
    try:
        for number, speed in ((1, "max"), (2, 50.0)):
            create(strange, number, recorded, speed=speed)
        for number in (1, 2):
            until(lambda number=number: at(strange, number)["state"] == "ended", f"the end of {number}")
            assert at(strange, number)["digest"] == recorded.digest
        mode = strange.board("1").read().data["mode"]
    finally:
        strange.close()
    assert (mode["min_net_bps"], mode["order_size"]) == (recorded.settings.min_net_bps, recorded.settings.order_size)
    assert [fee["taker_bps"] for fee in mode["fees"] if (fee["venue"], fee["kind"]) == ("okx", "spot")] == [10.0], "the fees of then"


def test_a_tape_that_a_crash_has_cut_gives_one_digest_at_any_speed(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    cut = tmp_path / "data" / "cut.dope"
    cut.write_bytes(recorded.path.read_bytes()[: -recorded.path.stat().st_size // 3])
    settings = recorded.settings.model_copy(update={"data_dir": tmp_path / "data"})
    engine, _ = asyncio.run(replay([cut], settings))
    assert engine.frames > 0 and engine.digest() != recorded.digest
    house = Replays(settings, Clock())
    try:
        for number, speed in ((1, "max"), (2, 50.0)):
            house.wish(number, {"do": "create", "tape": cut.name, "speed": speed})
        for number in (1, 2):
            until(lambda number=number: at(house, number)["state"] == "ended", f"the end of {number}")
            assert (at(house, number)["digest"], at(house, number)["frames"]) == (engine.digest(), engine.frames)
    finally:
        house.close()


def test_a_tape_that_is_removed_meanwhile_is_played_to_its_end_and_named_when_it_is_wanted(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / recorded.path.name
    path.write_bytes(recorded.path.read_bytes())
    settings = recorded.settings.model_copy(update={"data_dir": tmp_path / "data"})
    house = Replays(settings, Clock())
    try:
        house.wish(1, {"do": "create", "tape": path.name, "start": False})
        until(lambda: at(house, 1)["ready"], "its beginning")
        path.unlink()
        house.wish(0, {"do": "speed", "id": 1, "speed": "max"})
        house.wish(0, {"do": "resume", "id": 1})
        until(lambda: at(house, 1)["state"] == "ended", "its end")
        assert at(house, 1)["frames"] == at(house, 1)["frames_total"]
        house.wish(0, {"do": "seek", "id": 1, "to": Tape(recorded.path).first})
        until(lambda: not at(house, 1)["alive"], "that it cannot be read again")
        assert at(house, 1)["state"] == "failed" and path.name in at(house, 1)["reason"] and "No such file" in at(house, 1)["reason"]
    finally:
        house.close()


def test_what_happened_in_all_of_a_recording_is_marked_before_it_is_played(recorded: Recorded, house: Replays) -> None:
    create(house, 1, recorded, start=False)
    marks = until(lambda: house.board("1").read().data.get("marks"), "marks of what was not played yet")
    assert at(house, 1)["frames"] < 10, "it stands at its beginning"
    engine = build_engine(recorded.settings, Reel(recorded.paths).venues, {})
    told = engine.step_many(list(merge([Tape(path) for path in recorded.paths])))
    opened = [event for event in told if isinstance(event, Opportunity) and event.state == "open"]
    mine = [mark for mark in marks if mark[1] == "opp"]
    assert mine and {mark[0] for mark in mine} <= {event.opened // 1_000_000 for event in opened}
    more = sum(int(found[1]) for mark in mine if (found := re.search(r"and (\d+) more", mark[2])))
    assert len(mine) + more == len(opened)


def test_sought_to_and_fro_it_still_ends_with_that_digest(recorded: Recorded) -> None:
    player, rng = Player(recorded.settings, Reel(recorded.paths)), random.Random(5)
    for _ in range(3):
        player.seek(rng.randint(player.reel.first, player.reel.last))
        for _ in range(rng.randint(0, 9)):
            player.turn(0)
    player.set_speed(float("inf"))
    player.resume()
    while not player.over or player.goal is not None:
        player.turn(0)
    assert player.engine.digest() == recorded.digest


# -- no book that is not known -----------------------------------------------------------------------------------------
def books(player: Player) -> dict[str, Any]:
    return {row["key"]: (row["state"], row["bid"], row["ask"], row["age_ms"]) for row in player.sections()["instruments"]}


def expected(engine: Engine) -> dict[str, Any]:
    """The same of an engine, for books that have heard anything."""
    found = {}
    for key, book in engine.market.books.items():
        bid, _, ask, _ = book.touch() if book.state == "LIVE" else (None,) * 4
        if book.own_ts:
            found[key] = (book.state, bid, ask, round(engine.market.age(book, engine.market.now) / 1e6, 1))
    return found


def test_after_a_seek_the_books_are_those_of_a_replay_up_to_there(recorded: Recorded) -> None:
    player, rng = Player(recorded.settings, Reel(recorded.paths)), random.Random(7)
    frames = list(merge([Tape(path) for path in recorded.paths]))
    states = set()
    for ts in (recorded.all_live, *(rng.randint(player.reel.first, player.reel.last) for _ in range(5))):
        player.seek(ts)
        while player.goal is not None:
            player.turn(0)
        plain = build_engine(recorded.settings, player.reel.venues, {})
        plain.step_many([frame for frame in frames if frame.ts <= ts])
        assert player.position == ts and player.engine.digest() == plain.digest()
        states |= {row[0] for row in books(player).values()}
        assert {key: row for key, row in books(player).items() if row[3] is not None} == expected(plain)
    assert "LIVE" in states


def test_nothing_of_the_market_is_published_while_it_seeks(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "BATCH", 50)  # so that the way takes several turns, however short the tape
    player, out = Player(recorded.settings, Reel(recorded.paths)), io.BytesIO()
    projector, told = Projector(player, out, clock=Clock(), period_s=0.0, seekable=[]), []
    for ts in (player.reel.last, recorded.all_live):
        player.seek(ts)
        while player.goal is not None:
            player.turn(0)
            projector._tell(0)
            told.append(player.goal is not None)
    out.seek(0)
    said = [message["sections"] for _ in told if (message := receive(out))]
    assert sum(told) >= 2 and len(said) == len(told), "the way is longer than one turn"
    assert [set(sections) == {"replay"} for sections in said] == told
    assert [sections["replay"]["seeking"] is not None for sections in said] == told
    assert {row["state"] for row in said[-1]["instruments"]} == {"LIVE"}


def test_a_digest_is_of_the_frames_told_beside_it_and_of_none_while_it_runs(recorded: Recorded) -> None:
    player, out = Player(recorded.settings, Reel(recorded.paths)), io.BytesIO()
    projector, frames = Projector(player, out, clock=Clock(), period_s=0.0, seekable=[]), list(merge([Tape(p) for p in recorded.paths]))
    player.resume()
    for turn in range(1, 40):
        player.turn(turn * SPAN_NS // 20)
        if turn % 4 == 0:
            player.pause() if player.running else player.resume()
        projector._tell(turn)
    out.seek(0)
    told = [message["sections"]["replay"] for _ in range(1, 40) if (message := receive(out))]
    assert {(row["state"], row["digest"] is None) for row in told} >= {("running", True), ("paused", False)}
    assert not [row for row in told if row["state"] == "running" and row["digest"] is not None]
    for row in told:
        if row["digest"] is not None:
            plain = build_engine(recorded.settings, player.reel.venues, {})
            plain.step_many(frames[: row["frames"]])
            assert row["digest"] == plain.digest()


def test_a_later_run_begins_with_a_new_engine_and_says_that_the_digest_is_not_of_all(tmp_path: Path) -> None:
    script = play("okx", okx_script())
    later = [Frame(frame.ts + 3600 * 10**9, frame.venue, frame.conn, frame.kind, frame.data) for frame in script]
    write_tape(tmp_path / "a.dope", Meta("import", 1, venues=("okx",), session="a"), script)
    write_tape(tmp_path / "b.dope", Meta("import", 1, venues=("okx",), session="b"), later)
    reel = Reel([tmp_path / "a.dope", tmp_path / "b.dope"])
    assert reel.beginning(script[-1].ts) == script[0].ts and reel.beginning(later[-1].ts) == later[0].ts
    player = Player(Settings(_env_file=None), reel)
    player.seek(reel.last)
    while player.goal is not None:
        player.turn(0)
    assert player.engine.frames == len(script) + len(later) and player.reel.whole
    player.seek(later[3].ts)
    while player.goal is not None:
        player.turn(0)
    assert player.engine.frames == 4 and not player.reel.whole


# -- the house ---------------------------------------------------------------------------------------------------------
def test_they_are_few_each_can_be_ended_and_what_does_not_exist_is_named(
    recorded: Recorded, house: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, replays.AT_ONCE + 1):
        create(house, number, recorded, start=False)
    with pytest.raises(JobError, match="run already"):
        create(house, 9, recorded)
    house.wish(0, {"do": "stop", "id": 1})
    until(lambda: not at(house, 1)["alive"], "its end")
    assert (at(house, 1)["state"], at(house, 1)["reason"]) == ("ended", "stopped on request")
    with pytest.raises(DopeError, match="over: stopped on request"):
        house.wish(0, {"do": "resume", "id": 1})
    create(house, 9, recorded)
    process = worker(house, 2)
    house.wish(0, {"do": "remove", "id": 2})
    until(lambda: gone([process]), "the end of its process")
    with pytest.raises(UnknownName):
        house.wish(0, {"do": "pause", "id": 2})
    with pytest.raises(UnknownName):
        house.wish(5, {"do": "create", "tape": "nothing.dope"})
    for wrong in ({"speed": 0.01}, {"speed": "fast"}, {"from": -1}, {"loop": (5, 5)}, {"from": 9, "until": 8}):
        with pytest.raises(ValueError):
            create(house, 10, recorded, **wrong)
    with pytest.raises(DopeError, match="recorded then"):
        house.wish(11, {"do": "create", "from": 2**62})


def test_one_that_nobody_watches_is_ended(recorded: Recorded, house: Replays, monkeypatch: pytest.MonkeyPatch) -> None:
    create(house, 1, recorded, start=False)
    house.look_after()
    assert house.of(1).alive
    monkeypatch.setattr(replays, "IDLE_NS", 0)
    house.board("1").read()
    house.look_after()
    assert house.of(1).alive, "somebody has looked since"
    until(lambda: house.look_after() or not at(house, 1)["alive"], "its end")
    assert "nobody watched" in at(house, 1)["reason"]


@pytest.mark.kills("dope-replay", "replay wishes")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["dope-replay", "replay wishes"])
def test_one_whose_listener_ends_is_shown_as_failed_and_leaves_no_process(recorded: Recorded, house: Replays, part: str) -> None:
    def end_of_the_thread(_: object) -> None:
        raise SystemExit

    house.wish(1, {"do": "create", "tape": recorded.path.name, "from": recorded.all_live, "start": False})
    until(lambda: at(house, 1)["books_live"] == 12, "twelve live books")
    process, replay_ = worker(house, 1), house.of(1)
    if part == "dope-replay":
        replay_._publish = end_of_the_thread  # type: ignore[assignment, method-assign]
    else:
        assert replay_._process.stdin is not None
        replay_._process.stdin.write(b"no wish\n")
        replay_._process.stdin.flush()
    until(lambda: not at(house, 1)["alive"], "its end")
    until(lambda: gone([process]), "the end of its process")
    assert at(house, 1)["state"] == "failed" and "see the log" in at(house, 1)["reason"]
    if part == "replay wishes":
        until(lambda: {row["state"] for row in house.board("1").read().data["instruments"]} == {"DOWN"}, "no market")
    with pytest.raises(DopeError, match="this replay is over"):
        house.wish(0, {"do": "resume", "id": 1})


def test_one_that_dies_shows_no_market_any_more(recorded: Recorded, house: Replays) -> None:
    house.wish(1, {"do": "create", "tape": recorded.path.name, "from": recorded.all_live, "start": False})
    until(lambda: at(house, 1)["books_live"] == 12, "twelve live books")
    worker(house, 1).kill()
    until(lambda: at(house, 1)["state"] == "failed" and "banner" in house.board("1").read().data["mode"], "its death")
    data = until(lambda: (d := house.board("1").read().data)["mode"]["stopped"] and d, "the last word")
    assert {row["state"] for row in data["instruments"]} == {"DOWN"} and not data["opps"] and not data["matrix"]
    assert data["mode"]["banner"].startswith("REPLAY FAILED: the process of this replay ended by itself (signal 9)")


def test_a_tape_that_vanishes_before_it_is_opened_fails_with_its_reason(recorded: Recorded, house: Replays, tmp_path: Path) -> None:
    plan = {"settings": recorded.settings.model_dump(mode="json"), "paths": [str(tmp_path / "gone.dope")], "speed": 1.0}
    lost = replays.Replay(77, {**plan, "start": 0, "until": 0, "loop": None, "run": True}, {}, Clock())
    until(lambda: lost.status["state"] == "failed", "its failure")
    assert "gone.dope: No such file" in lost.status["reason"]


# -- recordings --------------------------------------------------------------------------------------------------------
def test_the_calendar_tells_what_each_tape_covers_and_the_right_recording_is_chosen(tmp_path: Path) -> None:
    spot, later = play("binance_spot", spot_script()), 3600 * 10**9
    moved = [Frame(f.ts + later, f.venue, f.conn, f.kind, f.data) for f in spot]
    (tmp_path / "sim").mkdir()
    write_tape(tmp_path / "sim" / "a.dope", Meta("sim", 1, venues=("binance_spot",), session="s", part=1), spot[:4])
    write_tape(tmp_path / "sim" / "b.dope", Meta("sim", 1, venues=("binance_spot",), session="s", part=2), spot[4:])
    write_tape(tmp_path / "sim" / "c.dope", Meta("sim", 1, venues=("binance_spot",), session="t"), moved)
    (tmp_path / "broken.dope").write_text("nothing")
    sealed = tmp_path / "sim" / "sealed" / "gap" / "date=2026-11-20" / "hour=00"
    sealed.mkdir(parents=True)
    (sealed / "c.parquet").write_text("")
    rows = {row["name"]: row for row in calendar(tmp_path)}
    assert rows["a.dope"]["frames"] + rows["b.dope"]["frames"] == len(spot) and rows["broken.dope"]["error"]
    assert [rows[name]["sealed"] for name in ("a.dope", "b.dope", "c.dope")] == [False, False, True]
    assert rows["c.dope"]["first"] == moved[0].ts // 1_000_000 and rows["c.dope"]["gaps"] == []

    def names(**wanted: Any) -> list[str]:
        return [info.name for info, _ in choose(tmp_path, **wanted)]

    assert names(name="b.dope") == names(at=spot[0].ts) == ["a.dope", "b.dope"], "a later part needs the earlier one"
    assert names(at=spot[-1].ts + 1) == names(name="c.dope") == ["c.dope"]
    assert [frame.ts for frame in merge([Tape(path) for _, path in choose(tmp_path, name="a.dope")])] == [frame.ts for frame in spot]
    with pytest.raises(DopeError, match="nothing has been recorded"):
        choose(tmp_path / "nowhere", at=1)
