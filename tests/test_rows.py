"""Rows collected from a running engine: history says at each moment what the engine said then, and what it did not know."""

from __future__ import annotations

import json
import random
from operator import attrgetter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors import Rules, default_detectors
from dope.engine import Engine
from dope.market.lane import RING
from dope.rows import WAITING, Collector
from dope.tables import TABLES, gap
from dope.types import CLOSED, DELIVERS, LIVE, OPEN, TICK, ClosedInfo, Event, Frame, OpenInfo, Trade
from dope.venues import make
from tests.frames import MS, T0, closed, data, okx_book, okx_script, opened, play, spot_script
from tests.test_engine import COSTS, SYMBOLS, lane_tape, tape

Row = dict[str, Any]
CUT = ClosedInfo(1006, "cut")


def house(collector: Collector | None) -> Engine:
    venues = {v: make(v, SYMBOLS) for v in ("binance_spot", "okx")}
    also = () if collector is None else (collector,)
    return Engine(venues, [*default_detectors(COSTS, Rules(enter=0.0, leave=-1.0, min_notional=1.0)), *also])


def collect(engine: Engine, collector: Collector, frames: list[Frame], into: dict[str, list[Row]]) -> None:
    """Step, note, take, as a session does."""
    for event in engine.step_many(frames):
        collector.note(event)
    for table, batch in collector.take(engine.market).items():
        assert batch.schema.equals(TABLES[table], check_metadata=True)
        batch.validate(full=True)
        into[table] += batch.to_pylist()


def collected(frames: list[Frame], seed: int = 0) -> tuple[Engine, Collector, dict[str, list[Row]]]:
    """All rows of these frames, taken at random moments."""
    collector, rng, at = Collector("run-1"), random.Random(seed), 0
    engine, rows = house(collector), {table: list[Row]() for table in TABLES}
    while at < len(frames):
        size = rng.randint(1, 60)
        collect(engine, collector, frames[at : at + size], rows)
        at += size
    return engine, collector, rows


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_at_each_moment_history_shows_the_touch_of_the_book_then_and_nothing_while_it_was_not_live(seed: int) -> None:
    frames = sorted(lane_tape(seed), key=attrgetter("ts"))
    plain, known = house(None), dict[tuple[str, int], tuple[Any, ...]]()
    for frame in frames:
        plain.step(frame)
        for book in plain.market.books.values():
            bid, _, ask, _ = book.touch()
            known[(book.instrument.venue, frame.ts)] = (bid or None, ask or None) if book.state == LIVE else (None, None)
    engine, collector, rows = collected(frames, seed)
    assert engine.digest() == plain.digest() and collector.lost == 0
    for venue in ("binance_spot", "okx"):
        history = [(row["ts"], (row["bid"], row["ask"])) for row in rows["bbo"] if row["venue"] == venue]
        assert [ts for ts, _ in history] == sorted(ts for ts, _ in history)
        current, at = (None, None), 0
        for (name, ts), touch in known.items():
            while name == venue and at < len(history) and history[at][0] <= ts:
                current = history[at][1]
                at += 1
            assert name != venue or current == touch, ts


@pytest.mark.parametrize("seed", range(3))
def test_rows_taken_a_piece_at_a_time_while_the_market_goes_on_are_the_same(seed: int) -> None:
    frames, collector = sorted(lane_tape(seed), key=attrgetter("ts")), Collector("run-1")
    engine, rows, pieces = house(collector), {table: list[Row]() for table in TABLES}, 0
    taking = collector.taking(engine.market)
    for at in range(0, len(frames), 7):
        for event in engine.step_many(frames[at : at + 7]):
            collector.note(event)
        found = next(taking, collector)
        if isinstance(found, Collector):
            taking = collector.taking(engine.market)
        elif found is not None:
            rows[found[0]] += found[1].to_pylist()
            pieces += 1
    for rest in (taking, collector.taking(engine.market)):
        for found in rest:
            if found is not None:
                rows[found[0]] += found[1].to_pylist()
    _, _, whole = collected(frames, seed)
    assert pieces > 10 and {name: sorted(map(repr, kept)) for name, kept in rows.items()} == {
        name: sorted(map(repr, kept)) for name, kept in whole.items()
    }


