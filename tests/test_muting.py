"""A venue is muted: what it says is marked, nothing else changes, it ends by itself, and a restart remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dope.errors import DopeError, UnknownName
from dope.muting import FOR_EVER, Muting, muted_from
from dope.store.records import NAME, Records
from dope.types import Ack, BookState, Fault
from tests.frames import MS, T0
from tests.program import until
from tests.test_picture import both, dear, step, watching
from tests.test_watchlist import House

S = 1000 * MS


def test_it_ends_by_itself_and_is_told_once() -> None:
    muting = Muting()
    muting.mute("okx", T0, 60)
    muting.mute("gate", T0, None)
    assert muting.of("okx", T0 + 59 * S) == T0 + 60 * S and muting.of("gate", T0 + 10**9 * S) == FOR_EVER
    assert muting.over(T0 + 59 * S) == [] and muting.of("mexc", T0) is None
    assert muting.of("okx", T0 + 60 * S) is None
    assert muting.over(T0 + 60 * S) == ["okx"] and muting.over(T0 + 60 * S) == []
    muting.unmute("gate")
    assert muting.until == {}


@pytest.mark.parametrize("kept", [5, {"okx": "soon"}, {"okx": -1}, {"okx": True}, {"okx": 2**63}])
def test_what_is_no_table_of_times_is_refused(kept: Any) -> None:
    with pytest.raises(ValueError, match="not a table"):
        muted_from(kept)


def test_lines_of_a_muted_venue_are_marked_those_of_others_and_opportunities_are_not() -> None:
    engine, picture = watching(both())
    picture.muting.mute("okx", T0, 60)
    now = engine.market.now
    for venue in ("okx", "binance_spot"):
        picture.note(Fault(now, venue, "", "unreadable", b""))
        picture.note(Ack(now, venue, 1, "books", False, "no such channel"))
        picture.note(BookState(now, f"{venue}:BTC-USDT", "STALE", "LIVE", "silent", now))
    step(engine, picture, dear())
    told = {True: [line["text"] for line in picture.events if line["muted"]], False: [line for line in picture.events if not line["muted"]]}
    assert len(told[True]) == 3 and all("OKX" in text for text in told[True])
    assert {line["kind"] for line in told[False]} >= {"opp", "fault", "venue", "book"}, "a route by way of the muted venue is told as ever"
    late = T0 + 61 * S
    picture.note(Fault(late, "okx", "", "unreadable again", b""))
    assert not picture.events[-1]["muted"]
    picture.second(late)
    assert picture.events[-1]["text"] == "OKX is no longer muted"


def test_its_row_says_until_when_and_its_books_say_what_they_are() -> None:
    _, picture = watching(both())
    before = picture.fast(T0 + S)["instruments"]
    picture.muting.mute("okx", T0, 60)
    rows = {row["id"]: row["muted_until_ns"] for row in picture.venue_rows(T0 + S, {})}
    assert rows == {"okx": T0 + 60 * S, "binance_spot": None}
    assert picture.fast(T0 + S)["instruments"] == before


def test_a_user_mutes_a_venue_and_a_restart_remembers_it(tmp_path: Path) -> None:
    first = House(tmp_path)
    for seconds in (0, 1e9):
        with pytest.raises(ValueError, match="takes seconds"):
            first.ask("mute", venue="okx", seconds=seconds)
    with pytest.raises(UnknownName, match="did you mean okx"):
        first.ask("mute", venue="okxx")
    with pytest.raises(DopeError, match="OKX is not muted"):
        first.ask("unmute", venue="okx")
    first.ask("mute", venue="okx", seconds=3600)
    first.ask("mute", venue="binance_spot")
    first.ask("mute", venue="binance_usdm", seconds=0.1)
    until(lambda: first.venues()["binance_spot"]["muted_until_ns"] == FOR_EVER, "the second")
    ends = first.venues()["okx"]["muted_until_ns"]
    told = ("Binance USD-M is muted for 0.00166667 min", "Binance USD-M is no longer muted")
    until(lambda: all(any(words in line["text"] for line in first.board.read().data["events"]) for words in told), "the end of the third")
    assert first.all_live(), "everything is watched as before"
    until(lambda: [row["what"] for row in first.board.query("log")].count("mute") == 3, "who asked for what")
    first.stop()
    again = House(tmp_path)
    assert {venue: row["muted_until_ns"] for venue, row in again.venues().items()} == {
        "okx": ends, "binance_spot": FOR_EVER, "binance_usdm": None
    }  # fmt: skip
    again.ask("unmute", venue="okx")
    until(lambda: again.venues()["okx"]["muted_until_ns"] is None, "its warnings")
    again.stop()


def test_what_was_kept_and_cannot_be_read_mutes_nobody(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(parents=True)
    records = Records(tmp_path / "data" / NAME, clock_ms=lambda: 1)
    records.keep({"muted": {"okx": "soon"}})
    records.close()
    house = House(tmp_path)
    assert {row["muted_until_ns"] for row in house.venues().values()} == {None}
    house.stop()
