"""Bybit by REST: books to live on while no socket delivers, and to compare with beside one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.engine import Engine
from dope.sim.venue import listings
from dope.types import LIVE, TICK, Event, Fault, Fetch, Frame, Gap, Notice, Send
from dope.venues import make
from dope.venues._bybit_rest import DIFFERENT, TOUCHES, Comparison
from tests.examples import some
from tests.frames import T0, closed, opened, play, reply
from tests.sim.recipes import ask_rest, world
from tests.venues import bybit

SECOND = 10**9
BTC, ETH = "bybit:BTC-USDT", "bybit:ETH-USDT"
REST, SOCKET = 1, 2  #: epochs


def answer(seq: int, bid: str, ask: str, *, native: str = "BTCUSDT", code: int = 0) -> tuple[int, bytes]:
    book = {"s": native, "a": [[ask, "0.75"]], "b": [[bid, "1.5"], ["90", "3"]], "ts": 1700000000000, "u": 230704, "seq": seq, "cts": 1}
    body = {"retCode": code, "retMsg": "params error" if code else "OK", "result": {} if code else book, "retExtInfo": {}, "time": 1}
    return reply(f"book:{native}", body)


class Run:
    """An engine with the venue, and what came of the frames."""

    def __init__(self, *symbols: str) -> None:
        self.engine = Engine({"bybit": make("bybit", symbols or ("BTC-USDT",))})
        self.told: list[Event] = []
        self.now = T0

    def take(self, conn: int, *script: tuple[int, bytes]) -> list[Event]:
        out = [event for frame in play("bybit", script, conn=conn, start=self.now) for event in self.engine.step(frame)]
        self.now += 10_000_000 * len(script)
        self.told += out
        return out

    def book(self, key: str = BTC) -> Any:
        return self.engine.market.books[key]

    def sent(self) -> list[str]:
        return [json.loads(action.text)["op"] for _, action in self.engine.drain() if isinstance(action, Send)]


def socket_up(run: Run) -> None:
    run.take(SOCKET, opened("spot", ("BTC-USDT",)), *bybit.script()[1:])
    run.sent()


def test_answers_are_whole_books_while_no_socket_delivers_and_no_request_is_sent_into_nothing() -> None:
    run = Run()
    run.take(REST, opened("rest", ("BTC-USDT",)), answer(50, "100.0", "100.5"))
    assert (run.book().state, run.book().touch()) == (LIVE, (100.0, 1.5, 100.5, 0.75)) and run.sent() == []
    run.take(REST, answer(60, "100.2", "100.7"), answer(55, "100.1", "100.6"))
    assert run.book().touch() == (100.2, 1.5, 100.7, 0.75), "an answer that was overtaken is older"
    run.engine.venues["bybit"].resync("BTC-USDT", run.now)
    assert run.sent() == [], "the next answer is a whole book"
    run.take(REST, closed(1000), answer(70, "100.2", "100.7"))
    assert run.book().state == "DOWN", "what comes later is of no epoch"


def test_an_answer_proves_no_other_book() -> None:
    run = Run("BTC-USDT", "ETH-USDT")
    run.take(REST, opened("rest", ("BTC-USDT", "ETH-USDT")), answer(50, "100.0", "100.5"), answer(50, "10.0", "100.5", native="ETHUSDT"))
    assert (run.book(BTC).state, run.book(ETH).state) == (LIVE, LIVE)
    for second in range(1, 8):
        run.now = T0 + second * SECOND
        run.take(REST, answer(50 + second, "100.0", "100.5"), (TICK, b"0"))
    assert (run.book(BTC).state, run.book(ETH).state) == (LIVE, "STALE")


def test_a_socket_takes_the_book_over_and_what_REST_says_later_does_not_take_it_back() -> None:
    run = Run()
    run.take(REST, opened("rest", ("BTC-USDT",)), answer(50, "99.0", "100.5"))
    socket_up(run)
    run.take(REST, answer(99_000_000, "98.0", "101.0"), closed(1000), answer(99_000_001, "97.0", "101.0"))
    assert (run.book().state, run.book().touch()) == (LIVE, (100.0, 1.5, 100.5, 0.75))
    assert not [e for e in run.told if isinstance(e, Gap | Fault)]
    run.take(SOCKET, closed())
    run.take(3, opened("rest", ("BTC-USDT",)), answer(51, "99.0", "100.5"))
    assert run.book().touch()[0] == 99.0, "a new epoch begins anew, whatever its numbers"


def test_what_is_not_the_book_that_was_asked_for_is_a_fault_and_a_refused_name_is_asked_once_per_epoch() -> None:
    run = Run()
    venue = run.engine.venues["bybit"]
    run.take(REST, opened("rest", ("BTC-USDT",)))
    other = reply("book:BTCUSDT", json.loads(answer(50, "100.0", "100.5", native="ETHUSDT")[1].partition(b"\n")[2]))
    out = run.take(REST, other, reply("book:BTCUSDT", {"retCode": 0, "result": {"s": "BTCUSDT"}}), reply("book:BTCUSDT", "no", status=503))
    assert [type(e) for e in out] == [Fault, Fault] and run.book().state == "SYNCING"
    assert len(venue.polls(REST, ("BTC-USDT",))) == 1
    assert [e.text for e in run.take(REST, answer(0, "1", "2", code=10001)) if isinstance(e, Notice)] == ["BTCUSDT: 10001 params error"]
    assert venue.polls(REST, ("BTC-USDT",)) == []
    run.take(REST, closed(1000))
    run.take(3, opened("rest", ("BTC-USDT",)))
    (fetch,) = venue.polls(3, ("BTC-USDT", "BTC-USDT-PERP"))
    assert (fetch.conn, fetch.key) == (3, "book:BTCUSDT")
    assert fetch.url == "https://api.bybit.com/v5/market/orderbook?category=spot&limit=50&symbol=BTCUSDT"


def test_a_book_that_REST_denies_three_times_running_is_asked_for_anew() -> None:
    run = Run()
    socket_up(run)
    run.take(SOCKET, bybit.book("snapshot", 7, [("100.00", "1.5")], [("100.50", "0.75")], depth=1, seq=70_400))
    denial = answer(70_500, "98.0", "98.5")
    run.take(SOCKET, denial, denial, answer(70_501, "100.00", "100.50"), denial, denial)
    assert run.book().state == LIVE and run.sent() == [], "one that agrees in between, and it begins anew"
    out = run.take(SOCKET, denial)
    assert [e.reason for e in out if isinstance(e, Gap)] == ["snapshot"] and [e for e in out if isinstance(e, Notice)]
    assert run.sent() == ["unsubscribe", "subscribe"] and run.book().state == "GAP"


def test_a_touch_fits_between_those_before_and_after_it_and_older_ones_are_not_judged() -> None:
    comparison = Comparison()
    for seq, bid, ask in ((10, 100.0, 101.0), (20, 100.4, 101.4), (30, 100.2, 101.2)):
        comparison.note("X", (seq, bid, ask))
    for touch in ((15, 100.2, 101.4), (20, 100.3, 101.3), (99, 100.2, 101.2), (9, 1.0, 2.0)):
        assert not [1 for _ in range(DIFFERENT) if comparison.refutes("X", touch)], touch
    for touch in ((15, 99.9, 101.2), (15, 100.2, 101.5), (25, 100.0, 101.2), (99, 100.4, 101.4)):
        comparison.forget("Y")
        comparison.note("Y", (10, 100.0, 101.0))
        comparison.note("Y", (20, 100.4, 101.4))
        comparison.note("Y", (30, 100.2, 101.2))
        assert [comparison.refutes("Y", touch) for _ in range(DIFFERENT)] == [False] * (DIFFERENT - 1) + [True], touch
    for seq in range(100, 100 + TOUCHES):
        comparison.note("X", (seq, 1.0, 2.0))
    assert not [1 for _ in range(DIFFERENT) if comparison.refutes("X", (15, 500.0, 501.0))], "no more is remembered"


@settings(max_examples=some(100), deadline=None)
@given(at=st.floats(0, 0.999), cut=st.integers(0, 9), put=st.sampled_from([b"", b"-", b"e9", b"NaN", b"[", b'"', b"0", b"\x00", b"null"]))
def test_answers_with_wrong_bytes_never_raise_and_never_leave_a_crossed_book(at: float, cut: int, put: bytes) -> None:
    run = Run()
    run.take(REST, opened("rest", ("BTC-USDT",)), answer(50, "100.0", "100.5"))
    kind, text = answer(60, "100.2", "100.7")
    place = int(at * len(text))
    run.take(REST, (kind, text[:place] + put + text[place + cut :]))
    bid, _, ask, _ = run.book().touch()
    assert run.book().state != LIVE or (not bid or not ask or 0.0 < bid < ask < 1e12)


@pytest.mark.parametrize("venue", ["bybit", "bybit_linear"])
def test_the_simulated_venue_answers_with_its_book_in_the_shape_of_the_real_one(venue: str) -> None:
    async def main() -> None:
        async with world(venues=(venue,)) as (made, endpoints):
            made.advance(50)
            symbols = [spec.symbol for spec in listings((venue,))]
            engine = Engine({venue: make(venue, symbols, endpoints[venue])})
            engine.step(Frame(T0, venue, REST, *opened("rest", tuple(symbols))))
            for number, fetch in enumerate(engine.venues[venue].polls(REST, symbols), 1):
                got = await ask_rest(fetch)
                engine.step(Frame(T0 + number, venue, REST, *reply(fetch.key, got.json())))
                assert list(got.json()) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
                assert list(got.json()["result"]) == ["s", "a", "b", "ts", "u", "seq", "cts"]
            for key, market in made.sample.markets.items():
                bid, lots, ask, _ = market.book.touch()
                book, tick = engine.market.books[key], market.spec.tick_e6 / 1e6
                assert book.state == LIVE
                assert (book.touch()[0], book.touch()[2]) == pytest.approx((bid * tick, ask * tick), rel=1e-12)
                assert book.touch()[1] == pytest.approx(lots * market.spec.lot_e8 / 1e8) and len(book.levels("bid", 99)) > 30
            there = endpoints[venue]["rest"] + "/v5/market/orderbook?category="
            for query in ("inverse&symbol=BTCUSDT", "spot&symbol=NOSUCH", "linear&symbol=NOSUCH", "spot&symbol=BTCUSDT&limit=x1"):
                assert (await ask_rest(Fetch(0, "", there + query))).json()["retCode"] == 10001

    asyncio.run(main())
