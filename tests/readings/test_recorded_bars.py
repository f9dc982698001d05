"""Bars over a restart: from tapes, sealed or not, and from memory, each trade once, and what nobody recorded is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dope.api.bars import BarsOut
from dope.detectors.bars import INTERVALS, KEPT
from dope.errors import StoreError
from dope.feed.clock import Clock
from dope.history import Histories
from dope.readings import READINGS, Asked
from dope.readings.recorded_bars import MOST_NS, Kept, looked, missing
from dope.session import Session
from dope.settings import Settings
from dope.tables import batch
from dope.tape.catalogue import SEALED
from dope.tape.format import Meta, Rows, tape_name
from dope.tape.seal import seal
from dope.tape.segment import write_tape
from dope.types import DATA, TICK, Frame, Instrument, Trade

NS, MS = 1_000_000_000, 1_000_000
HOUR = 3600 * NS
SYMBOL = "BTC-USDT"
VENUES = ("binance_spot", "okx")


class Told(NamedTuple):
    """One trade, however it was kept."""

    ts: int
    venue: str
    price: float
    size: float
    side: str


class House:
    """A data folder with the tapes of earlier sessions, and a session that runs now and records nothing itself."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = Clock(), folder
        self.told: list[Told] = []
        settings = Settings(data_dir=folder, record=False, symbols=(SYMBOL,), venues=VENUES, _env_file=None)
        nowhere = {venue: {"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"} for venue in VENUES}
        self.session = Session(settings, "live", nowhere, self.clock)
        self.started = self.session.picture.started_ns
        self.histories = Histories(settings, self.clock, lambda: self.session)

    def earlier(
        self, number: int, begins: int, ends: int, trades: list[Told], *, sealed: bool, gaps: Sequence[dict[str, Any]] = ()
    ) -> None:
        """A session that recorded from ``begins`` until ``ends`` (ns before this one's start)."""
        folder = self.folder / "live"
        folder.mkdir(parents=True, exist_ok=True)
        path, first, last = folder / tape_name("20261121T0500Z", "live", number), self.started - begins, self.started - ends
        rows = [
            {"ts": t.ts, "symbol": SYMBOL, "venue": t.venue, "trade_id": str(n), "price": t.price, "size": t.size, "side": t.side}
            for n, t in enumerate(trades)
        ]  # fmt: skip
        parts = [Rows(name, batch(name, found)) for name, found in (("trade", rows), ("gap", gaps)) if found]
        frames = [Frame(ts, "okx", 1, DATA, b"{}") for ts in (first, last)]
        write_tape(path, Meta("live", first, session=f"earlier-{number}"), [frames[0], *parts, frames[1]])
        if sealed:
            seal(path, folder / SEALED)
        self.told += trades

    def lists(self, *venues: str) -> None:
        """The market is met at these venues now, and the clock ticks."""
        for venue in venues:
            self.session.engine.market.open_book(Instrument(venue, SYMBOL, SYMBOL, "BTC", "USDT", "spot"), self.started, "", 1000.0)
        self.tick(self.started)

    def trade(self, *trades: Told) -> None:
        """Trades that are heard now."""
        for n, t in enumerate(trades):
            event = Trade(t.ts, f"{t.venue}:{SYMBOL}", 0, t.price, t.size, t.side, f"live-{t.ts}-{n}")
            assert self.session.engine.market.trade(event, 1)
        self.told += trades
        self.tick(max(t.ts for t in trades) + 200 * MS)

    def tick(self, ts: int) -> None:
        self.session.engine.step(Frame(ts, "", 0, TICK, b"0"))

    def bars(self, interval: str, *, venue: str = "", start: int = 0, end: int = 0, limit: int = 0, **more: Any) -> dict[str, Any]:
        args = {"interval": interval, "venue": venue, "recorded": True, **more}
        asked = Asked(SYMBOL, start, end, limit, args, self.session.engine.market.now, lambda read: read(), self.histories.query)
        found: dict[str, Any] = READINGS["bars"](self.session, asked)
        BarsOut.model_validate(found | {"rows": [], "recorded": None, "gaps": []})
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.histories.close()


