"""KuCoin's own traps: a token before the socket, changes of price 0 and out of order, a snapshot that ends, closes before highs."""

from __future__ import annotations

import json

import pytest

from dope.engine import Engine
from dope.types import TICK, Ack, Bar, BookUpdate, Event, Fault, Fetch, Frame, Gap, Notice, Quote, Send, Trade
from dope.venues import make
from dope.venues.base import Venue
from tests.frames import MS, T0, data, opened, play, reply
from tests.venues.kucoin import KEY, changes, message, script, snapshot, ticker

BOTH = ("BTC-USDT", "ETH-USDT")


def hear(venue: Venue, said: tuple[int, bytes], ts: int = T0) -> list[Event]:
    return list(venue.receive(Frame(ts, "kucoin", 1, *said)))


def asked(venue: Venue) -> list[tuple[str, str]]:
    """(type, topic) of what was asked for."""
    found = [json.loads(action.text) for action in venue.actions if isinstance(action, Send)]
    venue.actions.clear()
    return [(request["type"], request["topic"]) for request in found]


def bullet(*endpoints: str, code: str = "200000", token: str = "2neAiuYvAU61") -> bytes:
    servers = [{"endpoint": endpoint, "encrypt": True, "protocol": "websocket", "pingInterval": 18000} for endpoint in endpoints]
    return json.dumps({"code": code, "data": {"token": token, "instanceServers": servers}}).encode()


def test_the_address_is_what_the_venue_answers_to_a_post() -> None:
    venue = make("kucoin", BOTH)
    (plan,) = venue.plan()
    assert plan.fetch == Fetch(0, "token", "https://api.kucoin.com/api/v1/bullet-public", method="POST", weight=10)
    answer = bullet("ws://plain.kucoin.com/endpoint", "wss://ws-api-spot.kucoin.com/")
    assert venue.address(plan, answer) == "wss://ws-api-spot.kucoin.com/?token=2neAiuYvAU61&connectId=dope"
    refused = bullet("wss://x/", code="429000")
    for bad in (bullet(), bullet("ws://plain.kucoin.com/"), refused, bullet("wss://x/", token=""), b"{}", b"<html>"):
        with pytest.raises(ValueError):
            venue.address(plan, bad)
    assert hear(venue, reply("token", {"code": "200000", "data": {}})) == [], "its answer is on the tape and says nothing of the market"


@pytest.mark.parametrize(
    ("bids", "levels"),
    [
        ([], []),
        ([["0", "0", "106"]], []),
        ([["99", "1", "106"]], [["99", "1"]]),
        ([["98", "1", "107"], ["0", "0", "108"], ["99", "2", "106"]], [["99", "2"], ["98", "1"]]),
        ([["99", "0", "108"], ["99", "7", "106"]], [["99", "7"], ["99", "0"]]),
    ],
)
def test_changes_apply_in_the_order_of_their_numbers_and_price_nought_is_none(bids: list[list[str]], levels: list[list[str]]) -> None:
    venue = make("kucoin", ())
    hear(venue, changes(100, 105, [], []))
    hear(venue, snapshot(105, [("99", "9")], [("101", "1")]))
    update = hear(venue, changes(106, 108, [(row[0], row[1], row[2]) for row in bids], []))[-1]
    assert isinstance(update, BookUpdate) and (update.seq, update.asks) == (108, b"[]")
    assert [row[:2] for row in json.loads(update.bids)] == levels


