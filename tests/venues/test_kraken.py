"""Kraken: books that live by their checksum and their depth, refusals beside heartbeats, and what its other channels say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dope.engine import Engine
from dope.sim.kraken import LISTINGS
from dope.types import DATA, TICK, Ack, Bar, BookUpdate, Event, Fault, Frame, Gap, Notice, Quote, Send, Trade
from dope.venues import make
from tests.frames import T0, data, opened, play
from tests.sim.recipes import ask, hear, hear_until, open_ws, world
from tests.sim.test_binance import shape
from tests.sim.test_understood import Wiring, differing
from tests.venues.kraken import BEAT, KEY, STAMP, Told, acknowledged, refused, script, sent, status, ticker

S = 10**9
DEEP = [(f"{100 - n / 10:.2f}", "1.00000000") for n in range(25)], [(f"{100.1 + n / 10:.2f}", "2.00000000") for n in range(25)]


def session(*symbols: str) -> Engine:
    """Connected and asked for what these need."""
    run = Engine({"kraken": make("kraken", symbols or ("BTC-USD",))})
    run.step_many(play("kraken", [opened("public", symbols or ("BTC-USD",))]))
    return run


def say(run: Engine, *messages: tuple[int, bytes], at: int = T0 + S) -> list[Event]:
    return [event for frame in play("kraken", messages, start=max(at, run.market.now + 10**7)) for event in run.step(frame)]


def texts(run: Engine) -> list[dict[str, Any]]:
    return [json.loads(action.text) for _, action in run.drain() if isinstance(action, Send)]


def test_what_falls_out_behind_the_depth_is_forgotten_and_is_no_ghost_when_the_touch_goes_away() -> None:
    run, told = session(), Told()
    say(run, told.message("snapshot", *DEEP))
    say(run, told.message("update", [("100.05", "9.00000000")], []))
    say(run, told.message("update", [("100.05", "0.00000000")], []))
    book = run.market.books[KEY]
    assert book.state == "LIVE" and (book.checksums_ok, book.checksum_mismatches) == (3, 0)
    assert ([p for p, _ in book.levels("bid", 99)], len(book.levels("ask", 99))) == ([float(p) for p, _ in DEEP[0][:24]], 25)


def test_a_wrong_checksum_costs_its_own_book_only_which_is_subscribed_anew() -> None:
    run, told, other = session("BTC-USD", "ETH-USD"), Told(), Told("ETH/USD")
    say(run, told.message("snapshot", *DEEP), other.message("snapshot", *DEEP))
    texts(run)
    say(run, told.message("update", [("99.95", "1.00000000")], [], lie=1))
    books = run.market.books
    assert (books[KEY].state, books[KEY].reason, books["kraken:ETH-USD"].state) == ("GAP", "checksum", "LIVE")
    asked = [(request["method"], request["params"]) for request in texts(run)]
    assert asked == [
        ("unsubscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 25}),
        ("subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 25, "snapshot": True}),
    ]
    say(run, told.message("update", [("99.94", "1.00000000")], []))
    assert books[KEY].state == "GAP", "only a snapshot mends it"
    say(run, told.message("snapshot", *DEEP))
    assert books[KEY].state == "LIVE"


def test_a_book_message_without_a_checksum_proves_nothing_and_is_not_used() -> None:
    run, told = session(), Told()
    say(run, told.message("snapshot", *DEEP))
    kind, text = told.message("update", [("100.05", "9.00000000")], [])
    found = say(run, (kind, text.replace(b'"checksum"', b'"checksun"')))
    assert [type(event) for event in found] == [Fault] and run.market.books[KEY].touch()[0] == 100.0
    say(run, told.message("update", [("99.96", "1.00000000")], []))
    assert run.market.books[KEY].state == "GAP"


def test_refusals_name_what_they_refuse_and_a_refused_book_is_not_live_whatever_beats_beside_it() -> None:
    run = session("BTC-USD", "ETH-USD")
    requests = {request["params"]["channel"]: request["req_id"] for request in texts(run)}
    found = say(run, refused("Currency pair not supported ETH/USD", requests["book"], symbol="ETH/USD"))
    assert [event.topic for event in found if isinstance(event, Ack) and not event.ok] == ["book:ETH/USD"]
    found = say(run, refused("Subscription depth not supported", requests["book"]), *[BEAT] * 50)
    assert [event.topic for event in found if isinstance(event, Ack) and not event.ok] == ["book:BTC/USD"]
    assert "Subscription depth not supported" in [event.text for event in found if isinstance(event, Notice)]
    assert run.market.books[KEY].state == "SYNCING"
    waiting = run.venues["kraken"].waiting(1)
    assert "ticker:BTC/USD" in waiting and "book:BTC/USD" not in waiting
    say(run, acknowledged("ticker"))
    assert "ticker:BTC/USD" not in run.venues["kraken"].waiting(1)


@pytest.mark.parametrize(("said", "state"), [(BEAT, "LIVE"), (data({"method": "pong", "time_in": STAMP, "time_out": STAMP}), "STALE")])
def test_heartbeats_keep_a_quiet_book_live_and_pongs_do_not(said: tuple[int, bytes], state: str) -> None:
    run = session()
    say(run, Told().message("snapshot", *DEEP))
    for second in range(1, 8):
        say(run, said, at=T0 + (1 + second) * S)
        run.step(Frame(T0 + (1 + second) * S + S // 2, "", 0, TICK, b"0"))
    assert run.market.books[KEY].state == state


def test_a_ticker_counts_only_when_it_is_not_older_than_the_book() -> None:
    run = session()
    say(run, Told().message("snapshot", *DEEP))
    book = run.market.books[KEY]
    say(run, ticker("99.0", "1.0", "99.1", "1.0", stamp="2023-11-14T22:13:19.999999Z"))
    assert book.touch() == (100.0, 1.0, 100.1, 2.0), "it comes late: the book has moved on"
    assert say(run, ticker("0", "0", "0", "0", stamp="1970-01-01T00:00:00.000000Z")) == [] and book.touch()[0] == 100.0
    say(run, ticker("99.9", "3.5", "100.2", "4.5", stamp="2023-11-14T22:13:20.000001Z"))
    assert book.touch() == (99.9, 3.5, 100.2, 4.5)


def trade(kind: str, side: str, number: int) -> tuple[int, bytes]:
    row = f'{{"symbol":"BTC/USD","side":"{side}","price":100.1,"qty":0.25,"ord_type":"limit","trade_id":{number},"timestamp":"{STAMP}"}}'
    return DATA, f'{{"channel":"trade","type":"{kind}","data":[{row}]}}'.encode()


def test_the_side_of_a_trade_is_the_takers_and_trades_from_before_the_subscription_do_not_count() -> None:
    machine = make("kraken", ())
    frames = play("kraken", [opened(), trade("snapshot", "buy", 1), trade("update", "sell", 2), trade("update", "nobody", 3)])
    found = [event for frame in frames for event in machine.receive(frame)]
    trades = [(t.price, t.size, t.side, t.trade_id, t.ts_exch) for t in found if isinstance(t, Trade)]
    assert trades == [(100.1, 0.25, "sell", "2", T0)]
    assert len([event for event in found if isinstance(event, Fault)]) == 1


def candle(minute: int, close: str) -> tuple[int, bytes]:
    begin = f"2023-11-14T22:{minute:02d}:00.000000000Z"
    prices = f'"open":100.0,"high":101.0,"low":99.5,"close":{close},"trades":3,"volume":1.50000000,"vwap":100.1'
    row = f'{{"symbol":"BTC/USD",{prices},"interval_begin":"{begin}","interval":1,"timestamp":"{STAMP}"}}'
    return DATA, f'{{"channel":"ohlc","type":"update","timestamp":"{STAMP}","data":[{row}]}}'.encode()


def test_a_candle_is_closed_when_the_next_one_begins_and_never_goes_back() -> None:
    machine = make("kraken", ())
    frames = play("kraken", [opened(), candle(13, "100.2"), candle(14, "100.4"), candle(13, "99.9")])
    bars = [event for frame in frames for event in machine.receive(frame) if isinstance(event, Bar)]
    assert [(bar.close, bar.closed, bar.volume) for bar in bars] == [(100.2, False, 1.5), (100.2, True, 1.5), (100.4, False, 1.5)]
    assert (bars[2].open_ts - bars[0].open_ts, bars[0].open_ts) == (60 * S, T0 - 20 * S)


def test_while_the_venue_takes_no_orders_its_books_are_halted_and_afterwards_they_are_asked_for_anew() -> None:
    run, told = session(), Told()
    say(run, told.message("snapshot", *DEEP))
    found = say(run, status("maintenance"))
    assert [event.reason for event in found if isinstance(event, Gap)] == ["halted"] and run.market.books[KEY].state == "HALTED"
    say(run, told.message("update", [("99.95", "1.00000000")], []))
    assert run.market.books[KEY].state == "HALTED"
    texts(run)
    say(run, status("online"))
    assert [request["method"] for request in texts(run)] == ["unsubscribe", "subscribe"]
    say(run, told.message("snapshot", *DEEP), status("limit_only"))
    assert run.market.books[KEY].state == "LIVE"


def test_a_book_that_begins_while_the_venue_takes_no_orders_waits_until_it_does() -> None:
    run, told = session(), Told()
    texts(run)
    say(run, status("cancel_only"), told.message("snapshot", *DEEP))
    assert run.market.books[KEY].state == "HALTED"
    say(run, status("online"))
    assert [request["method"] for request in texts(run)] == ["unsubscribe", "subscribe"]
    say(run, told.message("snapshot", *DEEP))
    assert run.market.books[KEY].state == "LIVE"


def test_levels_are_understood_by_their_keys_whatever_their_order_and_spacing() -> None:
    plain, turned = session(), session()
    kind, text = Told().message("snapshot", [("100.0", "1.50000000")], [("100.5", "0.75000000")])
    other = text.replace(b'{"price":100.0,"qty":1.50000000}', b'{ "qty": 1.50000000, "price": 100.0 }').replace(b'"qty":0', b'"qty": 0')
    assert other != text
    for run, said in ((plain, text), (turned, other)):
        say(run, (kind, said))
        assert run.market.books[KEY].touch() == (100.0, 1.5, 100.5, 0.75) and run.market.books[KEY].state == "LIVE"


def test_dollars_of_a_bank_are_not_dollars_of_an_issuer() -> None:
    machine = make("kraken", ())
    quotes = {native: machine.instrument(native) for native in ("BTC/USD", "BTC/USDT", "USDT/USD", "AAPLx/USD")}
    assert [(i.symbol, i.quote) for i in quotes.values() if i is not None] == [
        ("BTC-USD", "USD"), ("BTC-USDT", "USDT"), ("USDT-USD", "USD"), ("AAPLx-USD", "USD"),
    ]  # fmt: skip
    assert [machine.native(listed.symbol) for listed in LISTINGS] == [listed.native for listed in LISTINGS]
    assert machine.native("BTC-USD-PERP") is None and machine.instrument("BTCUSD") is None


# -- the simulated venue -----------------------------------------------------------------------------------------------
#: one real message of each kind (2026), with other values
REAL = [
    '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":62806.6,"qty":0.10000000}],'
    '"checksum":265834348,"timestamp":"2026-08-16T23:37:05.376419Z"}]}',
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":100.1,"qty":0.25,"ord_type":"limit",'
    '"trade_id":123,"timestamp":"2026-07-10T00:00:00.123456Z"}]}',
    '{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true,'
    '"time_in":"2026-08-16T23:37:04.334090Z","time_out":"2026-08-16T23:37:04.334135Z"}',
    '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":769405522530892351}]}',
]


def subscribe(channel: str, *symbols: str, wish: str = "subscribe", **params: object) -> dict[str, object]:
    return {"method": wish, "params": {"channel": channel, "symbol": symbols, **params}}


def test_messages_of_the_simulated_venue_have_the_shape_of_real_ones() -> None:
    async def run() -> None:
        found: dict[str, Any] = {}
        async with world(venues=("kraken",)) as (made, endpoints), open_ws(endpoints["kraken"]["ws"] + "/v2") as ws:
            found["status"] = await hear(ws)
            found["subscribe"] = await ask(ws, subscribe("book", "BTC/USD", depth=10, snapshot=True))
            await ask(ws, subscribe("trade", "BTC/USD"))
            made.advance(1500)
            for name in ("book", "trade"):
                found[name] = await hear_until(ws, lambda said, name=name: said.get("channel") == name and said["type"] == "update")
                while name == "book" and not found[name]["data"][0]["asks"]:
                    found[name] = await hear_until(ws, lambda said: said.get("channel") == "book" and said["type"] == "update")
        found["book"]["data"][0]["bids"] = []
        found["book"]["data"][0]["asks"] = found["book"]["data"][0]["asks"][:1]
        for text in REAL:
            real = json.loads(text)
            assert shape(found[real.get("channel") or real["method"]]) == shape(real)

    asyncio.run(run())


def test_the_simulated_venue_refuses_what_the_real_one_refuses() -> None:
    async def run() -> None:
        async with world(venues=("kraken",)) as (made, endpoints), open_ws(endpoints["kraken"]["ws"] + "/v2") as ws:
            await hear(ws)
            for request, error in (
                (subscribe("book", "BTC/USD", depth=27), "Subscription depth not supported"),
                (subscribe("book", "NO/SUCH"), "Currency pair not supported NO/SUCH"),
                (subscribe("dance", "BTC/USD"), "Channel not supported"),
                (subscribe("trade", "BTC/USD", wish="unsubscribe"), "Subscription not found"),
                ({"method": "dance"}, "Malformed request"), ("{", "Malformed request"),
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert (answer["error"], answer["success"]) == (error, False)
            assert (await ask(ws, {"method": "ping", "req_id": 5}))["req_id"] == 5
            assert (await ask(ws, subscribe("trade", "BTC/USD")))["success"]
            assert (await ask(ws, subscribe("trade", "BTC/USD")))["error"] == "Already subscribed"
            made.advance(100)
            await hear_until(ws, lambda said: said == {"channel": "heartbeat"})

    asyncio.run(run())


def test_a_message_lost_on_the_way_is_found_by_the_next_checksum_and_the_book_is_mended() -> None:
    async def run() -> None:
        async with world(venues=("kraken",), clock=lambda: 100.0) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for steps in (0, 30, 60):
                await wiring.act()
                made.advance(steps)
                await wiring.listen()
            server, book = made.servers["kraken"], wiring.engine.market.books[KEY]
            for _ in range(5):  # one alone may be about levels that no checksum sees
                server.drop("BTC-USD")
            for _ in range(40):  # this market speaks some five times in 200 steps
                made.advance(50)
                await wiring.listen()
                await wiring.act()
                if server.lose["BTC/USD"] == 0 and book.snapshots == 2:
                    break
            assert server.lose["BTC/USD"] == 0
            assert (book.state, book.gaps, book.snapshots, book.checksum_mismatches) == ("LIVE", 1, 2, 1)
            assert sum(other.gaps for other in wiring.engine.market.books.values()) == 1
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(20)
            await wiring.listen()
            assert differing(wiring, made.sample) == []
            await wiring.close()

    asyncio.run(run())


def test_a_venue_whose_checksums_are_wrong_is_not_asked_without_end_and_believed_again_when_they_are_right() -> None:
    async def run() -> None:
        async with world(venues=("kraken",), clock=lambda: 100.0) as (made, endpoints):
            wiring, server = Wiring(endpoints), made.servers["kraken"]
            await wiring.connect()
            books = wiring.engine.market.books

            async def rounds(count: int) -> None:
                for _ in range(count):
                    await wiring.act()
                    made.advance(60)
                    await wiring.listen()

            server.lying = True
            await rounds(8)
            assert {(book.state, book.checksum_mismatches, book.snapshots) for book in books.values()} == {("INVALID", 3, 3)}
            assert all("suspended" in book.reason for book in books.values()) and wiring.engine.drain() == []
            server.lying = False
            wiring.now += 301 * S
            wiring.step("", 0, TICK, b"0")
            await rounds(3)
            assert {(book.state, book.snapshots) for book in books.values()} == {("LIVE", 4)}
            await wiring.close()

    asyncio.run(run())


def test_the_sample_session_is_what_the_venue_says_it_reads() -> None:
    machine = make("kraken", ("BTC-USD",))
    found = [event for frame in play("kraken", script()) for event in machine.receive(frame)]
    assert all(event.checksum is not None and event.seq == -1 for event in found if isinstance(event, BookUpdate))
    assert not [event for event in found if isinstance(event, Quote)]
    assert {sent(action.text)["method"] for action in machine.actions if isinstance(action, Send)} <= {"subscribe"}
