"""Gate on loopback: the shapes of real messages, whole books and their changes, answers and their traps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.sim.gate import PATHS
from dope.sim.gate_text import DEPTH
from dope.sim.market import Truth
from dope.sim.venue import listings
from dope.sim.world import World
from tests.sim.recipes import Book, ask, assert_true, hear, open_ws, world
from tests.sim.test_binance import shape

#: one message of each kind with the keys, their order and the types of recorded, captured or documented ones
REAL = {
    "gate": [
        '{"channel":"spot.obu","result":{"t":1754006400261,"full":true,"s":"ob.BTC_USDT.400","u":25847113075,"b":[["115765.1","0.33"]],'
        '"a":[["115765.2","0.63"]]},"time_ms":1754006400264,"event":"update"}',
        '{"channel":"spot.obu","result":{"t":1754006460600,"s":"ob.BTC_USDT.400","U":25847129970,"u":25847129996,"b":[["115576.7","0.05"]],'
        '"a":[["115731.3","0.68"]]},"time_ms":1754006460601,"event":"update"}',
        '{"time":1682689046,"time_ms":1682689046142,"channel":"spot.book_ticker","event":"update","result":{"t":1682689046131,"u":517377894,'
        '"s":"ETC_ETH","b":"0.010326","B":"0.001","a":"0.010366","A":"10"}}',
        '{"time":1682689046,"time_ms":1682689046133,"channel":"spot.trades","event":"update","result":{"id":5541729598,'
        '"create_time":1682689046,"create_time_ms":"1682689046123.0","side":"buy","currency_pair":"TLOS_BTC","amount":"9","price":"0.1"}}',
        '{"time":1606292600,"time_ms":1606292600376,"channel":"spot.candlesticks","event":"update","result":{"t":"1606292580","v":"2362.3",'
        '"c":"19128.1","h":"19128.1","l":"19128.1","o":"19128.1","n":"1m_BTC_USDT","a":"3.8283","w":true}}',
    ],
    "gate_futures": [
        '{"time":1789455580,"time_ms":1789455580280,"channel":"futures.obu","event":"update","result":{"t":1789455580261,"full":true,'
        '"s":"ob.BTC_USDT.400","u":125033675974,"b":[["77222.9","600"]],"a":[["77235","40"]]}}',
        '{"time":1789455580,"time_ms":1789455580280,"channel":"futures.obu","event":"update","result":{"t":1789455580280,'
        '"s":"ob.BTC_USDT.400","U":125033675975,"u":125033676003,"b":[["77222.9","648"]],"a":[["77235.2","0"]]}}',
        '{"time":1789456337,"time_ms":1789456337019,"channel":"futures.book_ticker","event":"update","result":{"t":1789456337013,'
        '"u":125034507671,"s":"BTC_USDT","b":"77179","B":107847,"a":"77179.1","A":5808}}',
        '{"time":1774443183,"time_ms":1774443183400,"channel":"futures.trades","event":"update","result":[{"size":-108,"id":1,'
        '"create_time":1774443183,"create_time_ms":1774443183399,"price":"2171.44","contract":"ETH_USDT"}]}',
        '{"time":1789456337,"time_ms":1789456337808,"channel":"futures.tickers","event":"update","result":[{"contract":"BTC_USDT",'
        '"last":"77175.1","mark_price":"77183.5","funding_rate":"0.000072","funding_rate_indicative":"0.000072","funding_interval":28800,'
        '"funding_offset":0,"funding_next_apply":1789459200,"index_price":"77221.8","price_type":"last","t":1789456337802}]}',
        '{"time":1542162490,"time_ms":1542162490123,"channel":"futures.candlesticks","event":"update","result":[{"t":1545129300,"v":"275",'
        '"c":"95.4","h":"96.9","l":"89.5","o":"94.3","n":"1m_BTC_USDT","a":"314732.8","w":false}]}',
    ],
}
BOOK = f"ob.BTC_USDT.{DEPTH}"


def request(channel: str, *payload: str, event: str = "subscribe") -> dict[str, Any]:
    return {"time": 1700000000, "channel": channel, "event": event, "payload": payload}


def kind(message: dict[str, Any]) -> str:
    return str(message["channel"]) + (" full" if "full" in message["result"] else "")


def deep(message: dict[str, Any]) -> Any:
    """The shape, that of the first row included."""
    result = message["result"]
    return shape({**message, "result": result[0] if isinstance(result, list) else result})


@asynccontextmanager
async def one(venue: str, **options: Any) -> AsyncIterator[tuple[World, ClientConnection]]:
    async with world(venues=(venue,), **options) as (made, endpoints), open_ws(endpoints[venue]["ws"] + PATHS[venue]) as ws:
        yield made, ws


async def heard(ws: ClientConnection, prefix: str) -> list[dict[str, Any]]:
    """Everything said until the answer to a ping."""
    await ws.send(json.dumps({"time": 1, "channel": f"{prefix}.ping"}))
    found = []
    while (message := await hear(ws))["channel"] != f"{prefix}.pong":
        found.append(message)
    return found


@pytest.mark.parametrize("venue", list(REAL))
def test_every_kind_of_message_has_the_keys_their_order_and_the_value_types_of_a_real_one(venue: str) -> None:
    real = {kind(json.loads(text)): json.loads(text) for text in REAL[venue]}

    async def collect() -> dict[str, dict[str, Any]]:
        async with one(venue) as (made, ws):
            prefix = "spot" if venue == "gate" else "futures"
            for channel in sorted({name.split()[0] for name in real}):
                payload = {"obu": [BOOK], "candlesticks": ["1m", "BTC_USDT"]}.get(channel.partition(".")[2], ["BTC_USDT"])
                assert (await ask(ws, request(channel, *payload)))["result"] == {"status": "success"}
            made.advance(1500)
            messages = await heard(ws, prefix)
        books = [m for m in messages if not m["channel"].endswith("obu") or {"a", "b"} <= m["result"].keys()]
        return {kind(message): message for message in books}

    found = asyncio.run(collect())
    assert set(found) == set(real)
    for name, message in real.items():
        assert deep(found[name]) == deep(message), name


def test_a_whole_book_and_its_changes_are_the_market_and_each_number_follows_the_one_before() -> None:
    async def run() -> None:
        async with one("gate_futures") as (made, ws):
            server: Any = made.servers["gate_futures"]
            while made.sample.steps % 10 == 9 or not server.symbols["BTC_USDT"].pending:
                made.advance(1)  # something waits for the next message of the stream
            await ask(ws, request("futures.obu", BOOK))
            made.advance(2000)
            book, last, bare = Book(), -1, 0
            for message in await heard(ws, "futures"):
                data = message["result"]
                assert data.get("full", False) == (last == -1) and (last == -1 or data["U"] == last + 1)
                book.apply(data.get("b", []), data.get("a", []))
                last, bare = data["u"], bare + ("a" not in data or "b" not in data)
            assert bare, "a side without changes is absent"
            assert_true(book, Truth(7, listings(("gate_futures",))), "gate_futures:BTC-USDT-PERP", last)

    asyncio.run(run())


def test_a_lost_message_leaves_a_hole() -> None:
    async def run() -> None:
        async with one("gate") as (made, ws):
            await ask(ws, request("spot.obu", BOOK))
            made.advance(10)
            (whole,) = await heard(ws, "spot")
            made.faults.drop("gate", "BTC-USDT")
            made.advance(400)
            first = (await heard(ws, "spot"))[0]["result"]
            assert first["U"] > whole["result"]["u"] + 1

    asyncio.run(run())


def test_the_touch_of_futures_counts_whole_contracts_and_their_books_fractions() -> None:
    async def run() -> None:
        async with one("gate_futures") as (made, ws):
            await ask(ws, request("futures.obu", f"ob.ETH_USDT.{DEPTH}"))
            await ask(ws, request("futures.book_ticker", "ETH_USDT"))
            made.advance(500)
            messages = await heard(ws, "futures")
            assert any("." in size for m in messages if m["channel"] == "futures.obu" for _, size in m["result"].get("b", []))
            touches = [m["result"] for m in messages if m["channel"] == "futures.book_ticker"]
            assert touches and all(type(touch[side]) is int for touch in touches for side in "BA")

    asyncio.run(run())


def test_answers_to_good_and_bad_requests() -> None:
    async def run() -> None:
        async with one("gate") as (made, ws):
            good = await ask(ws, request("spot.obu", BOOK))
            assert (good["channel"], good["event"], good["payload"]) == ("spot.obu", "subscribe", [BOOK])
            for bad, code, said in (
                ("{nonsense", 1, "request message need json scheme"), (request("spot.nope", "BTC_USDT"), 2, "Unknown channel spot.nope"),
                (request("futures.trades", "BTC_USDT"), 2, "Unknown channel"), (request("spot.obu", BOOK), 2, f"Alert sub {BOOK}"),
                (request("spot.trades", "BTC_USDT", "NOPE_USDT"), 2, "unknown currency pair: NOPE_USDT"),
                (request("spot.trades", "BTC_USDT", event="dance"), 2, "invalid argument"),
            ):  # fmt: skip
                answer = await ask(ws, bad)
                assert answer["result"] == {"status": "fail"} and answer["error"]["code"] == code and said in answer["error"]["message"]
            for silent in ("ob.NOPE_USDT.400", "ob.ETH_USDT.20"):
                assert (await ask(ws, request("spot.obu", silent)))["result"] == {"status": "success"}
            assert (await ask(ws, request("spot.obu", BOOK, event="unsubscribe")))["event"] == "unsubscribe"
            made.advance(300)
            assert await heard(ws, "spot") == [], "nothing of a refused request was taken, and what does not exist stays silent"
        async with world(venues=("gate",)) as (_, endpoints):
            with pytest.raises(InvalidStatus):
                async with open_ws(endpoints["gate"]["ws"] + "/nowhere"):
                    pass

    asyncio.run(run())


def test_a_client_that_neither_subscribes_nor_speaks_is_cut_and_one_that_pings_is_not() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("gate",), clock=lambda: clock[0]) as (made, endpoints):
            url = endpoints["gate"]["ws"] + PATHS["gate"]
            async with open_ws(url) as quiet, open_ws(url) as lively, open_ws(url) as listening:
                await ask(listening, request("spot.trades", "BTC_USDT"))
                for ws in (quiet, lively):
                    await heard(ws, "spot")
                clock[0] += 20.0
                await heard(lively, "spot")
                clock[0] += 20.0
                made.advance(100)
                with pytest.raises(ConnectionClosed):
                    await hear(quiet)
                await heard(lively, "spot")
                await heard(listening, "spot")

    asyncio.run(run())
