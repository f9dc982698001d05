"""Bitfinex: one row of numbers for all channels of a connection, sides in signs, checksums now and then."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import pytest

from dope.engine import Engine
from dope.sim.bitfinex import LISTINGS
from dope.types import TICK, Ack, Bar, Event, Fault, Frame, Gap, Instruments, Notice, Reconnect, Send, Trade
from dope.venues import make
from tests.frames import T0, data, opened, play, reply
from tests.sim.recipes import ask, hear, hear_until, open_ws, world
from tests.sim.test_binance import shape
from tests.sim.test_understood import Wiring, differing
from tests.venues.bitfinex import CHANNEL, KEY, LISTED, LISTS, MS, NAMES, PAIRS, TICKERS, Told, info, pair, priced, script, subscribed

S = 10**9
ETH = "bitfinex:ETH-USD"
ROWS = [("100", 1, "1.5"), ("99.5", 2, "3"), ("100.5", 1, "-0.75"), ("101", 1, "-2")]


def session(*symbols: str) -> Engine:
    """Connected and asked for what these need."""
    run = Engine({"bitfinex": make("bitfinex", symbols or ("BTC-USD",))})
    run.step_many(play("bitfinex", [opened("public", symbols or ("BTC-USD",))]))
    return run


def say(run: Engine, *messages: tuple[int, bytes], at: int = T0 + S, conn: int = 1) -> list[Event]:
    frames = play("bitfinex", messages, start=max(at, run.market.now + 10**7), conn=conn)
    return [event for frame in frames for event in run.step(frame)]


def texts(run: Engine) -> list[dict[str, Any]]:
    return [json.loads(action.text) for _, action in run.drain() if isinstance(action, Send)]


def test_numbers_and_checksums_are_asked_for_before_anything_else_and_each_topic_in_a_message_of_its_own() -> None:
    run = session()
    asked = texts(run)
    assert asked[0] == {"event": "conf", "flags": 65536 + 131072 + 32768}
    assert [(each["channel"], each.get("symbol"), each.get("key"), each.get("len")) for each in asked[1:]] == [
        ("book", "tBTCUSD", None, "100"), ("trades", "tBTCUSD", None, None), ("candles", None, "trade:1m:tBTCUSD", None),
    ]  # fmt: skip
    found = say(run, data({"event": "conf", "status": "FAILED", "flags": 0}))
    assert [(event.topic, event.ok) for event in found if isinstance(event, Ack)] == [("conf", False)]


def test_a_hole_in_the_numbers_of_a_connection_costs_all_its_books_whichever_channel_it_was() -> None:
    run, told, other = session("BTC-USD", "ETH-USD"), Told(), Told(7)
    other.seq = 1
    say(run, subscribed(), subscribed(number=7, symbol="tETHUSD"), told.snapshot(ROWS), other.snapshot(ROWS))
    texts(run)
    assert [book.state for book in run.market.books.values()] == ["LIVE", "LIVE"]
    told.seq = 3  # number 3 was lost on the way
    found = say(run, told.change("99.9", 1, "1"))
    assert [(event.key, event.reason) for event in found if isinstance(event, Gap)] == [(KEY, "sequence"), (ETH, "sequence")]
    assert [(each["event"], each.get("chanId"), each.get("symbol")) for each in texts(run)] == [
        ("unsubscribe", CHANNEL, None), ("subscribe", None, "tBTCUSD"), ("unsubscribe", 7, None), ("subscribe", None, "tETHUSD"),
    ]  # fmt: skip
    say(run, told.change("99.8", 1, "1"), told.snapshot(ROWS), data({"event": "unsubscribed", "status": "OK", "chanId": CHANNEL}))
    assert run.market.books[KEY].state == "GAP", "that channel was given up"
    told.channel = 8
    say(run, subscribed(number=8), told.snapshot(ROWS))
    assert (run.market.books[KEY].state, run.market.books[ETH].state) == ("LIVE", "GAP")


def test_the_same_message_twice_counts_once_and_numbers_that_begin_anew_are_a_hole() -> None:
    run, told = session(), Told()
    say(run, subscribed(), told.snapshot(ROWS), again := told.change("99.9", 1, "1"), again, told.change("99.8", 1, "1"))
    book = run.market.books[KEY]
    assert (book.state, book.book_updates) == ("LIVE", 3)
    told.seq = 0
    say(run, told.change("99.7", 1, "1"))
    assert (book.state, book.reason) == ("GAP", "sequence")


def test_a_snapshot_lost_on_the_way_is_asked_for_again() -> None:
    run, told = session(), Told()
    say(run, subscribed(), told.array('"hb"'))
    texts(run)
    told.snapshot(ROWS)
    say(run, told.array('"hb"'))
    assert [each["event"] for each in texts(run)] == ["unsubscribe", "subscribe"]


def test_while_two_connections_overlap_a_hole_in_the_older_one_is_none_of_the_newer_ones() -> None:
    run, told, newer = session(), Told(), Told(9)
    say(run, subscribed(), told.snapshot(ROWS))
    say(run, opened("public", ("BTC-USD",)), subscribed(number=9), newer.snapshot(ROWS), conn=2)
    told.seq = 5
    say(run, told.change("99.9", 1, "1"))
    say(run, newer.change("99.8", 1, "1"), conn=2)
    book = run.market.books[KEY]
    assert (book.state, book.gaps, book.levels("bid", 2)) == ("LIVE", 0, [(100.0, 1.5), (99.8, 1.0)])


def test_a_wrong_checksum_costs_its_own_book_only() -> None:
    run, told, other = session("BTC-USD", "ETH-USD"), Told(), Told(7)
    say(run, subscribed(), subscribed(number=7, symbol="tETHUSD"), told.snapshot(ROWS), told.checksum())
    other.seq = 2
    say(run, other.snapshot(ROWS))
    told.seq = 3
    say(run, told.checksum(lie=1))
    books = run.market.books
    assert (books[KEY].state, books[KEY].reason, books[KEY].checksums_ok, books[ETH].state) == ("GAP", "checksum", 1, "LIVE")


@pytest.mark.parametrize("row", ["[99.9,1]", '["x",1,1]', "[99.9,-1,1]", "[99.9,1,0]", "[99.9,1.5,1]", "[99.9,1,null]", "{}"])
def test_a_change_that_cannot_be_read_has_passed_with_its_number_so_its_book_is_no_longer_right(row: str) -> None:
    run, told = session(), Told()
    say(run, subscribed(), told.snapshot(ROWS))
    found = say(run, told.array(row))
    assert [event for event in found if isinstance(event, Fault)] and run.market.books[KEY].state in ("GAP", "INVALID")
    say(run, told.change("99.9", 1, "1"))
    assert run.market.books[KEY].state in ("GAP", "INVALID")


def test_without_numbers_nothing_is_live() -> None:
    run = session()
    found = say(run, subscribed(), data([CHANNEL, [[100, 1, 1.5], [100.5, 1, -1]]]), data([CHANNEL, [99.9, 1, 1]]))
    assert len([event for event in found if isinstance(event, Fault)]) == 2 and run.market.books[KEY].state == "SYNCING"


def test_messages_may_grow_at_their_end_and_books_of_single_orders_are_no_books() -> None:
    run, told = session(), Told()
    kind, text = told.snapshot([("100", 1, "1.5"), ("100.5", 1, "-0.75")])
    orders = data({"event": "subscribed", "channel": "book", "chanId": 9, "symbol": "tBTCUSD", "prec": "R0", "len": "100"})
    say(run, subscribed(), orders, (kind, text[:-1] + b',"book","BTCUSD"]'))
    _, text = told.change("99.9", 1, "1")
    say(run, (kind, text.replace(b"[99.9,1,1]", b"[99.9,1,1,null]")))
    told.channel = 9
    found = say(run, told.change("1234567", 90, "-1"))
    assert found == [] and run.market.books[KEY].state == "LIVE"
    assert run.market.books[KEY].levels("bid", 9) == [(100.0, 1.5), (99.9, 1.0)]


def test_heartbeats_prove_all_books_current_and_come_also_on_channels_not_yet_confirmed() -> None:
    run, told = session(), Told()
    say(run, subscribed(), told.snapshot(ROWS))
    found: list[Event] = []
    for second in range(5, 60, 5):
        if second % 15 == 0:
            told.channel = 77
            found += say(run, told.array('"hb"'), at=T0 + second * S)
        run.step(Frame(T0 + second * S + S // 2, "", 0, TICK, b"0"))
    assert run.market.books[KEY].state == "LIVE" and not found
    for second in range(60, 80, 5):
        say(run, data({"event": "pong", "ts": MS, "cid": 1}), at=T0 + second * S)
        run.step(Frame(T0 + second * S + S // 2, "", 0, TICK, b"0"))
    assert run.market.books[KEY].state == "STALE", "a pong proves nothing"


def test_trades_count_once_with_the_sign_as_the_takers_side_and_those_from_before_do_not() -> None:
    machine, told = make("bitfinex", ()), Told(89)
    told_trades = [
        told.array(f"[[382489562,{MS},0.013,100]]"), told.array(f'"te",[382489563,{MS},-0.25,100.1]'),
        told.array(f'"tu",[382489563,{MS},-0.25,100.1]'), told.array(f'"te",[382489564,{MS},2.5e-7,100.2]'), told.array('"te",[1,2,0,100]'),
    ]  # fmt: skip
    frames = play("bitfinex", [opened(), subscribed("trades", 89), *told_trades])
    found = [event for frame in frames for event in machine.receive(frame)]
    trades = [(t.price, t.size, t.side, t.trade_id, t.ts_exch) for t in found if isinstance(t, Trade)]
    assert trades == [(100.1, 0.25, "sell", "382489563", T0), (100.2, 2.5e-7, "buy", "382489564", T0)]
    assert len([event for event in found if isinstance(event, Fault)]) == 1


def test_a_candle_has_its_close_before_its_high_and_is_closed_when_the_next_one_begins() -> None:
    machine, told = make("bitfinex", ()), Told(5)
    at = data({"event": "subscribed", "channel": "candles", "chanId": 5, "key": "trade:1m:tBTCUSD"})
    rows = [told.array(f"[[{MS},1,1,1,1,1]]"), told.array(f"[{MS},100,100.5,102,99,7.5]"), told.array(f"[{MS + 60_000},101,101,101,101,1]")]
    found = [event for frame in play("bitfinex", [opened(), at, *rows]) for event in machine.receive(frame)]
    bars = [event for event in found if isinstance(event, Bar)]
    assert not [event for event in found if isinstance(event, Fault)], "the candles from before are no news"
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.closed) for bar in bars] == [
        (100, 102, 99, 100.5, 7.5, False), (100, 102, 99, 100.5, 7.5, True), (101, 101, 101, 101, 1, False),
    ]  # fmt: skip


@pytest.mark.parametrize(("begins", "ends"), [
    (info(code=20060, msg="Entering Maintenance mode"), info(code=20061, msg="Maintenance ended")),
    (info(version=2, platform={"status": 0}), info(version=2, platform={"status": 1})),
])  # fmt: skip
def test_in_maintenance_books_are_halted_and_afterwards_asked_for_anew(begins: tuple[int, bytes], ends: tuple[int, bytes]) -> None:
    run, told = session(), Told()
    say(run, subscribed(), told.snapshot(ROWS))
    texts(run)
    found = say(run, begins, told.change("99.9", 1, "1"))
    assert [event for event in found if isinstance(event, Notice)] and run.market.books[KEY].state == "HALTED"
    say(run, ends)
    assert [each["event"] for each in texts(run)] == ["unsubscribe", "subscribe"]


def test_a_restart_that_is_announced_is_a_planned_reconnect() -> None:
    run = session()
    run.drain()
    say(run, info(code=20051, msg="Stopping. Please try to reconnect"))
    assert [(action.conn, action.planned) for _, action in run.drain() if isinstance(action, Reconnect)] == [(1, True)]


def test_refusals_name_their_topic_and_a_repeated_subscription_is_none() -> None:
    run = session("BTC-USD", "ETH-USD")
    said = {"event": "error", "msg": "symbol: invalid", "code": 10300, "channel": "book", "symbol": "tETHUSD"}
    twice = {"event": "error", "msg": "subscribe: dup", "code": 10301, "channel": "trades", "symbol": "tBTCUSD"}
    found = say(run, data(said), data(twice))
    assert [(event.topic, event.ok) for event in found if isinstance(event, Ack)] == [("book:tETHUSD", False), ("trades:tBTCUSD", True)]
    waiting = run.venues["bitfinex"].waiting(1)
    assert "book:tBTCUSD" in waiting and "book:tETHUSD" not in waiting


def refused(channel: str, name: str) -> tuple[int, bytes]:
    where = {"key": name} if channel == "candles" else {"symbol": name}
    return data({"event": "error", "msg": "symbol: invalid", "code": 10300, "channel": channel, **where})


@pytest.mark.parametrize("taken", [False, True])
def test_a_connection_on_which_everything_was_refused_is_given_up_for_long_and_one_that_has_anything_is_kept(taken: bool) -> None:
    run = session()
    run.drain()
    say(run, data({"event": "conf", "status": "OK", "flags": 229376}), refused("book", "tBTCUSD"))
    assert not [action for _, action in run.drain() if isinstance(action, Reconnect)], "not all has been answered yet"
    say(run, refused("candles", "trade:1m:tBTCUSD"), subscribed(channel="trades") if taken else refused("trades", "tBTCUSD"))
    found = [action for _, action in run.drain() if isinstance(action, Reconnect)]
    assert found == ([] if taken else [Reconnect(1, "every subscription was refused: 10300 symbol: invalid", refused=True)])


@pytest.mark.parametrize("told", [False, True])
def test_a_subscription_whose_channel_is_never_told_costs_its_connection(told: bool) -> None:
    run = session()
    twice = {"event": "error", "msg": "subscribe: dup", "code": 10301, "channel": "book", "symbol": KEY.partition(":")[2]}
    twice["symbol"] = run.venues["bitfinex"].native(twice["symbol"]) or ""
    say(run, data(twice), *([subscribed()] if told else []))
    run.drain()
    for seconds in (5, 12, 30):
        run.step(Frame(T0 + seconds * S, "", 0, TICK, b"0"))
    asked = [action for _, action in run.drain() if isinstance(action, Reconnect)]
    assert [(action.conn, action.planned) for action in asked] == ([] if told else [(1, False)])


def test_names_of_three_letters_are_joined_longer_ones_have_a_colon_and_tethers_are_not_dollars() -> None:
    machine = make("bitfinex", ())
    pairs = {"BTC-USD": "tBTCUSD", "BTC-USDT": "tBTCUST", "USDC-USD": "tUDCUSD", "LINK-USD": "tLINK:USD"}
    assert {symbol: machine.native(symbol) for symbol in pairs} == pairs
    listed = [machine.instrument(native) for native in pairs.values()]
    assert [(i.symbol, i.quote) for i in listed if i is not None] == [(symbol, symbol.partition("-")[2]) for symbol in pairs]
    assert [machine.native(listing.symbol) for listing in LISTINGS] == [listing.native for listing in LISTINGS]
    assert [machine.instrument(name) for name in ("fUSD", "BTCUSD", "tBTCF0:USTF0", "tBTCUSDX")] == [None] * 4
    assert machine.native("BTC-USDT-PERP") is None


# -- the simulated venue -----------------------------------------------------------------------------------------------
#: one real message of each kind (2021), with other values
REAL = {
    "info": {"event": "info", "version": 2, "serverId": "083bd8d4", "platform": {"status": 1}},
    "conf": {"event": "conf", "status": "OK", "flags": 65536},
    "subscribed": {"event": "subscribed", "channel": "book", "chanId": 6959, "symbol": "tETHUSD", "prec": "P0", "freq": "F0", "len": "100",
                   "pair": "ETHUSD"},
    "change": [6959, [219.25, 3, -18.5], 45, 1564617601214],
    "te": [89, "te", [382489563, 1564617600709, 0.5, 10087.5], 18, 1564617600784],
}  # fmt: skip


def subscribe(channel: str = "book", **params: object) -> dict[str, object]:
    return {"event": "subscribe", "channel": channel, **params}


def test_messages_of_the_simulated_venue_have_the_shape_of_real_ones() -> None:
    def form(value: Any) -> Any:
        """Texts, numbers and how they are nested; of an object its fields too."""
        if isinstance(value, list):
            return [form(each) for each in value]
        return shape(value) if isinstance(value, dict) else type(value) if isinstance(value, str) else float

    async def run() -> None:
        async with world(venues=("bitfinex",)) as (made, endpoints), open_ws(endpoints["bitfinex"]["ws"] + "/ws/2") as ws:
            said = {"info": await hear(ws), "conf": await ask(ws, {"event": "conf", "flags": 229376})}
            said["subscribed"] = await ask(ws, subscribe(symbol="tETHUSD", prec="P0", freq="F0", len="100"))
            await ask(ws, subscribe("trades", symbol="tETHUSD"))
            made.advance(2000)
            number = said["subscribed"]["chanId"]
            said["change"] = await hear_until(ws, lambda m: isinstance(m, list) and m[0] == number and m[1] and isinstance(m[1][0], float))
            said["te"] = await hear_until(ws, lambda m: isinstance(m, list) and m[1] == "te")
        for kind, real in REAL.items():
            assert form(said[kind]) == form(real), kind

    asyncio.run(run())


def test_the_simulated_venue_numbers_each_connection_beats_and_signs_its_books_as_it_says() -> None:
    async def run() -> None:
        async with world(venues=("bitfinex",)) as (made, endpoints), open_ws(endpoints["bitfinex"]["ws"] + "/ws/2") as ws:
            await hear(ws)
            await ask(ws, {"event": "conf", "flags": 229376})
            await ask(ws, subscribe(symbol="tBTCUSD", len="25"))
            made.advance(1600)
            arrays = [await hear(ws)]
            while arrays[-1][1] != "hb":
                arrays.append(await hear(ws))
        assert [array[-2] for array in arrays] == list(range(1, len(arrays) + 1))
        assert len([array for array in arrays if array[1] == "cs"]) >= 5
        sides: tuple[dict[float, float], dict[float, float]] = {}, {}
        for array in arrays[:-1]:
            if array[1] == "cs":
                bids, asks = (sorted(side.items(), reverse=not n) for n, side in enumerate(sides))
                ranks = [side[k] for k in range(25) for side in (bids, asks)]
                text = ":".join(f"{value:.8f}".rstrip("0").rstrip(".") for level in ranks for value in level)
                assert zlib.crc32(text.encode()) == array[2] & 0xFFFFFFFF
                continue
            for price, count, amount in array[1] if isinstance(array[1][0], list) else [array[1]]:
                side = sides[amount < 0]
                side.pop(price, None)
                if count:
                    side[price] = amount
        assert len(sides[0]) == len(sides[1]) == 25

    asyncio.run(run())


def test_the_simulated_venue_refuses_what_the_real_one_refuses() -> None:
    async def run() -> None:
        async with world(venues=("bitfinex",)) as (_, endpoints), open_ws(endpoints["bitfinex"]["ws"] + "/ws/2") as ws:
            await hear(ws)
            first = await ask(ws, subscribe(symbol="tBTCUSD", len="25"))
            for request, code in (
                (subscribe(symbol="tNOSUCH"), 10300), (subscribe(symbol="tBTCUSD", len="27"), 10300), (subscribe("dance"), 10302),
                (subscribe(symbol="tBTCUSD", len="25"), 10301), (subscribe("candles", key="trade:5m:tBTCUSD"), 10300),
                ({"event": "unsubscribe", "chanId": 5}, 10401), ({"event": "dance"}, 10000), ("{", 10000),
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert (answer["event"], answer["code"]) == ("error", code)
            assert (await ask(ws, {"event": "ping", "cid": 5}))["cid"] == 5
            assert (await ask(ws, {"event": "unsubscribe", "chanId": first["chanId"]}))["event"] == "unsubscribed"
            lengths = [subscribe(symbol=listing.native, len=length) for listing in LISTINGS for length in ("1", "25", "100", "250")]
            for request in lengths[:25]:  # so many channels a connection
                assert (await ask(ws, request))["event"] == "subscribed"
            assert (await ask(ws, subscribe("candles", key="trade:1m:tBTCUSD")))["code"] == 10305

    asyncio.run(run())


def test_a_message_lost_on_the_way_is_seen_at_the_next_one_and_all_books_are_mended() -> None:
    async def run() -> None:
        async with world(venues=("bitfinex",), clock=lambda: 100.0) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for steps in (0, 30, 60):
                await wiring.act()
                made.advance(steps)
                await wiring.listen()
            made.servers["bitfinex"].drop("BTC-USD")
            for steps in (200, 30, 30):
                made.advance(steps)
                await wiring.listen()
                await wiring.act()
            books = wiring.engine.market.books
            assert made.servers["bitfinex"].lose["tBTCUSD"] == 0
            its_own = [book for book in books.values() if book.conn == books["bitfinex:BTC-USD"].conn]  # one market is on another
            assert len(its_own) == len(books) - 1
            assert {(book.state, book.gaps, book.snapshots, book.checksum_mismatches) for book in its_own} == {("LIVE", 1, 2, 0)}
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(20)
            await wiring.listen()
            assert differing(wiring, made.sample) == []
            await wiring.close()

    asyncio.run(run())


def test_a_number_is_followed_from_where_the_session_began() -> None:
    run = Engine({"bitfinex": make("bitfinex", ("BTC-USD",))})
    run.step_many(play("bitfinex", script()))
    assert (run.market.books[KEY].seq, run.market.books[KEY].checksums_ok) == (11, 2)


@pytest.mark.parametrize("order", [("list pairs", "list prices"), ("list prices", "list pairs")])
def test_a_pair_is_listed_when_its_least_order_and_its_price_are_there_in_whatever_order_they_come(order: tuple[str, str]) -> None:
    venue = make("bitfinex", ())
    first, last = (list(venue.receive(Frame(T0, "bitfinex", 0, *reply(key, json.loads(LISTS[key]))))) for key in order)
    assert first == [] and last == [Instruments(T0, "bitfinex", len(LISTED), 0)]
    assert [venue.market_of(instrument.native) for instrument in LISTED] == list(LISTED)


def test_old_names_of_currencies_are_those_that_the_venue_says_they_stand_for() -> None:
    venue = make("bitfinex", ())
    for key, body in (("list pairs", [[*PAIRS, pair("DSHUSD", "0.1")], NAMES]), ("list prices", [*TICKERS, priced("tDSHUSD", 31.234)])):
        venue.receive(Frame(T0, "bitfinex", 0, *reply(key, body)))
    found = venue.market_of("tDSHUSD")
    assert found is not None and (found.symbol, found.base, found.tick) == ("DASH-USD", "DASH", 0.001)
    assert venue.name_of("DASH-USD") == "tDSHUSD"


def test_a_pair_without_a_price_cannot_be_used_and_is_counted() -> None:
    venue = make("bitfinex", ())
    told: list[Event] = []
    for key, body in (("list pairs", [PAIRS, NAMES]), ("list prices", [*TICKERS[:-2], priced("tLTCBTC", None), ["tNONE"], 7])):
        told += venue.receive(Frame(T0, "bitfinex", 0, *reply(key, body)))
    assert told == [Instruments(T0, "bitfinex", 2, 1)]
