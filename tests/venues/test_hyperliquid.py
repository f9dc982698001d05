"""Hyperliquid's own traps: whole books each 5 s under a faster touch, empty and half-empty sides, backlogs, errors that are texts."""

from __future__ import annotations

import json

import pytest

from dope.engine import Engine
from dope.types import DATA, TICK, Ack, Bar, BookUpdate, Event, Fault, Frame, Funding, Notice, Quote, Send, Trade
from dope.venues import make
from dope.venues.base import Venue
from tests.frames import MS, T0, closed, data, opened, play, reply
from tests.venues.hyperliquid import KEY, LISTS, bbo, book, market, response, script

T = T0 // MS


def read(message: tuple[int, bytes], venue: Venue | None = None) -> list[Event]:
    return list((venue or make("hyperliquid", ())).receive(Frame(T0, "hyperliquid", 1, *message)))


def deal(tid: int, side: str, time: int = T, coin: str = "BTC") -> dict[str, object]:
    return {"coin": coin, "side": side, "px": "91000.0", "sz": "0.5", "time": time, "hash": "0x0", "tid": tid, "users": ["0xa", "0xb"]}


def trades(*deals: dict[str, object]) -> tuple[int, bytes]:
    return data({"channel": "trades", "data": list(deals)})


@pytest.mark.parametrize(
    ("symbol", "native", "base"),
    [("BTC-USDC-PERP", "BTC", "BTC"), ("PEPE-USDC-PERP", "kPEPE", "PEPE"), ("HYPE-USDC-PERP", "HYPE", "HYPE")],
)
def test_names_go_both_ways_and_the_base_is_the_coin(symbol: str, native: str, base: str) -> None:
    venue = make("hyperliquid", (symbol,))
    instrument = venue.instrument(native)
    assert venue.native(symbol) == native and instrument is not None
    assert (instrument.symbol, instrument.base, instrument.quote, instrument.kind) == (symbol, base, "USDC", "perp")


def test_a_thousand_coins_are_told_per_coin() -> None:
    run = Engine({"hyperliquid": make("hyperliquid", ())})
    script = [book(T, [("0.0089", "2.0"), ("0.0088", "1.0")], [("0.0091", "4.0")], "kPEPE")]
    row = {"t": T, "T": T + 59_999, "s": "kPEPE", "i": "1m", "o": "0.009", "c": "0.009", "h": "0.009", "l": "0.009", "v": "7.5", "n": 9}
    context = {"coin": "kPEPE", "ctx": {"funding": "0", "oraclePx": "0.009", "markPx": "0.009"}}
    out = run.step_many(play("hyperliquid", [*script, trades({**deal(1, "B", coin="kPEPE"), "px": "0.009"})]))
    found = run.market.books["hyperliquid:PEPE-USDC-PERP"]
    assert found.touch() == (0.0000089, 2000.0, 0.0000091, 4000.0) and found.levels("bid", 2)[1] == (0.0000088, 1000.0)
    assert found.volume == 500.0 and not [event for event in out if isinstance(event, Fault)]
    bar = read(data({"channel": "candle", "data": row}))[-1]
    assert isinstance(bar, Bar) and (bar.open, bar.volume) == (0.000009, 7500.0)
    mark = read(data({"channel": "activeAssetCtx", "data": context}))[-1]
    assert isinstance(mark, Funding) and (mark.mark, mark.index) == (0.000009, 0.000009)
    sides = [{"px": "0.009", "sz": "3", "n": 1}, None]
    quote = read(data({"channel": "bbo", "data": {"coin": "kPEPE", "time": T, "bbo": sides}}))[-1]
    assert isinstance(quote, Quote) and (quote.bid, quote.bid_size) == (0.000009, 3.0), "sizes of quotes are the venue's, as in books"


def test_other_quotes_spot_markets_and_markets_of_others_are_not_ours() -> None:
    venue = make("hyperliquid", ())
    assert [venue.native(symbol) for symbol in ("BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USDC")] == [None] * 3
    assert [venue.instrument(native) for native in ("@107", "PURR/USDC", "xyz:NVDA", "")] == [None] * 4