def test_a_touch_has_its_sizes_and_the_stamp_of_the_venue() -> None:
    _, _, rows = collected(play("okx", okx_script(), start=T0))
    first, *others = rows["bbo"]
    assert first == {
        "ts": T0 + 20 * MS, "symbol": "BTC-USDT", "venue": "okx", "venue_ts": T0,
        "bid": 99.8, "ask": 100.6, "bid_size": 1.0, "ask_size": 1.0,
    }  # fmt: skip
    assert [(row["bid"], row["bid_size"], row["ask"]) for row in others] == [(99.9, 2.0, 100.6), (100.0, 1.5, 100.6), (100.0, 1.5, 100.5)]


def okx_trade(number: int, price: str, side: str) -> tuple[int, bytes]:
    row = {"instId": "BTC-USDT", "tradeId": str(number), "px": price, "sz": "0.5", "side": side, "ts": "1700000000007", "count": "1"}
    return data({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row]})


def test_trades_are_rows_once_each() -> None:
    script = [*okx_script(), okx_trade(1, "100.5", "buy"), okx_trade(2, "100", "sell"), okx_trade(2, "100", "sell")]
    _, _, rows = collected(play("okx", script, start=T0))
    first, second = rows["trade"]
    assert first == {
        "ts": T0 + 90 * MS, "symbol": "BTC-USDT", "venue": "okx", "venue_ts": T0 + 7 * MS, "trade_id": "1", "price": 100.5, "size": 0.5,
        "side": "buy",
    }  # fmt: skip
    assert (second["trade_id"], second["side"]) == ("2", "sell")


def test_each_opportunity_is_a_row_when_it_opens_and_one_when_it_ends_with_all_its_fields() -> None:
    engine, _, rows = collected(tape())
    assert len(rows["opportunity"]) == engine.counts["Opportunity"] >= 4
    assert {row["state"] for row in rows["opportunity"]} >= {"open", "closed"}
    for row in rows["opportunity"]:
        detail = json.loads(row["detail"])
        assert row["session"] == "run-1" and (row["closed"] is None) == (row["state"] == "open")
        assert {name: detail[name] for name in ("id", "ts", "net_bps", "peak_bps", "size", "opened")} == {
            name: row[name] for name in ("id", "ts", "net_bps", "peak_bps", "size", "opened")
        }


class Blip(Event, frozen=True):
    key: str
    value: float


def test_signals_of_other_kinds_are_rows_too() -> None:
    collector = Collector("run-1")
    collector.note(Blip(T0, "okx:BTC-USDT", 1.5))
    (row,) = collector.take(house(None).market)["signal"].to_pylist()
    detail = f'{{"ts":{T0},"key":"okx:BTC-USDT","value":1.5}}'
    assert row == {"ts": T0, "symbol": "BTC-USDT", "kind": "Blip", "session": "run-1", "detail": detail}


def test_a_book_that_is_not_live_is_a_gap_told_when_it_opens_and_when_it_is_over() -> None:
    frames = play("okx", [*okx_script(), okx_book("update", 130, 125, [], [])], start=T0)
    collector = Collector("run-1")
    engine, rows = house(collector), {table: list[Row]() for table in TABLES}
    collect(engine, collector, frames[:-1], rows)
    assert rows["gap"] == [], "it was live with the first message about it"
    book, lost = {"venue": "okx", "symbol": "BTC-USDT"}, frames[-1].ts
    collect(engine, collector, frames[-1:], rows)
    assert rows["gap"] == [gap(lost, None, "book", "sequence", **book)]
    back = play("okx", [okx_book("snapshot", 200, -1, [("99.8", "1")], [("100.6", "1")])], start=lost + 5 * MS)
    collect(engine, collector, back, rows)
    assert rows["gap"][1:] == [gap(lost, lost + 5 * MS, "book", "sequence", **book)]
    collector.finish(lost + 9 * MS)
    assert "gap" not in collector.take(engine.market), "nothing was missing at the end"


def test_until_its_first_snapshot_a_market_is_missing() -> None:
    frames = play("binance_spot", spot_script(), start=T0)
    _, _, rows = collected(frames)
    (over,) = [row for row in rows["gap"] if row["until"] is not None]
    book = {"venue": "binance_spot", "symbol": "BTC-USDT"}
    assert over == gap(over["ts"], frames[3].ts, "book", "waiting for a snapshot", **book) and over["ts"] < over["until"]


def link(ts: int, conn: int, kind: int, why: ClosedInfo = CUT) -> Frame:
    about = OpenInfo("market", "ws://test") if kind == OPEN else why
    return Frame(ts, "okx", conn, kind, msgspec.json.encode(about))