def plain(told: list[Told], seconds: int, venue: str = "") -> dict[int, dict[str, Any]]:
    """What a person would write down of the same trades; starts in ms."""
    groups: dict[int, list[Told]] = {}
    for each in sorted(told):
        if venue in ("", each.venue):
            groups.setdefault(each.ts // (seconds * NS) * seconds * 1000, []).append(each)
    return {
        start: {"open": some[0].price, "close": some[-1].price, "high": max(t.price for t in some), "low": min(t.price for t in some),
                "volume": pytest.approx(sum(t.size for t in some)), "value": pytest.approx(sum(t.size * t.price for t in some)),
                "bought": pytest.approx(sum(t.size for t in some if t.side == "buy")), "count": len(some),
                "exchange_count": len({t.venue for t in some})}
        for start, some in groups.items()
    }  # fmt: skip


def figures(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    names = ("open", "close", "high", "low", "volume", "value", "bought", "count", "exchange_count")
    return {row["start"]: {name: row[name] for name in names} for row in rows}


def some_trades(house: House, begins: int, ends: int, every: int = 37 * NS) -> list[Told]:
    """One trade each ``every`` ns from ``begins`` to ``ends`` (ns before the start; below 0 = behind it), at both venues in turn."""
    times = range(house.started - begins, house.started - ends, every)
    return [Told(ts, VENUES[n % 3 == 0], 100.0 + n % 7, 1.0 + n % 4, ("buy", "sell")[n % 2]) for n, ts in enumerate(times)]


@pytest.mark.parametrize("interval", ["1m", "5m", "1h"])
def test_bars_over_a_restart_are_those_of_all_trades_each_once(house: House, interval: str) -> None:
    house.earlier(1, 2 * HOUR, HOUR, some_trades(house, 2 * HOUR, HOUR), sealed=True)
    house.earlier(2, HOUR, 20 * NS, some_trades(house, HOUR, 20 * NS), sealed=False)
    house.lists(*VENUES)
    house.trade(*some_trades(house, 0, -200 * NS))
    seconds = INTERVALS[interval]
    for venue in ("", *VENUES):
        found = house.bars(interval, venue=venue)
        assert figures(found["rows"]) == plain(house.told, seconds, venue) and not found["problems"]
        starts = [row["start"] for row in found["rows"]]
        assert all(a < b for a, b in pairwise(starts))
    alone = house.bars(interval, recorded=False)
    assert figures(alone["rows"]) == plain([t for t in house.told if t.ts >= house.started], seconds)
    assert alone["recorded"] is None and {row["missing_s"] for row in alone["rows"]} == {None}


def test_what_memory_has_let_go_of_comes_from_the_recording_of_this_run_and_nothing_counts_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's own rows are found as those of a tape that it writes."""
    house.lists(*VENUES)
    trades = [Told(house.started + n * NS, VENUES[n % 2], 100.0 + n % 9, 1.0, "buy") for n in range(2 * KEPT + 100)]
    for at in range(0, len(trades), 100):
        house.trade(*trades[at : at + 100])
    kept = house.bars("1s", recorded=False, limit=5000)["rows"]
    assert len(kept) < len(trades), "memory holds the newest of each venue"
    told = house.told[:]
    monkeypatch.setattr(house, "told", [])
    house.earlier(1, 0, -2 * KEPT * NS - 100 * NS, trades, sealed=True)
    found = house.bars("1s", limit=5000)
    assert figures(found["rows"]) == plain(told, 1)


def test_what_was_not_recorded_is_told_and_marks_the_bars_that_it_touches(house: House) -> None:
    minute = 60 * NS
    whole = house.started // minute * minute  # the bar that the program was started in began then
    late = house.started - whole
    lost = {"ts": whole - 10 * minute + 5 * NS, "until": whole - 10 * minute + 12 * NS, "what": "connection", "why": "cut",
            "symbol": "", "venue": "okx", "lost": None}  # fmt: skip
    other = {**lost, "venue": "kraken", "ts": whole - 14 * minute, "until": whole - 13 * minute}
    book = {**lost, "what": "book", "ts": whole - 18 * minute, "until": whole - 17 * minute}
    trades = some_trades(house, late + 30 * minute, late + 3 * minute + 20 * NS, 7 * NS)
    house.earlier(1, late + 30 * minute, late + 3 * minute + 20 * NS, trades, sealed=True, gaps=[lost, other, book])
    house.lists(*VENUES)
    house.trade(*some_trades(house, 0, -minute))
    found = house.bars("1m", limit=29)
    rows = {(row["start"] * MS - whole) // minute: row for row in found["rows"]}
    assert rows[-10]["missing_s"] == pytest.approx(7.0) and rows[-10]["partial"]
    assert rows[-14]["missing_s"] == rows[-18]["missing_s"] == 0.0 and not rows[-14]["partial"], "another venue, or a book alone"
    assert rows[-4]["missing_s"] == pytest.approx(20.0), "recording ended 3 min 20 s before"
    assert -3 not in rows and -2 not in rows and rows[0]["partial"] and rows[0]["missing_s"] == pytest.approx(late / NS, abs=0.5)
    assert [(gap["what"], gap["venue"]) for gap in found["gaps"][-1:]] == [("connection", "okx")]
    assert any(gap["why"] == "nothing was recorded" and gap["start"] * MS < whole - 3 * minute for gap in found["gaps"])
    alone = {(row["start"] * MS - whole) // minute: row for row in house.bars("1m", venue="binance_spot", limit=29)["rows"]}
    assert alone[-10]["missing_s"] == 0.0, "the connection of another venue"


def test_what_was_not_recorded_is_missing_where_the_recording_is_read_and_not_in_memory() -> None:
    lost = {"ts": 50, "until": 200, "what": "rows", "venue": "", "why": "too many"}
    cut = {"ts": 300, "until": None, "what": "connection", "venue": "okx", "why": "cut"}
    elsewhere = {**cut, "ts": 10, "venue": "kraken"}
    gaps = [elsewhere, lost, cut]
    assert missing(gaps, {}, ["okx"], 90, 400) == [(50, 200), (300, 400)]
    assert missing(gaps, {"okx": Kept((), parted=100, met=100)}, ["okx"], 90, 400) == [(50, 100), (300, 400)]
    assert missing(gaps, {"okx": Kept((), parted=100, met=130)}, ["okx"], 90, 400) == [(50, 130), (300, 400)], "nobody listened yet"


def test_only_so_much_is_looked_through_and_an_answer_says_how_much(house: House) -> None:
    house.earlier(1, 3 * HOUR, HOUR, some_trades(house, 3 * HOUR, HOUR, 600 * NS), sealed=True)
    house.lists(*VENUES)
    house.trade(*some_trades(house, 0, -60 * NS))
    few = house.bars("1m", limit=90)
    assert len(few["rows"]) <= 90 and few["recorded"]["end"] - few["recorded"]["start"] <= 92 * 60_000
    assert figures(few["rows"]) == {
        start: row for start, row in plain(house.told, 60).items() if start >= few["recorded"]["start"]
    }  # fmt: skip
    assert looked(0, 100 * HOUR * 24, 5000, 24 * HOUR) == (100 * HOUR * 24 - MOST_NS, 100 * HOUR * 24)
    begins, ends = house.started - 2 * HOUR, house.started - HOUR
    part = house.bars("1m", start=begins, end=ends)
    assert figures(part["rows"]) == {s: row for s, row in plain(house.told, 60).items() if begins <= s * MS < ends}


def test_a_recording_that_cannot_be_asked_leaves_the_bars_of_memory_and_says_so(house: House) -> None:
    house.lists(*VENUES)
    house.trade(*some_trades(house, 0, -60 * NS))

    def refuse(*_: Any, **__: Any) -> Any:
        raise StoreError("too many questions about history at once; try again later")

    asked = Asked(SYMBOL, 0, 0, 0, {"interval": "1m", "recorded": True}, 0, lambda read: read(), refuse)
    found = READINGS["bars"](house.session, asked)
    assert figures(found["rows"]) == plain(house.told, 60)
    assert found["recorded"] is None and found["problems"] == [
        "recordings are not in it: too many questions about history at once; try again later"
    ]  # fmt: skip
