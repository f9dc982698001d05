"""Gemini: books that begin with the first message of a subscription and go on from number to number; how a lost one is mended."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dope.engine import Engine
from dope.sim.gemini import LISTINGS
from dope.types import TICK, Ack, Event, Fault, Frame, Gap, Notice, Quote, Reconnect, Send, Trade
from dope.venues import make
from tests.frames import MS, T0, closed, data, opened, play
from tests.sim.recipes import ask, hear, hear_until, open_ws, world
from tests.sim.test_binance import shape
from tests.sim.test_understood import Wiring, differing
from tests.venues.gemini import KEY, depth, touch

S = 10**9
BOOK = depth(100, 100, [("100.00000", "1.5")], [("100.50000", "0.75")])


def session(*symbols: str) -> Engine:
    """Connected and asked for what these need."""
    run = Engine({"gemini": make("gemini", symbols or ("BTC-USD",))})
    run.step_many(play("gemini", [opened("market", symbols or ("BTC-USD",))]))
    return run


def say(run: Engine, *messages: tuple[int, bytes], at: int = T0 + S, conn: int = 1) -> list[Event]:
    frames = play("gemini", messages, start=max(at, run.market.now + 10**7), conn=conn)
    return [event for frame in frames for event in run.step(frame)]


def texts(run: Engine) -> list[dict[str, Any]]:
    return [json.loads(action.text) for _, action in run.drain() if isinstance(action, Send)]


def bids(run: Engine) -> list[float]:
    return [price for price, _ in run.market.books[KEY].levels("bid", 9)]


def test_a_hole_in_the_numbers_is_seen_and_the_book_subscribed_anew() -> None:
    run = session()
    texts(run)
    found = say(run, BOOK, depth(100, 105, [("99", "1")], []), depth(107, 110, [("98", "1")], []))
    assert [(event.key, event.reason) for event in found if isinstance(event, Gap)] == [(KEY, "sequence")]
    asked = texts(run)
    assert [(each["method"], each["params"]) for each in asked] == [
        ("unsubscribe", ["btcusd@depth@100ms"]), ("subscribe", ["btcusd@depth@100ms"]),
    ]  # fmt: skip


def test_where_messages_begin_with_the_number_of_the_one_before_the_loss_of_a_single_number_is_seen_too() -> None:
    run = session()
    say(run, BOOK, depth(100, 105, [("99", "1")], []), depth(105, 110, [("98", "1")], []), depth(111, 115, [("97", "1")], []))
    assert run.market.books[KEY].state == "GAP", "110 to 111 was lost"
    first = session()
    say(first, BOOK, depth(100, 105, [("99", "1")], []), depth(106, 110, [("98", "1")], []))
    assert first.market.books[KEY].state == "GAP", "also before it is known how they begin"


def test_where_they_begin_with_the_next_number_time_and_again_that_is_believed() -> None:
    run, states = session(), []
    for conn in range(1, 6):
        run.step_many(play("gemini", [opened("market", ("BTC-USD",))], start=run.market.now + 10**7, conn=conn))
        say(run, BOOK, depth(100, 105, [("99", "1")], []), depth(106, 110, [("98", "1")], []), conn=conn)
        states.append(run.market.books[KEY].state)
        run.step_many(play("gemini", [closed()], start=run.market.now + 10**7, conn=conn))
    assert states == ["GAP", "GAP", "GAP", "LIVE", "LIVE"]


def test_what_the_snapshot_contains_is_not_told_again_and_what_reaches_into_it_is() -> None:
    run = session()
    say(run, BOOK, depth(90, 100, [("50", "1")], []), depth(95, 103, [("99", "1")], []), depth(103, 104, [("99", "0.0")], []))
    assert (run.market.books[KEY].state, run.market.books[KEY].seq, bids(run)) == ("LIVE", 104, [100.0])


def test_what_still_comes_of_the_old_subscription_is_no_new_snapshot() -> None:
    run = session()
    texts(run)
    say(run, BOOK, depth(105, 106, [], []))
    numbers = [each["id"] for each in texts(run)]
    say(run, depth(110, 110, [("99", "1")], []))
    assert run.market.books[KEY].state == "GAP", "one changed level, not the book"
    say(run, data({"id": str(numbers[0]), "status": 200}), depth(120, 120, [("98", "1")], [("100.6", "1")]))
    assert (run.market.books[KEY].state, bids(run)) == ("LIVE", [98.0])


def test_if_a_repeated_subscription_brings_no_book_the_connection_is_made_anew() -> None:
    run = session()
    say(run, BOOK, depth(105, 106, [], []))
    run.drain()
    run.step(Frame(T0 + 20 * S, "", 0, TICK, b"0"))
    assert [action.conn for _, action in run.drain() if isinstance(action, Reconnect)] == [1]
    say(run, closed(), at=T0 + 21 * S)
    run.step_many(play("gemini", [opened("market", ("BTC-USD",))], start=T0 + 22 * S, conn=2))
    say(run, depth(200, 200, [("98", "1")], [("100.6", "1")]), at=T0 + 23 * S, conn=2)
    assert (run.market.books[KEY].state, bids(run)) == ("LIVE", [98.0])


def test_a_connection_that_begins_without_a_snapshot_is_asked_for_one() -> None:
    run = session()
    say(run, depth(100, 105, [("99", "1")], []), depth(105, 105, [("98", "1")], []))
    assert run.market.books[KEY].state == "SYNCING"
    texts(run)
    run.step(Frame(T0 + 20 * S, "", 0, TICK, b"0"))
    assert ("subscribe", ["btcusd@depth@100ms"]) in [(each["method"], each["params"]) for each in texts(run)]


def test_while_two_connections_overlap_the_older_one_changes_nothing() -> None:
    run = session()
    say(run, BOOK, depth(100, 105, [("99", "1")], []))
    run.step_many(play("gemini", [opened("market", ("BTC-USD",))], start=T0 + 2 * S, conn=2))
    say(run, depth(120, 120, [("98", "1")], [("100.6", "1")]), at=T0 + 3 * S, conn=2)
    say(run, depth(105, 130, [("97", "1")], []), depth(130, 130, [("96", "1")], []), at=T0 + 4 * S, conn=1)
    say(run, depth(120, 125, [("98.5", "1")], []), at=T0 + 5 * S, conn=2)
    assert (run.market.books[KEY].state, bids(run)) == ("LIVE", [98.5, 98.0])


def test_a_book_that_runs_out_of_what_is_kept_is_brought_by_a_second_connection_and_lives_on_meanwhile() -> None:
    run = session()
    say(run, depth(100, 100, [("9999", "1")], [(str(price), "1") for price in range(10_000, 15_000)]))
    run.drain()
    say(run, depth(100, 9000, [], [(str(price), "0") for price in range(10_000, 13_900)]))
    assert [(action.conn, action.planned) for _, action in run.drain() if isinstance(action, Reconnect)] == [(1, True)]
    assert run.market.books[KEY].state == "LIVE"


def test_the_touch_leads_while_its_number_is_newer_and_may_be_of_an_empty_market() -> None:
    run = session()
    say(run, BOOK, touch(99, "90", "1", "91", "1"))
    book = run.market.books[KEY]
    assert book.touch()[0] == 100.0, "older than the book"
    say(run, touch(110, "100.1", "2", "100.4", "3"))
    assert book.touch() == (100.1, 2.0, 100.4, 3.0)
    say(run, depth(100, 111, [("100.2", "1")], []))
    assert book.touch() == (100.2, 1.0, 100.5, 0.75)
    machine = make("gemini", ())
    frames = play("gemini", [opened(), data({"u": 5, "E": T0, "s": "btcusd"})])
    quotes = [event for frame in frames for event in machine.receive(frame) if isinstance(event, Quote)]
    assert [(quote.bid, quote.ask, quote.ts_exch) for quote in quotes] == [(0.0, 0.0, T0)]


@pytest.mark.parametrize(("maker_bought", "side"), [(True, "sell"), (False, "buy")])
def test_the_taker_is_the_other_side_of_the_maker(maker_bought: bool, side: str) -> None:
    machine = make("gemini", ())
    trade = {"E": T0 + 5, "s": "btcusd", "t": 2840141014190422, "p": "62145.38000", "q": "0.0162522200", "m": maker_bought}
    found = [event for frame in play("gemini", [opened(), data(trade)]) for event in machine.receive(frame) if isinstance(event, Trade)]
    assert [(t.price, t.size, t.side, t.trade_id, t.ts_exch) for t in found] == [(62145.38, 0.01625222, side, "2840141014190422", T0 + 5)]
    trade.pop("m")
    assert [type(event) for frame in play("gemini", [data(trade)]) for event in machine.receive(frame)] == [Fault]


def test_refusals_are_of_their_market_only() -> None:
    run = session("BTC-USD", "ETH-USD")
    asked = {each["params"][0].partition("@")[0]: each for each in texts(run)}
    assert asked["btcusd"]["params"] == ["btcusd@depth@100ms", "btcusd@bookTicker", "btcusd@trade"]
    refusal = {"id": asked["ethusd"]["id"], "status": 400, "error": {"code": -1013, "msg": "Invalid"}}
    found = say(run, data(refusal), data({"id": asked["btcusd"]["id"], "status": 200}), data({"id": 0, "status": 200, "result": {}}))
    assert {(event.topic.partition("@")[0], event.ok) for event in found if isinstance(event, Ack)} == {("ethusd", False), ("btcusd", True)}
    assert len([event for event in found if isinstance(event, Notice)]) == 1 and run.venues["gemini"].waiting(1) == []
    nameless = say(run, data({"id": None, "error": {"code": -1013, "msg": "Invalid"}}), data({"id": "me", "status": 429}))
    assert [type(event) for event in nameless] == [Notice, Notice]


def test_currencies_of_issuers_are_not_dollars_and_other_kinds_of_markets_are_not_read() -> None:
    machine = make("gemini", ())
    natives = {"BTC-USD": "btcusd", "BTC-RLUSD": "btcrlusd", "XRP-GUSD": "xrpgusd", "ETH-USDT": "ethusdt", "ETH-BTC": "ethbtc"}
    assert {symbol: machine.native(symbol) for symbol in natives} == natives
    listed = [machine.instrument(native) for native in natives.values()]
    assert [(i.symbol, i.quote) for i in listed if i is not None] == [(symbol, symbol.partition("-")[2]) for symbol in natives]
    assert [machine.native(listing.symbol) for listing in LISTINGS] == [listing.native for listing in LISTINGS]
    assert [machine.native(symbol) for symbol in ("BTC-USDT-PERP", "BTC-XYZ", "BTC")] == [None] * 3
    assert [machine.instrument(name) for name in ("btcgusdperp", "gemi-btc15m2609", "BTCUSD", "usd")] == [None] * 4


# -- the simulated venue -----------------------------------------------------------------------------------------------
#: one real message of each kind (2026), with other values
REAL = {
    "depth": {"e": "depthUpdate", "E": 1783981139947514400, "s": "wifusd", "U": 1764549594389289, "u": 1764549594389676,
              "b": [["0.148800", "11129.36421900"]], "a": []},
    "trade": {"E": 1783981140085684200, "s": "btcrlusd", "t": 2840141014190422, "p": "62145.38000", "q": "0.0162522200", "m": True},
    "touch": {"u": 1764549594389752, "E": 1783981140076872200, "s": "xrpgusd", "b": "1.0614900", "B": "958.69148000", "a": "1.0615000",
              "A": "38.39060000", "c": "1.0612500", "C": "4.71027100"},
    "ack": {"id": 1, "status": 200},
}  # fmt: skip


def test_messages_of_the_simulated_venue_have_the_shape_of_real_ones() -> None:
    async def run() -> None:
        async with world(venues=("gemini",)) as (made, endpoints), open_ws(endpoints["gemini"]["ws"] + "/?snapshot=3") as ws:
            streams = ["ethusd@depth@100ms", "ethusd@bookTicker", "ethusd@trade"]
            said = {"ack": await ask(ws, {"id": 1, "method": "SUBSCRIBE", "params": streams})}
            made.advance(1)
            book = await hear(ws)
            assert (book["U"], len(book["b"]), len(book["a"])) == (book["u"], 3, 3)
            made.advance(2000)
            said["depth"] = await hear_until(ws, lambda m: m.get("e") == "depthUpdate" and m["b"])
            said["depth"].update(b=said["depth"]["b"][:1], a=[])
            said["trade"] = await hear_until(ws, lambda m: "t" in m)
            said["touch"] = await hear_until(ws, lambda m: "B" in m)
        for kind, real in REAL.items():
            assert shape(said[kind]) == shape(real), kind

    asyncio.run(run())


def test_the_simulated_venue_refuses_what_it_does_not_know_and_takes_nothing_of_it() -> None:
    async def run() -> None:
        async with world(venues=("gemini",)) as (made, endpoints), open_ws(endpoints["gemini"]["ws"] + "/") as ws:
            for request in (
                {"id": 5, "method": "subscribe", "params": ["btcusd@trade", "nosuch@trade"]},
                {"id": 5, "method": "subscribe", "params": {"streams": ["btcusd@trade"]}},
                {"id": 5, "method": "unsubscribe", "params": ["btcusd@trade"]}, {"id": 5, "method": "dance"},
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert (answer["id"], answer["status"], answer["error"]["code"]) == (5, 400, -1013)
            assert await ask(ws, {"id": 6, "method": "ping"}) == {"id": 6, "status": 200, "result": {}}
            made.advance(1000)
            assert (await ask(ws, {"id": 7, "method": "subscribe", "params": ["btcusd@depth@100ms"]}))["id"] == 7
            made.advance(500)
            first, second = await hear(ws), await hear(ws)
            assert first["U"] < first["u"] == second["U"], "no snapshot was asked for"

    asyncio.run(run())


def test_a_message_lost_on_the_way_is_seen_at_the_next_one_and_its_book_is_mended() -> None:
    async def run() -> None:
        async with world(venues=("gemini",), clock=lambda: 100.0) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for steps in (0, 30, 400):
                await wiring.act()
                made.advance(steps)
                await wiring.listen()
            made.servers["gemini"].drop("BTC-USD")
            for steps in (400, 200, 200):
                made.advance(steps)
                await wiring.listen()
                await wiring.act()
            book = wiring.engine.market.books[KEY]
            assert made.servers["gemini"].lose["btcusd"] == 0
            assert (book.state, book.gaps, book.snapshots) == ("LIVE", 1, 2)
            assert sum(other.gaps for other in wiring.engine.market.books.values()) == 1
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(20)
            await wiring.listen()
            assert differing(wiring, made.sample) == []
            await wiring.close()

    asyncio.run(run())


def test_a_venue_that_is_silent_is_stale_whatever_it_answers_to_pings() -> None:
    run = session()
    say(run, BOOK)
    for step in range(120):
        run.step(Frame(T0 + 2 * S + step * 100 * MS, "", 0, TICK, b"0"))
        say(run, data({"id": 0, "status": 200, "result": {}}), at=T0 + 2 * S + step * 100 * MS)
    assert run.market.books[KEY].state == "STALE"