def test_a_plan_without_a_connection_is_a_gap_and_one_that_is_replaced_in_time_is_none() -> None:
    frames = [link(T0, 1, OPEN), link(T0 + 5, 2, OPEN), link(T0 + 6, 1, CLOSED), link(T0 + 10, 2, CLOSED), link(T0 + 30, 3, OPEN)]
    _, _, rows = collected(frames)
    assert [row for row in rows["gap"] if row["until"] is not None] == [gap(T0 + 10, T0 + 30, "connection", "market: cut", venue="okx")]


def test_a_plan_that_is_not_needed_any_more_is_no_gap_and_is_one_when_it_breaks_later() -> None:
    frames = [link(T0, 1, OPEN), link(T0 + 5, 1, CLOSED, ClosedInfo(1000, DELIVERS, planned=True))]
    frames += [link(T0 + 20, 2, OPEN), link(T0 + 25, 2, CLOSED), link(T0 + 30, 3, OPEN)]
    _, _, rows = collected(frames)
    assert [(row["ts"], row["until"]) for row in rows["gap"]] == [(T0 + 25, T0 + 30)]


def test_what_is_still_missing_when_the_recording_ends_ends_with_it() -> None:
    script = [*okx_script(), closed()]
    engine, collector, rows = collected(play("okx", script, start=T0))
    collector.finish(T0 + 500 * MS)
    collect(engine, collector, [], rows)
    over = [row for row in rows["gap"] if row["until"] == T0 + 500 * MS]
    assert {(row["what"], row["ts"]) for row in over} == {("book", T0 + 90 * MS), ("connection", T0 + 90 * MS)}
    assert [row["bid"] for row in rows["bbo"]][-1] is None, "the last row of a recording that ended is no current price"


def moves(count: int) -> list[Frame]:
    """A book whose best bid changes with every message."""
    script = [opened("public"), okx_book("snapshot", 1, -1, [("99", "1")], [("200", "1")])]
    for n in range(2, count + 2):
        script.append(okx_book("update", n, n - 1, [("100", "1" if n % 2 else "0")], []))
    return [Frame(T0 + i, "okx", 1, kind, text) for i, (kind, text) in enumerate(script)]


def test_a_ring_that_overran_is_a_gap_with_the_number_of_lost_rows() -> None:
    collector, rows = Collector("run-1"), {table: list[Row]() for table in TABLES}
    engine, frames = house(collector), moves(RING + 500)
    collect(engine, collector, frames[:100], rows)
    assert not collector.hurry(engine.market)
    have = len(rows["bbo"])
    collect(engine, collector, frames[100:], rows)
    (lost,) = [row for row in rows["gap"] if row["what"] == "rows"]
    assert lost["lost"] == collector.lost == 500 - have and (lost["venue"], lost["symbol"]) == ("okx", "BTC-USDT")
    assert (lost["ts"], lost["until"]) == (frames[99].ts, rows["bbo"][have]["ts"])
    assert len(rows["bbo"]) == have + RING


def test_half_a_ring_that_waits_is_worth_hurrying_for() -> None:
    collector = Collector("run-1")
    engine = house(collector)
    engine.step_many(moves(RING // 2 + 10))
    assert collector.hurry(engine.market)
    collector.take(engine.market)
    assert not collector.hurry(engine.market)


def test_rows_that_nobody_takes_are_bounded_and_their_loss_is_a_row() -> None:
    collector = Collector("run-1")
    engine = house(collector)
    engine.step_many(play("okx", okx_script(), start=T0))
    for n in range(WAITING + 7):
        collector.on(Trade(T0 + n, "okx:BTC-USDT", 0, 1.0, 1.0, "buy", "x"), engine.market)
    taken = collector.take(engine.market)
    assert len(taken["trade"]) == WAITING and collector.lost == 7
    why = f"more than {WAITING} rows of trade were waiting"
    assert gap(T0 + WAITING, T0 + WAITING + 6, "rows", why, lost=7) in taken["gap"].to_pylist()


@pytest.mark.parametrize("seed", range(3))
def test_signals_and_digest_are_the_same_with_and_without(seed: int) -> None:
    frames = tape(seed)
    frames.append(Frame(frames[-1].ts + 10 * MS, "", 0, TICK, b"0"))
    plain = house(None)
    told = plain.step_many(frames)
    collector = Collector("run-1")
    other = house(collector)
    assert other.step_many(frames) == told and other.digest() == plain.digest()