def test_a_change_of_price_nought_keeps_the_book_current_and_a_missing_number_does_not() -> None:
    run = Engine({"kucoin": make("kucoin", ())})
    run.step_many(play("kucoin", script()))
    run.drain()
    book = run.market.books[KEY]
    out = run.step_many(play("kucoin", [changes(114, 115, [], [("0", "0", "115")])], start=T0 + 10**9))
    assert (book.state, book.seq, out) == ("LIVE", 115, [])
    out = run.step_many(play("kucoin", [changes(117, 117, [("99.7", "2", "117")], [])], start=T0 + 2 * 10**9))
    assert book.state == "GAP" and [event.reason for event in out if isinstance(event, Gap)] == ["sequence"]
    fetches = [action for _, action in run.drain() if isinstance(action, Fetch)]
    assert [fetch.url for fetch in fetches] == ["https://api.kucoin.com/api/v1/market/orderbook/level2_100?symbol=BTC-USDT"]
    assert isinstance(hear(make("kucoin", ()), changes(118, 117, [], []))[-1], Fault), "numbers that end before they begin"


def test_a_snapshot_that_ends_is_renewed_before_the_market_reaches_its_end_and_distrusted_behind_it() -> None:
    run = Engine({"kucoin": make("kucoin", ())})
    bids, asks = [(f"{100 - n / 10:.1f}", "1") for n in range(100)], [(f"{100.1 + n / 10:.1f}", "1") for n in range(100)]
    start = [opened("spot"), changes(100, 100, [], []), snapshot(100, bids, asks)]
    run.step_many(play("kucoin", [*start, changes(101, 101, [], []), ticker(101, "92.6", "100.1")], start=T0 + 60 * 10**9))
    run.drain()
    book = run.market.books[KEY]
    for sequence, (bid, ask), wanted, state in (
        (102, ("92.5", "100.1"), 0, "LIVE"), (103, ("92.4", "100.1"), 1, "LIVE"), (104, ("90.1", "100.1"), 0, "LIVE"),
        (105, ("90.0", "100.1"), 1, "GAP"),
    ):  # fmt: skip
        run.step_many(play("kucoin", [changes(sequence, sequence, [], []), ticker(sequence, bid, ask)], start=T0 + sequence * 10**9))
        assert (len([action for _, action in run.drain() if isinstance(action, Fetch)]), book.state) == (wanted, state), bid
    whole = Engine({"kucoin": make("kucoin", ())})
    start[2] = snapshot(100, bids[:99], [*asks, ("111", "1")])
    whole.step_many(play("kucoin", [*start, changes(101, 101, [], []), ticker(101, "50.0", "150")]))
    assert whole.market.books[KEY].state == "LIVE", "fewer or more than a hundred levels are all there are"


def test_an_upper_end_counts_like_a_lower_one() -> None:
    venue = make("kucoin", ())
    hear(venue, changes(100, 100, [], []))
    hear(venue, snapshot(100, [("99", "1")], [(f"{100 + n}", "1") for n in range(100)]))
    venue.actions.clear()
    hear(venue, ticker(101, "99", "175"), T0 + 60 * 10**9)
    assert venue.actions == []
    hear(venue, ticker(102, "99", "176"), T0 + 61 * 10**9)
    assert len(venue.actions) == 1
    assert [event.reason for event in hear(venue, ticker(103, "99", "200"), T0 + 62 * 10**9) if isinstance(event, Gap)] == ["snapshot"]


def test_the_touch_is_the_newer_of_ticker_and_book() -> None:
    run = Engine({"kucoin": make("kucoin", ())})
    run.step_many(play("kucoin", [*script(), ticker(113, "90", "110")]))
    book = run.market.books[KEY]
    assert book.touch() == (100.0, 1.5, 100.5, 0.75), "no newer than the book"
    run.step_many(play("kucoin", [ticker(114, "100.1", "100.3")], start=T0 + 10**9))
    assert book.touch() == (100.1, 3.0, 100.3, 2.0)
    (quote,) = hear(make("kucoin", ()), ticker(1, "", "5"))[1:]
    assert isinstance(quote, Quote) and (quote.bid, quote.bid_size, quote.ask) == (0.0, 0.0, 5.0)