def test_every_subscription_is_a_message_of_its_own_and_its_answer_names_it() -> None:
    venue = make("hyperliquid", ("BTC-USDC-PERP",))
    venue.receive(Frame(T0, "hyperliquid", 1, *opened("public", ("BTC-USDC-PERP",))))
    sends = [action for action in venue.actions if isinstance(action, Send)]
    assert [send.topics for send in sends] == [(f"{kind}:BTC",) for kind in ("bbo", "l2Book", "trades", "candle", "activeAssetCtx")]
    assert json.loads(sends[3].text) == {"method": "subscribe", "subscription": {"type": "candle", "coin": "BTC", "interval": "1m"}}
    (ack,) = read(response("l2Book"), venue)
    assert isinstance(ack, Ack) and ack.ok and ack.topic == "l2Book:BTC" and "l2Book:BTC" not in venue.waiting(1)
    assert read(response("bbo", method="unsubscribe"), venue) == [] and "bbo:BTC" in venue.waiting(1)


def test_an_error_names_its_topic_and_a_repeated_subscription_is_no_refusal() -> None:
    venue = make("hyperliquid", ("BTC-USDC-PERP",))
    venue.receive(Frame(T0, "hyperliquid", 1, *opened("public", ("BTC-USDC-PERP",))))
    refused, told = read(data({"channel": "error", "data": 'Invalid subscription {"type": "bbo", "coin": "BTC"}'}), venue)
    assert isinstance(refused, Ack) and not refused.ok and refused.topic == "bbo:BTC" and isinstance(told, Notice)
    repeated, _ = read(data({"channel": "error", "data": 'Already subscribed: {"type":"trades","coin":"BTC"}'}), venue)
    assert isinstance(repeated, Ack) and repeated.ok and repeated.topic == "trades:BTC"


def test_the_touch_is_the_faster_one_until_the_next_book() -> None:
    run = Engine({"hyperliquid": make("hyperliquid", ())})
    run.step_many(play("hyperliquid", script()))
    run.step_many(play("hyperliquid", [bbo(T + 50, ("100.1", "2.0"), ("100.4", "3.0"))], start=T0 + 100 * MS))
    found = run.market.books[KEY]
    assert found.touch() == (100.1, 2.0, 100.4, 3.0) and found.levels("bid", 2)[1] == (100.0, 1.5)
    run.step_many(play("hyperliquid", [book(T + 60, [("100.2", "1.0")], [("100.3", "1.0")])], start=T0 + 200 * MS))
    assert found.touch() == (100.2, 1.0, 100.3, 1.0) and found.levels("bid", 9) == [(100.2, 1.0)]


def test_all_twenty_levels_of_a_side_are_kept() -> None:
    run = Engine({"hyperliquid": make("hyperliquid", ())})
    bids = [(f"{100 - rank}.0", "1.0") for rank in range(20)]
    run.step_many(play("hyperliquid", [book(T, bids, [("101.0", "1.0")])]))
    assert run.market.books[KEY].levels("bid", 99) == [(float(price), 1.0) for price, _ in bids]


