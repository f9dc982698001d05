"""Gate's own traps: numbers without levels, streams had already, contracts and fractions of them, books seeded by REST."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dope.engine import Engine
from dope.replay import replay
from dope.settings import Settings
from dope.tape.importing import import_lines
from dope.types import TICK, Ack, Bar, BookUpdate, Event, Fault, Fetch, Frame, Funding, Gap, Notice, Quote, Reconnect, Send, Trade
from dope.venues import make
from dope.venues.base import Venue
from tests.frames import MS, T0, data, opened, play, reply
from tests.program import SHARED
from tests.venues import gate, gate_futures

SECOND = 10**9
SPOT, FUTURES = "gate", "gate_futures"


def machine(venue: str, *symbols: str) -> Venue:
    made = make(venue, symbols)
    made.receive(Frame(T0, venue, 1, *opened("x", symbols)))
    return made


def told(made: Venue, *frames: tuple[int, bytes]) -> list[Event]:
    return [event for number, frame in enumerate(frames, 1) for event in made.receive(Frame(T0 + number * MS, made.ID, 1, *frame))]


def run(venue: str, script: list[tuple[int, bytes]]) -> tuple[Engine, list[Event]]:
    engine = Engine({venue: make(venue, ())})
    return engine, engine.step_many(play(venue, script))


def sent(made: Venue) -> list[dict[str, Any]]:
    found = [json.loads(action.text) for action in made.actions if isinstance(action, Send)]
    made.actions.clear()
    return found


def answer(request: dict[str, Any], error: str = "") -> tuple[int, bytes]:
    names = {name: request[name] for name in ("channel", "event", "payload")}
    refused = {"error": {"code": 2, "message": error}} if error else {}
    about = {"time": 1700000000, "time_ms": 1700000000003, "conn_id": "d9db", "trace_id": "ee00"}
    return data({**about, **names, **refused, "result": {"status": "fail" if error else "success"}})


def best(u: int, bid: str, bid_size: str | int, ask: str, ask_size: str | int, prefix: str = "spot") -> tuple[int, bytes]:
    row = {"t": 1700000000000, "u": u, "s": "BTC_USDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return gate.update(f"{prefix}.book_ticker", row)


# -- books -------------------------------------------------------------------------------------------------------------
def test_a_hole_in_the_numbers_ends_the_book_and_asks_for_it_anew() -> None:
    made = machine(SPOT, "BTC-USDT")
    sent(made)
    told(made, *gate.script()[2:4])
    assert told(made, gate.book(106, 107, [("99.95", "1")], [])) == [Gap(T0 + MS, gate.KEY, "sequence")]
    asks = sent(made)
    assert [(ask["event"], ask["channel"], ask["payload"]) for ask in asks] == [
        (wish, "spot.obu", ["ob.BTC_USDT.400"]) for wish in ("unsubscribe", "subscribe")
    ]
    assert asks[0]["time"] == T0 // SECOND
    assert told(made, answer(asks[0]), gate.book(108, 109, [("99.96", "1")], [])) == [], "nothing is built on a lost book"
    events = told(made, gate.book(0, 900, [("99", "1")], [("101", "1")], full=True), answer(asks[1]))
    assert [type(e) for e in events] == [BookUpdate, Ack], "a whole book may come before the answer"


def test_numbers_go_on_also_where_no_level_changes_and_a_lost_one_of_those_is_a_hole_too() -> None:
    engine, out = run(SPOT, [*gate.script(), gate.book(121, 125, [], []), gate.book(126, 126, [("99.95", "1")], [])])
    assert engine.market.books[gate.KEY].state == "LIVE" and not [e for e in out if isinstance(e, Gap | Fault)]
    _, out = run(SPOT, [*gate.script(), gate.book(126, 126, [("99.95", "1")], [])])
    assert [e.reason for e in out if isinstance(e, Gap)] == ["sequence"]


def test_the_same_numbers_twice_are_a_duplicate_and_an_overlap_is_none() -> None:
    script = gate.script()
    engine, out = run(SPOT, [*script, script[-1]])
    assert engine.market.books[gate.KEY].state == "LIVE" and not [e for e in out if isinstance(e, Gap)]
    _, out = run(SPOT, [*script, gate.book(119, 121, [("99.95", "1")], [])])
    assert [e.reason for e in out if isinstance(e, Gap)] == ["sequence"]


def test_a_whole_book_in_between_replaces_the_book_also_with_smaller_numbers() -> None:
    whole = gate.book(0, 7, [("99", "1")], [("101", "2")], full=True)
    engine, out = run(SPOT, [*gate.script(), whole, gate.book(8, 8, [("99.5", "3")], [])])
    book = engine.market.books[gate.KEY]
    assert (book.state, book.touch(), len(book.levels("bid", 9))) == ("LIVE", (99.5, 3.0, 101.0, 2.0), 2)
    assert not [e for e in out if isinstance(e, Gap)]


def test_what_is_no_book_that_was_asked_for_is_a_fault() -> None:
    empty = gate.book(0, 9, [], [], full=True)
    other = gate.book(0, 9, [("99", "1")], [], full=True, stream="ob.BTC_USDT.50")
    (kind, text) = gate.book(3, 9, [("99", "1")], [])
    numberless = kind, text.replace(b'"U":3,', b"")
    swapped = kind, text.replace(b"spot.obu", b"futures.obu")
    events = told(machine(SPOT, "BTC-USDT"), empty, other, numberless, swapped, data({"channel": "options.trades", "event": "update"}))
    assert [e.reason for e in events if isinstance(e, Fault)] == [
        "unreadable: a whole book without sides or number", "unreadable: a depth that was not asked for",
        "unreadable: a book update without its numbers", "unreadable: a book on another channel", "unknown message",
    ]  # fmt: skip


def test_the_touch_leads_only_while_its_number_is_newer_than_that_of_the_levels() -> None:
    newer, _ = run(SPOT, [*gate.script(), best(121, "100.1", "4", "100.4", "2")])
    older, _ = run(SPOT, [*gate.script(), best(119, "100.1", "4", "100.4", "2")])
    assert newer.market.books[gate.KEY].touch() == (100.1, 4.0, 100.4, 2.0)
    assert older.market.books[gate.KEY].touch() == (100.0, 1.5, 100.5, 0.75)


def test_a_touch_without_number_or_of_less_than_a_contract_is_none_and_an_empty_side_is_told() -> None:
    made = machine(FUTURES, "BTC-USDT-PERP")
    events = told(made, best(0, "", 0, "", 0, "futures"), best(5, "99", "0", "101", 7, "futures"), best(6, "99", "4", "", 0, "futures"))
    assert [(e.seq, e.bid, e.bid_size, e.ask, e.ask_size) for e in events if isinstance(e, Quote)] == [(6, 99.0, 4.0, 0.0, 0.0)]
    assert [type(e) for e in told(made, best(7, "99", -1, "101", 7, "futures"))] == [Fault]


# -- the rest ----------------------------------------------------------------------------------------------------------
def test_spot_names_the_taker_and_tells_time_in_fractions_of_a_millisecond() -> None:
    row = {"id": 816995772, "create_time": 1700000000, "create_time_ms": "1700000000708.2642", "side": "sell"}
    row |= {"currency_pair": "BTC_USDT", "amount": "0.2010", "price": "121.58"}
    made = machine(SPOT, "BTC-USDT")
    assert told(made, gate.update("spot.trades", row)) == [
        Trade(T0 + MS, gate.KEY, 1700000000708264200, 121.58, 0.201, "sell", "816995772")
    ]
    assert [type(e) for e in told(made, gate.update("spot.trades", {**row, "side": "none"}))] == [Fault]


def test_futures_tell_the_taker_by_the_sign_of_contracts_that_may_be_fractions() -> None:
    def deal(number: int, size: str | float, **more: object) -> dict[str, object]:
        return {"size": size, "id": number, "create_time_ms": 1700000000123, "price": "2171.44", "contract": "ETH_USDT", **more}

    rows = [deal(1, -108), deal(2, 3), deal(3, "-0.25"), deal(4, 0), deal(5, 9, is_internal=True)]
    events = told(machine(FUTURES, "ETH-USDT-PERP"), gate.update("futures.trades", rows))
    trades = [e for e in events if isinstance(e, Trade)]
    assert [(e.side, e.trade_id, e.ts_exch) for e in trades] == [
        (side, number, 1700000000123 * MS) for side, number in (("sell", "1"), ("buy", "2"), ("sell", "3"))
    ]
    assert [e.size for e in trades] == pytest.approx([1.08, 0.03, 0.0025])
    assert not [e for e in events if isinstance(e, Fault)], "a trade rounded down to nothing is no mistake"


def test_a_ticker_tells_funding_with_its_own_interval() -> None:
    row = {"contract": "BTC_USDT", "last": "100.3", "mark_price": "100.35", "index_price": "100.2", "funding_rate": "-0.0002"}
    row |= {"funding_rate_indicative": "0.1", "t": 1700000000001}
    full = {**row, "funding_interval": 14400, "funding_next_apply": 1700006400}
    made = machine(FUTURES, "BTC-USDT-PERP")
    events = told(made, gate.update("futures.tickers", [full]), gate.update("futures.tickers", [{**row, "funding_rate": ""}]))
    found = [(e.rate, e.mark, e.index, e.next_ts, e.interval_h) for e in events if isinstance(e, Funding)]
    assert found == [(-0.0002, 100.35, 100.2, 1700006400 * SECOND, 4.0), (None, 100.35, 100.2, 0, 8.0)]
    assert [type(e) for e in told(made, gate.update("futures.tickers", [{**row, "funding_rate": "7"}]))] == [Fault]


def test_candles_count_base_units_and_are_final_when_their_window_is_closed() -> None:
    row = {"v": "2362.32", "c": "101.1", "h": "102", "l": "99", "o": "100", "n": "1m_BTC_USDT"}
    spot = machine(SPOT, "BTC-USDT")
    (bar,) = told(spot, gate.update("spot.candlesticks", {**row, "t": "1700000040", "a": "3.8283", "w": True}))
    assert bar == Bar(T0 + MS, gate.KEY, 1700000040 * SECOND, 60, 100.0, 102.0, 99.0, 101.1, 3.8283, True)
    assert told(spot, gate.update("spot.candlesticks", {**row, "t": "1700000040"})) == [], "turnover alone is no volume"
    rows = [{**row, "t": 1700000040, "v": 5000}, {**row, "t": 1700000040, "v": 5000, "n": "5m_BTC_USDT"}]
    (bar,) = told(machine(FUTURES, "BTC-USDT-PERP"), gate.update("futures.candlesticks", rows))
    assert isinstance(bar, Bar) and (bar.volume, bar.closed) == (0.5, False)


def test_an_upgrade_is_announced_and_the_connection_made_anew_in_time() -> None:
    made = machine(FUTURES, "BTC-USDT-PERP")
    sent(made)
    events = told(made, gate.update("futures.system", {"type": "upgrade", "msg": "soon"}))
    assert [e.code for e in events if isinstance(e, Notice)] == ["shutdown"]
    assert [(a.conn, a.planned) for a in made.actions if isinstance(a, Reconnect)] == [(1, True)]


# -- names -------------------------------------------------------------------------------------------------------------
def test_names_of_spot_and_futures_go_there_and_back() -> None:
    spot, futures = make(SPOT, ()), make(FUTURES, ())
    assert [spot.native(s) for s in ("BTC-USDT", "BTC-USDT-PERP")] == ["BTC_USDT", None]
    assert [futures.native(s) for s in ("BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USDT")] == ["BTC_USDT", None, None]
    known = [futures.instrument(name) for name in ("ETH_USDT", "PEPE_USDT", "BTC_USD", "BTC_USDT_20261225")]
    assert [(i.symbol, i.kind, i.contract_value, i.inverse) for i in known if i is not None] == [
        ("ETH-USDT-PERP", "perp", 0.01, False), ("PEPE-USDT-PERP", "perp", None, False),
        ("BTC-USD-PERP", "perp", 1.0, True), ("BTC-USDT-20261225", "future", None, False),
    ]  # fmt: skip
    assert [spot.instrument(name) for name in ("ob.BTC_USDT.400", "btc_usdt", "BTCUSDT", "BTC_USDT_X")] == [None] * 4


# -- answers -----------------------------------------------------------------------------------------------------------
def test_one_request_per_channel_but_one_per_candle() -> None:
    asks = sent(machine(FUTURES, "BTC-USDT-PERP", "ETH-USDT-PERP"))
    assert sorted((ask["channel"], ask["payload"]) for ask in asks) == [
        ("futures.book_ticker", ["BTC_USDT", "ETH_USDT"]), ("futures.candlesticks", ["1m", "BTC_USDT"]),
        ("futures.candlesticks", ["1m", "ETH_USDT"]), ("futures.obu", ["ob.BTC_USDT.400", "ob.ETH_USDT.400"]),
        ("futures.tickers", ["BTC_USDT", "ETH_USDT"]), ("futures.trades", ["BTC_USDT", "ETH_USDT"]),
    ]  # fmt: skip


def test_a_request_refused_for_one_name_is_made_again_name_by_name() -> None:
    made = machine(SPOT, "BTC-USDT", "NOSUCH-USDT")
    asks = sent(made)
    (trades,) = [ask for ask in asks if ask["channel"] == "spot.trades"]
    assert told(made, answer(trades, "unknown currency pair: NOSUCH_USDT")) == []
    alone = sent(made)
    assert [ask["payload"] for ask in alone] == [["BTC_USDT"], ["NOSUCH_USDT"]]
    events = told(made, answer(alone[0]), answer(alone[1], "unknown currency pair: NOSUCH_USDT"))
    assert [(e.topic, e.ok) for e in events if isinstance(e, Ack)] == [("trades:BTC_USDT", True), ("trades:NOSUCH_USDT", False)]
    assert [(e.code, e.text) for e in events if isinstance(e, Notice)] == [("error", "2 unknown currency pair: NOSUCH_USDT")]
    candle = next(ask for ask in asks if ask["payload"] == ["1m", "BTC_USDT"])
    told(made, *(answer(ask) for ask in asks if ask not in (trades, candle)))
    assert made.waiting(1) == ["candlesticks:1m,BTC_USDT"]
    made.receive(Frame(T0 + 12 * SECOND, "", 0, TICK, b"0"))
    again = sent(made)
    assert [ask["payload"] for ask in again if ask["channel"] != "spot.obu"] == [["1m", "BTC_USDT"]]
    books = [(ask["event"], *ask["payload"]) for ask in again if ask["channel"] == "spot.obu"]
    assert books == [(wish, f"ob.{name}.400") for name in ("BTC_USDT", "NOSUCH_USDT") for wish in ("unsubscribe", "subscribe")]


def test_a_stream_that_the_connection_has_already_counts_as_confirmed() -> None:
    made = machine(SPOT, "BTC-USDT")
    (ask,) = [ask for ask in sent(made) if ask["channel"] == "spot.obu"]
    events = told(made, answer(ask, "Alert sub ob.BTC_USDT.400"))
    assert [(e.topic, e.ok) for e in events if isinstance(e, Ack)] == [("obu:ob.BTC_USDT.400", True)] and len(events) == 1


def test_pongs_and_refused_unsubscriptions_say_nothing_and_bare_errors_are_told() -> None:
    made = machine(SPOT, "BTC-USDT")
    (ask,) = [ask for ask in sent(made) if ask["channel"] == "spot.obu"]
    pong = data({"time": 1700000000, "time_ms": 1700000000003, "conn_id": "c5", "channel": "spot.pong", "event": "", "result": None})
    assert told(made, pong, answer({**ask, "event": "unsubscribe"}, "not subscribed")) == [] and made.seen == {}
    events = told(made, data({"time": 1, "error": {"code": 1, "message": "request message need json scheme"}}))
    assert [type(e) for e in events] == [Notice]


# -- recordings: differences on a REST snapshot ------------------------------------------------------------------------
def difference(first: int, last: int, bids: list[Any], asks: list[Any], prefix: str = "spot") -> tuple[int, bytes]:
    row = {"t": 1700000000000, "e": "depthUpdate", "E": 1700000000, "s": "BTC_USDT", "U": first, "u": last, "b": bids, "a": asks}
    return gate.update(f"{prefix}.order_book_update", row)


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_differences_of_older_recordings_follow_their_rest_snapshot(venue: str) -> None:
    def rows(*levels: tuple[str, float]) -> list[Any]:
        return [{"p": p, "s": s * 10_000} for p, s in levels] if venue == FUTURES else [[p, str(s)] for p, s in levels]

    prefix, key = ("spot", gate.KEY) if venue == SPOT else ("futures", gate_futures.KEY)
    snapshot = {"id": 104, "current": 1, "update": 1, "asks": rows(("100.6", 1.0)), "bids": rows(("99.8", 1.0), ("99.5", 3.0))}
    script = [
        opened(),
        difference(100, 104, rows(("99.5", 3.0)), [], prefix),
        difference(105, 106, rows(("100", 1.5)), [], prefix),
        reply("depth:BTC_USDT", snapshot),
        difference(107, 107, rows(("99.5", 0.0)), rows(("100.5", 0.75)), prefix),
    ]
    engine, out = run(venue, script)
    book = engine.market.books[key]
    assert (book.state, book.touch(), book.levels("bid", 9)[1:]) == ("LIVE", (100.0, 1.5, 100.5, 0.75), [(99.8, 1.0)])
    assert not [e for e in out if isinstance(e, Gap | Fault)]
    (ask,) = [action for _, action in engine.drain() if isinstance(action, Fetch)]
    assert ask.key == engine.venues[venue].reply_key(ask.url, ()) == "depth:BTC_USDT" and "with_id=true" in ask.url
    after = play(venue, [difference(109, 110, rows(("99.9", 2.0)), [], prefix)], start=T0 + SECOND)
    assert [e.reason for e in engine.step_many(after) if isinstance(e, Gap)] == ["sequence"]
    assert [type(action) for _, action in engine.drain()] == [Fetch]
    engine.venues[venue].resync(key.partition(":")[2], T0 + 2 * SECOND)
    assert [type(action) for _, action in engine.drain()] == [Fetch], "its new snapshot comes from REST, too"


RECORDING = SHARED / "wire" / "gate" / "cf_20210422_spot_v4_A.jsonl.gz"
#: best bid and ask at its end, found by a plain dict of levels
ENDS = {
    "gate:BTC-USDC": (54272.19, 55070.74), "gate:DIS-USDT": (121.5, 122.23), "gate:HAI-ETH": (0.00010324, 0.00010397),
    "gate:OMG-USDT": (7.899, 7.927), "gate:QTUM3S-USDT": (0.22759, 0.228407),
}  # fmt: skip


@pytest.mark.skipif(not RECORDING.exists(), reason="the recording is not here")
def test_thirty_recorded_seconds_have_no_gap_and_end_at_the_known_books(tmp_path: Path) -> None:
    import_lines([RECORDING], make(SPOT, ()), tmp_path / "gate.dope")
    engine, _ = asyncio.run(replay([tmp_path / "gate.dope"], Settings(_env_file=None)))
    books = engine.market.books
    assert {key: (book.bid, book.ask) for key, book in books.items()} == ENDS
    assert sum(book.book_updates for book in books.values()) == 93 and {book.state for book in books.values()} == {"LIVE"}
    assert (engine.counts.get("Gap", 0), engine.counts.get("Fault", 0)) == (0, 0)