def test_units_differ_by_channel_and_the_close_stands_before_the_high() -> None:
    body = {"symbol": "BTC-USDT", "side": "sell", "price": "24093.9", "size": "0.5", "tradeId": "62fade00", "time": "1660608000026914990"}
    trade = hear(make("kucoin", ()), message("/market/match", body))[-1]
    assert isinstance(trade, Trade) and (trade.side, trade.ts_exch, trade.trade_id) == ("sell", 1660608000026914990, "62fade00")
    for time, closed in ((1589968859 * 10**9, False), (1589968860 * 10**9, True)):
        rows = ["1589968800", "9786.9", "9740.8", "9806.1", "9732", "27.4", "268280.09"]
        bar = hear(make("kucoin", ()), message("/market/candles", {"candles": rows, "time": time}, "BTC-USDT_1min"))[-1]
        assert isinstance(bar, Bar) and (bar.open, bar.high, bar.low, bar.close) == (9786.9, 9806.1, 9732.0, 9740.8)
        assert (bar.open_ts, bar.volume, bar.closed) == (1589968800 * 10**9, 27.4, closed)
    assert isinstance(hear(make("kucoin", ()), message("/market/match", {**body, "side": "SELL"}))[-1], Fault)


def test_topics_share_requests_and_are_asked_for_alone_once_something_was_refused() -> None:
    venue = make("kucoin", (*BOTH, "BTC-USDT-PERP"))
    hear(venue, opened("spot", BOTH))
    channels = ("/market/level2", "/market/ticker", "/market/match")
    assert asked(venue) == [("subscribe", f"{channel}:BTC-USDT,ETH-USDT") for channel in channels] + [
        ("subscribe", f"/market/candles:{name}_1min") for name in BOTH
    ]
    acks = hear(venue, data({"id": "2", "type": "ack"}))
    assert [(ack.topic, ack.ok) for ack in acks if isinstance(ack, Ack)] == [(f"/market/ticker:{name}", True) for name in BOTH]
    (notice,) = hear(venue, data({"id": "1", "type": "error", "code": 404, "data": "topic /market/level2 is not found"}))
    assert isinstance(notice, Notice) and asked(venue) == [("subscribe", f"/market/level2:{name}") for name in BOTH]
    refused, _ = hear(venue, data({"id": "7", "type": "error", "code": 404, "data": "topic is not found"}))
    assert isinstance(refused, Ack) and (refused.topic, refused.ok) == ("/market/level2:ETH-USDT", False)
    hear(venue, (TICK, b"0"), T0 + 11 * 10**9)
    assert "/market/level2:ETH-USDT" not in dict(map(reversed, asked(venue))), "what was refused is left alone"
    for quiet in ({"id": "x", "type": "welcome"}, {"id": "ping", "type": "pong"}, {"id": "99", "type": "ack"}):
        assert hear(venue, data(quiet)) == []
    assert isinstance(hear(venue, data({"id": "x", "type": "dance"}))[-1], Fault)


def test_a_refusal_of_rest_is_a_fault_and_is_asked_again() -> None:
    venue = make("kucoin", ())
    hear(venue, changes(100, 100, [], []))
    venue.actions.clear()
    (fault,) = hear(venue, reply("depth:BTC-USDT", {"code": "429000", "msg": "Too Many Requests"}), T0 + MS)
    assert isinstance(fault, Fault) and "429000 Too Many Requests" in fault.reason
    assert [action.delay_s for action in venue.actions if isinstance(action, Fetch)] == [1.0]


def test_a_list_in_an_answer_that_is_none_is_told_with_the_venues_words() -> None:
    venue = make("kucoin", BOTH)
    refused = reply("list", {"code": "429000", "msg": "Too many requests", "data": []})
    assert [event.reason for event in hear(venue, refused) if isinstance(event, Fault)] == ["unreadable reply: 429000 Too many requests"]
    assert venue.market_of("BTC-USDT") == venue.instrument("BTC-USDT"), "the shipped table holds"