def test_a_side_of_the_touch_may_be_null_or_left_out() -> None:
    for sides in ([{"px": "5", "sz": "1", "n": 1}, None], [{"px": "5", "sz": "1", "n": 1}]):
        quote = read(data({"channel": "bbo", "data": {"coin": "BTC", "time": T, "bbo": sides}}))[-1]
        assert isinstance(quote, Quote) and (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (5.0, 1.0, 0.0, 0.0)


def test_an_empty_book_is_a_book_and_an_older_one_is_none() -> None:
    venue = make("hyperliquid", ())
    empty = read(book(T, [], []), venue)[-1]
    assert isinstance(empty, BookUpdate) and empty.snapshot and (empty.bids, empty.asks) == (b"[]", b"[]")
    assert read(book(T - 1, [("1", "1")], []), venue) == []
    later = Frame(T0, "hyperliquid", 2, *book(T - 1, [("1", "1")], []))
    assert isinstance(venue.receive(later)[-1], BookUpdate), "another connection counts anew"
    assert read(book(T + 5, [("1", "1")], []), venue) == [], "and the one before it no longer"


def test_takers_are_b_and_a_and_ids_are_long() -> None:
    buy, sell = read(trades(deal(716095722814130, "B"), deal(716095722814131, "A")))[1:]
    assert isinstance(buy, Trade) and isinstance(sell, Trade)
    assert (buy.side, sell.side, buy.trade_id, buy.ts_exch) == ("buy", "sell", "716095722814130", T * MS)
    assert isinstance(read(trades(deal(1, "X")))[-1], Fault)


def test_a_backlog_of_trades_is_not_counted() -> None:
    venue = make("hyperliquid", ())
    first = read(trades(deal(1, "B", T - 60_000), deal(2, "B", T - 500)), venue)
    assert [event.trade_id for event in first if isinstance(event, Trade)] == ["2"]
    second = read(trades(deal(3, "B", T - 60_000)), venue)
    assert [event.trade_id for event in second if isinstance(event, Trade)] == ["3"], "a late one is no backlog"
    venue.receive(Frame(T0, "hyperliquid", 1, *closed()))
    assert not [event for event in read(trades(deal(1, "B", T - 60_000)), venue) if isinstance(event, Trade)]


def test_funding_is_hourly_and_candles_end_after_their_minute() -> None:
    context = {"funding": "0.0000125", "openInterest": "1.0", "oraclePx": "91000.0", "markPx": "91010.0", "midPx": None}
    funding = read(data({"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": context}}))[-1]
    assert isinstance(funding, Funding) and (funding.rate, funding.mark, funding.index) == (0.0000125, 91010.0, 91000.0)
    assert funding.interval_h == 1.0 and 0 < funding.next_ts - T0 <= 3_600 * 10**9 and funding.next_ts % (3_600 * 10**9) == 0
    for end, done in ((T + 1, False), (T - 1, True)):
        row = {"t": end - 59_999, "T": end, "s": "BTC", "i": "1m", "o": "1", "c": "2", "h": "3", "l": "0.5", "v": "7.5", "n": 9}
        bar = read(data({"channel": "candle", "data": row}))[-1]
        assert isinstance(bar, Bar) and (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.closed) == (1, 3, 0.5, 2, 7.5, done)


def test_only_a_book_proves_the_book() -> None:
    run = Engine({"hyperliquid": make("hyperliquid", ())})
    run.step_many(play("hyperliquid", script()))
    context = {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": {"funding": "0", "oraclePx": "91000", "markPx": "91000"}}}
    for second in range(1, 14):
        now = T0 + second * 10**9
        for message in (bbo(T + 1000 * second, ("100.0", "1.5"), ("100.5", "0.75")), data(context), (DATA, b'{"channel":"pong"}')):
            run.step(Frame(now, "hyperliquid", 1, *message))
        run.step(Frame(now, "", 0, TICK, b"0"))
        assert run.market.books[KEY].state == ("LIVE" if second <= 12 else "STALE"), "the last book came 90 ms after T0"


def test_what_is_traded_by_the_thousand_is_what_the_list_says() -> None:
    venue = make("hyperliquid", ("NEWPEPE-USDC-PERP",))
    assert venue.plan()[0].symbols == ("NEWPEPE-USDC-PERP",) and venue.name_of("NEWPEPE-USDC-PERP") == "NEWPEPE"
    read(reply("list", [{"universe": [market("kNEWPEPE", 0)]}, [{"markPx": "0.009"}]]), venue)
    assert venue.name_of("NEWPEPE-USDC-PERP") == "kNEWPEPE"
    read(opened("public", ("NEWPEPE-USDC-PERP",)), venue)
    assert {json.loads(a.text)["subscription"]["coin"] for a in venue.actions if isinstance(a, Send)} == {"kNEWPEPE"}
    update = read(book(T, [("0.0089", "2.0")], [("0.0091", "4.0")], "kNEWPEPE"), venue)[-1]
    assert isinstance(update, BookUpdate) and (update.key, update.bids) == ("hyperliquid:NEWPEPE-USDC-PERP", b'[["0.0089e-3","2.0"]]')


def test_prices_of_other_markets_than_the_listed_ones_are_none() -> None:
    venue = make("hyperliquid", ())
    meta, prices = json.loads(LISTS["list"])
    told = read(reply("list", [meta, prices[1:]]), venue)
    assert [type(event) for event in told] == [Fault] and venue.market_of("ETH") == venue.instrument("ETH")
