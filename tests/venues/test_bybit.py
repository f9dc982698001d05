"""Bybit's own traps: restarts of numbers, the touch beside the levels, tickers that come field by field, bundles of coins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dope.engine import Engine
from dope.types import TICK, Ack, Bar, BookUpdate, Event, Fault, Frame, Funding, Gap, Notice, Quote, Send, Trade
from dope.venues import make
from dope.venues.base import Venue
from tests.frames import MS, T0, data, opened, play
from tests.venues import bybit, bybit_linear

SECOND = 10**9
SPOT, LINEAR = "bybit", "bybit_linear"


def machine(venue: str, *symbols: str) -> Venue:
    made = make(venue, symbols)
    made.receive(Frame(T0, venue, 1, *opened(venue.rpartition("_")[2], symbols)))
    return made


def told(made: Venue, *messages: Any, conn: int = 1) -> list[Event]:
    frames = [message if isinstance(message, tuple) else data(message) for message in messages]
    return [event for number, frame in enumerate(frames, 1) for event in made.receive(Frame(T0 + number * MS, made.ID, conn, *frame))]


def run(venue: str, script: list[tuple[int, bytes]]) -> tuple[Engine, list[Event]]:
    engine = Engine({venue: make(venue, ())})
    return engine, engine.step_many(play(venue, script))


def sent(made: Venue) -> list[dict[str, Any]]:
    found = [json.loads(action.text) for action in made.actions if isinstance(action, Send)]
    made.actions.clear()
    return found


def ticker(kind: str, **fields: str) -> tuple[int, bytes]:
    return data({"topic": "tickers.BTCUSDT", "type": kind, "data": {"symbol": "BTCUSDT", **fields}, "cs": 24987, "ts": 1700000000100})


# -- books -------------------------------------------------------------------------------------------------------------
def test_a_hole_in_the_numbers_ends_the_book_and_asks_for_it_anew() -> None:
    made = machine(SPOT, "BTC-USDT")
    sent(made)
    told(made, *bybit.script()[2:4])
    assert told(made, bybit.book("delta", 103, [("99.95", "1")], [])) == [Gap(T0 + MS, bybit.KEY, "sequence")]
    assert [(ask["op"], ask["args"]) for ask in sent(made)] == [(op, ["orderbook.50.BTCUSDT"]) for op in ("unsubscribe", "subscribe")]
    assert told(made, bybit.book("delta", 104, [("99.96", "1")], [])) == [], "nothing is built on a lost book"
    assert [type(e) for e in told(made, bybit.book("snapshot", 900, [("99", "1")], [("101", "1")]))] == [BookUpdate]


def test_the_same_number_twice_is_a_duplicate() -> None:
    script = bybit.script()
    engine, out = run(SPOT, [*script, script[-1]])
    assert engine.market.books[bybit.KEY].state == "LIVE" and not [e for e in out if isinstance(e, Gap)]


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_number_one_is_a_whole_book_after_a_restart_whatever_it_is_called(kind: str) -> None:
    after = [bybit.book(kind, 1, [("90", "1")], [("91", "2")], seq=5), bybit.book("delta", 2, [("90.5", "3")], [], seq=6)]
    touch = bybit.book("snapshot", 77, [("100.00", "1.5")], [("100.50", "0.75")], depth=1, seq=70_400)
    engine, out = run(SPOT, [*bybit.script(), touch, *after])
    book = engine.market.books[bybit.KEY]
    assert (book.state, book.touch()) == ("LIVE", (90.5, 3.0, 91.0, 2.0)), "an old touch must not stay above the new book"
    assert [e.reason for e in out if isinstance(e, Gap)] == ["reset"]


def test_a_snapshot_in_between_replaces_the_book() -> None:
    engine, _ = run(SPOT, [*bybit.script(), bybit.book("snapshot", 300, [("99", "1")], [("101", "2")])])
    book = engine.market.books[bybit.KEY]
    assert (book.state, book.touch(), len(book.levels("bid", 9))) == ("LIVE", (99.0, 1.0, 101.0, 2.0), 1)


def test_what_falls_out_behind_fifty_levels_is_forgotten() -> None:
    bids, asks = ([(str(100 + sign * n), "1") for n in range(1, 51)] for sign in (-1, 1))
    engine, _ = run(SPOT, [bybit.script()[0], bybit.book("snapshot", 5, bids, asks), bybit.book("delta", 6, [("99.5", "1")], [])])
    assert [p for p, _ in engine.market.books[bybit.KEY].levels("bid", 99)] == [99.5, *(100.0 - n for n in range(1, 50))]


def test_the_touch_leads_only_while_its_sequence_is_newer_than_that_of_the_levels() -> None:
    def touch(seq: int) -> tuple[int, bytes]:
        return bybit_linear.book("snapshot", 9, [("100.1", "4")], [("100.4", "2")], depth=1, seq=seq)

    last = 70_000 + 3 * 105
    newer, _ = run(LINEAR, [*bybit_linear.script(), touch(last + 1)])
    older, _ = run(LINEAR, [*bybit_linear.script(), touch(last - 1)])
    assert newer.market.books[bybit_linear.KEY].touch() == (100.1, 4.0, 100.4, 2.0)
    assert older.market.books[bybit_linear.KEY].touch() == (100.0, 1.5, 100.5, 0.75)


def test_a_touch_that_comes_as_a_difference_keeps_the_other_side() -> None:
    def touch(kind: str, u: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> tuple[int, bytes]:
        return bybit_linear.book(kind, u, bids, asks, depth=1)

    made = machine(LINEAR, "BTC-USDT-PERP")
    assert told(made, touch("delta", 6, [("99", "1")], [])) == [], "before its snapshot"
    events = told(
        made, touch("snapshot", 7, [("99.0", "1")], [("101.0", "2")]), touch("delta", 8, [("99.0", "5")], []),
        touch("delta", 9, [("99.0", "0"), ("98.5", "3")], [("100.9", "1"), ("101.0", "0")]), touch("delta", 10, [], [("100.9", "0")]),
    )  # fmt: skip
    quotes = [(e.bid, e.bid_size, e.ask, e.ask_size) for e in events if isinstance(e, Quote)]
    assert quotes == [(99.0, 1.0, 101.0, 2.0), (99.0, 5.0, 101.0, 2.0), (98.5, 3.0, 100.9, 1.0), (98.5, 3.0, 0.0, 0.0)]
    lost = told(made, touch("delta", 12, [("98.6", "1")], []), touch("delta", 13, [("98.6", "2")], []))
    assert lost == [], "behind a hole nothing is known until the next snapshot"
    assert [type(e) for e in told(made, touch("snapshot", 13, [("98.6", "2")], [("100.9", "1")]))] == [Quote]


# -- the rest ----------------------------------------------------------------------------------------------------------
def test_trades_name_the_taker_and_block_trades_are_none_of_this_book() -> None:
    rows = [
        {"T": 1700000000123, "s": "BTCUSDT", "S": side, "v": "0.040", "p": "28165.50", "L": "PlusTick", "i": str(number), "BT": block}
        for number, (side, block) in enumerate([("Sell", False), ("Buy", False), ("Buy", True)])
    ]
    events = told(machine(SPOT, "BTC-USDT"), {"topic": "publicTrade.BTCUSDT", "ts": 1700000000125, "type": "snapshot", "data": rows})
    assert [(e.side, e.price, e.size, e.ts_exch, e.trade_id) for e in events if isinstance(e, Trade)] == [
        ("sell", 28165.5, 0.04, 1700000000123 * MS, "0"), ("buy", 28165.5, 0.04, 1700000000123 * MS, "1"),
    ]  # fmt: skip
    rows[0]["S"] = "None"
    assert [type(e) for e in told(machine(SPOT, "BTC-USDT"), {"topic": "publicTrade.BTCUSDT", "ts": 1, "data": rows})] == [Fault]


def test_a_ticker_is_put_together_field_by_field_and_begins_anew_with_each_connection() -> None:
    made = machine(LINEAR, "BTC-USDT-PERP")
    whole = {"markPrice": "100.30", "indexPrice": "100.20", "nextFundingTime": "1700006400000", "fundingRate": "-0.0002"}
    assert told(made, ticker("delta", markPrice="1.0")) == [], "before its snapshot"
    events = told(
        made, ticker("snapshot", **whole, fundingIntervalHour="4"), ticker("delta", bid1Price="100.1"), ticker("delta", markPrice="100.35"),
        ticker("delta", fundingRate="0.0001"),
    )  # fmt: skip
    found = [(e.rate, e.mark, e.index, e.next_ts, e.interval_h) for e in events if isinstance(e, Funding)]
    due = 1700006400000 * MS
    assert found == [(-0.0002, 100.3, 100.2, due, 4.0), (-0.0002, 100.35, 100.2, due, 4.0), (0.0001, 100.35, 100.2, due, 4.0)]
    made.receive(Frame(T0 + SECOND, LINEAR, 2, *opened("linear", ("BTC-USDT-PERP",))))
    assert told(made, ticker("delta", markPrice="100.36"), conn=2) == []
    assert [type(e) for e in told(made, ticker("snapshot", **{**whole, "fundingRate": "7"}))] == [Fault]


def test_a_candle_is_final_when_confirmed() -> None:
    row = {
        "start": 1700000040000, "end": 1700000099999, "interval": "1", "open": "16649.5", "close": "16677", "high": "16678", "low": "16608",
        "volume": "2.081", "turnover": "34666.4005", "confirm": True, "timestamp": 1700000100000,
    }  # fmt: skip
    (bar,) = told(machine(SPOT, "BTC-USDT"), {"topic": "kline.1.BTCUSDT", "data": [row], "ts": 1700000100000, "type": "snapshot"})
    assert bar == Bar(T0 + MS, bybit.KEY, 1700000040000 * MS, 60, 16649.5, 16678.0, 16608.0, 16677.0, 2.081, True)


# -- bundles and names -------------------------------------------------------------------------------------------------
def test_prices_of_a_thousand_coins_become_prices_of_one_and_sizes_count_thousands() -> None:
    key = "bybit_linear:PEPE-USDT-PERP"
    native = {"s": "1000PEPEUSDT"}
    levels = {"b": [["0.0089120", "1500"], ["0.0089110", "70"]], "a": [["0.0089150", "900"]], "u": 8, "seq": 80}
    made = Engine({LINEAR: make(LINEAR, ("PEPE-USDT-PERP",))})
    deal = {"T": 1700000000123, **native, "S": "Buy", "v": "200", "p": "0.0089150", "i": "a", "BT": False}
    out = made.step_many(
        play(LINEAR, [
            opened("linear", ("PEPE-USDT-PERP",)),
            data({"topic": "orderbook.50.1000PEPEUSDT", "type": "snapshot", "ts": 1, "data": {**native, **levels}, "cts": 1}),
        ])
    )  # fmt: skip
    book = made.market.books[key]
    assert not [e for e in out if isinstance(e, Fault)]
    assert (book.instrument.base, book.instrument.contract_value) == ("PEPE", 1000.0)
    assert book.touch() == pytest.approx((0.000008912, 1_500_000.0, 0.000008915, 900_000.0), rel=1e-12)
    assert book.levels("bid", 9)[1] == pytest.approx((0.000008911, 70_000.0), rel=1e-12)
    assert '"1000PEPEUSDT"' not in str(made.market.books) and made.venues[LINEAR].native("PEPE-USDT-PERP") == "1000PEPEUSDT"
    touch = {"topic": "orderbook.1.1000PEPEUSDT", "type": "snapshot", "ts": 1, "data": {**native, **levels, "seq": 81}, "cts": 1}
    trade = {"topic": "publicTrade.1000PEPEUSDT", "type": "snapshot", "ts": 1, "data": [deal]}
    events = told(machine(LINEAR, "PEPE-USDT-PERP"), touch, trade)
    (quote,), (fill,) = [e for e in events if isinstance(e, Quote)], [e for e in events if isinstance(e, Trade)]
    assert (quote.bid, quote.bid_size, fill.price, fill.size) == (0.000008912, 1500.0, 0.000008915, 200_000.0)
    made.step_many([Frame(T0 + SECOND, LINEAR, 1, *data(touch))])
    assert len(book.levels("bid", 9)) == 2, "the touch and its level are one price, to the last bit"


@pytest.mark.parametrize(
    ("native", "symbol", "value"),
    [
        ("BTCUSDT", "BTC-USDT-PERP", 1.0), ("BTCPERP", "BTC-USDC-PERP", 1.0), ("SHIB1000USDT", "SHIB-USDT-PERP", 1000.0),
        ("1000000MOGUSDT", "MOG-USDT-PERP", 1_000_000.0), ("1INCHUSDT", "1INCH-USDT-PERP", 1.0), ("C98USDT", "C98-USDT-PERP", 1.0),
    ],
)  # fmt: skip
def test_names_of_perpetuals_go_there_and_back(native: str, symbol: str, value: float) -> None:
    venue = make(LINEAR, ())
    instrument = venue.instrument(native)
    assert instrument is not None and (instrument.symbol, instrument.contract_value) == (symbol, value)
    assert venue.native(symbol) == native


def test_dated_futures_and_other_kinds_are_no_perpetuals() -> None:
    linear, spot = make(LINEAR, ()), make(SPOT, ())
    for native, quote in (("BTCUSDT-25DEC26", "USDT"), ("BTC-25DEC26", "USDC")):
        future = linear.instrument(native)
        assert future is not None and (future.kind, future.base, future.quote) == ("future", "BTC", quote)
    assert (linear.native("BTC-USDT"), linear.native("BTC-USD-PERP"), spot.native("BTC-USDT-PERP")) == (None, None, None)
    assert spot.native("BTC-USDC") == "BTCUSDC" and linear.instrument("btcusdt") is None


# -- answers -----------------------------------------------------------------------------------------------------------
def test_a_request_has_ten_topics_at_most_and_its_answer_confirms_them() -> None:
    made = machine(LINEAR, "BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP")
    asks = sent(made)
    assert [len(ask["args"]) for ask in asks] == [10, 5] and asks[0]["args"][0] == "orderbook.50.BTCUSDT"
    events = told(made, {"success": True, "ret_msg": "", "conn_id": "x", "req_id": asks[1]["req_id"], "op": "subscribe"})
    assert [e.topic for e in events if isinstance(e, Ack) and e.ok] == asks[1]["args"]
    assert made.waiting(1) == asks[0]["args"]


@pytest.mark.parametrize("named", [True, False])
def test_a_refusal_stands_for_the_topics_that_it_names_and_the_others_are_asked_for_again(named: bool) -> None:
    made = machine(SPOT, "BTC-USDT", "NOSUCH-USDT")
    (ask,) = sent(made)
    number = {"req_id": ask["req_id"]} if named else {}
    refusal = {"success": False, "ret_msg": "Invalid topic: kline.1.NOSUCHUSDT", "conn_id": "x", **number, "op": "subscribe"}
    events = told(made, refusal)
    assert [(e.topic, e.ok) for e in events if isinstance(e, Ack)] == [("kline.1.NOSUCHUSDT", False)]
    assert [e.code for e in events if isinstance(e, Notice)] == ["error"]
    if not named:  # nobody knows what was asked for with it
        made.receive(Frame(T0 + 12 * SECOND, "", 0, TICK, b"0"))
    (again,) = sent(made)
    assert again["args"] == [topic for topic in ask["args"] if topic != "kline.1.NOSUCHUSDT"]
    events = told(made, {"success": False, "ret_msg": "error:already subscribed,topic:kline.1.BTCUSDT", "req_id": again["req_id"]})
    assert [(e.topic, e.ok) for e in events if isinstance(e, Ack)] == [("kline.1.BTCUSDT", True)]


def test_a_refused_unsubscription_leaves_the_subscription_that_follows_it() -> None:
    made = machine(SPOT, "BTC-USDT")
    (first,) = sent(made)
    told(made, {"success": True, "ret_msg": "subscribe", "req_id": first["req_id"], "op": "subscribe"}, *bybit.script()[2:3])
    told(made, bybit.book("delta", 103, [], []))
    off, on = sent(made)
    refusal = {"success": False, "ret_msg": "error:no such topic orderbook.50.BTCUSDT", "req_id": off["req_id"], "op": "unsubscribe"}
    assert told(made, refusal) == [] and made.waiting(1) == on["args"] == ["orderbook.50.BTCUSDT"]


@pytest.mark.parametrize("pong", [{"success": True, "ret_msg": "pong", "req_id": "", "op": "ping"}, {"op": "pong", "args": ["1"]}])
def test_a_pong_in_any_shape_says_nothing(pong: object) -> None:
    made = machine(SPOT, "BTC-USDT")
    assert told(made, pong) == [] and made.seen == {}


def test_what_was_not_asked_for_is_a_fault() -> None:
    other = {"topic": "insurance.USDT", "type": "snapshot", "ts": 1, "data": []}
    events = told(machine(SPOT, "BTC-USDT"), bybit.book("snapshot", 5, [("99", "1")], [], depth=200), other)
    assert [(type(e), e.reason) for e in events if isinstance(e, Fault)] == [
        (Fault, "unreadable: a depth that was not asked for"), (Fault, "unknown message"),
    ]  # fmt: skip
