"""Coinbase's own traps: one count for a whole connection, names that differ, a maker's side, books of many thousand levels."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from dope.engine import Engine
from dope.types import DATA, TICK, Ack, BookUpdate, Confirmed, Event, Fault, Frame, Gap, Notice, Reconnect, Send, Trade
from dope.venues import make
from dope.venues._written import utc_ns
from dope.venues.base import Venue
from tests.frames import MS, T0, closed, data, opened, play, reply
from tests.venues.coinbase import KEY, LISTS, STAMP, Told, deal, script

BOTH = ("BTC-USD", "ETH-USD")


def hear(venue: Venue, message: tuple[int, bytes], conn: int = 1, ts: int = T0) -> list[Event]:
    return list(venue.receive(Frame(ts, "coinbase", conn, *message)))


def connected(symbols: Sequence[str], conn: int = 1) -> tuple[Venue, Told]:
    """An open connection on which both books are known."""
    venue, told = make("coinbase", symbols), Told()
    hear(venue, opened("market", tuple(symbols)), conn)
    venue.actions.clear()
    return venue, told


def asked(venue: Venue) -> list[dict[str, object]]:
    found = [json.loads(action.text) for action in venue.actions if isinstance(action, Send)]
    venue.actions.clear()
    return found


def test_a_lost_heartbeat_may_have_been_a_change_of_any_book_of_its_connection() -> None:
    venue, told = connected(BOTH)
    for product in BOTH:
        hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")], product))
    other = Told()
    hear(venue, opened("market 2", ("SOL-USD",)), 2)
    hear(venue, other.book("snapshot", [("99", "1")], [("101", "1")], "SOL-USD"), 2)
    venue.actions.clear()
    told.beat()  # is never heard
    events = hear(venue, told.trades("update", deal(1, "BUY")))
    assert [event.key for event in events if isinstance(event, Gap)] == ["coinbase:BTC-USD", "coinbase:ETH-USD"]
    assert asked(venue) == [{"type": wish, "channel": "level2", "product_ids": list(BOTH)} for wish in ("unsubscribe", "subscribe")]
    assert hear(venue, told.book("update", [("99", "2")], [])) == [], "nothing to build on until the snapshot"
    assert isinstance(hear(venue, told.book("snapshot", [("98", "1")], [("101", "1")]))[-1], BookUpdate)
    assert isinstance(hear(venue, told.book("update", [("98", "2")], []))[-1], BookUpdate)


def test_a_message_twice_is_one_and_numbers_that_begin_anew_are_a_gap() -> None:
    venue, told = connected(BOTH[:1])
    hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")]))
    update = told.book("update", [("99", "2")], [])
    assert len(hear(venue, update)) == 1 and hear(venue, update) == []
    assert [event.reason for event in hear(venue, Told().beat()) if isinstance(event, Gap)] == ["reset"]


def test_a_change_that_could_not_be_read_shows_as_a_hole() -> None:
    run = Engine({"coinbase": make("coinbase", ())})
    frames = play("coinbase", script())
    number = json.loads(frames[5].data)["sequence_num"]
    junk = {"channel": "l2_data", "timestamp": STAMP, "sequence_num": number, "events": [{"type": "update", "product_id": "BTC-USD"}]}
    out = run.step_many([*frames[:5], Frame(frames[5].ts, "coinbase", 1, *data(junk)), frames[6]])
    assert [type(event) for event in out if isinstance(event, Fault | Gap)] == [Fault, Gap]
    assert run.market.books[KEY].state == "GAP"


@pytest.mark.parametrize("side", ["", "buy"])
def test_a_level_without_a_side_is_no_level(side: str) -> None:
    row = {"side": side, "event_time": STAMP, "price_level": "5", "new_quantity": "1"}
    (event,) = hear(make("coinbase", ()), Told().message("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": [row]}))
    assert isinstance(event, Fault)


def test_what_is_subscribed_in_one_message_is_asked_for_alone_once_something_was_refused() -> None:
    three = (*BOTH, "SOL-USD")
    venue = make("coinbase", three)
    hear(venue, opened("market", three))
    assert asked(venue) == [
        {"type": "subscribe", "channel": "level2", "product_ids": list(three)},
        {"type": "subscribe", "channel": "market_trades", "product_ids": list(three)},
        {"type": "subscribe", "channel": "heartbeats"},
    ]
    told = Told()
    acks = hear(venue, told.state(market_trades=list(three), heartbeats=["heartbeats"]))
    assert {ack.topic for ack in acks if isinstance(ack, Ack) and ack.ok} == {"heartbeats:", *(f"market_trades:{name}" for name in three)}
    refused, notice = hear(venue, data({"type": "error", "message": "ETH-USD is not a valid product"}))
    assert isinstance(refused, Ack) and (refused.ok, refused.topic) == (False, "level2:ETH-USD") and isinstance(notice, Notice)
    assert asked(venue) == [{"type": "subscribe", "channel": "level2", "product_ids": [name]} for name in ("BTC-USD", "SOL-USD")]


def test_a_snapshot_that_never_comes_is_asked_for_again_although_all_is_confirmed_and_hearts_beat() -> None:
    venue, told = connected(BOTH[:1])
    hear(venue, told.state(level2=["BTC-USD"], market_trades=["BTC-USD"], heartbeats=["heartbeats"]))
    hear(venue, told.beat(), ts=T0 + 9 * 10**9)
    hear(venue, (TICK, b"0"), ts=T0 + 11 * 10**9)
    assert [ask["type"] for ask in asked(venue)] == ["unsubscribe", "subscribe"]


def test_a_snapshot_that_was_made_before_the_message_that_it_follows_is_not_used_and_asked_for_again() -> None:
    venue, told = connected(BOTH[:1])
    hear(venue, told.state(level2=["BTC-USD"], market_trades=["BTC-USD"], heartbeats=["heartbeats"]))
    told.stamp = STAMP.replace(":20.", ":18.")
    found = hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")]))
    assert [type(event) for event in found] == [Fault] and "snapshot of 2023" in found[0].reason  # type: ignore[attr-defined]
    told.stamp = STAMP
    assert hear(venue, told.book("update", [("99", "2")], [])) == [], "nothing to build on"
    hear(venue, (TICK, b"0"), ts=T0 + 11 * 10**9)
    assert [ask["type"] for ask in asked(venue)] == ["unsubscribe", "subscribe"]
    told.stamp = STAMP.replace(":20.", ":19.5")
    almost = hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")]))
    assert isinstance(almost[-1], BookUpdate), "out of order by less than a second"


def test_a_clock_of_the_venue_that_is_set_back_costs_no_more_than_one_snapshot() -> None:
    venue, told = connected(BOTH[:1])
    hear(venue, told.beat())
    told.stamp = STAMP.replace(":20.", ":10.")
    assert isinstance(hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")]))[-1], Fault)
    hear(venue, told.beat())
    assert isinstance(hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")]))[-1], BookUpdate)


def test_data_of_usdc_markets_come_under_usd_and_keep_their_own_quote() -> None:
    assert make("coinbase", ()).native("BTC-USD-PERP") is None
    venue, told = connected(("BTC-USDC", "USDT-USDC"))
    (snapshot,) = (e for e in hear(venue, told.book("snapshot", [("99", "1")], [], "BTC-USD")) if isinstance(e, BookUpdate))
    assert snapshot.key == "coinbase:BTC-USDC" and venue.known["BTC-USDC"].instrument.quote == "USDC"
    assert isinstance(hear(venue, told.book("snapshot", [("1", "1")], [], "USDT-USD"))[-1], Fault), "a market of its own"
    venue, told = connected(("BTC-USDC", "BTC-USD"))
    events = hear(venue, told.trades("update", deal(1, "BUY")))
    assert [event.key for event in events if isinstance(event, Trade)] == ["coinbase:BTC-USD", "coinbase:BTC-USDC"]
    venue = make("coinbase", ("BTC-USDC", "BTC-USD", "USDT-USDC"))
    hear(venue, opened("market", ("BTC-USDC", "BTC-USD", "USDT-USDC")))
    assert asked(venue)[0]["product_ids"] == ["BTC-USD", "USDT-USDC"]


def test_the_side_of_a_trade_is_the_makers_and_history_is_not_counted() -> None:
    venue, told = connected(BOTH[:1])
    assert hear(venue, told.trades("snapshot", deal(1, "BUY"))) == []
    sold, bought = hear(venue, told.trades("update", deal(2, "BUY"), deal(3, "SELL")))
    assert isinstance(sold, Trade) and isinstance(bought, Trade)
    assert (sold.side, bought.side, sold.trade_id, sold.ts_exch) == ("sell", "buy", "2", T0 + 123_456_000)


def test_heartbeats_alone_keep_a_quiet_book_live_and_their_end_does_not() -> None:
    run, told = Engine({"coinbase": make("coinbase", ())}), Told()
    run.step_many(play("coinbase", [opened("market"), told.book("snapshot", [("99", "1")], [("101", "1")])]))
    for second in range(1, 20):
        now = T0 + second * 10**9
        if second < 10:
            out = run.step(Frame(now, "coinbase", 1, *told.beat()))
            assert not [event for event in out if not isinstance(event, Confirmed)]
        run.step(Frame(now, "", 0, TICK, b"0"))
        assert run.market.books[KEY].state == ("LIVE" if second <= 12 else "STALE")


def test_stamps_have_nine_digits_and_those_of_snapshots_are_of_the_message() -> None:
    venue, told = connected(BOTH[:1])
    old = {"side": "bid", "event_time": "1970-01-01T00:00:00Z", "price_level": "5", "new_quantity": "1"}
    snapshot = hear(venue, told.message("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": [old]}))[-1]
    assert isinstance(snapshot, BookUpdate) and snapshot.ts_exch == T0 + 123_456_000
    for text in ("", "2023-11-14 22:13:20.1 +0000 UTC m=+7.5", "0001-01-01T00:00:00Z", "2023-11-14T22:13:20"):
        assert utc_ns(text) == 0


def test_a_book_of_many_thousand_levels_is_read_and_renewed_when_the_market_walks_out_of_what_is_kept() -> None:
    run, told = Engine({"coinbase": make("coinbase", ())}), Told()
    bids = [(f"{90_000 - rank / 10:.2f}", "0.5") for rank in range(40_000)]
    asks = [(f"{90_000.1 + rank / 10:.2f}", "0.5") for rank in range(40_000)]
    snapshot = told.book("snapshot", bids, asks)
    assert len(snapshot[1]) > 2 * 4 * 1024 * 1024 and len(snapshot[1]) < make("coinbase", ()).MAX_MESSAGE / 2
    run.step_many(play("coinbase", [opened("market"), snapshot]))
    book = run.market.books[KEY]
    assert (book.state, book.touch()) == ("LIVE", (90_000.0, 0.5, 90_000.1, 0.5))
    run.drain()
    taken = len(book.levels("bid", 9999)) - 300
    assert taken > 2700
    for start in range(0, taken, 500):  # bids are taken away from the best on
        gone = [(price, "0") for price, _ in bids[start : min(start + 500, taken)]]
        run.step_many(play("coinbase", [told.book("update", gone, [])], start=T0 + start * MS))
    run.step_many(play("coinbase", [told.book("update", [("1.00", "1")], [])], start=T0 + 3900 * MS))
    assert [action for _, action in run.drain()] == [Reconnect(1, "the market left the range that is kept", planned=True)]
    assert book.state == "LIVE"
    fresh = Told()
    run.step_many(play("coinbase", [opened("market"), fresh.book("snapshot", bids[taken:9000], asks)], conn=2, start=T0 + 4000 * MS))
    late = [told.book("update", [(bids[0][0], "9")], []), told.book("snapshot", bids[:9], asks[:9]), closed()]
    run.step_many(play("coinbase", late, start=T0 + 4100 * MS))
    assert (book.state, book.touch()[0]) == ("LIVE", float(bids[taken][0])), "the old connection no longer counts, neither does its end"


def test_junk_from_elsewhere_is_told() -> None:
    venue = make("coinbase", ())
    for text in (b"{}", b'{"channel":"l2_data"}', b'{"channel":"status","sequence_num":0,"events":[]}'):
        assert isinstance(hear(venue, (DATA, text))[-1], Fault)


def test_the_list_has_both_names_of_a_book_and_it_is_still_asked_for_under_one() -> None:
    both = ("BTC-USD", "BTC-USDC")
    venue, told = make("coinbase", both), Told()
    hear(venue, reply("list", json.loads(LISTS["list"])))
    assert venue.plan()[0].symbols == both
    hear(venue, opened("market", both))
    assert [ask["product_ids"] for ask in asked(venue) if ask["channel"] == "level2"] == [["BTC-USD"]]
    books = [event.key for event in hear(venue, told.book("snapshot", [("99", "1")], [("101", "1")])) if isinstance(event, BookUpdate)]
    assert books == ["coinbase:BTC-USD", "coinbase:BTC-USDC"]
