"""What is MEXC's own: protobuf frames, texts whose lengths must be right, sides without a number, refusals in an ordinary answer."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from dope.engine import Engine
from dope.sim.mexc import MAX_TOPICS, UNSUBSCRIBED_S
from dope.types import DATA, TICK, Ack, Bar, BookUpdate, Fault, Fetch, Frame, Gap, Notice, Quote, Send, Trade
from dope.venues import make
from dope.venues.mexc import Mexc
from tests.frames import T0, data, opened, play
from tests.program import SHARED, present
from tests.sim.recipes import PATIENCE_S, ask, get, open_ws, world
from tests.venues.mexc import AT, KEY, SYMBOLS, deal, deals, depth, frame, level, part, script, touch

SAMPLES = SHARED / "wire" / "mexc" / "samples_protobuf_frames.b64"
DEALS = "spot@public.aggre.deals.v3.api.pb@10ms@BTCUSDT"


def heard(*said: tuple[int, bytes]) -> list[Any]:
    venue = Mexc(SYMBOLS)
    return [event for each in play("mexc", [opened(symbols=SYMBOLS), *said]) for event in venue.receive(each)][1:]


def ended(*said: tuple[int, bytes]) -> tuple[Engine, list[Any]]:
    run = Engine({"mexc": make("mexc", SYMBOLS)})
    return run, run.step_many(play("mexc", [*script(), *said]))


def test_levels_reach_the_book_as_the_text_that_was_sent() -> None:
    venue = Mexc(SYMBOLS)
    updates = [e for f in play("mexc", script()) for e in venue.receive(f) if isinstance(e, BookUpdate)]
    assert (updates[-2].bids, updates[-2].asks, updates[-2].seq) == (b'[["99.5","0"]]', b'[["100.9","5"]]', 112)
    many = [(f"{100 + n}.{n:02}", f"0.{n + 1:08}") for n in range(99)]
    venue = Mexc(SYMBOLS)
    play_on = [opened(symbols=SYMBOLS), depth(1, 2, [("1", "1")], []), script()[4], depth(104, 104, many, [])]
    found = [e for f in play("mexc", play_on) for e in venue.receive(f) if isinstance(e, BookUpdate) and not e.snapshot]
    assert json.loads(found[0].bids) == [list(row) for row in many] and found[0].asks == b""


@pytest.mark.parametrize("wrong", ["price", "size", "field", "cut"])
def test_a_level_that_is_not_what_its_lengths_say_is_refused_and_the_hole_is_seen(wrong: str) -> None:
    good = level("100.25", "1.5")
    bad = {
        "price": good.replace(b"\x06100.25", b"\x05100.25"),
        "size": good.replace(b"\x031.5", b"\x041.5"),
        "field": good + part(3, "7"),
        "cut": part(1, "100.25"),
    }[wrong]
    said = frame("aggre.depth.v3.api.pb@100ms", 313, part(2, bad) + part(3, "x") + part(4, "116") + part(5, "116"))
    run, out = ended(said, depth(117, 117, [("99.6", "1")], []))
    assert [type(e) for e in out if isinstance(e, Fault | Gap)] == [Fault, Gap]
    assert run.market.books[KEY].state == "GAP"


def test_a_version_that_is_skipped_is_a_gap_and_a_frame_without_a_body_or_without_levels_is_none() -> None:
    _, out = ended(depth(117, 118, [("99.6", "1")], []))
    assert [e.reason for e in out if isinstance(e, Gap)] == ["sequence"]
    empty = (DATA, part(1, "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT") + part(3, "BTCUSDT") + part(6, AT))
    run, out = ended(empty, depth(116, 116, [], []), depth(117, 117, [("99.6", "1")], []))
    assert not [e for e in out if isinstance(e, Gap | Fault)] and run.market.books[KEY].seq == 117


def test_the_touch_has_no_number_and_may_lack_a_side() -> None:
    both, one = [e for e in heard(touch("99.9", "1.2", "100.1", "2.3"), touch("100", "4", "", "")) if isinstance(e, Quote)]
    assert (both.bid, both.bid_size, both.ask, both.ask_size, both.seq, both.ts_exch) == (99.9, 1.2, 100.1, 2.3, -1, AT * 10**6)
    assert (one.bid, one.ask, one.ask_size) == (100.0, 0.0, 0.0)


def test_deals_are_of_the_taker_and_one_without_an_id_is_still_one_of_its_own() -> None:
    rows = deals(deal("100.1", "0.2", 1), deal("100.2", "0.3", 2, "other"), deal("100.2", "0.3", 2, ""), deal("100.2", "0.3", 2, ""))
    trades = [e for e in heard(rows, rows) if isinstance(e, Trade)]
    assert [(t.price, t.size, t.side) for t in trades[:2]] == [(100.1, 0.2, "buy"), (100.2, 0.3, "sell")]
    assert len({t.trade_id for t in trades}) == 6 and trades[0].ts_exch == (AT + 1) * 10**6
    assert [type(e) for e in heard(deals(deal("1", "1", 3)))] == [Fault]


def test_a_candle_is_closed_once_the_venue_s_clock_has_passed_its_end() -> None:
    texts = [part(1, "Min1"), part(2, AT // 1000), *(part(i, t) for i, t in enumerate(("10", "12", "13", "9", "5.5", "60"), 3))]
    body = b"".join(texts) + part(9, AT // 1000 + 60)
    said = [frame("kline.v3.api.pb", 308, body, at=AT + late) for late in (59_999, 60_000)]
    bars = [e for e in heard(*said) if isinstance(e, Bar)]
    assert [(b.open, b.close, b.high, b.low, b.volume, b.closed) for b in bars] == [(10, 12, 13, 9, 5.5, False), (10, 12, 13, 9, 5.5, True)]
    assert bars[0].open_ts == AT * 10**6


def test_a_refusal_comes_as_an_ordinary_answer_and_the_rest_is_asked_for_again() -> None:
    venue = Mexc(SYMBOLS)
    list(venue.receive(Frame(T0, "mexc", 1, *opened(symbols=SYMBOLS))))
    asked = venue.actions.pop()
    assert isinstance(asked, Send) and len(asked.topics) == 4
    refusal = {"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{DEALS}].  Reason： Blocked! "}
    good = {"id": 0, "code": 0, "msg": ",".join(asked.topics[:2])}
    events = [e for m in (refusal, good, {"id": 0, "code": 0, "msg": "PONG"}) for e in venue.receive(Frame(T0, "mexc", 1, *data(m)))]
    assert [(e.topic, e.ok) for e in events if isinstance(e, Ack)] == [(DEALS, False), *((topic, True) for topic in asked.topics[:2])]
    assert [e.code for e in events if isinstance(e, Notice)] == ["error"] and len(events) == 4
    list(venue.receive(Frame(T0 + 11 * 10**9, "", 0, TICK, b"0")))
    (again,) = venue.actions
    assert isinstance(again, Send) and again.topics == (asked.topics[3],)


def test_names_keep_their_quote_currency() -> None:
    venue = Mexc(())
    assert [venue.native(s) for s in ("BTC-USDT", "USDC-USDT", "BTC-USD", "BTC-USDT-PERP")] == ["BTCUSDT", "USDCUSDT", None, None]
    found = [venue.instrument(name) for name in ("BTCUSDC", "USDCUSDT", "USDT", "BTCXYZ")]
    assert [None if each is None else each.symbol for each in found] == ["BTC-USDC", "USDC-USDT", None, None]


@pytest.mark.parametrize("path", present([SAMPLES], lambda path: path))
def test_the_sample_frames_are_all_understood(path: Any) -> None:
    frames = [base64.b64decode(line) for line in path.read_bytes().splitlines()]
    events = heard(*((DATA, each) for each in frames))
    assert len(frames) == 11 and not [e for e in events if isinstance(e, Fault)]
    assert [(t.price, t.size, t.side) for t in events if isinstance(t, Trade)] == [(100.1, 0.2, "buy"), (100.2, 0.3, "sell")]
    assert [(q.bid, q.ask) for q in events if isinstance(q, Quote)] == [(99.9, 100.1), (100.0, 0.0)]
    venue = Mexc(SYMBOLS)
    list(venue.receive(Frame(T0, "mexc", 1, *opened(symbols=SYMBOLS))))
    venue.actions.clear()
    list(venue.receive(Frame(T0, "mexc", 1, DATA, frames[8])))
    assert [type(a) for a in venue.actions] == [Fetch], "the first difference asks for the snapshot"


def test_the_simulated_venue_refuses_what_the_venue_refuses() -> None:
    async def run() -> None:
        async with world(venues=("mexc",)) as (_, endpoints), open_ws(endpoints["mexc"]["ws"] + "/ws") as ws:
            known = [f"spot@public.aggre.{kind}.v3.api.pb@{speed}@{native}USDT" for kind in ("depth", "deals", "bookTicker")
                     for speed in ("10ms", "100ms") for native in ("BTC", "ETH", "SOL", "USDC")]  # fmt: skip
            more = [f"spot@public.kline.v3.api.pb@{native}USDT@Min1" for native in ("BTC", "ETH", "SOL", "USDC")]
            assert await ask(ws, {"method": "PING"}) == {"id": 0, "code": 0, "msg": "PONG"}
            assert (await ask(ws, {"method": "SUBSCRIPTION", "params": known}))["msg"] == ",".join(known)
            assert (await ask(ws, {"method": "SUBSCRIPTION", "params": more}))["msg"] == ",".join(more)
            assert len(known + more) == MAX_TOPICS - 2
            over = await ask(ws, {"method": "SUBSCRIPTION", "params": [known[0].replace("BTC", "XYZ")]})
            assert over["msg"].startswith("Not Subscribed successfully! [") and "Reason： Blocked!" in over["msg"]
            assert (await get(endpoints["mexc"]["rest"] + "/api/v3/depth?symbol=XYZUSDT")).json()["code"] == -1121

    asyncio.run(run())


def test_the_simulated_venue_cuts_a_connection_that_has_no_subscription_for_30_s() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("mexc",), clock=lambda: clock[0]) as (made, endpoints):
            url = endpoints["mexc"]["ws"] + "/ws"
            async with open_ws(url) as idle, open_ws(url) as busy:
                await ask(busy, {"method": "SUBSCRIPTION", "params": [DEALS]})
                clock[0] += UNSUBSCRIBED_S + 1.0
                made.advance(100)
                await asyncio.wait_for(idle.wait_closed(), PATIENCE_S)
                assert (await ask(busy, {"method": "PING"}))["msg"] == "PONG"

    asyncio.run(run())
