"""What is HTX's own: packed frames, the venue's pings, snapshots a second old, history told as news, contracts and exponents."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from dope.engine import Engine
from dope.sim.htx import LISTINGS
from dope.sim.htx_linear import NOTIFY
from dope.sim.htx_text import PING_S, java
from dope.types import DATA, TICK, Ack, Bar, BookUpdate, Fault, Frame, Funding, Gap, Listed, Notice, Quote, Send, Trade
from dope.venues import make
from dope.venues._htx_wire import MAX_UNPACKED
from tests.frames import T0, closed, opened, play
from tests.program import SHARED, present
from tests.sim.recipes import PATIENCE_S, open_ws, world
from tests.venues import htx, htx_linear
from tests.venues.htx import AT, BOOK, diff, packed, said, snapshot

SPOT = SHARED / "wire" / "htx" / "samples_tardis_mbp_bbo.jsonl"
SWAP = SHARED / "wire" / "htx_swap" / "samples_tardis_linear_swap.jsonl"


def heard(venue: str, *messages: Any, asking: bool = False) -> list[Any]:
    """Events of one connection, without those that list a market; ``asking`` = it has subscribed to what is watched."""
    symbols = (htx if venue == "htx" else htx_linear).SYMBOLS if asking else None
    machine = make(venue, symbols or ())
    script = [opened("market", symbols), *(packed(message) for message in messages)]
    return [e for each in play(venue, script) for e in machine.receive(each) if not isinstance(e, Listed)]


def ended(*messages: Any) -> tuple[Engine, list[Any]]:
    run = Engine({"htx": make("htx", htx.SYMBOLS)})
    return run, run.step_many(play("htx", [*htx.script(), *(packed(message) for message in messages)]))


def deal(number: object, at: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "ts": at, "amount": 2, "price": 50_000.5, "direction": "sell", **more}


def wishes(machine: Any) -> list[Send]:
    found = [a for a in machine.actions if isinstance(a, Send)]
    machine.actions.clear()
    return found


@pytest.mark.parametrize("harm", ["cut", "twice", "flipped", "too long"])
def test_a_packed_frame_that_is_not_whole_is_a_fault(harm: str) -> None:
    good = packed(diff(115, 116, [[99.6, 1.0]], []))[1]
    bad = {
        "cut": good[:-9],
        "twice": good + good,
        "flipped": good[:20] + bytes([good[20] ^ 255]) + good[21:],
        "too long": gzip.compress(b" " * (MAX_UNPACKED + 1) + b"{}"),
    }[harm]
    run = Engine({"htx": make("htx", htx.SYMBOLS)})
    out = run.step_many(play("htx", [*htx.script(), (DATA, bad)]))
    assert [e.reason.partition(": ")[0] for e in out if isinstance(e, Fault)] == ["unreadable"]
    assert run.market.books[htx.KEY].state == "LIVE"


def test_the_venue_s_ping_is_answered_and_proves_no_book() -> None:
    machine = make("htx", htx.SYMBOLS)
    assert list(machine.receive(Frame(T0, "htx", 3, *packed({"ping": 1492420473027})))) == []
    (pong,) = wishes(machine)
    assert (pong.conn, json.loads(pong.text)) == (3, {"pong": 1492420473027})
    notify = make("htx_linear", htx_linear.SYMBOLS)
    list(notify.receive(Frame(T0, "htx_linear", 3, *packed({"op": "ping", "ts": "1492420473058"}))))
    assert json.loads(wishes(notify)[0].text) == {"op": "pong", "ts": 1492420473058}
    run, _ = ended(*({"ping": n} for n in range(1, 900)))
    run.step(Frame(T0 + 9 * 10**9, "", 0, TICK, b"0"))
    assert run.market.books[htx.KEY].state == "STALE"


def test_a_snapshot_that_is_older_than_all_differences_is_asked_for_again_a_second_later() -> None:
    machine = make("htx", htx.SYMBOLS)
    frames = play("htx", [opened("feed", htx.SYMBOLS), packed(diff(90, 95, [[99.0, 1.0]], [])), packed(snapshot(80, [], []))])
    events = [e for frame in frames for e in machine.receive(frame)]
    subscribe, first, again = wishes(machine)
    assert json.loads(subscribe.text) == {"sub": BOOK, "id": BOOK}
    assert json.loads(first.text) == {"req": BOOK, "id": f"req {BOOK}"} and first.delay_s == 0.0
    assert again.text == first.text and again.delay_s == 1.0
    assert not [e for e in events if isinstance(e, BookUpdate | Gap | Fault)]
    more = [packed(diff(95, 99, [[99.1, 1.0]], [])), packed(snapshot(95, [[98.0, 1.0]], [[101.0, 1.0]]))]
    late = [e for frame in play("htx", more, start=T0 + 10**9) for e in machine.receive(frame)]
    assert [(e.snapshot, e.seq) for e in late if isinstance(e, BookUpdate)] == [(True, 95), (False, 95), (False, 99)]


def test_a_snapshot_that_never_comes_or_is_refused_is_asked_for_again() -> None:
    machine = make("htx", htx.SYMBOLS)
    for frame in play("htx", [opened("feed", htx.SYMBOLS), packed(diff(90, 95, [[99.0, 1.0]], []))]):
        list(machine.receive(frame))
    wishes(machine)
    list(machine.receive(Frame(T0 + 10**9, "htx", 1, *packed(diff(95, 96, [], [])))))
    assert wishes(machine) == []
    list(machine.receive(Frame(T0 + 11 * 10**9, "", 0, TICK, b"0")))
    asked = [wish for wish in wishes(machine) if "req" in json.loads(wish.text)]
    assert len(asked) == 1
    refusal = {"status": "error", "ts": AT, "id": f"req {BOOK}", "err-code": "bad-request", "err-msg": "429 too many request"}
    list(machine.receive(Frame(T0 + 12 * 10**9, "htx", 1, *packed(diff(96, 97, [], [])))))
    events = list(machine.receive(Frame(T0 + 12 * 10**9, "htx", 1, *packed(refusal))))
    assert [type(e) for e in events] == [Notice, Fault]
    assert [wish.delay_s for wish in wishes(machine) if "req" in json.loads(wish.text)] == [1.0]


def test_a_number_that_is_skipped_is_a_gap() -> None:
    run, out = ended(diff(116, 118, [[99.6, 1.0]], []))
    assert [e.reason for e in out if isinstance(e, Gap)] == ["sequence"] and run.market.books[htx.KEY].state == "GAP"


def test_numbers_with_exponents_and_without_fractions_are_the_same_prices() -> None:
    run, out = ended(diff(115, 116, [[100.25, 1e-3]], []))
    tiny = DATA, gzip.compress(json.dumps(diff(116, 117, [], [])).replace('"bids": []', '"bids": [[1.0026E2,9.2E-5]]').encode())
    run.step_many(play("htx", [tiny], start=T0 + 10**9))
    assert run.market.books[htx.KEY].levels("bid", 2) == [(100.26, 0.000092), (100.25, 0.001)]
    assert not [e for e in out if isinstance(e, Fault)]


def test_a_touch_older_than_the_newest_book_message_says_nothing_new() -> None:
    def touch(at: int) -> dict[str, Any]:
        return said("bbo", {"seqId": 7, "ask": 100.4, "askSize": 2.0, "bid": 100.3, "bidSize": 1.0, "quoteTime": at, "symbol": "btcusdt"})

    run, _ = ended(touch(AT - 1))
    assert run.market.books[htx.KEY].touch() == (100.0, 1.5, 100.5, 0.75)
    run, _ = ended(touch(AT))
    assert run.market.books[htx.KEY].touch() == (100.3, 1.0, 100.4, 2.0)
    one = said("bbo", {"ask": 100.4, "askSize": 2.0, "quoteTime": AT})
    assert [(e.bid, e.ask, e.seq) for e in heard("htx", one) if isinstance(e, Quote)] == [(0.0, 100.4, -1)]


def test_the_trade_that_is_repeated_when_one_subscribes_is_history() -> None:
    topic = "market.btcusdt.trade.detail"
    ack = {"id": topic, "status": "ok", "subbed": topic, "ts": AT}
    old, new = deal(100182534526255757567432481, AT - 1, tradeId=41), deal(100182534526255757567432482, AT + 1, tradeId=42)
    trades = [e for e in heard("htx", ack, said("trade.detail", {"data": [old, new]})) if isinstance(e, Trade)]
    assert [(t.trade_id, t.size, t.side, t.ts_exch) for t in trades] == [("42", 2.0, "sell", (AT + 1) * 10**6)]
    machine = make("htx", htx.SYMBOLS)
    early = [opened("market", htx.SYMBOLS), packed(said("trade.detail", {"data": [old]})), packed(ack)]
    assert not [e for each in play("htx", early) for e in machine.receive(each) if isinstance(e, Trade)], "it may come before the answer"
    without = heard("htx", said("trade.detail", {"data": [deal(100182534526255757567432481, AT)]}))
    assert [t.trade_id for t in without] == ["100182534526255757567432481"]
    assert [type(e) for e in heard("htx", said("trade.detail", {"data": [deal(1, AT, direction="up")]}))] == [Fault]


def test_a_refused_topic_is_told_by_its_own_name_and_unknown_channels_are_faults() -> None:
    topic = "market.btcusdt.bbo"
    events = heard("htx", {"status": "error", "ts": AT, "id": topic, "err-code": "bad-request", "err-msg": "invalid topic"}, asking=True)
    assert [(type(e), getattr(e, "topic", "")) for e in events] == [(Notice, ""), (Ack, topic)] and not events[1].ok
    assert [type(e) for e in heard("htx", said("detail", {}), {"op": "notify"}, {"status": "ok"})] == [Fault] * 3


def test_contracts_become_base_units_and_a_venue_that_counts_otherwise_is_not_believed() -> None:
    def trade(**more: Any) -> dict[str, Any]:
        return said("trade.detail", {"data": [deal(1186558919990000, AT, **more)]}, native="BTC-USDT")

    (told,) = heard("htx_linear", trade(quantity=0.002))
    assert (told.size, told.trade_id) == (0.002, "1186558919990000")
    assert [e.reason for e in heard("htx_linear", trade(quantity=2.0))] == ["unreadable: 2 contracts are 2 base units, not 0.002"]
    assert heard("htx_linear", trade(direction="")) == [], "contracts that change hands without a taker"
    run = Engine({"htx_linear": make("htx_linear", htx_linear.SYMBOLS)})
    run.step_many(play("htx_linear", htx_linear.script()))
    assert run.market.books[htx_linear.KEY].levels("bid", 2) == [(100.0, 1.5), (99.9, 2.0)]


def test_a_lost_update_of_a_swap_is_a_gap_and_the_book_is_asked_for_anew_as_incremental() -> None:
    run = Engine({"htx_linear": make("htx_linear", htx_linear.SYMBOLS)})
    out = run.step_many(play("htx_linear", [*htx_linear.script(), packed(htx_linear.book("update", 107, [], []))]))
    assert [e.reason for e in out if isinstance(e, Gap)] == ["sequence"]
    asked = [json.loads(a.text) for _, a in run.drain() if isinstance(a, Send)]
    assert [next(iter(text)) for text in asked] == ["unsub", "sub"]
    assert asked[1] == {"sub": htx_linear.BOOK, "data_type": "incremental", "id": htx_linear.BOOK}


def test_marks_funding_and_candles() -> None:
    row = {"contract_code": "BTC-USDT", "funding_rate": "0.000100000000000000", "funding_time": str(AT)}
    (mark,) = heard("htx_linear", said("mark_price.1min", {"id": 1, "close": "50001.5"}, native="BTC-USDT"))
    assert isinstance(mark, Funding) and (mark.rate, mark.mark) == (None, 50001.5)
    for now, due in ((AT - 1, AT), (AT, AT + 8 * 3600 * 1000)):
        (rate,) = heard("htx_linear", {"op": "notify", "topic": "public.BTC-USDT.funding_rate", "ts": now, "data": [row]})
        assert (rate.rate, rate.next_ts) == (0.0001, due * 10**6)
    topic = "public.BTC-USDT.funding_rate"
    answers = [{"op": "sub", "cid": topic, "topic": topic, "ts": AT, "err-code": code} for code in (0, 2011)]
    acks = heard("htx_linear", *answers)
    assert [(e.topic, e.ok) for e in acks if isinstance(e, Ack)] == [(topic, True), (topic, False)]
    candle = {"id": AT // 1000, "open": 10, "close": 12, "low": 9.5, "high": 1.3e1, "amount": 5.5, "vol": 60, "count": 3}
    bars = heard("htx", *(said("kline.1min", candle, AT + late) for late in (59_999, 60_000)))
    assert [(b.open, b.high, b.low, b.close, b.volume, b.closed) for b in bars if isinstance(b, Bar)] == [
        (10.0, 13.0, 9.5, 12.0, 5.5, False), (10.0, 13.0, 9.5, 12.0, 5.5, True),
    ]  # fmt: skip


def test_names_keep_their_quote_currency() -> None:
    spot, swap = make("htx", ()), make("htx_linear", ())
    assert [spot.native(s) for s in ("BTC-USDT", "BTC-USD", "BTC-USDT-PERP")] == ["btcusdt", None, None]
    assert [swap.native(s) for s in ("BTC-USDT-PERP", "BTC-USDT", "BTC-USD-PERP")] == ["BTC-USDT", None, None]
    found = [spot.instrument(n) for n in ("ethbtc", "usdcusdt", "usdt", "BTC-USDT")]
    assert [None if each is None else each.symbol for each in found] == ["ETH-BTC", "USDC-USDT", None, None]
    dated, other = swap.instrument("BTC-USDT-261225"), swap.instrument("XRP-USDT")
    assert dated is not None and (dated.kind, dated.contract_value) == ("future", 0.001)
    assert other is not None and other.contract_value is None and swap.instrument("BTC-USD") is None


def test_a_connection_that_ends_forgets_what_it_had_confirmed() -> None:
    machine = make("htx", htx.SYMBOLS)
    for frame in play("htx", htx.script()):
        list(machine.receive(frame))
    events = list(machine.receive(Frame(T0 + 10**9, "htx", 1, *closed())))
    assert [e.reason for e in events if isinstance(e, Gap)] == ["disconnected"]
    touch = {"ask": 100.4, "askSize": 2.0, "bid": 100.3, "bidSize": 1.0, "quoteTime": AT - 1}
    assert [type(e) for e in machine.receive(Frame(T0 + 10**9, "htx", 2, *packed(said("bbo", touch))))] == [Quote]


@pytest.mark.parametrize("path", present([SPOT], lambda path: path))
def test_recorded_differences_join_their_recorded_snapshot(path: Path) -> None:
    messages = [json.loads(line) for line in path.read_text().splitlines()]
    mine = sorted((m for m in messages if BOOK in (m.get("ch"), m.get("rep"))), key=lambda m: int(m["ts"]))
    run = Engine({"htx": make("htx", htx.SYMBOLS)})
    out = run.step_many(play("htx", [opened("feed", htx.SYMBOLS), *(packed(message) for message in mine[:-1])]))
    book = run.market.books[htx.KEY]
    assert not [e for e in out if isinstance(e, Gap | Fault)] and (book.state, book.seq) == ("LIVE", 109409288253)
    assert [e.reason for e in run.step(Frame(T0 + 10**9, "htx", 1, *packed(mine[-1]))) if isinstance(e, Gap)] == ["sequence"]


@pytest.mark.parametrize("path", present([SWAP], lambda path: path))
def test_recorded_messages_of_swaps_are_understood(path: Path) -> None:
    machine = make("htx_linear", ())
    frames = [Frame(T0 + i, "htx_linear", 1, DATA, line) for i, line in enumerate(path.read_bytes().splitlines())]
    events = [e for frame in frames for e in machine.receive(frame)]
    assert [e.reason for e in events if isinstance(e, Fault)] == ["unknown message"] * 2, "basis and liquidations are not asked for"
    assert [(q.bid, q.bid_size, q.ask) for q in events if isinstance(q, Quote)] == [(47176.5, 1.0, 47176.6)]
    assert [(f.rate, f.next_ts // 10**9) for f in events if isinstance(f, Funding)] == [(0.0001, 1606780800 + 8 * 3600)]
    assert len([e for e in events if isinstance(e, Ack)]) == 2 and len([e for e in events if isinstance(e, Trade)]) == 2


# -- the simulated venues ----------------------------------------------------------------------------------------------
async def next_message(ws: ClientConnection) -> Any:
    message = await asyncio.wait_for(ws.recv(), PATIENCE_S)
    assert isinstance(message, bytes)
    return json.loads(gzip.decompress(message))


def test_the_simulated_venues_pack_every_frame_refuse_and_cut_who_does_not_answer_their_pings() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("htx", "htx_linear"), clock=lambda: clock[0]) as (made, endpoints):
            async with open_ws(endpoints["htx"]["ws"] + "/ws") as ws:
                for wish, topic in (("sub", BOOK), ("req", "market.btcusdt.bbo"), ("sub", "market.xyzusdt.bbo")):
                    await ws.send(json.dumps({wish: topic, "id": topic}))
                    refused = await next_message(ws)
                    assert (refused["status"], refused["err-code"], refused["id"]) == ("error", "bad-request", topic)
                for _ in range(2):
                    clock[0] += PING_S
                    made.advance(1)
                    assert list(await next_message(ws)) == ["ping"]
                clock[0] += PING_S
                made.advance(1)
                await asyncio.wait_for(ws.wait_closed(), PATIENCE_S)
            async with open_ws(endpoints["htx_linear"]["ws"] + "/linear-swap-ws") as ws:
                await ws.send(json.dumps({"sub": htx_linear.BOOK, "id": "1"}))
                assert (await next_message(ws))["err-msg"] == "data_type"
            async with open_ws(endpoints["htx_linear"]["ws"] + NOTIFY) as ws:
                await ws.send(json.dumps({"op": "sub", "cid": "1", "topic": "public.XYZ-USDT.funding_rate"}))
                assert (await next_message(ws))["err-code"] == 2011

    asyncio.run(run())


def test_numbers_are_written_as_java_does() -> None:
    texts = [java(*each) for each in ((9121, 10), (710, 0), (1_024_700_000, 2), (89, 4), (92, 6), (1000, 6), (50_000_050, 3), (0, 2))]
    assert texts == ["9.121E-7", "710.0", "1.0247E7", "0.0089", "9.2E-5", "0.001", "50000.05", "0.0"]
    assert LISTINGS[0].native == "btcusdt"
